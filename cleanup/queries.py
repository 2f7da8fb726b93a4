"""The reads that runs, checks and verification start from: which applications have duplicates, and how many.

Invariants: nothing here writes or locks a row. Whole tables are read in ranges of applications, in key order, each in
a statement of its own; what a generator holds in memory is one range's answer. An application is affected exactly if
planning would change it, or refuse to.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from cleanup import backends
from cleanup.backends import application_names, folder_names
from cleanup.backends.folders import EVERY_ONE, Cleanable, FolderSql
from cleanup.backends.forest import Scope
from cleanup.backends.query import Query, block
from cleanup.exceptions import UnknownObject
from cleanup.folder_tables import folder_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

#: Applications in one statement. If there are no more than these, it reads the tables once from end to end.
APPLICATIONS_PER_RANGE = 20_000

#: Applications examined for a page.
APPLICATIONS_PER_PAGE = 5_000

#: Root folders of one name that an application mostly has at most; where it has more, a search looks again.
ROOTS_EACH = 8

#: Names in a path; what lies deeper is named by its innermost ones.
LEVELS_OF_A_PATH = 50


@dataclass(frozen=True, slots=True)
class AffectedApplication:
    """An application with something to merge."""

    application_id: str
    roots: int
    """Live root folders."""
    duplicates: int
    """Folders beyond the first of each current group; merging may bring further ones together."""


def affected_sql(
    *, using: str, applications: Sequence[str] | None = None, after: str | None = None, until: str | None = None
) -> Query:
    """Return the SELECT of ``application_key``, ``roots``, ``duplicates`` of affected applications, in key order.

    Usable after INSERT INTO or in a FROM clause. If given, only the named applications, or keys beyond ``after`` and up
    to ``until``, are examined. Raises InvalidKey.
    """
    sql = _folder_sql(using)
    text = sql.tables.application_key.text
    keys = None if applications is None else tuple(text(key) for key in applications)
    return sql.affected(Scope(keys=keys, after=after, until=until))


def worst_sql(*, using: str, limit: int, cleanable: Cleanable = EVERY_ONE) -> Query:
    """Return the SELECT, as ``affected_sql`` does, of applications that are queued, then of the worst."""
    return _folder_sql(using).worst(limit, cleanable)


def worst_applications(*, using: str, limit: int, cleanable: Cleanable = EVERY_ONE) -> list[str]:
    """Return the keys of the applications that are queued, or have most duplicates, worst first."""
    sql = _folder_sql(using)
    return [key for key, _, _ in sql.fetch(sql.worst(limit, cleanable))]


def worst_rows(*, using: str, limit: int) -> list[AffectedApplication]:
    """Return the affected applications with most duplicates, worst first, whether a cleanup would touch them or not."""
    sql = _folder_sql(using)
    every_one = Cleanable(held=True, queued_first=False)
    return [AffectedApplication(*row) for row in sql.fetch(sql.worst(limit, every_one))]


@dataclass(frozen=True, slots=True)
class SetAside:
    """Affected applications, and how many of them a cleanup would leave alone; each is counted once."""

    affected: int
    held: int
    large: int
    refused: int
    """When last tried."""


def count_set_aside(*, using: str, most_folders: int) -> SetAside:
    """Count the affected applications that are on hold, too large, or were refused."""
    sql = _folder_sql(using)
    (counts,) = sql.fetch(sql.set_aside(most_folders))
    return SetAside(*counts)


def reading(*, using: str) -> AbstractContextManager[None]:
    """Return the context of a few short reads that share a transaction, where each would otherwise have its own."""
    return _folder_sql(using).reading()


def affected_applications(*, using: str, per_range: int = APPLICATIONS_PER_RANGE) -> Iterator[AffectedApplication]:
    """Yield the affected applications in key order."""
    sql = _folder_sql(using)
    scopes = _application_ranges(sql, per_range)
    while True:
        with sql.reading():  # where a range ends, and what is in it
            scope = next(scopes)
            found = _affected(sql, scope)
        yield from found
        if scope.until is None:
            return


def affected_worklist(*, using: str, per_range: int = APPLICATIONS_PER_RANGE) -> tuple[Iterator[str], int]:
    """Return the keys of the affected applications, in key order, and their number."""
    sql = _folder_sql(using)
    scopes = _application_ranges(sql, per_range)
    first = next(scopes)
    found = _affected(sql, first)
    total = len(found) if first.until is None else count_affected(using=using)
    rest = chain.from_iterable(_affected(sql, scope) for scope in scopes)
    return (one.application_id for one in chain(found, rest)), total


def affected_page(*, using: str, after: str | None, limit: int) -> tuple[list[AffectedApplication], str | None]:
    """Return affected applications after a key, in key order, and the key after which the next page begins.

    Examines one short range of applications, so that a page costs the same whatever the size of the tables: it may hold
    fewer than ``limit``, even none, without being the last. The next key is None after the last page.
    """
    found, until = affected_among_next(using=using, after=after, size=APPLICATIONS_PER_PAGE)
    if len(found) > limit:
        found = found[:limit]
        until = found[-1].application_id
    return found, until


def count_affected(*, using: str) -> int:
    """Count the affected applications."""
    sql = _folder_sql(using)
    ((count,),) = sql.fetch(block("SELECT count(*) FROM ({affected}) AS affected", affected=sql.affected(Scope())))
    return int(count)


def affected_among_next(*, using: str, after: str | None, size: int) -> tuple[list[AffectedApplication], str | None]:
    """Return the affected ones of the next applications after a key, and the key of the last one, None at the end."""
    sql = _folder_sql(using)
    with sql.reading():
        until = _range_end(sql, after, size)
        return _affected(sql, Scope(after=after, until=until)), until


def affected_named(*, using: str, keys: Sequence[str]) -> list[AffectedApplication]:
    """Return those of the named applications that are affected, in key order."""
    return _affected(_folder_sql(using), Scope(keys=tuple(keys)))


def applications_of(*, using: str, folders: Sequence[str]) -> dict[str, str]:
    """Return the application of each of the folders that has one, by the folder's key."""
    if not folders:
        return {}
    sql = _folder_sql(using)
    return dict(sql.fetch(sql.owners_of(folders)))


def applications_with_rows(*, using: str, keys: Sequence[str]) -> set[str]:
    """Return those of the applications, existing or not, that folders or files tell."""
    sql = _folder_sql(using)
    return {str(key) for (key,) in sql.fetch(sql.told_by_rows(keys))} if keys else set()


def root_names(*, using: str, keys: Sequence[str]) -> dict[str, str]:
    """Return the name of the root folder that stays of each of the applications that has one, by key."""
    sql = _folder_sql(using)
    return {key: str(name) for key, name in sql.fetch(application_names.names(sql, keys)) if name is not None}


def applications_named(*, using: str, text: str, limit: int) -> list[str]:
    """Return the keys of applications with a root folder whose name contains a text, the closest names first."""
    sql, closest = _folder_sql(using), limit * ROOTS_EACH
    while True:
        found = sql.fetch(application_names.named(sql, text, limit, closest=closest))
        if len(found) == limit or not found or found[0][1] < closest:
            return [key for key, _ in found]
        closest *= ROOTS_EACH


def paths_of(*, using: str, folders: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the names from the outermost folder down to each of the folders that exist, by the folder's key."""
    if not folders:
        return {}
    sql = _folder_sql(using)
    paths: dict[str, tuple[str, ...]] = {}
    for key, name in sql.fetch(sql.paths_of(folders, levels=LEVELS_OF_A_PATH)):
        paths[key] = (*paths.get(key, ()), "" if name is None else str(name))
    return paths


def folders_named_within(
    *, using: str, text: str, applications: Sequence[str], after: str | None, limit: int
) -> list[str]:
    """Return the keys of live folders of some applications whose name contains a text, in key order."""
    sql = _folder_sql(using)
    return [key for (key,) in sql.fetch(folder_names.within(sql, text, applications, after=after, limit=limit))]


def folders_named_among_next(
    *, using: str, text: str, after: str | None, size: int, limit: int
) -> tuple[list[str], str | None]:
    """Return the keys of those of the next folders whose name contains a text, and of the last one looked at.

    It is None at the end of the table.
    """
    sql = _folder_sql(using)
    *found, last = sql.fetch(folder_names.among_next(sql, text, after=after, size=size, limit=limit)) or [(None, 0)]
    end, looked_at = last
    return [key for key, _ in found], end if looked_at == size else None


def largest_applications(*, using: str, limit: int) -> list[tuple[str, int]]:
    """Return the applications with the most folders, and how many, most first."""
    sql = _folder_sql(using)
    return [(key, folders) for key, folders in sql.fetch(sql.largest(limit))]


def applications_with_duplicate_roots(
    *, using: str, per_range: int = APPLICATIONS_PER_RANGE
) -> Iterator[tuple[str, int]]:
    """Yield key and number of live root folders of each application that has several, in key order."""
    sql = _folder_sql(using)
    for scope in _application_ranges(sql, per_range):
        yield from sql.fetch(sql.several_roots(scope))


def existing_application(*, using: str, application_id: Any) -> str:
    """Return the application's id as text. Raises UnknownObject and InvalidKey."""
    sql = _folder_sql(using)
    key = sql.tables.application_key.text(application_id)
    if not sql.fetch(sql.existing(key)):
        raise UnknownObject(what="application", key=key)
    return key


def application_ranges(*, using: str, per_range: int = APPLICATIONS_PER_RANGE) -> Iterator[Scope]:
    """Yield scopes, in key order, that together hold every row that names an application, existing or not.

    If there are few applications, a single scope, which then also holds the rows of no application.
    """
    return _application_ranges(_folder_sql(using), per_range)


def _application_ranges(sql: FolderSql, per_range: int) -> Iterator[Scope]:
    after: str | None = None
    if sql.derived:  # each range would be walked from its roots
        yield Scope()
        return
    while True:
        until = _range_end(sql, after, per_range)
        yield Scope(after=after, until=until)
        if until is None:
            return
        after = until


def _range_end(sql: FolderSql, after: str | None, size: int) -> str | None:
    """Return the key of the ``size``-th application after a key; None if there is none."""
    end = sql.fetch(sql.range_end(after, size))
    return str(end[0][0]) if len(end) > 1 else None


def _affected(sql: FolderSql, scope: Scope) -> list[AffectedApplication]:
    return [AffectedApplication(*row) for row in sql.fetch(sql.affected(scope))]


def _folder_sql(using: str) -> FolderSql:
    return backends.database(using=using).folders(folder_tables())
