"""Give an application the folders it should have: each once, however many callers ask for them at the same time.

Invariants: only the rows of that application are read; everything is done in one transaction, the caller's if there is
one; a caller whose transaction is rolled back leaves nothing behind, and the transaction of one that continues is
intact.

Note [Look, then lock]. Most calls find everything in place: two queries, no lock. Otherwise the application is locked
and read again, so that of two callers who saw nothing, the second sees what the first has created. The lock is kept to
the end of the transaction; the cleanup takes the same one. A host that creates folders without this lock may still come
first: if a constraint then refuses the second folder, the attempt is undone and repeated, and finds the first.

Note [Duplicates met]. They are merged first, if that is allowed and possible at once: in a savepoint, as a run with one
result and a rollback point. If not, the application is queued once the transaction has committed, and what is returned
is what would survive. A missing folder is created nevertheless: holds and the freeze only concern the cleanup.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any
from uuid import UUID

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connections, transaction
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce, Now

from cleanup import backends, conf
from cleanup.backends.pinning import batch, pinning
from cleanup.exceptions import (
    CleanupError,
    FolderNotCreated,
    ForeignParent,
    NoStructures,
    PreflightFailed,
    TooLarge,
    UnknownObject,
)
from cleanup.folder_tables import FolderTables, folder_tables
from cleanup.models import FreezeSwitch, Hold, QueuedApplication, RemovedFolder, Result, RollbackPoint, Run
from cleanup.planning import FolderRow, plan_merge
from cleanup.policies import DifferentRootsPolicy
from cleanup.references import ReferenceMap, cache, schema_changes
from cleanup.retry_limits import FOLDER_RETRIES, TRANSIENT_RETRIES
from cleanup.services.concurrency.retry import back_off
from cleanup.services.errors import classify
from cleanup.services.merging.new_folders import FolderMaker
from cleanup.services.merging.preference import ranked, ranks_folders
from cleanup.services.merging.targets import Targets
from cleanup.services.runs import lifecycle
from cleanup.services.runs.tasks import Claimed, CleanupTask

logger = logging.getLogger(__name__)

REASON = "before giving the application its folders"

_SERIALIZATION_FAILURE = "40001"


@dataclass(frozen=True, slots=True)
class FolderStructure:
    """An application's root folder and its standard folders."""

    application_id: str
    root_id: str
    folders: Mapping[str, str]
    """Id by name, in the order of CLEANUP_STANDARD_FOLDERS."""
    created: tuple[str, ...] = ()
    """Ids of those that were created, the root folder first."""
    rollback_id: UUID | None = None
    """The rollback point, if duplicates were merged first."""
    queued: bool = False
    """There are duplicates, which were left for the next cleanup."""


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """One folder, and where it is."""

    application_id: str
    folder_id: str
    parent_id: str
    """The folder it is in: after a merge, perhaps a different one from the one requested."""
    created: bool = False
    rollback_id: UUID | None = None
    queued: bool = False


def get_or_create_folder_structure(*, application_id: Any, using: str = "default") -> FolderStructure:
    """Return the application's root folder and its standard folders; missing ones are created.

    Raises InvalidKey, UnknownObject, MisconfiguredSetting, FolderNotCreated, and database errors: in a transaction of
    the caller lock conflicts, and serialization failures above READ COMMITTED; in one of its own, if they persist.
    """
    names = conf.standard_folders()
    found = _Request(using=using, application_id=application_id, names=names).answer()
    return FolderStructure(
        application_id=found.application,
        root_id=found.parent,
        folders=dict(zip(names, found.folders, strict=True)),
        created=found.created,
        rollback_id=found.rollback_id,
        queued=found.queued,
    )


def get_or_create_folder(
    *, application_id: Any, name: str, parent_id: Any = None, using: str = "default"
) -> FolderPlace:
    """Return the application's folder of that name in a folder, or in its root folder if none is given.

    Both are created if they are missing. An id of a folder that was merged away leads to its survivor. Raises as
    ``get_or_create_folder_structure`` does, and InvalidName and ForeignParent.
    """
    found = _Request(using=using, application_id=application_id, names=(name,), parent_id=parent_id).answer()
    (folder,) = found.folders
    return FolderPlace(
        application_id=found.application,
        folder_id=folder,
        parent_id=found.parent,
        created=folder in found.created,
        rollback_id=found.rollback_id,
        queued=found.queued,
    )


def resolve_folder(*, using: str, folder_id: Any) -> str | None:
    """Return the folder that a removed folder's id leads to now, following later merges; None if unknown.

    Raises InvalidKey.
    """
    key = folder_tables().folder_key.text(folder_id)
    target: str | None = None
    seen = {key}
    while True:
        step = (
            RemovedFolder.objects.using(using)
            .filter(folder_key=target or key)
            .exclude(point__status=RollbackPoint.Status.ROLLED_BACK)
            .order_by("-id")
            .first()
        )
        if step is None or step.survivor_key in seen:
            return target
        target = step.survivor_key
        seen.add(target)


@dataclass(frozen=True, slots=True)
class _Answer:
    application: str
    parent: str
    folders: tuple[str, ...]
    created: tuple[str, ...] = ()
    rollback_id: UUID | None = None
    queued: bool = False


@dataclass(frozen=True, slots=True)
class _Obstacle:
    """Why duplicates are left as they are."""

    code: str
    message: str = ""
    refused: bool = False
    """It will not go away until a person does something about it."""


class _SetAside(Exception):
    """Undoes the savepoint of a merge that failed."""

    def __init__(self, obstacle: _Obstacle) -> None:
        super().__init__()
        self.obstacle = obstacle


class _Forest:
    """The folders of an application as they are, or, if a merge is due, as they would be after it."""

    def __init__(self, rows: Sequence[FolderRow], *, size: int, root_name: str | None) -> None:
        """Take the application's folders; ``root_name`` is None if a root folder of any name will do."""
        plan = plan_merge(rows, different_roots=conf.different_roots())
        self.size = size
        self.has_duplicates = plan.refused or not plan.empty
        if plan.refused:
            plan = plan_merge(rows)
        moved = {move.folder: move.new_parent for move in plan.moves}
        self.survivors = plan.removed
        self.root: str | None = None
        self.live: set[str] = set()
        self.children: dict[tuple[str, str], str] = {}
        for row in sorted(rows, key=lambda row: row.age):
            if not row.live:
                continue
            self.live.add(row.key)
            if row.key in plan.removed:
                continue
            parent = moved.get(row.key, row.parent)
            if parent is None:
                if root_name is None or row.name == root_name:
                    self.root = self.root or row.key
            else:
                self.children.setdefault((parent, row.name), row.key)


class _Request:
    """Folders with given names in one folder of an application: the named one, or the root folder."""

    def __init__(self, *, using: str, application_id: Any, names: Sequence[str], parent_id: Any = None) -> None:
        self.using = using
        self.connection = connections[using]
        self.backend = backends.database(using=using)
        self.tables: FolderTables = folder_tables()
        if not self.tables.takes_structures:
            raise NoStructures
        self.application = self.tables.application_key.text(application_id)
        self.parent = None if parent_id is None else self.tables.folder_key.text(parent_id)
        self.names = tuple(names)
        self.maker = FolderMaker(using=using, tables=self.tables, application=self.application)
        for name in names:
            self.maker.refuse_name(name)

    def answer(self) -> _Answer:
        """See Note [Look, then lock]."""
        # With the caller's session settings, to need only two queries: no value here depends on them.
        forest = self._look()
        found = self._found(forest)
        if found is not None and not forest.has_duplicates:
            return found
        if found is not None and (obstacle := self._obstacle(forest)):
            self._queue(obstacle)
            return _Answer(self.application, found.parent, found.folders, queued=True)
        with pinning(using=self.using):
            return self._settle_patiently()

    def _settle_patiently(self) -> _Answer:
        is_own = self.connection.get_autocommit()
        attempt = 0
        while True:
            try:
                with transaction.atomic(using=self.using):
                    return self._settle()
            except (IntegrityError, DataError) as error:
                if attempt >= FOLDER_RETRIES or isinstance(error, DataError):
                    problem = classify(error).message
                    raise FolderNotCreated(application_id=self.application, problem=problem) from error
            except (DatabaseError, InterfaceError) as error:
                if not is_own or attempt >= TRANSIENT_RETRIES or classify(error).kind != "transient":
                    raise
                self.connection.close_if_unusable_or_obsolete()
                back_off(attempt)
            attempt += 1

    def _settle(self) -> _Answer:
        self.backend.reading.serialize(self.tables, self.application)
        forest = self._look()
        rollback_id, obstacle = None, None
        if forest.has_duplicates:
            obstacle = self._obstacle(forest)
            if obstacle is None:
                rollback_id, obstacle = self._merge()
            if obstacle is None:
                forest = self._look()
            else:
                self._queue(obstacle)
        created = self._make_missing(forest)
        found = self._found(forest)
        assert found is not None  # noqa: S101  # they were made
        return _Answer(self.application, found.parent, found.folders, created, rollback_id, queued=obstacle is not None)

    # Reading.

    def _look(self) -> _Forest:
        """Read the application's folders, or, if it is large, those near the root and the parent: two queries.

        Raises UnknownObject and ForeignParent.
        """
        size = self._size()
        if size is None:
            raise UnknownObject(what="application", key=self.application)
        forest = self._read(size)
        if self.parent is not None and self.parent not in forest.live:
            survivor = resolve_folder(using=self.using, folder_id=self.parent)
            if survivor is None:
                raise self._wrong_parent(self.parent)
            self.parent = survivor
            forest = self._read(size)
            if survivor not in forest.live:
                raise self._wrong_parent(survivor)
        return forest

    def _size(self) -> int | None:
        application = conf.folder_fields()["application"]
        folders = self.tables.folder._base_manager.using(self.using).filter(**{application: OuterRef("pk")})
        counted = folders.order_by().values(application).annotate(folders=Count("pk")).values("folders")
        applications = self.tables.application._base_manager.using(self.using).filter(pk=self.application)
        size: int | None = applications.values_list(Coalesce(Subquery(counted), 0), flat=True).first()
        return size

    def _read(self, size: int) -> _Forest:
        near = None
        if size > conf.large_application():
            near = [] if self.parent is None else [self.parent]
        folders = dict(self.backend.reading.read_folders(self.tables, [self.application], lock=False, near=near))
        rows = self._ranked(folders.get(self.application, []), near=near)
        return _Forest(rows, size=size, root_name=self._root_name)

    def _ranked(self, rows: list[FolderRow], *, near: Sequence[str] | None) -> list[FolderRow]:
        """Rank duplicates as a cleanup would, if the database's order does not tell; if that is possible now."""
        if not ranks_folders() or plan_merge(rows).empty:
            return rows

        def rank(references: ReferenceMap) -> list[FolderRow]:
            targets = Targets(using=self.using, references=references)
            columns = targets.copied_columns
            read = self.backend.reading.read_folders(
                self.tables, [self.application], lock=False, columns=columns, near=near
            )
            return dict(ranked(read, targets)).get(self.application, [])

        try:
            return cache.with_references(rank, using=self.using)
        except PreflightFailed:
            return rows

    @cached_property
    def _root_name(self) -> str | None:
        """Return what the root folder must be named, if it is one of several names that stay side by side."""
        if conf.different_roots() != DifferentRootsPolicy.KEEP or self.parent is not None:
            return None
        return self.maker.root_name()

    def _wrong_parent(self, parent: str) -> CleanupError:
        if self.tables.folder._base_manager.using(self.using).filter(pk=parent).exists():
            return ForeignParent(folder_id=parent, application_id=self.application)
        return UnknownObject(what="folder", key=parent)

    def _home(self, forest: _Forest) -> str | None:
        if self.parent is None:
            return forest.root
        return forest.survivors.get(self.parent, self.parent)

    def _found(self, forest: _Forest) -> _Answer | None:
        home = self._home(forest)
        if home is None:
            return None
        folders = tuple(forest.children.get((home, name)) for name in self.names)
        present = tuple(folder for folder in folders if folder is not None)
        return _Answer(self.application, home, present) if len(present) == len(folders) else None

    # Creating.

    def _make_missing(self, forest: _Forest) -> tuple[str, ...]:
        created = []
        home = self._home(forest)
        if home is None:
            home = forest.root = self.maker.make(conf.root_folder(), None)
            created.append(home)
        for name in self.names:
            if (home, name) not in forest.children:
                forest.children[home, name] = self.maker.make(name, home)
                created.append(forest.children[home, name])
        for hook in conf.tree_hooks() if created else ():
            hook(using=self.using, application_ids=[self.application])
        return tuple(created)

    # Duplicates.

    def _obstacle(self, forest: _Forest) -> _Obstacle | None:
        """Return what prevents the duplicates from being merged here and now."""
        switch = FreezeSwitch.objects.using(self.using).frozen().first()
        if switch is not None:
            return _Obstacle("frozen", switch.reason)
        hold = Hold.objects.using(self.using).filter(application_key=self.application).first()
        if hold is not None:
            return _Obstacle("held", hold.reason)
        if forest.size > (limit := conf.large_application()):
            return _Obstacle(TooLarge.code, str(TooLarge(folders=forest.size, limit=limit)))
        tried = QueuedApplication.objects.using(self.using).filter(pk=self.application, refused=True).first()
        return None if tried is None else _Obstacle(tried.code, tried.message, refused=True)

    def _merge(self) -> tuple[UUID | None, _Obstacle | None]:
        """Merge in a savepoint, and return the rollback point or why it failed."""
        try:
            with transaction.atomic(using=self.using):
                ready = partial(schema_changes.ready, using=self.using, probe="lately")
                return schema_changes.retry_on_schema_change(self._merge_by, references=ready), None
        except _SetAside as aside:
            return None, aside.obstacle
        except (CleanupError, DatabaseError) as error:
            if getattr(error.__cause__, "sqlstate", None) == _SERIALIZATION_FAILURE:
                raise  # the snapshot is too old for anything that would follow
            found = classify(error)
            return None, _Obstacle(found.code, found.message, refused=found.kind != "transient")

    def _merge_by(self, references: ReferenceMap) -> UUID | None:
        with batch(self.backend, session_name="cleanup folders"):
            return self._consolidate(references)

    def _consolidate(self, references: ReferenceMap) -> UUID | None:
        run = lifecycle.create_cleanup(
            using=self.using,
            options=lifecycle.Options(applications=(self.application,)),
            actor=lifecycle.Actor(reason=REASON),
            exclusive=False,
        )
        (row,) = lifecycle.results_of(using=self.using, run=run)
        claimed = Claimed(row.pk, row.application_key)
        (outcome,) = CleanupTask(using=self.using, run=run, references=references).perform([claimed])
        if outcome.status != Result.Status.COMPLETED:
            refused = outcome.status == Result.Status.FAILED
            raise _SetAside(_Obstacle(outcome.error_code, outcome.error_message, refused=refused))
        Run.objects.using(self.using).filter(pk=run.pk).move_to(Run.Status.COMPLETED, started_at=Now(), ended_at=Now())
        lifecycle.results_of(using=self.using, run=run).update(
            **outcome.as_fields(), attempts=1, started_at=Now(), ended_at=Now()
        )
        return RollbackPoint.objects.using(self.using).filter(results__run=run).values_list("uuid", flat=True).first()

    def _queue(self, obstacle: _Obstacle) -> None:
        """Queue the application after the commit, when waiting for others who queue it cannot block the caller."""
        logger.info("application %s: duplicates are left to the next cleanup: %s", self.application, obstacle.code)
        write = partial(_enqueue, using=self.using, application=self.application, obstacle=obstacle)
        with transaction.atomic(using=self.using, savepoint=False):  # also for callers who commit by hand
            transaction.on_commit(write, using=self.using, robust=True)


def _enqueue(*, using: str, application: str, obstacle: _Obstacle) -> None:
    with pinning(using=using):
        _write_queued(using=using, application=application, obstacle=obstacle)


def _write_queued(*, using: str, application: str, obstacle: _Obstacle) -> None:
    queued = QueuedApplication.objects.using(using).filter(pk=application, code=obstacle.code)
    if queued.exists():  # the usual case on every further call
        return
    QueuedApplication.objects.using(using).bulk_create(
        [
            QueuedApplication(
                application_key=application, code=obstacle.code, message=obstacle.message, refused=obstacle.refused
            )
        ],
        update_conflicts=True,
        unique_fields=["application_key"],
        update_fields=["code", "message", "refused"],
    )
