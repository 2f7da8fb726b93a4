"""What ``manage.py check --database ALIAS`` reports about guards: which of them the data forbids, which are gone.

A guard that is in place costs a catalogue query; only the others are compared with the data.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Warning  # noqa: A004  # Django's name for it
from django.db import DatabaseError, connections, router

from cleanup.backends.guards import InstalledGuard
from cleanup.backends.pinning import pinning
from cleanup.exceptions import CleanupError
from cleanup.guard_names import APP_LABEL, MADE_BY, VALIDATED_BY, Guard, lifting, on, putting
from cleanup.guards.guard_ddl import applied_migrations, guard_sql_of, installed, standings
from cleanup.guards.violations import obstacle, points_bound_by, told_points


def check_guards(
    *,
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001
    databases: Sequence[str] | None,
    **_kwargs: Any,
) -> list[CheckMessage]:
    """Check the given databases."""
    messages: list[CheckMessage] = []
    for using in databases or ():
        if not router.allow_migrate(using, APP_LABEL):
            continue
        connections[using].ensure_connection()  # without a database there is nothing to report: the caller reports that
        try:
            with pinning(using=using):
                messages += _about(using) if installed(using=using) else ()
        except (CleanupError, DatabaseError):
            messages.append(
                Warning(
                    f"It is unknown whether guards can be put in place on {using}: the mapped tables cannot be read.",
                    hint=f"manage.py database_cleanup --preflight{on(using)}",
                    id="cleanup_guards.W003",
                )
            )
    return messages


def _about(using: str) -> Iterator[CheckMessage]:
    sql = guard_sql_of(using=using)
    applied = applied_migrations(using=using)
    there = standings(sql, applied=applied)
    for guard in sql.guards:
        standing = there.get(guard)
        if is_lost(guard, standing, applied):
            yield Warning(
                f"Guard {guard} was put in place on {using} but no longer exists, or does not match the settings.",
                hint=f"{lifting(guard, using=using)} && {putting(using=using)}",
                id="cleanup_guards.W002",
            )
        elif standing is None or not standing.whole:
            found = obstacle(sql, guard)
            if found is not None:
                told = told_points(points_bound_by(sql, guard))
                yield Warning(
                    f"Guard {guard} cannot be put in place on {using}: {found} {told}".strip(),
                    hint=found.command,
                    id="cleanup_guards.W001",
                )


def is_lost(guard: Guard, standing: InstalledGuard | None, applied: set[str]) -> bool:
    """Return whether a guard that was put in place is gone, or not as it should be."""
    if standing is None or not standing.usable:
        return MADE_BY[guard] in applied
    return not standing.whole and VALIDATED_BY.get(guard, MADE_BY[guard]) in applied
