"""The guards in PostgreSQL's dialect."""

from collections.abc import Iterator
from functools import cached_property

from cleanup.backends import guards
from cleanup.backends.catalogue import TableName
from cleanup.backends.folders import BLANKS
from cleanup.backends.guards import LONGEST_NAME_BYTES, IndexFound, InstalledGuard
from cleanup.backends.postgresql.catalogue import Catalogue
from cleanup.backends.postgresql.folders import FolderSql
from cleanup.backends.predicates import spelled
from cleanup.backends.query import Query, quote
from cleanup.guard_names import FOLDER_KEY, INDEXES, Guard

_INDEXES = """
SELECT tn.nspname::text, t.relname::text, c.relname::text, i.indisunique, i.indisvalid AND i.indisready,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, place, true) FROM generate_series(1, i.indnkeyatts) AS place
              ORDER BY place), pg_get_expr(i.indpred, i.indrelid)
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_class AS t ON t.oid = i.indrelid JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
 WHERE i.indrelid IN (to_regclass(%(folders)s), to_regclass(%(files)s)) AND NOT i.indisexclusion AND i.indislive
 ORDER BY 1, 2, 3
"""

_CHECKS = """
SELECT k.conname::text, k.convalidated, pg_get_expr(k.conbin, k.conrelid),
       ARRAY(SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey))
  FROM pg_constraint AS k
 WHERE k.conrelid = to_regclass(%(folders)s) AND k.contype = 'c'
 ORDER BY 1
"""

_CONSTRAINT_OF_NAME = """
SELECT format('%%s: %%s', k.conrelid::regclass, pg_get_constraintdef(k.oid))
  FROM pg_constraint AS k
 WHERE k.conrelid = to_regclass(%(table)s) AND k.conname = %(name)s
"""

_RELATION_OF_NAME = """
SELECT coalesce(pg_get_indexdef(i.indexrelid), c.oid::regclass::text)
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
 WHERE n.nspname = %(schema)s AND c.relname = %(name)s
"""


class GuardSql(FolderSql, guards.GuardSql):
    """PostgreSQL's dialect."""

    catalogue = Catalogue
    concurrently = "CONCURRENTLY "

    def truth(self, value: bool) -> str:  # noqa: FBT001  # it is the value
        return str(value).lower()

    def too_long_names(self, guard: Guard) -> Query | None:
        if guard not in INDEXES or not (guard == Guard.ONE_NAME or self.roots_by_name or self.shared):
            return None
        owned = "" if self.derived or self.shared else f"AND f.{self.owner} IS NOT NULL"
        if guard == Guard.ONE_ROOT and self.shared and not self.roots_by_name:
            owned = f"AND f.{self.owner} IS NULL"  # names are in the index of shared folders alone
        return self.block(
            """
            SELECT {key} AS offender
              FROM {folders} AS f
             WHERE {place} AND {live}
               {owned}
               AND octet_length(f.{name}::text) > {longest}
            """,
            key=self.text(self.tables.folder_key, f"f.{self.folder_key}"),
            place=f"{self.above('f.')} IS {'NOT ' if guard == Guard.ONE_NAME else ''}NULL",
            owned=owned,
            longest=LONGEST_NAME_BYTES,
            live=self.live("f."),
        )

    def trimmed(self, expression: str) -> str:
        ((encoding,),) = self.session.fetch("SELECT current_setting('server_encoding')")
        blanks = BLANKS if encoding == "UTF8" else "".join(filter(str.isascii, BLANKS))
        escaped = "".join(f"\\u{ord(blank):04X}" for blank in blanks)
        return f"btrim({expression}::text, E'{escaped}')"

    def indexed_name(self) -> str:
        # As text, because citext ignores the collation.
        return f'({self.name}::text) COLLATE "C"' if self._name_type == "citext" else f'{self.name} COLLATE "C"'

    @cached_property
    def _name_type(self) -> str:
        """The type of the names' column, which every look at the guards asks for."""
        ((kind,),) = self.session.fetch(
            """
            SELECT t.typname::text
              FROM pg_attribute AS a
              JOIN pg_type AS t ON t.oid = a.atttypid
             WHERE a.attrelid = to_regclass(%(table)s) AND a.attname = %(column)s
            """,
            table=self.folder_table.quoted,
            column=self.tables.folder_name,
        )
        return str(kind)

    def supporting(self) -> dict[str, tuple[TableName, tuple[str, ...], bool]]:
        tables = self.tables
        # What the composite foreign keys refer to.
        key = (self.folder_table, (tables.folder_key.column, *tables.owner_columns), True)
        return super().supporting() if tables.inherits else {FOLDER_KEY: key, **super().supporting()}

    def make_rule(self, guard: Guard) -> list[str]:
        name = quote(guard)
        if guard in (Guard.PARENT_APPLICATION, Guard.FILE_APPLICATION):
            of_folder = (self.folders, self.parent, self.owner)
            of_file = (self.files, self.file_folder, self.file_owner)
            table, column, owner = of_folder if guard == Guard.PARENT_APPLICATION else of_file
            key = f"FOREIGN KEY ({column}, {owner}) REFERENCES {self.folders} ({self.folder_key}, {self.owner})"
            return [f"ALTER TABLE {table} ADD CONSTRAINT {name} {key} DEFERRABLE INITIALLY DEFERRED NOT VALID"]
        is_other = f"{self.parent} <> {self.folder_key}"
        rule = is_other if guard == Guard.OWN_PARENT else f"{self.trimmed(self.name)} <> ''"
        live = " AND ".join(self.live_conditions(""))
        rule = f"{rule} OR NOT ({live})" if live else rule
        return [f"ALTER TABLE {self.folders} ADD CONSTRAINT {name} CHECK ({rule}) NOT VALID", *self.validate(guard)]

    def validate(self, guard: Guard) -> list[str]:
        table = self.relation(self.table_of(guard))
        return [f"ALTER TABLE {table} VALIDATE CONSTRAINT {quote(guard)}"]

    def drop_rule(self, guard: Guard) -> list[str]:
        table = self.relation(self.table_of(guard))
        return [f"ALTER TABLE {table} DROP CONSTRAINT {quote(guard)}"]

    def _indexes(self) -> list[IndexFound]:
        return [
            IndexFound(TableName(schema, table), name, unique, valid, tuple(parts), predicate)
            for schema, table, name, unique, valid, parts, predicate in self.session.fetch(
                _INDEXES, folders=self.folder_table.quoted, files=self.file_table.quoted if self.file_table else None
            )
        ]

    def _rules(self) -> Iterator[tuple[Guard, InstalledGuard]]:
        parent, key = self.tables.folder_parent, self.tables.folder_key.column
        for name, validated, expression, columns in self.session.fetch(_CHECKS, folders=self.folder_table.quoted):
            if name in (Guard.OWN_PARENT, Guard.BLANK_NAME):
                about = {parent, key} if name == Guard.OWN_PARENT else {self.tables.folder_name}
                if about <= set(columns):
                    yield Guard(name), InstalledGuard(name, self.folder_table, ours=True, whole=validated)
            elif tuple(spelled(expression)) in ((parent, "<>", key), (key, "<>", parent)):
                yield Guard.OWN_PARENT, InstalledGuard(name, self.folder_table, ours=False, whole=validated)

    def others_of_name(self, name: str, table: TableName) -> list[str]:
        if name in (Guard.PARENT_APPLICATION, Guard.FILE_APPLICATION, Guard.OWN_PARENT, Guard.BLANK_NAME):
            found = self.session.fetch(_CONSTRAINT_OF_NAME, table=table.quoted, name=name)
        else:
            found = self.session.fetch(_RELATION_OF_NAME, schema=table.schema, name=name)
        return [described for (described,) in found]
