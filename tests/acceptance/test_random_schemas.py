"""Random schemas of other programs: refused by name before anything changes, or cleaned up as announced, and undone.

As many on each database as ``CLEANUP_TEST_SCHEMAS`` says; a test's id is its first seed.
"""

import os
from collections import Counter

import pytest

from cleanup.exceptions import PreflightFailed
from cleanup.services import CleanupReport, DatabaseCleanupService
from tests.support import databases
from tests.support.schemas import Schema, fill, random_schema
from tests.support.trees import dump, fetch

pytestmark = pytest.mark.slow

SCHEMAS = int(os.environ.get("CLEANUP_TEST_SCHEMAS", "100"))
#: Schemas of one test: many, since each has a database of its own, and few, so that several processes share them.
PER_TEST = 10

#: Findings that a merge of all duplicates leaves none of.
MERGED = ("several_roots", "same_named_siblings")


@pytest.mark.mapped_models("tables are made around the mapped ones, which have keys of one type")
@pytest.mark.parametrize("first", range(0, SCHEMAS, PER_TEST))
def test_are_refused_by_name_or_merged_and_undone(database, settings, first):
    ends: Counter[str] = Counter()
    for seed in range(first, min(first + PER_TEST, SCHEMAS)):
        with databases.scratch_copy(database):
            made = random_schema(database, seed)
            for name, value in made.settings.items():
                setattr(settings, name, value)
            fill(database, made)
            try:
                ends[keeps_promises(database, made)] += 1
            except Exception as error:
                error.add_note(f"-- seed {seed}\n{made.describe()}")
                raise
        for name in made.settings:
            delattr(settings, name)
    assert ends["merged"] >= PER_TEST // 2, ends


def keeps_promises(database: str, made: Schema) -> str:
    """Try it, and return how it ended: refused, or merged and undone."""
    service = DatabaseCleanupService(using=database)
    before = dump(database)
    try:
        planned = service.cleanup_all_duplicate_folders(dry_run=True)
    except PreflightFailed as refusal:
        named = {problem.table.rpartition(".")[2] for problem in refusal.data["problems"]}
        with pytest.raises(PreflightFailed):
            service.cleanup_all_duplicate_folders()
        assert dump(database) == before
        assert named <= {part.name for part in made.referrers}
        return "refused"
    assert dump(database) == before
    paths = places(database)
    done = service.cleanup_all_duplicate_folders()
    assert outcomes(done) == outcomes(planned)
    after = dump(database)
    assert lost(before, after, done) == {}
    assert places(database) == paths
    assert_merged(service, done)
    undone = service.rollback_cleanup(done.run_id)
    assert dump(database) == before
    assert undone.exact, undone
    return "merged"


def outcomes(report: CleanupReport) -> dict[str, tuple]:
    """Return what is told of each application, by a dry run and by the cleanup alike."""
    return {
        result.application_id: (
            result.status,
            result.error_code,
            result.folders_removed,
            result.child_folders_merged,
            result.files_moved,
            result.references_moved,
            {name: result.details.get(name) for name in ("moved", "removed", "renumbered")},
        )
        for result in report.results
    }


def lost(before: dict[str, list[str]], after: dict[str, list[str]], report: CleanupReport) -> dict[str, int]:
    """Return the tables that have other numbers of rows than the results account for."""
    accounted: Counter[str] = Counter()
    for result in report.results:
        accounted["folders"] += result.folders_removed
        for table, rows in result.details.get("removed", {}).items():
            accounted[table.rpartition(".")[2]] += rows
    return {
        table: len(before[table]) - len(after[table]) - accounted[table]
        for table in before
        if len(before[table]) - len(after[table]) != accounted[table]
    }


def places(database: str) -> Counter[tuple]:
    """Return where files are: application and the names of the folders below the root."""
    rows = fetch(database, "SELECT :folders.key, :folders.parent, :folders.name FROM :folders")
    folders = {str(key): (parent and str(parent), name) for key, parent, name in rows}

    def path(folder: str | None) -> tuple[str, ...]:
        names = []
        while folder is not None:
            parent, name = folders[folder]
            names.append(name if parent is not None else "")
            folder = parent
        return tuple(reversed(names))

    files = fetch(database, "SELECT :files.key, :files.application, :files.folder FROM :files")
    return Counter((str(key), str(application), path(str(folder))) for key, application, folder in files)


def assert_merged(service: DatabaseCleanupService, report: CleanupReport) -> None:
    """Verify that applications that were completed have no duplicates left, and that nothing dangles."""
    left = {result.application_id for result in report.results if result.status != "completed"}
    found = service.verify_cleanup_integrity()["findings"]
    assert [one for one in found if one["severity"] == "error" and one["application_id"] not in left] == []
