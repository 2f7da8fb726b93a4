"""Everything that can be done with one database, room by room.

A room is imported and created when it is first used: capabilities are queried far more often than anything is read or
written, and a command that only looks needs none of the statements that merge and undo.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils.module_loading import import_string

from cleanup.backends.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from cleanup.backends.catalogue import Catalogue, Table, TableName
    from cleanup.backends.collisions import CollisionSql
    from cleanup.backends.findings import FindingSql
    from cleanup.backends.folders import FolderSql, Looseness
    from cleanup.backends.guards import GuardSql
    from cleanup.backends.lists import Lists
    from cleanup.backends.merging import Merging
    from cleanup.backends.pressure import Load
    from cleanup.backends.probes import KeyKind, ProbeSql
    from cleanup.backends.reading import Reading
    from cleanup.backends.samples import SampleSql
    from cleanup.backends.scripting import Script
    from cleanup.backends.server import Server
    from cleanup.backends.undoing import Undoing
    from cleanup.backends.worklist import Worklist
    from cleanup.folder_tables import FolderTables


def _room(name: str) -> Any:
    """Return the property that is the room, in a module of the kind's package, of that name."""
    return cached_property(lambda database: database._in_package(name)(database))


class Database(Session):
    """One connection's database."""

    package: ClassVar[str]
    """Where the rooms of its kind of database are: in modules, and under names, like those of their base classes."""

    server: Server = _room("server.Server")
    """The server's description of itself."""
    reading: Reading = _room("reading.Reading")
    """Locks and reads of the mapped tables."""
    merging: Merging = _room("merging.Merging")
    """Journaled writes."""
    undoing: Undoing = _room("undoing.Undoing")
    """Undo of what is journaled."""
    lists: Lists = _room("lists.Lists")
    """Arrays of folder keys, if the database has arrays."""
    collisions: CollisionSql = _room("collisions.Collisions")
    """Rows that would meet in a rule of their table."""

    @cached_property
    def worklist(self) -> Worklist:
        """Results and totals of runs."""
        worklist: type[Worklist] = import_string("cleanup.backends.worklist.Worklist")
        return worklist(self)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The database's description of tables."""
        catalogue: type[Catalogue] = self._in_package("catalogue.Catalogue")
        return catalogue(self.connection)

    def folders(self, tables: FolderTables, *, loose_files: Looseness = "") -> FolderSql:
        """Return the reads of duplicates."""
        folders: type[FolderSql] = self._in_package("folders.FolderSql")
        return folders(self, tables, loose_files=loose_files)

    def findings(self, tables: FolderTables, *, loose_files: Looseness = "") -> FindingSql:
        """Return the statements of verification."""
        findings: type[FindingSql] = self._in_package("findings.FindingSql")
        return findings(self, tables, loose_files=loose_files)

    def guards(
        self, tables: FolderTables, *, folders: TableName, files: TableName | None, loose_files: Looseness = ""
    ) -> GuardSql:
        """Return the guards as SQL."""
        guards: type[GuardSql] = self._in_package("guards.GuardSql")
        return guards(self, tables, folders=folders, files=files, loose_files=loose_files)

    def probes(self, folders: TableName, key: str, kind: KeyKind, *, spelled: bool) -> ProbeSql:
        """Return the probes of samples of columns."""
        probes: type[ProbeSql] = self._in_package("probes.ProbeSql")
        return probes(self, folders, key, kind, spelled=spelled)

    def samples(self, sql: FolderSql, table: Table) -> SampleSql:
        """Return the samples of the folder table's values."""
        samples: type[SampleSql] = self._in_package("samples.SampleSql")
        return samples(sql, table)

    def script(self, write: Callable[[str], object]) -> Script:
        """Return an undo as a script, which is written in pieces."""
        script: type[Script] = self._in_package("scripting.Script")
        return script(self, write)

    def pressure(self) -> Load:
        """Return how busy the database is."""
        pressure: Callable[[Server], Load] = self._in_package("pressure.pressure")
        return pressure(self.server)

    def _in_package(self, name: str) -> Any:
        return import_string(f"{self.package}.{name}")
