"""See what is running and what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanup.management import rendering
from cleanup.management.outcome import Outcome
from cleanup.services.monitoring import run_list
from cleanup.services.monitoring.status import status as status_of

if TYPE_CHECKING:
    from cleanup.management.commands.database_cleanup import Command


def status(command: Command) -> Outcome:
    """Show what is running and what was done."""
    answer = status_of(using=command.using)
    return Outcome(answer, lambda to: rendering.show_status(to, answer))


def runs(command: Command) -> Outcome:
    """List the runs, the newest first."""
    (application,) = command.options["applications"] or (None,)
    answer = run_list.list_runs(
        using=command.using,
        application_id=application,
        status=command.options["state"],
        since=command.options["since"],
        limit=command.options["limit"],
    )
    return Outcome(answer, lambda to: rendering.show_runs(to, answer))


def service(command: Command) -> Outcome:
    """Show the automated service."""
    answer = status_of(using=command.using)
    return Outcome(answer, lambda to: rendering.show_service(to, answer))
