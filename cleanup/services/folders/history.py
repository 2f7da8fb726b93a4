"""What happened to a folder: which cleanup merged it, into what, whether that was undone, and where it is now."""

from collections.abc import Iterable
from dataclasses import dataclass

from cleanup import queries
from cleanup.exceptions import InvalidKey
from cleanup.folder_tables import folder_tables
from cleanup.models import RemovedFolder, RollbackPoint
from cleanup.models.operations import NAME_LENGTH
from cleanup.services.folders import applications
from cleanup.text_safety import is_storable

#: Events on a page.
MOST_FOUND = 50
#: Events counted.
MOST_COUNTED = 1_000
#: Merges that are followed from one survivor to the next.
MOST_GENERATIONS = 5


@dataclass(frozen=True, slots=True)
class FolderEvent:
    """One merge of one folder into another."""

    folder_id: str
    name: str
    survivor_id: str
    survivor_name: str | None
    """None: it no longer exists."""
    now_in_id: str | None
    """Where later merges led; None if they led nowhere else, or it was undone."""
    point: RollbackPoint

    @property
    def undone(self) -> bool:
        """Return whether the folder came back."""
        return self.point.status == RollbackPoint.Status.ROLLED_BACK


@dataclass(frozen=True, slots=True)
class LiveFolder:
    """A folder that exists."""

    folder_id: str
    name: str
    application_id: str


@dataclass(frozen=True, slots=True)
class FolderHistory:
    """What is known about an id or a name."""

    present: LiveFolder | None
    """The folder with that id, if it exists."""
    events: tuple[FolderEvent, ...]
    """Newest first."""
    number: int = 0
    """Events in all, counted up to ``MOST_COUNTED``."""


def folder_history(*, using: str, text: str, application: str = "", page: int = 1) -> FolderHistory:
    """Return a page of what is known about a folder's old id, or about folders whose names contained a text.

    ``application``: only those in applications that a search for it finds.
    """
    text = text.strip()
    removed = RemovedFolder.objects.using(using).select_related("point", "point__run").order_by("-id")
    try:
        key = folder_tables().folder_key.text(text)
    except InvalidKey:
        key = ""
    if application.strip():
        removed = removed.filter(point__application_key__in=applications.find(using=using, text=application))
    hits = removed.filter(folder_key=key) if key else removed.none()
    if is_storable(text) and not hits.exists():
        hits = removed.filter(name__icontains=text[:NAME_LENGTH])
    number = hits.order_by()[:MOST_COUNTED].count()
    start = (max(1, page) - 1) * MOST_FOUND
    found = list(hits[start : start + MOST_FOUND]) if start < number else []
    names = _names(using=using, keys={row.survivor_key for row in found} | ({key} if key else set()))
    present = LiveFolder(key, *names[key]) if key in names else None
    places = _places(using=using, keys={row.survivor_key for row in found})
    return FolderHistory(present, tuple(_event(row, names, places) for row in found), number)


def _places(*, using: str, keys: set[str]) -> dict[str, str]:
    """Return where survivors are that were later merged themselves, by key; a query for each generation of merges."""
    places = {key: key for key in keys}
    open_keys = set(keys)
    for _ in range(MOST_GENERATIONS):
        rows = RemovedFolder.objects.using(using).filter(folder_key__in=open_keys).order_by("id")
        steps = dict(
            rows.exclude(point__status=RollbackPoint.Status.ROLLED_BACK).values_list("folder_key", "survivor_key")
        )
        if not steps:
            break
        places = {key: steps.get(place, place) for key, place in places.items()}
        open_keys = set(steps.values())
    return places


def _event(row: RemovedFolder, names: dict[str, tuple[str, str]], places: dict[str, str]) -> FolderEvent:
    undone = row.point.status == RollbackPoint.Status.ROLLED_BACK
    now_in = None if undone else places[row.survivor_key]
    return FolderEvent(
        folder_id=row.folder_key,
        name=row.name,
        survivor_id=row.survivor_key,
        survivor_name=names[row.survivor_key][0] if row.survivor_key in names else None,
        now_in_id=now_in if now_in != row.survivor_key else None,
        point=row.point,
    )


def _names(*, using: str, keys: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return name and application of existing folders, by key."""
    tables = folder_tables()
    fields = {field.column: field.attname for field in tables.folder._meta.concrete_fields}
    wanted = tables.folder_key.texts(keys)
    rows = tables.folder._base_manager.using(using).filter(pk__in=wanted).values_list("pk", fields[tables.folder_name])
    owners = queries.applications_of(using=using, folders=wanted)
    text = tables.folder_key.text
    return {text(key): (str(name), owners.get(text(key), "")) for key, name in rows}
