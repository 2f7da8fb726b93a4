"""The audit, run by psql alone, tells a cleanup that loses nothing from changes that lose something."""

import subprocess
from collections.abc import Callable
from importlib import resources

import pytest
from django.contrib.contenttypes.models import ContentType

from cleanup.services import DatabaseCleanupService
from tests.hostapp.models import Bookmark, Cover, Note, Tag
from tests.support import databases, psql
from tests.support.trees import Tree, execute, fetch, tree

pytestmark = pytest.mark.only("postgresql")

AUDIT = resources.files("cleanup") / "sql" / "audit.sql"
GENERIC = "public.hostapp_note.object_id"


def audit(database: str, **variables: str) -> list[str]:
    """Return the lines, of a process that knows nothing of Django."""
    options = [part for name, value in variables.items() for part in ("-v", f"{name}={value}")]
    command = [psql.find(), "-X", *options, "-f", str(AUDIT), databases.url_of(database)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def promised(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("same")]


def rows(lines: list[str], what: str) -> int:
    (line,) = [line for line in lines if line.split(" | ")[1] == what]
    return int(line.split(" | ")[2])


@pytest.fixture
def loan(database) -> Tree:
    """An application whose removed folders have something of every kind pointing at them."""
    loan = tree(
        database, "stays:Loan/one:Docs(a.pdf, b.pdf), goes:Loan/{two:Docs(b.pdf)/Old(1), Docs(1), Photos}, Archive/Docs"
    )
    tree(database, "Loan/Docs(1)")
    execute(database, "INSERT INTO files SELECT gen_random_uuid(), 'lost', 'lost', NULL, '/lost', 7, 'x/y' FROM files")
    Bookmark._base_manager.using(database).create(folder_id=loan["two"])
    Cover.objects.using(database).create(folder_id=loan["goes"], picture="front.png")
    both = Tag.objects.using(database).create(label="urgent")
    both.folders.add(loan["one"], loan["two"])
    kind = ContentType.objects.db_manager(database).get(app_label="cleanup", model="folder")
    Note.objects.using(database).create(content_type=kind, object_id=loan["two"], text="call back")
    return loan


class TestACleanup:
    def test_changes_no_line_that_may_not_change(self, loan, database):
        before = audit(database, unkeyed=GENERIC)
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        after = audit(database, unkeyed=GENERIC)
        assert promised(after) == promised(before)
        assert len(promised(after)) > 12

    def test_leaves_no_duplicate_and_no_row_behind(self, loan, database):
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        lines = audit(database, unkeyed=GENERIC)
        assert rows(lines, "root folders beyond the first of their application") == 0
        assert rows(lines, "same-named folders beyond the first of their parent") == 0
        assert {line.split(" | ")[2] for line in lines if line.startswith("never more")} == {"0"}

    def test_changes_no_line_once_it_is_rolled_back(self, loan, database):
        before = audit(database, unkeyed=GENERIC)
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert audit(database, unkeyed=GENERIC) != before
        DatabaseCleanupService(using=database).rollback_cleanup(report.run_id)
        assert audit(database, unkeyed=GENERIC) == before


LOSSES = {
    "a file that is gone": "DELETE FROM files WHERE filename = 'a.pdf'",
    "a file with another name": "UPDATE files SET display_name = 'other' WHERE filename = 'a.pdf'",
    "a file that is filed no more": "UPDATE files SET folder_id = NULL WHERE filename = 'a.pdf'",
    "a file in a folder of another name": (
        "UPDATE files SET folder_id = (SELECT id FROM folders WHERE name = 'Photos') WHERE filename = 'a.pdf'"
    ),
    "a file of another application": (
        "UPDATE files SET application_id = (SELECT max(id::text)::uuid FROM customer_applications)"
        " WHERE filename = 'a.pdf'"
    ),
    "two files that changed places": (
        "UPDATE files SET folder_id = (SELECT max(folder_id::text)::uuid FROM files AS f WHERE f.id <> files.id)"
    ),
    "an empty folder that nothing stands for": "DELETE FROM folders WHERE name = 'Photos'",
    "a row of another table": "DELETE FROM hostapp_bookmark",
    "a cell of another table": "UPDATE hostapp_cover SET picture = 'back.png'",
    "a pair of many to many": "DELETE FROM hostapp_tag_folders",
    "a row that points elsewhere without a foreign key": "UPDATE hostapp_note SET object_id = gen_random_uuid()::text",
}


class TestALoss:
    @pytest.mark.parametrize("statement", LOSSES.values(), ids=LOSSES)
    def test_changes_a_line_that_may_not_change(self, statement, loan, database):
        before = audit(database, unkeyed=GENERIC)
        execute(database, statement)
        assert promised(audit(database, unkeyed=GENERIC)) != promised(before)

    def test_shows_where_a_table_dangles(self, loan, database):
        execute(database, "UPDATE hostapp_note SET object_id = gen_random_uuid()::text")
        assert rows(audit(database, unkeyed=GENERIC), "hostapp_note.object_id of a missing folder") == 1


class TestTheAudit:
    def test_writes_nothing(self, loan, database):
        written = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables WHERE schemaname = 'public'"
        before = fetch(database, written)
        audit(database)
        assert fetch(database, written) == before

    def test_counts_files_as_other_rows_where_none_are_mapped(self, loan, database):
        before = audit(database, files="", unkeyed=GENERIC)
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        after = audit(database, files="", unkeyed=GENERIC)
        assert promised(after) == promised(before)
        assert rows(after, "files.folder_id, each in its place") == 6
        assert not [line for line in after if line.split(" | ")[1].startswith("files,")]

    def test_leaves_out_the_application_of_files_that_tell_none(self, loan, database):
        told, untold = audit(database), audit(database, file_application="")
        assert [line for line in told if line not in untold] == [
            line for line in told if line.split(" | ")[1] == "files, each in its application"
        ]

    def test_knows_roots_without_a_null_parent(self, loan, database, settings):
        settings.CLEANUP_ROOT_PARENT = "self"
        plain = audit(database)
        execute(database, "UPDATE folders SET parent_id = id WHERE parent_id IS NULL")
        before = audit(database, root="parent_id = id")
        may_differ = [line for line in plain if not line.startswith("may differ | folders |")]
        assert [line for line in before if not line.startswith("may differ | folders |")] == may_differ
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert promised(audit(database, root="parent_id = id")) == promised(before)

    def test_takes_other_names(self, blank_database, adopt: Callable[[str], None]):
        adopt(blank_database)
        lines = audit(
            blank_database,
            applications="owner.cases",
            application_key="number",
            folders='owner."Sections"',
            folder_key="number",
            folder_parent="inside",
            folder_application="of case",
            folder_name="title",
            files="owner.papers",
            file_key="number",
            file_folder="section",
            file_application="case",
            live="deleted_at IS NULL",
        )
        assert rows(lines, "files, all columns but the folder") == 2
        assert rows(lines, "root folders beyond the first of their application") == 1
        assert not [line for line in lines if "bytes" in line]

    @pytest.fixture
    def adopt(self) -> Callable[[str], None]:
        """Make the tables of another program, with names that need quoting, numbers for keys, and a trash."""

        def make(database: str) -> None:
            execute(database, "CREATE SCHEMA owner")
            execute(database, "CREATE TABLE owner.cases (number int PRIMARY KEY)")
            execute(
                database,
                'CREATE TABLE owner."Sections" (number int PRIMARY KEY, title text, inside int, "of case" int,'
                " deleted_at date)",
            )
            execute(database, 'CREATE TABLE owner.papers (number int PRIMARY KEY, section int, "case" int)')
            execute(database, "INSERT INTO owner.cases VALUES (1)")
            execute(
                database,
                'INSERT INTO owner."Sections" (number, title, "of case", deleted_at)'
                " VALUES (1, 'a', 1, NULL), (2, 'b', 1, NULL), (3, 'c', 1, now())",
            )
            execute(database, "INSERT INTO owner.papers VALUES (1, 1, 1), (2, 2, 1)")

        return make
