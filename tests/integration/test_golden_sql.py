"""The very text of the statements that matter, for people who want to review them: sql/*.sql beside this file.

A plain case, and one with everything: a key of several columns, rows that collide, triggers of the host that fire.
``pytest tests/integration/test_golden_sql.py --rewrite-golden`` writes the files again; look at the difference.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlparse
from django.db import connections

from cleanup import backends
from cleanup.backends.merging import Merging
from cleanup.backends.postgresql.merging import Merging as PostgresMerging
from cleanup.backends.postgresql.undoing import Undoing as PostgresUndoing
from cleanup.backends.sqlite import merging as sqlite_merging
from cleanup.backends.sqlite import undoing as sqlite_undoing
from cleanup.backends.undoing import Undoing
from cleanup.services import DatabaseCleanupService
from tests.support import undo_scripts
from tests.support.model_roles import Folder
from tests.support.trees import execute, is_postgresql, raw, tree

pytestmark = pytest.mark.mapped_models("the statements name their tables")

FILES = Path(__file__).parent / "sql"

#: What stands above a statement in its file: what the function says that makes it.
HEADERS = {
    ("move", "postgresql"): PostgresMerging._moves,
    ("remove", "postgresql"): PostgresMerging._removal,
    ("restore_moves", "postgresql"): PostgresUndoing._moves_back,
    ("restore_rows", "postgresql"): PostgresUndoing._images_back,
    ("move", "sqlite"): sqlite_merging,
    ("remove", "sqlite"): sqlite_merging,
    ("restore_moves", "sqlite"): sqlite_undoing,
    ("restore_rows", "sqlite"): sqlite_undoing,
}


@contextmanager
def recorded(using: str) -> Iterator[list[str]]:
    """Give a list to which every statement with parameters comes as it is sent."""
    statements: list[str] = []

    def note(send, sql, params, many, context):
        statements.append(sql)
        return send(sql, params, many, context)

    with connections[using].execute_wrapper(note):
        yield statements


class Recorder:
    """The statements of a room's method, by the table that it is first called for."""

    def __init__(self, using: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.using = using
        self.monkeypatch = monkeypatch
        self.found: dict[tuple[str, str], list[str]] = {}

    def listen(self, room: Merging | Undoing, method: str, table_of: Callable[..., str]) -> None:
        """Note what a method sends from now on."""
        original = getattr(type(room), method)

        def noting(own, *args, **options):
            with recorded(self.using) as statements:
                done = original(own, *args, **options)
            self.found.setdefault((method, table_of(*args)), statements)
            return done

        self.monkeypatch.setattr(type(room), method, noting)

    def sent(self, method: str, table: str) -> list[str]:
        """Return what was sent, but for what limits how long to wait, which depends on the time."""
        return [statement for statement in self.found[method, table] if "set_config" not in statement]


@pytest.fixture
def recorder(scratch_database, monkeypatch) -> Recorder:
    recorder = Recorder(scratch_database, monkeypatch)
    database = backends.database(using=scratch_database)
    recorder.listen(database.merging, "move", lambda targets: targets[0].table.name.name)
    recorder.listen(database.merging, "remove", lambda table, *_: table.name.name)
    recorder.listen(database.undoing, "restore_moved", lambda targets: targets[0].table.name.name)
    recorder.listen(database.undoing, "restore_images", lambda images: images.table.name.name)
    return recorder


@pytest.fixture
def compare(request, scratch_database) -> Callable[[str, list[str]], None]:
    """Return what compares statements with a file, or writes it."""

    def compare(name: str, statements: list[str]) -> None:
        vendor = "postgresql" if is_postgresql(scratch_database) else "sqlite"
        file = FILES / f"{name}.{vendor}.sql"
        text = "".join(f"{readable(statement)};\n\n" for statement in statements).strip() + "\n"
        if describes := HEADERS.get((name.removesuffix("_with_everything"), vendor)):
            header = "".join(f"-- {line}".rstrip() + "\n" for line in inspect.getdoc(describes).splitlines())
            text = f"{header}\n{text}"
        if request.config.getoption("rewrite_golden"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        assert file.read_text() == text, f"{file.name} is not what is sent: see --rewrite-golden"

    return compare


def readable(statement: str) -> str:
    """Return a statement of ours as it is, and one that Django made with its clauses on lines of their own."""
    return statement if "\n" in statement.strip() else sqlparse.format(statement, reindent=True)


def test_of_a_plain_case(scratch_database, recorder, compare):
    tree(scratch_database, "Loan*2/Docs(2)")
    service = DatabaseCleanupService(using=scratch_database)
    with recorded(scratch_database) as all_statements:
        run = service.cleanup_all_duplicate_folders().run_id
    claimed = next(
        number for number, text in enumerate(all_statements) if re.match('UPDATE "cleanup_result" SET "status"', text)
    )
    compare("claim", all_statements[claimed - 1 : claimed + 1])
    compare("move", recorder.sent("move", "files"))
    compare("remove", recorder.sent("remove", "folders"))
    with recorded(scratch_database) as all_statements:
        service.verify_cleanup_integrity()
    passes = ("SELECT 'several_roots'", "SELECT 'missing_parent'", "SELECT 'file_of_missing_folder'")
    compare("verify", [text for text in all_statements if any(code in text for code in passes)])
    service.rollback_cleanup(run)
    compare("restore_rows", recorder.sent("restore_images", "folders"))
    compare("restore_moves", recorder.sent("restore_moved", "files"))


def test_of_an_undo_as_a_script(scratch_database, compare):
    made = tree(scratch_database, "Loan/Docs(1), Loan/{Docs(1), Mail}")
    point = DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders(made.application).rollback_id
    compare("undo_script", [without_chance(undo_scripts.export(scratch_database, point)).rstrip(";\n")])


def without_chance(script: str) -> str:
    """Return a script without what differs from run to run: keys, times, checksums, numbers of rows in the journal."""
    keys = dict.fromkeys(re.findall(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b", script))
    for number, key in enumerate(keys, 1):
        script = script.replace(key, f"<{number}>")
    script = re.sub(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d\+00:00)?(?= UTC|\.$)", "<time>", script, flags=re.MULTILINE)
    script = re.sub(r"(?<=ANY\('\{)\d+(?=\}'\))", "1", script)
    return re.sub(r"(?<=cleanup_snapshotrow VALUES \()\d+, \d+", "1, 1", script)


def test_of_a_repair(scratch_database, compare):
    loan, other = tree(scratch_database, "Loan/{lost:Docs(1)/Old(1), Photos}"), tree(scratch_database, "Loan")
    root = Folder.objects.using(scratch_database).get(application=other.application)
    Folder.objects.using(scratch_database).filter(pk=loan["lost"]).update(parent=root)
    service = DatabaseCleanupService(using=scratch_database)
    with recorded(scratch_database) as statements:
        run = service.repair("foreign_parent").run_id
    parts = ("SELECT object, application, target", 'f."application_id" IS NOT NULL AND f."folder_id"', "'inserted'")
    compare("repair", [next(text for text in statements if part in text) for part in parts])
    with recorded(scratch_database) as statements:
        service.rollback_cleanup(run)
    compare("undo_of_a_made_folder", [text for text in statements if "'inserted'" in text])


def test_with_everything(scratch_database, recorder, compare, settings):
    settings.CLEANUP_TRIGGERS = "fire"
    key = "uuid" if is_postgresql(scratch_database) else "char(32)"
    execute(
        scratch_database,
        f"CREATE TABLE labels (folder {key} NOT NULL REFERENCES folders (id), name text NOT NULL, shade integer,"
        " PRIMARY KEY (folder, name), UNIQUE (folder, shade))",
    )
    made = tree(scratch_database, "older:Loan, younger:Loan")
    for folder, name, shade in (("older", "red", 1), ("younger", "red", 1), ("younger", "blue", 2)):
        execute(
            scratch_database,
            "INSERT INTO labels (folder, name, shade) VALUES (%s, %s, %s)",
            *(raw(scratch_database, made[folder]), name, shade),
        )
    if is_postgresql(scratch_database):
        execute(
            scratch_database,
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        )
        execute(scratch_database, "CREATE TRIGGER kept BEFORE UPDATE ON labels FOR EACH ROW EXECUTE FUNCTION keep()")
    else:
        execute(scratch_database, "CREATE TRIGGER kept AFTER UPDATE ON labels BEGIN SELECT 1; END")
    service = DatabaseCleanupService(using=scratch_database)
    run = service.cleanup_all_duplicate_folders().run_id
    compare("remove_with_everything", recorder.sent("remove", "labels"))
    compare("move_with_everything", recorder.sent("move", "labels"))
    service.rollback_cleanup(run)
    compare("restore_rows_with_everything", recorder.sent("restore_images", "labels"))
    compare("restore_moves_with_everything", recorder.sent("restore_moved", "labels"))
