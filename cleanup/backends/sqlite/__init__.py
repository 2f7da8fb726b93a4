"""SQLite, room by room."""

from cleanup.backends import database
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


class Database(Session, database.Database):
    """One connection to SQLite."""

    rooms = database.Rooms(
        catalogue=Catalogue,
        server=Server,
        reading=Reading,
        merging=Merging,
        undoing=Undoing,
        collisions=Collisions,
        folders=FolderSql,
        findings=FindingSql,
        guards=GuardSql,
        probes=ProbeSql,
        samples=SampleSql,
        pressure=pressure,
    )
