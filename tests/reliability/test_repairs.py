"""Forests with every kind of corruption: all is repaired that can be, and undone, nothing else is found or changed.

Dozens of forests, each of applications of its own, stand in one database and are repaired together, for a repair costs
what it costs to start one. CLEANUP_TEST_REPAIRS says how many forests there are: 5,000 before a release. Each fifty
have a seed of their own, of which CLEANUP_TEST_REPAIRS_SEED is the first.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple

import pytest
from django.db.models import Count

from cleanup.models import RemovedFolder, Run
from cleanup.services import DatabaseCleanupService
from cleanup.services.repair.kinds import REPAIRABLE
from cleanup.services.results import RepairReport
from tests.support import databases
from tests.support.model_roles import Application, File, Folder
from tests.support.trees import drop_foreign_keys, dump, new_key, unchecked

FORESTS = int(os.environ.get("CLEANUP_TEST_REPAIRS", "100"))
FIRST_SEED = int(os.environ.get("CLEANUP_TEST_REPAIRS_SEED", "0"))
TOGETHER = 50

FOLDERS, FILES, LATE, APPLICATIONS = 8, 6, 3, 2

#: Positions of rows that exist; None for null, and -1 for what is missing.
OWNERS = [0, 0, 0, 1, 1, None, -1]
NAMES = ["Docs", "docs", "Docs ", "Old", "New", "Recovered", " ", ""]


class Forest(NamedTuple):
    """Two applications whose folders and files are corrupt."""

    folders: list[tuple[int | None, int | None, str]]
    """Parent, owner and name of each."""
    files: list[tuple[int | None, int | None]]
    """Folder and owner of each."""
    late: list[tuple[int, int | None]]
    """The removed folder and the owner of each file that arrives after a cleanup; without any, there is none."""
    decision: bool | None
    """Whether the folders whose names look the same are approved to become one, or dismissed; None: not decided."""


def drawn(chance: Random) -> Forest:
    """Draw a forest whose first folder is a root."""
    size = chance.randint(1, FOLDERS)
    places = [*range(size), None, None, -1]
    folders = [(chance.choice(places), chance.choice(OWNERS), chance.choice(NAMES)) for _ in range(size)]
    files = [(chance.choice(places), chance.choice(OWNERS)) for _ in range(chance.randint(0, FILES))]
    late = [(chance.randint(0, FOLDERS), chance.choice(OWNERS)) for _ in range(chance.choice([0, 0, 1, LATE]))]
    return Forest([(None, 0, "Loan"), *folders], files, late, chance.choice([None, None, True, False]))


class Written:
    """What a forest has become in a database."""

    def __init__(self, database: str, forest: Forest) -> None:
        self.database = database
        self.forest = forest
        self.applications = [new_key(Application) for _ in range(APPLICATIONS)]
        self.missing_application = new_key(Application)
        self.keys = [new_key(Folder) for _ in forest.folders]
        self.missing_folder = new_key(Folder)

    def folders(self) -> list[Any]:
        """Return the rows of its folders."""
        return [
            Folder(id=key, parent_id=self._folder(parent), application_id=self._owner(own), name=name)
            for key, (parent, own, name) in zip(self.keys, self.forest.folders, strict=True)
        ]

    def files(self) -> list[Any]:
        """Return the rows of its files."""
        return [self._file(self._folder(place), own) for place, own in self.forest.files]

    def late_files(self) -> list[Any]:
        """Return the rows that come after a cleanup, and name what it removed."""
        removed = RemovedFolder.objects.using(self.database).filter(
            point__application_key__in=[str(key) for key in self.applications]
        )
        gone = list(removed.order_by("pk").values_list("folder_key", flat=True))
        return [self._file(gone[place % len(gone)], own) for place, own in self.forest.late if gone]

    def _owner(self, place: int | None) -> Any:
        return {None: None, -1: self.missing_application}[place] if place in (None, -1) else self.applications[place]

    def _folder(self, place: int | None) -> Any:
        return {None: None, -1: self.missing_folder}[place] if place in (None, -1) else self.keys[place + 1]

    def _file(self, folder: Any, own: int | None) -> Any:
        key = new_key(File)
        return File(
            id=key,
            filename=f"{key}.pdf",
            original_filename=f"{key}.pdf",
            file_path=f"/{key}.pdf",
            file_size=1,
            mime_type="application/pdf",
            folder_id=folder,
            application_id=self._owner(own),
        )


def make(database: str, several: list[Forest], service: DatabaseCleanupService) -> None:
    """Write forests; those with late arrivals are cleaned up before these come."""
    written = [Written(database, forest) for forest in several]
    Application.objects.using(database).bulk_create(Application(id=key) for one in written for key in one.applications)
    with unchecked(database):
        Folder.objects.using(database).bulk_create(row for one in written for row in one.folders())
        File.objects.using(database).bulk_create(row for one in written for row in one.files())
    cleaned = [key for one in written if one.forest.late for key in one.applications]
    if cleaned:
        service.cleanup_all_duplicate_folders(applications=cleaned)
    with unchecked(database):
        File.objects.using(database).bulk_create(row for one in written for row in one.late_files())
    for one in written:
        if one.forest.decision is not None:
            decide = service.approve_names if one.forest.decision else service.dismiss_names
            for key in one.applications:
                for group in service.name_groups(key):
                    decide(key, group["folders"][0]["folder_id"])


def counts(service: DatabaseCleanupService) -> dict[str, int]:
    return dict(service.verify_cleanup_integrity()["counts"])


def twins(service: DatabaseCleanupService) -> int:
    """Count the groups of same-named folders side by side, whether or not a root leads to them."""
    inside = Folder.objects.using(service.using).exclude(parent=None).exclude(application=None)
    return inside.values("application", "parent", "name").annotate(rows=Count("pk")).filter(rows__gt=1).count()


def repair(service: DatabaseCleanupService, code: str) -> RepairReport:
    """Repair one code, as a dry run has announced."""
    announced, report = service.repair(code, dry_run=True), service.repair(code)
    failed = {one.application_id: one.error_message for one in report.results if one.status != "completed"}
    assert (report.total_applications, failed) == (report.successful_cleanups, {}), code
    for total in ("findings_repaired", "total_rows_moved", "total_folders_removed", "folders_made", "not_repaired"):
        assert getattr(report, total) == getattr(announced, total), total
    return report


def repair_all(service: DatabaseCleanupService) -> dict[str, int]:
    """Repair every code, again and again until nothing changes, and return how many findings were left of each."""
    left: dict[str, int] = {}
    now = counts(service)
    for _ in range(6):
        repaired = 0
        for code in REPAIRABLE:
            if left.get(code, 0) == now.get(code, 0):
                continue  # nothing can be done
            before, twins_before, report = now, twins(service), repair(service, code)
            now = counts(service)
            worse = {other for other in now if now[other] > before.get(other, 0)}
            # What was there before, and not found: below a folder that had no place, or where a late file lies.
            revealed = {"same_named_siblings", *(["file_in_other_application"] if code == "late_arrival" else [])}
            assert worse <= revealed, f"{code} has brought {worse}"
            assert twins(service) <= twins_before, code
            repaired += report.findings_repaired
            left[code] = len(report.not_repaired) + report.not_repaired_left_out
        if not repaired:
            return left
    raise AssertionError("there is always something left to repair")


@pytest.mark.timeout(0)
def test_what_is_corrupt_is_repaired_and_undone(scratch_database):
    drop_foreign_keys(scratch_database)
    empty = databases.rows(scratch_database)
    service = DatabaseCleanupService(using=scratch_database)

    def holds(several: list[Forest]) -> None:
        make(scratch_database, several, service)
        before = dump(scratch_database)
        left = repair_all(service)
        now = counts(service)
        assert {code: now.get(code, 0) for code in left} == left
        for run in Run.objects.using(scratch_database).filter(kind=Run.Kind.REPAIR).order_by("-created_at"):
            if run.points.using(scratch_database).exists():
                undone = service.rollback_cleanup(run.pk)
                assert (undone.exact, undone.conflicts) == (True, ())
        assert dump(scratch_database) == before

    for seed in range(FIRST_SEED, FIRST_SEED + math.ceil(FORESTS / TOGETHER)):
        databases.wipe(scratch_database, to=empty)
        chance = Random(seed)
        with noted(f"the forests are those of seed {seed}"):
            holds([drawn(chance) for _ in range(min(TOGETHER, FORESTS))])


@contextmanager
def noted(note: str) -> Iterator[None]:
    """Add a note to an error."""
    try:
        yield
    except Exception as error:
        error.add_note(note)
        raise
