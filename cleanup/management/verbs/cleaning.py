"""Merge and undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cleanup import queries
from cleanup.management import rendering
from cleanup.management.base import DONE, FOUND, REFUSED, operator
from cleanup.management.outcome import Outcome, actor, enqueued_run
from cleanup.management.terminal import counted
from cleanup.models import Run
from cleanup.phrases import with_reason
from cleanup.services.results import CleanupReport, RepairReport, RollbackResult

if TYPE_CHECKING:
    from rich.console import Console

    from cleanup.management.commands.database_cleanup import Command


def dry_run(command: Command) -> Outcome:
    """Show what a cleanup would do."""
    with command.reporting("Dry run") as progress:
        report = command.service.cleanup_all_duplicate_folders(dry_run=True, **_scope(command), progress=progress)
    return run_outcome(command, report)


def cleanup(command: Command) -> Outcome:
    """Merge duplicates."""
    if command.asks():
        number = _applications_to_clean(command)
        if number:
            command.ask(f"Merge the duplicate folders of {counted(number, 'application')}?")
    if command.options["background"]:
        scope = {name: value for name, value in _scope(command).items() if name not in ("workers", "all_results")}
        run = command.service.start_cleanup(**scope, **actor(), reason=command.options["reason"])
        return enqueued_run(run)
    with command.reporting("Cleanup") as progress:
        report = command.service.cleanup_all_duplicate_folders(
            **_scope(command), **actor(), reason=command.options["reason"], progress=progress
        )
    return run_outcome(command, report)


def _applications_to_clean(command: Command) -> int:
    if command.options["applications"]:
        return len(set(command.options["applications"]))
    affected = queries.count_affected(using=command.using)
    return min(affected, command.options["max_applications"] or affected)


def rollback(command: Command) -> Outcome:
    """Undo a rollback point or a run."""
    rollback_id = command.options["rollback"]
    as_copies = command.options["as_copies"]
    if command.options["preview"]:
        preview = command.service.preview_rollback(rollback_id, as_copies=as_copies)
        status = FOUND if preview.expired else DONE
        return Outcome(preview, lambda to: rendering.show_rollback(to, preview), status)
    if command.asks():
        rendering.show_rollback(command.err, command.service.preview_rollback(rollback_id, as_copies=as_copies))
        command.ask("Roll back?")
    if command.options["background"]:
        run = command.service.start_rollback(
            rollback_id,
            skip_conflicts=command.options["skip_conflicts"],
            as_copies=as_copies,
            reason=command.options["reason"],
            **actor(),
        )
        return enqueued_run(run)
    with command.reporting("Rollback") as progress:
        result = command.service.rollback_cleanup(
            rollback_id,
            skip_conflicts=command.options["skip_conflicts"],
            as_copies=as_copies,
            workers=command.options["workers"] or 1,
            reason=command.options["reason"],
            **actor(),
            progress=progress,
        )
    return _rollback_outcome(command, result)


def resume(command: Command) -> Outcome:
    """Resume an interrupted run."""
    if command.options["background"]:
        run = command.service.start_resume(
            command.options["resume"],
            retry_failed=command.options["retry_failed"],
            adopt=command.options["adopt"],
            started_by=operator(),
        )
        return enqueued_run(run)
    with command.reporting("Resumed run") as progress:
        report = command.service.resume(
            command.options["resume"],
            retry_failed=command.options["retry_failed"],
            adopt=command.options["adopt"],
            batch_size=command.options["batch_size"],
            workers=command.options["workers"] or 1,
            all_results=command.options["all_results"],
            progress=progress,
        )
    return run_outcome(command, report) if isinstance(report, CleanupReport) else _rollback_outcome(command, report)


def _scope(command: Command) -> dict[str, Any]:
    names = ("applications", "max_applications", "batch_size", "include_held", "include_large", "all_results")
    return {name: command.options[name] for name in names} | {"workers": command.options["workers"] or 1}


def run_outcome(command: Command, report: CleanupReport) -> Outcome:
    """Return the outcome of a run, or of a dry run."""
    # An application that was asked for by name and set aside was refused; of many, it waits for a person.
    refused = report.failed_cleanups or (command.options["applications"] and report.set_aside)
    status, word = _end_of(command, report.run_id, report.status, report.status_reason)
    return Outcome(
        report,
        lambda to: _show(to, report, verbose=command.options["verbosity"] > 1),
        status or (FOUND if refused else DONE),
        word,
    )


def _show(to: Console, report: CleanupReport, *, verbose: bool) -> None:
    if isinstance(report, RepairReport):
        rendering.show_repair(to, report)
    else:
        rendering.show_cleanup(to, report, verbose=verbose)


def _rollback_outcome(command: Command, result: RollbackResult) -> Outcome:
    status, word = DONE, ""
    if result.run_id is not None:
        run = Run.objects.using(command.using).get(pk=result.run_id)
        status, word = _end_of(command, run.pk, result.status, run.status_reason)
    return Outcome(
        result,
        lambda to: rendering.show_rollback(to, result),
        status or (DONE if result and not result.expired else FOUND),
        word,
    )


def _end_of(command: Command, run: object, status: str, reason: str) -> tuple[int, str]:
    """Return exit status and last word, which say how to resume a run that did not finish."""
    if status == Run.Status.COMPLETED:
        return DONE, ""
    how = "" if status == Run.Status.CANCELLED else f" {command.how_to_resume(run)}"
    return REFUSED, f"{with_reason(f'Run {run} is {status}', reason)}{how}"
