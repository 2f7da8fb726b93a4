"""The statements of integrity verification.

Each reads one table in one pass, whatever it finds there, and returns counts and examples at once. Invariants:
nothing here writes or locks a row; identifiers are quoted; values are parameters.

Note [Passes]. A pass names its findings in the CTE ``flagged(code, object, application, target, survivor, name,
folders)``; ``answer`` turns it into rows of counts (by code, and by application if the code is an error) and rows
of examples. Rows whose target is found in their own application, nearly all, cost one hash join; the others are looked
up one by one, so that a pass over few applications reads nothing else.
"""

from collections.abc import Callable, Sequence

from cleanup.backends.catalogue import Column
from cleanup.backends.finding_kinds import ERRORS
from cleanup.backends.folders import FolderSql, Looseness
from cleanup.backends.forest import Scope
from cleanup.backends.lists import element_of, elements_of_json
from cleanup.backends.query import Query, block, joined, quote
from cleanup.backends.references import ListReference, Reference, References
from cleanup.backends.session import Session
from cleanup.folder_tables import FolderTables

#: The folder that a file lies in, null for none, if programs mark that in another way.
_FOLDER = quote("cleanup_folder")

#: Rows that are orphans twice are counted once by this; it is not a finding.
ORPHAN_TWICE = "orphan_twice"


class FindingSql(FolderSql):
    """The queries of verification."""

    def __init__(self, session: Session, tables: FolderTables, *, loose_files: Looseness = "") -> None:
        super().__init__(session, tables, loose_files=loose_files)
        self.held_file_folder = self.file_folder
        """What a file's column holds; ``file_folder`` is null in files that lie in no folder."""
        if self.files and self.root_mark:  # see Note [Marked roots]
            mark = f"'{tables.root_parent}'" if loose_files else self.root_mark
            self.files = f"(SELECT *, NULLIF({self.file_folder}, {mark}) AS {_FOLDER} FROM {self.files} AS filed)"
            self.file_folder = _FOLDER

    def fold(self, expression: str, *, unicode: bool, collation: str) -> Query:
        """Make similar names equal; names that are not similar may become equal, too."""
        raise NotImplementedError

    def is_blank(self, expression: str, *, unicode: bool) -> Query:
        """Test whether a text is empty or nothing but white space."""
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
                    f"x.{quote(column)}",
                    f"d.{quote(folder_column)}",
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

    def answer(self, parts: Sequence[Query], *, examples: int) -> Query:
        """Select the counts and examples of a pass.

        Rows of 1 for an example, ``code``, ``number`` of findings (for an example: its position), ``surplus`` folders
        beyond the first of each group, ``application`` (if the code is an error, or for an example), ``object``,
        ``target``, ``survivor``, ``name``.
        """
        counts = block(
            """
            WITH RECURSIVE {parts}
            -- The counts, by application where it is an error; then the first examples of each code.
            SELECT 0 AS example, code, count(*) AS number, CAST(coalesce(sum(folders - 1), 0) AS bigint) AS surplus,
                   {owner} AS application,
                   NULL AS object, NULL AS target, NULL AS survivor, NULL AS name
              FROM flagged
             GROUP BY 2, 5
            """,
            parts=joined(", ", parts),
            owner=f"CASE WHEN code IN ({', '.join(map(repr, ERRORS))}) THEN application END",
        )
        return block(
            """
            {counts}
            UNION ALL
            SELECT 1, code, place, coalesce(folders - 1, 0), application, object, target, survivor, name
              FROM (SELECT *, row_number() OVER (PARTITION BY code ORDER BY {order}) AS place
                      FROM flagged) AS e
             WHERE code <> '{twice}' AND place <= %(examples)s
            """,
            counts=counts,
            order=", ".join(map(self.bytewise, ("application", "object", "name"))),
            twice=ORPHAN_TWICE,
        ).bind(examples=examples)

    def listed(self, parts: Sequence[Query], code: str) -> Query:
        """Select object, application and target of all findings of a pass that have one code."""
        return block(
            """
            WITH RECURSIVE {parts}
            SELECT object, application, target
              FROM flagged
             WHERE code = %(code)s
            """,
            parts=joined(", ", parts),
        ).bind(code=code)

    def duplicates(self, scope: Scope, *, anywhere: bool = False) -> list[Query]:
        """Find ``several_roots`` and ``same_named_siblings``, also ``anywhere`` that no root leads to."""
        return [
            self.live_roots(scope),
            self.same_named_anywhere(scope) if anywhere else self.same_named_siblings(scope),
            self.block(
                """
                flagged(code, object, application, target, survivor, name, folders) AS MATERIALIZED (
                    SELECT 'several_roots', {application}, {application}, NULL, NULL, NULL, r.folders
                      FROM live_roots AS r
                      JOIN {units} AS a ON a.{application_key} = r.application
                     WHERE r.surplus > 0
                     UNION ALL
                    SELECT 'same_named_siblings', {parent_key}, {application}, NULL, NULL, g.name,
                           g.folders
                      FROM siblings AS g
                      JOIN {units} AS a ON a.{application_key} = g.application
                )
                """,
                application=self.text(self.tables.application_key, f"a.{self.application_key}"),
                parent_key=self.text(self.tables.folder_key, "g.parent"),
            ),
        ]

    def forwarding(self, folder: str, what: str) -> str:
        """Select what a live rollback point records about a removed folder, given by the SQL of its key's text."""
        column = "r.survivor_key" if what == "survivor_key" else "p.application_key"
        return block(
            """
            SELECT {column}
              FROM cleanup_removedfolder AS r
              JOIN cleanup_rollbackpoint AS p ON p.id = r.point_id
             WHERE r.folder_key = {folder} AND p.status = 'live'
             ORDER BY r.id DESC
             LIMIT 1
            """,
            column=column,
            folder=self.as_recorded(folder),
        ).text

    def dangling(self, reference: Reference, references: References, *, application: str | None) -> list[Query]:
        """Find rows of one reference that name no folder: ``dangling_reference``, or ``late_arrival``.

        With an application, only for those that name a folder which a live rollback point of it removed.
        """
        table = references.tables[reference.table]
        conditions = [Query(self.names_no_folder(reference, references))]
        target = self._target(reference)
        if application is not None:
            conditions.append(self._removed_from(application, reference, references))
        target_text = target or self.row_text([table.column(column) for column in reference.columns])
        survivor = self.forwarding("c.target", "survivor_key") if target else "NULL"
        merged = self.forwarding("c.target", "point") if target else "NULL"
        row_key = [table.column(column) for column in table.row_key or ()]
        return [
            block(
                """
                candidates AS MATERIALIZED (
                    -- Rows that name a folder which is not there.
                    SELECT {object} AS object, {target} AS target
                      FROM {table} AS x
                     WHERE {conditions}
                ), {flagged}
                """,
                object=self.row_text(row_key),
                target=target_text,
                table=self.session.relation(reference.table),
                conditions=joined(" AND ", conditions),
                flagged=self._flagged_rows(survivor, merged),
            )
        ]

    def dangling_elements(self, one: ListReference, references: References, *, application: str | None) -> list[Query]:
        """Find elements of arrays that name no folder, as ``dangling`` does rows."""
        table, key = references.tables[one.table], self.tables.folder_key
        target = self.spelled_key("e.element") if one.spelled else self.text(key, "e.element")
        removed: str | Query = ""
        if application is not None:
            removed = Query(
                f"AND {self.as_recorded(target)} IN (SELECT r.folder_key FROM cleanup_removedfolder AS r"
                f" JOIN cleanup_rollbackpoint AS p ON p.id = r.point_id"
                f" WHERE p.application_key = %(application)s AND p.status = 'live')",
                {"application": application},
            )
        return [
            self.block(
                """
                candidates AS MATERIALIZED (
                    -- Rows whose array names a folder which is not there.
                    SELECT DISTINCT {object} AS object, {target} AS target
                      FROM {elements}
                     WHERE {missing}
                     {removed}
                ), {flagged}
                """,
                object=self.row_text([table.column(column) for column in table.row_key or ()]),
                target=target,
                elements=self.elements(one),
                missing=self.names_no_folder_in(one, references),
                removed=removed,
                flagged=self._flagged_rows(
                    self.forwarding("c.target", "survivor_key"), self.forwarding("c.target", "point")
                ),
            )
        ]

    def elements(self, one: ListReference) -> str:
        """Return what stands in FROM for rows ``x`` and the elements ``e`` of their arrays."""
        column = f"x.{quote(one.column)}"
        elements = f"{elements_of_json(column)} AS e(element)" if one.json else f"unnest({column}) AS e(element)"
        return f"{self.session.relation(one.table)} AS x CROSS JOIN LATERAL {elements}"

    def names_no_folder_in(self, one: ListReference, references: References) -> str:
        """Test whether element ``e`` of an array in row ``x`` names a folder that does not exist."""
        same = self.same_key(
            "e.element",
            f"d.{self.folder_key}",
            own=element_of(references.tables[one.table].column(one.column)),
            of_key=references.folders.column(self.tables.folder_key.column),
            spelled=one.spelled,
        )
        conditions = ["e.element IS NOT NULL", f"NOT EXISTS (SELECT 1 FROM {self.folders} AS d WHERE {same})"]
        if one.condition is not None:
            conditions.append(one.condition.literal("x", vendor=self.session.connection.vendor))
        return " AND ".join(conditions)

    def _flagged_rows(self, survivor: str, merged: str) -> Query:
        return block(
            """
            told AS MATERIALIZED (
                -- Whether a cleanup removed the folder that they name, and where it went.
                SELECT c.*, ({survivor}) AS survivor, ({merged}) AS merged_application
                  FROM candidates AS c
            ), flagged AS MATERIALIZED (
                SELECT CASE WHEN t.survivor IS NULL THEN 'dangling_reference' ELSE 'late_arrival' END AS code,
                       t.object, t.merged_application AS application, t.target, t.survivor, NULL AS name,
                       CAST(NULL AS bigint) AS folders
                  FROM told AS t
            )
            """,
            survivor=survivor,
            merged=merged,
        )

    def names_no_folder(self, reference: Reference, references: References) -> str:
        """Test whether row ``x`` of the reference's table names a folder that does not exist."""
        conditions = [f"x.{quote(column)} IS NOT NULL" for column in reference.columns]
        if none := self.names_none(reference, references):
            conditions.append(f"NOT ({none})")
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

    def names_none(self, reference: Reference, references: References) -> str:
        """Test whether row ``x`` holds what marks root folders, and so names none; empty if nothing does."""
        key = self.tables.folder_key.column
        if not self.root_mark or reference.enforced or key not in reference.folder_columns:
            return ""
        column = reference.columns[reference.folder_columns.index(key)]
        return self.same_key(
            f"x.{quote(column)}",
            self.root_mark,
            own=references.tables[reference.table].column(column),
            of_key=references.folders.column(key),
            spelled=reference.spelled,
        )

    def names_removed_folder(self, reference: Reference) -> str:
        """Test whether row ``x`` names a folder that a live rollback point removed."""
        target = self._target(reference)
        return "1 = 0" if target is None else self.was_removed(target)

    def was_removed(self, target: str) -> str:
        """Test whether a live rollback point removed the folder whose key, as the product spells it, is given."""
        return (
            f"{self.as_recorded(target)} IN (SELECT r.folder_key FROM cleanup_removedfolder AS r"
            f" JOIN cleanup_rollbackpoint AS p ON p.id = r.point_id WHERE p.status = 'live')"
        )

    def _exists(self, reference: Reference, references: References) -> str:
        return f"EXISTS (SELECT 1 FROM {self.folders} AS d WHERE {self.matches(reference, references)})"

    def _target(self, reference: Reference) -> str | None:
        """Spell the key of the folder that row ``x`` names; None if it names it by another key."""
        key = self.tables.folder_key
        if key.column not in reference.folder_columns:
            return None
        column = f"x.{quote(reference.columns[reference.folder_columns.index(key.column)])}"
        return self.spelled_key(column) if reference.spelled else self.text(key, column)

    def _removed_from(self, application: str, reference: Reference, references: References) -> Query:
        """Test whether row ``x`` names a folder that was removed from an application, and lies outside it itself."""
        key = self.tables.folder_key
        target = self._target(reference)
        if target is None:
            return Query("1 = 0")
        column = reference.columns[reference.folder_columns.index(key.column)]
        target, value = self.as_recorded(target), "r.folder_key"
        if not reference.spelled and reference.condition is None:  # so that an index on the column serves
            target, value = f"x.{quote(column)}", self.removed_key()
        outside: str | Query = ""
        owners = {
            references.folders.name: "" if self.derived else self.owner,
            references.file_table: self.file_owner,
        }
        if owner := owners.get(reference.table):  # rows inside it are found by the pass over their table
            within = self.among(self.tables.application_key, f"x.{owner}", [application])
            outside = block("AND (x.{owner} IS NULL OR NOT ({within}))", owner=owner, within=within)
        return block(
            """
            {target} IN (SELECT {value}
                           FROM cleanup_removedfolder AS r
                           JOIN cleanup_rollbackpoint AS p ON p.id = r.point_id
                          WHERE p.application_key = %(application)s AND p.status = 'live')
            {outside}
            """,
            target=target,
            value=value,
            outside=outside,
        ).bind(application=application)

    # Similar names.

    def names_alike(self, scope: Scope, *, unicode: bool, collation: str) -> Query:
        """Select application, parent and name of live siblings whose names may only look different."""
        return self.block(
            """
            WITH alike AS MATERIALIZED (
                SELECT f.{owner} AS application, f.{parent} AS parent, {looks} AS looks
                  FROM {owned} AS f
                 WHERE f.{parent} IS NOT NULL AND f.{owner} IS NOT NULL AND {live} AND {within}
                 GROUP BY 1, 2, 3
                HAVING min({exact_name}) <> max({exact_name})
            )
            SELECT {application}, {parent_key}, f.{name}
              FROM alike AS g
              JOIN {folders} AS f ON f.{parent} = g.parent AND g.looks = {looks}
               {same_application}
             WHERE {live}
             ORDER BY 1, 2
            """,
            looks=self.fold(f"f.{self.name}", unicode=unicode, collation=collation),
            owned=self.owned(scope),
            same_application="" if self.derived else f"AND f.{self.owner} = g.application",
            live=self.live("f."),
            within=self.within(scope, f"f.{self.owner}"),
            exact_name=self.bytewise(f"f.{self.name}"),
            application=self.text(self.tables.application_key, "g.application"),
            parent_key=self.text(self.tables.folder_key, "g.parent"),
        )

    def abilities(self) -> tuple[bool, str]:
        """Return whether the database's text is Unicode, and a collation that folds case by Unicode's own rules."""
        return True, ""

    def teach(self, normalize: Callable[[str], str]) -> None:
        """Register the function by which names are compared, if the database cannot fold them itself."""
