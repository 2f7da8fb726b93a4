"""Folders by a part of their name: all of some applications, or some of all, key by key, in bounded time."""

from collections.abc import Sequence

from cleanup.backends.folders import FolderSql
from cleanup.backends.forest import Scope
from cleanup.backends.query import Query


def within(sql: FolderSql, text: str, applications: Sequence[str], *, after: str | None, limit: int) -> Query:
    """Select the keys of live folders of the applications whose name contains a text, after a key, in key order."""
    scope = Scope(keys=tuple(applications))
    return sql.block(
        """
        SELECT {key}
          FROM {owned} AS f
         WHERE {within} AND {live} AND {later} AND {contains}
         ORDER BY f.{folder_key}
         LIMIT %(limit)s
        """,
        key=sql.text(sql.tables.folder_key, f"f.{sql.folder_key}"),
        owned=sql.owned(scope),
        within=sql.within(scope, f"f.{sql.owner}"),
        live=sql.live("f."),
        later=_later(sql, after),
        contains=sql.contains(f"f.{sql.name}", text),
    ).bind(limit=limit)


def among_next(sql: FolderSql, text: str, *, after: str | None, size: int, limit: int) -> Query:
    """Select key and 0 of those of the next folders in key order whose name contains a text, which are live.

    Then the key of the last one looked at, and the number of those looked at.
    """
    return sql.block(
        """
        WITH next AS MATERIALIZED (
            -- Along the primary key: what is read is bounded, however few there are of that name.
            SELECT f.*
              FROM {folders} AS f
             WHERE {later}
             ORDER BY f.{folder_key}
             LIMIT %(size)s
        ), named AS (
            SELECT f.{folder_key}, 0 AS looked_at
              FROM next AS f
             WHERE {live} AND {contains}
             ORDER BY f.{folder_key}
             LIMIT %(limit)s
        ), last AS (
            SELECT f.{folder_key}, count(*) OVER () AS looked_at
              FROM next AS f
             ORDER BY f.{folder_key} DESC
             LIMIT 1
        )
        SELECT {key}, n.looked_at FROM named AS n
         UNION ALL
        SELECT {key}, n.looked_at FROM last AS n
        """,
        key=sql.text(sql.tables.folder_key, f"n.{sql.folder_key}"),
        later=_later(sql, after),
        live=sql.live("f."),
        contains=sql.contains(f"f.{sql.name}", text),
    ).bind(size=size, limit=limit)


def _later(sql: FolderSql, after: str | None) -> Query:
    if after is None:
        return Query("1 = 1")
    key = sql.tables.folder_key
    return Query(f"f.{sql.folder_key} > {sql.value(key, '%(after)s')}", {"after": after})
