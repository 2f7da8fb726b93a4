"""Checks of the names in settings against the tables."""

from collections.abc import Iterator, Mapping

from cleanup import conf
from cleanup.backends.catalogue import (
    TableName,
)
from cleanup.backends.lists import is_array
from cleanup.policies import CollisionPolicy, SurvivorPolicy
from cleanup.references.collision_policies import faults
from cleanup.references.configured_columns import NamedColumn
from cleanup.references.key_types import can_hold
from cleanup.references.list_sites import can_be_element
from cleanup.references.problem import Problem
from cleanup.references.problems import not_a_table
from cleanup.references.survey import Survey


class SettingChecks:
    """The checks of one database."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey

    def misconfigured(self) -> Iterator[Problem]:
        """Report entries of settings that name nothing, or nothing useful."""
        for entry in (*self.survey.named.extra_references, *self.survey.named.ignored_columns):
            problem = self._wrong_entry(entry)
            if problem is not None and not entry.expanded:
                yield problem
        for entry in self.survey.unmatched:
            yield self._misconfigured("", "", f"{entry.setting} has {entry.spelling}, which matches no column.")
        for name in self.survey.named.collisions:
            if name not in self.survey.names:
                yield self._misconfigured(name, "", f"CLEANUP_COLLISIONS names {name}, and there is no such table.")
            elif self._keeps_survivor(name) and self._is_held(self.survey.names[name]):
                yield self._misconfigured(
                    name,
                    "",
                    f'CLEANUP_COLLISIONS says "keep_survivor" for {name}, but no folder and no file is ever dropped. '
                    f"{self._instead(self.survey.names[name])}",
                )
            else:
                yield from self._wrong_policy(name, conf.collisions()[name])
        yield from self._parents()
        column = self.survey.tables.survivor_column
        applications = self.survey.found.applications.name
        if column is not None and self.survey.spelling(applications, column) is None:
            yield self._misconfigured(
                str(applications),
                column,
                f"CLEANUP_SURVIVOR = {column!r} is neither {', '.join(SurvivorPolicy)} nor a column of {applications}.",
            )
        for column in conf.folder_live() or {}:
            if self.survey.spelling(self.survey.found.folders.name, column) is None:
                yield self._misconfigured(
                    str(self.survey.found.folders.name),
                    column,
                    f"CLEANUP_FOLDER_LIVE names {column}, which is not a column of {self.survey.found.folders.name}.",
                )

    def _parents(self) -> Iterator[Problem]:
        """Report columns by which folders lie in others, although the settings name no parent."""
        folders = self.survey.found.folders.name
        for reference in self.survey.references_of(folders) if self.survey.tables.flat else ():
            yield self._misconfigured(
                str(folders),
                ", ".join(reference.columns),
                f"CLEANUP_FOLDER_FIELDS says that folders have no parent, but {reference} refers to folders. "
                f"Name its field as the parent.",
            )

    def _is_held(self, table: TableName) -> bool:
        return any(table == held.name for held in self.survey.found.holding)

    def _instead(self, table: TableName) -> str:
        file = self.survey.tables.file
        if file and file.name and table == self.survey.found.file_table:
            return f'Use {{"rename": "{file.name}"}}, which gives the later file a number.'
        return 'Use {"renumber": "column"} or {"rename": "column"}, which change the later folder, or "refuse".'

    def _wrong_policy(self, name: str, policy: str | Mapping[str, str]) -> Iterator[Problem]:
        table = self.survey.names[name]
        described = self.survey.described.get(table)
        if isinstance(policy, str) or described is None:
            return
        moving = {column for reference in self.survey.references_of(table) for column in reference.columns}
        moving |= {column for linked, column in self.survey.linked if linked == table}
        moving |= self.survey.found.deciding(table)
        tables = self.survey.tables
        if self._is_held(table):
            fixed = {tables.folder_key.column, *tables.owner_columns, tables.file and tables.file.application}
            moving |= {self.survey.spelling(table, column) or column for column in fixed if column}
        for column, fault in faults(policy, described, moving):
            yield self._misconfigured(name, column, f"CLEANUP_COLLISIONS names {name}.{column}, and {fault}")

    def _misconfigured(self, table: str, column: str, message: str) -> Problem:
        return Problem("misconfigured", table, column, message)

    def _wrong_entry(self, entry: NamedColumn) -> Problem | None:
        where = f"{entry.setting} names {entry.spelling}, and"
        table = self.survey.names.get(entry.table)
        if table is None:
            message = f"{where} there is no such table; other schemas are named as schema.table.column."
            return self._misconfigured(entry.table, entry.column, message)
        described = self.survey.described.get(table)
        is_reference = entry in self.survey.named.extra_references
        if is_reference and described is not None and described.kind not in {"table", "partitioned"}:
            return not_a_table(described, entry.column)
        column = self.survey.spelling(table, entry.column)
        if column is None:
            return self._misconfigured(entry.table, entry.column, f"{where} the table has no such column.")
        if is_reference and described is not None:
            kind = described.column(column).type
            held = described.column(column)
            key, fits = self.survey.tables.folder_key, can_be_element if is_array(held) else can_hold
            if not fits(held, key):
                why = f"its type {kind} cannot hold a folder's key. Remove the entry."
                if held.stored_type in {"json", "jsonb"}:
                    why = (
                        f"of its type {kind} no element can be changed exactly; only texts in arrays of jsonb can. "
                        f"Make it an array of keys, or move the entry to CLEANUP_IGNORED_COLUMNS if it may name "
                        f"removed folders."
                    )
                message = f"{where} {why}"
                return self._misconfigured(entry.table, entry.column, message)
        return self._wrong_beside_a_key(entry, table, column, where=where)

    def _wrong_beside_a_key(self, entry: NamedColumn, table: TableName, column: str, *, where: str) -> Problem | None:
        for name in entry.condition.columns if entry.condition else ():
            if self.survey.spelling(table, name) is None:
                message = f"{where} its condition names {name}, which is not a column of the table."
                return self._misconfigured(entry.table, entry.column, message)
        key = next(
            (
                r
                for r in self.survey.found.references
                if r.table == table and r.columns == (column,) and r.condition is None
            ),
            None,
        )
        if key is None or (key.constraint is None and key.source != "model"):
            return None
        if entry.condition is not None:
            message = f"{where} every row of it is about a folder, since it has a foreign key. Remove the condition."
        elif entry.setting == "CLEANUP_IGNORED_COLUMNS":
            why = f"the foreign key {key.constraint}" if key.constraint else "a part in the folder tree"
            message = f"{where} it has {why}, so that it cannot be ignored. Remove the entry."
        else:
            return None
        return self._misconfigured(entry.table, entry.column, message)

    def _keeps_survivor(self, name: str) -> bool:
        return conf.collisions()[name] == CollisionPolicy.KEEP_SURVIVOR
