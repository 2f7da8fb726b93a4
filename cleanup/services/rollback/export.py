"""An undo as a script that needs this program no more: for psql, or for SQLite's shell.

The undo is rehearsed first, in a transaction that is rolled back, so that what would be refused is refused now, by its
name. Then the steps of the undo are taken once more, and write down their statements; no lock is held meanwhile.
A guard that forbids what comes back does not keep a script from being written, but the script from running before the
guard is lifted; with one in force, folders come back as copies in the rehearsal.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from cleanup import conf, journal
from cleanup.backends.changes import NO_REPLACEMENTS, Images, UndoTarget
from cleanup.backends.pinning import batch
from cleanup.backends.scripting import Forbidding, Script, Written
from cleanup.exceptions import Refused, RollbackConflict, SharedRows
from cleanup.guard_names import GUARDS_BY_NAME
from cleanup.models import RollbackPoint
from cleanup.policies import TriggerPolicy
from cleanup.references import ReferenceMap, schema_changes
from cleanup.services.concurrency.retry import retry_lock_conflicts
from cleanup.services.results import UndoScript
from cleanup.services.rollback.groups import Group, Groups
from cleanup.services.rollback.made_folders import targets_of
from cleanup.services.rollback.not_restored import LeftBehind, left_behind
from cleanup.services.rollback.revert import Reverter
from cleanup.services.rollback.roll_back import Target, find, forbidden_as_conflict, ready_references
from cleanup.services.rollback.tables import CurrentTables
from cleanup.services.rollback.undo import Undo
from cleanup.text_safety import safe

if TYPE_CHECKING:
    from cleanup.backends.catalogue import TableName

_PROMISES = """\
One transaction: either everything comes back, or nothing is changed. Each value is compared before it is changed: what
the cleanup set gets its old value back, what is as it was already is left, and anything else is a conflict, which ends
the script. In the end it proves that everything is as it was. It can be run again.

It holds data of the tables that it restores, and locks them against writers until it ends. It needs nothing of the
program that wrote it, and leaves that program's own tables alone. As long as the program is installed, the command
below is better: it also records the undo, and keeps the next cleanup from merging again. Run after this script, it
finds everything as it was and records that."""


def export(*, using: str, rollback_id: Any, write: Callable[[str], object]) -> UndoScript:
    """Write a script that undoes a point or a run, in pieces of text.

    Raises as ``DatabaseCleanupService.rollback_cleanup``, and Unscriptable.
    """
    target = find(using=using, rollback_id=rollback_id)
    undo, rehearsal = schema_changes.retry_on_schema_change(
        lambda references: _rehearse(target, references, using=using),
        references=partial(ready_references, using=using),
    )
    behind = LeftBehind() if target.run is None else left_behind(using=using, source=target.run)
    with batch(undo.tables.backend, writing=False):
        return _Export(undo, rehearsal, target=target, behind=behind).write(write)


def _rehearse(target: Target, references: ReferenceMap, *, using: str) -> tuple[Undo, "_Rehearsal"]:
    undo = Undo(using=using, references=references)
    with forbidden_as_conflict(undo):
        return undo, retry_lock_conflicts(partial(_undo_for_a_moment, undo, target), using=using)


@dataclass(frozen=True, slots=True)
class _Rehearsal:
    """What was undone for a moment."""

    points: Sequence[RollbackPoint]
    """The cleanups to undo."""
    latest_first: bool
    """They have to be undone one after the other."""
    forbidding: Sequence[Forbidding]
    """Guards that forbid what comes back."""


def _undo_for_a_moment(undo: Undo, target: Target) -> _Rehearsal:
    """Undo the target, and roll that back."""
    using = undo.tables.using
    with transaction.atomic(using=using):
        with batch(undo.tables.backend):
            rehearsal = _undone(undo, target)
        transaction.set_rollback(True, using=using)  # not earlier: the caller's settings are restored first
    return rehearsal


def _undone(undo: Undo, target: Target) -> _Rehearsal:
    chosen = undo.lock([point.id for point in target.points.only("id")])
    manual = target.point if target.point is not None and target.point.kind == RollbackPoint.Kind.MANUAL else None
    undo.points.check(chosen)
    points = chosen if manual is None else undo.points.later_cleanups(chosen[0])
    if not points:
        raise Refused("Nothing was cleaned up since this point was taken, so there is nothing to undo.")
    forbidding = undo.guards.forbidding(points)
    attempt = partial(undo.undo, skip_conflicts=False, as_copies=bool(forbidding), now=timezone.now())
    if manual is not None:
        attempt(chosen)
        return _Rehearsal(points, latest_first=True, forbidding=forbidding)
    try:
        with transaction.atomic(using=undo.tables.using):
            attempt(chosen)
        return _Rehearsal(points, latest_first=False, forbidding=forbidding)
    except (SharedRows, RollbackConflict):
        if len(chosen) == 1:
            raise
    attempt(chosen, latest_first=True)
    return _Rehearsal(points, latest_first=True, forbidding=forbidding)


class _Export:
    """One script."""

    def __init__(self, undo: Undo, rehearsal: _Rehearsal, *, target: Target, behind: LeftBehind) -> None:
        self.tables = CurrentTables(using=undo.tables.using, references=undo.tables.references)
        self.rehearsal = rehearsal
        self.target = target
        self.behind = behind
        self.groups = Groups(self.tables).read(rehearsal.points, latest_first=rehearsal.latest_first)
        self._leave_guards_out()

    def _leave_guards_out(self) -> None:
        """Have no statement look for what a guard forbids: it is lifted when the script runs."""
        names = {guard.name for guard in self.rehearsal.forbidding} | set(GUARDS_BY_NAME)
        for name, table in self.tables.described.items():
            uniques = tuple(unique for unique in table.uniques if unique.name not in names)
            self.tables.described[name] = replace(table, uniques=uniques)

    def write(self, write: Callable[[str], object]) -> UndoScript:
        script = self.tables.backend.script(write)
        written = self._written()
        script.refuse(written)
        document = self._document()
        script.comment(*self._heading(document))
        script.begin(
            written=[*written, *self._watched(written)],
            forbidding=self.rehearsal.forbidding,
            bypass_triggers=conf.triggers() == TriggerPolicy.BYPASS,
        )
        script.copy_journal([point.id for point in self.rehearsal.points])
        for group in self.groups:
            _Scribe(group, self.tables, script).revert(lambda: None)
        script.end(RollbackPoint._meta.db_table)
        return document

    def _written(self) -> list[Written]:
        """Return the tables that are written, with the columns that must be as they were."""
        columns: dict[TableName, set[str]] = {}
        for group in self.groups:
            schema = group.reader.schema
            for name, needed in schema.needed(group.written).items():
                columns.setdefault(schema.table_name(name), set()).update(needed)
        described = self.tables.described
        return [
            Written(described[name], [c.name for c in described[name].columns if c.name in needed])
            for name in sorted(columns)
            # What is computed from these is restored only as long as the database computes it.
            for needed in [described[name].dependent(columns[name])]
        ]

    def _watched(self, written: Sequence[Written]) -> list[Written]:
        """Return the other tables in which no row may come to name a folder that a repair made, and that goes again."""
        if not any(made_by_repair(group.reader.schema, step) for group in self.groups for step, _ in group.written):
            return []
        columns: dict[TableName, list[str]] = {}
        for reference in self.tables.references.references:
            columns.setdefault(reference.table, []).extend(reference.columns)
        for listed in self.tables.references.lists:
            columns.setdefault(listed.table, []).append(listed.column)
        known = {one.table.name for one in written}
        return [
            Written(self.tables.references.tables[name], list(dict.fromkeys(named)))
            for name, named in sorted(columns.items())
            if name not in known
        ]

    def _document(self) -> UndoScript:
        rows: Counter[str] = Counter()
        for group in self.groups:
            for (_, label), by_point in group.written.items():
                rows[label] += sum(by_point.values())
        inexact = {"triggers": any(group.with_triggers for group in self.groups)}
        inexact["hook"] = any(group.reader.schema.called_hosts_hook for group in self.groups)
        return UndoScript(
            rollback_id=self.target.rollback_id,
            database=self.tables.backend.vendor,
            applications=len({point.application_key for point in self.rehearsal.points}),
            rows=dict(sorted(rows.items())),
            guards=tuple(guard.name for guard in self.rehearsal.forbidding),
            inexact=tuple(name for name, is_so in inexact.items() if is_so),
            expired=self.behind.expired,
        )

    def _heading(self, document: UndoScript) -> Iterable[str]:
        shell = {"postgresql": "psql -X -f", "sqlite": "sqlite3 DATABASE <"}[self.tables.backend.vendor]
        what = "run" if self.target.run else "rollback point"
        yield f"Undoes {what} {self.target.rollback_id}, written {timezone.now().isoformat(timespec='seconds')}."
        yield ""
        yield f"    {shell} THIS_FILE"
        yield ""
        yield from _PROMISES.splitlines()
        yield f"    manage.py database_cleanup --rollback {self.target.rollback_id}"
        yield ""
        for point in self.rehearsal.points:
            yield f"Application {safe(point.application_key)}: cleanup of {point.created_at:%Y-%m-%d %H:%M} UTC"
        for left in self.behind.listed:
            yield f"Application {safe(left.application_id)} is not in this script: {left.code.replace('_', ' ')}"
        if self.behind.left_out:
            yield f"and {self.behind.left_out} more"
        for guard in self.rehearsal.forbidding:
            yield f"Guard {safe(guard.name)} forbids what comes back. Lift it first: {guard.lift}"
        if "triggers" in document.inexact:
            yield "Triggers fired during the cleanup. What they wrote is not undone."
        if any(group.reader.schema.calls_hooks for group in self.groups):
            yield "What tree hooks computed comes back. Compute it anew where folders were made since the cleanup."
        if "hook" in document.inexact:
            yield "A tree hook of your own was called after the cleanup. Call it again when this script has ended."


def made_by_repair(schema: journal.JournaledSchema, step: int) -> bool:
    """Return whether a step made folders for what had no place."""
    return schema.by_repair(step) and schema.kind(step) == "inserted"


class _Scribe(Reverter):
    """Takes the steps of an undo, and has each write down its statement."""

    def __init__(self, group: Group, tables: CurrentTables, script: Script) -> None:
        super().__init__(
            group.reader,
            tables,
            points=group.point_ids,
            written=group.written,
            instead=NO_REPLACEMENTS,
            nested=(),
            piecemeal=False,
        )
        self.rooms = self.script = script

    def _without_used(self, images: Images, label: str) -> Images:
        """Have the script end if something refers to the folders by then: only a rollback leaves those out."""
        made = [str(row.key[0]) for row in self.reader.rows(label, points=self.points, step=images.step or 0)]
        self.script.stop_if_used(*targets_of(made, self.tables))
        return images

    def _target(
        self, step: int, target: journal.JournaledTarget, points: Sequence[int], *, must_exist: bool
    ) -> UndoTarget:
        """Return what is undone; whatever an old value names must be there, which a script cannot find out in time."""
        folders = self.schema.as_journaled(self.folders)
        return replace(
            super()._target(step, target, points, must_exist=must_exist),
            must_exist=(folders, target.folder_columns) if must_exist and target.folder_columns else None,
            returned=None,
        )
