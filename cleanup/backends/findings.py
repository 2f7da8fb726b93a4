"""The statements of integrity verification.

Each looks at one table in one pass, whatever it may find there, and answers counts and examples at once. Invariants:
nothing here writes or locks a row; identifiers are quoted; values are parameters.

Note [Passes]. A pass names its findings in the CTE ``flagged(code, object, application, target, survivor, name,
folders)``; ``answer`` turns it into rows of counts (by code, and by application where the code is an error) and rows
of examples. Rows whose target is found in their own application, nearly all, cost one hash join; the others are looked
up one by one, so that a pass over few applications reads nothing else.
"""

from collections.abc import Callable, Sequence

from cleanup.backends.catalogue import Column
from cleanup.backends.folders import FolderSql, Scope
from cleanup.backends.query import Query, joined
from cleanup.backends.references import Reference, References

#: What Python calls white space, in the order of code points.
BLANKS = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

#: Levels that the walk for cycles goes down; what lies deeper is decided outside the database.
LEVELS = 64

#: Rows that are orphans twice over are counted once by this; it is no finding.
ORPHAN_TWICE = "orphan_twice"


class FindingSql(FolderSql):
    """What verification asks."""

    def fold(self, expression: str, *, unicode: bool, collation: str) -> Query:
        """Make names alike equal; names that are not alike may become equal too."""
        raise NotImplementedError

    def is_blank(self, expression: str, *, unicode: bool) -> Query:
        """Test whether a text is empty or nothing but white space."""
        raise NotImplementedError

    def without_blanks(self, expression: str) -> str:
        """Cut white space from both ends of a text, without parameters."""
        raise NotImplementedError

    def row_text(self, columns: Sequence[Column]) -> str:
        """Spell what these columns of row ``x`` hold, UUIDs as the product does."""
        raise NotImplementedError

    def matches(self, reference: Reference, references: References) -> str:
        """Test whether row ``x`` of the reference's table points at folder ``d``."""
        parts = []
        for column, folder_column in zip(reference.columns, reference.folder_columns, strict=True):
            parts.append(
                self.same_key(
                    f"x.{self.session.quote(column)}",
                    f"d.{self.session.quote(folder_column)}",
                    own=references.tables[reference.table].column(column),
                    of_key=references.folders.column(folder_column),
                    spelled=reference.spelled,
                )
            )
        return " AND ".join(parts)

    def same_key(self, loose: str, key: str, *, own: Column, of_key: Column, spelled: bool) -> str:
        """Test whether the referencing column ``own`` holds a folder's key, the column ``of_key``."""
        raise NotImplementedError

    # Passes. See Note [Passes].

    def answer(self, parts: Sequence[Query], *, errors: Sequence[str], examples: int) -> Query:
        """Ask for the counts and examples of a pass.

        Rows of 1 for an example, ``code``, ``number`` of findings (of an example: its place), ``surplus`` folders
        beyond the first of each group, ``application`` (where the code is an error, or of an example), ``object``,
        ``target``, ``survivor``, ``name``. No examples for zero.
        """
        listed = ", ".join(f"'{code}'" for code in errors)
        owner = f"CASE WHEN code IN ({listed}) THEN application END"
        none = "CAST(NULL AS text)"
        query = (
            Query("WITH RECURSIVE ")
            + joined(", ", parts)
            + Query(
                f" SELECT 0 AS example, code, count(*) AS number,"
                f" CAST(coalesce(sum(folders - 1), 0) AS bigint) AS surplus, {owner} AS application, {none} AS object,"
                f" {none} AS target, {none} AS survivor, {none} AS name FROM flagged GROUP BY code, {owner}"
            )
        )
        if not examples:
            return query
        order = f"{self.bytewise('application')}, {self.bytewise('object')}, {self.bytewise('name')}"
        return query + Query(
            f" UNION ALL SELECT 1, code, place, coalesce(folders - 1, 0), application, object, target, survivor, name"
            f" FROM (SELECT *, row_number() OVER (PARTITION BY code ORDER BY {order}) AS place FROM flagged) AS e"
            f" WHERE code <> '{ORPHAN_TWICE}' AND place <= %(examples)s",
            {"examples": examples},
        )

    def duplicates(self, scope: Scope) -> list[Query]:
        """Look for ``several_roots`` and ``same_named_siblings``."""
        application = self.text(self.tables.application_key, f"a.{self.application_key}")
        parent = self.text(self.tables.folder_key, "g.parent")
        none = "CAST(NULL AS text)"
        return [
            self.live_roots(scope),
            self.same_named_siblings(scope),
            Query(
                f"flagged(code, object, application, target, survivor, name, folders) AS MATERIALIZED ("
                f"SELECT 'several_roots', {application}, {application}, {none}, {none}, {none}, r.folders"
                f" FROM live_roots AS r JOIN {self.applications} AS a ON a.{self.application_key} = r.application"
                f" WHERE r.folders > 1"
                f" UNION ALL SELECT 'same_named_siblings', {parent}, {application}, {none}, {none},"
                f" CAST(g.name AS text), g.folders"
                f" FROM siblings AS g JOIN {self.applications} AS a ON a.{self.application_key} = g.application)"
            ),
        ]

    def folder_rows(self, scope: Scope, *, unicode: bool, late: bool) -> list[Query]:
        """Look for what can be wrong with a folder's parent, application and name."""
        missing = self.is_blank(f"f.{self.name}", unicode=unicode) + Query(
            f" OR a.{self.application_key} IS NULL OR (f.{self.parent} IS NOT NULL AND o.{self.folder_key} IS NULL)"
        )
        blank = self.is_blank(f"f.{self.name}", unicode=unicode)
        return self._owned_rows(
            scope,
            table=self.folders,
            key=self.folder_key,
            owner=self.owner,
            target=self.parent,
            blank=Query("CASE WHEN ") + blank + Query(" THEN 1 ELSE 0 END"),
            doubtful=missing,
            late=late,
            codes=[
                ("missing_parent", _MISSING_TARGET),
                ("late_arrival", "survivor IS NOT NULL"),
                ("foreign_parent", _OTHER_APPLICATION),
                ("folder_of_missing_application", _MISSING_APPLICATION),
                ("folder_without_application", "application IS NULL"),
                ("blank_name", "blank = 1"),
                (ORPHAN_TWICE, f"{_MISSING_TARGET} AND {_MISSING_APPLICATION}"),
            ],
        )

    def file_rows(self, scope: Scope, *, late: bool) -> list[Query]:
        """Look for what can be wrong with a file's folder and application."""
        quote = self.session.quote
        owner, folder = quote(self.tables.file_application), quote(self.tables.file_folder)
        return self._owned_rows(
            scope,
            table=self.files,
            key=quote(self.tables.file_key.column),
            owner=owner,
            target=folder,
            blank=Query("0"),
            doubtful=Query(
                f"(f.{folder} IS NOT NULL AND o.{self.folder_key} IS NULL)"
                f" OR (f.{owner} IS NOT NULL AND (a.{self.application_key} IS NULL OR f.{folder} IS NULL))"
            ),
            late=late,
            codes=[
                ("file_of_missing_folder", _MISSING_TARGET),
                ("late_arrival", "survivor IS NOT NULL"),
                ("file_in_other_application", _OTHER_APPLICATION),
                ("file_of_missing_application", _MISSING_APPLICATION),
                ("file_without_folder", "application IS NOT NULL AND target IS NULL"),
                (ORPHAN_TWICE, f"{_MISSING_TARGET} AND {_MISSING_APPLICATION}"),
            ],
        )

    def _owned_rows(
        self,
        scope: Scope,
        *,
        table: str,
        key: str,
        owner: str,
        target: str,
        blank: Query,
        doubtful: Query,
        late: bool,
        codes: Sequence[tuple[str, str]],
    ) -> list[Query]:
        tables = self.tables
        object_key = tables.folder_key if table == self.folders else tables.file_key
        application = self.text(tables.application_key, "l.application")
        loose = table == self.files and self.loose_files
        target_text = self.spelled_key("l.target") if loose else self.text(tables.folder_key, "l.target")
        named, looked_for = f"f.{target}", "c.target"
        if loose:
            named, looked_for = self.folder_of_file(named), self.folder_of_file(looked_for)
        # The other rows are bounded too, so that the joins stay as small as the scope.
        other = owning = Query("")
        if not scope.whole and not scope.without_application:
            other = Query(" AND ") + self.within(scope, f"o.{self.owner}")
            owning = Query(" AND ") + self.within(scope, f"a.{self.application_key}")
        candidates = (
            Query(
                f"candidates AS MATERIALIZED (SELECT f.{key} AS object, f.{owner} AS application,"
                f" f.{target} AS target, "
            )
            + blank
            + Query(
                f" AS blank, CASE WHEN a.{self.application_key} IS NULL THEN 1 ELSE 0 END AS no_application"
                f" FROM {table} AS f LEFT JOIN {self.folders} AS o ON o.{self.folder_key} = {named}"
                f" AND (o.{self.owner} = f.{owner} OR o.{self.owner} IS NULL OR f.{owner} IS NULL)"
            )
            + other
            + Query(f" LEFT JOIN {self.applications} AS a ON a.{self.application_key} = f.{owner}")
            + owning
            + Query(" WHERE ")
            + self.within(scope, f"f.{owner}")
            + Query(" AND (")
            + doubtful
            + Query("))")
        )
        # Scalar subqueries, for these are never turned into a join with the whole table.
        of_target = f"FROM {self.folders} AS t WHERE t.{self.folder_key} = {looked_for}"
        looked_up = Query(
            f"looked_up AS MATERIALIZED (SELECT c.*, (SELECT 1 {of_target}) AS found,"
            f" (SELECT t.{self.owner} {of_target}) AS target_application FROM candidates AS c)"
        )
        if late:
            survivor, forwarding = self._forwarding(target_text, "survivor_key"), self._forwarding(target_text, "point")
            gone = "l.target IS NOT NULL AND l.found IS NULL"
            told = (
                f"SELECT l.*, CASE WHEN {gone} THEN ({survivor}) END AS survivor,"
                f" CASE WHEN {gone} THEN ({forwarding}) END AS merged_application FROM looked_up AS l"
            )
        else:
            told = (
                "SELECT l.*, CAST(NULL AS text) AS survivor, CAST(NULL AS text) AS merged_application"
                " FROM looked_up AS l"
            )
        selects = " UNION ALL ".join(
            f"SELECT '{code}', {self.text(object_key, 'l.object')}, coalesce({application}, l.merged_application),"
            f" {target_text}, l.survivor, CAST(NULL AS text), CAST(NULL AS bigint) FROM told AS l WHERE {condition}"
            for code, condition in codes
        )
        return [
            candidates,
            looked_up,
            Query(f"told AS MATERIALIZED ({told})"),
            Query(f"flagged(code, object, application, target, survivor, name, folders) AS MATERIALIZED ({selects})"),
        ]

    def _forwarding(self, folder: str, what: str) -> str:
        """Select what a live rollback point says of a removed folder, given by the SQL of its key's text."""
        column = "r.survivor_key" if what == "survivor_key" else "p.application_key"
        return (
            f"SELECT {column} FROM cleanup_removedfolder AS r JOIN cleanup_rollbackpoint AS p"
            f" ON p.sequence = r.point_id WHERE r.folder_key = {folder} AND p.status = 'live'"
            f" ORDER BY r.id DESC LIMIT 1"
        )

    def dangling(self, reference: Reference, references: References, *, application: str | None) -> list[Query]:
        """Look for rows of one reference that name no folder: ``dangling_reference``, or ``late_arrival``.

        With an application, only for those that name a folder which a live rollback point of it removed.
        """
        table = references.tables[reference.table]
        conditions = [Query(self.names_no_folder(reference, references))]
        target = self._target(reference)
        if application is not None:
            conditions.append(self._removed_from(application, reference, references))
        target_text = target or self.row_text([table.column(column) for column in reference.columns])
        survivor = self._forwarding("c.target", "survivor_key") if target else "CAST(NULL AS text)"
        merged = self._forwarding("c.target", "point") if target else "CAST(NULL AS text)"
        row_key = [table.column(column) for column in table.row_key or ()]
        return [
            Query(
                f"candidates AS MATERIALIZED (SELECT {self.row_text(row_key)} AS object, {target_text} AS target"
                f" FROM {self.session.relation(reference.table)} AS x WHERE "
            )
            + joined(" AND ", conditions)
            + Query(")"),
            Query(
                f"told AS MATERIALIZED (SELECT c.*, ({survivor}) AS survivor, ({merged}) AS merged_application"
                f" FROM candidates AS c)"
            ),
            Query(
                "flagged AS MATERIALIZED (SELECT CASE WHEN t.survivor IS NULL THEN 'dangling_reference'"
                " ELSE 'late_arrival' END AS code, t.object, t.merged_application AS application, t.target, t.survivor,"
                " CAST(NULL AS text) AS name, CAST(NULL AS bigint) AS folders FROM told AS t)"
            ),
        ]

    def names_no_folder(self, reference: Reference, references: References) -> str:
        """Test whether row ``x`` of the reference's table names a folder, and there is none."""
        conditions = [f"x.{self.session.quote(column)} IS NOT NULL" for column in reference.columns]
        if reference.condition is not None:
            conditions.append(reference.condition.literal("x", vendor=self.session.connection.vendor))
        conditions.append(f"NOT {self._exists(reference, references)}")
        # A row that a narrower reference reports is not reported again.
        conditions += [
            self._exists(narrower, references)
            for narrower in references.references
            if narrower.table == reference.table
            and narrower.condition == reference.condition
            and set(narrower.columns) < set(reference.columns)
        ]
        return " AND ".join(conditions)

    def names_removed_folder(self, reference: Reference) -> str:
        """Test whether row ``x`` names a folder that a live rollback point removed."""
        target = self._target(reference)
        return "1 = 0" if target is None else self.was_removed(target)

    def was_removed(self, target: str) -> str:
        """Test whether a live rollback point removed the folder whose key, as the product spells it, is given."""
        return (
            f"{target} IN (SELECT r.folder_key FROM cleanup_removedfolder AS r"
            f" JOIN cleanup_rollbackpoint AS p ON p.sequence = r.point_id WHERE p.status = 'live')"
        )

    def _exists(self, reference: Reference, references: References) -> str:
        return f"EXISTS (SELECT 1 FROM {self.folders} AS d WHERE {self.matches(reference, references)})"

    def _target(self, reference: Reference) -> str | None:
        """Spell the key of the folder that row ``x`` names; None where it names it by another key."""
        key = self.tables.folder_key
        if key.column not in reference.folder_columns:
            return None
        column = f"x.{self.session.quote(reference.columns[reference.folder_columns.index(key.column)])}"
        return self.spelled_key(column) if reference.spelled else self.text(key, column)

    def _removed_from(self, application: str, reference: Reference, references: References) -> Query:
        """Test whether row ``x`` names a folder that was removed from an application, and lies outside it itself."""
        key = self.tables.folder_key
        target = self._target(reference)
        if target is None:
            return Query("1 = 0")
        column = reference.columns[reference.folder_columns.index(key.column)]
        value = "r.folder_key"
        if not reference.spelled and reference.condition is None:  # so that an index on the column serves
            target, value = f"x.{self.session.quote(column)}", self.value(key, value)
        query = Query(
            f"{target} IN (SELECT {value} FROM cleanup_removedfolder AS r"
            f" JOIN cleanup_rollbackpoint AS p ON p.sequence = r.point_id"
            f" WHERE p.application_key = %(application)s AND p.status = 'live')",
            {"application": application},
        )
        owners = {
            references.folders.name: self.owner,
            references.files.name: self.session.quote(self.tables.file_application),
        }
        if owner := owners.get(reference.table):  # rows inside it are seen by the pass over their table
            query += Query(f" AND (x.{owner} IS NULL OR NOT (")
            query += self.among(self.tables.application_key, f"x.{owner}", [application]) + Query("))")
        return query

    # Names alike.

    def names_alike(self, scope: Scope, *, unicode: bool, collation: str) -> Query:
        """Select application, parent and name of live siblings whose names may differ only in looks."""
        fold = self.fold(f"f.{self.name}", unicode=unicode, collation=collation)
        name = self.bytewise(f"f.{self.name}")
        conditions = joined(
            " AND ",
            [
                Query(f"f.{self.parent} IS NOT NULL AND f.{self.owner} IS NOT NULL"),
                self.live("f."),
                self.within(scope, f"f.{self.owner}"),
            ],
        )
        return (
            Query(f"WITH alike AS MATERIALIZED (SELECT f.{self.owner} AS application, f.{self.parent} AS parent, ")
            + fold
            + Query(f" AS looks FROM {self.folders} AS f WHERE ")
            + conditions
            + Query(
                f" GROUP BY 1, 2, 3 HAVING min({name}) <> max({name}))"
                f" SELECT {self.text(self.tables.application_key, 'g.application')},"
                f" {self.text(self.tables.folder_key, 'g.parent')}, f.{self.name}"
                f" FROM alike AS g JOIN {self.folders} AS f"
                f" ON f.{self.parent} = g.parent AND f.{self.owner} = g.application AND g.looks = "
            )
            + fold
            + Query(" WHERE ")
            + self.live("f.")
            + Query(" ORDER BY 1, 2")
        )

    def abilities(self) -> tuple[bool, str]:
        """Tell whether the database's text is Unicode, and a collation that folds case by Unicode's own rules."""
        return True, ""

    def teach(self, looks: Callable[[str], str]) -> None:
        """Let the database call the function by which names are compared, where it cannot fold them itself."""

    # Cycles.

    def count_unreached(self) -> Query:
        """Count the folders that may be in a cycle, or lie very deep."""
        return self._walk() + Query(" SELECT (SELECT count(*) FROM inner_folders) - (SELECT count(*) FROM walk)")

    def unreached(self) -> Query:
        """Select key, parent and application of those folders."""
        return (
            self._walk()
            + Query(", walked AS MATERIALIZED (SELECT folder FROM walk) SELECT ")
            + self._edge("i.folder", "i.parent", "i.application")
            + Query(
                " FROM inner_folders AS i LEFT JOIN walked AS w ON w.folder = i.folder"
                " WHERE w.folder IS NULL ORDER BY 1"
            )
        )

    def _walk(self) -> Query:
        # Folders without children are in no cycle; those with a parent above which no such folder is, neither.
        return Query(
            f"WITH RECURSIVE inner_folders AS MATERIALIZED (SELECT f.{self.folder_key} AS folder,"
            f" f.{self.parent} AS parent, f.{self.owner} AS application FROM {self.folders} AS f"
            f" WHERE f.{self.parent} IS NOT NULL AND f.{self.folder_key} IN"
            f" (SELECT c.{self.parent} FROM {self.folders} AS c WHERE c.{self.parent} IS NOT NULL)),"
            f" walk(folder, level) AS (SELECT i.folder, 1 FROM inner_folders AS i"
            f" WHERE NOT EXISTS (SELECT 1 FROM inner_folders AS p WHERE p.folder = i.parent)"
            f" UNION ALL SELECT i.folder, w.level + 1 FROM walk AS w JOIN inner_folders AS i ON i.parent = w.folder"
            f" WHERE w.level < {LEVELS})"
        )

    def count_doubtful(self, scope: Scope) -> Query:
        """Count the folders within the scope that may be in a cycle: no root within it leads to them."""
        return (
            Query(
                f"WITH RECURSIVE own AS MATERIALIZED (SELECT f.{self.folder_key} AS folder, f.{self.parent} AS parent"
                f" FROM {self.folders} AS f WHERE "
            )
            + self.within(scope, f"f.{self.owner}")
            + Query(
                f"), inner_folders AS MATERIALIZED (SELECT o.folder, o.parent FROM own AS o WHERE o.parent IS NOT NULL"
                f" AND (o.folder IN (SELECT c.parent FROM own AS c)"
                f" OR o.parent NOT IN (SELECT p.folder FROM own AS p))),"
                f" walk(folder, level) AS (SELECT i.folder, 1 FROM inner_folders AS i"
                f" JOIN own AS r ON r.folder = i.parent AND r.parent IS NULL"
                f" UNION ALL SELECT i.folder, w.level + 1 FROM walk AS w JOIN inner_folders AS i ON i.parent = w.folder"
                f" WHERE w.level < {LEVELS})"
                f" SELECT (SELECT count(*) FROM inner_folders) - (SELECT count(*) FROM walk)"
            )
        )

    def parents(self, scope: Scope) -> Query:
        """Select key, parent and application of every folder within the scope that has a parent."""
        return (
            Query("SELECT ")
            + self._edge(f"f.{self.folder_key}", f"f.{self.parent}", f"f.{self.owner}")
            + Query(f" FROM {self.folders} AS f WHERE f.{self.parent} IS NOT NULL AND ")
            + self.within(scope, f"f.{self.owner}")
        )

    def ancestors(self, keys: Sequence[str]) -> Query:
        """Select key, parent and application of folders and all their ancestors, roots apart."""
        return (
            Query(
                f"WITH RECURSIVE climbed(folder, parent, application) AS (SELECT f.{self.folder_key}, f.{self.parent},"
                f" f.{self.owner} FROM {self.folders} AS f WHERE "
            )
            + self.among(self.tables.folder_key, f"f.{self.folder_key}", keys)
            + Query(
                f" UNION SELECT f.{self.folder_key}, f.{self.parent}, f.{self.owner} FROM climbed AS c"
                f" JOIN {self.folders} AS f ON f.{self.folder_key} = c.parent) SELECT "
            )
            + self._edge("c.folder", "c.parent", "c.application")
            + Query(" FROM climbed AS c WHERE c.parent IS NOT NULL")
        )

    def _edge(self, folder: str, parent: str, application: str) -> Query:
        tables = self.tables
        return Query(
            f"{self.text(tables.folder_key, folder)}, {self.text(tables.folder_key, parent)},"
            f" {self.text(tables.application_key, application)}"
        )


#: Conditions on the CTE ``told``.
_MISSING_TARGET = "target IS NOT NULL AND found IS NULL AND survivor IS NULL"
_OTHER_APPLICATION = "application <> target_application AND no_application = 0"
_MISSING_APPLICATION = "application IS NOT NULL AND no_application = 1"
