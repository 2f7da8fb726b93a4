"""Which folders' columns do not agree with their place in the tree: ``path_out_of_date``.

Each folder is compared with its parent and its children alone, which is enough: if all agree with their neighbours, all
agree with the tree. So nothing is walked, and one pass reads the folders of its scope.
"""

from collections.abc import Iterator

from cleanup.backends.findings import FindingSql
from cleanup.backends.forest import Scope
from cleanup.backends.query import Query, block, joined, quote
from cleanup.backends.tree_columns import (
    ClosureTable,
    FolderColumns,
    LabelPath,
    NestedNumbers,
    SteppedPath,
    TreeColumns,
    WrittenPath,
)

CODE = "path_out_of_date"


def of_tree(sql: FindingSql, columns: TreeColumns, scope: Scope) -> list[Query]:
    """Find folders of a scope that are not as a ready hook would leave them."""
    if isinstance(columns, ClosureTable):
        return of_closure(sql, columns, scope)
    return of_folders(sql, columns, scope)


def of_folders(sql: FindingSql, columns: FolderColumns, scope: Scope) -> list[Query]:
    """Find folders of a scope whose columns do not agree with the tree. See Note [Passes] in ``findings``."""
    return [
        sql.block(
            """
            flagged(code, object, application, target, survivor, name, folders) AS MATERIALIZED (
                SELECT '{code}', {folder}, {application}, NULL, NULL, NULL, CAST(NULL AS bigint)
                  FROM (
                    SELECT f.*{before}
                      FROM {owned} AS f
                     WHERE {within}
                       ) AS f
                  LEFT JOIN {folders} AS p ON p.{folder_key} = f.{parent}
                 WHERE {wrong}
            )
            """,
            code=CODE,
            folder=sql.text(sql.tables.folder_key, f"f.{sql.folder_key}"),
            application=sql.text(sql.tables.application_key, f"f.{sql.owner}"),
            before=_end_of_sibling_before(sql, columns) if isinstance(columns, NestedNumbers) else "",
            owned=sql.owned(scope),
            within=sql.within(scope, f"f.{sql.owner}"),
            wrong=joined("\n    OR ", _faults(sql, columns)),
        )
    ]


def of_closure(sql: FindingSql, columns: ClosureTable, scope: Scope) -> list[Query]:
    """Find folders of a scope whose rows in a closure table are not those of their parent, and one more."""
    depths = dict.fromkeys(("own", "above", "next"), "")
    if columns.depth is not None:
        depth = quote(columns.depth)
        depths = {"own": f"AND c.{depth} = 0", "above": f"AND c.{depth} = 1", "next": f"AND c.{depth} = a.{depth} + 1"}
    nearest = "f.{folder_key} {own}" if columns.own else "f.{parent} {above}"
    return [
        sql.block(
            """
            flagged(code, object, application, target, survivor, name, folders) AS MATERIALIZED (
                SELECT '{code}', {folder}, {application}, NULL, NULL, NULL, CAST(NULL AS bigint)
                  FROM {owned} AS f
                 WHERE {within}
                   AND ((SELECT count(*) FROM {lines} AS c WHERE c.{descendant} = f.{folder_key})
                        <> CASE WHEN f.{parent} IS NULL THEN {alone}
                                ELSE 1 + (SELECT count(*) FROM {lines} AS c WHERE c.{descendant} = f.{parent}) END
                        OR EXISTS (SELECT 1
                                     FROM {lines} AS a
                                    WHERE a.{descendant} = f.{parent}
                                      AND NOT EXISTS (SELECT 1
                                                        FROM {lines} AS c
                                                       WHERE c.{descendant} = f.{folder_key}
                                                         AND c.{ancestor} = a.{ancestor} {next}))
                        OR ({asked} AND NOT EXISTS (SELECT 1
                                                      FROM {lines} AS c
                                                     WHERE c.{descendant} = f.{folder_key}
                                                       AND c.{ancestor} = {nearest})))
            )
            """,
            code=CODE,
            folder=sql.text(sql.tables.folder_key, f"f.{sql.folder_key}"),
            application=sql.text(sql.tables.application_key, f"f.{sql.owner}"),
            owned=sql.owned(scope),
            within=sql.within(scope, f"f.{sql.owner}"),
            lines=sql.session.relation(columns.table),
            descendant=quote(columns.descendant),
            ancestor=quote(columns.ancestor),
            alone=int(columns.own),
            next=depths["next"],
            asked="1 = 1" if columns.own else f"f.{sql.parent} IS NOT NULL",
            nearest=nearest.format(folder_key=sql.folder_key, parent=sql.parent, **depths),
        )
    ]


def _faults(sql: FindingSql, columns: FolderColumns) -> Iterator[str | Query]:
    """Yield the conditions under which folder ``f`` does not agree with its parent ``p``, or with its children."""
    if isinstance(columns, NestedNumbers):
        yield from _of_numbers(sql, columns)
    elif isinstance(columns, WrittenPath):
        yield _of_written(sql, columns)
        yield from _of_counts(sql, columns, "f.{0} <> p.{0} + 1")
    elif isinstance(columns, SteppedPath):
        yield from _of_steps(columns)
        yield from _of_counts(sql, columns, f"f.{{0}} <> length(f.{quote(columns.path)}) / {columns.step}")
    else:
        yield from _of_labels(columns)


# Nested sets.


def _end_of_sibling_before(sql: FindingSql, columns: NestedNumbers) -> str:
    tree = [f"f.{quote(columns.tree)}"] if columns.tree else []
    together = ", ".join([f"f.{sql.parent}", *tree])
    left, right = quote(columns.left), quote(columns.right)
    return f", lag(f.{right}) OVER (PARTITION BY {together} ORDER BY f.{left}) AS cleanup_before"


def _of_numbers(sql: FindingSql, columns: NestedNumbers) -> Iterator[str | Query]:
    left, right = quote(columns.left), quote(columns.right)
    yield f"f.{left} IS NULL OR f.{right} IS NULL"
    yield f"NOT (p.{left} < f.{left} AND f.{right} < p.{right})"
    yield f"f.cleanup_before >= f.{left}"
    yield sql.block(
        "f.{right} - f.{left} - 1 <> (SELECT coalesce(sum(c.{right} - c.{left} + 1), 0)"
        " FROM {folders} AS c WHERE {is_child})",
        is_child=sql.is_child("c", f"f.{sql.folder_key}"),
        left=left,
        right=right,
    )
    if columns.tree:
        yield f"f.{quote(columns.tree)} IS NULL OR f.{quote(columns.tree)} <> p.{quote(columns.tree)}"
    if columns.level:
        yield "f.{0} IS NULL OR f.{0} <> p.{0} + 1".format(quote(columns.level))


# Texts.


def _of_written(sql: FindingSql, columns: WrittenPath) -> Query:
    path, separator = quote(columns.path), _literal(columns.separator)
    start, end = (separator if wanted else "''" for wanted in (columns.leading, columns.trailing))
    between = "" if columns.trailing else f" || {separator}"
    last = _element(sql, columns, "f" if columns.own else "p")
    top = f"{start} || {last} || {end}"
    below = f"p.{path}{between} || {last} || {end}"
    if columns.own:
        should = f"CASE WHEN p.{sql.folder_key} IS NULL THEN {top} ELSE {below} END"
        return Query(f"coalesce(f.{path}, '') <> {should}")
    return block(
        """
        CASE WHEN p.{key} IS NULL THEN coalesce(f.{path}, '') NOT IN ('', {separator})
             WHEN p.{parent} IS NULL THEN coalesce(f.{path}, '') <> {top}
             ELSE coalesce(f.{path}, '') <> {below} END
        """,
        key=sql.folder_key,
        path=path,
        separator=separator,
        parent=sql.parent,
        top=top,
        below=below,
    )


def _element(sql: FindingSql, columns: WrittenPath, alias: str) -> str:
    key = sql.text(sql.tables.folder_key, f"{alias}.{sql.folder_key}")
    if columns.of == "key":
        return key
    if columns.of == "hex":
        return f"replace({key}, '-', '')"
    return f"coalesce(CAST({alias}.{quote(columns.of)} AS text), '')"


def _of_counts(sql: FindingSql, columns: WrittenPath | SteppedPath, depth: str) -> Iterator[str | Query]:
    if columns.depth:
        yield depth.format(quote(columns.depth))
    if columns.children:
        yield sql.block(
            "f.{children} <> (SELECT count(*) FROM {folders} AS c WHERE {is_child})",
            is_child=sql.is_child("c", f"f.{sql.folder_key}"),
            children=quote(columns.children),
        )


def _of_steps(columns: SteppedPath) -> Iterator[str]:
    path = quote(columns.path)
    yield f"f.{path} IS NULL OR length(f.{path}) = 0 OR length(f.{path}) % {columns.step} <> 0".replace("%", "%%")
    yield f"substr(f.{path}, 1, length(p.{path})) <> p.{path}"
    yield f"length(f.{path}) <> length(p.{path}) + {columns.step}"


def _of_labels(columns: LabelPath) -> Iterator[str]:
    path = quote(columns.path)
    yield f"f.{path} IS NULL"
    yield rf"CAST(p.{path} AS text) <> regexp_replace(CAST(f.{path} AS text), '\.?[^.]*$', '')"


def _literal(text: str) -> str:
    escaped = text.replace("'", "''").replace("%", "%%")
    return f"'{escaped}'"
