"""SQLite: reads of the mapped tables; there is one writer, so that nothing is locked."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from cleanup.backends import reading
from cleanup.backends.catalogue import Table
from cleanup.backends.changes import Keys, Target
from cleanup.backends.query import Query, block, quote
from cleanup.backends.sqlite.cells import as_json, encoded, json_array, listed, member, name_of
from cleanup.backends.sqlite.folders import FolderSql
from cleanup.backends.sqlite.targets import key_rows, matches_of, same_key
from cleanup.folder_tables import FolderTables, KeyColumn
from cleanup.planning import FolderRow


class Reading(reading.Reading):
    """Keys are spelled here: the database does not know how."""

    def sql(self, tables: FolderTables) -> FolderSql:
        return FolderSql(self.session, tables)

    def serialize(self, tables: FolderTables, application: str) -> None:
        # There is one writer, and this changes nothing but to become it, now: after a look it would be too late.
        self.execute(
            "UPDATE cleanup_structurelock SET taken_at = taken_at WHERE application_key = %(key)s", key=application
        )

    def lock_applications(self, tables: FolderTables, keys: Sequence[str]) -> set[str]:
        return self._lock_each(tables, keys)

    def lock_folders(self, tables: FolderTables, keys: Sequence[str]) -> None:
        pass  # there is one writer

    def read_parents(
        self, tables: FolderTables, keys: Sequence[str], *, lock: bool, many: bool = False
    ) -> Iterator[tuple[str, str, str | None]]:
        of_application, of_folder = tables.application_key, tables.folder_key
        for owner, folder, above in self.fetch_in_pieces(self._parents(tables, keys)):
            parent_key = None if above is None else self._spelling(of_folder, above)
            yield self._spelling(of_application, owner), self._spelling(of_folder, folder), parent_key

    def _read_each(
        self,
        tables: FolderTables,
        keys: Sequence[str],
        *,
        lock: bool,
        columns: Sequence[str],
        near: Sequence[str] | None,
        many: bool,
    ) -> Iterator[tuple[str, Iterator[FolderRow]]]:
        of_application, of_folder = tables.application_key, tables.folder_key
        rows = self.fetch_in_pieces(self._folders(tables, keys, columns=columns, near=near))
        for owner, own in groupby(rows, key=itemgetter(0)):
            yield (
                self._spelling(of_application, owner),
                (
                    FolderRow(
                        self._spelling(of_folder, folder_key),
                        None if parent_key is None else self._spelling(of_folder, parent_key),
                        name_of(folder_name),
                        age,
                        bool(is_live),
                        tuple(cells),
                    )
                    for _, folder_key, parent_key, folder_name, age, is_live, *cells in own
                ),
            )

    def matching(self, target: Target, *, number: int | str) -> Query:
        return matches_of(target, number=number)

    def listed(self, rows: Sequence[Sequence[str]], columns: Sequence[tuple[str, str]]) -> Query:
        values = ", ".join(f"{member(place)} AS {quote(name)}" for place, (name, _) in enumerate(columns))
        return Query(f"SELECT {values} FROM json_each(%(listed)s)", {"listed": as_json([list(row) for row in rows])})

    def _key(self, expression: str) -> str:
        return expression

    def _cell(self, expression: str) -> str:
        return encoded(expression)

    def _grouped(self, key: KeyColumn, expression: str) -> str:
        return f"{expression} COLLATE BINARY"

    def _among(self, key: KeyColumn, expression: str, keys: Sequence[str], *, name: str = "keys") -> Query:
        cells = [self.cells.key_cell(key, value) for value in keys]
        return Query(f"{expression} IN {listed(name)}", {name: as_json(cells)})

    def _row_key(self, target: Target) -> str:
        return json_array([encoded(f"t.{quote(column)}") for column in target.key])

    def _rows_of_keys(self, table: Table, key: tuple[str, ...], rows: Keys) -> Query:
        return block(
            """
            ({keys}) AS given
            CROSS JOIN {table} AS t ON {same_key}
            """,
            keys=key_rows(key, rows),
            table=self.relation(table.name),
            same_key=same_key(key, "t", "given"),
        )

    def _spelling(self, key: KeyColumn, value: Any) -> str:
        text = str(value)
        if key.is_uuid and len(text) == 32:
            text = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}".lower()
        return text
