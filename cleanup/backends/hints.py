"""What to run for a finding: a command of ours, or SQL that lists every case, ready to paste.

Pure text: nothing here is executed, and nothing has parameters.
"""

from django.apps import apps

from cleanup.backends.catalogue import Table
from cleanup.backends.finding_kinds import BY_CODE, KINDS
from cleanup.backends.findings import FindingSql
from cleanup.backends.query import pasteable, quote
from cleanup.backends.references import ListReference, Reference, References
from cleanup.backends.shapes import ShapeSql


class Hints:
    """The hints of one database."""

    def __init__(self, sql: FindingSql, references: References) -> None:
        self.sql = sql
        self.references = references
        self.connection = sql.session.connection
        self.shape = ShapeSql(sql)
        slots = {
            "folder_of_file": sql.folder_of_file(f"f.{sql.file_folder}") if sql.files else "",
            "bare_name": sql.trimmed(f"f.{sql.name}"),
            "give_applications": self.shape.give_applications(),
        }
        missing = [slot for slot in ("files", "file_owner") if not getattr(sql, slot)]
        kinds = [k for k in KINDS if k.listing and not any(f"{{{slot}}}" in k.listing for slot in missing)]
        self.listings = {kind.code: pasteable(sql.block(kind.listing, **slots)) for kind in kinds}

    def of(self, code: str, *, application: str | None) -> str:
        """Return the hint about a finding that the mapped tables alone explain."""
        return self.listings.get(code) or BY_CODE[code].command.format(application=application)

    def late(self, *, of_files: bool) -> str:
        """List the folders or files that name a folder which was merged."""
        sql = self.sql
        named = f"f.{sql.file_folder if of_files else sql.parent}"
        key = sql.spelled_key(named) if of_files and sql.loose_files else sql.text(sql.tables.folder_key, named)
        missing = self.listings["file_of_missing_folder" if of_files else "missing_parent"].removesuffix(";")
        return f"{missing} AND {pasteable(sql.was_removed(key))};"

    def roots(self, mark: str) -> str:
        """List the folders that are roots by the convention of another program, and how to make them roots here."""
        return (
            f"{self.shape.list_roots(mark)} -- A root folder has a null parent here. If these are root folders, set "
            f"{self.shape.setting(mark)}, or: {self.shape.make_roots(mark)}"
        )

    def dangling(self, reference: Reference, *, late: bool) -> str:
        """List the rows of a reference that name no folder; the late ones name a folder that was merged."""
        condition = self.sql.names_no_folder(reference, self.references)
        if late:
            condition += " AND " + self.sql.names_removed_folder(reference)
        return pasteable(f"SELECT x.* FROM {self.sql.session.relation(reference.table)} AS x WHERE {condition};")

    def dangling_elements(self, one: ListReference) -> str:
        """List the rows whose array names a folder that does not exist."""
        sql = self.sql
        return pasteable(
            f"SELECT DISTINCT x.* FROM {sql.elements(one)} WHERE {sql.names_no_folder_in(one, self.references)};"
        )

    def children(self, parent: str) -> str:
        """List the children of a folder."""
        key = _literal(self.sql.tables.folder_key.raw(parent, connection=self.connection))
        sql = self.sql
        return pasteable(
            f"SELECT f.* FROM {sql.folders} AS f WHERE f.{sql.parent} = {key.replace('%', '%%')} ORDER BY f.{sql.name};"
        )

    def recompute(self, application: str | None) -> str:
        """Compute anew what tree hooks keep, for an application, or for all."""
        which = "" if application is None else f", application_ids=[{application!r}]"
        alias = self.connection.alias
        return f'manage.py shell -c "from cleanup.hooks import recompute; recompute(using={alias!r}{which})"'

    def grant(self, table: Table) -> str:
        """Let our role read a table."""
        user = self.connection.settings_dict["USER"]
        role = quote(user) if user else "CURRENT_USER"
        return pasteable(f"GRANT SELECT ON {self.sql.session.relation(table.name)} TO {role};")

    def guards(self, command: str) -> str:
        """Make the guards as the settings ask, by a command of their migrations."""
        return command if apps.is_installed("cleanup.guards") else f'Add "cleanup.guards" to INSTALLED_APPS; {command}'


def _literal(value: str) -> str:
    escaped = value.replace("'", "''")
    return f"'{escaped}'"
