"""Ensure that an undo detaches no folder that a root folder led to before.

A missing parent, a cycle, a parent in another application: moves since the cleanup can cause these, and no foreign key
forbids them all.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from cleanup.backends import Database
from cleanup.exceptions import WouldDetach
from cleanup.folder_tables import FolderTables, Ownership
from cleanup.planning import detached


class Detached:
    """Checks the folders that no root leads to, on one database."""

    def __init__(self, *, backend: Database, tables: FolderTables) -> None:
        self.reading = backend.reading
        self.tables = tables
        self.derived = tables.ownership != Ownership.FOLDER

    def lock(self, applications: Sequence[str]) -> dict[str, set[str]]:
        """Lock applications and folders, and return the folders that no root leads to, by application."""
        ordered = sorted(set(applications))
        self.reading.lock_applications(self.tables, ordered)
        return self._detached(ordered, lock=True)

    def refuse(
        self,
        before: Mapping[str, set[str]],
        applications: Mapping[int, str],
        *,
        put_back: Mapping[str, set[str]],
    ) -> None:
        """Raise WouldDetach if no root leads to a folder that was not among those of ``before``.

        ``applications`` are those of the points that were undone, by their ids; ``put_back`` the folders, by
        application, that went back to where a repair had found them: no root need lead to what is below these.
        """
        if self.derived:  # what no root leads to is of no application; it hangs from what came back, which had a root
            query = self.reading.sql(self.tables).restored_without_root(sorted(applications))
            for point, folder, number in self.reading.fetch(query):
                raise WouldDetach(count=number, application_id=applications[point], folder_id=folder)
        for application, now in self._detached(list(before), lock=False, put_back=put_back).items():
            fresh = now - before[application]
            if fresh:
                raise WouldDetach(count=len(fresh), application_id=application, folder_id=min(fresh))

    def _detached(
        self, applications: Sequence[str], *, lock: bool, put_back: Mapping[str, set[str]] = MappingProxyType({})
    ) -> dict[str, set[str]]:
        folders: dict[str, list[tuple[str, str | None]]] = {}
        for application, folder, parent in self.reading.read_parents(self.tables, applications, lock=lock):
            wrong = put_back.get(application, ())
            as_root = folder in wrong or parent in wrong
            folders.setdefault(application, []).append((folder, None if as_root else parent))
        return {application: detached(folders.get(application, ())) for application in applications}
