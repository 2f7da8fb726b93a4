"""Deploys of the host during our work: each writer verifies that the tables are as it has read them.

Note [A deploy during a run]. References are read from the catalogue once, because that costs more than a batch may.
They carry a digest of the catalogue that is older than they are. Each transaction that merges or undoes begins by
locking the tables that it may write against changes of their definition, and compares the digest. If it differs,
nothing has been written yet: SchemaChanged ends the transaction, the references are read again, and the work is done
with these, or refused if something prevents it. So no folder is deleted while something refers to folders that the
journal does not know, and no image lacks a column.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from django.db import DatabaseError, OperationalError

from cleanup import backends
from cleanup.backends.catalogue import Table, TableName
from cleanup.backends.pinning import pinning, together
from cleanup.exceptions import PreflightFailed, SchemaChanged
from cleanup.references.comparison import changes
from cleanup.references.description import ReferenceMap
from cleanup.references.discovery import discover
from cleanup.references.problem import Problem
from cleanup.references.readiness import Probe, problems_of
from cleanup.retry_limits import SCHEMA_READS

logger = logging.getLogger(__name__)

T = TypeVar("T")

_LOCK_NOT_AVAILABLE = "55P03"

#: A table or a column is gone, or a table is a view now.
_GONE = ("3F000", "42P01", "42703", "42809")

#: The tables for which references were last read, by database: most likely the current ones.
_last_tables: dict[str, frozenset[TableName]] = {}


class TablesLocked(OperationalError):
    """A table is locked by a change of its definition, and our time to wait is over."""


def read(*, using: str) -> ReferenceMap:
    """Return the references with a digest of exactly the tables that they name, taken before they were read."""
    backend = backends.database(using=using)
    while True:
        tables = _last_tables.get(using, frozenset())
        with pinning(using=using), together(using=using):
            digest = backend.catalogue_digest(tables)
            references = discover(using=using)
        _last_tables[using] = frozenset(references.tables)
        if backend.digests_everything or tables == _last_tables[using]:
            return replace(references, catalogue_digest=digest)


def ready(*, using: str, probe: Probe) -> ReferenceMap:
    """Return references to write with; for ``probe`` see ``readiness``.

    Raises PreflightFailed if something could not be moved, and TablesLocked.
    """
    references, problems = examine(using=using, probe=probe)
    if problems:
        raise PreflightFailed(problems)
    return references


def examine(*, using: str, probe: Probe) -> tuple[ReferenceMap, list[Problem]]:
    """Return the references, and what prevents a run from moving them. Raises TablesLocked."""
    backend = backends.database(using=using)
    with _locks_recognised():
        for _ in range(SCHEMA_READS):
            references = read(using=using)
            problems = problems_of(references, using=using, probe=probe)
            # Rows of a table that was added in between would seem to refer to folders without a foreign key.
            if not problems or backend.catalogue_digest(references.tables) == references.catalogue_digest:
                break
    return references, problems


def hold(backend: backends.Database, references: ReferenceMap, *, written: Sequence[Table] | None = None) -> None:
    """Lock the tables that are written, by default all that a merge writes, against changes of their definition.

    Comes first in a transaction that writes. Raises SchemaChanged if the references are no longer correct, and
    TablesLocked.
    """
    written = references.written if written is None else written
    try:
        alone = [references.folders.name] if references.counts_through else ()
        with _locks_recognised():
            digest = backend.hold_catalogue(references.tables, written=written, alone=alone)
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", None) in _GONE:
            raise SchemaChanged from error
        raise
    if digest != references.catalogue_digest:
        raise SchemaChanged


@contextmanager
def _locks_recognised() -> Iterator[None]:
    """Raise TablesLocked for what the database says of a lock that was not given."""
    try:
        yield
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise TablesLocked(*error.args) from error.__cause__
        raise


def retry_on_schema_change(work: Callable[[ReferenceMap], T], *, references: Callable[[], ReferenceMap]) -> T:
    """Carry out a whole transaction with the current references, and again if tables were changed in the meantime.

    ``references`` reads them. Raises what it raises, and SchemaChanged if tables change over and over.
    """
    attempt = 1
    while True:
        try:
            return work(references())
        except SchemaChanged:
            if attempt == SCHEMA_READS:
                raise
            attempt += 1


def log_changes(before: ReferenceMap, after: ReferenceMap) -> str:
    """Log that tables were changed, and return in words what has changed; empty if that does not show here."""
    found = "; ".join(changes(before, after))
    told = found or "nothing that matters here"
    logger.warning("tables were changed in the meantime: %s", told, extra={"event": "schema_changed"})
    return found
