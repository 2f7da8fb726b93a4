"""What to run about a finding: a command of ours, or SQL that lists every case, ready to be pasted.

Pure text: nothing here is executed, and nothing has parameters.
"""

from django.apps import apps

from cleanup.backends.catalogue import Table
from cleanup.backends.findings import FindingSql
from cleanup.backends.query import pasteable, quote
from cleanup.backends.references import Reference, References
from cleanup.backends.shapes import ShapeSql
from cleanup.guard_names import putting


class Hints:
    """The hints of one database."""

    def __init__(self, sql: FindingSql, references: References) -> None:
        self.sql = sql
        self.references = references
        self.connection = sql.session.connection
        self.shape = ShapeSql(sql)
        self.by_code = {code: pasteable(text) for code, text in self._listings().items()}

    def of(self, code: str, *, application: str | None) -> str:
        """Return the hint about a finding that the mapped tables alone explain."""
        if code in ("several_roots", "same_named_siblings"):
            return f"manage.py database_cleanup --cleanup --application {application}"
        if code == "guards_missing":
            return self.guards()
        # What is about another table is listed by its reference; where there is none, the findings themselves are.
        one = "" if application is None else f" --application {application}"
        return self.by_code.get(code, f"manage.py database_cleanup --verify{one} --json")

    def late(self, *, of_files: bool) -> str:
        """List the folders or files that name a folder which was merged."""
        sql = self.sql
        table, column = (sql.files, quote(sql.tables.file_folder)) if of_files else (sql.folders, sql.parent)
        return pasteable(
            f"SELECT f.* FROM {table} AS f WHERE {self._no_folder(column, of_files=of_files)}"
            f" AND {sql.was_removed(self._named(column, of_files=of_files))};"
        )

    def _no_folder(self, column: str, *, of_files: bool = False) -> str:
        sql, named = self.sql, f"f.{column}"
        looked_for = sql.folder_of_file(named) if of_files else named
        return (
            f"{named} IS NOT NULL"
            f" AND NOT EXISTS (SELECT 1 FROM {sql.folders} AS p WHERE p.{sql.folder_key} = {looked_for})"
        )

    def _named(self, column: str, *, of_files: bool) -> str:
        sql, named = self.sql, f"f.{column}"
        return sql.spelled_key(named) if of_files and sql.loose_files else sql.text(sql.tables.folder_key, named)

    def roots(self, mark: str) -> str:
        """List the folders that are roots by the convention of another program, and say how they become roots here."""
        return (
            f"{self.shape.list_roots(mark)} -- A root folder has a null parent here. If these are root folders: "
            f"{self.shape.make_roots(mark)}"
        )

    def dangling(self, reference: Reference, *, late: bool) -> str:
        """List the rows of a reference that name no folder; the late ones name a folder that was merged."""
        condition = self.sql.names_no_folder(reference, self.references)
        if late:
            condition += " AND " + self.sql.names_removed_folder(reference)
        return pasteable(f"SELECT x.* FROM {self.sql.session.relation(reference.table)} AS x WHERE {condition};")

    def children(self, parent: str) -> str:
        """List the children of a folder."""
        key = _literal(self.sql.tables.folder_key.raw(parent, connection=self.connection))
        sql = self.sql
        return pasteable(
            f"SELECT f.* FROM {sql.folders} AS f WHERE f.{sql.parent} = {key.replace('%', '%%')} ORDER BY f.{sql.name};"
        )

    def grant(self, table: Table) -> str:
        """Let our role read a table."""
        user = self.connection.settings_dict["USER"]
        role = quote(user) if user else "CURRENT_USER"
        return pasteable(f"GRANT SELECT ON {self.sql.session.relation(table.name)} TO {role};")

    def guards(self) -> str:
        """Put the guards in place."""
        command = putting(using=self.connection.alias)
        return command if apps.is_installed("cleanup.guards") else f'Add "cleanup.guards" to INSTALLED_APPS; {command}'

    def _listings(self) -> dict[str, str]:
        sql = self.sql
        file_folder, file_owner = quote(sql.tables.file_folder), quote(sql.tables.file_application)
        folders, files = f"SELECT f.* FROM {sql.folders} AS f WHERE ", f"SELECT f.* FROM {sql.files} AS f WHERE "

        def no_application(column: str) -> str:
            return (
                f"f.{column} IS NOT NULL"
                f" AND NOT EXISTS (SELECT 1 FROM {sql.applications} AS a WHERE a.{sql.application_key} = f.{column});"
            )

        def other_application(named: str, owner: str) -> str:
            return (
                f"EXISTS (SELECT 1 FROM {sql.folders} AS p WHERE p.{sql.folder_key} = {named}"
                f" AND p.{sql.owner} <> f.{owner});"
            )

        return {
            "missing_parent": f"{folders}{self._no_folder(sql.parent)};",
            "foreign_parent": folders + other_application(f"f.{sql.parent}", sql.owner),
            "folder_of_missing_application": folders + no_application(sql.owner),
            "folder_without_application": folders
            + f"f.{sql.owner} IS NULL; -- Those below a folder with an application are given it by: "
            + self.shape.give_applications(),
            "blank_name": folders + f"{sql.without_blanks(f'f.{sql.name}')} = '';",
            "cycle": self._cycles(),
            "file_of_missing_folder": f"{files}{self._no_folder(file_folder, of_files=True)};",
            "file_of_missing_application": files + no_application(file_owner),
            "file_in_other_application": files + other_application(sql.folder_of_file(f"f.{file_folder}"), file_owner),
            "late_arrival": self.late(of_files=True),
            "file_without_folder": files + f"f.{file_folder} IS NULL AND f.{file_owner} IS NOT NULL;",
        }

    def _cycles(self) -> str:
        sql = self.sql
        return (
            f"WITH RECURSIVE climb(start, at) AS (SELECT f.{sql.folder_key}, f.{sql.parent} FROM {sql.folders} AS f"
            f" WHERE f.{sql.parent} IS NOT NULL UNION SELECT c.start, f.{sql.parent} FROM climb AS c"
            f" JOIN {sql.folders} AS f ON f.{sql.folder_key} = c.at WHERE f.{sql.parent} IS NOT NULL)"
            f" SELECT f.* FROM {sql.folders} AS f JOIN climb AS c ON c.start = f.{sql.folder_key} AND c.at = c.start;"
        )


def _literal(value: str) -> str:
    escaped = value.replace("'", "''")
    return f"'{escaped}'"
