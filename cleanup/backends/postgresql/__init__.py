"""PostgreSQL, room by room."""

from cleanup.backends import database
from cleanup.backends.postgresql.catalogue import Catalogue
from cleanup.backends.postgresql.collisions import Collisions
from cleanup.backends.postgresql.findings import FindingSql
from cleanup.backends.postgresql.folders import FolderSql
from cleanup.backends.postgresql.guards import GuardSql
from cleanup.backends.postgresql.merging import Merging
from cleanup.backends.postgresql.pressure import pressure
from cleanup.backends.postgresql.probes import ProbeSql
from cleanup.backends.postgresql.reading import Reading
from cleanup.backends.postgresql.samples import SampleSql
from cleanup.backends.postgresql.server import Server
from cleanup.backends.postgresql.session import Session
from cleanup.backends.postgresql.undoing import Undoing


class Database(Session, database.Database):
    """One connection to PostgreSQL."""

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
