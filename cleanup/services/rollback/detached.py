"""Ensure that an undo detaches no folder that a root folder led to before.

A missing parent, a cycle, a parent in another application: moves since the cleanup can cause these, and no foreign key
forbids them all.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from cleanup.backends import Database
from cleanup.exceptions import WouldDetach
from cleanup.folder_tables import FolderTables, Ownership
from cleanup.forests import Hierarchy
from cleanup.packing import UNKNOWN, Numbers


class Detached:
    """Checks the folders that no root leads to, on one database."""

    def __init__(self, *, backend: Database, tables: FolderTables) -> None:
        self.reading = backend.reading
        self.tables = tables
        self.derived = tables.ownership != Ownership.FOLDER
        """A folder is an application's because a root of it leads there."""

    def lock(self, applications: Sequence[str]) -> dict[str, Numbers]:
        """Lock applications and folders, and return the folders that no root leads to, by application."""
        ordered = sorted(set(applications))
        self.reading.lock_applications(self.tables, ordered)
        if self.derived:
            self.reading.lock_folders(self.tables, ordered)
            return {application: self._numbers() for application in ordered}
        return {application: self._numbers(folders) for application, folders in self._detached(ordered, lock=True)}

    def refuse(
        self,
        before: Mapping[str, Numbers],
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
            return
        for application, now in self._detached(list(before), lock=False, put_back=put_back):
            known = before[application]
            number, first = 0, ""
            for folder in now:
                if known.find(folder) == UNKNOWN:
                    number, first = number + 1, min(first or folder, folder)
            if number:
                raise WouldDetach(count=number, application_id=application, folder_id=first)

    def _detached(
        self, applications: Sequence[str], *, lock: bool, put_back: Mapping[str, set[str]] = MappingProxyType({})
    ) -> Iterator[tuple[str, Iterator[str]]]:
        """Yield the applications with the folders that no root leads to."""
        hierarchies = {application: Hierarchy(self._numbers()) for application in applications}
        # In pieces, few as they mostly are: nothing here tells how many there will be.
        for application, folder, parent in self.reading.read_parents(self.tables, applications, lock=lock, many=True):
            if application in hierarchies:  # it may be spelled in another way than the application itself
                wrong = put_back.get(application, ())
                as_root = folder in wrong or parent in wrong
                hierarchies[application].add(folder, None if as_root else parent)
        for application, hierarchy in hierarchies.items():
            yield application, hierarchy.detached()

    def _numbers(self, folders: Iterable[str] = ()) -> Numbers:
        numbers = self.reading.numbers(self.tables)
        for folder in folders:
            numbers.number(folder)
        return numbers
