"""The guards in SQLite's dialect."""

from collections.abc import Iterator, Sequence

from cleanup.backends import guards
from cleanup.backends.catalogue import TableName
from cleanup.backends.guards import IndexFound, InstalledGuard
from cleanup.backends.predicates import predicate_of
from cleanup.backends.query import quote, quoted
from cleanup.backends.sqlite.catalogue import Catalogue
from cleanup.backends.sqlite.folders import FolderSql
from cleanup.guard_names import INDEXES, TRIGGER_ENDINGS, TRIGGERS, VALIDATED_BY, Guard

_INDEXES = """
SELECT m.name, l.name, l."unique", x.name, x.coll, i.sql
  FROM sqlite_master AS m JOIN pragma_index_list(m.name) AS l JOIN pragma_index_xinfo(l.name) AS x
  LEFT JOIN sqlite_master AS i ON i.type = 'index' AND i.name = l.name
 WHERE m.type = 'table' AND x."key" = 1 AND m.name IN (%(folders)s, %(files)s) ORDER BY m.name, l.name, x.seqno
"""


class GuardSql(FolderSql, guards.GuardSql):
    """SQLite's dialect: guards that are not indexes are triggers, because constraints mean rebuilding the table."""

    catalogue = Catalogue
    triggers = True

    def truth(self, value: bool) -> str:  # noqa: FBT001  # it is the value
        return str(int(value))

    def relation(self, table: TableName) -> str:
        # Within CREATE TRIGGER and after ON, a table has no schema.
        return quote(table.name)

    def indexed_name(self) -> str:
        return f"{self.name} COLLATE BINARY"

    def make_rule(self, guard: Guard) -> list[str]:
        return list(self._triggers(guard).values())

    def drop_rule(self, guard: Guard) -> list[str]:
        kept = set(self._of_host(guard))
        return [f"DROP TRIGGER IF EXISTS {quote(name)}" for name in self._triggers(guard).keys() - kept]

    def others_of_name(self, name: str, table: TableName) -> list[str]:  # names are unique in the whole file
        found = self.session.fetch("SELECT coalesce(sql, name) FROM sqlite_master WHERE name = %(name)s", name=name)
        return [*(row[0] for row in found), *(self._of_host(Guard(name)).values() if name in set(Guard) else ())]

    def _of_host(self, guard: Guard) -> dict[str, str]:
        """Return the triggers that have the guard's names but do not do what it does, with their SQL."""
        if guard in INDEXES:
            return {}
        ours, there = self._triggers(guard), self._there()
        return {name: there[name] for name in ours if name in there and _raises(guard) not in there[name]}

    def _there(self) -> dict[str, str]:
        return dict(self.session.fetch("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))

    # Note [Triggers]. They fire after the row, and look at both ends, so that rows of one statement may come in any
    # order: a folder before its parent, when removed folders are restored.

    def _triggers(self, guard: Guard) -> dict[str, str]:
        key, parent, owner = self.folder_key, self.parent, self.owner
        if guard == Guard.PARENT_APPLICATION:
            broken = f"{self._other_folder(parent, owner)} OR {self._stray(self.folders, parent, owner)}"
            return self._pair(guard, "", self.folders, (key, parent, owner), broken)
        if guard == Guard.FILE_APPLICATION:
            folder, file_owner = self.file_folder, self.file_owner
            of_file = self._other_folder(folder, file_owner, named=self.folder_of_file(f"NEW.{folder}"))
            own = self._pair(guard, "", self.files, (folder, file_owner), of_file)
            broken = self._stray(self.files, folder, file_owner, named=self.folder_of_file(f"c.{folder}"))
            return own | self._pair(guard, "_folder", self.folders, (key, owner), broken)
        live = "".join(f" AND {condition}" for condition in self.live_conditions("NEW."))
        of_live = [quote(column) for column in self.tables.live or {}]
        if guard == Guard.OWN_PARENT:
            return self._pair(guard, "", self.folders, (key, parent, *of_live), f"NEW.{parent} = NEW.{key}{live}")
        broken = f"{self.trimmed(f'NEW.{self.name}')} = ''{live}"
        return self._pair(guard, "", self.folders, (self.name, *of_live), broken)

    def _other_folder(self, column: str, owner: str, *, named: str = "") -> str:
        """Test whether the new row's folder is another application's."""
        return (
            f"(NEW.{owner} IS NOT NULL AND EXISTS (SELECT 1 FROM {self.folders} AS p"
            f" WHERE p.{self.folder_key} = {named or f'NEW.{column}'} AND p.{self.owner} IS NOT NEW.{owner}))"
        )

    def _stray(self, table: str, column: str, owner: str, *, named: str = "") -> str:
        """Test whether rows in the new folder are another application's."""
        return (
            f"EXISTS (SELECT 1 FROM {table} AS c WHERE {named or f'c.{column}'} = NEW.{self.folder_key}"
            f" AND c.{owner} IS NOT NULL AND c.{owner} IS NOT NEW.{self.owner})"
        )

    def _pair(self, guard: Guard, what: str, table: str, columns: Sequence[str], broken: str) -> dict[str, str]:
        found = {}
        for event, of in (("insert", ""), ("update", f" OF {', '.join(dict.fromkeys(columns))}")):
            name = f"{guard}{what}_{event}"
            found[name] = (
                f"CREATE TRIGGER {quote(name)} AFTER {event.upper()}{of} ON {table}"
                f" WHEN {broken} BEGIN SELECT {_raises(guard)}; END"
            )
        return found

    def _indexes(self) -> list[IndexFound]:
        indexes: dict[tuple[str, str], IndexFound] = {}
        for table, name, unique, column, _, sql in self.session.fetch(
            _INDEXES, folders=self.folder_table.name, files=self.file_table.name if self.file_table else None
        ):
            before = indexes.get((table, name))
            parts = (*(before.parts if before else ()), quoted(column) if column else "")
            predicate = predicate_of(sql or "")
            indexes[table, name] = IndexFound(
                TableName("", table), name, bool(unique), valid=True, parts=parts, predicate=predicate
            )
        return list(indexes.values())

    def _rules(self) -> Iterator[tuple[Guard, InstalledGuard]]:
        there = self._there()
        if not TRIGGERS & set(there):
            return
        for guard in TRIGGER_ENDINGS:
            wanted = {name: sql.replace("%%", "%") for name, sql in self._triggers(guard).items()}
            if any(_raises(guard) in there.get(name, "") for name in wanted):
                # Left from other settings, if the tables cannot have it.
                same = guard in self.possible_guards and all(there.get(name) == sql for name, sql in wanted.items())
                # Nothing in the catalogue shows that older rows were checked.
                whole = same and guard not in VALIDATED_BY
                yield guard, InstalledGuard(guard, self.folder_table, ours=True, whole=whole, usable=same)


def _raises(guard: Guard) -> str:
    """Return what all triggers of a guard do, and no others."""
    return f"RAISE(ABORT, '{guard}')"
