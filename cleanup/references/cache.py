"""References for what is only shown: those that were discovered a moment ago will do.

A run discovers for itself. Here a page saves the reading of the catalogue, for a few seconds, and is made anew where
the database has changed so that the statements of before fail.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError

from cleanup.references.description import ReferenceMap
from cleanup.references.readiness import circumstances, ready_references

#: For so long a database's tables are taken to be as they were.
SECONDS = 10

T = TypeVar("T")

#: When, and for which database and settings.
_known: dict[str, tuple[float, str, ReferenceMap]] = {}


def with_references(look: Callable[[ReferenceMap], T], *, using: str) -> T:
    """Return what ``look`` makes of a database's references; it must only read. Raises PreflightFailed."""
    where = circumstances(using)
    found, before, references = _known.get(using, (0.0, "", None))
    if references is not None and before == where and time.monotonic() - found < SECONDS:
        try:
            return look(references)
        except DatabaseError:  # for it may be that a table or a column has gone
            _known.pop(using, None)
    references = ready_references(using=using, probe="lately")
    _known[using] = time.monotonic(), where, references
    return look(references)
