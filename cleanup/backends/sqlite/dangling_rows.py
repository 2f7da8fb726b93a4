"""On SQLite, let migrate ignore rows of other tables that already dangle.

After each migration Django checks the foreign keys of every row in the file, and fails at the first one that dangles:
in whichever table, and however old. SQLite leaves foreign keys off unless each connection asks for them, so that old
databases have such rows, and they could not be adopted. A table that is sound before a migrate is checked as usual.
"""

from collections.abc import Iterable
from typing import Any

from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

_OVERRIDE = "check_constraints"


def tolerate(*, using: str, **_: Any) -> None:
    """Leave the tables that are unsound now out of what Django checks on this connection until the migrate ends."""
    connection = connections[using]
    tolerate_no_more(using=using)
    if connection.vendor != "sqlite" or not (unsound := _unsound_tables(connection)):
        return
    check = connection.check_constraints

    def check_the_others(table_names: Iterable[str] | None = None) -> None:
        names = connection.introspection.table_names() if table_names is None else table_names
        check([name for name in names if name not in unsound])

    vars(connection)[_OVERRIDE] = check_the_others


def tolerate_no_more(*, using: str, **_: Any) -> None:
    """Make Django check every table again."""
    vars(connections[using]).pop(_OVERRIDE, None)


def _unsound_tables(connection: BaseDatabaseWrapper) -> set[str]:
    """Return the tables with a row that dangles, or with a foreign key that cannot be checked at all."""
    unsound = set()
    for table in connection.introspection.table_names():
        with connection.cursor() as cursor:
            try:
                cursor.execute(f"PRAGMA foreign_key_check({connection.ops.quote_name(table)})")
                dangles = cursor.fetchone() is not None
            except OperationalError:  # it names a column that does not exist, or is not unique
                dangles = True
        if dangles:
            unsound.add(table)
    return unsound
