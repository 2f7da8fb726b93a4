"""How much space a file has."""

from cleanup.backends.pressure import Load
from cleanup.backends.server import Server


def pressure(server: Server) -> Load:
    """Return the current figures."""
    free = server.free_bytes()
    return Load(free_disk_mb=None if free is None else free / 1048576)
