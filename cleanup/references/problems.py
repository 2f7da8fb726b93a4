"""What stands in the way of a run, each with the table, the column and the remedy.

Static: judged by catalogue, models and settings alone; but ``key_storage`` looks for one row.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from django.db import connections

from cleanup import backends, conf
from cleanup.backends import rows_to_move
from cleanup.backends.catalogue import (
    Catalogue,
    Column,
    ForeignKey,
    PlacedColumn,
    Table,
    TableName,
    Trigger,
    quoted,
)
from cleanup.backends.references import Reference
from cleanup.folder_tables import FolderTables
from cleanup.references import path_columns, soft_deletion, suspects
from cleanup.references.configured_columns import NamedColumn, NamedColumns
from cleanup.references.description import Problem, ReferenceMap
from cleanup.references.graph import Graph, Unorderable, Unrestricted
from cleanup.references.holders import by_name_alone, holders
from cleanup.references.host_words import HostWords, says_id
from cleanup.references.key_storage import KeyStorage
from cleanup.references.key_types import can_hold, ignores_case, spelled_type
from cleanup.references.mapped_types import MappedTypes
from cleanup.references.policies import Policy, faults


def moving_key(key: ForeignKey, columns: Iterable[str]) -> Problem:
    """Report a foreign key to columns of folders that a merge changes in folders that stay."""
    moving = ", ".join(columns)
    remedy = "make the table anew without it (SQLite cannot drop it)."
    if key.table.schema:
        remedy = f"drop it: ALTER TABLE {key.table.quoted} DROP CONSTRAINT {quoted(key.name)};"
    return Problem(
        "moving_key",
        str(key.table),
        ", ".join(key.columns),
        f"Table {key.table} references column {moving} of {key.target} by the foreign key {key.name}, and a merge "
        f"changes that column in folders that stay. Let the foreign key name the folder's key alone, or {remedy}",
    )


#: The kinds of tables that have rows of their own.
ORDINARY = frozenset({"table", "partitioned"})


def described_kind(table: Table) -> str:
    """Return what a table is, as a noun."""
    return table.kind if "view" in table.kind else f"{table.kind} table"


def not_a_table(table: Table, column: str) -> Problem:
    """Report a reference in something that cannot be written and journaled."""
    return Problem(
        "view" if "view" in table.kind else table.kind,
        str(table.name),
        column,
        f"{table.name}.{column} is a folder reference, but {table.name} is a {described_kind(table)}, whose rows "
        f"cannot be moved and journaled here. Name the table behind it in CLEANUP_EXTRA_REFERENCES.",
    )


def _kinds(case: Unrestricted) -> str:
    return " and ".join(case.site.condition.columns if case.site.condition else ())


def of_graph(found: Graph, unorderable: Iterable[Unorderable]) -> Iterator[Problem]:
    """Report keys that cannot be changed together."""
    for one in unorderable:
        sites, keys = ", ".join(str(site) for site in one.sites), ", ".join(key.name for key in one.keys)
        remedy = " ".join(
            f"ALTER TABLE {key.table.quoted} ALTER CONSTRAINT {quoted(key.name)} DEFERRABLE;" for key in one.keys
        )
        yield Problem(
            "two_keys",
            str(one.sites[0].table),
            ", ".join(column for site in one.sites for column in site.columns),
            f"{sites} would have to change in one statement, since the foreign keys {keys} are checked after each. "
            f"Let them be deferred: {remedy}",
        )
    for case in found.unrestricted:
        yield Problem(
            "generic_key",
            str(case.key.table),
            ", ".join(case.key.columns),
            f"Table {case.key.table} references {case.site} by the foreign key {case.key.name} without "
            f"{_kinds(case)}, so that its rows about folders cannot be told from others. Add that to the "
            f"key.",
        )


@dataclass(frozen=True)
class Checks:
    """Every check of one database; ``run`` makes them in the order of their methods."""

    using: str
    tables: FolderTables
    catalogue: Catalogue
    found: ReferenceMap
    named: NamedColumns
    names: Mapping[str, TableName]
    """Tables by their spelling in models and settings."""
    columns: Mapping[TableName, Mapping[str, str]]
    described: Mapping[TableName, Table]
    """The tables of the map, and those that settings name."""
    linked: Collection[tuple[TableName, str]]
    """Columns that belong to some foreign key or relation."""
    own: Collection[str]
    """The product's own tables, by their names in whatever schema."""
    candidates: Collection[PlacedColumn]
    """Columns whose names may be after folders."""
    words: HostWords
    unmatched: Collection[NamedColumn]
    """Patterns that cover no column."""

    def run(self) -> Iterator[Problem]:
        """Yield every problem."""
        checks: tuple[Callable[[], Iterator[Problem]], ...] = (
            self.misconfigured,
            self.mapped_kind,
            self.mapped_types,
            self.folder_key,
            self.suspected,
            self.privilege,
            self.row_security,
            self.inheritance,
            self.path_column,
            self.soft_delete,
            self.trigger,
            self.unindexed,
            self.key_storage,
            self.spellings,
        )
        for check in checks:
            yield from check()

    def warn(self) -> Iterator[Problem]:
        """Yield what an operator should know and what stops nothing."""
        checks: tuple[Callable[[], Iterator[Problem]], ...] = ()
        for check in checks:
            yield from check()

    # What the settings name.

    def misconfigured(self) -> Iterator[Problem]:
        """Report entries of settings that name nothing, or nothing useful."""
        for entry in (*self.named.extra_references, *self.named.ignored_columns):
            problem = self._wrong_entry(entry)
            if problem is not None and not entry.expanded:
                yield problem
        for entry in self.unmatched:
            yield self._misconfigured("", "", f"{entry.setting} has {entry.spelling}, which matches no column.")
        for name in self.named.collisions:
            if name not in self.names:
                yield self._misconfigured(name, "", f"CLEANUP_COLLISIONS names {name}, and there is no such table.")
            elif self._keeps_survivor(name) and self.names[name] in (self.found.folders.name, self.found.files.name):
                yield self._misconfigured(
                    name,
                    "",
                    f'CLEANUP_COLLISIONS says "keep_survivor" for {name}, but no folder and no file is ever dropped. '
                    f"{self._instead(self.names[name])}",
                )
            else:
                yield from self._wrong_policy(name, conf.collisions()[name])
        for column in conf.folder_live() or {}:
            if self._spelling(self.found.folders.name, column) is None:
                yield self._misconfigured(
                    str(self.found.folders.name),
                    column,
                    f"CLEANUP_FOLDER_LIVE names {column}, which is no column of {self.found.folders.name}.",
                )

    def _instead(self, table: TableName) -> str:
        if table == self.found.files.name:
            return f'Use {{"rename": "{self.tables.file_name}"}}, which gives the later file a number.'
        return 'Use {"renumber": "column"} or {"rename": "column"}, which change the later folder, or "refuse".'

    def _wrong_policy(self, name: str, policy: str | Mapping[str, str]) -> Iterator[Problem]:
        table = self.names[name]
        described = self.described.get(table)
        if isinstance(policy, str) or described is None:
            return
        moving = {column for reference in self._references_of(table) for column in reference.columns}
        fixed = {self.tables.folder_key.column, self.tables.folder_application, self.tables.file_application}
        if table in (self.found.folders.name, self.found.files.name):
            moving |= {self._spelling(table, column) or column for column in fixed}
        for column, fault in faults(policy, described, moving):
            yield self._misconfigured(name, column, f"CLEANUP_COLLISIONS names {name}.{column}, and {fault}")

    def _misconfigured(self, table: str, column: str, message: str) -> Problem:
        return Problem("misconfigured", table, column, message)

    def _wrong_entry(self, entry: NamedColumn) -> Problem | None:
        where = f"{entry.setting} names {entry.spelling}, and"
        table = self.names.get(entry.table)
        if table is None:
            message = f"{where} there is no such table; other schemas are named as schema.table.column."
            return self._misconfigured(entry.table, entry.column, message)
        described = self.described.get(table)
        is_reference = entry in self.named.extra_references
        if is_reference and described is not None and described.kind not in {"table", "partitioned"}:
            return not_a_table(described, entry.column)
        column = self._spelling(table, entry.column)
        if column is None:
            return self._misconfigured(entry.table, entry.column, f"{where} the table has no such column.")
        if is_reference and described is not None:
            kind = described.column(column).type
            if not can_hold(described.column(column), self.tables.folder_key):
                message = f"{where} its type {kind} cannot hold a folder's key. Remove the entry."
                return self._misconfigured(entry.table, entry.column, message)
        return self._wrong_beside_a_key(entry, table, column, where=where)

    def _wrong_beside_a_key(self, entry: NamedColumn, table: TableName, column: str, *, where: str) -> Problem | None:
        for name in entry.condition.columns if entry.condition else ():
            if self._spelling(table, name) is None:
                message = f"{where} its condition names {name}, which is no column of the table."
                return self._misconfigured(entry.table, entry.column, message)
        key = next(
            (r for r in self.found.references if r.table == table and r.columns == (column,) and r.condition is None),
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

    def _spelling(self, table: TableName, column: str) -> str | None:
        return self.columns.get(table, {}).get(self.catalogue.column_spelling(column))

    def _keeps_survivor(self, name: str) -> bool:
        return conf.collisions()[name] == "keep_survivor"

    def _ignored(self) -> set[tuple[TableName, str]]:
        return {
            (self.names[entry.table], column)
            for entry in self.named.ignored_columns
            if entry.table in self.names and (column := self._spelling(self.names[entry.table], entry.column))
        }

    @cached_property
    def known(self) -> frozenset[tuple[TableName, str]]:
        """Columns of which it is known what they are: references, keys, what settings ignore, the mapped ones."""
        references = {(reference.table, column) for reference in self.found.references for column in reference.columns}
        return frozenset(references | set(self.linked) | self._ignored() | self._mapped_columns())

    # What the tables are like.

    def mapped_kind(self) -> Iterator[Problem]:
        """Report mapped names that are not tables of rows of their own."""
        for table, model in (
            (self.found.applications, "CLEANUP_APPLICATION_MODEL"),
            (self.found.folders, "CLEANUP_FOLDER_MODEL"),
            (self.found.files, "CLEANUP_FILE_MODEL"),
        ):
            if table.kind not in ORDINARY:
                yield Problem(
                    "view" if "view" in table.kind else table.kind,
                    str(table.name),
                    "",
                    f"{table.name} is a {described_kind(table)}, whose rows cannot be moved and journaled here. Name "
                    f"a model of the table behind it in {model}.",
                )

    def mapped_types(self) -> Iterator[Problem]:
        """Report mapped columns of types that cannot hold or compare what they are mapped to."""
        spelled = {
            (table, column): found
            for table in (self.found.applications.name, self.found.folders.name, self.found.files.name)
            for column in self._mapped_names(table)
            if (found := self._spelling(table, column)) is not None
        }
        by_class = backends.database(using=self.using).storage_classes
        yield from MappedTypes(self.tables, self.found, spelled, by_class=by_class).problems()

    def folder_key(self) -> Iterator[Problem]:
        """Report a folder table whose key is not unique, or is compared otherwise than byte by byte."""
        folders, key = self.found.folders, self._folder_column(self.tables.folder_key.column)
        if folders.kind not in ORDINARY:  # a view can have no key; it is a problem already
            return
        if not any(unique.columns == (key.name,) and (unique.simple or unique.primary) for unique in folders.uniques):
            yield Problem(
                "unkeyed",
                str(folders.name),
                key.name,
                f"Nothing keeps {folders.name}.{key.name} unique{self._making_unique(folders, key)}",
            )

        elif folders.row_key not in (None, (key.name,)) and not key.not_null:
            yield Problem(
                "unkeyed",
                str(folders.name),
                key.name,
                f"{folders.name}.{key.name} may be null, and so identifies no folder. "
                + (
                    f"Forbid that: ALTER TABLE {folders.name.quoted} ALTER COLUMN {quoted(key.name)} SET NOT NULL;"
                    if folders.name.schema
                    else "Make the table anew with NOT NULL."
                ),
            )
        for unique in folders.uniques:
            if unique.columns == (key.name,) and not unique.simple and unique.predicate is None:
                yield Problem(
                    "collation",
                    str(folders.name),
                    key.name,
                    f"{folders.name}.{key.name} is compared by a collation of its own ({unique.parts[0]}): a reference "
                    f"may spell a key in another way, and would be missed. Give the column a binary collation.",
                )
        if ignores_case(key):
            yield Problem(
                "collation",
                str(folders.name),
                key.name,
                f"{folders.name}.{key.name} is of type {spelled_type(key)}, which ignores case: a reference may spell "
                f"a key in another way, and an undo could not bring that back. Make the column, and those that "
                f"reference it, of type text.",
            )

    def _making_unique(self, table: Table, column: Column) -> str:
        """Return how to keep a column unique, to follow the words that it is not."""
        partitioning = self.catalogue.partition_key(table.name) if table.kind == "partitioned" else ""
        if partitioning and not partitioning.endswith((f"({column.name})", f"({quoted(column.name)})")):
            return (
                f", and no index can: the table is partitioned by {partitioning}, and a unique index of it has to "
                f"contain those columns. Partition it by {column.name}, or map a table that is not partitioned."
            )
        index = self._index_name(table.name, column.name)
        return f". Add a key: CREATE UNIQUE INDEX {index}ON {table.name.quoted} ({quoted(column.name)});"

    def _folder_column(self, column: str) -> Column:
        return self.found.folders.column(self._spelling(self.found.folders.name, column) or column)

    def _index_name(self, table: TableName, column: str) -> str:
        """Return a name and a blank, for SQLite needs one; PostgreSQL finds one that is free."""
        return "" if table.schema else quoted(f"{table.name}_{column}"[:59] + "_idx") + " "

    def suspected(self) -> Iterator[Problem]:
        """Report columns that are named after folders and are no reference that is known."""
        key = self._folder_column(self.tables.folder_key.column)
        for holder in holders(self.candidates, self.tables.folder_key):
            table, column = holder.placed.table, holder.placed.column
            if (table, column.name) in self.known or table.name in self.own or not self.words.name_it(column.name):
                continue
            if by_name_alone(holder, key, says_id=says_id(column.name), logical=self.tables.folder_key):
                yield suspects.by_name(holder)

    def _mapped_columns(self) -> set[tuple[TableName, str]]:
        return {
            (table, self._spelling(table, name) or name)
            for table in (self.found.applications.name, self.found.folders.name, self.found.files.name)
            for name in self._mapped_names(table)
        }

    def _mapped_names(self, table: TableName) -> tuple[str, ...]:
        tables = self.tables
        mapped: dict[TableName, tuple[str, ...]] = {
            self.found.applications.name: (tables.application_key.column,),
            self.found.folders.name: (
                tables.folder_key.column,
                tables.folder_parent,
                tables.folder_application,
                tables.folder_name,
                tables.folder_created,
            ),
            self.found.files.name: (
                tables.file_key.column,
                tables.file_folder,
                tables.file_application,
                tables.file_name,
            ),
        }
        return mapped[table]

    def privilege(self) -> Iterator[Problem]:
        """Report tables that the current role may not read or write as a run and its undo must."""
        for table in self._tables():
            changed = self._changed_columns(table.name)
            needed = {"select", "update"} | ({"insert", "delete"} if self.found.loses_rows(table.name) else set())
            missing = {privilege for privilege in needed if privilege not in table.privileges}
            fixed = [column for column in sorted(changed) if not table.column(column).updatable]
            if fixed:
                missing.add("update")
            if missing:
                grants = ", ".join(privilege.upper() for privilege in sorted(missing))
                schema = (
                    "" if table.privileges else f"GRANT USAGE ON SCHEMA {quoted(table.name.schema)} TO {self._role}; "
                )
                yield Problem(
                    "privilege",
                    str(table.name),
                    ", ".join(fixed or sorted(changed)),
                    f"The current role may not {' or '.join(sorted(missing))} on {table.name}. Grant it: "
                    f"{schema}GRANT {grants} ON {table.name.quoted} TO {self._role};",
                )

    @property
    def _role(self) -> str:
        return quoted(str(connections[self.using].settings_dict["USER"] or "CURRENT_USER"))

    def _tables(self) -> list[Table]:
        return [table for _, table in sorted(self.found.tables.items())]

    def _references_of(self, table: TableName) -> list[Reference]:
        return [reference for reference in self.found.references if reference.table == table]

    def _changed_columns(self, table: TableName) -> set[str]:
        policy = self.found.policies.get(table, Policy())
        columns = {column for reference in self._references_of(table) for column in reference.columns}
        return columns | {column for _, column in policy.changes}

    def row_security(self) -> Iterator[Problem]:
        """Report tables of which the current role might not see every row."""
        for table in self._tables():
            if table.row_security:
                yield Problem(
                    "row_security",
                    str(table.name),
                    "",
                    f"Row level security of {table.name} binds the current role, which may not see every row. Work as "
                    f"the table's owner, or let the role pass by: ALTER ROLE {self._role} BYPASSRLS;",
                )

    def inheritance(self) -> Iterator[Problem]:
        """Report tables with children by plain inheritance, which no key of the parent covers."""
        for table in self._tables():
            if table.inheritance_children:
                children = ", ".join(str(child) for child in table.inheritance_children)
                remedy = " ".join(
                    f"ALTER TABLE {child.quoted} NO INHERIT {table.name.quoted};"
                    for child in table.inheritance_children
                )
                yield Problem(
                    "inheritance",
                    str(table.name),
                    "",
                    f"{table.name} has inheritance children ({children}), whose rows no key of it covers. "
                    f"Detach them, or make them partitions: {remedy}",
                )

    def path_column(self) -> Iterator[Problem]:
        """Report columns of the folder table that repeat where a folder stands in its tree."""
        if conf.tree_hook() is not None:
            return
        folders, mapped, ignored = self.found.folders, self._mapped_columns(), self._ignored()
        own = [column for column in folders.columns if (folders.name, column.name) not in mapped | ignored]
        named = path_columns.named(own)
        for column in own:
            if column.name in named and not column.generated:
                yield path_columns.problem(folders.name, [column.name])

    def soft_delete(self) -> Iterator[Problem]:
        """Report columns by which a host may mark folders as deleted, where it has not said so."""
        if conf.folder_live_is_set():
            return
        folders, known = self.found.folders, self._mapped_columns() | self._ignored()
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
        folders = self.found.folders
        if "select" not in folders.privileges or folders.row_security:
            return {}
        database = backends.database(using=self.using)
        return database.samples(database.folders(self.tables), folders).values(column.name, rows=1000, most=10)

    def further_columns(self) -> frozenset[str]:
        """Return the columns of the folder table that play no part, refer to nothing and are not ignored."""
        folders = self.found.folders.name
        known = self._mapped_columns() | self._ignored()
        referring = {column for reference in self._references_of(folders) for column in reference.columns}
        return frozenset(
            column.name
            for column in self.found.folders.columns
            if (folders, column.name) not in known and column.name not in referring
        )

    def trigger(self) -> Iterator[Problem]:
        """Report triggers that would fire, as far as the policy does not allow them, or cannot keep them from it."""
        policy = conf.triggers()
        if policy == "fire":
            return
        bypassing = policy == "bypass" and self.catalogue.may_bypass_triggers()
        if policy == "bypass" and not bypassing and backends.database(using=self.using).bypasses_triggers:
            yield Problem(
                "privilege",
                str(self.found.folders.name),
                "",
                f'CLEANUP_TRIGGERS is "bypass", and the current role may not do that. '
                f"GRANT SET ON PARAMETER session_replication_role TO {self._role}; (PostgreSQL 15 and newer; before, "
                f"only a superuser may.)",
            )
            return
        for table in self._tables():
            for trigger in table.triggers:
                if self._fires(trigger, table.name) and (trigger.always or not bypassing):
                    yield self._fired(trigger, table.name)

    def _fires(self, trigger: Trigger, table: TableName) -> bool:
        changed = self._changed_columns(table)
        updates = "update" in trigger.events and changed and (not trigger.columns or trigger.columns & changed)
        return bool(updates or (self.found.loses_rows(table) and trigger.events & {"insert", "delete"}))

    def _fired(self, trigger: Trigger, table: TableName) -> Problem:
        kind, _, rule = trigger.name.rpartition("rule ")
        if not backends.database(using=self.using).bypasses_triggers:
            remedy = f"drop it for the time of the run: DROP TRIGGER {quoted(trigger.name)};"
            policies = 'CLEANUP_TRIGGERS to "fire"'
        else:
            what = f"RULE {quoted(rule)}" if not kind and rule != trigger.name else f"TRIGGER {quoted(trigger.name)}"
            remedy = f"disable it for the time of the run: ALTER TABLE {trigger.table.quoted} DISABLE {what};"
            policies = 'CLEANUP_TRIGGERS to "fire"' + ("" if trigger.always else ' or "bypass"')
        events = ", ".join(sorted(trigger.events))
        return Problem(
            "trigger",
            str(trigger.table),
            ", ".join(sorted(self._changed_columns(table))),
            f"{trigger.name} of {trigger.table} would fire ({events}) and may change more than the cleanup can undo. "
            f"Set {policies}, or {remedy}",
        )

    def unindexed(self) -> Iterator[Problem]:
        """Report large tables in which every batch would have to look at every row."""
        for reference in self.found.references:
            table = self.found.tables[reference.table]
            if table.estimated_rows > conf.large_table() and not _is_indexed(table, reference):
                columns = ", ".join(quoted(column) for column in reference.columns)
                # A partitioned table cannot be indexed concurrently; on SQLite nothing can.
                is_plain = table.kind == "table" and backends.database(using=self.using).builds_concurrently
                yield Problem(
                    "unindexed",
                    str(table.name),
                    ", ".join(reference.columns),
                    f"{reference} has no index, and the table has about {table.estimated_rows} rows. "
                    f"CREATE INDEX {'CONCURRENTLY ' if is_plain else ''}"
                    f"{self._index_name(table.name, '_'.join(reference.columns))}ON {table.name.quoted} ({columns});",
                )

    def key_storage(self) -> Iterator[Problem]:
        """Report UUID keys that SQLite stores otherwise than Django looks for them."""
        if not backends.database(using=self.using).storage_classes:
            return
        for table, key in (
            (self.found.applications, self.tables.application_key),
            (self.found.folders, self.tables.folder_key),
        ):
            odd = rows_to_move.odd_uuids(table, self._spelling(table.name, key.column) or key.column)
            if key.is_uuid and self._any(f"{odd} LIMIT 1"):
                yield Problem(
                    "key_storage",
                    str(table.name),
                    key.column,
                    f"{table.name}.{key.column} holds UUIDs that are not stored as 32 lower-case hexadecimal digits, "
                    f"so that they cannot be found. See them with: {odd};",
                )

    def spellings(self) -> Iterator[Problem]:
        """Report references that hold keys as they are not looked for; nothing can be asked of unsuitable types."""
        if not any(self.mapped_types()):
            yield from KeyStorage(self.using, self.tables, self.found).problems()

    def _any(self, sql: str) -> bool:
        with connections[self.using].cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone() is not None


def _is_indexed(table: Table, reference: Reference) -> bool:
    if reference.condition is None:
        return bool(table.indexed_columns & set(reference.columns))
    (column,) = reference.columns
    pairs = [{column, kind} for kind in reference.condition.columns]
    return any(index[0] == column or set(index[:2]) in pairs for index in table.indexes)
