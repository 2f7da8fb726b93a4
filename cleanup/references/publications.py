"""Published tables whose rows the server would not let change: what to do before a run.

Judged by the replica identity, before anything is written; without it, the server would refuse during a run.
"""

from collections.abc import Iterable, Iterator

from cleanup import backends
from cleanup.backends.catalogue import Published, Table
from cleanup.backends.pinning import together
from cleanup.backends.query import quoted
from cleanup.references.description import ReferenceMap
from cleanup.references.problem import Problem


def publication_problems(*, using: str, references: ReferenceMap) -> list[Problem]:
    """Return a problem for each table of the map whose publication forbids changes of its rows."""
    with together(using=using):
        published = backends.database(using=using).catalogue.published()
    return list(judge(published, references))


def judge(found: Iterable[Published], references: ReferenceMap) -> Iterator[Problem]:
    """Yield the problems of published tables; for a partition, those of its table."""
    changing = {reference.table for reference in references.references} | {references.folders.name}
    for entry in found:
        table = references.tables[entry.whole] if entry.whole in changing else None
        if table is not None and (remedy := _remedy(entry, table)) is not None:
            what = " and ".join(word for word, is_so in (("UPDATE", entry.updates), ("DELETE", entry.deletes)) if is_so)
            yield Problem(
                "replica_identity",
                str(entry.table),
                "",
                f"{entry.table} is published by {entry.publication}, and the server would refuse {what} on it: "
                f"{remedy}",
            )


def _remedy(entry: Published, table: Table) -> str | None:
    """Return what is wrong and what to do about it; None if nothing is."""
    if entry.full:
        return _publish_whole(entry) if entry.listed_columns is not None else None
    if not entry.identity:
        return f"it has no replica identity. Give it one: {_identify(entry, table)}"
    if outside := entry.filter_columns - entry.identity:
        columns = ", ".join(sorted(outside))
        return (
            f"its row filter looks at {columns}, outside of its replica identity. Widen that: "
            f"ALTER TABLE {entry.table.quoted} REPLICA IDENTITY FULL;"
        )
    if entry.listed_columns is not None and not entry.identity <= entry.listed_columns:
        return _publish_whole(entry)
    return None


def _identify(entry: Published, table: Table) -> str:
    not_null = {column.name for column in table.columns if column.not_null}
    usable = [
        unique
        for unique in table.uniques
        if unique.simple and not unique.deferrable and unique.predicate is None and not_null >= set(unique.columns)
    ]
    if usable and entry.table == table.name:
        return f"ALTER TABLE {entry.table.quoted} REPLICA IDENTITY USING INDEX {quoted(usable[0].name)};"
    return f"ALTER TABLE {entry.table.quoted} REPLICA IDENTITY FULL;"


def _publish_whole(entry: Published) -> str:
    publication, table = quoted(entry.publication), entry.table.quoted
    return (
        f"its list of columns leaves some of its replica identity out. Publish all of them: "
        f"ALTER PUBLICATION {publication} DROP TABLE {table}; ALTER PUBLICATION {publication} ADD TABLE {table};"
    )
