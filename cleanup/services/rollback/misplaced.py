"""Ensure that an undo creates no new findings: nothing lies in a different application from its folder.

Duplicates come back, which is what undoing a merge means; the undo itself checks for folders that have lost their path
to a root.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from cleanup.backends import Database
from cleanup.backends.folders import Looseness
from cleanup.backends.misplaced import MisplacedSql
from cleanup.exceptions import WouldMisplace
from cleanup.folder_tables import FolderTables


class Misplaced:
    """Checks what was just undone on one database."""

    def __init__(self, *, backend: Database, tables: FolderTables, loose_files: Looseness) -> None:
        self.backend = backend
        self.labels = {"folders": tables.folder_table, "files": tables.file.table if tables.file else ""}
        self.sql = MisplacedSql(backend.folders(tables, loose_files=loose_files))

    def refuse(self, applications: Mapping[int, str], *, nested: Mapping[str, str]) -> None:
        """Raise WouldMisplace if rows went back into a folder of another application, or to be a root folder there.

        ``applications`` are those of the points that were undone; ``nested`` those of the folders that were nested.
        """
        if self.sql.sql.tables.inherits:  # what lies in a folder is of that folder's application
            return
        found: defaultdict[str, list[str]] = defaultdict(list)
        query = self.sql.misplaced(sorted(applications))
        for _, kind, key in self.backend.fetch(query):
            found[kind].append(key)
        for kind, keys in sorted(found.items()):
            problem = f"put {len(keys)} rows of {self.labels[kind]} into a folder of another application, {min(keys)}"
            raise WouldMisplace(problem=problem)
        if nested:
            self._refuse_roots(nested)

    def _refuse_roots(self, nested: Mapping[str, str]) -> None:
        keys: Sequence[str] = sorted(nested)
        query = self.sql.root_owners(keys)
        strange = [key for key, owner in self.backend.fetch(query) if owner != nested[key]]
        if strange:
            problem = f"make {len(strange)} folders root folders of another application, {min(strange)}"
            raise WouldMisplace(problem=problem)
