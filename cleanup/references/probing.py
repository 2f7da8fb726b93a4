"""Examine rows for references that neither a key, nor a model, nor a name reveals.

Reads only, and little: see Note [A bounded sample] in ``cleanup.backends.probes``. A UUID that is a folder's key is
no other row's; a small number may be any row's. So for keys that are long enough to be unique, one hit in a hundred
values is enough, and for others nearly all values must be hits, spread like folders' keys, in a column whose name says
that it holds ids and is not taken from another table.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import DatabaseError, connections, transaction

from cleanup import backends
from cleanup.backends.catalogue import Column, PlacedColumn, TableName
from cleanup.backends.probes import Hits, KeyKind, Probed, ProbedTable, ProbeSql, in_chunks
from cleanup.backends.references import Reference
from cleanup.folder_tables import folder_tables
from cleanup.hooks import ready
from cleanup.references import histories, suspects
from cleanup.references.description import ReferenceMap
from cleanup.references.holders import Holder, holders
from cleanup.references.host_words import says_id, words_of
from cleanup.references.installed_models import own_table_names
from cleanup.references.key_types import kind_of, kind_of_key
from cleanup.references.kind_columns import Stem, is_code, stem_of_id, stem_of_kind
from cleanup.references.problem import Problem

#: Hits among a hundred values that are enough.
_TELLING = 1
_NEARLY_ALL = 95

#: Minimum number of different values; fewer mean nothing.
_HANDFUL = 5

#: Characters of the shortest key for which a hit is not a coincidence.
_LONG_NUMBER, _LONG_TEXT = 13, 16

#: Of the rows of a kind that is a code, as few different values are enough, if all are folders' keys.
_FEW = 2

#: The kinds of columns that can hold keys of folders.
_KEY_KINDS: dict[str, KeyKind] = {"uuid": "uuid", "integer": "integer", "text": "text"}


@dataclass(slots=True)
class Probe:
    """What examining the rows has shown."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def probe(*, using: str, references: ReferenceMap, reported: Iterable[Problem] = ()) -> Probe:
    """Examine a sample of every column that could hold a folder's key, and the references that settings name.

    Columns that are already ``reported``, as suspects or as paths, are left out.
    """
    return _Probing(using, references, reported).run()


class _Probing:
    """One examination of one database."""

    def __init__(self, using: str, references: ReferenceMap, reported: Iterable[Problem]) -> None:
        self.connection = connections[using]
        self.using = using
        self.references = references
        self.tables = folder_tables()
        key = self.tables.folder_key
        column = references.folders.column(self._spelled(key.column))
        self.kind = kind_of_key(key)
        spelled = self.kind == "uuid" and kind_of(column) == "text"
        database = backends.database(using=using)
        self.sql = database.probes(references.folders.name, column.name, self.kind, spelled=spelled)
        self.columns: dict[TableName, list[PlacedColumn]] = defaultdict(list)
        self.last_words: set[str] = set()
        self.found = Probe()
        self.reported = {
            (problem.table, problem.column)
            for problem in (*references.problems, *reported)
            if problem.code in {"path_column", "suspected"}
        }
        self.unseen: list[TableName] = []
        self.telling, self.greatest = False, 0
        self.left_to_hook = bool(ready.hosts())

    def _spelled(self, name: str) -> str:
        names = {column.name.lower(): column.name for column in self.references.folders.columns}
        return name if name in names.values() else names.get(name.lower(), name)

    def run(self) -> Probe:
        """Examine values, kinds, and the references of settings."""
        own = own_table_names(self.tables)
        for placed in backends.database(using=self.using).catalogue.all_columns():
            if placed.table.name not in own and placed.table not in self.references.histories:
                self.columns[placed.table].append(placed)
        self.last_words = {words[-1] for table in self.columns if (words := words_of(table.name))}
        with self._looking():
            shortest, self.greatest = self.sql.key_lengths()
        self.telling = shortest >= {"uuid": 0, "integer": _LONG_NUMBER, "text": _LONG_TEXT}[self.kind]
        candidates = self._candidates()
        for chunk in in_chunks(candidates):
            self._look_at(chunk)
        self._look_at_kinds()
        self._look_at_other_keys()
        self._look_at_untold()
        for reference in self.references.references:
            if reference.source == "setting" and reference.condition is None and len(reference.columns) == 1:
                self._look_at_extra(reference)
        if self.unseen:
            self.found.warnings.append(suspects.not_looked_at(sorted(set(self.unseen))))
        return self.found

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Limit the cost of statements, in a transaction of their own; in one of the caller's, by its limits."""
        if backends.database(using=self.using).one_writer:  # a transaction might take the write lock
            self.sql.limit()
            yield
            return
        outermost = not self.connection.in_atomic_block
        with transaction.atomic(using=self.using):
            if outermost:
                self.sql.limit()
            yield

    # What to examine.

    def _holders(self, placed: Iterable[PlacedColumn]) -> Iterator[Holder]:
        folders = self.references.folders.name
        for holder in holders(placed, self.tables.folder_key):
            table, column = holder.placed.table, holder.placed.column
            known = (table, column.name) in self.references.known or (str(table), column.name) in self.reported
            if known or column.generated:
                continue
            # Keys of other folders in the folder table itself are paths, or left to a hook.
            if table == folders and column.name in self.references.kept_columns:
                continue
            if table == folders and (holder.form != "value" or holder.kind == "text") and self.left_to_hook:
                continue
            yield holder

    def _candidates(self) -> list[ProbedTable]:
        tables = []
        self.placed: dict[TableName, list[Holder]] = {}
        for table, columns in self.columns.items():
            found = [holder for holder in self._holders(columns) if self.telling or self._is_plausible(holder)]
            if found and not all(holder.placed.readable for holder in found):
                self.unseen.append(table)
            found = [holder for holder in found if holder.placed.readable]
            first = columns[0]
            if found and first.bytes != 0:
                self.placed[table] = found
                probed = tuple(Probed(holder.placed.column.name, holder.kind, holder.form) for holder in found)
                tables.append(ProbedTable(table, probed, first.bytes, first.rowid))
        return tables

    def _is_plausible(self, holder: Holder) -> bool:
        """Return whether a column may hold folders' keys, if each might be any row's."""
        column = holder.placed.column
        if holder.placed.sole_key or column.identity or holder.form == "document":
            return False
        if self.references.words.name_it(column.name):
            return True
        stem = stem_of_id(column.name)
        return self.references.words.say_id(column.name) and bool(stem) and stem[-1] not in self.last_words

    # Examining.

    def _look_at(self, chunk: Sequence[ProbedTable]) -> None:
        try:
            with self._looking():
                found = self.sql.probe(chunk)
        except DatabaseError:
            if len(chunk) == 1:
                self.unseen.append(chunk[0].name)
                return
            for table in chunk:  # one of them is locked, or is slow, or has gone
                self._look_at([table])
            return
        for hits in found:
            self._judge(self.placed[chunk[hits.table].name][hits.column], hits)

    def _judge(self, holder: Holder, hits: Hits) -> None:
        amid = hits.mentions if holder.form == "value" else 0
        if self.telling and hits.hits and hits.hits == amid:
            self.found.warnings.append(suspects.mentioned(holder, hits))
        elif self._is_telling(holder, hits):
            condition = self._condition(holder.placed.table, holder.placed.column.name)
            self.found.problems.append(suspects.by_value(holder, hits, condition=condition))

    def _is_telling(self, holder: Holder, hits: Hits) -> bool:
        if self.telling:
            return hits.hits > 0 and 100 * hits.hits >= _TELLING * hits.cells
        named = self.references.words.name_it(holder.placed.column.name)
        if hits.distinct <= _HANDFUL or 100 * hits.distinct_hits < _NEARLY_ALL * hits.distinct:
            return False
        return self.kind != "integer" or named or 2 * hits.greatest_hit >= self.greatest

    def _look_at_kinds(self) -> None:
        """Find rows about folders whose keys might be any row's, by what another column says about them."""
        if self.telling:
            return
        reported = {(problem.table, problem.column) for problem in self.found.problems}
        for table, columns in self.columns.items():
            for holder in self._holders(columns):
                name = holder.placed.column.name
                beside = self._kind_column(table, name)
                told_by = beside or self._only_kind_column(table, name)
                if told_by is None or columns[0].bytes == 0 or (str(table), name) in reported:
                    continue
                if holder.form != "value" or not holder.placed.readable or not self._is_plausible(holder):
                    continue
                kinds = self._kinds(table, beside, name) if beside else []
                about = [kind for kind in kinds if kind and self._is_ours(kind)]
                about = about or self._kinds_by_values(table, told_by, name)
                if about:
                    condition = _source(told_by, about)
                    several = len(about) > 1
                    self.found.problems.append(suspects.of_kind(holder, told_by, condition=condition, several=several))

    def _kinds_by_values(self, table: TableName, beside: str, column: str) -> list[str]:
        """Return the kinds of which nearly all rows hold folders' keys, if those of another kind do not.

        Of a kind that is a word, a handful may be a coincidence: the word would say folder.
        """
        if self.kind != "integer":
            return []
        try:
            with self._looking():
                found = self.sql.kinds_of_keys(table, beside, column)
        except DatabaseError:
            self.unseen.append(table)
            return []
        about = [
            kind
            for kind, distinct, hits, greatest in found
            if 100 * hits >= _NEARLY_ALL * distinct
            and 2 * greatest >= self.greatest
            and (distinct > _HANDFUL or (distinct >= _FEW and is_code(kind)))
        ]
        return about if len(about) < len(found) else []

    def _is_ours(self, kind: str) -> bool:
        return self.references.words.name_this(kind)

    def _look_at_untold(self) -> None:
        reported = {(problem.table, problem.column) for problem in self.found.problems}
        for one in self.references.untold:
            if (str(one.table), one.column) in reported:
                continue
            try:
                with self._looking():
                    if not self.sql.any_row(one.table, one.column, one.condition):
                        continue
            except DatabaseError:
                self.unseen.append(one.table)
                continue
            if one.history:
                self.found.warnings.append(histories.left(one))
            else:
                self.found.problems.append(histories.unclaimed(one))

    # Other keys of folders, such as the number that they had before, or a slug.

    def _look_at_other_keys(self) -> None:
        reported = {(problem.table, problem.column) for problem in self.found.problems} | self.reported
        folders = self.references.folders
        for unique in folders.uniques:
            if not unique.simple or len(unique.columns) != 1 or unique.columns[0] == self.references.folder_key.name:
                continue
            key = folders.column(unique.columns[0])
            kind = _KEY_KINDS.get(kind_of(key))
            if kind is not None and not key.generated:
                sql = backends.database(using=self.using).probes(folders.name, key.name, kind, spelled=False)
                held = list(self._may_hold(key, kind, reported))
                for chunk in in_chunks(held):
                    self._look_for_key(sql, key, chunk)

    def _may_hold(self, key: Column, kind: KeyKind, reported: Collection[tuple[str, str]]) -> Iterator[ProbedTable]:
        """Yield the columns of other tables that may hold another key of folders, judged by their names."""
        alike = set(words_of(key.name)[-1:]) if not says_id(key.name) else set()
        for table, columns in self.columns.items():
            if table == self.references.folders.name or columns[0].bytes == 0:
                continue
            probed = tuple(
                Probed(placed.column.name, kind, "value")
                for placed in columns
                if kind_of(placed.column) == kind
                and placed.readable
                and not (placed.array or placed.compound or placed.sole_key or placed.column.generated)
                and (table, placed.column.name) not in self.references.known
                and (str(table), placed.column.name) not in reported
                and (self.references.words.name_it(placed.column.name) or self._ends_in(placed.column.name, alike))
            )
            if probed:
                yield ProbedTable(table, probed, columns[0].bytes, columns[0].rowid)

    def _ends_in(self, column: str, last_words: Collection[str]) -> bool:
        """Return whether a column is named like the other key, after something that is not a table of its own."""
        words = words_of(column)
        return len(words) > 1 and words[-1] in last_words and words[-2] not in self.last_words

    def _look_for_key(self, sql: ProbeSql, key: Column, chunk: Sequence[ProbedTable]) -> None:
        try:
            with self._looking():
                sql.limit()
                found = sql.probe(chunk)
        except DatabaseError:
            self.unseen += [table.name for table in chunk]
            return
        for hits in found:
            if hits.hits and 100 * hits.hits >= _NEARLY_ALL * hits.cells:
                table = chunk[hits.table]
                column = table.columns[hits.column].name
                folders = self.references.folders.name
                self.found.problems.append(
                    suspects.by_other_key(table.name, column, hits, folders=folders, key=key.name)
                )

    # References that settings name.

    def _look_at_extra(self, reference: Reference) -> None:
        (column,) = reference.columns
        findings = backends.database(using=self.using).findings(self.tables)
        matching = findings.matches(reference, self.references)
        none = findings.names_none(reference, self.references)
        try:
            with self._looking():
                rows, missing = self.sql.missing(reference.table, column, matching, none=none)
        except DatabaseError:
            self.unseen.append(reference.table)
            return
        beside = self._kind_column(reference.table, column)
        kinds = self._kinds(reference.table, beside, column) if beside and rows else []
        condition = self._condition(reference.table, column) if missing or len(kinds) > 1 else ""
        mixed = len(kinds) > 1 and beside is not None and stem_of_kind(beside) == stem_of_id(column)
        if not self.telling and rows and (4 * missing > rows or mixed):
            self.found.problems.append(suspects.other_kinds(reference, rows, missing, condition=condition))
        elif missing:
            self.found.warnings.append(suspects.dangling(reference, rows, missing, condition=condition))

    # What another column says a row is about.

    def _kind_column(self, table: TableName, column: str) -> str | None:
        """Return the column that says what ``column`` is about: of the same name but for its end, or the only one."""
        kinds, words = self._kind_columns(table, column), self.references.words
        alike = [name for name, stem in kinds.items() if stem == stem_of_id(column)]
        others = (name for name in self._readable(table) if name not in {column, *kinds})
        taken = {stem_of_id(name) for name in others if words.say_id(name)}
        free = [name for name, stem in kinds.items() if stem not in taken]
        return (alike or free)[0] if alike or len(free) == 1 else None

    def _only_kind_column(self, table: TableName, column: str) -> str | None:
        """Return the table's only column of kinds; its values decide whether they are those of ``column``."""
        kinds = list(self._kind_columns(table, column))
        return kinds[0] if len(kinds) == 1 else None

    def _kind_columns(self, table: TableName, column: str) -> dict[str, Stem]:
        """Return the columns of kinds beside a column, with what they are named after; first the obvious ones."""
        readable = self._readable(table)
        for plain in (True, False):
            stems = {name: stem_of_kind(name, plain=plain) for name in readable if name != column}
            kinds = {name: stem for name, stem in stems.items() if stem is not None}
            if kinds:
                return kinds
        return {}

    def _readable(self, table: TableName) -> list[str]:
        return [placed.column.name for placed in self.columns.get(table, ()) if placed.readable]

    def _kinds(self, table: TableName, beside: str, column: str, *, hits: bool = False) -> list[str | None]:
        try:
            with self._looking():
                return self.sql.kinds(table, beside, column, hits=hits)
        except DatabaseError:
            self.unseen.append(table)
            return []

    def _condition(self, table: TableName, column: str) -> str:
        """Return the condition to give a reference, as Python source, with the values that occur; empty: none."""
        beside = self._kind_column(table, column)
        if beside is None:
            return ""
        kinds = self._kinds(table, beside, column)
        of_folders = self._kinds(table, beside, column, hits=True) if self.telling else kinds
        about = [kind for kind in kinds if kind is not None and self._is_ours(kind)]
        return _source(beside, about or of_folders) if len(kinds) > 1 or about else ""


def _source(column: str, values: Sequence[str | None]) -> str:
    spelled = [json.dumps(value, ensure_ascii=False) if value is not None else "None" for value in values]
    listed = spelled[0] if len(spelled) == 1 else f"[{', '.join(spelled)}]"
    return f"{{{json.dumps(column, ensure_ascii=False)}: {listed}}}"
