"""Folders that no root leads to: those that may be in a cycle, or lie very deep.

Folders without children are in no cycle; nor are those below a parent that no such folder is above.
"""

from collections.abc import Sequence

from cleanup.analysis import Edge, in_cycles
from cleanup.backends.folders import FolderSql
from cleanup.backends.forest import Scope
from cleanup.backends.query import Query, block

#: Levels that the walk goes down; what lies deeper is decided outside the database.
LEVELS = 64


def count_unreached(sql: FolderSql) -> Query:
    """Count the folders that may be in a cycle, or lie very deep."""
    return block(
        """
        {walk}
        SELECT (SELECT count(*) FROM inner_folders) - (SELECT count(*) FROM walk)
        """,
        walk=_walk(sql),
    )


def unreached(sql: FolderSql) -> Query:
    """Select key, parent and application of those folders."""
    return block(
        """
        {walk}, walked AS MATERIALIZED (
            SELECT folder FROM walk
        )
        SELECT {edge}
          FROM inner_folders AS i
          LEFT JOIN walked AS w ON w.folder = i.folder
         WHERE w.folder IS NULL
         ORDER BY 1
        """,
        walk=_walk(sql),
        edge=_edge(sql, "i.folder", "i.parent", "i.application"),
    )


def _walk(sql: FolderSql) -> Query:
    return sql.block(
        """
        WITH RECURSIVE inner_folders AS MATERIALIZED (
            SELECT f.{folder_key} AS folder, f.{parent} AS parent, {told} AS application
              FROM {folders} AS f
             WHERE f.{parent} IS NOT NULL
               AND f.{folder_key} IN (SELECT c.{parent} FROM {folders} AS c WHERE c.{parent} IS NOT NULL)
        ), walk(folder, level) AS (
            SELECT i.folder, 1
              FROM inner_folders AS i
             WHERE NOT EXISTS (SELECT 1 FROM inner_folders AS p WHERE p.folder = i.parent)
             UNION ALL
            SELECT i.folder, w.level + 1
              FROM walk AS w
              JOIN inner_folders AS i ON i.parent = w.folder
             WHERE w.level < {levels}
        )
        """,
        told=_told(sql),
        levels=LEVELS,
    )


def count_doubtful(sql: FolderSql, scope: Scope) -> Query:
    """Count the folders within the scope that may be in a cycle: no root within it leads to them."""
    return sql.block(
        """
        WITH RECURSIVE own AS MATERIALIZED (
            SELECT f.{folder_key} AS folder, f.{parent} AS parent
              FROM {folders} AS f
             WHERE {within}
        ), inner_folders AS MATERIALIZED (
            SELECT o.folder, o.parent
              FROM own AS o
              -- Joined, because a subquery of more rows than fit into work_mem would be read for each folder.
              LEFT JOIN own AS p ON p.folder = o.parent
              LEFT JOIN (SELECT DISTINCT c.parent FROM own AS c) AS c ON c.parent = o.folder
             WHERE o.parent IS NOT NULL AND (c.parent IS NOT NULL OR p.folder IS NULL)
        ), walk(folder, level) AS (
            SELECT i.folder, 1
              FROM inner_folders AS i
              JOIN own AS r ON r.folder = i.parent AND r.parent IS NULL
             UNION ALL
            SELECT i.folder, w.level + 1
              FROM walk AS w
              JOIN inner_folders AS i ON i.parent = w.folder
             WHERE w.level < {levels}
        )
        SELECT (SELECT count(*) FROM inner_folders) - (SELECT count(*) FROM walk)
        """,
        within=sql.within(scope, f"f.{sql.owner}"),
        levels=LEVELS,
    )


def parents(sql: FolderSql, scope: Scope) -> Query:
    """Select key, parent and application of every folder within the scope that has a parent."""
    return sql.block(
        "SELECT {edge} FROM {folders} AS f WHERE f.{parent} IS NOT NULL AND {within}",
        edge=_edge(sql, f"f.{sql.folder_key}", f"f.{sql.parent}", _told(sql)),
        within=sql.within(scope, f"f.{sql.owner}"),
    )


def ancestors(sql: FolderSql, keys: Sequence[str]) -> Query:
    """Select key, parent and application of folders and all their ancestors, roots apart."""
    return sql.block(
        """
        WITH RECURSIVE climbed(folder, parent, application) AS (
            SELECT f.{folder_key}, f.{parent}, {told}
              FROM {folders} AS f
             WHERE {among}
             UNION
            SELECT f.{folder_key}, f.{parent}, {told}
              FROM climbed AS c
              JOIN {folders} AS f ON f.{folder_key} = c.parent
        )
        SELECT {edge} FROM climbed AS c WHERE c.parent IS NOT NULL
        """,
        told=_told(sql),
        among=sql.among(sql.tables.folder_key, f"f.{sql.folder_key}", keys),
        edge=_edge(sql, "c.folder", "c.parent", "c.application"),
    )


def whole(sql: FolderSql) -> list[Edge]:
    """Return the folders in cycles, in key order."""
    ((number,),) = sql.fetch(count_unreached(sql))
    return in_cycles([Edge(*row) for row in sql.fetch(unreached(sql))]) if number else []


def within(sql: FolderSql, scope: Scope) -> list[Edge]:
    """Return the folders of the scope that are in cycles, in key order; a cycle may lead through other folders."""
    if sql.derived:  # what is in a cycle has no root that would tell its application
        return []
    return [edge for edge in around(sql, scope) if edge.application in (scope.keys or ())]


def around(sql: FolderSql, scope: Scope) -> list[Edge]:
    """Return the folders in cycles that lead through a folder of the scope, all their folders, in key order."""
    ((doubtful,),) = sql.fetch(count_doubtful(sql, scope))
    if not doubtful:
        return []
    own = {row[0]: Edge(*row) for row in sql.fetch(parents(sql, scope))}
    leading_out = sorted({edge.parent for edge in own.values()} - own.keys())
    others = [Edge(*row) for row in sql.fetch(ancestors(sql, leading_out))]
    members = in_cycles([*own.values(), *others])
    circles = {edge.folder for edge in members if edge.folder in own}
    by_folder = {edge.folder: edge for edge in members}
    reached = sorted(circles)
    for folder in reached:  # which grows
        parent = by_folder[folder].parent
        if parent not in circles:
            circles.add(parent)
            reached.append(parent)
    return [edge for edge in members if edge.folder in circles]


def _told(sql: FolderSql) -> str:
    """Return the application that a folder ``f`` tells itself: one in a cycle has no root that would tell it."""
    return "NULL" if sql.derived else f"f.{sql.owner}"


def _edge(sql: FolderSql, folder: str, parent: str, application: str) -> str:
    tables = sql.tables
    keys = ((tables.folder_key, folder), (tables.folder_key, parent), (tables.application_key, application))
    return ", ".join(sql.text(key, expression) for key, expression in keys)
