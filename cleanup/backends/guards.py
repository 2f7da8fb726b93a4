"""The guards as SQL: what forbids them, what creates them, and how to recognise an existing one.

Invariants: nothing here writes; a guard is recognised by what it does, whatever its name. Statements have no
parameters, because DDL takes none.

Note [Recognition]. A unique index is equivalent to a guard if it forbids everything that the guard forbids: its parts
are among the guard's columns and its conditions are among the guard's, or require one of its parts to be not null, and
a unique index ignores nulls anyway. Its collation does not matter, because names that are equal by code point are equal
under any. An index with our own name must match the current settings exactly; one that has a form which the guard has
under other settings is ours, but outdated. An object with our name but on other columns, or of another kind, is the
host's: it is equivalent to nothing, and is never touched.

Note [Shared folders]. Beside applications, root folders without one are trees (``CLEANUP_SHARED_FOLDERS``). A unique
index ignores nulls, and PostgreSQL 14 knows no other, so each guard against duplicates has a second index there, on the
folders without an application alone. The two are put, found and lifted as one guard.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

from cleanup import conf
from cleanup.backends.catalogue import Catalogue, TableName
from cleanup.backends.folders import FolderSql, Looseness
from cleanup.backends.forest import Scope
from cleanup.backends.pinning import together
from cleanup.backends.predicates import column_of, conditions_of, spelled
from cleanup.backends.query import Query, block, joined, quote
from cleanup.backends.session import Session
from cleanup.folder_tables import SELF, FolderTables, Ownership
from cleanup.guard_names import (
    FILES_BY_FOLDER,
    FOLDERS_BY_APPLICATION,
    FOLDERS_BY_PARENT,
    INDEX_NAMES,
    INDEXES,
    Guard,
)

K = TypeVar("K", bound=str)

#: A btree entry holds 2,704 bytes: the name, two keys and headers.
LONGEST_NAME_BYTES = 2_600


@dataclass(frozen=True, slots=True)
class InstalledGuard:
    """A guard, or a supporting index, as it is found in the database."""

    name: str
    table: TableName
    ours: bool
    """It has our name."""
    whole: bool = True
    """It is complete and holds for all rows; otherwise it is a leftover, outdated or not validated."""
    usable: bool = True
    """It is enforced for new rows, in the form that the settings ask for."""
    by_name: bool | None = None
    """Of the one against several roots, if it is enforced in either form: it allows one root of each name."""


@dataclass(frozen=True, slots=True)
class IndexFound:
    """An index of the mapped tables."""

    table: TableName
    name: str
    unique: bool
    valid: bool
    parts: tuple[str, ...]
    predicate: str | None


class GuardSql(FolderSql):
    """The facts and SQL for enforcing the guards; what differs between databases is in the subclasses."""

    catalogue: ClassVar[type[Catalogue]]

    def __init__(
        self,
        session: Session,
        tables: FolderTables,
        *,
        folders: TableName,
        files: TableName | None,
        loose_files: Looseness = "",
    ) -> None:
        super().__init__(session, tables, loose_files=loose_files)
        self.shared = tables.ownership == Ownership.SHARED
        if not tables.inherits:
            self.derived, self.owner = False, self.own
        self.parent = self.held_parent
        self.folder_table, self.file_table = folders, files
        self.folders, self.files = self.relation(folders), self.relation(files) if files else ""

    @property
    def guards(self) -> tuple[Guard, ...]:
        """The guards that the settings ask for, of those that the mapped tables can have."""
        wanted = conf.guards()
        return tuple(guard for guard in self.possible_guards if guard in wanted)

    @property
    def possible_guards(self) -> tuple[Guard, ...]:
        """The guards that the mapped tables can have."""
        left_out = set() if self.file_owner else {Guard.FILE_APPLICATION}
        if self.tables.inherits:  # a folder, and what lies in it, is of its parent's application
            left_out |= {Guard.PARENT_APPLICATION, Guard.FILE_APPLICATION}
        mark = self.tables.root_parent
        if self.tables.flat:
            left_out |= {Guard.ONE_NAME, Guard.PARENT_APPLICATION}
        if mark == SELF:
            left_out.add(Guard.OWN_PARENT)
        elif mark is not None and not self.triggers:  # a foreign key would require a folder with that key
            left_out.add(Guard.PARENT_APPLICATION)
        return tuple(guard for guard in Guard if guard not in left_out)

    @property
    def guarded_tables(self) -> tuple[TableName, ...]:
        """The tables that guards and supporting indexes belong to."""
        return (self.folder_table, *((self.file_table,) if self.file_table else ()))

    def relation(self, table: TableName) -> str:
        """Quote a table's name as DDL takes it."""
        return self.session.relation(table)

    def literal(self, value: Any) -> str:
        """Spell a value as an SQL literal."""
        if isinstance(value, bool):
            return self.truth(value)
        if isinstance(value, int | float):
            return str(value)
        escaped = str(value).replace("'", "''").replace("%", "%%")
        return f"'{escaped}'"

    def truth(self, value: bool) -> str:  # noqa: FBT001  # it is the value
        """Spell a truth value."""
        raise NotImplementedError

    # What forbids a guard.

    def offenders(self, guard: Guard) -> Query:
        """Select the key of each application, folder or file by which a guard is violated."""
        if guard in INDEXES:
            return self._duplicated(guard)
        if guard == Guard.FILE_APPLICATION:
            key, table = self._file_key, self.files
            broken = Query(self._astray(f"f.{self.file_folder}", f"f.{self.file_owner}", of_file=True))
        else:
            key, table = self.text(self.tables.folder_key, f"f.{self.folder_key}"), self.folders
            broken = self._broken(guard)
        return block("SELECT {key} AS offender FROM {table} AS f WHERE {broken}", key=key, table=table, broken=broken)

    @property
    def _file_key(self) -> str:
        """The key of file ``f`` as text."""
        return self.text(self.tables.file.key, f"f.{self.file_key}") if self.tables.file else "NULL"

    def _broken(self, guard: Guard) -> Query:
        """Test whether folder ``f`` breaks a guard by itself, or with its parent."""
        if guard == Guard.PARENT_APPLICATION:
            return Query(self._astray(self.above("f."), f"f.{self.owner}"))
        own_parent = f"f.{self.parent} = f.{self.folder_key}"
        rule = own_parent if guard == Guard.OWN_PARENT else f"{self.trimmed(f'f.{self.name}')} = ''"
        return block("{rule} AND {live}", rule=rule, live=self.live("f."))

    def _duplicated(self, guard: Guard) -> Query:
        if guard == Guard.ONE_NAME and (self.derived or self.shared):
            return self._duplicated_siblings()
        if self.derived:
            return self._duplicated_roots()
        owned = self._duplicated_of_applications(guard)
        return joined("\nUNION ALL\n", (owned, self._duplicated_shared_roots())) if self.shared else owned

    def _duplicated_of_applications(self, guard: Guard) -> Query:
        same_parent = guard == Guard.ONE_NAME
        group = [f"f.{self.parent}"] if same_parent else []
        if same_parent or self.roots_by_name:
            group.append(self.bytewise(f"f.{self.name}"))
        return self.block(
            """
            SELECT DISTINCT {application} AS offender
              FROM (SELECT f.{owner} AS application
                      FROM {folders} AS f
                     WHERE {place} AND f.{owner} IS NOT NULL AND {live}
                     GROUP BY {group}
                    HAVING count(*) > 1) AS g
            """,
            application=self.text(self.tables.application_key, "g.application"),
            place=f"{self.above('f.')} IS {'NOT ' if same_parent else ''}NULL",
            live=self.live("f."),
            group=", ".join([f"f.{self.owner}", *group]),
        )

    def _duplicated_roots(self) -> Query:
        return block(
            "WITH {live_roots} SELECT {application} AS offender FROM live_roots AS r WHERE r.surplus > 0",
            live_roots=self.live_roots(Scope()),
            application=self.text(self.tables.application_key, "r.application"),
        )

    def _duplicated_shared_roots(self) -> Query:
        """Select the trees, beside applications, that have several root folders."""
        return self.block(
            """
            SELECT {tree} AS offender
              FROM (SELECT r.application FROM ({roots}) AS r GROUP BY r.application HAVING count(*) > 1) AS g
            """,
            tree=self.text(self.tables.application_key, "g.application"),
            roots=self._roots_of_trees(Scope()),
        )

    def _duplicated_siblings(self) -> Query:
        """Select the folders with same-named folders in them, whether or not a root leads to them."""
        same = [f"f.{self.parent}", *([f"f.{self.own}"] if self.shared else []), self.bytewise(f"f.{self.name}")]
        return self.block(
            """
            SELECT DISTINCT {parent_key} AS offender
              FROM (SELECT f.{parent} AS parent
                      FROM {folders} AS f
                     WHERE {above} IS NOT NULL AND {live}
                     GROUP BY {same}
                    HAVING count(*) > 1) AS g
            """,
            parent_key=self.text(self.tables.folder_key, "g.parent"),
            above=self.above("f."),
            live=self.live("f."),
            same=", ".join(same),
        )

    def _astray(self, folder: str, owner: str, *, of_file: bool = False) -> str:
        named = self.folder_of_file(folder) if of_file else folder
        return (
            f"{folder} IS NOT NULL AND {owner} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {self.folders} AS p"
            f" WHERE p.{self.folder_key} = {named} AND p.{self.owner} = {owner})"
        )

    def too_long_names(self, guard: Guard) -> Query | None:
        """Select the folders whose names the index of a guard cannot hold, if there is such a limit."""
        return None

    # What creates a guard.

    def unique_indexes(self, guard: Guard) -> dict[str, tuple[str, str]]:
        """Return key parts and predicate (empty: none), by name, of a guard that unique indexes are."""
        live, above, of_root = [*self.live_conditions("")], self.above(""), guard == Guard.ONE_ROOT
        place = f"{above} IS {'' if of_root else 'NOT '}NULL"
        owner = [] if self.derived else [self.owner]
        if of_root:
            parts = [*map(quote, self.tables.owner_columns), *([self.indexed_name()] if self.roots_by_name else [])]
            conditions = [place, *live]
        else:
            parts = [self.parent, *owner, self.indexed_name()]
            conditions = [place, *(f"{column} IS NOT NULL" for column in owner), *live]
        name, of_shared = INDEX_NAMES[guard]
        indexes = {name: (", ".join(parts), " AND ".join(conditions))}
        if self.shared:  # see Note [Shared folders]
            parts = [*([] if of_root else [self.parent]), self.indexed_name()]
            indexes[of_shared] = (", ".join(parts), " AND ".join([place, f"{self.own} IS NULL", *live]))
        return indexes

    def indexed_name(self) -> str:
        """Return the key part that compares names by code point."""
        raise NotImplementedError

    def live_conditions(self, prefix: str) -> Iterator[str]:
        """Yield the conditions of a live folder, without parameters."""
        for column, value in (self.tables.live or {}).items():
            test = "IS NULL" if value is None else f"= {self.literal(value)}"
            yield f"{prefix}{quote(column)} {test}"

    def make(self, guard: Guard) -> list[str]:
        """Return the statements that put a guard in place from scratch."""
        if guard not in INDEXES:
            return self.make_rule(guard)
        return [self.make_index(name, *index) for name, index in self.unique_indexes(guard).items()]

    def make_index(self, name: str, parts: str, where: str) -> str:
        """Return the statement that makes one index of a guard."""
        return self.create_index(name, self.folder_table, parts, unique=True, where=where)

    def make_rule(self, guard: Guard) -> list[str]:
        """Return the statements that create a guard that is not an index."""
        raise NotImplementedError

    def validate(self, guard: Guard) -> list[str]:
        """Return the statement that makes a guard hold for existing rows, if that is a separate one."""
        return []

    def drop(self, guard: Guard) -> list[str]:
        """Return the statements that drop a guard of our own name."""
        if guard not in INDEXES:
            return self.drop_rule(guard)
        return [self.drop_index(self.folder_table, name) for name in self.unique_indexes(guard)]

    def drop_rule(self, guard: Guard) -> list[str]:
        """Return the statements that drop a guard that is not an index."""
        raise NotImplementedError

    # The supporting indexes.

    def supporting(self) -> dict[str, tuple[TableName, tuple[str, ...], bool]]:
        """Return table, columns and uniqueness of the supporting indexes, by name."""
        tables = self.tables
        indexes: dict[str, tuple[TableName, tuple[str, ...], bool]] = {
            FOLDERS_BY_PARENT: (self.folder_table, (tables.folder_parent,), False),
        }
        if tables.owner_columns:
            indexes[FOLDERS_BY_APPLICATION] = (self.folder_table, tables.owner_columns, False)
        if self.file_table and tables.file:
            indexes[FILES_BY_FOLDER] = (self.file_table, (tables.file.folder,), False)
        return indexes

    def create_index(self, name: str, table: TableName, columns: str, *, unique: bool, where: str = "") -> str:
        """Return a CREATE INDEX statement."""
        kind = "UNIQUE INDEX" if unique else "INDEX"
        what = f"{self.concurrently}{quote(name)} ON {self.relation(table)} ({columns})"
        return f"CREATE {kind} {what} WHERE {where}" if where else f"CREATE {kind} {what}"

    concurrently = ""
    triggers = False
    """Guards that are neither indexes nor foreign keys are triggers, which compare anything with anything."""

    def drop_index(self, table: TableName, name: str, *, if_exists: bool = False) -> str:
        """Return a DROP INDEX statement; an index lies in its table's schema."""
        existing = "IF EXISTS " if if_exists else ""
        return f"DROP INDEX {self.concurrently}{existing}{self.relation(TableName(table.schema, name))}"

    def support_standing(self) -> dict[str, InstalledGuard]:
        """Return the equivalent of each supporting index, if there is one."""
        found: dict[str, InstalledGuard] = {}
        indexes = self._indexes()
        for name, (table, columns, unique) in self.supporting().items():
            for index in indexes:
                # An index of our name that is not valid is left over from a build that failed.
                ours = index.name == name and self._serves(replace(index, valid=True), columns, unique=unique)
                if index.table == table and (ours or self._serves(index, columns, unique=unique)):
                    standing = InstalledGuard(
                        name=index.name, table=table, ours=ours, whole=index.valid, usable=index.valid
                    )
                    if name not in found or standing.whole > found[name].whole:
                        found[name] = standing
        return found

    def _serves(self, index: IndexFound, columns: Sequence[str], *, unique: bool) -> bool:
        parts = [column_of(part) for part in index.parts]
        if index.predicate is not None or not index.valid:
            return False
        return index.unique and set(parts) == set(columns) if unique else parts[: len(columns)] == list(columns)

    # What exists.

    def others_of_name(self, name: str, table: TableName) -> list[str]:
        """Return the host's objects with the name of a guard of ``table``, or of a supporting index."""
        raise NotImplementedError

    def table_of(self, guard: Guard) -> TableName:
        """Return the table that a guard belongs to."""
        return self.file_table if self.file_table and guard == Guard.FILE_APPLICATION else self.folder_table

    def standing(self) -> dict[Guard, InstalledGuard]:
        """Return the equivalent of each guard, if there is one; preferably one that holds for all rows."""
        with together(using=self.session.connection.alias):
            return _best(self._standings())

    def _standings(self) -> Iterator[tuple[Guard, InstalledGuard]]:
        there = self.index_standing()
        for guard in INDEXES:
            if (found := self._of_indexes(guard, there)) is not None:
                yield guard, found
        # As they are now, whatever was known about them before.
        tables, file = self.tables, self.tables.file
        columns: list[tuple[Guard, TableName, str, str | None]]
        columns = [(Guard.PARENT_APPLICATION, self.folder_table, tables.folder_parent, tables.folder_application)]
        if self.file_table and file:
            columns.append((Guard.FILE_APPLICATION, self.file_table, file.folder, file.application))
        for key in self.catalogue(self.session.connection).foreign_keys_of(self.guarded_tables):
            own_pairs = set(zip(key.columns, key.target_columns, strict=True))
            for guard, table, column, owner in columns:
                pairs = {(column, self.tables.folder_key.column), (owner, self.tables.folder_application)}
                if key.table != table or key.target != self.folder_table:
                    continue
                if guard not in self.possible_guards:  # left from other settings
                    if key.name == guard:
                        yield guard, InstalledGuard(guard, table, ours=True, whole=False, usable=False)
                elif own_pairs == pairs:
                    yield guard, InstalledGuard(key.name, table, ours=key.name == guard, whole=key.validated)
        yield from self._rules()

    def index_standing(self) -> dict[str, InstalledGuard]:
        """Return the equivalent of each index of a guard, if there is one, by the name that ours has."""
        there = [index for index in self._indexes() if index.table == self.folder_table and index.unique]
        return _best(standing for guard in INDEXES for standing in self._as_indexes(guard, there))

    def _as_indexes(self, guard: Guard, there: Sequence[IndexFound]) -> Iterator[tuple[str, InstalledGuard]]:
        wanted = self.unique_indexes(guard)
        for name in INDEX_NAMES[guard]:
            for index in there:
                if (standing := self._as_index(guard, name, wanted.get(name), index)) is not None:
                    yield name, standing

    def _of_indexes(self, guard: Guard, there: dict[str, InstalledGuard]) -> InstalledGuard | None:
        """Return the guard that its indexes are together; those that the settings do not ask for make it outdated."""
        found = {name: there[name] for name in INDEX_NAMES[guard] if name in there}
        if not found:
            return None
        usable = found.keys() == self.unique_indexes(guard).keys() and all(one.usable for one in found.values())
        whole = usable and all(one.whole for one in found.values())
        one = next((one for one in found.values() if one.ours), next(iter(found.values())))
        by_name = found[guard.value].by_name if guard.value in found else None
        return replace(one, whole=whole, usable=usable, by_name=by_name)

    def _as_index(
        self, guard: Guard, name: str, wanted: tuple[str, str] | None, index: IndexFound
    ) -> InstalledGuard | None:
        needed = conditions_of(wanted[1].replace("%%", "%")) or frozenset() if wanted else None
        parts = {column_of(part) for part in index.parts}
        conditions = conditions_of(index.predicate)
        columns = self._columns(guard, shared=name != guard)
        by_name = self.tables.folder_name in parts if guard == Guard.ONE_ROOT else None
        if index.name == name:
            enforced = conditions == needed and index.valid
            usable = enforced and parts == columns
            standing = InstalledGuard(
                name, index.table, ours=True, whole=usable, usable=usable, by_name=by_name if enforced else None
            )
            return standing if parts == columns or self._is_form(guard, parts, index.predicate) else None
        if needed is None:
            return None
        implied = {(column, "<is>", "<not>", "<null>") for column in parts if column is not None}
        covers = parts <= columns and conditions is not None and conditions <= needed | implied
        return InstalledGuard(index.name, index.table, ours=False, by_name=by_name) if covers and index.valid else None

    def _columns(self, guard: Guard, *, shared: bool) -> set[str | None]:
        """Return the columns of an index of a guard."""
        tables = self.tables
        by_name = guard == Guard.ONE_NAME or shared or self.roots_by_name
        owners = () if shared or (guard == Guard.ONE_NAME and self.derived) else tables.owner_columns
        parent = (tables.folder_parent,) if guard == Guard.ONE_NAME else ()
        return {*parent, *owners, *((tables.folder_name,) if by_name else ())}

    def _is_form(self, guard: Guard, parts: set[str | None], predicate: str | None) -> bool:
        """Return whether an index has a form that the guard has under some settings, whichever the owner's column."""
        tables = self.tables
        of_siblings = {tables.folder_parent, tables.folder_name}
        others = parts - (of_siblings if guard == Guard.ONE_NAME else {tables.folder_name})
        if len(others) > 1 or others & {None, tables.folder_key.column, tables.folder_parent}:
            return False
        if guard == Guard.ONE_NAME and not of_siblings <= parts:
            return False
        return predicate is not None and tables.folder_parent in spelled(predicate)

    def _indexes(self) -> list[IndexFound]:
        raise NotImplementedError

    def _rules(self) -> Iterator[tuple[Guard, InstalledGuard]]:
        """Yield the guards that are neither indexes nor foreign keys."""
        raise NotImplementedError


def _best(standings: Iterable[tuple[K, InstalledGuard]]) -> dict[K, InstalledGuard]:
    """Return one for each name; preferably one that holds for all rows."""
    found: dict[K, InstalledGuard] = {}
    for name, standing in standings:
        if name not in found or _rank(standing) > _rank(found[name]):
            found[name] = standing
    return found


def _rank(standing: InstalledGuard) -> tuple[bool, bool, bool]:
    return standing.whole, standing.usable, standing.ours
