"""References for what is only shown: recently discovered ones are good enough.

A run discovers them itself. Here a page avoids reading the catalogue again for a few seconds, and is repeated with
fresh references if the database has changed so that its statements fail.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError

from cleanup.references.description import ReferenceMap
from cleanup.references.readiness import circumstances, ready_references

#: How long a database's tables are assumed to be unchanged.
SECONDS = 10

T = TypeVar("T")

#: When they were read, and for which database and settings.
_known: dict[str, tuple[float, str, ReferenceMap]] = {}


def with_references(look: Callable[[ReferenceMap], T], *, using: str) -> T:
    """Return the result of ``look`` with a database's references; it must only read. Raises PreflightFailed."""
    where = circumstances(using)
    found, before, references = _known.get(using, (0.0, "", None))
    if references is not None and before == where and time.monotonic() - found < SECONDS:
        try:
            return look(references)
        except DatabaseError:  # because a table or a column may be gone
            _known.pop(using, None)
    references = ready_references(using=using, probe="lately")
    _known[using] = time.monotonic(), where, references
    return look(references)
