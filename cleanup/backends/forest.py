"""Which folders belong to an application, in whichever way it is recorded.

Note [Trees]. Without applications, the live root folders of one name are a group, and all that lies below them is a
tree: it stands where an application would, and is named by the key of its oldest root. Folders that no such root leads
to belong to no tree. Names are the same by their bytes; then they are also equal under the column's own collation, and
an index on the name serves.

Note [Derived owners]. If only root folders tell, by a column of theirs or by being named alike, the owner of the others
is found by walking down: from the roots of the given keys, or, for the whole table, from all of them.

Note [Marked roots]. If ``CLEANUP_ROOT_PARENT`` says that a root's parent column holds something else than null, every
statement reads folders with one more column, which is null for a root; planners see through it. ``held_parent`` is what
the column holds: a walk down joins by it, since an index serves it, and leaves out roots, which may hold their own key.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import IntegerField

from cleanup.backends.query import Query, block, joined, quote
from cleanup.backends.session import Session
from cleanup.folder_tables import SELF, FolderTables, KeyColumn, Ownership

#: The parent of a folder, null for a root folder, if roots are marked in another way.
PARENT = quote("cleanup_parent")

#: The column that a walk adds to folders.
DERIVED_OWNER = quote("cleanup_application")

NOTHING = Query("")

_NOTHING_TOLD = "CAST('' AS text)"


@dataclass(frozen=True, slots=True)
class Scope:
    """The applications whose rows a statement reads; by default every row, including those of no application.

    ``after`` and ``until`` bound the keys in the database's own order (exclusive, inclusive).
    """

    keys: tuple[str, ...] | None = None
    after: str | None = None
    until: str | None = None
    without_application: bool = False

    @property
    def whole(self) -> bool:
        """Return whether every row is included."""
        return self == Scope()


class ForestSql:
    """The folders of one connection with the application of each; what differs between databases is below."""

    def __init__(self, session: Session, tables: FolderTables) -> None:
        self.session = session
        self.tables = tables
        self.derived = tables.ownership != Ownership.FOLDER
        self.folders = session.model_table(tables.folder_table)
        self.folder_key = quote(tables.folder_key.column)
        self.parent = self.held_parent = quote(tables.folder_parent)
        if tables.root_parent is not None:  # see Note [Marked roots]
            self.folders = f"(SELECT *, {self.above('')} AS {PARENT} FROM {self.folders} AS marked)"
            self.parent = PARENT
        self.name = quote(tables.folder_name)
        self.own = quote(tables.folder_application or "")
        """The column of each folder's own, if there is one."""
        self.owner = DERIVED_OWNER if self.derived else self.own

    # What differs between databases.

    def among(self, key: KeyColumn, expression: str, keys: Sequence[str]) -> Query:
        """Test whether a key column is one of ``keys``."""
        raise NotImplementedError

    def bytewise(self, expression: str) -> str:
        """Compare, group and sort a text by code point, whatever the column's collation."""
        raise NotImplementedError

    def ages(self, prefix: str, *, newest_first: bool = False) -> str:
        """Order folders from the oldest to the youngest, or the other way, those without a time last.

        ``prefix`` is an alias and a dot.
        """
        raise NotImplementedError

    def children(self, condition: str) -> str:
        """Join the folders ``f`` of a condition, such that they are looked up by an index."""
        raise NotImplementedError

    def walked(self, expression: str) -> str:
        """Test whether a folder's key is in the CTE ``forest``, such that an index on the column serves."""
        raise NotImplementedError

    def live(self, prefix: str) -> Query:
        """Test whether a folder is live; ``prefix`` is an alias and a dot, or empty."""
        raise NotImplementedError

    def within(self, scope: Scope, expression: str) -> Query:
        """Test whether a column that holds an application's key lies within the scope."""
        raise NotImplementedError

    def above(self, prefix: str) -> str:
        """Return the parent of a folder of the table itself, null for a root; ``prefix``: an alias and a dot, or empty.

        Without parameters.
        """
        held = f"{prefix}{self.held_parent}"
        if self.tables.root_parent is None:
            return held
        return f"NULLIF({held}, {self.root_mark or f'{prefix}{self.folder_key}'})"

    def is_child(self, alias: str, folder: str) -> str:
        """Test whether the folder ``alias`` lies in another one, such that an index on the parent serves."""
        child = f"{alias}.{self.held_parent} = {folder}"
        return child if self.tables.root_parent is None else f"{child} AND {self.above(f'{alias}.')} IS NOT NULL"

    @property
    def root_mark(self) -> str:
        """The SQL literal of the key, of no folder, that marks a root; empty if none does."""
        mark = self.tables.root_parent
        return "" if mark is None or mark == SELF else self.key_literal(mark)

    def key_literal(self, mark: str) -> str:
        """Spell a folder's key as an SQL literal, without parameters."""
        key = self.tables.folder_key
        raw = key.raw(mark, connection=self.session.connection)
        if isinstance(key.field, IntegerField) and not (raw.startswith("-") and self.session.vendor == "postgresql"):
            return raw
        escaped = raw.replace("'", "''").replace("%", "%%")
        return f"'{escaped}'"

    # Folders with their owners.

    def owned(self, scope: Scope) -> Query:
        """Return what stands in FROM for the folders of a scope, with the column ``owner``.

        If owners are derived, folders of no application are left out.
        """
        if not self.derived:
            return Query(self.folders)
        return block(
            """
            (
              {folders}
            )
            """,
            folders=self._walked_folders(scope),
        )

    def owned_and_locked(self, keys: Sequence[str], *, lock: str, nearby: Query = NOTHING) -> Query:
        """Select the folders ``f`` of applications, with the column ``owner``, and lock them in key order."""
        scope = Scope(keys=tuple(keys))
        if self.derived:
            return self._walked_folders(scope, nearby=nearby, lock=lock)
        return self._locked(self.within(scope, f"f.{self.owner}"), nearby=nearby, lock=lock)

    def _walked_folders(self, scope: Scope, *, nearby: Query = NOTHING, lock: str = "") -> Query:
        if scope.whole:
            folders = Query(self.folders)
        else:
            chosen = self._locked(Query(self.walked(f"f.{self.folder_key}")), nearby=nearby, lock=lock)
            folders = block("(\n{folders}\n)", folders=chosen)
        return block(
            """
            {forest}
            SELECT f.*, w.application AS {owner}
              FROM {folders} AS f
              JOIN forest AS w ON w.folder = f.{folder_key}
            """,
            forest=self.forest(scope),
            owner=self.owner,
            folders=folders,
            folder_key=self.folder_key,
        )

    def _locked(self, within: Query, *, nearby: Query, lock: str) -> Query:
        return block(
            """
            SELECT f.*
              FROM {folders} AS f
             WHERE {within}
               {nearby}
            {lock}
            """,
            folders=self.folders,
            within=within,
            nearby=nearby,
            lock=lock and f" ORDER BY f.{self.folder_key} {lock}",
        )

    def members(self, scope: Scope) -> Query:
        """Return what stands in FROM for the columns ``folder`` and ``application`` of a scope's folders."""
        if self.derived:
            return block("({forest} SELECT * FROM forest)", forest=self.forest(scope))
        return block(
            "(SELECT m.{folder_key} AS folder, m.{owner} AS application FROM {folders} AS m)",
            folder_key=self.folder_key,
            owner=self.owner,
            folders=self.folders,
        )

    def owned_roots(self, scope: Scope) -> Query:
        """Return the same for the root folders alone."""
        if not self.derived:
            return Query(self.folders)
        return block(
            """
            (
              SELECT f.*, r.application AS {owner}
                FROM (
                  {roots}
                ) AS r
                JOIN {folders} AS f ON f.{folder_key} = r.folder
            )
            """,
            roots=self.roots(scope),
            owner=self.owner,
            folders=self.folders,
            folder_key=self.folder_key,
        )

    def forest(self, scope: Scope) -> Query:
        """Return WITH and the CTE ``forest(folder, application, told)``: derived owners. See Note [Derived owners]."""
        return block("WITH RECURSIVE {walk}", walk=self.walk(scope))

    def walk(self, scope: Scope) -> Query:
        """Return that CTE without WITH."""
        return block(
            """
            forest(folder, application, told) AS (
                -- Down from the roots, so that cycles are left out.
                SELECT r.folder, r.application, r.told
                  FROM (
                    {roots}
                  ) AS r
                 UNION ALL
                SELECT f.{folder_key}, w.application, w.told
                  FROM forest AS w
                  {children}
            )
            """,
            roots=self.roots(scope),
            folder_key=self.folder_key,
            # All children of the table cost one pass; of how few there are otherwise, planners have no idea.
            children=f"JOIN {self.folders} AS f ON {self._lies_in_walked}"
            if scope.whole
            else self.children(self._lies_in_walked),
        )

    @property
    def _lies_in_walked(self) -> str:
        child = self.is_child("f", "w.folder")
        return child if self.tables.inherits else f"{child} AND {self.told('f')} = w.told"

    def told(self, alias: str) -> str:
        """Return what a folder itself tells, as text: one that tells another application than its root is not reached.

        A constant if only the root counts.
        """
        return _NOTHING_TOLD if self.tables.inherits else f"coalesce(CAST({alias}.{self.own} AS text), '')"

    def roots(self, scope: Scope) -> Query:
        """Select ``folder``, ``application`` and what it has ``told`` of the roots of the scope's applications."""
        of = {
            Ownership.ROOT: (self._roots_of_applications,),
            Ownership.TREE: (self._roots_of_trees,),
            Ownership.SHARED: (self._roots_of_applications, self._roots_of_trees),
        }
        return joined("\nUNION ALL\n", (roots(scope) for roots in of[self.tables.ownership]))

    def _roots_of_applications(self, scope: Scope) -> Query:
        owner = f"f.{self.own}"
        return block(
            """
            SELECT f.{folder_key} AS folder, {owner} AS application, {told} AS told
              FROM {folders} AS f
             WHERE {above} IS NULL AND {owner} IS NOT NULL AND {within}
            """,
            folder_key=self.folder_key,
            owner=owner,
            told=self.told("f"),
            folders=self.folders,
            above=self.above("f."),
            within=self.within(scope, owner),
        )

    def _roots_of_trees(self, scope: Scope) -> Query:
        return block(
            """
            SELECT n.folder, n.application, {told} AS told
              FROM (
                    -- See Note [Trees].
                    SELECT f.{folder_key} AS folder,
                           first_value(f.{folder_key}) OVER (PARTITION BY {exact_name} ORDER BY {ages}) AS application
                      FROM {folders} AS f
                     WHERE {is_tree} AND f.{name} IS NOT NULL AND {live}
                       {named}
                   ) AS n
             WHERE {within}
            """,
            told=_NOTHING_TOLD,
            folder_key=self.folder_key,
            exact_name=self.bytewise(f"f.{self.name}"),
            ages=self.ages("f."),
            folders=self.folders,
            is_tree=self.is_tree("f"),
            name=self.name,
            live=self.live("f."),
            named=self._named_alike(scope),
            within=self.within(scope, "n.application"),
        )

    def is_tree(self, alias: str) -> str:
        """Test whether a folder is the root of a tree: beside applications, one that tells none."""
        root = f"{self.above(f'{alias}.')} IS NULL"
        return f"{root} AND {alias}.{self.own} IS NULL" if self.tables.ownership == Ownership.SHARED else root

    def _named_alike(self, scope: Scope) -> Query:
        """Narrow root folders down to those named as the given ones are, so that an index on the name serves."""
        if scope.keys is None:
            return NOTHING
        return block(
            "AND f.{name} IN (SELECT k.{name} FROM {folders} AS k WHERE {is_tree} AND {given})",
            is_tree=self.is_tree("k"),
            name=self.name,
            folders=self.folders,
            given=self.within(scope, f"k.{self.folder_key}"),
        )
