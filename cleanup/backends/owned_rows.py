"""One pass over folders or files, which belong to an application and lie in a folder: what is wrong with either.

Rows whose folder is found in their own application, nearly all, cost one hash join; the others are looked up one by
one. See Note [Passes] in ``findings``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cleanup.backends.finding_kinds import KINDS, MISSING_APPLICATION, MISSING_TARGET
from cleanup.backends.findings import ORPHAN_TWICE, FindingSql
from cleanup.backends.forest import Scope
from cleanup.backends.query import Query, block, joined, quote
from cleanup.folder_tables import FileTable, KeyColumn

#: Counted beside the findings, so that what is an orphan twice over counts once; see ``ORPHAN_TWICE``.
_ORPHAN_TWICE = (ORPHAN_TWICE, f"{MISSING_TARGET} AND {MISSING_APPLICATION}")


@dataclass(frozen=True, slots=True)
class _Rows:
    """A table, known as ``f``; its folder's row in the same application is ``o``, its application ``a``."""

    table: str
    key: KeyColumn
    owner: str
    folder: str
    """The column that names the folder that a row lies in."""
    blank: Query
    """1 if the row's name is blank."""
    doubtful: Query
    """Which rows have to be examined again."""
    codes: Sequence[tuple[str, str]]
    """Codes of findings, and their conditions on the CTE ``traced``."""
    loose: bool = False
    """It names the folder by a text."""


def of_folders(sql: FindingSql, scope: Scope, *, unicode: bool) -> list[Query]:
    """Find what is wrong with a folder's parent, application and name."""
    blank = sql.is_blank(f"f.{sql.name}", unicode=unicode)
    rows = _Rows(
        sql.folders,
        sql.tables.folder_key,
        sql.owner,
        sql.parent,
        blank=block("CASE WHEN {blank} THEN 1 ELSE 0 END", blank=blank),
        doubtful=block(
            "{blank} OR a.{application} IS NULL OR (f.{parent} IS NOT NULL AND o.{folder} IS NULL)",
            blank=blank,
            application=sql.application_key,
            parent=sql.parent,
            folder=sql.folder_key,
        ),
        codes=[*((kind.code, kind.of_folder) for kind in KINDS if kind.of_folder), _ORPHAN_TWICE],
    )
    return _pass(sql, rows, scope)


def of_files(sql: FindingSql, file: FileTable, scope: Scope) -> list[Query]:
    """Find what is wrong with a file's folder and application."""
    owner, folder = sql.file_owner, sql.file_folder
    rows = _Rows(
        sql.files,
        file.key,
        owner,
        folder,
        blank=Query("0"),
        doubtful=block(
            "(f.{folder} IS NOT NULL AND o.{key} IS NULL)"
            " OR (f.{owner} IS NOT NULL AND (a.{application} IS NULL OR f.{folder} IS NULL))",
            folder=folder,
            key=sql.folder_key,
            owner=owner,
            application=sql.application_key,
        ),
        codes=[*((kind.code, kind.of_file) for kind in KINDS if kind.of_file), _ORPHAN_TWICE],
        loose=bool(sql.loose_files),
    )
    return _pass(sql, rows, scope)


def _pass(sql: FindingSql, rows: _Rows, scope: Scope) -> list[Query]:
    return [_candidates(sql, rows, scope), _looked_up(sql, rows), _traced(sql, rows), _flagged(sql, rows)]


def _candidates(sql: FindingSql, rows: _Rows, scope: Scope) -> Query:
    # The other rows are bounded, too, so that the joins stay as small as the scope.
    others = owners = Query("")
    if not scope.whole and not scope.without_application:
        others = joined("", ("AND ", sql.within(scope, f"o.{sql.owner}")))
        owners = joined("", ("AND ", sql.within(scope, f"a.{sql.application_key}")))
    return block(
        """
        candidates AS MATERIALIZED (
            -- Rows that may be in a finding, nearly none; ``o`` is their folder, if that is in their application.
            SELECT f.{key} AS object, f.{owner} AS application, f.{folder} AS target, {blank} AS blank,
                   CASE WHEN a.{application} IS NULL THEN 1 ELSE 0 END AS no_application
              FROM {table} AS f
              LEFT JOIN {folders} AS o
                ON o.{folder_key} = {named}
               AND (o.{folder_owner} = f.{owner} OR o.{folder_owner} IS NULL OR f.{owner} IS NULL)
               {others}
              LEFT JOIN {applications} AS a
                ON a.{application} = f.{owner}
               {owners}
             WHERE {within}
               AND ({doubtful})
        )
        """,
        key=quote(rows.key.column),
        owner=rows.owner,
        folder=rows.folder,
        blank=rows.blank,
        application=sql.application_key,
        table=rows.table,
        folders=sql.folders,
        folder_key=sql.folder_key,
        named=sql.folder_of_file(f"f.{rows.folder}") if rows.loose else f"f.{rows.folder}",
        folder_owner=sql.owner,
        others=others,
        applications=sql.applications,
        owners=owners,
        within=sql.within(scope, f"f.{rows.owner}"),
        doubtful=rows.doubtful,
    )


def _looked_up(sql: FindingSql, rows: _Rows) -> Query:
    return block(
        """
        looked_up AS MATERIALIZED (
            -- Scalar subqueries, since the planner never turns these into a join with the whole table.
            SELECT c.*,
                   (SELECT 1 FROM {folders} AS t WHERE t.{key} = {target}) AS found,
                   (SELECT t.{owner} FROM {folders} AS t WHERE t.{key} = {target}) AS target_application
              FROM candidates AS c
        )
        """,
        folders=sql.folders,
        key=sql.folder_key,
        target=sql.folder_of_file("c.target") if rows.loose else "c.target",
        owner=sql.owner,
    )


def _traced(sql: FindingSql, rows: _Rows) -> Query:
    survivor, merged = (
        block(
            """
            CASE WHEN l.target IS NOT NULL AND l.found IS NULL THEN (
              {forwarding}
            ) END
            """,
            forwarding=sql.forwarding(_target(sql, rows), what),
        ).text
        for what in ("survivor_key", "point")
    )
    return block(
        """
        traced AS MATERIALIZED (
            -- Whether a cleanup removed the folder that is missing, and where it went.
            SELECT l.*,
                   {survivor} AS survivor,
                   {merged} AS merged_application
              FROM looked_up AS l
        )
        """,
        survivor=survivor,
        merged=merged,
    )


def _flagged(sql: FindingSql, rows: _Rows) -> Query:
    flagged = [
        block(
            """
            SELECT '{code}', {object}, coalesce({application}, l.merged_application), {target}, l.survivor,
                   NULL, CAST(NULL AS bigint)
              FROM traced AS l
             WHERE {condition}
            """,
            code=code,
            object=sql.text(rows.key, "l.object"),
            application=sql.text(sql.tables.application_key, "l.application"),
            target=_target(sql, rows),
            condition=condition,
        )
        for code, condition in rows.codes
    ]
    return block(
        """
        flagged(code, object, application, target, survivor, name, folders) AS MATERIALIZED (
            {flagged}
        )
        """,
        flagged=joined("\nUNION ALL\n", flagged),
    )


def _target(sql: FindingSql, rows: _Rows) -> str:
    """Spell the folder that a row names."""
    return sql.spelled_key("l.target") if rows.loose else sql.text(sql.tables.folder_key, "l.target")
