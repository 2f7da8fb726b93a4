"""What the rows of the folder table reveal beyond names and types: what prevents a run, and what to know before it.

A small number of statements, each over a bounded sample unless stated otherwise. A folder table that the role may not
fully read is already a problem, and is not examined here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cleanup import backends, conf
from cleanup.backends.catalogue import Column, Table
from cleanup.backends.folders import FolderSql
from cleanup.backends.references import Reference
from cleanup.backends.samples import LONGEST, SampleSql
from cleanup.backends.tree_columns import counts_through
from cleanup.folder_tables import FolderTables, folder_tables
from cleanup.hooks import ready
from cleanup.references import fitting_hooks, path_columns, soft_deletion
from cleanup.references.description import ReferenceMap
from cleanup.references.key_types import kind_of_key
from cleanup.references.mapped_types import are_unlike
from cleanup.references.path_columns import Family, Sign
from cleanup.references.problem import Problem
from cleanup.references.tree_shape import TreeShape

#: Folders with a parent that are compared with it.
_FAMILIES = 1000

#: Folders of which is counted what lies in them.
_COUNTED_CONTENTS = 100

#: Folders whose values are counted, and values that are shown.
_COUNTED, _MOST = 10_000, 20


def row_problems(*, using: str, references: ReferenceMap) -> list[Problem]:
    """Return the problems in the rows that prevent a run."""
    look = _Look.at(using=using, references=references)
    return [] if look is None else list(look.problems())


def row_warnings(*, using: str, references: ReferenceMap) -> list[Problem]:
    """Return what an operator should know about the rows, but does not prevent a run."""
    look = _Look.at(using=using, references=references)
    return [] if look is None else list(look.warnings())


def may_be_read(references: ReferenceMap) -> bool:
    """Return whether the role may read the folder table, and all of it."""
    return "select" in references.folders.privileges and not references.folders.row_security


@dataclass(frozen=True, slots=True)
class _Look:
    references: ReferenceMap
    tables: FolderTables
    sql: FolderSql
    sample: SampleSql
    shape: TreeShape

    @classmethod
    def at(cls, *, using: str, references: ReferenceMap) -> "_Look | None":
        if not may_be_read(references) or are_unlike(references):
            return None
        tables = folder_tables()
        database = backends.database(using=using)
        sql = database.folders(tables, loose_files=references.loose_files)
        shape = TreeShape.of(using=using, folders=references.folders)
        return cls(references, tables, sql, database.samples(sql, references.folders), shape)

    def problems(self) -> Iterator[Problem]:
        of_shape = [] if self._is_misconfigured() else list(self.shape.problems())
        yield from of_shape
        yield from self._trash()
        yield from self._paths()
        if not (of_shape or self._is_misconfigured()):
            yield from self._path_of_key()

    def warnings(self) -> Iterator[Problem]:
        yield from self._one_count()
        yield from self._states()
        if not self._is_misconfigured() and not any(self.shape.problems()):
            yield from self.shape.warnings()

    def _is_misconfigured(self) -> bool:
        """Return whether CLEANUP_FOLDER_LIVE names no column of the folder table, which is a problem already."""
        known = {column.name for column in self.references.folders.columns}
        return not known.issuperset(self.tables.live or {})

    # Other tables in which deleted folders are listed or marked.

    def _trash(self) -> Iterator[Problem]:
        if conf.folder_live_is_set():
            return
        folders = self.references.folders.name
        for reference in self.references.references:
            table = self.references.tables[reference.table]
            readable = "select" in table.privileges and not table.row_security
            if table in self.references.mapped or not readable or not _has_one_row_each(table, reference):
                continue
            if any(self.sample.any_row(reference, mark=mark, unset=soft_deletion.LIVE) for mark in self._marks(table)):
                yield soft_deletion.other_table_problem(folders, table.name, ", ".join(reference.columns))

    def _marks(self, table: Table) -> list[str]:
        """Return the columns that mark a folder as deleted, in a table with one row for each; empty text: every row."""
        folders = self.references.folders.name.name
        words = {word for phrase in self.references.words.phrases for word in phrase}
        if soft_deletion.lists_deleted(table.name.name, table=folders, folders=words):
            return [""]
        return [
            column.name
            for column in table.columns
            if soft_deletion.marks_deleted(column.name, table=table.name.name, flag=soft_deletion.is_flag(column))
            and not soft_deletion.is_reversed(column.name)
        ]

    # Columns that repeat the place in the tree.

    def _paths(self) -> Iterator[Problem]:
        folders = self.references.folders
        if ready.hosts():
            return
        further = self.references.further_columns - self.references.kept_columns
        own = [column for column in folders.columns if column.name in further]
        named = path_columns.named(own)
        asked = path_columns.candidates(column for column in own if column.name not in named and not column.generated)
        if not asked:
            return
        rows = self.sample.families([column.name for column in asked], rows=_FAMILIES)
        families = list(map(Family.of, rows))
        for sign in path_columns.telling(asked, families, keys=kind_of_key(self.tables.folder_key), longest=LONGEST):
            setting = self._kept_by(sign, asked, families)
            yield path_columns.problem(folders.name, sign.columns, why=sign.why, setting=setting)
        yield from self._counts(asked)

    def _counts(self, columns: Sequence[Column]) -> Iterator[Problem]:
        """Report numbers that count what lies in a folder."""
        asked = path_columns.candidates_for_counts(columns)
        # Without an index, each folder's contents would take a look at the whole table.
        if not asked or any(problem.code == "unindexed" for problem in self.references.problems):
            return
        contents = self.sample.contents([column.name for column in asked], rows=_COUNTED_CONTENTS)
        for sign in path_columns.counts(asked, contents):
            yield path_columns.problem(self.references.folders.name, sign.columns, why=sign.why)

    def _path_of_key(self) -> Iterator[Problem]:
        """Report keys that are paths: a folder that moves would need another key."""
        folders, key = self.references.folders, self.references.folder_key
        if kind_of_key(self.tables.folder_key) != "text" or key.name in self.references.ignored_columns:
            return
        families = list(map(Family.of, self.sample.families([key.name], rows=_FAMILIES, only_live=True)))
        for sign in path_columns.telling([key], families, keys="text", longest=LONGEST):
            yield path_columns.problem_of_key(folders.name, key.name, why=sign.why)

    def _kept_by(self, sign: Sign, asked: Sequence[Column], families: Sequence[Family]) -> str:
        """Return the setting of a ready hook that keeps the columns; empty if none does."""
        names = [column.name for column in asked]
        if len(sign.columns) == 2:
            entry = fitting_hooks.counting(sign.columns, tuple(map(names.index, sign.columns)), families)
        else:
            entry = fitting_hooks.fitting(asked, families).get(sign.columns[0])
        return fitting_hooks.setting([*ready.entries(), entry]) if entry else ""

    def _one_count(self) -> Iterator[Problem]:
        """Warn of what a nested set costs that counts through the whole table."""
        folders = self.references.folders
        for kept in self.references.tree_columns:
            if counts_through(kept):
                yield Problem(
                    "one_count",
                    str(folders.name),
                    ", ".join(kept.columns),
                    f"{' and '.join(kept.columns)} count through all of {folders.name} (about "
                    f"{folders.estimated_rows:,} rows). There is one worker, and while a batch is merged or undone, "
                    f"others who write to the table wait, for about {conf.target_transaction_ms():,} ms at a time "
                    f"(CLEANUP_TARGET_TRANSACTION_MS). A column with the tree's number beside them avoids that.",
                )

    # States and switches that say that a folder is deleted.

    def _states(self) -> Iterator[Problem]:
        if conf.folder_live_is_set():
            return
        folders = self.references.folders
        labels = self.sample.enum_labels()
        for column in folders.columns:
            if column.name not in self.references.further_columns:
                continue
            switch = soft_deletion.switches(column.name)
            if not switch and column.name not in labels and not soft_deletion.holds_states(column.name):
                continue
            values = self.sample.values(column.name, rows=_COUNTED, most=_MOST)
            if switch:
                yield from soft_deletion.switch_warning(folders.name, column, values)
            else:
                yield from soft_deletion.state_warning(folders.name, column, values, labels.get(column.name, ()))


def _has_one_row_each(table: Table, reference: Reference) -> bool:
    """Return whether a table has one row for each folder at most."""
    condition = reference.condition.columns if reference.condition else ()
    return any(
        unique.simple and set(reference.columns) <= set(unique.columns) <= {*reference.columns, *condition}
        for unique in table.uniques
    )
