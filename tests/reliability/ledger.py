"""What people did to a database, as they were told, and how to find it there again.

Those who write put down what was committed, and only that. At the end each row is there, in the folder that it was put
into or in one with which that was merged, as the undo records have it, whether or not the merge was undone since.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Sum

from cleanup.models import Alert, RemovedFolder, Result, RollbackPoint, Run, SnapshotRow
from tests.support.model_roles import Application, File, Folder
from tests.support.trees import fetch, label


@dataclass(slots=True)
class Ledger:
    """What all of them did, and what went wrong."""

    files: dict[str, tuple] = field(default_factory=dict)
    """Of files that ought to be there: the columns that no one changes."""
    applications: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    """Folders that someone deleted."""
    lies_in: dict[str, str] = field(default_factory=dict)
    """Of a file: the folder that it was last put into."""
    titles: dict[str, str] = field(default_factory=dict)
    """Of a file: the name that it was last given to be shown."""
    quotas: dict[str, int] = field(default_factory=dict)
    """Of a folder: a column that no one mapped."""
    notes: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of a note: its folder and its text."""
    shares: set[tuple[str, str]] = field(default_factory=set)
    """Folder and person."""
    deleted_notes: set[str] = field(default_factory=set)
    deleted_shares: set[tuple[str, str]] = field(default_factory=set)
    """Shares that were deleted along with their folder."""
    doubtful: set[str] = field(default_factory=set)
    """What was being written when the connection was lost, so that no one was told whether it was committed."""
    actions: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: dict[str, float] = field(default_factory=dict)
    """By the name of an action: the most seconds that it took, its waits included."""
    lock: Any = field(default_factory=threading.Lock)

    def count(self, name: str, *, seconds: float = 0) -> None:
        with self.lock:
            self.actions[name] += 1
            self.slowest[name] = max(self.slowest.get(name, 0), seconds)

    def refused(self, name: str, why: str) -> None:
        with self.lock:
            self.refusals[f"{name}: {why}"] += 1

    def fault(self, text: str) -> None:
        with self.lock:
            self.faults.append(text)

    def take_over(self, database: str) -> None:
        """Put down what is there before anyone comes."""
        self.files = files(database)
        self.lies_in = lies_in(database)
        self.applications = keys(Application, database)
        self.folders = keys(Folder, database)

    def figures(self) -> str:
        """Return what was done, in a line or two."""
        name = max(self.slowest, key=self.slowest.__getitem__, default="")
        slowest = f"the slowest in {self.slowest.get(name, 0):.1f} s ({name})"
        return f"{self.actions.total()} things done, {slowest}: {dict(self.actions)}; {dict(self.refusals)}"


def files(database: str) -> dict[str, tuple]:
    """Return of each file what no one changes."""
    rows = File.objects.using(database).values_list("pk", "filename", "file_size", "application")
    return {str(pk): tuple(rest) for pk, *rest in rows}


def lies_in(database: str) -> dict[str, str]:
    """Return the folder of each file."""
    return {str(pk): str(folder) for pk, folder in File.objects.using(database).values_list("pk", "folder")}


def keys(part: Any, database: str) -> set[str]:
    """Return the keys of a part's rows."""
    return {str(key) for key in part.objects.using(database).values_list("pk", flat=True)}


class Merged:
    """Folders that were one at some time."""

    def __init__(self, database: str) -> None:
        self._ahead: dict[str, str] = {}
        for removed, survivor in RemovedFolder.objects.using(database).values_list("folder_key", "survivor_key"):
            first, second = self.of(removed), self.of(survivor)
            if first != second:
                self._ahead[first] = second

    def of(self, folder: str) -> str:
        """Return the one that stands for all that a folder was ever merged with."""
        while folder in self._ahead:
            folder = self._ahead[folder]
        return folder


def unaccounted(database: str, ledger: Ledger) -> list[str]:
    """Return what is not as the ledger has it, in sentences."""
    merged = Merged(database)
    return [*_rows_lost(database, ledger, merged), *_rows_elsewhere(database, ledger, merged)]


def _rows_lost(database: str, ledger: Ledger, merged: Merged) -> Iterator[str]:
    for what, there, wanted in (
        ("application", keys(Application, database), ledger.applications),
        ("file", keys(File, database), set(ledger.files)),
    ):
        yield from (f"{what} {key} is lost" for key in wanted - there - ledger.doubtful)
    present = keys(Folder, database)
    live = {merged.of(folder) for folder in present}
    removed = set(
        RemovedFolder.objects.using(database)
        .exclude(point__status=RollbackPoint.Status.ROLLED_BACK)
        .values_list("folder_key", flat=True)
    )
    gone = {merged.of(folder) for folder in ledger.deleted | ledger.doubtful}
    for folder in ledger.folders - present - ledger.deleted - ledger.doubtful:
        if folder not in removed:
            yield f"folder {folder} is lost, and no undo record has it"
        elif merged.of(folder) not in live | gone:
            yield f"folder {folder} was merged, but its survivor is lost"


def _rows_elsewhere(database: str, ledger: Ledger, merged: Merged) -> Iterator[str]:
    sure = {key: file for key, file in files(database).items() if key not in ledger.doubtful}
    if sure != {key: file for key, file in ledger.files.items() if key not in ledger.doubtful}:
        yield "files are not as they were written"
    places = lies_in(database)
    for key in sure.keys() & ledger.lies_in.keys():
        if f"place {key}" not in ledger.doubtful and merged.of(places[key]) != merged.of(ledger.lies_in[key]):
            yield f"file {key} lies in {places[key]}, and was put into {ledger.lies_in[key]}"


def unaccounted_of_other_tables(database: str, ledger: Ledger) -> list[str]:
    """Return what is not as the ledger has it in columns that no one mapped, and in tables that no one mapped."""
    merged = Merged(database)
    return [*_edits_lost(database, ledger), *_notes_lost(database, ledger, merged)]


def _edits_lost(database: str, ledger: Ledger) -> Iterator[str]:
    for what, query, wanted in (
        ("title", "SELECT id::text, display_name FROM files", ledger.titles),
        ("quota", "SELECT id::text, quota::int FROM folders", ledger.quotas),
    ):
        now = dict(fetch(database, query))
        for key in wanted.keys() & now.keys():
            if now[key] != wanted[key] and f"{what} {key}" not in ledger.doubtful:
                yield f"{what} {key} is {now[key]}, and was last {wanted[key]}"


def _notes_lost(database: str, ledger: Ledger, merged: Merged) -> Iterator[str]:
    now = {
        f"note {key}": (folder, body)
        for key, folder, body in fetch(database, "SELECT id, folder_id::text, body FROM notes")
    }
    for key, (folder, body) in ledger.notes.items():
        if key in ledger.doubtful | ledger.deleted_notes:
            continue
        place, text = now.get(key, ("", ""))
        if (merged.of(place), text) != (merged.of(folder), body):
            yield f"{key} is {text!r} in {place}, and was last {body!r} in {folder}"
    shares = {*fetch(database, "SELECT folder_id::text, person_id::text FROM shares"), *ledger.deleted_shares}
    there = {(merged.of(folder), person) for folder, person in shares}
    gone = {merged.of(folder) for folder in ledger.doubtful}
    for folder, person in ledger.shares:
        if (merged.of(folder), person) not in there and merged.of(folder) not in gone:
            yield f"the share of {folder} with {person} is lost"


def unjournaled(database: str) -> list[str]:
    """Return the results that report other numbers of rows than their undo records hold, and runs with other totals."""
    recorded: defaultdict[int, Counter[tuple[str, str]]] = defaultdict(Counter)
    rows = SnapshotRow.objects.using(database).filter(point__kind=RollbackPoint.Kind.CLEANUP)
    for point, kind, table, number in rows.values_list("point", "kind", "table").annotate(Sum("row_count")):
        recorded[point][kind, table] = number
    results = Result.objects.using(database).filter(run__kind=Run.Kind.CLEANUP).exclude(point=None)
    found = []
    for result in results.exclude(point__status=RollbackPoint.Status.PURGED):
        reported = Counter({("moved", table): number for table, number in result.details.get("moved", {}).items()})
        reported += Counter({("removed", table): number for table, number in result.details.get("removed", {}).items()})
        reported["removed", label(database, ":folders")] += result.folders_removed
        if +reported != +recorded[result.point_id]:
            found.append(
                f"result {result.pk} reports {dict(reported)}, and {dict(recorded[result.point_id])} is recorded"
            )
    return found


def figures(database: str) -> str:
    """Return what the product did, in a line: runs, rows that it moved and recorded or has purged since, alerts."""
    runs = Counter(f"{kind} {status}" for kind, status in Run.objects.using(database).values_list("kind", "status"))
    alerts = Counter(f"{code} {state}" for code, state in Alert.objects.using(database).values_list("code", "state"))
    results = Result.objects.using(database).filter(run__kind=Run.Kind.CLEANUP)
    moved = Counter()
    for status, number in results.values_list("point__status", "references_moved"):
        moved["moved"] += number
        moved["purged"] += number if status == RollbackPoint.Status.PURGED else 0
    rows = SnapshotRow.objects.using(database).values_list("kind").annotate(Sum("row_count"))
    return f"runs {dict(runs)}; rows {dict(moved)}, recorded {dict(rows)}; alerts {dict(alerts)}"
