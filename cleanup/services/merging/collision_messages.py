"""The messages about colliding rows of an application: which, why, and what to do."""

from contextlib import suppress
from typing import Any

from cleanup.backends import Database
from cleanup.backends.catalogue import PARTITIONS, Check, TableName
from cleanup.backends.changes import Cell
from cleanup.backends.collisions import CollidingRow
from cleanup.exceptions import Collision, InvalidKey
from cleanup.folder_tables import FolderTables
from cleanup.references import ReferenceMap
from cleanup.services.merging.collisions import ITS_KEYS, CollidingRows, CollisionForecast
from cleanup.services.merging.suggested_policies import policies_of, reported, setting_of, with_those_in_force

#: Rows that a message names.
_SHOWN = 3


class CollisionMessages:
    """The sentences of one database."""

    def __init__(self, *, references: ReferenceMap, backend: Database, tables: FolderTables) -> None:
        self.references = references
        self.backend = backend
        self.tables = tables

    def error(self, forecast: CollisionForecast, application: str) -> Collision:
        """Return the error of an application that is refused."""
        parts = [self._sentence(colliding, application) for colliding in forecast.colliding.values()]
        policies = setting_of(with_those_in_force(policies_of(reported(forecast))))
        if policies:
            parts.append(f"Set {policies}, or correct the rows.")
        return Collision(" ".join(parts))

    def _sentence(self, colliding: CollidingRows, application: str) -> str:
        number, table = len({mine.key for mine, _ in colliding.rows}), colliding.table
        rows = "row" if number == 1 else "rows"
        if colliding.rule.name == ITS_KEYS:
            return (
                f"Rows of {table} would give way to others, but rows of other tables reference them. "
                f"Correct them by hand first."
            )
        if colliding.rule.name == PARTITIONS:
            return f"{number} {rows} of {table} would belong to no partition. {self._missing_partition(colliding)}"
        if isinstance(colliding.rule, Check):
            told = f"{number} {rows} of {table} would break the check {colliding.rule.name}."
        else:
            told = f"{number} {rows} of {table} would collide in {colliding.rule.name}."
        if colliding.numbered:
            told += " No other name or number makes them fit."
        if table == self.references.folders.name:
            shown = [self._why(colliding, mine, other, application) for mine, other in colliding.rows[:_SHOWN]]
            return " ".join([told, *shown])
        if not colliding.policy:
            told += f" {self._by_hand(colliding)}"
        return told

    def _missing_partition(self, colliding: CollidingRows) -> str:
        if isinstance(colliding.rule, Check) and "satisfies_hash_partition" in colliding.rule.expression:
            return "Create the partition of the remainder that is missing."
        rest = TableName(colliding.table.schema, f"{colliding.table.name}_rest")
        return f"Create one: CREATE TABLE {rest.quoted} PARTITION OF {colliding.table.quoted} DEFAULT;"

    def _by_hand(self, colliding: CollidingRows) -> str:
        return f"Change or remove one of the rows, or lift {colliding.rule.name}."

    def _why(self, colliding: CollidingRows, mine: CollidingRow, other: CollidingRow | None, application: str) -> str:
        """Describe which folder cannot move, why it is not merged, and what to do."""
        folder = self._folder(mine)
        if other is None:
            return f"Folder {folder} is one. {self._by_hand(colliding)}"
        beside = f"it cannot stand beside folder {self._folder(other)}"
        for row, which in ((mine, folder), (other, self._folder(other))):
            owner = self._owner(row)
            if owner is None:
                return (
                    f"Folder {which} belongs to no application, so it is not merged: folder {folder} would move, and "
                    f"{beside}. Give folder {which} its application, rename it, or lift the constraint."
                )
            if owner != application:
                return (
                    f"Folder {which} belongs to application {owner}, so it is not merged: folder {folder} would move, "
                    f"and {beside}. Move folder {which} elsewhere, rename it, or lift the constraint."
                )
        if self.tables.folder_name in colliding.rule.columns:
            return (
                f"Folder {folder} would move, and {beside}: the constraint treats their names as equal, which are not "
                f"equal letter by letter, or one of them is not live. Rename one of them, or lift the constraint."
            )
        shared = ", ".join(colliding.rule.columns)
        return f"Folder {folder} would move, and {beside}: they would be equal in {shared}."

    def _folder(self, row: CollidingRow) -> str:
        return self._key(row.key[0], self.tables.folder_key)

    def _owner(self, row: CollidingRow) -> str | None:
        cell = row.cells[-1]
        return None if cell is None else self._key(cell, self.tables.application_key)

    def _key(self, cell: Cell, key: Any) -> str:
        text = self.backend.cells.cell_text(cell)
        with suppress(InvalidKey):
            text = key.text(text)
        return str(text)
