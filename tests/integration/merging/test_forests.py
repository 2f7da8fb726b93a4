"""Random forests in real tables: no row is lost, the result is the recursive model's, undo restores all exactly.

A case is the forest of one application; six of them share a database, and hang into each other where they are broken.
There are three cases for ten examples of hypothesis' profile, 30 on each database and 600 with
--hypothesis-profile=thorough, or as many as CLEANUP_TEST_FORESTS says: 10,000 in the long form. A test's id is its
seed.
"""

import os
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import hypothesis
import pytest
from django.contrib.contenttypes.models import ContentType

from cleanup.exceptions import RollbackConflict, WouldDetach
from cleanup.models import Hold, RollbackPoint
from cleanup.services import DatabaseCleanupService
from cleanup.services.integrity.findings import ERRORS
from tests.hostapp.models import TAGGED, Bookmark, Note, Tag, Watch
from tests.support import databases, forests
from tests.support.model_roles import Application, File, Folder
from tests.support.trees import START, dump, execute, new_key, raw, spellings, unchecked

pytestmark = pytest.mark.slow

CASES_PER_ROUND = 6
CASES = int(os.environ.get("CLEANUP_TEST_FORESTS", hypothesis.settings().max_examples * 3 // 10))
ROUNDS = CASES // CASES_PER_ROUND
BROKEN = (0.0, 0.1, 0.3)


@dataclass(slots=True)
class Round:
    """What was written to the database, and what the model says should become of it."""

    database: str
    rng: random.Random
    applications: dict[str, list[forests.Folder]] = field(default_factory=dict)
    parents: dict[str, str | None] = field(default_factory=dict)
    removed: dict[str, str] = field(default_factory=dict)
    affected: set[str] = field(default_factory=set)

    @property
    def folders(self) -> Iterator[forests.Folder]:
        for folders in self.applications.values():
            yield from folders

    def foretell(self, different_roots: forests.DifferentRootsPolicy) -> None:
        """Have the model merge each application; where parents of others go, their references follow."""
        for application, folders in self.applications.items():
            before = {folder.key: folder.parent for folder in folders}
            merged = forests.merge_by_model(forests.ranked(folders), different_roots=different_roots)
            if merged.removed or merged.parents != before:
                self.affected.add(application)
            self.parents |= merged.parents
            self.removed |= merged.removed
        self.parents = {key: self.gone_to(parent) for key, parent in self.parents.items()}

    def gone_to(self, folder: str | None) -> str | None:
        """Return where what stood in a folder should stand now."""
        return folder if folder is None else self.removed.get(folder, folder)


def sown(database: str, rng: random.Random, *, broken: float, dead: float = 0.0) -> Round:
    """Fill the database with forests, files and rows of the host."""
    made = Round(database, rng)
    for _ in range(CASES_PER_ROUND):
        folders = forests.random_folders(rng, broken=broken, dead=dead, foreign=[f.key for f in made.folders])
        made.applications[str(new_key(Application))] = folders
    # Some are of no application at all.
    strays = forests.random_folders(rng, size=3, roots=1, foreign=[f.key for f in made.folders], broken=broken)
    with unchecked(database):
        Application.objects.using(database).bulk_create(Application(id=key) for key in made.applications)
        for application, folders in [*made.applications.items(), (None, strays)]:
            Folder.objects.using(database).bulk_create(
                Folder(
                    id=folder.key,
                    name=folder.name,
                    parent_id=folder.parent,
                    application_id=application,
                    created_at=None if folder.created is None else START + timedelta(seconds=folder.created),
                )
                for folder in folders
            )
    keys = [folder.key for folder in made.folders]
    File.objects.using(database).bulk_create(
        File(
            id=new_key(File),
            filename=rng.choice(["a.pdf", "b.pdf", "100% {0}.pdf"]),
            file_size=number,
            folder_id=rng.choice([*keys, None]),
            application_id=rng.choice(list(made.applications)),
        )
        for number in range(2 * len(keys))
    )
    _sow_host_rows(made, keys)
    return made


def _sow_host_rows(made: Round, keys: list[str]) -> None:
    database, rng = made.database, made.rng
    some = [rng.choice(keys) for _ in range(len(keys) // 3)]
    Bookmark._base_manager.using(database).bulk_create(Bookmark(folder_id=key) for key in some)
    Watch.objects.using(database).bulk_create(Watch(watched_id=key) for key in some)
    of_folders = ContentType.objects.db_manager(database).get_for_model(Folder.model)
    Note.objects.using(database).bulk_create(
        Note(content_type=of_folders, object_id=rng.choice(spellings(key)), text="") for key in some
    )
    for number in range(5):
        Tag.objects.using(database).create(label=str(number)).folders.set(rng.sample(keys, k=len(keys) // 4))


def filed(made: Round) -> dict:
    """Return each file's folder and all else of it."""
    rows = File.objects.using(made.database).values_list("pk", "folder", "filename", "file_size", "application")
    return {pk: (folder and str(folder), *rest) for pk, folder, *rest in rows}


def referenced(made: Round) -> dict:
    """Return the folders that the host's rows point at, each in the one spelling."""
    database = made.database
    links = Tag.folders.through.objects.using(database)
    return {
        "bookmarks": dict(Bookmark._base_manager.using(database).values_list("pk", "folder")),
        "watches": dict(Watch.objects.using(database).values_list("pk", "watched")),
        "notes": {pk: _plain(key) for pk, key in Note.objects.using(database).values_list("pk", "object_id")},
        "tags": {(tag, str(folder)) for tag, folder in links.values_list("tag", TAGGED)},
    }


def _plain(key: str) -> str:
    return str(key).strip("{}").replace("-", "").lower()


def assert_merged(made: Round, files: dict, host: dict) -> None:
    """Compare what the database holds with the model."""
    rows = Folder.objects.using(made.database).filter(application__in=list(made.applications))
    parents = {str(key): parent and str(parent) for key, parent in rows.values_list("pk", "parent")}
    assert parents == made.parents
    assert filed(made) == {pk: (made.gone_to(folder), *rest) for pk, (folder, *rest) in files.items()}
    removed = {_plain(key): _plain(survivor) for key, survivor in made.removed.items()}
    after = referenced(made)
    for kind in ("bookmarks", "watches", "notes"):
        expected = {pk: removed.get(_plain(key), _plain(key)) for pk, key in host[kind].items()}
        assert {pk: _plain(key) for pk, key in after[kind].items()} == expected
    assert after["tags"] == {(tag, made.gone_to(folder)) for tag, folder in host["tags"]}


def assert_cleaned(made: Round, service: DatabaseCleanupService) -> None:
    """See that nothing is left to find."""
    assert service.cleanup_all_duplicate_folders().total_applications == 0
    verified = service.verify_cleanup_integrity()
    assert (verified["duplicate_parent_folders"], verified["duplicate_child_folders"]) == (0, 0)


def undo(made: Round, service: DatabaseCleanupService, run, **options) -> None:
    """Roll the run back, now as a whole, now application by application in any order, as far as it goes."""
    if made.rng.random() < 0.5:
        service.rollback_cleanup(run, **options)
        return
    points = list(RollbackPoint.objects.using(made.database).values_list("uuid", flat=True))
    made.rng.shuffle(points)
    for point in points:
        with suppress(WouldDetach):
            service.rollback_cleanup(point, **options)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_is_merged_as_the_model_says_and_restored_exactly(database, settings, seed):
    rng = random.Random(seed)
    settings.CLEANUP_DIFFERENT_ROOTS = rng.choice(["merge", "nest", "keep"])
    made = sown(database, rng, broken=rng.choice(BROKEN))
    made.foretell(settings.CLEANUP_DIFFERENT_ROOTS)
    was, files, host = dump(database), filed(made), referenced(made)
    service = DatabaseCleanupService(using=database)

    report = service.cleanup_all_duplicate_folders(batch_size=rng.choice([1, 3, 100]), all_results=True)

    assert (report.failed_cleanups, {r.application_id for r in report.results}) == (0, made.affected)
    assert report.total_folders_removed == len(made.removed)
    assert report.total_files_moved == sum(folder in made.removed for folder, *_ in files.values())
    assert_merged(made, files, host)
    assert_cleaned(made, service)
    if made.affected:
        undo(made, service, report.run_id)
    assert dump(database) == was


@pytest.mark.parametrize("seed", range(max(1, ROUNDS // 10)))
def test_is_merged_as_the_model_says_where_some_are_trashed(scratch_database, settings, seed):
    rng = random.Random(f"trash {seed}")
    settings.CLEANUP_FOLDER_LIVE = {"deleted_at": None}
    execute(scratch_database, "ALTER TABLE :folders ADD COLUMN deleted_at timestamp")
    made = sown(scratch_database, rng, broken=rng.choice(BROKEN), dead=0.2)
    for folder in made.folders:
        if not folder.live:
            key = raw(scratch_database, folder.key)
            execute(scratch_database, "UPDATE :folders SET deleted_at = '2024-01-01' WHERE :folders.key = %s", key)
    made.foretell("merge")
    was, files, host = dump(scratch_database), filed(made), referenced(made)
    service = DatabaseCleanupService(using=scratch_database)

    report = service.cleanup_all_duplicate_folders()

    assert report.total_folders_removed == len(made.removed)
    assert_merged(made, files, host)
    assert_cleaned(made, service)
    undo(made, service, report.run_id)
    assert dump(scratch_database) == was


# --- People go on working


@dataclass(slots=True)
class People:
    """Someone who uses the application between cleanup and rollback, and knows what they did."""

    made: Round
    files: dict[str, str | None] = field(default_factory=dict)
    """File -> the folder they put it in."""
    parents: dict[str, str | None] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    found: dict[str, str | None] = field(default_factory=dict)
    """File or folder -> where the cleanup had left it; to put it there again leaves no trace to go by."""

    def __post_init__(self) -> None:
        self.found = {**_values(self.made, File, "folder"), **_values(self.made, Folder, "parent")}

    def work(self, times: int) -> None:
        """Do something, and something else."""
        actions = (
            self.move_file,
            self.move_file,
            self.unfile,
            self.delete_file,
            self.move_folder,
            self.rename,
            self.add,
        )
        for _ in range(times):
            self.made.rng.choice([*actions, self.remake])()

    def _any(self, model) -> str:
        keys = model.objects.using(self.made.database).values_list("pk", flat=True)
        return self.made.rng.choice(sorted(str(key) for key in keys))

    def _put(self, folder: str | None) -> None:
        key = self._any(File)
        File.objects.using(self.made.database).filter(pk=key).update(folder=folder)
        self.files[key] = folder

    def move_file(self) -> None:
        self._put(self._any(Folder))

    def unfile(self) -> None:
        self._put(None)

    def delete_file(self) -> None:
        key = self._any(File)
        File.objects.using(self.made.database).filter(pk=key).delete()
        self.files.pop(key, None)
        self.deleted.add(key)

    def move_folder(self) -> None:
        folder, parent = self._any(Folder), self._any(Folder)
        if folder != parent:
            Folder.objects.using(self.made.database).filter(pk=folder).update(parent=parent)
            self.parents[folder] = parent

    def rename(self) -> None:
        key = self._any(Folder)
        Folder.objects.using(self.made.database).filter(pk=key).update(name="Renamed")
        self.names[key] = "Renamed"

    def add(self) -> None:
        parent = self._any(Folder)
        folder = Folder.objects.using(self.made.database).create(id=new_key(), name="New", parent_id=parent)
        self.parents[str(folder.pk)], self.names[str(folder.pk)] = parent, "New"
        file = File.objects.using(self.made.database).create(
            id=new_key(File), filename="new", file_size=1, folder=folder
        )
        self.files[str(file.pk)] = str(folder.pk)

    def remake(self) -> None:
        """Give the id of a removed folder to another one."""
        if not self.made.removed:
            return
        key = self.made.rng.choice(sorted(self.made.removed))
        _, created = Folder.objects.using(self.made.database).get_or_create(id=key, defaults={"name": "Imported"})
        if created:
            self.parents[key], self.names[key] = None, "Imported"

    def assert_undisturbed(self) -> None:
        """See that all they did is as they did it."""
        files, parents = _values(self.made, File, "folder"), _values(self.made, Folder, "parent")
        for now, put in ((files, self.files), (parents, self.parents)):
            traced = {key: place for key, place in put.items() if self.found.get(key, "new") != place}
            assert {key: now[key] for key in traced} == traced
        names = _values(self.made, Folder, "name")
        assert {key: names[key] for key in self.names} == self.names
        assert not self.deleted & set(files)


def _values(made: Round, model, column: str) -> dict[str, str | None]:
    rows = model.objects.using(made.database).values_list("pk", column)
    return {str(pk): None if value is None else str(value) for pk, value in rows}


def would_refuse(service: DatabaseCleanupService, point) -> bool:
    """Ask the preview."""
    try:
        return bool(service.preview_rollback(point).conflicts)
    except WouldDetach:
        return True


@pytest.mark.parametrize("seed", range(max(2, ROUNDS // 4)))
def test_nothing_that_people_did_is_overwritten(database, seed):
    rng = random.Random(f"people {seed}")
    made = sown(database, rng, broken=rng.choice(BROKEN))
    made.foretell("merge")
    service = DatabaseCleanupService(using=database)
    run = service.cleanup_all_duplicate_folders().run_id
    people = People(made)
    people.work(rng.choice([3, 30]))
    before = dump(database)
    kept = {model: {pk for (pk,) in model.objects.using(database).values_list("pk")} for model in (File, Folder)}

    points = list(RollbackPoint.objects.using(database).values_list("uuid", flat=True))
    for point in points:
        if would_refuse(service, point):
            with pytest.raises((RollbackConflict, WouldDetach)):
                service.rollback_cleanup(point)
    assert dump(database) == before

    undo(made, service, run, skip_conflicts=True, as_copies=bool(seed % 2))
    people.assert_undisturbed()
    for model, keys in kept.items():
        assert keys <= {pk for (pk,) in model.objects.using(database).values_list("pk")}
    dangling = (
        File.objects.using(database).exclude(folder=None).exclude(folder__in=Folder.objects.using(database).all())
    )
    assert not dangling.exists()


@pytest.mark.parametrize("seed", range(max(2, ROUNDS // 5)))
def test_copies_are_no_duplicates_and_all_else_is_as_it_was(database, settings, monkeypatch, seed):
    rng = random.Random(f"copies {seed}")
    settings.CLEANUP_DIFFERENT_ROOTS = rng.choice(["merge", "nest", "keep"])
    made = sown(database, rng, broken=rng.choice(BROKEN))
    parents, names = _values(made, Folder, "parent"), _values(made, Folder, "name")
    files, host = filed(made), referenced(made)
    service = DatabaseCleanupService(using=database)
    run = service.cleanup_all_duplicate_folders().run_id
    errors = error_counts(service)

    monkeypatch.setattr("cleanup.conf.list_limit", lambda: 10_000)
    result = service.rollback_cleanup(run, as_copies=True)

    assert error_counts(service) == errors
    assert service.cleanup_all_duplicate_folders(dry_run=True).total_applications == 0
    assert (filed(made), referenced(made)) == (files, host)
    moved = {copy.folder_id: copy.parent_id for copy in result.copies if copy.parent_id}
    renamed = {copy.folder_id for copy in result.copies if copy.renamed}
    assert _values(made, Folder, "parent") == parents | moved
    assert {key for key, name in _values(made, Folder, "name").items() if name != names[key]} == renamed


def error_counts(service: DatabaseCleanupService) -> dict[str, int]:
    counts = service.verify_cleanup_integrity()["counts"]
    return {code: number for code, number in counts.items() if code in ERRORS}


def test_a_second_undo_is_as_exact_as_the_first(database):
    """Merge, undo, release, merge, undo."""
    rng = random.Random("again")
    made = sown(database, rng, broken=0.1)
    was = dump(database)
    service = DatabaseCleanupService(using=database)
    for _ in range(3):
        service.rollback_cleanup(service.cleanup_all_duplicate_folders().run_id)
        assert dump(database) == was
        Hold.objects.using(made.database).all().delete()


def test_the_order_of_many_is_no_matter(database):
    """One application after the other, or all in batches: the same."""
    results = []
    for singly in (True, False):
        databases.wipe(database)
        rng = random.Random("order")
        made = sown(database, rng, broken=0.2)
        made.foretell("merge")
        service = DatabaseCleanupService(using=database)
        if singly:
            for application in rng.sample(sorted(made.applications), k=len(made.applications)):
                service.consolidate_duplicate_folders(application)
        else:
            service.cleanup_all_duplicate_folders()
        parents = dict(Folder.objects.using(database).exclude(application=None).values_list("pk", "parent"))
        results.append({str(key): parent and str(parent) for key, parent in parents.items()})
        assert results[-1] == made.parents
    assert results[0] == results[1]
