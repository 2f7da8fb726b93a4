"""A digest of PostgreSQL's catalogue entries for some tables, and the locks under which it stays true.

What counts is the version of each row of the catalogue (who wrote it, and where it lies), not its contents: nothing has
to be spelled out, and no change is missed. A change that does not matter (a GRANT, a REINDEX) shows, too, and costs one
reading of the catalogue. A foreign key to a table shows by the triggers that it has there, since ``pg_constraint`` has
no index by its target. No lock prevents new publications and children; they are in the digest.

Note [Tables first]. ROW EXCLUSIVE is the lock that the statements of a batch take anyway. It only blocks DDL: ALTER
TABLE, CREATE TRIGGER, CREATE INDEX, REFERENCES. It is taken before any row is locked, so nothing that a writer could
wait for is held while we wait; the order is tables, applications, folders, other rows. Later writers wait behind DDL
that waits for us, no longer than a batch takes. If a deploy has locked one of the tables and waits for another, we are
the first to give up; see Note [Who yields].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanup.backends.query import quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    from cleanup.backends.catalogue import Table, TableName

#: Names are compared as names, for which the catalogue has indexes: as texts, all tables of a schema would be read.
#: ``newest``: a table that is created anywhere may refer to folders without a foreign key.
_DIGEST = """
WITH RECURSIVE family AS (
    SELECT c.oid
      FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w(schema, name)
      JOIN pg_namespace n ON n.nspname = w.schema::name
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name::name
    UNION
    SELECT i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.oid
), newest AS (
    SELECT oid FROM pg_class WHERE relkind IN ('r', 'p') AND relpersistence <> 't' ORDER BY oid DESC LIMIT 1
), versions(kind, id, number, written, place) AS (
    SELECT 'table', c.oid, 0, c.xmin, c.ctid FROM family f JOIN pg_class c ON c.oid = f.oid
    UNION ALL
    SELECT 'column', a.attrelid, a.attnum, a.xmin, a.ctid FROM family f
      JOIN pg_attribute a ON a.attrelid = f.oid AND a.attnum > 0
    UNION ALL
    SELECT 'default', d.oid, 0, d.xmin, d.ctid FROM family f JOIN pg_attrdef d ON d.adrelid = f.oid
    UNION ALL
    SELECT 'unique', i.indexrelid, 0, i.xmin, i.ctid FROM family f
      JOIN pg_index i ON i.indrelid = f.oid AND (i.indisunique OR i.indisexclusion)
    UNION ALL
    SELECT 'constraint', k.oid, 0, k.xmin, k.ctid FROM family f JOIN pg_constraint k ON k.conrelid = f.oid
    UNION ALL
    SELECT 'trigger', t.oid, 0, t.xmin, t.ctid FROM family f JOIN pg_trigger t ON t.tgrelid = f.oid
    UNION ALL
    SELECT 'rule', r.oid, 0, r.xmin, r.ctid FROM family f JOIN pg_rewrite r ON r.ev_class = f.oid
    UNION ALL
    SELECT 'published', p.oid, 0, p.xmin, p.ctid FROM family f JOIN pg_publication_rel p ON p.prrelid = f.oid
    UNION ALL
    SELECT 'publication', oid, 0, xmin, ctid FROM pg_publication
    UNION ALL
    SELECT 'newest', oid, 0, NULL, NULL FROM newest
)
SELECT md5(string_agg(concat_ws(' ', kind, id, number, written, place), ',' ORDER BY kind, id, number)),
       current_setting('transaction_isolation')
  FROM versions
"""


def digest(connection: BaseDatabaseWrapper, tables: Collection[TableName]) -> str:
    """Return the digest of the tables as they are to this connection."""
    with connection.cursor() as cursor:
        cursor.execute(_DIGEST, _names(tables))
        ((found, _),) = cursor.fetchall()
    return str(found)


def locking_out(tables: Collection[TableName]) -> str:
    """Return the statement that lets no other session write to tables."""
    return f"LOCK TABLE {', '.join(table.quoted for table in tables)} IN SHARE ROW EXCLUSIVE MODE"


def hold(
    connection: BaseDatabaseWrapper,
    tables: Collection[TableName],
    written: Sequence[Table],
    alone: Collection[TableName] = (),
) -> str:
    """Lock the tables that are written against changes of what they are, and return the digest: one round trip.

    Those that are written ``alone`` against other writers as well.

    Each statement of it has a snapshot of its own, so that what was committed while the lock was waited for is seen.
    A transaction with an older snapshot asks a connection of its own what has been committed since.
    """
    first = [locking_out(alone)] if alone else []
    found, isolation = _fetch_last(connection, [*first, *_locking(written)], tables)
    if isolation.startswith("read "):
        return found
    other = connection.copy()
    try:
        return digest(other, tables)
    finally:
        other.close()


def _locking(written: Sequence[Table]) -> list[str]:
    """Return the statements that lock tables; LOCK needs a privilege on the whole table."""
    whole = [table.name.quoted for table in written if "delete" in table.privileges]
    statements = [f"LOCK TABLE {', '.join(whole)} IN ROW EXCLUSIVE MODE"] if whole else []
    for table in written:
        column = next((c for c in table.columns if c.updatable and not (c.generated or c.identity)), None)
        if "delete" not in table.privileges and column is not None:
            # Locked when it is planned, including partitions; it is not executed, and would change nothing.
            name = quoted(column.name)
            statements.append(f"EXPLAIN UPDATE {table.name.quoted} SET {name} = {name} WHERE random() < 0")
    return statements


def _fetch_last(
    connection: BaseDatabaseWrapper, first: Sequence[str], tables: Collection[TableName]
) -> tuple[str, str]:
    """Execute several statements at once and return the digest's row."""
    connection.ensure_connection()
    composed = connection.ops.compose_sql(_DIGEST, _names(tables))  # type: ignore[attr-defined]  # of PostgreSQL alone
    # Several at once work neither with parameters nor with prepared statements, so this does not pass through Django.
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.execute(";\n".join([*first, composed]), prepare=False)
        while cursor.nextset():
            pass
        ((found, isolation),) = cursor.fetchall()
    return found, isolation


def _names(tables: Collection[TableName]) -> dict[str, list[str]]:
    ordered = sorted(tables)
    return {"schemas": [table.schema for table in ordered], "names": [table.name for table in ordered]}
