"""What the fixtures do to test databases: empty them quickly, copy them, make blank ones, hand them to other processes.

An alias keeps its name whatever database stands behind it: a copy or a blank one is swapped in for one test. The
shared database's schema never changes; a test that leaves something behind in it is the one that fails.

A new session of PostgreSQL reads the catalogue again, which takes longer than most statements of a test. So the shared
database's session is not ended with each test, but made like a new one, and copies are made of a template that no one
ever visits.
"""

import contextlib
import functools
import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import psycopg
from django.db import DatabaseError, connections, transaction
from psycopg.pq import TransactionStatus

from tests import pgserver
from tests.support.failover import Failover

ALIASES = {"sqlite": "default", "postgresql": "postgresql"}

# Written by migrate, and by nothing that is tested.
STANDING = {"django_migrations", "django_content_type", "auth_permission"}

SCHEMA = {
    "sqlite": "SELECT type || ' ' || name FROM sqlite_master WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!'",
    "postgresql": """
        SELECT format('%s %s.%s', relkind, nspname, relname)
          FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
         WHERE nspname <> 'information_schema' AND NOT starts_with(nspname, 'pg_')
        UNION ALL
        SELECT format('constraint %s.%s', nspname, conname)
          FROM pg_constraint JOIN pg_namespace n ON n.oid = connamespace
         WHERE nspname <> 'information_schema' AND NOT starts_with(nspname, 'pg_')
        UNION ALL
        SELECT format('trigger %s on %s', tgname, tgrelid::regclass) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL
        SELECT format('schema %s', nspname) FROM pg_namespace
    """,
}

#: What differs after any DDL, and may differ without: all of the schema that is looked at after most tests.
VERSION = {
    "sqlite": "SELECT schema_version FROM pragma_schema_version",
    "postgresql": """
        SELECT concat_ws(' ', count(*), sum(oid::bigint), sum(xmin::text::bigint))
          FROM (SELECT oid, xmin FROM pg_class UNION ALL SELECT oid, xmin FROM pg_constraint
                UNION ALL SELECT oid, xmin FROM pg_trigger UNION ALL SELECT oid, xmin FROM pg_namespace) AS rows
         WHERE oid >= 16384  -- the first that is not PostgreSQL's own
    """,
}

Rows = dict[str, list[tuple]]
T = TypeVar("T")

_schemas: dict[str, frozenset[str]] = {}
_initial_rows: dict[str, Rows] = {}
#: By the alias: the schema's version, the tables it has then, and the one statement that reads the version and which of
#: them hold rows.
_versions: dict[str, object] = {}
_tables: dict[str, list[str]] = {}
_looks: dict[str, str] = {}
_numbers = itertools.count(1)
#: By the alias, the shared database's name, and its copy without visitors.
_templates: dict[str, tuple[str, str]] = {}
#: By the alias and what prepares it: a database that tests begin with copies of, and what came of preparing it.
_prepared: dict[tuple[str, Callable[[str], Any]], tuple[str, Any]] = {}
#: By the process, whose forks have sessions of their own, and the database's name.
_kept_sessions: dict[tuple[int, str], psycopg.Connection] = {}
#: By the process, and the server's host and port.
_maintenance_sessions: dict[tuple[int, str, str], psycopg.Connection] = {}


def schema(using: str) -> frozenset[str]:
    """Name what DDL has made in the database: tables, indexes, views, sequences, triggers, constraints, schemas."""
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute(SCHEMA[connection.vendor])
        # pg_toast and pg_temp schemas come and go with the data.
        return frozenset(name for (name,) in cursor.fetchall() if not name.startswith("schema pg_"))


def remember(using: str) -> None:
    """Note how the freshly migrated database looks, for `wipe` and `return_to_start` to return to."""
    _schemas[using] = schema(using)
    _initial_rows[using] = rows(using)
    _note_version(using)


def _note_version(using: str) -> None:
    connection = connections[using]
    _tables[using] = sorted(set(connection.introspection.table_names()) - STANDING)
    quoted = connection.ops.quote_name
    columns = [f"({VERSION[connection.vendor]})", *(f"EXISTS (SELECT 1 FROM {quoted(t)})" for t in _tables[using])]
    _looks[using] = f"SELECT {', '.join(columns)}"
    with connection.cursor() as cursor:
        cursor.execute(_looks[using])
        _versions[using] = cursor.fetchone()[0]


@contextlib.contextmanager
def template_of(using: str) -> Iterator[None]:
    """Keep a copy of the freshly migrated database, to make scratch databases of."""
    connection = connections[using]
    name = connection.settings_dict["NAME"]
    template = _copy_to_copy(using)
    _templates[using] = name, template
    if connection.vendor == "postgresql":
        connection.get_new_connection = _or_kept(connection.get_new_connection)
    try:
        yield
    finally:
        del _templates[using]
        _end_session(name)
        for alias, prepare in [key for key in _prepared if key[0] == using]:
            _drop(using, _prepared.pop((alias, prepare))[0])
        _drop(using, template)
        _end_maintenance(using)


def _copy_to_copy(using: str) -> str:
    """Copy the database behind the alias, for others to be copied from it; return the copy's name."""
    connection = connections[using]
    name = _copy(using)
    if connection.vendor == "postgresql":
        # A first visit leaves a file that each copy takes along, and from which a new session knows the catalogue.
        psycopg.connect(**{**connection.get_connection_params(), "dbname": name}).close()
    return name


def has_template(using: str) -> bool:
    """Return whether the database was migrated for the tests that were selected."""
    return using in _templates


def rows(using: str) -> Rows:
    """Return all rows, by table, for `wipe` to put back."""
    return {table: _rows_of(using, table) for table in filled_tables(using)}


def _rows_of(using: str, table: str) -> list[tuple]:
    connection = connections[using]
    # As text on PostgreSQL: a whole row goes out and in again exactly, whatever its types.
    what = "t::text" if connection.vendor == "postgresql" else "*"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {what} FROM {connection.ops.quote_name(table)} t")
        return cursor.fetchall()


def filled_tables(using: str) -> list[str]:
    """Name the tables that hold rows, less the standing ones."""
    connection = connections[using]
    tables = sorted(set(connection.introspection.table_names()) - STANDING)
    quoted = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(f"SELECT {n} WHERE EXISTS (SELECT 1 FROM {quoted(t)})" for n, t in enumerate(tables))
        )
        return [tables[number] for (number,) in cursor.fetchall()]


def wipe(using: str, *, to: Rows | None = None, keep: Collection[str] = ()) -> None:
    """Bring the rows back to where migrate left them, or to what `rows` had found: a few milliseconds.

    Tables to keep stay as they are.

    Usable within a test too, between the examples of a property.
    """
    if tables := [table for table in filled_tables(using) if table not in keep]:
        known = _initial_rows.get(using, {}) if to is None else to
        _replace(using, tables=tables, by={table: held for table, held in known.items() if table not in keep})


def _replace(using: str, *, tables: list[str], by: Rows) -> None:
    """Empty the tables and put rows back."""
    connection = connections[using]
    postgresql = connection.vendor == "postgresql"
    quoted = connection.ops.quote_name
    with connection.constraint_checks_disabled(), transaction.atomic(using=using), connection.cursor() as cursor:
        if postgresql:
            # A connection that a test forgot in a transaction is an error, not a hang.
            cursor.execute("SET LOCAL lock_timeout = '10s'")
            # Deleting a few rows takes a twentieth of what truncating takes; a replica checks no foreign keys.
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute("; ".join(f"DELETE FROM {quoted(table)}" for table in tables))
        else:
            for table in tables:
                cursor.execute(f"DELETE FROM {quoted(table)}")
        for table, known in by.items():
            for row in known:
                values = ", ".join(["%s"] * len(row))
                source = f"SELECT (%s::{quoted(table)}).*" if postgresql else f"VALUES ({values})"
                cursor.execute(f"INSERT INTO {quoted(table)} {source}", row)


def return_to_start(using: str) -> None:
    """Bring the shared database back to where migrate left it, and fail the test that changed its schema.

    One statement reads whether there was any DDL, and which tables hold rows. Only what differs is written.

    Raises:
        AssertionError: names what came and what went.

    """
    version, filled = None, []
    # A table may have gone.
    with contextlib.suppress(DatabaseError), connections[using].cursor() as cursor:
        cursor.execute(_looks[using])
        version, *holds = cursor.fetchone()
        filled = list(itertools.compress(_tables[using], holds))
    if version != _versions[using]:
        wipe(using)
        _note_version(using)
        assert_schema_unchanged(using)
        return
    known = _initial_rows[using]
    same = {table for table in filled if table in known and _rows_of(using, table) == known[table]}
    if changed := sorted({*filled, *known} - same):
        _replace(using, tables=changed, by={table: known[table] for table in changed if table in known})


def assert_schema_unchanged(using: str) -> None:
    """Fail the test that changed the shared database's schema.

    Raises:
        AssertionError: names what came and what went.

    """
    before, after = _schemas[using], schema(using)
    _schemas[using] = after  # one culprit, one failure
    assert before == after, (
        f"the shared database was changed, use scratch_database: "
        f"new {sorted(after - before)}, gone {sorted(before - after)}"
    )


def keep_session(using: str) -> None:
    """Part with the connection, and let the next one be the same session, with nothing left of what was done in it."""
    connection = connections[using]
    session = connection.connection
    if isinstance(session, psycopg.Connection) and session.info.transaction_status == TransactionStatus.IDLE:
        with contextlib.suppress(psycopg.Error):
            session.execute("DISCARD ALL")
            _end_session(connection.settings_dict["NAME"])
            _kept_sessions[os.getpid(), connection.settings_dict["NAME"]] = session
            connection.connection = None
    connection.close()


def _or_kept(get_new_connection: Callable[[dict], psycopg.Connection]) -> Callable[[dict], psycopg.Connection]:
    def get_kept_or_new_connection(parameters: dict) -> psycopg.Connection:
        session = _kept_sessions.pop((os.getpid(), parameters.get("dbname", "")), None)
        if session is not None:
            with contextlib.suppress(psycopg.Error):  # a test may have ended all sessions
                session.execute("SELECT 1")
                return session
            session.close()
        return get_new_connection(parameters)

    return get_kept_or_new_connection


def _end_session(name: str) -> None:
    if (session := _kept_sessions.pop((os.getpid(), name), None)) is not None:
        session.close()


@contextlib.contextmanager
def scratch_copy(using: str) -> Iterator[None]:
    """Put a copy of the database behind the alias, which works as the original does; of the shared one, as migrated."""
    shared, _ = _templates[using]
    of_shared = connections[using].settings_dict["NAME"] == shared
    with migrated(using) if of_shared else restored_copy(using):
        tables = _tables[using] if of_shared else connections[using].introspection.table_names()
        if "cleanup_automationstate" in tables:
            adopt(using)
        yield


def adopt(using: str) -> None:
    """Have a copy work as the original does."""
    from cleanup.services import origin  # the apps are not loaded yet where this module is

    origin.adopt(using=using, by="")


@contextlib.contextmanager
def prepared(
    using: str, prepare: Callable[[str], T], *, start: Callable[[str], contextlib.AbstractContextManager[None]]
) -> Iterator[T]:
    """Put a copy of a database behind the alias that is prepared once for all tests; yield what came of preparing it.

    ``start`` puts there what ``prepare`` begins with. The copy has not been adopted.
    """
    key = using, prepare
    if key not in _prepared:
        with start(using):
            outcome = prepare(using)
            _prepared[key] = _copy_to_copy(using), outcome
    template, outcome = _prepared[key]
    with swapped_in(using, name=_copy(using, template=template)):
        _forget_content_types()
        yield outcome


@contextlib.contextmanager
def restored_copy(using: str) -> Iterator[None]:
    """Put a copy of the migrated database behind the alias, rows and all, that has not been adopted."""
    with swapped_in(using, name=_copy(using)):
        yield


def _copy(using: str, *, template: str = "") -> str:
    """Copy the database behind the alias as it is, or a template; return the copy's name."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        return _create_postgresql_database(using, template=template or connection.settings_dict["NAME"])
    name = _sqlite_name()
    if template:
        shutil.copyfile(template, name)
    else:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [name])
    return name


@contextlib.contextmanager
def migrated(using: str) -> Iterator[None]:
    """Put a copy of the shared database as migrated behind the alias, whatever stands there now."""
    with swapped_in(using, name=_copy(using, template=_templates[using][1])):
        yield


@contextlib.contextmanager
def blank(using: str) -> Iterator[None]:
    """Put a database behind the alias in which nothing has been made yet."""
    if connections[using].vendor == "sqlite":
        name = _sqlite_name()
    else:
        name = _create_postgresql_database(using, template="template0")
    with swapped_in(using, name=name):
        yield


@contextlib.contextmanager
def restored_dump(using: str, *, binaries: Path) -> Iterator[None]:
    """Put what a dump of the database is restored to behind the alias, by the programs beside the server's."""
    dump, restore = (pgserver.find_program(name, binaries=binaries) for name in ("pg_dump", "pg_restore"))
    archive = subprocess.run([dump, "-Fc", url_of(using)], check=True, capture_output=True).stdout
    with blank(using):
        subprocess.run([restore, "--clean", "--if-exists", "-d", url_of(using)], check=True, input=archive)
        yield


@contextlib.contextmanager
def elsewhere(using: str, server: pgserver.Server | Failover) -> Iterator[None]:
    """Put the empty maintenance database of another server behind the alias."""
    connection = connections[using]
    connection.close()
    parameters = connection.settings_dict
    usual = {name: parameters[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")}
    parameters.update(NAME="postgres", USER="postgres", PASSWORD="", HOST=str(server.directory), PORT=server.port)
    try:
        yield
    finally:
        connection.close()
        _end_maintenance(using)
        parameters.update(usual)


@functools.cache
def postgresql_version() -> int:
    """Return the server's major version."""
    with psycopg.connect(os.environ["CLEANUP_TEST_POSTGRES_URL"]) as session:
        return session.info.server_version // 10_000


def url_of(using: str) -> str:
    """Return the DATABASE_URL with which another process works on the same database, as its `default`."""
    parameters = connections[using].settings_dict
    if connections[using].vendor == "sqlite":
        return f"sqlite:///{parameters['NAME']}"
    user, password, host, name = (quote(parameters[key], safe="") for key in ("USER", "PASSWORD", "HOST", "NAME"))
    port = f":{parameters['PORT']}" if parameters["PORT"] else ""
    return f"postgresql://{user}{':' if password else ''}{password}@{host}{port}/{name}"


def _sqlite_name() -> str:
    shared = Path(connections["default"].settings_dict["NAME"])
    return str(shared.with_name(f"{shared.name}-{_number()}"))


def _number() -> str:
    """Return a number of this process alone: where no shared database was made, its name is that of all workers."""
    return f"{os.getpid()}_{next(_numbers)}"


def _create_postgresql_database(using: str, *, template: str) -> str:
    connection = connections[using]
    name = f"{connection.settings_dict['NAME']}_{_number()}"
    # Copying files takes half of what writing each page to the log takes; before PostgreSQL 15 there was no choice.
    quickly = "STRATEGY file_copy" if connection.pg_version >= 150000 else ""
    if template == connection.settings_dict["NAME"]:
        connection.close()  # a template must have no visitors
        _end_session(template)
    session = _maintenance_session(using)
    session.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    session.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {quickly}')
    return name


def _maintenance_session(using: str) -> psycopg.Connection:
    """Return this process's session of the server's maintenance database, in which databases are made and dropped."""
    key = _server_of(using)
    session = _maintenance_sessions.get(key)
    if session is None or session.closed:
        session = psycopg.connect(
            **{**connections[using].get_connection_params(), "dbname": "postgres"}, autocommit=True
        )
        _maintenance_sessions[key] = session
    return session


def _end_maintenance(using: str) -> None:
    if (session := _maintenance_sessions.pop(_server_of(using), None)) is not None:
        session.close()


def _server_of(using: str) -> tuple[int, str, str]:
    parameters = connections[using].settings_dict
    return os.getpid(), parameters["HOST"], str(parameters["PORT"])


def _forget_content_types() -> None:
    """Have Django read them again: those that it has kept may have had other ids in the database that has gone."""
    from django.contrib.contenttypes.models import ContentType  # the apps are not loaded yet where this module is

    ContentType.objects.clear_cache()


@contextlib.contextmanager
def swapped_in(using: str, *, name: str) -> Iterator[None]:
    """Put the database of that name behind the alias, and remove it in the end."""
    connection = connections[using]
    # This one dictionary serves the connections of all threads.
    parameters = connection.settings_dict
    usual = parameters["NAME"]
    keep_session(using)
    parameters["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        parameters["NAME"] = usual
        _forget_content_types()
        _drop(using, name)


def _drop(using: str, name: str) -> None:
    connection = connections[using]
    _end_session(name)
    if connection.vendor == "sqlite":
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{name}{suffix}").unlink(missing_ok=True)
    else:
        _maintenance_session(using).execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
