"""What files and folders are called and where they are now, for people.

A query for each table, whatever the number of keys.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from cleanup import queries
from cleanup.folder_tables import FileTable, folder_tables
from cleanup.models import RemovedFolder


@dataclass(frozen=True, slots=True)
class Place:
    """One file or folder that exists."""

    name: str
    """Empty if it has none."""
    inside: tuple[str, ...]
    """The folders that it lies in, outermost first; none if it lies in no folder that exists."""


@dataclass(frozen=True, slots=True)
class Places:
    """Files and folders by their keys; those that are missing do not exist."""

    folders: Mapping[str, Place]
    files: Mapping[str, Place]
    merged: Mapping[str, str]
    """Names of folders that do not exist, as they were when a cleanup merged them."""


def places(*, using: str, folders: Collection[str], files: Collection[str]) -> Places:
    """Return where the files and folders are now; keys that cannot be are left out."""
    tables = folder_tables()
    wanted = tables.folder_key.texts(folders)
    filed = _filed(tables.file, files, using=using) if tables.file else {}
    paths = queries.paths_of(
        using=using, folders=list({*wanted, *(folder for _, folder in filed.values() if folder is not None)})
    )
    gone = [key for key in wanted if key not in paths]
    return Places(
        folders={key: Place(paths[key][-1], paths[key][:-1]) for key in wanted if key in paths},
        files={key: Place(name, paths.get(folder or "", ())) for key, (name, folder) in filed.items()},
        merged=merged_names(using=using, folders=gone) if gone else {},
    )


def merged_names(*, using: str, folders: Collection[str]) -> dict[str, str]:
    """Return the names that folders had when a cleanup last merged them, by key."""
    removed = RemovedFolder.objects.using(using).filter(folder_key__in=folders).order_by("id")
    return dict(removed.values_list("folder_key", "name"))


def _filed(files: FileTable, keys: Iterable[str], *, using: str) -> dict[str, tuple[str, str | None]]:
    """Return name and folder of the files that exist."""
    fields = {field.column: field.attname for field in files.model._meta.concrete_fields}
    name = fields[files.name] if files.name else "pk"
    rows = files.model._base_manager.using(using).filter(pk__in=files.key.texts(keys))
    folder_key = folder_tables().folder_key
    return {
        files.key.text(key): (str(called or "") if files.name else "", next(iter(folder_key.texts([folder])), None))
        for key, called, folder in rows.values_list("pk", name, fields[files.folder])
    }
