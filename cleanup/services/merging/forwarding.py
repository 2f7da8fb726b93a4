"""Where removed folders went, followed through later merges."""

from collections.abc import Sequence
from typing import Any

from cleanup.backends.catalogue import Column
from cleanup.folder_tables import FolderTables
from cleanup.models import RemovedFolder, RollbackPoint
from cleanup.references.key_types import padded_length


class Forwarding:
    """The forwarding addresses of live rollback points on one database."""

    def __init__(self, *, using: str, tables: FolderTables, folder_key: Column) -> None:
        self.using = using
        self.tables = tables
        self.folder_key = folder_key

    def ends(self, addresses: Sequence[tuple[str, str]]) -> dict[str, str]:
        """Return where removed folders lead to in the end, given with their survivors: those that are still gone."""
        ends = self._ends({survivor for _, survivor in addresses})
        there = self._existing({folder for folder, _ in addresses} | set(ends.values()))
        return {
            folder: ends[survivor] for folder, survivor in addresses if folder not in there and ends[survivor] in there
        }

    def _ends(self, keys: set[str]) -> dict[str, str]:
        """Follow survivors that a later cleanup has removed."""
        ends = {key: key for key in keys}
        while True:
            further: dict[str, str] = dict(
                RemovedFolder.objects.using(self.using)
                .filter(folder_key__in=set(ends.values()), point__status=RollbackPoint.Status.LIVE)
                .values_list("folder_key", "survivor_key")
            )
            if not further:
                return ends
            ends = {key: further.get(end, end) for key, end in ends.items()}

    def _existing(self, keys: set[str]) -> set[str]:
        folders: Any = self.tables.folder._base_manager.using(self.using)
        key, padded = self.tables.folder_key, padded_length(self.folder_key) is not None
        found = folders.filter(pk__in=keys).values_list("pk", flat=True)
        return {key.text(value.rstrip(" ") if padded else value) for value in found}
