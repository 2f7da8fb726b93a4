"""PostgreSQL: locks and reads of the mapped tables."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter

from cleanup.backends import reading
from cleanup.backends.catalogue import Table
from cleanup.backends.changes import NO_NAME, Keys, Target
from cleanup.backends.postgresql.cells import (
    array,
    array_cast,
    key_columns,
    key_condition,
    numbers,
    relation_of,
    shown,
    text_array,
    typed,
)
from cleanup.backends.postgresql.folders import FolderSql
from cleanup.backends.postgresql.session import Session
from cleanup.backends.postgresql.targets import condition_of, given_olds, olds_of, pairs_of
from cleanup.backends.query import Query, block, quote
from cleanup.folder_tables import FolderTables, KeyColumn
from cleanup.packing import PackedTexts, packed_uuid, spelled_uuid
from cleanup.planning import FolderRow


class Reading(reading.Reading):
    """A key's text is its spelling."""

    session: Session

    def sql(self, tables: FolderTables) -> FolderSql:
        return FolderSql(self.session, tables)

    def serialize(self, tables: FolderTables, application: str) -> None:
        # Not FOR UPDATE: two callers that have both filed something for the application, and so hold its key, would
        # wait for each other.
        self.fetch(self._applications(tables, [application], lock="FOR NO KEY UPDATE"))
        self.session.note_lock()
        # A lock is not a change, and so escapes an older snapshot; this row does not. Whatever the isolation of this
        # transaction, that of the next one may be another.
        self.execute(
            """
            INSERT INTO cleanup_structurelock (application_key, taken_at)
            VALUES (%(application)s, clock_timestamp())
                ON CONFLICT (application_key) DO UPDATE SET taken_at = excluded.taken_at
            """,
            application=application,
        )

    def lock_applications(self, tables: FolderTables, keys: Sequence[str]) -> set[str]:
        if len(keys) > 1 or self.session.holds_lock():  # while waiting for a single first lock, nothing else is held
            self.limit_lock_wait()
        # FOR UPDATE, not FOR NO KEY UPDATE: an insert of a folder or file waits at its foreign key until we are done.
        found = self._lock_each(tables, keys, lock="FOR UPDATE")
        self.session.note_lock()
        return found

    def lock_folders(self, tables: FolderTables, keys: Sequence[str]) -> None:
        self.limit_lock_wait()
        self.fetch(
            block(
                "SELECT count(*) FROM (\n{owned}\n) AS locked",  # there may be a million, and none is needed here
                owned=self.sql(tables).owned_and_locked(keys, lock="FOR UPDATE"),
            )
        )

    def read_parents(
        self, tables: FolderTables, keys: Sequence[str], *, lock: bool, many: bool = False
    ) -> Iterator[tuple[str, str, str | None]]:
        if lock:
            self.limit_lock_wait()
        return self.fetch_in_pieces(self._parents(tables, keys, lock="FOR UPDATE" if lock else ""), many=many)

    def _packed_keys(self, tables: FolderTables) -> PackedTexts:
        # A UUID has one spelling here.
        return PackedTexts(packed_uuid, spelled_uuid, width=16) if tables.folder_key.is_uuid else PackedTexts()

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
        if lock:
            self.limit_lock_wait()
        rows = self.fetch_in_pieces(
            self._folders(tables, keys, columns=columns, near=near, lock="FOR UPDATE" if lock else ""), many=many
        )
        make = partial(tuple.__new__, FolderRow)  # much faster than its own constructor
        for owner, own in groupby(rows, key=itemgetter(0)):
            yield owner, (make((*row[1:3], NO_NAME if row[3] is None else row[3], *row[4:6], row[6:])) for row in own)

    def matching(self, target: Target, *, number: int | str) -> Query:
        return block(
            """
            {pairs}
            JOIN {table} AS t ON {condition}
            """,
            pairs=pairs_of(self.session, target, number=number),
            table=self.relation(target.table.name),
            condition=condition_of(target, number=number),
        )

    def _matching_all(self, targets: Sequence[Target]) -> tuple[list[Query], list[Query]]:
        # The pairs are long and mostly the same for all references: they are sent, and read, once.
        names: dict[tuple[object, ...], str] = {}
        ctes, joins = [], []
        for number, target in enumerate(targets):
            same = (id(target.pairs), *(typed(target.table.column(column)) for column in target.columns))
            if same not in names:
                names[same] = f"olds{len(names)}"
                ctes.append(olds_of(self.session, target, name=names[same]))
            given = given_olds(target, olds=names[same])
            joins.append(
                block(
                    """
                    {given}
                    JOIN {table} AS t ON {condition}
                    """,
                    given=given,
                    table=self.relation(target.table.name),
                    condition=condition_of(target, number=number, changes=given),
                )
            )
        return ctes, joins

    def listed(self, rows: Sequence[Sequence[str]], columns: Sequence[tuple[str, str]]) -> Query:
        kinds = {quote(name): kind for name, kind in columns}
        arrays = ", ".join(f"%(listed_{place})s::{kind}[]" for place, kind in enumerate(kinds.values()))
        return Query(
            f"SELECT * FROM unnest({arrays}) AS given({', '.join(kinds)})",
            {f"listed_{place}": array(values) for place, values in enumerate(zip(*rows, strict=True))},
        )

    def _key(self, expression: str) -> str:
        return f"{expression}::text"

    def _cell(self, expression: str) -> str:
        return f"{expression}::text"

    def _grouped(self, key: KeyColumn, expression: str) -> str:
        return expression if key.is_uuid or key.is_integer else f'{expression}::text COLLATE "C"'

    def _among(self, key: KeyColumn, expression: str, keys: Sequence[str], *, name: str = "keys") -> Query:
        return Query(f"{expression} = ANY(%({name})s{array_cast(self.connection, key)})", {name: array(keys)})

    def _row_key(self, target: Target) -> str:
        return text_array([shown(target.table.column(column)) for column in target.key])

    def _rows_of_keys(self, table: Table, key: tuple[str, ...], rows: Keys) -> Query:
        return block(
            """
            {keys}
            JOIN {table} AS t ON {same_key}
            """,
            keys=relation_of(
                {"point": "bigint", **key_columns(key)}, [numbers(rows.points), *map(array, rows.columns)]
            ),
            table=self.relation(table.name),
            same_key=key_condition(table, key),
        )
