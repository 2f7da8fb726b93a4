"""What ``manage.py check --database ALIAS`` reports about guards: which of them the data forbids, which are gone.

A guard that is in place costs a catalogue query; only the others are compared with the data.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Warning  # noqa: A004  # Django's name for it
from django.db import DatabaseError, connections, router

from cleanup.backends.pinning import pinning
from cleanup.exceptions import CleanupError
from cleanup.guard_names import APP_LABEL, on
from cleanup.guards.differences import DifferenceKind, guard_differences
from cleanup.guards.guard_ddl import guard_sql_of, installed
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
    differences = guard_differences(using=using)
    there = sql.standing() if differences else {}
    for one in differences:
        found = None if one.kind == DifferenceKind.UNWANTED else obstacle(sql, one.guard, there=there)
        if one.migrated:
            first = f"{found} Then: " if found else ""
            yield Warning(f"On {using}: {one}", hint=f"{first}{one.command}", id="cleanup_guards.W002")
        elif found is not None:
            told = told_points(points_bound_by(sql, one.guard))
            yield Warning(
                f"Guard {one.guard} cannot be put in place on {using}: {found} {told}".strip(),
                hint=found.command,
                id="cleanup_guards.W001",
            )
