"""The columns and tables that settings name."""

from dataclasses import dataclass

from cleanup import conf


@dataclass(frozen=True, slots=True)
class NamedColumn:
    """One entry ``table.column`` or ``schema.table.column``."""

    setting: str
    table: str
    column: str


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
            extra_references=_named("CLEANUP_EXTRA_REFERENCES", conf.extra_references()),
            ignored_columns=_named("CLEANUP_IGNORED_COLUMNS", conf.ignored_columns()),
            collisions=tuple(conf.collisions()),
        )

    @property
    def tables(self) -> set[str]:
        """The tables, as the settings spell them."""
        return {entry.table for entry in (*self.extra_references, *self.ignored_columns)} | set(self.collisions)


def _named(setting: str, entries: tuple[str, ...]) -> tuple[NamedColumn, ...]:
    split = (entry.rpartition(".") for entry in entries)
    return tuple(NamedColumn(setting, table, column) for table, _, column in split)
