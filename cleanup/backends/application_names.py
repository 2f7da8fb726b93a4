"""Applications by the names of their root folders, for people who know no keys."""

from collections.abc import Sequence

from cleanup.backends.folders import FolderSql
from cleanup.backends.forest import Scope
from cleanup.backends.query import Query


def names(sql: FolderSql, keys: Sequence[str]) -> Query:
    """Select key and name of the applications that have a live root folder: that of the root which stays in a merge."""
    scope = Scope(keys=tuple(keys))
    return sql.block(
        """
        SELECT {application}, r.name
          FROM (
            SELECT f.{owner} AS application, f.{name} AS name,
                   row_number() OVER (PARTITION BY f.{owner} ORDER BY {preference}) AS place
              FROM {roots} AS f
             WHERE {above} IS NULL AND {live} AND {within}
               ) AS r
         WHERE r.place = 1
        """,
        application=sql.text(sql.tables.application_key, "r.application"),
        preference=sql.preference("f"),
        roots=sql.owned_roots(scope),
        above=sql.above("f."),
        live=sql.live("f."),
        within=sql.within(scope, f"f.{sql.owner}"),
    )


def named(sql: FolderSql, text: str, limit: int, *, closest: int) -> Query:
    """Select the keys of applications with a live root folder whose name contains a text, the closest names first.

    And how many such root folders were looked at: there are more of them, and maybe of the applications, if that is
    ``closest``. An index on the parent finds the root folders; without one, the folders are read once.
    """
    return sql.block(
        """
        SELECT {application}, sum(count(*)) OVER ()
          FROM (
            -- Only the closest are grouped: every application may have such a root folder.
            SELECT f.{owner} AS application, length({exact_name}) AS length
              FROM {roots} AS f
             WHERE {above} IS NULL AND f.{owner} IS NOT NULL AND {live} AND {contains}
             ORDER BY length({exact_name}), f.{owner}
             LIMIT %(closest)s
               ) AS r
         GROUP BY r.application
         ORDER BY min(r.length), r.application
         LIMIT %(limit)s
        """,
        application=sql.text(sql.tables.application_key, "r.application"),
        roots=sql.owned_roots(Scope()),
        above=sql.above("f."),
        live=sql.live("f."),
        contains=sql.contains(f"f.{sql.name}", text),
        exact_name=sql.bytewise(f"f.{sql.name}"),
    ).bind(limit=limit, closest=closest)
