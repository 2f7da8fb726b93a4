"""Look for duplicates, and verify integrity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanup.management import rendering
from cleanup.management.base import DONE, FOUND, operator
from cleanup.management.outcome import Outcome, actor, enqueued
from cleanup.services.operations import checks
from cleanup.services.results import Enqueued

if TYPE_CHECKING:
    from cleanup.management.commands.database_cleanup import Command


def check(command: Command) -> Outcome:
    """Show which applications have duplicates."""
    if command.options["background"]:
        check = command.service.start_check(**actor())
        return enqueued(Enqueued(check_id=check.pk), "Check", check.pk)
    with command.waiting("Checking"):
        answer = checks.check(using=command.using)
    status = FOUND if answer.needs_cleanup else DONE
    return Outcome(answer, lambda to: rendering.show_check(to, answer), status)


def verify(command: Command) -> Outcome:
    """Verify integrity."""
    (application,) = command.options["applications"] or (None,)
    if command.options["background"]:
        verification = command.service.start_verification(started_by=operator())
        return enqueued(Enqueued(verification_id=verification.pk), "Verification", verification.pk)
    with command.waiting("Verifying"):
        answer = checks.verify(using=command.using, application_id=application, started_by=operator())
    status = DONE if answer.verification_passed else FOUND
    return Outcome(answer, lambda to: rendering.show_verification(to, answer), status)
