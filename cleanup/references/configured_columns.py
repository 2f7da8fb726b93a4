"""The columns and tables that settings name: ``table.column``, ``schema.table.column``, or a pattern of either.

A name with a dot in it is quoted, as in SQL. A pattern (``*.shares.folder_id``) is that of a file name, matched
against ``schema.table.column`` and ``table.column``.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from cleanup import conf
from cleanup.backends.catalogue import TableName
from cleanup.backends.conditions import Condition

_QUOTED_PARTS = re.compile(r'(?:"(?:[^"]|"")+"|[^".]+)(?:\.(?:"(?:[^"]|"")+"|[^".]+))*')
_PART = re.compile(r'"(?:[^"]|"")+"|[^".]+')
_WILDCARD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class NamedColumn:
    """One entry of a setting."""

    setting: Literal["CLEANUP_EXTRA_REFERENCES", "CLEANUP_IGNORED_COLUMNS"]
    spelling: str
    """As in the setting."""
    table: str
    """The table as models spell it; empty for a pattern."""
    column: str
    condition: Condition | None = None
    expanded: bool = False
    """It came from a pattern."""

    @property
    def is_pattern(self) -> bool:
        """Return whether the entry stands for any number of columns."""
        return not self.table

    def matches(self, table: TableName, column: str) -> bool:
        """Return whether a pattern covers a column."""
        short = f"{table.name}.{column}"
        return any(fnmatchcase(name, self.spelling) for name in (f"{table.schema or 'main'}.{short}", short))


@dataclass(frozen=True, slots=True)
class NamedColumns:
    """All entries of the settings that name columns or tables of the database."""

    extra_references: tuple[NamedColumn, ...]
    ignored_columns: tuple[NamedColumn, ...]
    collisions: tuple[str, ...]

    @classmethod
    def read(cls) -> "NamedColumns":
        """Read the settings. Raises MisconfiguredSetting."""
        return cls(
            extra_references=tuple(_named("CLEANUP_EXTRA_REFERENCES", conf.extra_references())),
            ignored_columns=tuple(_named("CLEANUP_IGNORED_COLUMNS", {entry: {} for entry in conf.ignored_columns()})),
            collisions=tuple(conf.collisions()),
        )

    @property
    def tables(self) -> set[str]:
        """The tables, as the settings spell them."""
        entries = (*self.extra_references, *self.ignored_columns)
        return {entry.table for entry in entries if not entry.is_pattern} | set(self.collisions)

    @property
    def patterns(self) -> tuple[NamedColumn, ...]:
        """The entries that are patterns."""
        return tuple(entry for entry in (*self.extra_references, *self.ignored_columns) if entry.is_pattern)

    def expanded(self, columns: Iterable[tuple[TableName, str]]) -> "NamedColumns":
        """Return the entries with every pattern replaced by the columns that it covers."""
        there = list(columns)
        return NamedColumns(
            extra_references=tuple(_expanded(self.extra_references, there)),
            ignored_columns=tuple(_expanded(self.ignored_columns, there)),
            collisions=self.collisions,
        )


def entry_of(table: TableName, column: str) -> str:
    """Spell a column as an entry of a setting that matches only this column."""
    parts = [table.schema, table.name, column] if table.schema else [table.name, column]
    if all(_is_plain(part) for part in parts):
        return ".".join(parts)
    return ".".join('"{}"'.format(part.replace('"', '""')) for part in parts)


def pasted(entry: str) -> str:
    """Spell an entry as Python source."""
    return repr(entry) if '"' in entry or "\\" in entry else f'"{entry}"'


def _is_plain(part: str) -> bool:
    return not (set(part) & {".", '"'} or _WILDCARD.search(part))


def _named(
    setting: Literal["CLEANUP_EXTRA_REFERENCES", "CLEANUP_IGNORED_COLUMNS"],
    entries: Mapping[str, Mapping[str, tuple[str | int | None, ...]]],
) -> Iterator[NamedColumn]:
    for entry, values in entries.items():
        condition = Condition.of(values) if values else None
        if '"' in entry and _QUOTED_PARTS.fullmatch(entry):
            *table, column = (_unquoted(part) for part in _PART.findall(entry))
            yield NamedColumn(setting, entry, ".".join(f'"{part}"' for part in table), column, condition)
        elif _WILDCARD.search(entry):
            yield NamedColumn(setting, entry, "", "", condition)
        else:
            name, _, column = entry.rpartition(".")
            yield NamedColumn(setting, entry, name, column, condition)


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def _expanded(entries: Iterable[NamedColumn], columns: Iterable[tuple[TableName, str]]) -> Iterator[NamedColumn]:
    for entry in entries:
        if not entry.is_pattern:
            yield entry
            continue
        for table, column in columns:
            if entry.matches(table, column):
                spelled = ".".join(f'"{part}"' for part in (table.schema, table.name) if part)
                yield NamedColumn(entry.setting, entry.spelling, spelled, column, entry.condition, expanded=True)
