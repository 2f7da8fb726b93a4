"""The result of an undo, read from the mapped tables after it, within its transaction.

A folder that comes back belongs to its previous application. If people have since assigned its survivor, and what lay
in it, to another application, those rows would then lie in a folder of a different application from their own.
"""

from collections.abc import Sequence

from cleanup.backends.folders import FolderSql
from cleanup.backends.query import Query, joined


class MisplacedSql:
    """The statements, in the words of one database."""

    def __init__(self, sql: FolderSql) -> None:
        self.sql = sql

    def misplaced(self, points: Sequence[int]) -> Query:
        """Select point, table (``folders`` or ``files``) and key of rows that went back into folders of another

        application, and lay in one of their own until now.
        """
        sql, tables = self.sql, self.sql.tables
        folders = self._rows_that_lie(
            "folders",
            table=sql.folders,
            key=sql.text(tables.folder_key, f"x.{sql.folder_key}"),
            in_folder=f"x.{sql.parent} = b.folder",
            row_owner=sql.own,
        )
        misplaced = [folders]
        if tables.file and tables.file.application:
            files = self._rows_that_lie(
                "files",
                table=sql.files,
                key=sql.text(tables.file.key, f"x.{sql.file_key}"),
                in_folder=sql.files_of(f"x.{sql.file_folder}", "b.folder"),
                row_owner=sql.file_owner,
            )
            misplaced.append(files)
        return sql.block(
            """
            WITH back AS MATERIALIZED (
                -- Folders whose survivors are still in their application, as nearly all are, have no such rows.
                SELECT r.point_id AS point, f.{folder_key} AS folder, f.{own} AS application, s.{own} AS other
                  FROM cleanup_removedfolder AS r
                  JOIN {folders} AS f ON f.{folder_key} = {removed}
                  LEFT JOIN {folders} AS s ON s.{folder_key} = {survivor}
                 WHERE {of_points} AND (s.{own} IS NULL OR s.{own} <> f.{own})
            )
            {misplaced}
            """,
            own=sql.own,
            survivor=sql.value(tables.folder_key, "r.survivor_key"),
            removed=sql.removed_key(),
            of_points=sql.numbered("r.point_id", points),
            misplaced=joined("\nUNION ALL\n", misplaced),
        )

    def _rows_that_lie(self, kind: str, **parts: str | Query) -> Query:
        """Select rows ``x`` of one table that lie ``in_folder`` of another application than their own, as of now."""
        return self.sql.block(
            """
            SELECT b.point, '{kind}', {key}
              FROM back AS b
              JOIN {table} AS x ON {in_folder}
             WHERE x.{row_owner} <> b.application AND (b.other IS NULL OR x.{row_owner} = b.other)
            """,
            kind=kind,
            **parts,
        )

    def root_owners(self, keys: Sequence[str]) -> Query:
        """Select key and application of those of the folders that are root folders."""
        sql, tables = self.sql, self.sql.tables
        return sql.block(
            "SELECT {key}, {application} FROM {folders} AS f WHERE f.{parent} IS NULL AND {among}",
            key=sql.text(tables.folder_key, f"f.{sql.folder_key}"),
            application=sql.text(tables.application_key, f"f.{sql.own}"),
            among=sql.among(tables.folder_key, f"f.{sql.folder_key}", keys),
        )
