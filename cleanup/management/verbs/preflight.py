"""See whether a cleanup can run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanup.management import rendering
from cleanup.management.base import DONE, REFUSED
from cleanup.management.outcome import Outcome
from cleanup.services.preflight.report import preflight as preflight_report

if TYPE_CHECKING:
    from cleanup.management.commands.database_cleanup import Command


def preflight(command: Command) -> Outcome:
    """Show whether a cleanup can run."""
    with command.waiting("Looking at the database"):
        answer = preflight_report(using=command.using)
    return Outcome(answer, lambda to: rendering.show_preflight(to, answer), DONE if answer.ok else REFUSED)
