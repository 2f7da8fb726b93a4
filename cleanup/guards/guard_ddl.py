"""Put guards in place, and lift them. The behaviour is frozen: migrations rely on it.

Invariants: data that forbids a guard stops it before anything is changed. What already exists, ours or not, is left;
only objects with our names are dropped. Every step can be repeated after a failure at any point: what exists is looked
up in the catalogue, not remembered. On PostgreSQL no other session waits longer than a moment, and a session that makes
us wait too long is named.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.db import IntegrityError, connections, transaction
from django.db.migrations.recorder import MigrationRecorder

from cleanup import backends, conf
from cleanup.backends.catalogue import Catalogue, TableName
from cleanup.backends.folders import Looseness
from cleanup.backends.guards import GuardSql, InstalledGuard
from cleanup.backends.pinning import pinning, together, unpinned
from cleanup.backends.postgresql.lock_waits import Sessions, StillHeld
from cleanup.backends.query import pasteable, quote
from cleanup.exceptions import DatabaseUnusable, GuardBlocked, GuardForbidden
from cleanup.folder_tables import FolderTables, folder_tables
from cleanup.guard_names import APP_LABEL, INDEX_NAMES, INDEXES, VALIDATED_BY, Guard
from cleanup.guards.violations import incomparable, obstacle, points_bound_by, taken, told_points
from cleanup.references.key_types import looseness

_POOLED = (
    "the connection goes through a proxy that pools by transaction, and an index that is built without blocking anyone "
    "needs a session of its own. Connect to the server itself for this command."
)
_ADOPT = "Create or adopt the tables first: manage.py migrate cleanup --fake-initial"


def guard_sql_of(*, using: str) -> GuardSql:
    """Return the statements on the mapped tables of a database. Raises DatabaseUnusable if they do not exist."""
    tables = folder_tables()
    catalogue = backends.database(using=using).catalogue
    names = _guarded(tables)
    with together(using=using):
        found = catalogue.resolve_all(names)
        for name in names:
            if name not in found:
                raise DatabaseUnusable(problem=f"there is no table {name}.", remedy=_ADOPT)
        folders, files = found[tables.folder_table], found[tables.file.table] if tables.file else None
        loose = _looseness(catalogue, tables, folders=folders, files=files) if files else ""
    return backends.database(using=using).guards(tables, folders=folders, files=files, loose_files=loose)


def _guarded(tables: FolderTables) -> list[str]:
    return [tables.folder_table, *([tables.file.table] if tables.file else [])]


def _looseness(catalogue: Catalogue, tables: FolderTables, *, folders: TableName, files: TableName) -> Looseness:
    described, spelled = catalogue.describe_columns({folders, files}), catalogue.column_names({folders, files})
    # SQLite reports no columns of a view.
    key = spelled.get(folders, {}).get(catalogue.column_spelling(tables.folder_key.column))
    column = spelled.get(files, {}).get(catalogue.column_spelling(tables.file.folder if tables.file else ""))
    if key is None or column is None:
        return ""  # the query that reads the column reports that it is missing
    return looseness(described[files].column(column), described[folders].column(key), tables.folder_key)


class Enforcement:
    """The work on one database; each method is one migration operation."""

    def __init__(self, sql: GuardSql) -> None:
        self.sql = sql
        self.using = sql.session.connection.alias

    # For sqlmigrate.

    def statements(self, guard: Guard, *, backwards: bool) -> list[str]:
        """Return a guard's DDL."""
        return _shown(self.sql.drop(guard) if backwards else self.sql.make(guard))

    def supporting_statements(self, *, backwards: bool) -> list[str]:
        """Return the DDL of the supporting indexes."""
        names = self.sql.supporting()
        return _shown([self._drop_support(name) if backwards else self._create_support(name) for name in names])

    def validation_statements(self, guard: Guard) -> list[str]:
        """Return what validates a guard."""
        return _shown(self.sql.validate(guard))

    def _create_support(self, name: str) -> str:
        table, columns, unique = self.sql.supporting()[name]
        listed = ", ".join(map(quote, columns))
        return self.sql.create_index(name, table, listed, unique=unique)

    def _drop_support(self, name: str) -> str:
        return self.sql.drop_index(self.sql.supporting()[name][0], name)

    # The work.

    def refuse_unsuitable_tables(self, guard: str) -> None:
        """Raise GuardForbidden if the tables are of a kind, or have an owner, that allows no guard."""

    def refuse_blocked(self, guard: str) -> None:
        """Raise GuardBlocked if other sessions block whatever is put in place, and keep doing so."""

    def make_supporting(self) -> None:
        """Create the supporting indexes for which there is no equivalent. Raises GuardBlocked."""
        raise NotImplementedError

    def drop_supporting(self) -> None:
        """Drop the supporting indexes with our names. Raises GuardBlocked."""
        raise NotImplementedError

    def put(self, guard: Guard) -> None:
        """Put a guard in place, unless there is an equivalent. Raises GuardForbidden and GuardBlocked."""
        raise NotImplementedError

    def lift(self, guard: Guard) -> None:
        """Drop what has the guard's name. Raises GuardBlocked."""
        raise NotImplementedError

    def validate(self, guard: Guard) -> None:
        """Make the guard hold for existing rows. Raises GuardForbidden and GuardBlocked."""
        raise NotImplementedError

    def _refuse_taken(self, name: str, table: TableName, standing: InstalledGuard | None) -> None:
        """Raise GuardForbidden if an object of the host's has the name."""
        found = taken(self.sql, name, table) if standing is None or not standing.ours else None
        if found is not None:
            raise GuardForbidden(guard=name, problem=str(found), count=found.number, examples=found.examples)

    def _ours(self, guard: Guard, there: Mapping[str, InstalledGuard]) -> list[str]:
        """Return the indexes of a guard that have our names."""
        return [name for name in INDEX_NAMES[guard] if name in there and there[name].ours]

    def _ours_to_drop(self, guard: Guard, there: Mapping[str, InstalledGuard]) -> list[str]:
        """Return those that are not, or no longer, as the settings ask."""
        wanted = self.sql.unique_indexes(guard)
        return [name for name in self._ours(guard, there) if name not in wanted or not there[name].usable]

    def _refuse_forbidden(self, guard: Guard, there: Mapping[Guard, InstalledGuard] | None = None) -> None:
        found = obstacle(self.sql, guard, there=there)
        if found is not None:
            told = told_points(points_bound_by(self.sql, guard))
            problem = f"{found} {told}".strip()
            raise GuardForbidden(guard=guard, problem=problem, count=found.number, examples=found.examples)


class SqliteEnforcement(Enforcement):
    """One transaction for each step; the file has one writer, so nothing comes between the query and the DDL."""

    def make_supporting(self) -> None:
        with transaction.atomic(using=self.using):
            for name in self.sql.supporting().keys() - self.sql.support_standing().keys():
                self._refuse_taken(name, self.sql.supporting()[name][0], None)
                self.sql.session.execute(self._create_support(name))

    def drop_supporting(self) -> None:
        with transaction.atomic(using=self.using):
            for name, standing in self.sql.support_standing().items():
                if standing.ours:
                    self.sql.session.execute(self._drop_support(name))

    def put(self, guard: Guard) -> None:
        with transaction.atomic(using=self.using):
            there = self.sql.standing()
            standing = there.get(guard)
            if standing is not None and standing.usable:
                return
            self._refuse_taken(guard, self.sql.table_of(guard), standing)
            if guard not in VALIDATED_BY:
                self._refuse_forbidden(guard, there)
            if guard in INDEXES:
                self._put_indexes(guard)
                return
            if standing is not None:
                self._execute_all(self.sql.drop(guard))
            self._execute_all(self.sql.make(guard))

    def _put_indexes(self, guard: Guard) -> None:
        there = self.sql.index_standing()
        for name in self._ours_to_drop(guard, there):
            self.sql.session.execute(self.sql.drop_index(self.sql.folder_table, name))
        for name, index in self.sql.unique_indexes(guard).items():
            if name not in there or not there[name].usable:
                self._refuse_taken(name, self.sql.folder_table, there.get(name))
                self.sql.session.execute(self.sql.make_index(name, *index))

    def lift(self, guard: Guard) -> None:
        with transaction.atomic(using=self.using):
            standing = self.sql.standing().get(guard)
            if standing is None or not standing.ours:
                return
            if guard in INDEXES:
                for name in self._ours(guard, self.sql.index_standing()):
                    self.sql.session.execute(self.sql.drop_index(self.sql.folder_table, name))
            else:
                self._execute_all(self.sql.drop(guard))

    def validate(self, guard: Guard) -> None:
        self._refuse_forbidden(guard)

    def _execute_all(self, statements: list[str]) -> None:
        for statement in statements:
            self.sql.session.execute(statement)


class PostgresEnforcement(Enforcement):
    """Indexes are built concurrently, other constraints added under a lock that is waited for in short attempts."""

    def __init__(self, sql: GuardSql) -> None:
        super().__init__(sql)
        wait = conf.guard_wait().total_seconds()
        self.sessions = Sessions(sql.session, tables=sql.guarded_tables, seconds=wait)

    def make_supporting(self) -> None:
        with self._turn("supporting indexes"):
            found = self.sql.support_standing()
            for name, (table, _, _) in self.sql.supporting().items():
                standing = found.get(name)
                if standing is None or not standing.whole:
                    self._refuse_taken(name, table, standing)
                    self._build(name, table, self._create_support(name), self.sql.support_standing)

    def drop_supporting(self) -> None:
        with self._turn("supporting indexes"):
            for name, standing in self.sql.support_standing().items():
                if standing.ours:
                    self._drop_index(standing.table, name)

    def put(self, guard: Guard) -> None:
        with self._turn(guard):
            there = self.sql.standing()
            standing = there.get(guard)
            if standing is not None and standing.usable and (standing.whole or guard in VALIDATED_BY):
                return
            self._refuse_taken(guard, self.sql.table_of(guard), standing)
            if guard not in VALIDATED_BY or incomparable(self.sql, guard) is not None:
                self._refuse_forbidden(guard, there)
            if guard in INDEXES:
                self._build_indexes(guard)
                return
            statements = self.sql.make(guard)
            if standing is not None:  # a check that was added but not validated
                statements = self.sql.validate(guard) if standing.ours else statements
            for statement in statements:
                self._alter(guard, statement)

    def lift(self, guard: Guard) -> None:
        with self._turn(guard):
            standing = self.sql.standing().get(guard)
            if standing is None or not standing.ours:
                return
            if guard in INDEXES:
                for name in self._ours(guard, self.sql.index_standing()):
                    self._drop_index(standing.table, name)
            else:
                for statement in self.sql.drop(guard):
                    self._alter(guard, statement)

    def validate(self, guard: Guard) -> None:
        with self._turn(guard):
            there = self.sql.standing()
            standing = there.get(guard)
            if standing is not None and standing.whole:
                return
            self._refuse_forbidden(guard, there)
            if standing is None:
                raise GuardForbidden(
                    guard=guard, problem="it no longer exists and cannot be validated: it was dropped."
                )
            statement = self.sql.validate(guard)[0]
            if not standing.ours:
                name = quote(standing.name)
                statement = f"ALTER TABLE {self.sql.session.relation(standing.table)} VALIDATE CONSTRAINT {name}"
            self._alter(guard, statement)

    # How.

    def _build_indexes(self, guard: Guard) -> None:
        table, there = self.sql.folder_table, self.sql.index_standing()
        for name, index in self.sql.unique_indexes(guard).items():
            if name not in there or not there[name].whole:
                self._refuse_taken(name, table, there.get(name))
                self._build(name, table, self.sql.make_index(name, *index), self.sql.index_standing)
        for name in self._ours_to_drop(guard, self.sql.index_standing()):
            self._drop_index(table, name)

    @contextmanager
    def _turn(self, guard: str) -> Iterator[None]:
        self.refuse_unsuitable_tables(guard)
        # The lock and the time-outs are kept on the session, which the proxy would give to another client.
        if backends.database(using=self.using).server.pooling() == "transaction":
            raise GuardForbidden(guard=guard, problem=_POOLED)
        if not self.sessions.take_turn():
            raise GuardForbidden(guard=guard, problem="another migration of guards is running on this database.")
        try:
            with self._naming_sessions(guard):
                yield
        finally:
            self.sessions.end_turn()

    @contextmanager
    def _naming_sessions(self, guard: str) -> Iterator[None]:
        try:
            yield
        except StillHeld as held:
            raise GuardBlocked(
                guard=guard, seconds=round(self.sessions.seconds), sessions=str(held), held_by=held.sessions
            ) from held

    def refuse_blocked(self, guard: str) -> None:
        with self._naming_sessions(guard):
            self.sessions.wait_for_old_transactions(readers=True)

    def refuse_unsuitable_tables(self, guard: str) -> None:
        tables = {table.quoted: table for table in self.sql.guarded_tables}
        found = self.sql.session.fetch(
            """
            SELECT t.name, c.relkind::text, pg_has_role(c.relowner, 'USAGE')
              FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS t(name, place)
              LEFT JOIN pg_class AS c ON c.oid = to_regclass(t.name)  -- one that is gone is no ordinary table
             ORDER BY t.place
            """,
            tables=list(tables),
        )
        for name, kind, owned in found:
            table = tables[name]
            if kind != "r":
                what = "partitioned" if kind == "p" else "not an ordinary table"
                problem = f"{table} is {what}, and that cannot be done without blocking writers."
                raise GuardForbidden(guard=guard, problem=problem)
            if not owned:
                problem = f"only the owner of {table} may do that: migrate as that role."
                raise GuardForbidden(guard=guard, problem=problem)

    def _build(
        self, name: str, table: TableName, statement: str, look: Callable[[], Mapping[Any, InstalledGuard]]
    ) -> None:
        """Build an index concurrently, after dropping an invalid or outdated one of the same name.

        The existing index is looked up after the wait: an invalid index may be one that another session is building, or
        dropping.
        """
        self.sessions.wait_for_old_transactions()
        leftover = look().get(name)
        if leftover is not None and leftover.whole:
            return
        if leftover is not None and leftover.ours:
            self._drop_index(table, name)
            self.sessions.wait_for_old_transactions()
        try:
            self._execute_alone(statement)
        except IntegrityError as error:
            # An invalid unique index still refuses rows.
            self._drop_index(table, name)
            problem = "duplicates appeared while it was being built. Run the same command again."
            raise GuardForbidden(guard=name, problem=problem) from error

    def _drop_index(self, table: TableName, name: str) -> None:
        self.sessions.wait_for_old_transactions()
        self._execute_alone(self.sql.drop_index(table, name, if_exists=True))

    def _execute_alone(self, statement: str) -> None:
        """Execute a statement that cannot run in a transaction: CONCURRENTLY."""
        with unpinned(using=self.using):
            self.sql.session.execute(statement)

    def _alter(self, guard: Guard, statement: str) -> None:
        try:
            self.sessions.execute_with_retries(statement)
        except IntegrityError as error:
            problem = "rows that it forbids appeared in the meantime. Run the same command again."
            raise GuardForbidden(guard=guard, problem=problem) from error


def _shown(statements: list[str]) -> list[str]:
    """Undo the doubling of percent signs that parameters require, and terminate the statements."""
    return [f"{pasteable(statement)};" for statement in statements]


def enforcement(*, using: str) -> Enforcement:
    """Return the work on a database. Raises DatabaseUnusable."""
    sql = guard_sql_of(using=using)
    return SqliteEnforcement(sql) if sql.triggers else PostgresEnforcement(sql)


def applied_migrations(*, using: str) -> set[str]:
    """Return the names of the guards' migrations that are recorded as applied."""
    with pinning(using=using):  # avoids reading the dates, which are not needed
        applied = MigrationRecorder(connections[using]).applied_migrations()
    return {name for label, name in applied if label == APP_LABEL}


def standings(sql: GuardSql, *, applied: Collection[str]) -> dict[Guard, InstalledGuard]:
    """Return what implements each guard; only the migrations know whether triggers also hold for older rows."""
    found = sql.standing()
    if sql.triggers:
        for guard, migration in VALIDATED_BY.items():
            if guard in found and found[guard].usable and migration in applied:
                found[guard] = replace(found[guard], whole=True)
    return found


def installed(*, using: str) -> bool:
    """Return whether the mapped tables exist."""
    if not backends.supports(using=using):
        return False
    names = _guarded(folder_tables())
    return len(backends.database(using=using).catalogue.resolve_all(names)) == len(names)
