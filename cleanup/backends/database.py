"""Everything that can be done with one database, room by room.

A room is created when it is first used: capabilities are queried far more often than anything is read or written.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """The classes of one kind of database, in place of each base class."""

    catalogue: type[Catalogue]
    server: type[Server]
    reading: type[Reading]
    merging: type[Merging]
    undoing: type[Undoing]
    collisions: type[CollisionSql]
    folders: type[FolderSql]
    findings: type[FindingSql]
    guards: type[GuardSql]
    probes: type[ProbeSql]
    samples: type[SampleSql]
    pressure: Callable[[Server], Load]


class Database(Session):
    """One connection's database."""

    rooms: ClassVar[Rooms]

    @cached_property
    def catalogue(self) -> Catalogue:
        """The database's description of tables."""
        return self.rooms.catalogue(self.connection)

    @cached_property
    def server(self) -> Server:
        """The server's description of itself."""
        return self.rooms.server(self)

    @cached_property
    def reading(self) -> Reading:
        """Locks and reads of the mapped tables."""
        return self.rooms.reading(self)

    @cached_property
    def merging(self) -> Merging:
        """Journaled writes."""
        return self.rooms.merging(self)

    @cached_property
    def undoing(self) -> Undoing:
        """Undo of what is journaled."""
        return self.rooms.undoing(self)

    @cached_property
    def collisions(self) -> CollisionSql:
        """Rows that would meet in a rule of their table."""
        return self.rooms.collisions(self)

    def folders(self, tables: FolderTables, *, loose_files: Looseness = "") -> FolderSql:
        """Return the reads of duplicates."""
        return self.rooms.folders(self, tables, loose_files=loose_files)

    def findings(self, tables: FolderTables, *, loose_files: Looseness = "") -> FindingSql:
        """Return the statements of verification."""
        return self.rooms.findings(self, tables, loose_files=loose_files)

    def guards(
        self, tables: FolderTables, *, folders: TableName, files: TableName | None, loose_files: Looseness = ""
    ) -> GuardSql:
        """Return the guards as SQL."""
        return self.rooms.guards(self, tables, folders=folders, files=files, loose_files=loose_files)

    def probes(self, folders: TableName, key: str, kind: KeyKind, *, spelled: bool) -> ProbeSql:
        """Return the probes of samples of columns."""
        return self.rooms.probes(self, folders, key, kind, spelled=spelled)

    def samples(self, sql: FolderSql, table: Table) -> SampleSql:
        """Return the samples of the folder table's values."""
        return self.rooms.samples(sql, table)

    def pressure(self) -> Load:
        """Return how busy the database is."""
        return self.rooms.pressure(self.server)
