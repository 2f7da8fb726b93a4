"""What an undo has brought about, read from the mapped tables as they are after it, within its transaction.

A folder that comes back belongs to the application that it belonged to. Where people have given its survivor, and what
lay in it, to another application meanwhile, that would then lie in a folder of another application than its own.
"""

from collections.abc import Sequence

from cleanup.backends.folders import FolderSql
from cleanup.backends.query import Query, block, quote


class UndoneSql:
    """The statements, in the words of one database."""

    def __init__(self, sql: FolderSql) -> None:
        self.sql = sql

    def misplaced(self, points: Sequence[int]) -> Query:
        """Select point, table (``folders`` or ``files``) and key of rows that went back into folders of another

        application, and lay in one of their own until now.
        """
        sql, tables = self.sql, self.sql.tables
        selects = [
            f"""
            SELECT b.point, '{kind}', {sql.text(key, f"x.{quote(key.column)}")}
              FROM back AS b
              JOIN {table} AS x ON {joined}
              LEFT JOIN {sql.folders} AS s ON s.{sql.folder_key} = b.survivor
             WHERE x.{quote(owner)} <> b.application
               AND (s.{sql.owner} IS NULL OR x.{quote(owner)} = s.{sql.owner})
            """
            for kind, table, key, joined, owner in (
                ("folders", sql.folders, tables.folder_key, f"x.{sql.parent} = b.folder", tables.folder_application),
                (
                    "files",
                    sql.files,
                    tables.file_key,
                    sql.files_of(f"x.{quote(tables.file_folder)}", "b.folder"),
                    tables.file_application,
                ),
            )
        ]
        of_points = sql.numbered("r.point_id", points)
        return Query(
            f"""
            WITH back AS MATERIALIZED (
              SELECT r.point_id AS point, f.{sql.folder_key} AS folder, f.{sql.owner} AS application,
                     {sql.value(tables.folder_key, "r.survivor_key")} AS survivor
                FROM cleanup_removedfolder AS r
                JOIN {sql.folders} AS f ON f.{sql.folder_key} = {sql.value(tables.folder_key, "r.folder_key")}
               WHERE {of_points.text}
            )
            {" UNION ALL ".join(selects)}
            """,
            of_points.params,
        )

    def root_owners(self, keys: Sequence[str]) -> Query:
        """Select key and application of those of the folders that are root folders."""
        sql, tables = self.sql, self.sql.tables
        return block(
            "SELECT {key}, {application} FROM {folders} AS f WHERE f.{parent} IS NULL AND {among}",
            key=sql.text(tables.folder_key, f"f.{sql.folder_key}"),
            application=sql.text(tables.application_key, f"f.{sql.owner}"),
            folders=sql.folders,
            parent=sql.parent,
            among=sql.among(tables.folder_key, f"f.{sql.folder_key}", keys),
        )
