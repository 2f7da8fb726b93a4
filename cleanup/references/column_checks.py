"""Checks of columns whose meaning is not configured but suggested by their names or values."""

from collections.abc import Iterator, Sequence

from cleanup import backends, conf
from cleanup.backends.catalogue import Column, TableName
from cleanup.hooks import ready
from cleanup.policies import DifferentRootsPolicy
from cleanup.references import fitting_hooks, path_columns, soft_deletion, suspects
from cleanup.references.holders import by_name_alone, holders
from cleanup.references.problem import Problem
from cleanup.references.survey import Survey
from cleanup.references.tree_hooks import TreeHooks

#: Folders that are compared with their parents to find the hook that keeps a column.
_FAMILIES = 200


class ColumnChecks:
    """The checks of one database."""

    def __init__(self, survey: Survey, hooks: TreeHooks) -> None:
        self.survey = survey
        self.hooks = hooks

    def suspected(self) -> Iterator[Problem]:
        """Report columns that are named after folders but are not a known reference."""
        key = self.survey.folder_column(self.survey.tables.folder_key.column)
        for holder in holders(self.survey.candidates, self.survey.tables.folder_key):
            table, column = holder.placed.table, holder.placed.column
            if (
                (table, column.name) in self.survey.known
                or table.name in self.survey.own
                or not self._is_named_after_folders(table, column.name)
            ):
                continue
            named = self.survey.words.say_id(column.name)
            if by_name_alone(holder, key, says_id=named, logical=self.survey.tables.folder_key):
                yield suspects.by_name(holder)

    def _is_named_after_folders(self, table: TableName, column: str) -> bool:
        words = self.survey.words
        return words.name_another(column) if table == self.survey.found.folders.name else words.name_it(column)

    def path_column(self) -> Iterator[Problem]:
        """Report columns of the folder table that repeat a folder's place in its tree."""
        if ready.hosts():
            return
        folders, mapped, ignored = self.survey.found.folders, self.survey.mapped_columns(), self.survey.ignored()
        kept = {(folders.name, column) for column in self.hooks.written}
        own = [column for column in folders.columns if (folders.name, column.name) not in mapped | ignored | kept]
        names = path_columns.named(own, nests=conf.different_roots() == DifferentRootsPolicy.NEST)
        named = [column for column in own if column.name in names and not column.generated]
        if not named:
            return
        if self.survey.tables.flat:
            yield path_columns.problem_of_flat(folders.name, [column.name for column in named])
            return
        kept_by = fitting_hooks.fitting(named, self._families_of(named))
        setting = fitting_hooks.setting([*ready.entries(), *kept_by.values()]) if kept_by else ""
        for column in named:
            yield path_columns.problem(folders.name, [column.name], setting=setting if column.name in kept_by else "")

    def _families_of(self, columns: Sequence[Column]) -> list[path_columns.Family]:
        folders = self.survey.found.folders
        if "select" not in folders.privileges or folders.row_security:
            return []
        database = backends.database(using=self.survey.using)
        samples = database.samples(database.folders(self.survey.tables), folders)
        names = [column.name for column in columns]
        return [path_columns.Family.of(row) for row in samples.families(names, rows=_FAMILIES)]

    def soft_delete(self) -> Iterator[Problem]:
        """Report columns by which a host may mark folders as deleted, unless it has configured that."""
        if conf.folder_live_is_set():
            return
        folders, known = self.survey.found.folders, self.survey.mapped_columns() | self.survey.ignored()
        for column in folders.columns:
            flag = soft_deletion.is_flag(column)
            if (folders.name, column.name) not in known and soft_deletion.marks_deleted(
                column.name, table=folders.name.name, flag=flag
            ):
                remedy = soft_deletion.setting_by_values(column, self._values_of(column))
                yield Problem(
                    "soft_delete",
                    str(folders.name),
                    column.name,
                    f"{folders.name}.{column.name} looks like it marks deleted folders. {remedy}",
                )

    def _values_of(self, column: Column) -> dict[str | None, int]:
        folders = self.survey.found.folders
        if "select" not in folders.privileges or folders.row_security:
            return {}
        database = backends.database(using=self.survey.using)
        return database.samples(database.folders(self.survey.tables), folders).values(column.name, rows=1000, most=10)
