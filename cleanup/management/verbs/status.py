"""See what is running and what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanup.management import rendering
from cleanup.management.outcome import Outcome
from cleanup.services.monitoring.status import status as status_of

if TYPE_CHECKING:
    from cleanup.management.commands.database_cleanup import Command


def status(command: Command) -> Outcome:
    """Show what is running and what was done."""
    answer = status_of(using=command.using)
    return Outcome(answer, lambda to: rendering.show_status(to, answer))


def service(command: Command) -> Outcome:
    """Show the automated service."""
    answer = status_of(using=command.using)
    return Outcome(answer, lambda to: rendering.show_service(to, answer))
