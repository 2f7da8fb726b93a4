"""Find a folder: which cleanup merged it, into what, whether that was undone, and where it is now.

By a key, or by a part of a name: the one it had when it was merged, or the one that a folder has now. What is read for
a page is bounded in rows and in time, however many folders there are; a page says where to go on.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from django.db.models import QuerySet

from cleanup import queries
from cleanup.exceptions import InvalidKey
from cleanup.folder_tables import folder_tables
from cleanup.models import RemovedFolder, RollbackPoint
from cleanup.models.operations import NAME_LENGTH
from cleanup.services.folders import applications
from cleanup.text_safety import is_storable

#: Merges on a page, and folders that exist.
MOST_FOUND = 25
#: Merges that are followed from one survivor to the next.
MOST_GENERATIONS = 3
#: Seconds spent on either list.
SECONDS = 0.08
#: Rows of the first step, and of the longest one; the time that the first took tells how long the second may be.
FIRST_STEP = 4_000
LONGEST_STEP = 100_000

Row = TypeVar("Row")
Place = TypeVar("Place", int, str)


@dataclass(frozen=True, slots=True)
class LiveFolder:
    """A folder that exists."""

    folder_id: str
    name: str
    inside: tuple[str, ...]
    """The folders that it lies in, outermost first."""
    application_id: str
    """Empty if it belongs to none."""


@dataclass(frozen=True, slots=True)
class FolderEvent:
    """One merge of one folder into another."""

    folder_id: str
    name: str
    survivor_id: str
    now: LiveFolder | None
    """Where it is now: the folder that stays, also after later merges, or itself if it came back; None: nowhere."""
    merged_again: bool
    """The folder that it was merged into, or that came back, was merged later."""
    point: RollbackPoint

    @property
    def undone(self) -> bool:
        """Return whether the folder came back."""
        return self.point.status == RollbackPoint.Status.ROLLED_BACK


@dataclass(frozen=True, slots=True)
class FolderHistory:
    """What is known about an id or a name."""

    present: tuple[LiveFolder, ...]
    """Folders that exist, in the order of their keys."""
    present_after: str | None
    """Look for further ones after this key; None: these are all."""
    events: tuple[FolderEvent, ...]
    """Newest first."""
    events_before: int | None
    """Look for earlier ones before this number; None: these are all."""
    is_continued: bool
    """Folders or merges that come before these were passed over."""


def folder_history(
    *, using: str, text: str, application: str = "", after: str = "", before: int | None = None
) -> FolderHistory:
    """Return what is known about a folder's id, or about folders whose names contain a text.

    ``application``: only those in applications that a search for it finds.
    """
    text = text.strip()
    key = _key(text)
    begin = _key(after)
    owners = applications.find(using=using, text=application) if application.strip() else None
    rows = list(_removed(using).filter(folder_key=key).order_by("-id")[:MOST_FOUND]) if key else []
    present, present_after, events_before = [key] if key else [], None, None
    ends = _ends(rows, using=using)
    folders = _live({*present, *ends.values()}, using=using)
    if not rows and not folders and is_storable(text):
        present, present_after = _present(text, owners, using=using, after=begin)
        rows, events_before = _merged(text[:NAME_LENGTH], owners, using=using, before=before)
        ends = _ends(rows, using=using)
        folders = _live({*present, *ends.values()}, using=using)
    return FolderHistory(
        tuple(folders[key] for key in present if key in folders),
        present_after,
        tuple(_event(row, ends[row.pk], folders) for row in rows),
        events_before,
        is_continued=bool(begin) or before is not None,
    )


def _key(text: str) -> str:
    try:
        return folder_tables().folder_key.text(text) if text else ""
    except InvalidKey:
        return ""


def _removed(using: str) -> QuerySet[RemovedFolder]:
    return RemovedFolder.objects.using(using).select_related("point", "point__run")


# Names, in steps.


def _present(text: str, owners: list[str] | None, *, using: str, after: str) -> tuple[list[str], str | None]:
    """Return keys of folders that have such a name now, and after which key there may be more."""
    if owners is not None:
        found = (
            queries.folders_named_within(
                using=using, text=text, applications=owners, after=after or None, limit=MOST_FOUND + 1
            )
            if owners
            else []
        )
        return found[:MOST_FOUND], found[MOST_FOUND - 1] if len(found) > MOST_FOUND else None

    def step(place: str | None, size: int, limit: int) -> tuple[list[str], str | None]:
        return queries.folders_named_among_next(using=using, text=text, after=place, size=size, limit=limit)

    found, end = _in_steps(step, after or None)
    return (found[:MOST_FOUND], found[MOST_FOUND - 1]) if len(found) > MOST_FOUND else (found, end)


def _merged(
    text: str, owners: list[str] | None, *, using: str, before: int | None
) -> tuple[list[RemovedFolder], int | None]:
    """Return merges of folders of such a name, newest first, and before which there may be more."""
    named = _removed(using).filter(name__icontains=text).order_by("-id")
    if owners is not None:
        points = RollbackPoint.objects.using(using).filter(application_key__in=owners)
        within = named.filter(point__in=points)
        found = list((within.filter(id__lt=before) if before else within)[: MOST_FOUND + 1])
        return found[:MOST_FOUND], found[MOST_FOUND - 1].pk if len(found) > MOST_FOUND else None
    newest = RemovedFolder.objects.using(using).order_by("-id").values_list("id", flat=True).first() or 0

    def step(place: int | None, size: int, limit: int) -> tuple[list[RemovedFolder], int | None]:
        start = newest + 1 if place is None else place
        end = start - size
        return list(named.filter(id__lt=start, id__gte=end)[:limit]), end if end > 1 else None

    found, end = _in_steps(step, before)
    return (found[:MOST_FOUND], found[MOST_FOUND - 1].pk) if len(found) > MOST_FOUND else (found, end)


def _in_steps(
    step: Callable[[Place | None, int, int], tuple[list[Row], Place | None]], place: Place | None
) -> tuple[list[Row], Place | None]:
    """Look in two steps for more than a page; the second is as long as time is left for, judged by the first."""
    begun = time.monotonic()
    found, end = step(place, FIRST_STEP, MOST_FOUND + 1)
    took = time.monotonic() - begun
    if end is None or len(found) > MOST_FOUND:
        return found, end
    size = int(FIRST_STEP * (SECONDS - took) / max(took, 0.001))
    if size < FIRST_STEP:
        return found, end
    further, end = step(end, min(size, LONGEST_STEP), MOST_FOUND + 1 - len(found))
    return found + further, end


# Where they are now.


def _ends(rows: Collection[RemovedFolder], *, using: str) -> dict[int, str]:
    """Return the key of the folder that each merge has led to, also through later ones.

    A merge that was undone led back to the folder itself. A query for each generation of merges.
    """
    starts = {row.pk: _start(row) for row in rows}
    places = {start: start for start in starts.values()}
    open_keys = set(places)
    for _ in range(MOST_GENERATIONS):
        later = RemovedFolder.objects.using(using).filter(folder_key__in=open_keys).order_by("id")
        live = later.exclude(point__status=RollbackPoint.Status.ROLLED_BACK)
        steps = dict(live.values_list("folder_key", "survivor_key")) if open_keys else {}
        if not steps:
            break
        places = {key: steps.get(place, place) for key, place in places.items()}
        open_keys = set(steps.values())
    return {pk: places[start] for pk, start in starts.items()}


def _start(row: RemovedFolder) -> str:
    """Return the key of the folder that a merge by itself led to."""
    return row.folder_key if row.point.status == RollbackPoint.Status.ROLLED_BACK else row.survivor_key


def _live(keys: Collection[str], *, using: str) -> dict[str, LiveFolder]:
    """Return those of the folders that exist, by key."""
    wanted = folder_tables().folder_key.texts(keys)
    paths = queries.paths_of(using=using, folders=wanted)
    owners = queries.applications_of(using=using, folders=list(paths))
    return {key: LiveFolder(key, path[-1], path[:-1], owners.get(key, "")) for key, path in paths.items()}


def _event(row: RemovedFolder, end: str, folders: dict[str, LiveFolder]) -> FolderEvent:
    return FolderEvent(
        folder_id=row.folder_key,
        name=row.name,
        survivor_id=row.survivor_key,
        now=folders.get(end),
        merged_again=end != _start(row),
        point=row.point,
    )
