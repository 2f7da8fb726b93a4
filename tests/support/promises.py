"""What holds of any database, whatever tables another program has in it.

Nothing but sentences before the cleanup; what the dry run announces is what the cleanup does; nothing is lost or put
elsewhere; the undo is exact to the byte.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import pytest

from cleanup.exceptions import PreflightFailed
from cleanup.services import CleanupReport, DatabaseCleanupService
from cleanup.services.results import RollbackResult
from tests.support.trees import dump, fetch


@dataclass(frozen=True, slots=True)
class Kept:
    """How it ended: refused as a whole, or with the report of a cleanup that was undone."""

    refusal: PreflightFailed | None = None
    report: CleanupReport | None = None


def keep(
    database: str,
    *,
    merged: Callable[[CleanupReport], None] = lambda report: None,
    meanwhile: Callable[[CleanupReport], AbstractContextManager[None]] = lambda report: nullcontext(),
) -> Kept:
    """Look, clean up, look again (``merged`` may, too), and undo it all.

    ``meanwhile`` lets something happen before the undo, and takes it back after it.
    """
    service = DatabaseCleanupService(using=database)
    before = dump(database)
    try:
        planned = service.cleanup_all_duplicate_folders(dry_run=True)
    except PreflightFailed as refusal:
        with pytest.raises(PreflightFailed):
            service.cleanup_all_duplicate_folders()
        assert dump(database) == before
        return Kept(refusal=refusal)
    assert dump(database) == before
    paths = places(database)
    done = service.cleanup_all_duplicate_folders()
    assert outcomes(done) == outcomes(planned)
    after = dump(database)
    assert lost(before, after, done) == {}
    assert places(database) == paths
    assert_merged(service, done)
    merged(done)
    with meanwhile(done):
        foreseen = service.preview_rollback(done.run_id)
        undone = service.rollback_cleanup(done.run_id)
    assert dump(database) == before
    assert restored(foreseen) == restored(undone)
    assert undone.exact, undone
    return Kept(report=done)


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


def restored(result: RollbackResult) -> tuple:
    """Return what is told of an undo, by its preview and by itself alike."""
    return (
        result.folders_restored,
        result.files_restored,
        result.references_restored,
        result.folders_moved_back,
        result.conflicts,
        result.exact,
    )


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
    folders = {str(key).lower(): (str(parent).lower(), name) for key, parent, name in rows}

    def path(folder: str) -> tuple[str, ...]:
        names = []
        while (parent := folders[folder][0]) in folders and parent != folder:
            names.append(folders[folder][1])
            folder = parent
        return ("", *reversed(names))

    files = fetch(database, "SELECT :files.key, :files.application, :files.folder FROM :files")
    return Counter((str(key), str(application), path(str(folder).lower())) for key, application, folder in files)


def assert_merged(service: DatabaseCleanupService, report: CleanupReport) -> None:
    """Verify that applications that were completed have no duplicates left, and that nothing dangles."""
    left = {result.application_id for result in report.results if result.status != "completed"}
    found = service.verify_cleanup_integrity()["findings"]
    assert [one for one in found if one["severity"] == "error" and one["application_id"] not in left] == [], found
