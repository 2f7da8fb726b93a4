"""The reads of duplicates, whose SQL is the same on every database except for a few words.

Invariants: nothing here writes or locks a row; every identifier is quoted; every value is a parameter; a statement
reads all of its rows at once, so callers keep its scope small.

Note [Climbing]. A folder belongs to the forest of its application when parents of that application lead from it to a
root. Only the parents of same-named siblings matter: their ancestors are collected (UNION, so cycles end), then
walked down again from the roots among them. Both walks are linear in the ancestors, whatever the depth; the forest as
a whole is never walked.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from cleanup import conf
from cleanup.backends.forest import ForestSql, Scope
from cleanup.backends.query import Query, block, joined, quote
from cleanup.backends.session import Session
from cleanup.folder_tables import FolderTables, KeyColumn, Ownership
from cleanup.policies import DifferentRootsPolicy, SurvivorPolicy


@dataclass(frozen=True, slots=True)
class Cleanable:
    """Which of the affected applications a cleanup would not leave alone, as far as known without planning.

    Those that were refused when last tried may succeed now: they come last.
    """

    held: bool = False
    """Take those on hold, too."""
    most_folders: int | None = None
    """Leave out those with more."""
    queued_first: bool = True
    """Begin with those that the folder service has found and left."""


#: Python's white space, in the order of code points.
BLANKS = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

#: How to read the text by which files name their folders; empty if that column has the key's own type.
Looseness = Literal["", "uuid", "integer", "padded"]


def containing(text: str) -> str:
    """Return the pattern for LIKE of what contains a text; a backslash escapes."""
    escaped = re.sub(r"([%_\\])", r"\\\1", text)
    return f"%{escaped}%"


def live_condition(tables: FolderTables, *, prefix: str) -> Query:
    """Return the condition of a live folder; ``prefix`` is an alias and a dot, or empty."""
    parts: list[str] = []
    params: dict[str, Any] = {}
    for column, value in (tables.live or {}).items():
        if value is None:
            parts.append(f"{prefix}{quote(column)} IS NULL")
        else:
            parts.append(f"{prefix}{quote(column)} = %(live_{len(params)})s")
            params[f"live_{len(params)}"] = value
    return Query(f"({' AND '.join(parts)})" if parts else "(1 = 1)", params)


#: The mapped tables and columns, as slots of ``FolderSql.block``.
_MAPPED = (
    *("applications", "units", "application_key"),
    *("folders", "folder_key", "parent", "held_parent", "owner", "name"),
    *("files", "file_key", "file_folder", "file_owner"),
)

EVERY_ONE = Cleanable(held=True)

#: Applications that a cleanup refused when it last tried, and that nothing has settled since.
_REFUSED = block(
    """
    refused AS MATERIALIZED (
        SELECT r.application_key
          FROM cleanup_result AS r
          JOIN cleanup_run AS u ON u.id = r.run_id
         -- The list is the condition of a partial index.
         WHERE r.status IN ('failed', 'skipped', 'held') AND r.status = 'failed' AND r.error_class = 'data'
           AND u.kind = 'cleanup'
           AND NOT EXISTS (SELECT 1
                             FROM cleanup_result AS n
                            WHERE n.application_key = r.application_key AND n.id > r.id
                              AND n.status NOT IN ('pending', 'in_progress'))
         UNION
        SELECT q.application_key FROM cleanup_queuedapplication AS q WHERE q.refused
    )
    """
)

#: Joined to ``affected``, each a row at most. A subquery in an expression would be read for each application as soon as
#: its rows took more than the server's ``work_mem``.
_HELD = "LEFT JOIN cleanup_hold AS h ON h.application_key = affected.application_key"
_LARGE = "LEFT JOIN large AS l ON l.application_key = affected.application_key"
_REFUSED_BEFORE = "LEFT JOIN refused AS r ON r.application_key = affected.application_key"
_QUEUED = "LEFT JOIN cleanup_queuedapplication AS q ON q.application_key = affected.application_key"


class FolderSql(ForestSql):
    """The statements on one connection's mapped tables; what differs between databases is in the subclasses."""

    def __init__(self, session: Session, tables: FolderTables, *, loose_files: Looseness = "") -> None:
        super().__init__(session, tables)
        self.loose_files = loose_files
        self.applications = session.model_table(tables.application_table)
        self.application_key = quote(tables.application_key.column)
        self.units = self._units()
        """What may be affected: applications, and what stands in their place."""
        # Empty if no files are mapped: no statement may have them then.
        self.files = session.model_table(tables.file.table) if tables.file else ""
        self.file_key = quote(tables.file.key.column) if tables.file else ""
        self.file_folder = quote(tables.file.folder) if tables.file else ""
        self.file_owner = quote(tables.file.application) if tables.file and tables.file.application else ""

    def _units(self) -> str:
        trees = f"SELECT f.{self.folder_key} FROM {self.folders} AS f WHERE {self.is_tree('f')}"
        if self.tables.ownership == Ownership.TREE:
            return f"({trees})"
        if self.tables.ownership == Ownership.SHARED:
            return f"(SELECT {self.application_key} FROM {self.applications} UNION ALL {trees})"
        return self.applications

    # What differs between databases.

    def text(self, key: KeyColumn, expression: str) -> str:
        """Spell a key as the product does."""
        raise NotImplementedError

    def value(self, key: KeyColumn, expression: str) -> str:
        """Turn a key in the product's spelling into what the key column holds."""
        raise NotImplementedError

    def removed_key(self) -> str:
        """Turn a ``folder_key`` of ``cleanup_removedfolder AS r`` into what the key column holds."""
        return self.value(self.tables.folder_key, "r.folder_key")

    def as_recorded(self, target: str) -> str:
        """Compare a folder's key, as the product spells it, with ``folder_key`` of ``cleanup_removedfolder``."""
        return target

    def trimmed(self, expression: str) -> str:
        """Cut white space from both ends of a text, without parameters."""
        raise NotImplementedError

    def among(self, key: KeyColumn, expression: str, keys: Sequence[str]) -> Query:
        """Test whether a key column is one of ``keys``."""
        raise NotImplementedError

    def numbered(self, expression: str, numbers: Sequence[int]) -> Query:
        """Test whether an integer is one of ``numbers``."""
        raise NotImplementedError

    def folder_of_file(self, expression: str) -> str:
        """Turn what a file's folder column holds into what the key column of folders holds."""
        raise NotImplementedError

    def files_of(self, column: str, key: str) -> str:
        """Test whether a file's folder column names the folder of a key, in a way that an index on it serves."""
        if self.loose_files == "uuid":
            ways = self._spelled_ways(key)
            return f"{column} IN ({', '.join([*ways, *(f'upper({way})' for way in ways)])})"
        if self.loose_files == "integer":
            return f"{column} = CAST({key} AS text)"
        return f"{self.folder_of_file(column)} = {key}"

    def _spelled_ways(self, key: str) -> list[str]:
        """Return the ways in which a text may spell a folder's UUID, in lower case."""
        raise NotImplementedError

    def spelled_key(self, expression: str) -> str:
        """Spell as the product does the folder's key that a text column spells in any way."""
        raise NotImplementedError

    def bytewise(self, expression: str) -> str:
        """Compare, group and sort a text by code point, whatever the column's collation."""
        raise NotImplementedError

    def contains(self, expression: str, text: str) -> Query:
        """Test whether a text contains another one, capitals or not."""
        raise NotImplementedError

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep a transaction for reading, if one is needed at all, as short as this block."""
        yield

    # Execution.

    def fetch(self, query: Query) -> list[tuple[Any, ...]]:
        """Execute and return all rows."""
        with self.reading():
            return self.session.fetch(query)

    # Fragments.

    def block(self, text: str, /, **slots: str | int | Query) -> Query:
        """Return a block with the mapped tables and columns filled in by name; see Note [Blocks]."""
        return block(text, **({name: getattr(self, name) for name in _MAPPED} | slots))

    def within(self, scope: Scope, expression: str) -> Query:
        """Test whether a column that holds an application's key lies within the scope."""
        key = self.tables.application_key
        if scope.without_application:
            return Query(f"{expression} IS NULL")
        parts = []
        if scope.keys is not None:
            parts.append(self.among(key, expression, scope.keys))
        for name, comparison, bound in (("after", ">", scope.after), ("until", "<=", scope.until)):
            if bound is not None:
                parts.append(Query(f"{expression} {comparison} {self.value(key, f'%({name})s')}", {name: bound}))
        return joined(" AND ", parts) if parts else Query("1 = 1")

    def live(self, prefix: str) -> Query:
        """Test whether a folder is live; ``prefix`` is an alias and a dot, or empty."""
        return live_condition(self.tables, prefix=prefix)

    def preference(self, alias: str) -> str:
        """Order the folders ``alias`` by which of them should rather stay, as far as the database can tell."""
        ages = self.ages(f"{alias}.", newest_first=conf.survivor() == SurvivorPolicy.NEWEST)
        column = self.tables.survivor_column
        if column is None:
            return ages
        of_folders = self.tables.folder_key
        named = (
            f"SELECT {self.text(of_folders, f'a.{quote(column)}')} FROM {self.applications} AS a"
            f" WHERE a.{self.application_key} = {alias}.{self.owner}"
        )
        # The root that the application names goes first; as text, since the column need not have the key's type.
        return f"CASE WHEN {self.text(of_folders, f'{alias}.{self.folder_key}')} = ({named}) THEN 0 ELSE 1 END, {ages}"

    def folder_belongs(self, alias: str, application: str) -> Query:
        """Test whether a folder belongs to an application."""
        scope = Scope(keys=(application,))
        if self.derived:
            return self.lies_in(f"{alias}.{self.folder_key}", scope)
        return self.within(scope, f"{alias}.{self.owner}")

    def file_belongs(self, alias: str, application: str) -> Query:
        """Test whether a file belongs to an application: by a column of its own, else by its folder."""
        scope = Scope(keys=(application,))
        if self.derived or not self.file_owner:
            return self.lies_in(self.folder_of_file(f"{alias}.{self.file_folder}"), scope)
        return self.within(scope, f"{alias}.{self.file_owner}")

    def lies_in(self, folder: str, scope: Scope) -> Query:
        """Test whether a folder's key is that of a folder of the scope's applications."""
        return self.block(
            "{folder} IN (SELECT s.{folder_key} FROM {owned} AS s WHERE {within})",
            folder=folder,
            owned=self.owned(scope),
            within=self.within(scope, f"s.{self.owner}"),
        )

    def live_roots(self, scope: Scope) -> Query:
        """Count live root folders by application: CTE ``live_roots(application, folders, surplus)``.

        ``surplus`` are those that a merge would treat as duplicates: beyond the first, or the first of each name.
        """
        return self.block(
            """
            live_roots AS MATERIALIZED (
                -- Applications should have one each, or one of each name.
                SELECT f.{owner} AS application, count(*) AS folders, count(*) - {groups} AS surplus
                  FROM {roots} AS f
                 WHERE {above} IS NULL AND f.{owner} IS NOT NULL AND {live} AND {within}
                 GROUP BY f.{owner}
            )
            """,
            groups=self._groups_of_roots(),
            roots=self.owned_roots(scope),
            above=self.above("f."),
            live=self.live("f."),
            within=self.within(scope, f"f.{self.owner}"),
        )

    @property
    def roots_by_name(self) -> bool:
        """Return whether root folders are duplicates only of those with the same name."""
        return self.tables.ownership == Ownership.TREE or conf.different_roots() == DifferentRootsPolicy.KEEP

    def _groups_of_roots(self) -> str:
        """Count the groups among an application's live roots, of which a merge leaves one root each."""
        if not self.roots_by_name:
            return "1"
        names = f"count(DISTINCT {self.bytewise(f'f.{self.name}')})"
        return f"({names} + max(CASE WHEN f.{self.name} IS NULL THEN 1 ELSE 0 END))"

    def same_named_siblings(self, scope: Scope) -> Query:
        """Find the groups that a merge would treat, roots apart, as they are now.

        CTEs, the last of which is ``siblings(application, parent, name, folders)``. See Note [Climbing].
        """
        return self._siblings_by_roots(scope) if self.derived else self._siblings_by_owners(scope)

    def same_named_anywhere(self, scope: Scope) -> Query:
        """Find the groups of ``same_named_siblings``, and those that no root leads to; CTEs as there.

        Where folders name their applications.
        """
        return self.block(
            "{groups}, siblings AS (SELECT application, parent, name, folders FROM sibling_groups)",
            groups=self._sibling_groups(scope),
        )

    def _sibling_groups(self, scope: Scope) -> Query:
        return self.block(
            """
            sibling_groups AS MATERIALIZED (
                -- Names are the same by their bytes, whatever collation the column has.
                SELECT f.{owner} AS application, f.{parent} AS parent, {exact_name} AS name, count(*) AS folders
                  FROM {folders} AS f
                 WHERE f.{parent} IS NOT NULL AND f.{owner} IS NOT NULL AND {live} AND {within}
                 GROUP BY f.{owner}, f.{parent}, {exact_name}
                HAVING count(*) > 1
            )
            """,
            exact_name=self.bytewise(f"f.{self.name}"),
            live=self.live("f."),
            within=self.within(scope, f"f.{self.owner}"),
        )

    def _siblings_by_owners(self, scope: Scope) -> Query:
        return self.block(
            """
            {groups}, climbed(application, folder, parent) AS (
                -- The groups' parents and all above them; UNION ends cycles.
                SELECT f.{owner}, f.{folder_key}, f.{parent}
                  FROM (SELECT DISTINCT application, parent FROM sibling_groups) AS g
                  JOIN {folders} AS f ON f.{folder_key} = g.parent AND f.{owner} = g.application
                 UNION
                SELECT f.{owner}, f.{folder_key}, f.{parent}
                  FROM climbed AS c
                  JOIN {folders} AS f ON f.{folder_key} = c.parent AND f.{owner} = c.application
            ), ancestors AS MATERIALIZED (
                -- Read by two statements below, and so not to be walked twice.
                SELECT * FROM climbed
            ), rooted(application, folder) AS (
                -- Those of them that a root is above: down again from the roots, so that cycles are left out.
                -- A roundabout way to say that parent is null: PostgreSQL expects a third of the rows, where it would
                -- expect few, and so hashes the ancestors once rather than each level of the walk.
                SELECT application, folder
                  FROM ancestors
                 WHERE CASE WHEN parent IS NULL THEN 1 ELSE 0 END > 0
                 UNION ALL
                SELECT a.application, a.folder
                  FROM rooted AS r
                  JOIN ancestors AS a ON a.parent = r.folder AND a.application = r.application
            ), siblings AS (
                -- The groups that a merge would come to.
                SELECT g.application, g.parent, g.name, g.folders
                  FROM sibling_groups AS g
                  JOIN rooted AS r ON r.folder = g.parent AND r.application = g.application
            )
            """,
            groups=self._sibling_groups(scope),
        )

    def _siblings_by_roots(self, scope: Scope) -> Query:
        return self.block(
            """
            roots AS MATERIALIZED (
                {roots}
            ), {walk}
            sibling_groups AS MATERIALIZED (
                -- ``told`` is what folders themselves tell of their application, where that counts.
                SELECT f.{parent} AS parent, {exact_name} AS name, {told} AS told, count(*) AS folders
                  FROM {folders} AS f
                 WHERE f.{parent} IS NOT NULL AND {live}
                   {walked}
                 GROUP BY f.{parent}, {exact_name}, {told}
                HAVING count(*) > 1
            ), climbed(folder, parent, told) AS (
                -- The groups' parents and all above them; UNION ends cycles.
                SELECT f.{folder_key}, f.{parent}, {told}
                  FROM (SELECT DISTINCT parent FROM sibling_groups) AS g
                  JOIN {folders} AS f ON f.{folder_key} = g.parent
                 UNION
                SELECT f.{folder_key}, f.{parent}, {told}
                  FROM climbed AS c
                  JOIN {folders} AS f ON f.{folder_key} = c.parent
            ), ancestors AS MATERIALIZED (
                SELECT * FROM climbed
            ), rooted(application, folder, told) AS (
                -- Those of them that a root of the scope is above: down again, so that cycles are left out.
                SELECT r.application, a.folder, r.told
                  FROM ancestors AS a
                  JOIN roots AS r ON r.folder = a.folder
                 UNION ALL
                SELECT r.application, a.folder, r.told
                  FROM rooted AS r
                  JOIN ancestors AS a ON a.parent = r.folder AND a.told = r.told
            ), siblings AS (
                SELECT r.application, g.parent, g.name, g.folders
                  FROM sibling_groups AS g
                  JOIN rooted AS r ON r.folder = g.parent AND r.told = g.told
            )
            """,
            roots=self.roots(scope),
            told=self.told("f"),
            # All groups of the table cost one pass; those of a few applications, a walk down from their roots.
            walk="" if scope.whole else joined("", (self.walk(scope), ",")),
            walked="" if scope.whole else f"AND {self.walked(f'f.{self.held_parent}')}",
            exact_name=self.bytewise(f"f.{self.name}"),
            live=self.live("f."),
        )

    # Statements.

    def affected(self, scope: Scope) -> Query:
        """Select ``application_key``, ``roots``, ``duplicates`` of the affected applications, in key order."""
        return self.block(
            """
            WITH RECURSIVE {live_roots}, {siblings}, surplus AS (
                SELECT application, CAST(sum(folders - 1) AS bigint) AS folders
                  FROM siblings
                 GROUP BY application
            )
            SELECT {application} AS application_key, coalesce(r.folders, 0) AS roots,
                   coalesce(r.surplus, 0) + coalesce(s.folders, 0) AS duplicates
              FROM {units} AS a
              LEFT JOIN live_roots AS r ON r.application = a.{application_key}
              LEFT JOIN surplus AS s ON s.application = a.{application_key}
             WHERE r.surplus > 0 OR s.folders > 0
             ORDER BY a.{application_key}
            """,
            live_roots=self.live_roots(scope),
            siblings=self.same_named_siblings(scope),
            application=self._application,
        )

    @property
    def _application(self) -> str:
        """The key of application ``a`` as text."""
        return self.text(self.tables.application_key, f"a.{self.application_key}")

    def worst(self, limit: int, cleanable: Cleanable = EVERY_ONE) -> Query:
        """Select as ``affected`` does the applications with the most duplicates, most first.

        Those that are queued come before them, and those that were refused when last tried after them.
        """
        ctes, joins, conditions = [_REFUSED], [_REFUSED_BEFORE], ["1 = 1"]
        order = ["r.application_key IS NOT NULL"]
        if not cleanable.held:
            joins.append(_HELD)
            conditions.append("h.application_key IS NULL")
        if cleanable.most_folders is not None:
            ctes.append(self._large(cleanable.most_folders))
            joins.append(_LARGE)
            conditions.append("l.application_key IS NULL")
        if cleanable.queued_first:
            joins.append(_QUEUED)
            order.append("q.application_key IS NULL")
        return block(
            """
            WITH {ctes}
            SELECT affected.application_key, roots, duplicates
              FROM (
                {affected}
              ) AS affected
              {joins}
             WHERE {conditions}
             ORDER BY {order}, duplicates DESC, affected.application_key
             LIMIT %(limit)s
            """,
            ctes=joined(", ", ctes),
            affected=self.affected(Scope()),
            joins="\n".join(joins),
            conditions=" AND ".join(conditions),
            order=", ".join(order),
        ).bind(limit=limit)

    def _large(self, most: int) -> Query:
        """Find the applications with more folders, live or not: CTE ``large(application_key)``."""
        return self.block(
            """
            large AS MATERIALIZED (
                SELECT {application} AS application_key
                  FROM {owned} AS f
                 WHERE f.{owner} IS NOT NULL
                 GROUP BY f.{owner}
                HAVING count(*) > %(most_folders)s
            )
            """,
            owned=self.owned(Scope()),
            application=self.text(self.tables.application_key, f"f.{self.owner}"),
        ).bind(most_folders=most)

    def set_aside(self, most_folders: int) -> Query:
        """Count the affected applications, and of these the held, the large and the refused ones, each once."""
        return block(
            """
            WITH {refused}, {large}
            SELECT count(*),
                   count(CASE WHEN held THEN 1 END),
                   count(CASE WHEN large AND NOT held THEN 1 END),
                   count(CASE WHEN refused AND NOT large AND NOT held THEN 1 END)
              FROM (SELECT h.application_key IS NOT NULL AS held, l.application_key IS NOT NULL AS large,
                           r.application_key IS NOT NULL AS refused
                      FROM (
                        {affected}
                      ) AS affected
                      {joins}) AS aside
            """,
            refused=_REFUSED,
            large=self._large(most_folders),
            affected=self.affected(Scope()),
            joins="\n".join((_HELD, _LARGE, _REFUSED_BEFORE)),
        )

    def largest(self, limit: int) -> Query:
        """Select key and number of folders, live or not, of the largest applications, the largest first."""
        return self.block(
            """
            SELECT {application}, count(*)
              FROM {owned} AS f
             WHERE f.{owner} IS NOT NULL
             GROUP BY f.{owner}
             ORDER BY count(*) DESC, f.{owner}
             LIMIT %(limit)s
            """,
            application=self.text(self.tables.application_key, f"f.{self.owner}"),
            owned=self.owned(Scope()),
        ).bind(limit=limit)

    def owners_of(self, folders: Sequence[str]) -> Query:
        """Select key and application of those of the folders that belong to one."""
        key = self.tables.folder_key
        if not self.derived:
            return self.block(
                "SELECT {key}, {application} FROM {folders} AS f WHERE f.{owner} IS NOT NULL AND {among}",
                key=self.text(key, f"f.{self.folder_key}"),
                application=self.text(self.tables.application_key, f"f.{self.owner}"),
                among=self.among(key, f"f.{self.folder_key}", folders),
            )
        return self.block(
            """
            WITH RECURSIVE climbed(folder, at, parent) AS (
                -- Up to the roots, which tell.
                SELECT f.{folder_key}, f.{folder_key}, f.{parent}
                  FROM {folders} AS f
                 WHERE {among}
                 UNION
                SELECT c.folder, f.{folder_key}, f.{parent}
                  FROM climbed AS c
                  JOIN {folders} AS f ON f.{folder_key} = c.parent
            )
            SELECT {key}, {application}
              FROM climbed AS c
              JOIN (
                {roots}
              ) AS r ON r.folder = c.at
            """,
            among=self.among(key, f"f.{self.folder_key}", folders),
            key=self.text(key, "c.folder"),
            application=self.text(self.tables.application_key, "r.application"),
            roots=self.roots(Scope()),
        )

    def owners_of_files(self, folders: Sequence[str]) -> Query:
        """Select the folders that have files which tell an application, each with every such application."""
        key = self.tables.folder_key
        folder = self.folder_of_file(f"f.{self.file_folder}")
        return self.block(
            """
            SELECT DISTINCT {key}, {application}
              FROM {files} AS f
             WHERE f.{file_owner} IS NOT NULL AND {among}
            """,
            key=self.text(key, folder),
            application=self.text(self.tables.application_key, f"f.{self.file_owner}"),
            among=self.among(key, folder, folders),
        )

    def existing_among(self, keys: Sequence[str]) -> Query:
        """Select those of the applications that exist."""
        return self.block(
            """
            SELECT {application}
              FROM {units} AS a
             WHERE {within}
            """,
            application=self._application,
            within=self.within(Scope(keys=tuple(keys)), f"a.{self.application_key}"),
        )

    def told_by_rows(self, keys: Sequence[str]) -> Query:
        """Select those of the applications that a folder, or a file, names."""
        rows = [(self.folders, self.own), *([(self.files, self.file_owner)] if self.file_owner else [])]
        key = self.tables.application_key
        return joined(
            "\nUNION\n",
            (
                block(
                    """
                    SELECT {application}
                      FROM {table} AS t
                     WHERE {among}
                    """,
                    application=self.text(key, f"t.{owner}"),
                    table=table,
                    among=self.among(key, f"t.{owner}", keys),
                )
                for table, owner in rows
            ),
        )

    def paths_of(self, folders: Sequence[str], *, levels: int) -> Query:
        """Select key and name of the folders and of those that they lie in, outermost first.

        At most so many levels: parents may go round in a circle.
        """
        key = self.tables.folder_key
        return self.block(
            """
            WITH RECURSIVE climbed(folder, level, at, parent, name) AS (
                SELECT f.{folder_key}, 1, f.{folder_key}, f.{parent}, f.{name}
                  FROM {folders} AS f
                 WHERE {among}
                 UNION ALL
                SELECT c.folder, c.level + 1, f.{folder_key}, f.{parent}, f.{name}
                  FROM climbed AS c
                  JOIN {folders} AS f ON f.{folder_key} = c.parent
                 WHERE c.level < %(levels)s AND f.{folder_key} <> c.at
            )
            SELECT {key}, c.name
              FROM climbed AS c
             ORDER BY c.folder, c.level DESC
            """,
            among=self.among(key, f"f.{self.folder_key}", folders),
            key=self.text(key, "c.folder"),
        ).bind(levels=levels)

    def restored_without_root(self, points: Sequence[int]) -> Query:
        """Select point, folder and number of the folders that are back and to which no root folder leads: one row."""
        key = self.tables.folder_key
        return self.block(
            """
            WITH RECURSIVE back AS MATERIALIZED (
                SELECT r.point_id AS point, f.{folder_key} AS folder, f.{parent} AS parent
                  FROM cleanup_removedfolder AS r
                  JOIN {folders} AS f ON f.{folder_key} = {removed}
                 WHERE {of_points}
            ), climbed(folder, parent) AS (
                SELECT b.folder, b.parent
                  FROM back AS b
                 UNION
                SELECT f.{folder_key}, f.{parent}
                  FROM climbed AS c
                  JOIN {folders} AS f ON f.{folder_key} = c.parent
            ), rooted(folder) AS (
                SELECT folder FROM climbed WHERE parent IS NULL
                 UNION ALL
                SELECT c.folder
                  FROM rooted AS r
                  JOIN climbed AS c ON c.parent = r.folder
            )
            SELECT b.point, {folder}, count(*) OVER ()
              FROM back AS b
             WHERE NOT EXISTS (SELECT 1 FROM rooted AS r WHERE r.folder = b.folder)
             ORDER BY 1, 2
             LIMIT 1
            """,
            removed=self.removed_key(),
            of_points=self.numbered("r.point_id", points),
            folder=self.text(key, "b.folder"),
        )

    def existing(self, key: str) -> Query:
        """Select the key of an application if it exists; a tree is only known by its oldest root."""
        scope = Scope(keys=(key,))
        of_application = self.block(
            "SELECT a.{application_key} FROM {applications} AS a WHERE {within}",
            within=self.within(scope, f"a.{self.application_key}"),
        )
        if self.tables.ownership not in (Ownership.SHARED, Ownership.TREE):
            return of_application
        of_tree = block("SELECT DISTINCT r.application FROM ({roots}) AS r", roots=self.roots(scope))
        if self.tables.ownership == Ownership.TREE:
            return of_tree
        return joined("\nUNION\n", (of_application, of_tree))

    def several_roots(self, scope: Scope) -> Query:
        """Select key and number of live roots of the applications with duplicates among them, in key order."""
        return self.block(
            """
            WITH {live_roots}
            SELECT {application}, r.folders
              FROM live_roots AS r
              JOIN {units} AS a ON a.{application_key} = r.application
             WHERE r.surplus > 0
             ORDER BY a.{application_key}
            """,
            live_roots=self.live_roots(scope),
            application=self._application,
        )

    def next_units(self, after: str | None, size: int) -> Query:
        """Select the keys of so many applications, or of what stands in their place, after one."""
        return self.block(
            """
            SELECT {application}
              FROM {units} AS a
             WHERE {within}
             ORDER BY a.{application_key}
             LIMIT %(size)s
            """,
            application=self._application,
            within=self.within(Scope(after=after), f"a.{self.application_key}"),
        ).bind(size=size)

    def range_end(self, after: str | None, size: int) -> Query:
        """Select the key of the ``size``-th application after a key and the next one, if there are any."""
        return self.block(
            """
            SELECT {application}
              FROM {units} AS a
             WHERE {within}
             ORDER BY a.{application_key}
             LIMIT 2 OFFSET %(before)s
            """,
            application=self._application,
            within=self.within(Scope(after=after), f"a.{self.application_key}"),
        ).bind(before=size - 1)
