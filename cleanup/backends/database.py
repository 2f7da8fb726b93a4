"""What one database can be asked and told, room by room."""

from abc import ABC, abstractmethod

from cleanup.backends.catalogue import Catalogue, Table, TableName
from cleanup.backends.collisions import CollisionSql
from cleanup.backends.findings import FindingSql
from cleanup.backends.folders import FolderSql, Looseness
from cleanup.backends.guards import GuardSql
from cleanup.backends.merging import Merging
from cleanup.backends.pressure import Load
from cleanup.backends.probes import KeyKind, ProbeSql
from cleanup.backends.reading import Reading
from cleanup.backends.samples import SampleSql
from cleanup.backends.server import Server
from cleanup.backends.session import Session
from cleanup.backends.undoing import Undoing
from cleanup.folder_tables import FolderTables


class Database(Session, ABC):
    """One connection's database."""

    catalogue: Catalogue
    server: Server
    reading: Reading
    merging: Merging
    undoing: Undoing
    collisions: CollisionSql

    @abstractmethod
    def folders(self, tables: FolderTables, *, loose_files: Looseness = "") -> FolderSql:
        """Return the reads of duplicates."""

    @abstractmethod
    def findings(self, tables: FolderTables, *, loose_files: Looseness = "") -> FindingSql:
        """Return the statements of verification."""

    @abstractmethod
    def guards(
        self, tables: FolderTables, *, folders: TableName, files: TableName, loose_files: Looseness = ""
    ) -> GuardSql:
        """Return the guards as SQL."""

    @abstractmethod
    def probes(self, folders: TableName, key: str, kind: KeyKind, *, spelled: bool) -> ProbeSql:
        """Return the looks at samples of columns."""

    @abstractmethod
    def samples(self, sql: FolderSql, table: Table) -> SampleSql:
        """Return the looks at the folder table's values."""

    @abstractmethod
    def pressure(self) -> Load:
        """Return how busy the database is."""
