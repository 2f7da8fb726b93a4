"""Keys of any type, of application, folder and file alike: merged, resolved, verified, restored."""

# ruff: noqa: DJ008 - no one looks at these rows

import uuid

import pytest
from django.db import connections, models
from django.test.utils import isolate_apps

from cleanup import folder_tables
from cleanup.models import RemovedFolder
from cleanup.references import discover
from cleanup.services import DatabaseCleanupService
from cleanup.services.merging.preview import preview
from cleanup.services.runs.late_arrivals import LateArrivals
from tests.support.trees import dump, execute, fetch


class PaddedField(models.CharField):
    """A key in char(n), which PostgreSQL pads with blanks."""

    def db_type(self, connection) -> str:
        return "char(8)"


FIELDS = {
    "padded": lambda: PaddedField(primary_key=True, max_length=8),
    "uuid": lambda: models.UUIDField(primary_key=True),
    "integer": lambda: models.IntegerField(primary_key=True),
    "bigint": lambda: models.BigIntegerField(primary_key=True),
    "text": lambda: models.CharField(primary_key=True, max_length=40),
    "any case": lambda: models.CharField(primary_key=True, max_length=40, db_collation="NOCASE"),
}

# Of application, folder and file.
MIXTURES = [
    ("uuid", "uuid", "uuid"),
    ("bigint", "bigint", "bigint"),
    ("text", "text", "text"),
    ("padded", "padded", "padded"),
    ("integer", "uuid", "text"),
    ("uuid", "text", "integer"),
    ("text", "integer", "uuid"),
]

FOLDER_FIELDS = {"parent": "above", "application": "owner", "name": "title", "created": "made"}
FILE_FIELDS = {"folder": "inside", "application": "owner", "name": "title"}


def key(kind: str, number: int) -> uuid.UUID | int | str:
    """Return a key; those of numbers and of text differ in order and in length."""
    if kind == "uuid":
        return uuid.UUID(int=number << 64)
    if kind == "padded":
        return f"k{number:03}" if number % 2 else f"key {number:04}"
    return f"{number}/ö'%s" if kind == "text" else number


def make_parts(database: str, monkeypatch, kinds: tuple[str, str, str], *, nameless: bool = False) -> None:
    """Make tables with these keys, and let their models play the parts; ``nameless``: a folder may have no name."""
    application, folder, file = kinds
    with isolate_apps("tests.hostapp"):

        class Owner(models.Model):
            number = FIELDS[application]()

            class Meta:
                app_label = "hostapp"
                db_table = "owner"

        class Box(models.Model):
            number = FIELDS[folder]()
            title = models.CharField(max_length=300, null=nameless)
            above = models.ForeignKey("self", models.CASCADE, null=True)
            owner = models.ForeignKey(Owner, models.CASCADE)
            made = models.DateTimeField(null=True)

            class Meta:
                app_label = "hostapp"
                db_table = "box"

        class Sheet(models.Model):
            number = FIELDS[file]()
            title = models.CharField(max_length=100)
            inside = models.ForeignKey(Box, models.CASCADE)
            owner = models.ForeignKey(Owner, models.CASCADE)

            class Meta:
                app_label = "hostapp"
                db_table = "sheet"

    roles = dict(zip(("APPLICATION", "FOLDER", "FILE"), (Owner, Box, Sheet), strict=True))
    monkeypatch.setattr(folder_tables, "_model", lambda setting, label: roles[setting.split("_")[1]])
    monkeypatch.setattr(folder_tables.conf, "folder_fields", lambda: FOLDER_FIELDS)
    monkeypatch.setattr(folder_tables.conf, "file_fields", lambda: FILE_FIELDS)
    monkeypatch.setattr(folder_tables.conf, "folder_live", lambda: None)
    with connections[database].schema_editor() as editor:
        for model in roles.values():
            editor.create_model(model)


@pytest.fixture(params=MIXTURES, ids="-".join)
def kinds(request, scratch_database, monkeypatch) -> tuple[str, str, str]:
    """Make tables with these keys."""
    make_parts(scratch_database, monkeypatch, request.param)
    return request.param


@pytest.fixture
def folders(scratch_database, kinds) -> list:
    """Make, for each of three owners, three roots with a child of one name, and a file in each; return the roots."""
    tables = folder_tables.folder_tables()
    parts = tables.models
    owners, boxes, sheets = (model._base_manager.using(scratch_database) for model in parts)
    roots = []
    for number in (9, 10, 11):
        owner = owners.create(number=key(kinds[0], number))
        for place in range(3):
            root = boxes.create(number=key(kinds[1], 3 * number + place), title="A", owner=owner)
            child = boxes.create(number=key(kinds[1], 3 * number + place + 90), title="B", owner=owner, above=root)
            roots.append(root.pk)
            for folder in (root, child):
                sheets.create(number=key(kinds[2], len(roots) + 90 * (folder is child)), inside=folder, owner=owner)
    return roots


def test_of_any_type_are_merged_and_restored_and_taken_as_they_are_and_as_text(scratch_database, kinds, folders):
    before = dump(scratch_database)
    service = DatabaseCleanupService(using=scratch_database)

    report = service.cleanup_all_duplicate_folders()

    assert (report.successful_cleanups, report.total_folders_removed, report.total_files_moved) == (3, 12, 12)
    assert {result.application_id for result in report.results} == {str(key(kinds[0], n)) for n in (9, 10, 11)}
    assert service.verify_cleanup_integrity()["verification_passed"]
    assert service.rollback_cleanup(report.run_id).exact
    assert dump(scratch_database) == before

    owner = key(kinds[0], 10)
    service.release(owner)
    result = service.consolidate_duplicate_folders(owner)

    survivor = min(folders[3:6])
    gone = [folder for folder in folders[3:6] if folder != survivor]
    assert result.folders_removed == 4
    assert {service.resolve_folder(folder) for folder in gone} == {str(survivor)}
    assert {service.resolve_folder(str(folder)) for folder in gone} == {str(survivor)}
    assert service.verify_cleanup_integrity(owner)["verification_passed"]
    assert service.consolidate_duplicate_folders(str(owner)).folders_removed == 0
    service.hold(owner)
    service.release(str(owner))


@pytest.mark.only("postgresql")
class TestPaddedKeys:
    @pytest.fixture
    def copies(self, scratch_database, monkeypatch, settings) -> str:
        """Make two roots, and rows that name the one that goes padded and not, with and without a foreign key."""
        settings.CLEANUP_DATABASE = scratch_database
        settings.CLEANUP_EXTRA_REFERENCES = ["log.place"]
        make_parts(scratch_database, monkeypatch, ("padded", "padded", "padded"))
        tables = folder_tables.folder_tables()
        owner = tables.application._base_manager.using(scratch_database).create(number="k1")
        boxes = tables.folder._base_manager.using(scratch_database)
        for number in ("key 0001", "k2"):
            boxes.create(number=number, title="A", owner=owner)
        execute(
            scratch_database,
            "CREATE TABLE share (id int PRIMARY KEY, place varchar(8) REFERENCES box ON DELETE CASCADE)",
        )
        execute(scratch_database, "CREATE TABLE log (id int PRIMARY KEY, place text)")
        for table in ("share", "log"):
            for number, place in enumerate(("key 0001", "k2", "k2      ")):
                execute(scratch_database, f"INSERT INTO {table} VALUES (%s, %s)", number, place)
        return scratch_database

    def test_are_moved_in_every_copy_and_restored_with_their_padding(self, copies):
        before = dump(copies)
        service = DatabaseCleanupService(using=copies)
        report = service.cleanup_all_duplicate_folders()
        survivor = (
            "k2"
            if report.total_folders_removed and fetch(copies, "SELECT 1 FROM box WHERE number = 'k2'")
            else "key 0001"
        )
        for table in ("share", "log"):
            places = fetch(copies, f"SELECT place FROM {table}")
            assert {place.rstrip() for (place,) in places} == {survivor}
            assert len(places) == 3
        assert service.verify_cleanup_integrity()["verification_passed"]
        assert service.rollback_cleanup(report.run_id).exact
        assert dump(copies) == before

    def test_are_taken_with_their_padding(self, copies):
        (padded,) = folder_tables.folder_tables().application._base_manager.using(copies).values_list("pk", flat=True)
        assert padded == "k1      "
        assert DatabaseCleanupService(using=copies).consolidate_duplicate_folders(padded).folders_removed == 1

    def test_in_a_padding_of_their_own_are_refused_with_a_remedy(self, copies):
        execute(copies, "INSERT INTO log VALUES (9, 'k2 ')")
        (problem,) = discover(using=copies).problems
        assert (problem.code, problem.table, problem.column) == ("key_storage", "public.log", "place")
        execute(copies, problem.message.rpartition("spelling: ")[2])
        assert discover(using=copies).problems == ()

    def test_that_arrive_late_are_moved_along(self, copies):
        service = DatabaseCleanupService(using=copies)
        report = service.cleanup_all_duplicate_folders()
        ((gone,),) = RemovedFolder.objects.using(copies).values_list("folder_key")
        execute(copies, "INSERT INTO log VALUES (9, %s)", gone.ljust(8))
        assert LateArrivals(using=copies, references=discover(using=copies)).sweep() == {"public.log": 1}
        assert service.rollback_cleanup(report.run_id).exact


@pytest.mark.parametrize("spelling", ["UPPER", "plain"])
def test_texts_that_spell_uuids_in_another_way_than_the_text_keys_are_refused(
    scratch_database, monkeypatch, settings, spelling
):
    settings.CLEANUP_EXTRA_REFERENCES = ["log.place"]
    make_parts(scratch_database, monkeypatch, ("text", "text", "text"))
    number = str(uuid.UUID(int=0xABCDEF << 64))
    tables = folder_tables.folder_tables()
    owner = tables.application._base_manager.using(scratch_database).create(number="1")
    tables.folder._base_manager.using(scratch_database).create(number=number, title="A", owner=owner)
    execute(scratch_database, "CREATE TABLE log (id int PRIMARY KEY, place varchar(40))")
    odd = number.upper() if spelling == "UPPER" else number.replace("-", "")
    execute(scratch_database, "INSERT INTO log VALUES (1, %s), (2, %s), (3, 'nothing')", odd, number)
    (problem,) = discover(using=scratch_database).problems
    assert (problem.code, problem.column) == ("key_storage", "place")

    execute(scratch_database, problem.message.rpartition("spelling: ")[2])

    assert discover(using=scratch_database).problems == ()
    assert fetch(scratch_database, "SELECT place FROM log ORDER BY id") == [(number,), (number,), ("nothing",)]


def test_folders_without_a_name_and_with_long_names_are_merged(scratch_database, monkeypatch):
    make_parts(scratch_database, monkeypatch, ("integer", "integer", "integer"), nameless=True)
    tables = folder_tables.folder_tables()
    owner = tables.application._base_manager.using(scratch_database).create(number=1)
    boxes = tables.folder._base_manager.using(scratch_database)
    boxes.create(number=1, title="A", owner=owner)
    for number, title in enumerate((None, None, "", "C", "L" * 300, "L" * 300), start=2):
        boxes.create(number=number, title=title, owner=owner, above_id=1)
    before = dump(scratch_database)
    service = DatabaseCleanupService(using=scratch_database)

    assert preview(using=scratch_database, application_id=1).folders_removed == 2
    report = service.cleanup_all_duplicate_folders()

    assert (report.successful_cleanups, report.total_folders_removed) == (1, 2)
    assert service.verify_cleanup_integrity()["verification_passed"]
    removed = RemovedFolder.objects.using(scratch_database).values_list("folder_key", "survivor_key", "name")
    assert set(removed) == {("3", "2", ""), ("7", "6", "L" * 255)}
    assert service.rollback_cleanup(report.run_id).exact
    assert dump(scratch_database) == before


@pytest.mark.only("sqlite")
def test_folders_that_spell_their_application_in_another_way_hinder_no_merge(scratch_database, monkeypatch):
    make_parts(scratch_database, monkeypatch, ("any case", "integer", "integer"))
    tables = folder_tables.folder_tables()
    tables.application._base_manager.using(scratch_database).create(number="ABC")
    boxes = tables.folder._base_manager.using(scratch_database)
    for number in (1, 2):
        boxes.create(number=number, title="A", owner_id="ABC")
    boxes.create(number=3, title="C", owner_id="abc", above_id=1)

    result = DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders("ABC")

    assert (result.status, result.folders_removed) == ("completed", 1)
