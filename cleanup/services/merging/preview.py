"""Show what merging one application would do, before anyone confirms it: the tree before and after, and why.

Someone waits for it, so an application over ``CLEANUP_LARGE_APPLICATION`` is refused before it is read.
Invariants: nothing is written and no row is locked. It is the plan that a run would make now; ``plan_hash`` shows
whether a later plan is still the same. Trees are flat lists, parents before children, because a tree may be ten
thousand levels deep.
"""

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from cleanup import backends, conf
from cleanup.exceptions import TooLargeToPreview, UnknownObject
from cleanup.folder_tables import folder_tables
from cleanup.forests import Group
from cleanup.models import Hold, Result
from cleanup.phrases import with_reason
from cleanup.policies import DifferentRootsPolicy, SurvivorPolicy
from cleanup.references import ReferenceMap, cache
from cleanup.services.merging.decisions import MISSING, Inclusion, MergeDecision
from cleanup.services.merging.forecast import Forecaster
from cleanup.services.results import Fate, FolderPreview, GroupPreview, Line, Obstacle, Preview, Reason


def preview(*, using: str, application_id: Any) -> Preview:
    """Return what merging the application would do.

    Raises UnknownObject, InvalidKey, TooLargeToPreview and PreflightFailed.
    """
    key = folder_tables().application_key.text(application_id)
    folders = count_folders(using=using, application_id=key)
    if folders > conf.large_application():
        raise TooLargeToPreview(limit=conf.large_application(), command=command(key))
    return whole_preview(using=using, application_id=key, folders=folders)


def whole_preview(*, using: str, application_id: Any, folders: int = 0) -> Preview:
    """Return the same however large the application is; ``folders`` is their number, if it is known already.

    Raises UnknownObject, InvalidKey and PreflightFailed.
    """
    key = folder_tables().application_key.text(application_id)
    sizes = {key: folders} if folders else None
    return cache.with_references(
        lambda references: _preview(key, using=using, references=references, sizes=sizes), using=using
    )


def command(key: str) -> str:
    """Return the command that shows the plan of an application of any size."""
    return f"manage.py database_cleanup --dry-run --application {shlex.quote(key)} --include-large"


def count_folders(*, using: str, application_id: Any) -> int:
    """Count the application's folders. Raises InvalidKey."""
    tables = folder_tables()
    key = tables.application_key.text(application_id)
    return backends.database(using=using).reading.count_folders(tables, [key]).get(key, 0)


def _preview(key: str, *, using: str, references: ReferenceMap, sizes: Mapping[str, int] | None) -> Preview:
    hold = Hold.objects.using(using).filter(application_key=key).first()
    forecaster = Forecaster(
        using=using,
        references=references,
        session_name="cleanup preview",
        include=Inclusion(held=hold is not None, large=True),
        compare=True,
        whole=True,
    )
    with forecaster.snapshot():
        ((decision, result),) = forecaster.forecast([key], sizes=sizes)
        if decision.code == MISSING:
            raise UnknownObject(what="application", key=key)
        rows = forecaster.rows_by_folder(decision) if decision.folders else {}
    return _Drawing(forecaster, decision, rows).preview(
        obstacles=tuple(_obstacles(decision, hold)),
        moved=result.details.get("moved", {}),
        removed=result.details.get("removed", {}),
        made_at=timezone.now(),
    )


def _obstacles(decision: MergeDecision, hold: Hold | None) -> Iterable[Obstacle]:
    if hold is not None:
        yield Obstacle("held", with_reason("The application is on hold", hold.reason))
    if decision.status in (Result.Status.FAILED, Result.Status.HELD):
        yield Obstacle(decision.code, decision.message)


class _Drawing:
    """Combines the plan and the counts of one application."""

    def __init__(self, forecaster: Forecaster, decision: MergeDecision, rows: Mapping[str, Counter[str]]) -> None:
        self.forecaster = forecaster
        self.decision = decision
        self.rows = rows
        self.plan = decision.plan
        self.folders = decision.folders
        self.has_times = forecaster.examiner.tables.folder_created is not None
        self.file_table = str(forecaster.targets.references.file_table)
        self.moves = {move.folder: move for move in self.plan.moves}
        self.groups = {group.survivor: group for group in self.plan.groups}
        self.left_alone = frozenset(self.plan.left_alone)

    def preview(
        self,
        *,
        obstacles: tuple[Obstacle, ...],
        moved: Mapping[str, int],
        removed: Mapping[str, int],
        made_at: datetime,
    ) -> Preview:
        before = self._lines({key: folder.parent for key, folder in self.folders.items()})
        staying = {key: self._parent_after(key) for key in self.folders if key not in self.plan.removed}
        return Preview(
            application_id=self.decision.application,
            plan_hash=self.plan.digest,
            made_at=made_at,
            folders=tuple(self._folder(line.folder_id) for line in before),
            before=before,
            after=self._lines(staying),
            groups=tuple(self._group(group) for group in self.plan.groups),
            obstacles=obstacles,
            folders_removed=self.plan.folders_removed,
            child_folders_merged=self.plan.child_folders_merged,
            folders_moved=len(self.plan.moves),
            files_moved=moved.get(self.file_table, 0),
            references_moved=moved,
            rows_removed=removed,
            widening=self.decision.details.get("widening", {}),
        )

    def _parent_after(self, key: str) -> str | None:
        return self.moves[key].new_parent if key in self.moves else self.folders[key].parent

    def _lines(self, parents: Mapping[str, str | None]) -> tuple[Line, ...]:
        """Draw the tree: roots by rank, children by name and rank; then what no root leads to."""
        children: dict[str | None, list[str]] = {}
        for key, parent in parents.items():
            children.setdefault(parent, []).append(key)
        tops = children.get(None, [])
        hanging = [key for key, parent in parents.items() if parent is not None and parent not in parents]
        drawn: dict[str, Line] = {}
        for start in (tops, hanging, list(parents)):  # the last one for cycles
            stack = [(key, 0) for key in sorted(start, key=self._rank, reverse=True)]
            while stack:
                key, depth = stack.pop()
                if key not in drawn:
                    drawn[key] = Line(key, depth)
                    below = sorted(children.get(key, ()), key=self._name_and_rank, reverse=True)
                    stack += [(child, depth + 1) for child in below]
        return tuple(drawn.values())

    def _rank(self, key: str) -> int:
        return self.folders[key].age

    def _name_and_rank(self, key: str) -> tuple[str, int]:
        row = self.folders[key]
        return row.name, row.age

    def _folder(self, key: str) -> FolderPreview:
        folder = self.folders[key]
        counts = self.rows.get(key, Counter())
        into = self.plan.removed.get(key)
        fate, reasons = self._fate(key)
        return FolderPreview(
            folder_id=key,
            name=folder.name,
            created_at=self._created(key),
            live=folder.live,
            parent_id=folder.parent,
            fate=fate,
            reasons=tuple(reasons),
            into=into,
            parent_after=None if into else self._parent_after(key),
            files=counts[self.file_table],
            files_after=0 if into else counts[self.file_table] + self._moved_files(self.groups.get(key)),
            linked_records={table: rows for table, rows in sorted(counts.items()) if table != self.file_table},
            differing_columns=tuple(self.forecaster.examiner.differences(self.decision, key)) if into else (),
        )

    def _fate(self, key: str) -> tuple[Fate, list[Reason]]:
        moving = []
        if key in self.moves:
            moving = [Reason.NESTED if self.moves[key].old_parent is None else Reason.PARENT_MERGED]
        if key in self.groups:
            return Fate.SURVIVOR, [self._why(self.groups[key]), *moving]
        if key in self.plan.removed:
            roots = self.groups[self.plan.removed[key]].roots
            one_root = roots and conf.different_roots() != DifferentRootsPolicy.KEEP
            return Fate.MERGED, [Reason.ANOTHER_ROOT if one_root else Reason.SAME_NAME]
        if moving:
            return Fate.MOVED, moving
        if key in self.left_alone:
            return Fate.LEFT_ALONE, [Reason.UNREACHABLE]
        return Fate.KEPT, [] if self.folders[key].live else [Reason.NOT_LIVE]

    def _why(self, group: Group) -> Reason:
        if any(self._rank(removed) < self._rank(group.survivor) for removed in group.removed):
            return Reason.ALREADY_THERE
        policy = conf.survivor()
        if policy == SurvivorPolicy.NEWEST:
            return Reason.NEWEST if self.has_times else Reason.CHOSEN
        if policy == SurvivorPolicy.FULLEST:
            return Reason.FULLEST
        if conf.survivor_function() is not None:
            return Reason.CHOSEN
        if conf.survivor_column() is not None and group.roots and self._has_older(group):
            return Reason.NAMED
        return Reason.OLDEST if self.has_times else Reason.LOWEST_KEY

    def _has_older(self, group: Group) -> bool:
        """Return whether a folder is older than the survivor, or, without times, has a lower key."""
        return min((group.survivor, *group.removed), key=self._age) != group.survivor

    def _age(self, key: str) -> tuple[bool, datetime, str]:
        created = self._created(key)
        return created is None, created or datetime.max.replace(tzinfo=UTC), key

    def _group(self, group: Group) -> GroupPreview:
        every = sum((self.rows.get(key, Counter()) for key in group.removed), Counter[str]())
        return GroupPreview(
            survivor_id=group.survivor,
            name=self.folders[group.survivor].name,
            roots=group.roots,
            parent_id=group.parent,
            removed=group.removed,
            files_moved=every[self.file_table],
            linked_records_moved=every.total() - every[self.file_table],
            reason=self._why(group),
        )

    def _moved_files(self, group: Group | None) -> int:
        return sum(self.rows.get(key, Counter())[self.file_table] for key in group.removed) if group else 0

    def _created(self, key: str) -> datetime | None:
        cell = self.folders[key].cells[-1] if self.has_times else None
        if cell is None:
            return None
        try:
            moment = datetime.fromisoformat(self.forecaster.targets.backend.cells.cell_text(cell))
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
