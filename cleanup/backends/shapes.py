"""How the folder tree is shaped as a whole: is any folder live, is any a root, who inherits an application.

Invariants: nothing is written or locked. What the statements that are given to people change, they change alone: each
can be pasted as it stands, and has no parameters.
"""

from django.db.models import IntegerField

from cleanup.backends.catalogue import Table
from cleanup.backends.folders import FolderSql
from cleanup.backends.query import Query, block, joined
from cleanup.folder_tables import KeyColumn

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
        self.folders = sql.folders if folders is None else sql.session.relation(folders.name)

    def standing(self) -> tuple[bool, bool, bool]:
        """Return whether there is any folder, any live one, and any with a null parent.

        Each is answered by the first such row; where there is none, by the whole table.
        """
        sql = self.sql
        ((any_, live, root),) = sql.fetch(
            Query(f"SELECT EXISTS (SELECT 1 FROM {self.folders}), EXISTS (SELECT 1 FROM {self.folders} AS f WHERE ")
            + sql.live("f.")
            + Query(f"), EXISTS (SELECT 1 FROM {self.folders} AS f WHERE f.{sql.parent} IS NULL)")
        )
        return bool(any_), bool(live), bool(root)

    def roots(self) -> dict[str, int]:
        """Count folders by what may mark them as roots: ``null``, ``self`` or a mark. Reads the whole table, once."""
        sql, key = self.sql, self.sql.tables.folder_key
        marks = root_marks(key)
        parent = sql.text(key, f"f.{sql.parent}")
        counts = [
            Query(f"count(*) FILTER (WHERE f.{sql.parent} IS NULL)"),
            Query(f"count(*) FILTER (WHERE f.{sql.parent} = f.{sql.folder_key})"),
            *(
                block(
                    "count(*) FILTER (WHERE {parent} = %(mark_{number})s"
                    " AND NOT EXISTS (SELECT 1 FROM {folders} AS p WHERE p.{key} = {value}))",
                    parent=parent,
                    number=number,
                    folders=self.folders,
                    key=sql.folder_key,
                    value=sql.value(key, f"%(mark_{number})s"),
                ).bind(**{f"mark_{number}": mark})
                for number, mark in enumerate(marks)
            ),
        ]
        (found,) = sql.fetch(Query("SELECT ") + joined(", ", counts) + Query(f" FROM {self.folders} AS f"))
        return {name: number for name, number in zip(("null", "self", *marks), found, strict=True) if number}

    def is_root_by(self, mark: str) -> str:
        """Return the condition, without parameters, of a folder that a mark says is a root."""
        sql = self.sql
        if mark == "self":
            return f"{sql.parent} = {sql.folder_key}"
        raw = sql.tables.folder_key.raw(mark, connection=sql.session.connection).replace("'", "''")
        return f"{sql.parent} = '{raw}'"

    def make_roots(self, mark: str) -> str:
        """Return the statement that gives such folders the null parent of a root."""
        return _pasteable(f"UPDATE {self.folders} SET {self.sql.parent} = NULL WHERE {self.is_root_by(mark)};")

    def list_roots(self, mark: str) -> str:
        """Return the query that lists such folders."""
        return _pasteable(f"SELECT * FROM {self.folders} WHERE {self.is_root_by(mark)};")

    def list_parents(self) -> str:
        """Return the query that lists the most frequent values of the parent column."""
        parent = self.sql.parent
        counted = f"SELECT {parent}, count(*) FROM {self.folders} GROUP BY {parent} ORDER BY count(*) DESC LIMIT 20;"
        return _pasteable(counted)

    def list_marks(self) -> str:
        """Return the query that lists what the columns hold by which live folders are told."""
        columns = ", ".join(self.sql.session.quote(column) for column in self.sql.tables.live or {})
        return _pasteable(
            f"SELECT {columns}, count(*) FROM {self.folders} GROUP BY {columns} ORDER BY count(*) DESC LIMIT 20;"
        )

    # Folders that take their application from the folder above.

    def heirs(self, *, most: int) -> tuple[int, str | None]:
        """Count the folders without an application below one that has one, up to ``most``, and return the first."""
        key = self.sql.tables.folder_key
        ((number, first),) = self.sql.fetch(
            self._heirs()
            + Query(
                f" SELECT count(*), min({self.sql.text(key, 'h.folder')})"
                f" FROM (SELECT folder FROM heirs LIMIT {most}) AS h"
            )
        )
        return number, first

    def give_applications(self) -> str:
        """Return the statement that gives each of them the application of the folder above."""
        return _pasteable(
            self._heirs().text
            + f" UPDATE {self.folders} SET {self.sql.owner} = h.application FROM heirs AS h"
            + f" WHERE {self.folders}.{self.sql.folder_key} = h.folder;"
        )

    def _heirs(self) -> Query:
        """Walk down from folders with an application through those without: CTE ``heirs(folder, application)``."""
        sql = self.sql
        return Query(
            f"WITH RECURSIVE heirs(folder, application) AS ("
            f"SELECT c.{sql.folder_key}, p.{sql.owner} FROM {self.folders} AS c"
            f" JOIN {self.folders} AS p ON p.{sql.folder_key} = c.{sql.parent}"
            f" WHERE c.{sql.owner} IS NULL AND p.{sql.owner} IS NOT NULL"
            f" UNION ALL"
            f" SELECT c.{sql.folder_key}, h.application FROM heirs AS h"
            f" JOIN {self.folders} AS c ON c.{sql.parent} = h.folder WHERE c.{sql.owner} IS NULL)"
        )

    # Roots of different names.

    def differently_named_roots(self, *, examples: int) -> tuple[int, list[str]]:
        """Count the applications whose live roots bear different names, and return the first. Reads every root."""
        sql = self.sql
        name = sql.bytewise(f"f.{sql.name}")
        key = sql.tables.application_key
        found = sql.fetch(
            Query(
                f"SELECT {sql.text(key, 'd.application')}, d.applications FROM ("
                f"SELECT f.{sql.owner} AS application, count(*) OVER () AS applications"
                f" FROM {self.folders} AS f WHERE f.{sql.parent} IS NULL AND f.{sql.owner} IS NOT NULL AND "
            )
            + sql.live("f.")
            + Query(
                f" GROUP BY f.{sql.owner} HAVING min({name}) <> max({name})"
                f" OR count(f.{sql.name}) NOT IN (0, count(*))"
                f" ORDER BY f.{sql.owner} LIMIT {examples}) AS d"
            )
        )
        return (found[0][1] if found else 0), [application for application, _ in found]

    def names_of_roots(self, applications: list[str], *, most: int, longest: int) -> dict[str, list[str]]:
        """Return some of the names of applications' live roots."""
        sql, key = self.sql, self.sql.tables.application_key
        names: dict[str, list[str]] = {application: [] for application in applications}
        rows = sql.fetch(
            Query(
                f"SELECT n.application, n.name FROM (SELECT {sql.text(key, f'f.{sql.owner}')} AS application,"
                f" substr(f.{sql.name}, 1, {longest}) AS name, row_number() OVER (PARTITION BY f.{sql.owner}"
                f" ORDER BY {sql.bytewise(f'f.{sql.name}')}) AS place"
                f" FROM (SELECT DISTINCT f.{sql.owner}, f.{sql.name} FROM {self.folders} AS f"
                f" WHERE f.{sql.parent} IS NULL AND "
            )
            + joined(" AND ", [sql.live("f."), sql.among(key, f"f.{sql.owner}", applications)])
            + Query(f") AS f) AS n WHERE n.place <= {most} ORDER BY n.application, n.place")
        )
        for application, name in rows:
            names[application].append(name or "")
        return names


def _pasteable(text: str) -> str:
    """Undo the doubling of percent signs that parameters call for."""
    return text.replace("%%", "%")
