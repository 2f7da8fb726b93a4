"""An undo as a script for the database's own shell: for when this program is gone.

Invariants: one transaction; nothing is changed that is not compared first; the first conflict ends it; what was
restored is proven before COMMIT, each table as soon as nothing in the script changes it any more; the product's own
tables are neither read nor written. The rooms ``undoing`` and ``lists`` are called as those that undo, by the same
steps, but write their statements down.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from cleanup.backends.catalogue import Table, TableName
from cleanup.backends.changes import Target
from cleanup.backends.lists import Lists
from cleanup.backends.session import Session
from cleanup.backends.undoing import Undoing

#: Why a folder that a repair made cannot go again.
IN_USE = "it refers to a folder that a repair made, and that would go"

#: What a script says in the end if it is so.
STILL_INSTALLED = "The cleanup program is still installed. Have it record this undo: database_cleanup --rollback"


@dataclass(frozen=True, slots=True)
class Written:
    """A table that a script changes."""

    table: Table
    columns: Sequence[str]
    """Those that it needs as they are now."""

    def types(self) -> Iterator[tuple[str, str]]:
        """Yield each of the columns with its type, and whether it is generated."""
        for name in self.columns:
            column = self.table.column(name)
            yield name, f"{column.type}, generated" if column.generated else column.type


@dataclass(frozen=True, slots=True)
class Forbidding:
    """A guard that forbids what a script restores."""

    name: str
    table: TableName
    lift: str
    """The SQL that lifts it."""


class Script(ABC):
    """One script, written in order."""

    undoing: Undoing
    lists: Lists
    """If the database has arrays."""

    def __init__(self, session: Session, write: Callable[[str], object]) -> None:
        self.session = session
        self._write = write
        self._proofs: dict[TableName, list[Callable[[], None]]] = {}

    @abstractmethod
    def refuse(self, written: Iterable[Written]) -> None:
        """Raise Unscriptable if the shell could not write to one of the tables."""

    @abstractmethod
    def begin(self, *, written: Sequence[Written], forbidding: Sequence[Forbidding], bypass_triggers: bool) -> None:
        """Begin the transaction, lock the tables, refuse what has changed about them."""

    @abstractmethod
    def copy_journal(self, points: Sequence[int]) -> None:
        """Write what the statements read."""

    @abstractmethod
    def stop_if_used(self, references: Sequence[Target], arrays: Sequence[Target]) -> None:
        """End the script if a row holds an old value of a target: the key of a folder that is about to go."""

    @abstractmethod
    def end(self, own_table: str) -> None:
        """Prove what is not yet proven, show what was done, and commit.

        If there is ``own_table``, the product is still there.
        """

    # Writing.

    def comment(self, *lines: str) -> None:
        """Write lines of comment; a line break in one of them would end it."""
        self._write("".join(f"-- {' '.join(line.splitlines())}".rstrip() + "\n" for line in lines))

    def statement(self, text: str, *, why: str = "") -> None:
        """Write a statement, ended by a semicolon."""
        self._write("\n")
        if why:
            self.comment(why)
        self._write(f"{text};\n")

    # Proofs.

    def prove(self, table: TableName, proof: Callable[[], None]) -> None:
        """Have a proof written when nothing further in the script changes the table."""
        self._proofs.setdefault(table, []).append(proof)

    def settle(self, tables: Iterable[TableName]) -> None:
        """Write the proofs of tables that are about to be changed again."""
        for name in tables:
            for proof in self._proofs.pop(name, ()):
                proof()
