"""What ``manage.py check --database ALIAS``, and so ``migrate``, reports before anything is created in a database.

Each message is an error with a remedy, where Django would end in a traceback or create unwanted tables.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.checks import CheckMessage
from django.db import DatabaseError, connections, router
from django.db.migrations.loader import MigrationLoader

from cleanup import backends
from cleanup.backends.catalogue import Catalogue, Table
from cleanup.backends.pinning import pinning
from cleanup.exceptions import MisconfiguredSetting
from cleanup.folder_tables import FolderTables, folder_tables
from cleanup.references.problems import ORDINARY, described_kind


def check_databases(
    *,
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001
    databases: Sequence[str] | None,
    **_: Any,
) -> list[CheckMessage]:
    """Report databases and mapped tables that cannot be used: E008 to E012."""
    try:
        tables = folder_tables()
    except MisconfiguredSetting:  # reported by the checks of settings
        return []
    found: list[CheckMessage] = []
    for using in databases or ():
        if router.allow_migrate(using, "cleanup"):
            with pinning(using=using):
                found += _of_database(using, tables)
    return found


def _of_database(using: str, tables: FolderTables) -> Iterator[CheckMessage]:
    connection = connections[using]
    if not backends.supports(using=using):
        yield checks.Error(
            f"Database {using!r} is {connection.display_name}, which the cleanup does not support.",
            hint="Use PostgreSQL 14 or newer, or SQLite, or let the router keep the app cleanup out of this database.",
            id="cleanup.E008",
        )
        return
    yield from _without_migrations(using, tables)
    database = backends.database(using=using)
    yield from _sessions(database)
    try:
        yield from _mapped_tables(database.catalogue, tables)
    except DatabaseError:  # without a connection or the privilege to read, the command itself reports it
        return


def _without_migrations(using: str, tables: FolderTables) -> Iterator[CheckMessage]:
    """Report models whose app has an empty package of migrations: migrations cannot depend on those."""
    loader = MigrationLoader(connections[using], ignore_no_migrations=True)
    with_migrations = {label for label, _ in loader.disk_migrations}
    labels = dict.fromkeys(model._meta.app_label for model in tables.models)
    for label in labels:
        if label in loader.migrated_apps and label not in with_migrations:
            yield checks.Error(
                f"App {label} has models that the cleanup is configured to use, but no migration yet.",
                hint=f"Run: manage.py makemigrations {label} (it creates no table for a model with managed = False).",
                id="cleanup.E010",
            )


def _sessions(database: backends.Database) -> Iterator[CheckMessage]:
    """Report initial settings of sessions that Django cannot work with: it does not set them itself."""
    for name, wanted, why in (
        ("DateStyle", "ISO", "Django reads no other form of dates"),
        ("IntervalStyle", "postgres", "Django reads no other form of intervals"),
        ("default_transaction_read_only", "off", "Django writes without requesting a transaction that may"),
    ):
        value = database.server.reported(name)
        if value and not value.startswith(wanted) and database.server.reported("in_hot_standby") != "on":
            connection = database.connection
            info = connection.connection.info
            role, this = map(connection.ops.quote_name, (info.user, info.dbname))
            yield checks.Error(
                f"Sessions on database {connection.alias!r} begin with {name} = {value}: {why}.",
                hint=f"Run and connect again: ALTER ROLE {role} IN DATABASE {this} SET {name} = '{wanted}';",
                id="cleanup.E012",
            )


def _mapped_tables(catalogue: Catalogue, tables: FolderTables) -> Iterator[CheckMessage]:
    spelled = tables.tables
    found = catalogue.resolve_all(spelled)
    for table in catalogue.describe(found.values()).values():
        if problem := _problem(table):
            yield checks.Error(
                f"{table.name} {problem}",
                hint="Map the table that holds the rows: name its model in CLEANUP_APPLICATION_MODEL, "
                "CLEANUP_FOLDER_MODEL or CLEANUP_FILE_MODEL, or give the table this name.",
                id="cleanup.E009",
            )
    schemas = catalogue.schemas_with(spelled) if not found else []
    if len(schemas) == 1:
        (schema,) = schemas
        yield checks.Error(
            f"The tables {', '.join(spelled)} are in schema {schema}, which is not on the search path: migrate would "
            f"create new, empty ones.",
            hint=f"To adopt them, name the schema in DATABASE_URL: ?options=-csearch_path%3D{schema},public. "
            f'Otherwise add "cleanup.E011" to SILENCED_SYSTEM_CHECKS.',
            id="cleanup.E011",
        )


def _problem(table: Table) -> str:
    if table.kind not in ORDINARY:
        return f"is a {described_kind(table)}, whose rows cannot be moved and journaled here."
    if table.inheritance_children:
        children = ", ".join(str(child) for child in table.inheritance_children)
        return f"has inheritance children ({children}), whose rows none of its keys covers."
    return ""
