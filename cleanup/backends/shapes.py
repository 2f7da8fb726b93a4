"""The shape of the folder tree as a whole: live folders, roots, and folders that inherit an application.

Invariants: nothing is written or locked. The statements that are shown to people can be pasted as they are, and have no
parameters.
"""

from functools import partial

from django.db.models import IntegerField

from cleanup.backends.catalogue import Table
from cleanup.backends.folders import FolderSql
from cleanup.backends.forest import Scope
from cleanup.backends.query import Query, block, joined, pasteable, quote
from cleanup.folder_tables import SELF, KeyColumn

_NIL = "00000000-0000-0000-0000-000000000000"


def root_marks(key: KeyColumn) -> tuple[str, ...]:
    """Return what programs put in a root's parent column instead of null, as the product spells keys."""
    if key.is_uuid:
        return (_NIL,)
    return ("0", "-1") if isinstance(key.field, IntegerField) else ("", "0", "-1", "#", "/", "root", "ROOT", _NIL)


class ShapeSql:
    """The statements on one connection's folder table."""

    def __init__(self, sql: FolderSql, folders: Table | None = None) -> None:
        self.sql = sql
        # The table itself: it is searched for marks of roots, and changed by the statements that are shown.
        self.folders = sql.session.model_table(sql.tables.folder_table)
        if folders is not None:
            self.folders = sql.session.relation(folders.name)
        self.block = partial(sql.block, folders=self.folders, parent=sql.held_parent)

    def standing(self) -> tuple[bool, bool, bool]:
        """Return whether there is any folder, any live one, and any root folder.

        Each is answered by the first such row; if there is none, by the whole table.
        """
        sql = self.sql
        ((any_, live, root),) = sql.fetch(
            self.block(
                """
                SELECT EXISTS (SELECT 1 FROM {folders}),
                       EXISTS (SELECT 1 FROM {folders} AS f WHERE {live}),
                       EXISTS (SELECT 1 FROM {folders} AS f WHERE {above} IS NULL)
                """,
                above=sql.above("f."),
                live=sql.live("f."),
            )
        )
        return bool(any_), bool(live), bool(root)

    def roots(self) -> dict[str, int]:
        """Count folders by what may mark them as roots: ``null``, ``self`` or a mark. Reads the whole table, once."""
        sql, key = self.sql, self.sql.tables.folder_key
        marks = root_marks(key)
        counts = [
            Query(f"count(*) FILTER (WHERE f.{sql.held_parent} IS NULL)"),
            Query(f"count(*) FILTER (WHERE f.{sql.held_parent} = f.{sql.folder_key})"),
            *(
                self.block(
                    "count(*) FILTER (WHERE {named} = %(mark_{number})s"
                    " AND NOT EXISTS (SELECT 1 FROM {folders} AS p WHERE p.{folder_key} = {value}))",
                    named=sql.text(key, f"f.{sql.held_parent}"),
                    number=number,
                    value=sql.value(key, f"%(mark_{number})s"),
                ).bind(**{f"mark_{number}": mark})
                for number, mark in enumerate(marks)
            ),
        ]
        (found,) = sql.fetch(
            block("SELECT {counts} FROM {folders} AS f", counts=joined(", ", counts), folders=self.folders)
        )
        return {name: number for name, number in zip(("null", SELF, *marks), found, strict=True) if number}

    def is_root_by(self, mark: str) -> str:
        """Return the condition, without parameters, of a folder that a mark says is a root."""
        sql = self.sql
        if mark == SELF:
            return f"{sql.held_parent} = {sql.folder_key}"
        return f"{sql.held_parent} = {sql.key_literal(mark)}"

    def setting(self, mark: str) -> str:
        """Return the setting that says that such folders are roots."""
        is_number = isinstance(self.sql.tables.folder_key.field, IntegerField) and mark != SELF
        value = mark if is_number else f'"{mark}"'
        return f"CLEANUP_ROOT_PARENT = {value}"

    def make_roots(self, mark: str) -> str:
        """Return the statement that gives such folders the null parent of a root."""
        return pasteable(f"UPDATE {self.folders} SET {self.sql.held_parent} = NULL WHERE {self.is_root_by(mark)};")

    def list_roots(self, mark: str) -> str:
        """Return the query that lists such folders."""
        return pasteable(f"SELECT * FROM {self.folders} WHERE {self.is_root_by(mark)};")

    def list_parents(self) -> str:
        """Return the query that lists the most frequent values of the parent column."""
        parent = self.sql.held_parent
        counted = f"SELECT {parent}, count(*) FROM {self.folders} GROUP BY {parent} ORDER BY count(*) DESC LIMIT 20;"
        return pasteable(counted)

    def list_marks(self) -> str:
        """Return the query that lists the values of the columns that mark live folders."""
        columns = ", ".join(quote(column) for column in self.sql.tables.live or {})
        return pasteable(
            f"SELECT {columns}, count(*) FROM {self.folders} GROUP BY {columns} ORDER BY count(*) DESC LIMIT 20;"
        )

    # Folders that take their application from the folder above.

    def heirs(self, *, most: int) -> tuple[int, str | None]:
        """Count the folders without an application below one that has one, up to ``most``, and return the first."""
        key = self.sql.tables.folder_key
        ((number, first),) = self.sql.fetch(
            block(
                """
                {heirs}
                SELECT count(*), min({folder}) FROM (SELECT folder FROM heirs LIMIT {most}) AS h
                """,
                heirs=self._heirs(),
                folder=self.sql.text(key, "h.folder"),
                most=most,
            )
        )
        return number, first

    def give_applications(self) -> str:
        """Return the statement that gives each of them the application of the folder above, on one line."""
        statement = self.block(
            """
            {heirs}
            UPDATE {folders} SET {owner} = h.application FROM heirs AS h WHERE {folders}.{folder_key} = h.folder;
            """,
            heirs=self._heirs(),
            owner=self.sql.own,
        )
        return pasteable(statement)

    def _heirs(self) -> Query:
        """Walk down from folders with an application through those without: CTE ``heirs(folder, application)``."""
        return self.block(
            """
            WITH RECURSIVE heirs(folder, application) AS (
              SELECT c.{folder_key}, p.{owner}
                FROM {folders} AS c
                JOIN {folders} AS p ON p.{folder_key} = c.{parent}
               WHERE c.{owner} IS NULL AND p.{owner} IS NOT NULL
               UNION ALL
              SELECT c.{folder_key}, h.application
                FROM heirs AS h
                JOIN {folders} AS c ON c.{parent} = h.folder
               WHERE c.{owner} IS NULL)
            """,
            owner=self.sql.own,
        )

    # Roots of different names.

    def differently_named_roots(self, *, examples: int) -> tuple[int, list[str]]:
        """Count the applications whose live roots have different names, and return the first. Reads every root."""
        sql = self.sql
        found = sql.fetch(
            self.block(
                """
                SELECT {application}, d.applications
                  FROM (SELECT f.{owner} AS application, count(*) OVER () AS applications
                          FROM {roots} AS f
                         WHERE {above} IS NULL AND f.{owner} IS NOT NULL AND {live}
                         GROUP BY f.{owner}
                        HAVING min({exact_name}) <> max({exact_name}) OR count(f.{name}) NOT IN (0, count(*))
                         ORDER BY f.{owner}
                         LIMIT {examples}) AS d
                """,
                application=sql.text(sql.tables.application_key, "d.application"),
                roots=sql.owned_roots(Scope()),
                above=sql.above("f."),
                live=sql.live("f."),
                exact_name=sql.bytewise(f"f.{sql.name}"),
                examples=examples,
            )
        )
        return (found[0][1] if found else 0), [application for application, _ in found]

    def names_of_roots(self, applications: list[str], *, most: int, longest: int) -> dict[str, list[str]]:
        """Return some of the names of applications' live roots."""
        sql, key = self.sql, self.sql.tables.application_key
        names: dict[str, list[str]] = {application: [] for application in applications}
        rows = sql.fetch(
            self.block(
                """
                SELECT n.application, n.name
                  FROM (SELECT {application} AS application, substr(f.{name}, 1, {longest}) AS name,
                               row_number() OVER (PARTITION BY f.{owner} ORDER BY {sorted_name}) AS place
                          FROM (SELECT DISTINCT f.{owner}, f.{name}
                                  FROM {roots} AS f
                                 WHERE {above} IS NULL AND {live} AND {among}) AS f) AS n
                 WHERE n.place <= {most}
                 ORDER BY n.application, n.place
                """,
                application=sql.text(key, f"f.{sql.owner}"),
                roots=sql.owned_roots(Scope(keys=tuple(applications))),
                longest=longest,
                sorted_name=sql.bytewise(f"f.{sql.name}"),
                above=sql.above("f."),
                live=sql.live("f."),
                among=sql.among(key, f"f.{sql.owner}", applications),
                most=most,
            )
        )
        for application, name in rows:
            names[application].append(name or "")
        return names
