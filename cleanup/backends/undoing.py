"""The statements that undo what a journal says.

Invariant: every method is a constant number of statements whatever the number of rows.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence

from cleanup.backends.catalogue import ForeignKey, Table, TableName
from cleanup.backends.changes import (
    ImageLink,
    Images,
    Restoration,
    RowConflict,
    StructureTable,
    UndoTarget,
)
from cleanup.backends.session import Room
from cleanup.exceptions import CountMismatch
from cleanup.folder_tables import KeyColumn


class Undoing(Room, ABC):
    """One connection's undo."""

    @abstractmethod
    def restore_moved(self, targets: Sequence[UndoTarget], *, points: Sequence[int], step: int) -> Restoration:
        """Undo one step's moves.

        A cell that is what the move made of it gets its old value back; one that is already old is left; any other
        is a conflict. Raises CountMismatch when a row changed under our hands, or the journal holds other than
        ``rows``.
        """

    @abstractmethod
    def restore_images(self, images: Images, *, foreign_keys: Sequence[ForeignKey]) -> Restoration:
        """Insert removed rows again, but those that are there already.

        Where one cannot be restored, nothing is inserted and the conflicts are returned: key or unique place taken, or
        a foreign key's target missing. Raises CountMismatch.
        """

    @abstractmethod
    def image_links(self, images: Images, *, foreign_key: ForeignKey) -> Iterator[ImageLink]:
        """Yield which removed rows, gone still, need which others by a foreign key of their table to itself."""

    @abstractmethod
    def check_now(self, table: Table, *, apart_from: Collection[TableName] = ()) -> None:
        """Check what is deferred of the table's own constraints, so that what breaks one is known at once.

        Not its foreign keys to the tables ``apart_from``, which change later. Raises IntegrityError.
        """

    def _require_all(self, table: Table, found: int, expected: int | None) -> None:
        """Raise CountMismatch where the journal holds other than what it says."""
        if expected is not None and expected != found:
            raise CountMismatch(table=str(table.name), moved=expected, journaled=found)

    @abstractmethod
    def structure_differences(
        self,
        structure: StructureTable,
        images: Images,
        *,
        application: str,
        application_key: KeyColumn,
        limit: int,
    ) -> list[RowConflict]:
        """Compare a stored structure with the rows as they are: ``row_missing``, ``changed`` and ``extra``."""
