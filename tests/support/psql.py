"""psql for the tests: the system's, or the one that comes with the server that the tests start."""

import shutil
from pathlib import Path

from tests import pgserver


def find() -> Path:
    """Return the program.

    Raises:
        NoPostgreSQLError: there is none.

    """
    beside = pgserver.find_binaries() / "psql"
    if beside.exists():
        return beside
    if found := shutil.which("psql"):
        return Path(found)
    raise pgserver.NoPostgreSQLError("There is no psql. Install it (apt-get install postgresql-client).")
