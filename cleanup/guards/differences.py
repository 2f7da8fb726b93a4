"""Where the guards of a database differ from what the settings ask for, and the command that makes them alike.

Reads only the catalogue, and which migrations are applied.
"""

from dataclasses import dataclass
from enum import StrEnum

from cleanup.backends.guards import InstalledGuard
from cleanup.guard_names import MADE_BY, VALIDATED_BY, Guard, mending, putting
from cleanup.guards.guard_ddl import applied_migrations, guard_sql_of, standings


class DifferenceKind(StrEnum):
    """How a guard differs."""

    MISSING = "missing"
    OUTDATED = "outdated"
    """It was made under other settings, or left unfinished."""
    NOT_VALIDATED = "not_validated"
    """It is not known to hold for older rows."""
    UNWANTED = "unwanted"
    """``CLEANUP_GUARDS`` leaves it out, or other settings do."""


@dataclass(frozen=True, slots=True)
class GuardDifference:
    """One guard that is not as the settings ask."""

    guard: Guard
    kind: DifferenceKind
    migrated: bool
    """The migration that should have seen to it is applied."""
    command: str
    """The command that makes it as the settings ask."""

    def __str__(self) -> str:
        return _SENTENCES[self.kind].format(guard=self.guard)


_SENTENCES = {
    DifferenceKind.MISSING: "Guard {guard} is not in place.",
    DifferenceKind.OUTDATED: "Guard {guard} was made under other settings, or left unfinished.",
    DifferenceKind.NOT_VALIDATED: "Guard {guard} is not validated for older rows.",
    DifferenceKind.UNWANTED: "Guard {guard} is in place, but the settings leave it out.",
}


def guard_differences(*, using: str) -> list[GuardDifference]:
    """Return the guards that are not as the settings ask. Raises DatabaseUnusable."""
    sql = guard_sql_of(using=using)
    applied = applied_migrations(using=using)
    there = standings(sql, applied=applied)
    found = []
    for guard in Guard:
        kind = _kind(there.get(guard), wanted=guard in sql.guards)
        if kind is not None:
            migration = (VALIDATED_BY if kind == DifferenceKind.NOT_VALIDATED else MADE_BY).get(guard, MADE_BY[guard])
            command = mending(guard, using=using) if migration in applied else putting(using=using)
            found.append(GuardDifference(guard, kind, migration in applied, command))
    return found


def _kind(standing: InstalledGuard | None, *, wanted: bool) -> DifferenceKind | None:
    if not wanted:
        return DifferenceKind.UNWANTED if standing is not None and standing.ours else None
    if standing is None:
        return DifferenceKind.MISSING
    if not standing.usable:
        return DifferenceKind.OUTDATED
    return None if standing.whole else DifferenceKind.NOT_VALIDATED
