"""Forests with every kind of corruption: all is repaired that can be, and undone, nothing else is found or changed.

A few cases on each database, unless CLEANUP_TEST_REPAIRS says how many: 5,000 before a release.
"""

import os
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from cleanup.models import Run
from cleanup.services import DatabaseCleanupService
from cleanup.services.repair.kinds import REPAIRABLE
from tests.support import databases
from tests.support.model_roles import Application, File, Folder
from tests.support.trees import drop_foreign_keys, dump, missing_key, new_key, unchecked

CASES = int(os.environ.get("CLEANUP_TEST_REPAIRS", "3"))

FOLDERS, FILES, APPLICATIONS = 8, 6, 2

#: Positions of rows that exist; None for null, and -1 for what is missing.
OWNERS = st.sampled_from([0, 0, 0, 1, 1, None, -1])
NAMES = st.sampled_from(["Docs", "docs", "Docs ", "Old", "New", "Recovered", " ", ""])
Corrupt = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


@st.composite
def forests(draw: st.DrawFn) -> Corrupt:
    """Draw folders as (parent, owner, name) and files as (folder, owner), by position."""
    size = draw(st.integers(1, FOLDERS))
    places = st.sampled_from([*range(size), None, None, -1])
    folders = draw(st.lists(st.tuples(places, OWNERS, NAMES), min_size=size, max_size=size))
    files = draw(st.lists(st.tuples(places, OWNERS), max_size=FILES))
    return [(None, 0, "Loan"), *folders], files


def make(database: str, forest: Corrupt) -> None:
    """Write a forest, whose first folder is a root."""
    folders, files = forest
    applications = [Application.objects.using(database).create(id=new_key(Application)).pk for _ in range(APPLICATIONS)]
    keys = [new_key(Folder) for _ in folders]

    def owner(place: int | None) -> Any:
        return {None: None, -1: missing_key(Application)}.get(place) if place in (None, -1) else applications[place]

    def folder(place: int | None) -> Any:
        return {None: None, -1: missing_key(Folder)}.get(place) if place in (None, -1) else keys[place + 1]

    with unchecked(database):
        Folder.objects.using(database).bulk_create(
            Folder(id=key, parent_id=folder(parent), application_id=owner(own), name=name)
            for key, (parent, own, name) in zip(keys, folders, strict=True)
        )
        File.objects.using(database).bulk_create(
            File(
                id=new_key(File),
                filename=f"{number}.pdf",
                original_filename=f"{number}.pdf",
                file_path=f"/{number}.pdf",
                file_size=number,
                mime_type="application/pdf",
                folder_id=folder(place),
                application_id=owner(own),
            )
            for number, (place, own) in enumerate(files)
        )


def counts(service: DatabaseCleanupService) -> dict[str, int]:
    return dict(service.verify_cleanup_integrity()["counts"])


def repair_all(service: DatabaseCleanupService) -> dict[str, int]:
    """Repair every code, again and again until nothing changes, and return how many findings were left of each."""
    left: dict[str, int] = {}
    now = counts(service)
    for _ in range(4):
        repaired = 0
        for code in REPAIRABLE:
            if code == "names_alike" or left.get(code, 0) == now.get(code, 0):
                continue  # somebody has to decide, or nothing can be done
            before, report = now, service.repair(code)
            now = counts(service)
            assert report.failed_cleanups == 0, [result.error_message for result in report.results]
            worse = {other for other in now if now[other] > before.get(other, 0)}
            assert worse == set(), f"{code} has brought {worse}"
            repaired += report.findings_repaired
            left[code] = len(report.not_repaired)
        if not repaired:
            return left
    raise AssertionError("there is always something left to repair")


@pytest.mark.timeout(0)
def test_what_is_corrupt_is_repaired_and_undone(scratch_database):
    drop_foreign_keys(scratch_database)
    service = DatabaseCleanupService(using=scratch_database)

    @hypothesis.settings(max_examples=CASES)
    @hypothesis.given(forests())
    def holds(forest: Corrupt) -> None:
        databases.wipe(scratch_database)
        make(scratch_database, forest)
        before = dump(scratch_database)
        left = repair_all(service)
        now = counts(service)
        assert {code: now.get(code, 0) for code in left} == left
        for run in Run.objects.using(scratch_database).filter(kind=Run.Kind.REPAIR).order_by("-created_at"):
            if run.points.using(scratch_database).exists():
                undone = service.rollback_cleanup(run.pk)
                assert (undone.exact, undone.conflicts) == (True, ())
        assert dump(scratch_database) == before

    holds()
