"""Repair what a verification has found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cleanup.management import rendering
from cleanup.management.outcome import Outcome, actor, enqueued_run
from cleanup.management.terminal import counted
from cleanup.management.verbs.cleaning import run_outcome

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
