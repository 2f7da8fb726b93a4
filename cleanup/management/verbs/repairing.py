"""Repair what a verification has found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cleanup.management import rendering
from cleanup.management.base import operator
from cleanup.management.outcome import Outcome, actor, enqueued_run
from cleanup.management.terminal import counted
from cleanup.management.verbs.cleaning import run_outcome
from cleanup.services.operations import repairs
from cleanup.services.results import NameGroupList

if TYPE_CHECKING:
    from cleanup.management.commands.database_cleanup import Command


def repair(command: Command) -> Outcome:
    """Show what a repair would do, or do it."""
    code = command.options["repair"]
    if command.options["dry_run"]:
        return run_outcome(command, command.service.repair(code, dry_run=True, **_scope(command)))
    if command.asks():
        preview = command.service.repair(code, dry_run=True, **_scope(command))
        rendering.show_repair(command.err, preview)
        if preview.findings_repaired:
            command.ask(f"Repair {counted(preview.findings_repaired, 'finding')}?")
    if command.options["background"]:
        scope = {name: value for name, value in _scope(command).items() if name != "all_results"}
        return enqueued_run(command.service.start_repair(code, **scope, **actor(), reason=command.options["reason"]))
    with command.reporting("Repair") as progress:
        report = command.service.repair(
            code, **_scope(command), **actor(), reason=command.options["reason"], progress=progress
        )
    return run_outcome(command, report)


def _scope(command: Command) -> dict[str, Any]:
    names = ("applications", "batch_size", "include_held", "include_large", "all_results")
    return {name: command.options[name] for name in names}


def names(command: Command) -> Outcome:
    """List folders of an application whose names look the same, in groups."""
    (application,) = command.options["applications"]
    groups = repairs.name_groups(using=command.using, application_id=application)
    return Outcome(NameGroupList(tuple(groups)), lambda to: rendering.show_name_groups(to, groups))


def approve_names(command: Command) -> Outcome:
    """Let a group of names be merged."""
    return _decide(command, command.options["approve_names"], approve=True)


def dismiss_names(command: Command) -> Outcome:
    """Leave a group of names as it is."""
    return _decide(command, command.options["dismiss_names"], approve=False)


def _decide(command: Command, folder: str, *, approve: bool) -> Outcome:
    (application,) = command.options["applications"]
    group = repairs.decide_names(
        using=command.using,
        application_id=application,
        folder_id=folder,
        approve=approve,
        stays=command.options["stays"],
        decided_by=operator(),
    )
    return Outcome(group, lambda to: rendering.show_name_groups(to, [group]))
