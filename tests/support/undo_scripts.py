"""Undo scripts, run by the database's own shell alone."""

import shutil
import sqlite3
import subprocess
from contextlib import closing

from django.db import connections

from cleanup.services import DatabaseCleanupService
from tests.support import databases, psql


class ScriptFailedError(Exception):
    """The shell ended with an error; its text is all that the shell said."""


def export(database: str, rollback_id: object) -> str:
    """Return the script."""
    pieces: list[str] = []
    DatabaseCleanupService(using=database).export_undo(rollback_id, write=pieces.append)
    return "".join(pieces)


def run(database: str, script: str) -> str:
    """Run a script as people do, and return what it shows. Raises ScriptFailedError."""
    connection = connections[database]
    connection.close()
    if connection.vendor == "postgresql":
        return _told([str(psql.find()), "-X", databases.url_of(database)], script)
    name = str(connection.settings_dict["NAME"])
    shell = shutil.which("sqlite3")
    return _told([shell, name], script) if shell else _by_python(name, script)


def _told(command: list[str], script: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, input=script)
    if done.returncode:
        raise ScriptFailedError(done.stdout + done.stderr)
    assert done.stderr == ""
    return done.stdout


def _by_python(name: str, script: str) -> str:
    """Do what SQLite's shell does: one statement after the other, up to the first error."""
    shown: list[str] = []
    statement = ""
    with closing(sqlite3.connect(name, isolation_level=None)) as connection:
        for line in script.splitlines(keepends=True):
            if line.startswith("."):  # for the shell itself
                continue
            statement += line
            if sqlite3.complete_statement(statement):
                try:
                    shown += [" | ".join(map(str, row)) for row in connection.execute(statement)]
                except sqlite3.Error as error:
                    raise ScriptFailedError("\n".join([*shown, str(error)])) from error
                statement = ""
    return "\n".join(shown)


def uninstall(database: str) -> None:
    """Drop the product's own tables."""
    connection = connections[database]
    tables = [name for name in connection.introspection.table_names() if name.startswith("cleanup_")]
    cascade = " CASCADE" if connection.vendor == "postgresql" else ""
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"DROP TABLE {connection.ops.quote_name(table)}{cascade}")
