"""Control what runs, and what is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanup.management import rendering
from cleanup.management.base import operator
from cleanup.management.outcome import Outcome
from cleanup.management.terminal import counted, say
from cleanup.management.verbs.status import service, status
from cleanup.services import origin
from cleanup.services.automation import approvals, switch
from cleanup.services.operations import control
from cleanup.services.retention import purge as retention

if TYPE_CHECKING:
    from cleanup.management.commands.database_cleanup import Command


def pause(command: Command) -> Outcome:
    """Pause a run."""
    run = control.pause(
        using=command.using, run_id=_named(command, "pause"), reason=command.options["reason"], paused_by=operator()
    )
    return Outcome(run, lambda to: rendering.show_run(to, run))


def cancel(command: Command) -> Outcome:
    """Cancel a run."""
    run = control.cancel(
        using=command.using,
        run_id=_named(command, "cancel"),
        reason=command.options["reason"],
        cancelled_by=operator(),
    )
    return Outcome(run, lambda to: rendering.show_run(to, run))


def _named(command: Command, verb: str) -> str | None:
    named: str | bool = command.options[verb]
    return None if named is True else str(named)


def freeze(command: Command) -> Outcome:
    """Stop all cleaning."""
    command.service.freeze(reason=command.options["reason"], changed_by=operator())
    return status(command)


def unfreeze(command: Command) -> Outcome:
    """Allow cleaning again."""
    command.service.unfreeze(changed_by=operator())
    return status(command)


def purge(command: Command) -> Outcome:
    """Remove expired rollback points and old history."""
    preview = command.options["preview"]
    if not preview and command.asks():
        coming = retention.purge(using=command.using, preview=True)
        rendering.show_purge(command.err, coming)
        if coming.points or (coming.history and any(coming.history.rows.values())):
            command.ask("Purge?")
    answer = retention.purge(using=command.using, preview=preview)
    return Outcome(answer, lambda to: rendering.show_purge(to, answer))


def start(command: Command) -> Outcome:
    """Let schedules fire."""
    switch.start(using=command.using, started_by=operator())
    return service(command)


def stop(command: Command) -> Outcome:
    """Let no schedule fire."""
    switch.stop(using=command.using, stopped_by=operator())
    return service(command)


def adopt(command: Command) -> Outcome:
    """Allow work in a restored copy as in its original."""
    if command.asks():
        found = origin.copied(using=command.using)
        if found is not None:
            number = len(origin.interrupted(using=command.using))
            say(command.err, found.sentence)
            command.ask(f"Adopt it? Its schedules fire, if they are on, and {counted(number, 'run')} will be resumed.")
    switch.adopt(using=command.using, adopted_by=operator())
    return service(command)


def approve(command: Command) -> Outcome:
    """Begin a scheduled cleanup that waits for approval."""
    approvals.approve(
        using=command.using,
        scheduled_run_id=command.options["approve"],
        by=operator(),
        reason=command.options["reason"],
    )
    return status(command)


def decline(command: Command) -> Outcome:
    """End a scheduled cleanup that waits for approval."""
    approvals.decline(
        using=command.using,
        scheduled_run_id=command.options["decline"],
        by=operator(),
        reason=command.options["reason"],
    )
    return status(command)
