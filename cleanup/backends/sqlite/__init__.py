"""SQLite, room by room."""

from django.db.backends.base.base import BaseDatabaseWrapper

from cleanup.backends import database
from cleanup.backends.catalogue import Table, TableName
from cleanup.backends.folders import FolderSql as AnyFolderSql
from cleanup.backends.folders import Looseness
from cleanup.backends.pressure import Load
from cleanup.backends.probes import KeyKind
from cleanup.backends.sqlite.catalogue import Catalogue
from cleanup.backends.sqlite.collisions import Collisions
from cleanup.backends.sqlite.findings import FindingSql
from cleanup.backends.sqlite.folders import FolderSql
from cleanup.backends.sqlite.guards import GuardSql
from cleanup.backends.sqlite.merging import Merging
from cleanup.backends.sqlite.pressure import pressure
from cleanup.backends.sqlite.probes import ProbeSql
from cleanup.backends.sqlite.reading import Reading
from cleanup.backends.sqlite.samples import SampleSql
from cleanup.backends.sqlite.server import Server
from cleanup.backends.sqlite.session import Session
from cleanup.backends.sqlite.undoing import Undoing
from cleanup.folder_tables import FolderTables


class Database(Session, database.Database):
    """One connection to SQLite."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        self.catalogue = Catalogue(connection)
        self.server = Server(self)
        self.reading = Reading(self)
        self.merging = Merging(self)
        self.undoing = Undoing(self)
        self.collisions = Collisions(self)

    def folders(self, tables: FolderTables, *, loose_files: Looseness = "") -> FolderSql:
        return FolderSql(self, tables, loose_files=loose_files)

    def findings(self, tables: FolderTables, *, loose_files: Looseness = "") -> FindingSql:
        return FindingSql(self, tables, loose_files=loose_files)

    def guards(
        self, tables: FolderTables, *, folders: TableName, files: TableName, loose_files: Looseness = ""
    ) -> GuardSql:
        return GuardSql(self, tables, folders=folders, files=files, loose_files=loose_files)

    def probes(self, folders: TableName, key: str, kind: KeyKind, *, spelled: bool) -> ProbeSql:
        return ProbeSql(self.connection, folders, key, kind, spelled=spelled)

    def samples(self, sql: AnyFolderSql, table: Table) -> SampleSql:
        return SampleSql(sql, table)

    def pressure(self) -> Load:
        return pressure(Server(self))
