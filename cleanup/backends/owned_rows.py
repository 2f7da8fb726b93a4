"""One pass over folders or files, which belong to an application and lie in a folder: what is wrong with either.

If the rows themselves tell no application, only what concerns their folder and name can be wrong.

Rows whose folder is found in their own application, nearly all, cost one hash join; the others are looked up one by
one. See Note [Passes] in ``findings``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cleanup.backends.finding_kinds import KINDS, MISSING_APPLICATION, MISSING_TARGET, NO_APPLICATION
from cleanup.backends.findings import ORPHAN_TWICE, FindingSql
from cleanup.backends.forest import Scope
from cleanup.backends.query import Query, block, joined, quote
from cleanup.folder_tables import FileTable, KeyColumn, Ownership

#: Counted beside the findings, so that what is an orphan twice over counts once; see ``ORPHAN_TWICE``.
_ORPHAN_TWICE = (ORPHAN_TWICE, f"{MISSING_TARGET} AND {MISSING_APPLICATION}")


@dataclass(frozen=True, slots=True)
class _Rows:
    """A table, known as ``f``; its folder's row in the same application is ``o``, its application ``a``."""

    table: str | Query
    key: KeyColumn
    owner: str
    """The column that names the application; empty: there is none."""
    folder: str
    """The column that names the folder that a row lies in."""
    blank: Query
    """1 if the row's name is blank."""
    doubtful: Query
    """Which rows have to be examined again."""
    codes: Sequence[tuple[str, str]]
    """Codes of findings, and their conditions on the CTE ``traced``."""
    within: Query
    """Which rows are in the scope."""
    loose: bool = False
    """It names the folder by a text."""


def of_folders(sql: FindingSql, scope: Scope, *, unicode: bool) -> list[Query]:
    """Find what is wrong with a folder's parent, application and name."""
    blank = sql.is_blank(f"f.{sql.name}", unicode=unicode)
    rows = _Rows(
        # As a whole, those that no root leads to are included.
        sql.folders if scope.whole else sql.owned(scope),
        sql.tables.folder_key,
        "".join(map(quote, sql.tables.owner_columns)),
        sql.parent,
        blank=block("CASE WHEN {blank} THEN 1 ELSE 0 END", blank=blank),
        doubtful=block(
            "{blank} OR {no_application} OR (f.{parent} IS NOT NULL AND o.{folder} IS NULL)",
            blank=blank,
            no_application=_lacks_application(sql),
            parent=sql.parent,
            folder=sql.folder_key,
        ),
        codes=[*_codes_of_folders(sql), _ORPHAN_TWICE],
        within=Query("1 = 1") if sql.derived else sql.within(scope, f"f.{sql.owner}"),
    )
    return _pass(sql, rows, scope)


def _lacks_application(sql: FindingSql) -> str:
    """Test whether folder ``f`` should tell an application that exists, and does not."""
    missing = f"a.{sql.application_key} IS NULL"
    if sql.tables.ownership == Ownership.TREE:
        return "1 = 0"
    if sql.tables.ownership == Ownership.SHARED:
        return f"({missing} AND f.{sql.own} IS NOT NULL)"
    if sql.tables.ownership == Ownership.ROOT:
        return f"({missing} AND (f.{sql.own} IS NOT NULL OR f.{sql.parent} IS NULL))"
    return missing


def _codes_of_folders(sql: FindingSql) -> Iterator[tuple[str, str]]:
    for kind in KINDS:
        if kind.of_folder == NO_APPLICATION and sql.derived:
            if sql.tables.ownership == Ownership.ROOT:
                yield kind.code, f"{NO_APPLICATION} AND target IS NULL"
        elif kind.of_folder:
            yield kind.code, kind.of_folder


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
            "(f.{folder} IS NOT NULL AND o.{key} IS NULL) {or_application}",
            folder=folder,
            key=sql.folder_key,
            or_application=owner
            and f"OR (f.{owner} IS NOT NULL AND (a.{sql.application_key} IS NULL OR f.{folder} IS NULL))",
        ),
        codes=[*((kind.code, kind.of_file) for kind in KINDS if kind.of_file), _ORPHAN_TWICE],
        within=sql.within(scope, f"f.{owner}") if owner else _lying_in(sql, scope),
        loose=bool(sql.loose_files),
    )
    return _pass(sql, rows, scope)


def _lying_in(sql: FindingSql, scope: Scope) -> Query:
    """Test whether a file that tells no application lies in a folder of the scope; as a whole, in any or none."""
    if scope.whole:
        return Query("1 = 1")
    return sql.lies_in(sql.folder_of_file(f"f.{sql.held_file_folder}"), scope)


def _pass(sql: FindingSql, rows: _Rows, scope: Scope) -> list[Query]:
    return [_candidates(sql, rows, scope), _looked_up(sql, rows), _traced(sql, rows), _flagged(sql, rows)]


def _candidates(sql: FindingSql, rows: _Rows, scope: Scope) -> Query:
    named = sql.folder_of_file(f"f.{rows.folder}") if rows.loose else f"f.{rows.folder}"
    return block(
        """
        candidates AS MATERIALIZED (
            -- Rows that may be in a finding, nearly none; ``o`` is their folder, if that is in their application.
            SELECT f.{key} AS object, {owner} AS application, f.{folder} AS target, {blank} AS blank,
                   {no_application} AS no_application
              FROM {table} AS f
              LEFT JOIN {others} AS o
                ON o.{folder_key} = {named}
               {same_application}
              {applications}
             WHERE {within}
               AND ({doubtful})
        )
        """,
        key=quote(rows.key.column),
        owner=f"f.{rows.owner}" if rows.owner else _nowhere(sql),
        folder=rows.folder,
        blank=rows.blank,
        no_application=f"CASE WHEN a.{sql.application_key} IS NULL THEN 1 ELSE 0 END" if rows.owner else 0,
        table=rows.table,
        others=sql.owned(Scope()) if rows.owner else sql.folders,
        folder_key=sql.folder_key,
        named=named,
        same_application=_same_application(sql, rows, scope) if rows.owner else "",
        applications=_applications(sql, rows, scope) if rows.owner else "",
        within=rows.within,
        doubtful=rows.doubtful,
    )


def _nowhere(sql: FindingSql) -> str:
    """Return the application of what has none."""
    return sql.value(sql.tables.application_key, "NULL")


def _same_application(sql: FindingSql, rows: _Rows, scope: Scope) -> Query:
    return block(
        """
        AND (o.{folder_owner} = f.{owner} OR o.{folder_owner} IS NULL OR f.{owner} IS NULL)
        {bounded}
        """,
        folder_owner=sql.owner,
        owner=rows.owner,
        bounded=_bounded(sql, scope, f"o.{sql.owner}"),
    )


def _applications(sql: FindingSql, rows: _Rows, scope: Scope) -> Query:
    return block(
        """
        LEFT JOIN {applications} AS a
          ON a.{application} = f.{owner}
         {bounded}
        """,
        applications=sql.applications,
        application=sql.application_key,
        owner=rows.owner,
        bounded=_bounded(sql, scope, f"a.{sql.application_key}"),
    )


def _bounded(sql: FindingSql, scope: Scope, application: str) -> Query:
    """Bound the other rows, too, so that the joins stay as small as the scope."""
    if scope.whole or scope.without_application:
        return Query("")
    return joined("", ("AND ", sql.within(scope, application)))


def _looked_up(sql: FindingSql, rows: _Rows) -> Query:
    target = sql.folder_of_file("c.target") if rows.loose else "c.target"
    return block(
        """
        looked_up AS MATERIALIZED (
            -- Scalar subqueries, since the planner never turns these into a join with the whole table.
            SELECT c.*,
                   (SELECT 1 FROM {folders} AS t WHERE t.{key} = {target}) AS found,
                   {target_application} AS target_application
              FROM candidates AS c
        )
        """,
        folders=sql.folders,
        key=sql.folder_key,
        target=target,
        target_application=block(
            "(SELECT t.{owner} FROM {owned} AS t WHERE t.{key} = {target})",
            owner=sql.owner,
            owned=sql.owned(Scope()),
            key=sql.folder_key,
            target=target,
        )
        if rows.owner
        else _nowhere(sql),
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
