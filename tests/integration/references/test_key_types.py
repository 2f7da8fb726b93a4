"""Keys in columns of every type that a host may give: merged, verified, guarded and restored, or refused by name."""

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError

from cleanup import backends
from cleanup.backends.hints import Hints
from cleanup.exceptions import DatabaseUnusable, PreflightFailed
from cleanup.folder_tables import folder_tables
from cleanup.references import discover
from cleanup.services import DatabaseCleanupService
from tests.integration.test_audit import audit, promised
from tests.support import databases
from tests.support.trees import dump, execute, fetch, is_postgresql

TABLES = """
CREATE TABLE customer_applications (id {application_key} PRIMARY KEY);
CREATE TABLE folders (id {key} PRIMARY KEY, name {name} NOT NULL, parent_id {parent}, application_id {application},
                      created_at {time} NULL, updated_at {time} NULL);
CREATE TABLE files (id {file_key} PRIMARY KEY, filename varchar(255) NOT NULL, original_filename varchar(255) NOT NULL,
                    display_name varchar(255), file_path text NOT NULL, file_size bigint NOT NULL,
                    mime_type varchar(100) NOT NULL, uploaded_by {file_key}, application_id {application},
                    folder_id {file}, created_at {time});
"""
DOMAINS = (
    "CREATE DOMAIN some_key AS uuid",
    "CREATE DOMAIN folder_ref AS some_key CHECK (VALUE <> '00000000-0000-0000-0000-000000000000')",
    "CREATE DOMAIN given_ref AS uuid NOT NULL",
    "CREATE DOMAIN text_ref AS varchar(36) CHECK (length(VALUE) > 30)",
    "CREATE DOMAIN title AS varchar(255) CHECK (VALUE <> 'x')",
)


@dataclass(frozen=True)
class Shape:
    """The types of the mapped columns; what is not said is as the models have it."""

    columns: dict[str, str] = field(default_factory=dict)
    spell: str = "{}"
    """How files spell the UUID of their folder, as a format."""
    upper: bool = False
    plain: bool = False
    extra: tuple[str, ...] = ()
    """Further tables."""

    def types(self, database: str) -> dict[str, str]:
        """Return every type by its part."""
        usual = {"key": "uuid", "name": "varchar(255)", "time": "timestamptz"}
        if not is_postgresql(database):
            usual = {"key": "char(32)", "name": "varchar(255)", "time": "datetime"}
        usual["key"] = self.columns.get("key", usual["key"])
        parts = ("application_key", "file_key", "parent", "application", "file")
        return dict.fromkeys(parts, usual["key"]) | usual | self.columns

    def spelled(self, key: str) -> str:
        """Spell a key as the files do."""
        key = self.spell.format(key.replace("-", "") if self.plain else key)
        return key.upper() if self.upper else key


def number(place: int) -> str:
    """Return a UUID with letters in it, so that its spellings differ."""
    return str(uuid.UUID(int=0xABCDEF00_0000_4000_8000_000000000000 + place))


def stored(database: str, key: str) -> str:
    return key if is_postgresql(database) else uuid.UUID(key).hex


def adopt(database: str) -> None:
    call_command("migrate", "cleanup", database=database, fake_initial=True, verbosity=0)


def make_domains(database: str) -> None:
    if is_postgresql(database):
        for statement in DOMAINS:
            execute(database, statement)


def make_empty(database: str, shape: Shape) -> None:
    """Make the tables of another program."""
    for statement in TABLES.format(**shape.types(database)).split(";")[:-1]:
        execute(database, statement)
    for statement in shape.extra:
        execute(database, statement)


def fill(database: str, shape: Shape) -> None:
    """Make two roots, each with a child of one name."""
    application = stored(database, number(1))
    execute(database, "INSERT INTO customer_applications VALUES (%s)", application)
    insert = "INSERT INTO folders (id, name, parent_id, application_id, created_at) VALUES (%s, %s, %s, %s, %s)"
    for place, name, parent in ((11, "Case", None), (12, "Case", None), (21, "Docs", 11), (22, "Docs", 12)):
        above = None if parent is None else stored(database, number(parent))
        made = f"2021-01-01 00:00:{place}+00:00"
        execute(database, insert, stored(database, number(place)), name, above, application, made)
        execute(
            database,
            "INSERT INTO files (id, filename, original_filename, file_path, file_size, mime_type, application_id,"
            " folder_id) VALUES (%s, 'a', 'a', '/a', 1, 'a/b', %s, %s)",
            *(stored(database, number(100 + place)), application, shape.spelled(number(place))),
        )


def make(database: str, shape: Shape) -> None:
    """Make and fill the tables of another program."""
    make_empty(database, shape)
    fill(database, shape)


def prepare(database: str) -> None:
    """Adopt the tables of another program, and take them away."""
    make_domains(database)
    make_empty(database, Shape())
    adopt(database)
    for table in ("files", "folders", "customer_applications"):
        execute(database, f"DROP TABLE {table}")


@pytest.fixture
def adopted_database(database) -> Iterator[str]:
    """Yield an adopted database for this test alone, to make the tables of another program in."""
    with databases.prepared(database, prepare, start=databases.blank):
        databases.adopt(database)
        yield database


@pytest.fixture
def newly_adopted(blank_database) -> Callable[[Shape], str]:
    """Return a function that makes, fills and adopts the tables of another program."""

    def made(shape: Shape) -> str:
        make_domains(blank_database)
        make_empty(blank_database, shape)
        adopt(blank_database)
        fill(blank_database, shape)
        return blank_database

    return made


def codes(database: str) -> list[tuple[str, str, str]]:
    """Return code, table and column of the problems."""
    found = discover(using=database).problems
    return [(problem.code, problem.table.rpartition(".")[2], problem.column) for problem in found]


def message(database: str) -> str:
    return " ".join(problem.message for problem in discover(using=database).problems)


def errors(database: str) -> dict[str, int]:
    return DatabaseCleanupService(using=database).verify_cleanup_integrity()["counts"]


def hints(database: str) -> list[str]:
    """Return the queries that list the rows behind findings."""
    references = discover(using=database)
    sql = backends.database(using=database).findings(folder_tables(), loose_files=references.loose_files)
    hints = Hints(sql, references)
    return [*hints.listings.values(), hints.late(of_files=True), hints.late(of_files=False)]


def assert_runs(database: str, hint: str) -> None:
    assert hint.startswith(("SELECT ", "WITH "))
    execute(database, hint.replace("%", "%%"))


READ = {
    "postgresql": {
        "a domain": Shape({"file": "folder_ref"}),
        "a domain that is never null": Shape({"file": "given_ref"}),
        "domains everywhere": Shape(
            {
                "key": "some_key",
                "parent": "folder_ref",
                "application": "folder_ref",
                "file": "given_ref",
                "name": "title",
            }
        ),
        "a domain over text": Shape({"file": "text_ref"}, upper=True),
        "text": Shape({"file": "varchar(36)"}),
        "text in capitals": Shape({"file": "text"}, upper=True),
        "text in braces": Shape({"file": "varchar(38)"}, spell="{{{}}}"),
        "text without hyphens": Shape({"file": "char(32)"}, plain=True),
        "padded text": Shape({"file": "char(40)"}),
    },
    "sqlite": {
        "Oracle's text": Shape({"file": "VARCHAR2(36)"}),
        "Oracle's text in capitals": Shape({"file": "NVARCHAR2(36)"}, upper=True),
        "text without hyphens": Shape({"file": "NVARCHAR2(32)"}, plain=True),
        "text in braces": Shape({"file": "STRING(38)"}, spell="{{{}}}"),
        "no type": Shape({"file": ""}),
        "a word of the host's": Shape({"file": "FOLDERREF"}),
    },
}


def by_vendor(vendor: str) -> object:
    return pytest.mark.parametrize("shape", READ[vendor].values(), ids=READ[vendor])


def assert_merged_and_restored(database: str, shape: Shape) -> None:
    """Clean up, look at every row, and undo."""
    before = dump(database)
    service = DatabaseCleanupService(using=database)
    assert codes(database) == []
    foreseen = service.cleanup_all_duplicate_folders(dry_run=True)
    assert errors(database).keys() <= {"several_roots", "guards_missing", "same_named_siblings"}

    lines = audit(database) if is_postgresql(database) else []

    report = service.cleanup_all_duplicate_folders()

    assert (report.successful_cleanups, report.total_folders_removed, report.total_files_moved) == (1, 2, 2)
    assert foreseen.total_files_moved == report.total_files_moved
    assert errors(database).keys() == {"guards_missing"}
    filed = fetch(database, "SELECT folder_id FROM files WHERE id = %s", stored(database, number(122)))
    assert str(filed[0][0]).strip() == shape.spelled(number(21))
    if lines:
        after = audit(database)
        assert promised(after) == promised(lines)
        assert {line.split(" | ")[2] for line in after if line.startswith("never more")} == {"0"}
    for hint in hints(database):
        assert_runs(database, hint)
    assert service.rollback_cleanup(report.run_id).exact
    assert dump(database) == before


class TestAFileThatNamesItsFolderOnPostgresql:
    pytestmark = pytest.mark.only("postgresql")

    @by_vendor("postgresql")
    def test_by_any_type_is_moved_and_brought_back(self, adopted_database, shape):
        make(adopted_database, shape)
        assert_merged_and_restored(adopted_database, shape)


class TestAFileThatNamesItsFolderOnSqlite:
    pytestmark = pytest.mark.only("sqlite")

    @by_vendor("sqlite")
    def test_by_any_type_is_moved_and_brought_back(self, adopted_database, shape):
        make(adopted_database, shape)
        assert_merged_and_restored(adopted_database, shape)

    @by_vendor("sqlite")
    def test_by_any_type_is_found_in_another_application_and_where_it_arrives_late(self, adopted_database, shape):
        database = adopted_database
        make(database, shape)
        execute(database, "INSERT INTO customer_applications VALUES (%s)", stored(database, number(2)))
        change = "UPDATE files SET application_id = %s WHERE id = %s"
        execute(database, change, stored(database, number(2)), stored(database, number(121)))
        of_files = {code: found for code, found in errors(database).items() if code.startswith("file_")}
        assert of_files == {"file_in_other_application": 1}
        execute(database, change, stored(database, number(1)), stored(database, number(121)))
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        late = shape.spelled(number(22)), stored(database, number(121))
        execute(database, "UPDATE files SET folder_id = %s WHERE id = %s", *late)
        assert errors(database).keys() == {"guards_missing", "late_arrival"}


class OddKeys:
    """Keys that are kept or spelled in a way that is not looked for."""

    def assert_mended(self, database: str, columns: dict[str, str], change: str) -> None:
        make(database, Shape(columns))
        execute(database, f"UPDATE files SET folder_id = {change}")
        assert codes(database) == [("key_storage", "files", "folder_id")]
        execute(database, message(database).rpartition("spelling: ")[2].replace("%", "%%"))
        assert codes(database) == []
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert (report.total_files_moved, errors(database)) == (2, {"guards_missing": 6})


class TestKeysOnPostgresqlThatAreSpelledInAWayOfTheirOwn(OddKeys):
    pytestmark = pytest.mark.only("postgresql")

    @pytest.mark.parametrize(
        "change", ["initcap(folder_id)", "' ' || folder_id", "replace(folder_id, '-4000-', '4000')"]
    )
    def test_are_refused_with_a_remedy(self, adopted_database, change):
        self.assert_mended(adopted_database, {"file": "varchar(60)"}, change)


class TestKeysOnSqliteThatAreKeptInAWayOfTheirOwn(OddKeys):
    pytestmark = pytest.mark.only("sqlite")

    @pytest.mark.parametrize(
        ("kind", "change"),
        [
            ("char(32)", "upper(folder_id)"),
            ("char(32)", "replace(folder_id, '-', '') || ' '"),
            ("VARCHAR2(36)", "upper(substr(folder_id, 1, 4)) || substr(folder_id, 5)"),
            ("VARCHAR2(36)", "CAST(folder_id AS blob)"),
            ("BLOB", "CAST(replace(folder_id, '-', '') AS blob)"),
        ],
    )
    def test_are_refused_with_a_remedy(self, adopted_database, kind, change):
        self.assert_mended(adopted_database, {"file": kind}, change)

    def test_are_read_as_the_bytes_of_a_uuid(self, adopted_database):
        make(adopted_database, Shape({"file": "BLOB"}))
        for place in (11, 12, 21, 22):
            change = "UPDATE files SET folder_id = %s WHERE folder_id = %s"
            execute(adopted_database, change, uuid.UUID(number(place)).bytes, number(place))
        execute(adopted_database, message(adopted_database).rpartition("spelling: ")[2])
        assert codes(adopted_database) == []
        assert errors(adopted_database).keys() == {"guards_missing", "several_roots"}


class MappedColumns:
    """Columns that are mapped to what they cannot hold."""

    def assert_refused(self, database: str, columns: dict[str, str], where: set[str]) -> None:
        make_empty(database, Shape(columns))
        assert {f"{table}.{column}" for code, table, column in codes(database) if code == "mapped_type"} == where
        spelled = [kind.replace("varchar", "character varying") for kind in columns.values()]
        told = message(database).lower()
        assert any(f" is of type {kind}" in told for kind in map(str.lower, spelled))
        service = DatabaseCleanupService(using=database)
        assert not service.preflight()["ok"]
        with pytest.raises(PreflightFailed, match=" is of type "):
            service.cleanup_all_duplicate_folders(dry_run=True)
        with pytest.raises(DatabaseUnusable, match=" is of type "):
            service.verify_cleanup_integrity()


class TestAColumnOfATypeThatIsNotUnderstoodOnPostgresql(MappedColumns):
    pytestmark = pytest.mark.only("postgresql")

    @pytest.mark.parametrize(
        ("columns", "where"),
        [
            ({"key": "varchar(36)"}, {"customer_applications.id", "folders.id", "files.id"}),
            ({"key": "bigint"}, {"customer_applications.id", "folders.id", "files.id"}),
            ({"parent": "text_ref"}, {"folders.parent_id"}),
            ({"application": "varchar(36)"}, {"folders.application_id", "files.application_id"}),
            ({"file": "json"}, {"files.folder_id"}),
            ({"file": "uuid[]"}, {"files.folder_id"}),
            ({"name": "json"}, {"folders.name"}),
            ({"time": "json"}, {"folders.created_at"}),
        ],
    )
    def test_stops_everything_by_name(self, adopted_database, columns, where):
        self.assert_refused(adopted_database, columns, where)


class TestAColumnOfATypeThatIsNotUnderstoodOnSqlite(MappedColumns):
    pytestmark = pytest.mark.only("sqlite")

    @pytest.mark.parametrize(
        ("columns", "where"),
        [
            ({"file": "REAL"}, {"files.folder_id"}),
            ({"key": "integer"}, {"customer_applications.id", "folders.id", "files.id"}),
        ],
    )
    def test_stops_everything_by_name(self, adopted_database, columns, where):
        self.assert_refused(adopted_database, columns, where)


@pytest.mark.only("postgresql")
class TestAnotherColumnOfADomain:
    PINS = ("CREATE TABLE pins (id int PRIMARY KEY, folder folder_ref)",)

    def test_is_suspected(self, adopted_database):
        make(adopted_database, Shape(extra=self.PINS))
        assert codes(adopted_database) == [("suspected", "pins", "folder")]

    def test_moves_once_it_is_named(self, adopted_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["pins.folder"]
        make(adopted_database, Shape(extra=self.PINS))
        execute(adopted_database, "INSERT INTO pins VALUES (1, %s)", number(22))
        assert_merged_and_restored(adopted_database, Shape())


class TestHints:
    def test_can_be_run(self, database):
        for hint in hints(database):
            assert_runs(database, hint)


@pytest.mark.only("postgresql")
class TestTheGuards:
    @pytest.mark.parametrize("shape", [READ["postgresql"]["domains everywhere"]], ids=["domains"])
    def test_are_put_in_place_over_domains(self, newly_adopted, shape):
        database = newly_adopted(shape)
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        call_command("migrate", "cleanup_guards", database=database, verbosity=0)
        assert errors(database) == {}

    def test_refuse_texts_that_no_foreign_key_can_compare_and_name_the_column(self, blank_database, newly_adopted):
        newly_adopted(READ["postgresql"]["text in capitals"])
        DatabaseCleanupService(using=blank_database).cleanup_all_duplicate_folders()
        with pytest.raises(CommandError) as refused:
            call_command("migrate", "cleanup_guards", database=blank_database, verbosity=0)
        assert "public.files.folder_id" in str(refused.value)
        change = re.search(r"ALTER TABLE [^;]+;", str(refused.value))[0]
        execute(blank_database, change)
        call_command("migrate", "cleanup_guards", database=blank_database, verbosity=0)
        assert errors(blank_database) == {}


@pytest.mark.only("sqlite")
class TestTheGuardsOnSqlite:
    def test_compare_texts_in_any_spelling(self, blank_database, newly_adopted):
        newly_adopted(READ["sqlite"]["Oracle's text in capitals"])
        DatabaseCleanupService(using=blank_database).cleanup_all_duplicate_folders()
        call_command("migrate", "cleanup_guards", database=blank_database, verbosity=0)
        assert errors(blank_database) == {}
        execute(blank_database, "INSERT INTO customer_applications VALUES (%s)", number(2))
        with pytest.raises(IntegrityError, match="cleanup_file_in_same_application"):
            execute(blank_database, "UPDATE files SET application_id = %s", number(2))
