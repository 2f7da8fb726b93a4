"""The reports of the services as tables and sentences. Whatever comes from the database passes through ``safe``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cleanup import conf
from cleanup.folder_tables import folder_tables
from cleanup.management.terminal import Rows, counted, say
from cleanup.manual import reference_to
from cleanup.models import NameGroup, Result
from cleanup.phrases import as_time, with_reason
from cleanup.services.merging.suggested_policies import setting_of as collision_setting
from cleanup.services.repair.kinds import repairable
from cleanup.services.results import UNKNOWN
from cleanup.text_safety import safe

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from cleanup.services import CleanupReport, RollbackResult
    from cleanup.services.results import (
        ActiveRun,
        CheckReport,
        Conflict,
        Copy,
        FolderCleanupResult,
        HandedOver,
        LastCheck,
        ListedRun,
        NotRestored,
        PreflightReport,
        ProposedGroup,
        PurgeReport,
        RepairReport,
        RunList,
        StatusReport,
        UndoScript,
        VerificationReport,
    )

#: What is not shown where no files are mapped.
_ABOUT_FILES = frozenset({"files_moved", "files_to_move"})

#: Applications that are named with a reason that they share; the table above has all of them.
NAMED = 3

BAD, GOOD, WARN = "bold red", "green", "yellow"


def show_cleanup(to: Console, report: CleanupReport, *, verbose: bool = False) -> None:
    """Show what a run did, or would do if it was a dry run; ``verbose``: with the root folders that stay."""
    _show_results(to, report, roots=verbose or len(report.results) == 1)
    would = "would be " if report.dry_run else ""
    merged, files = report.total_child_folders_merged, report.total_files_moved
    ended = report.successful_cleanups + report.failed_cleanups + report.set_aside
    failed = "would be refused" if report.dry_run else "failed or refused"
    not_yet = f", {report.total_applications - ended:,} not yet done" if ended < report.total_applications else ""
    say(
        to,
        f"{counted(report.total_applications, 'application')}: {report.successful_cleanups:,} {would}cleaned up, "
        f"{report.failed_cleanups:,} {failed}, {report.held_applications:,} on hold, "
        f"{report.skipped_applications:,} left alone{not_yet}.",
        f"{counted(report.total_folders_removed, 'folder')} {would}removed, {merged:,} of them child folders; "
        f"{counted(files, 'file') if conf.has_files() else _rows(report.total_rows_moved)} {would}moved.",
    )
    if report.collision_policies:
        setting = safe(collision_setting(report.collision_policies))
        say(to, f"Applications refused because of collisions can be cleaned up with this setting: {setting}")
    if report.dry_run:
        say(to, f"Nothing was changed. {_next_step(report)}".rstrip())
    elif report.run_id is not None and report.rollback_points:
        say(to, f"Undo all of it with: manage.py database_cleanup --rollback {report.run_id}")


def _next_step(report: CleanupReport) -> str:
    """Say how to do what a dry run has shown."""
    if report.successful_cleanups:
        return "Clean up with: manage.py database_cleanup --cleanup"
    return "To clean up what is on hold, add --include-held." if report.held_applications else ""


def show_repair(to: Console, report: RepairReport) -> None:
    """Show what a repair did, or would do, and what it leaves as it is."""
    would = report.dry_run
    amount = counted(report.findings_repaired, "finding")
    applications = counted(report.successful_cleanups, "application")
    say(to, f"{amount} of {report.repair} {'would be ' if would else ''}repaired, in {applications}.")
    for change in report.changes:
        say(to, f"{safe(change.application_id)}: {safe(change.sentence)}")
    _left_out(to, report.changes_left_out, "--all-results lists all.")
    if not would:
        _show_results(to, report, roots=False)
    for result in report.results if would else ():
        if result.error_message:
            say(to, f"{safe(result.application_id)}: {safe(result.error_message)}", style=WARN)
    for one in report.not_repaired:
        say(to, f"{one.row} {safe(one.row_id)} is left as it is: {safe(one.sentence)}", style=WARN)
    _left_out(to, report.not_repaired_left_out)
    if would:
        say(to, f"Nothing was changed. Repair with: manage.py database_cleanup --repair {report.repair}")
    elif report.rollback_points:
        say(to, f"Undo all of it with: manage.py database_cleanup --rollback {report.run_id}")


def show_name_groups(to: Console, groups: Sequence[ProposedGroup]) -> None:
    """Show folders side by side whose names look the same, and what was decided about them."""
    for group in groups:
        say(to, f"In folder {safe(group.parent_id)}, {group.decision or 'not decided'}:")
        rows = Rows("Folder", "Name", *(["#Files"] if conf.has_files() else []), "#Linked records")
        for folder in group.folders:
            files = [folder.files] if conf.has_files() else []
            rows.add(folder.folder_id, folder.name, *files, folder.linked_records)
        rows.show(to)
    if not groups:
        say(to, "No names look the same.")
    elif any(group.decision == NameGroup.Decision.APPROVED for group in groups):
        (application,) = {group.application_id for group in groups}
        say(to, "Merge what is approved with:")
        say(to, f"  manage.py database_cleanup --repair names_alike --application {safe(application)}")


def _rows(moved: Mapping[str, int]) -> str:
    """List rows by table, the most first: where no files are mapped, all are told."""
    tables = sorted(moved.items(), key=lambda item: (-item[1], item[0]))
    return " and ".join(f"{counted(rows, 'row')} of {safe(table)}" for table, rows in tables) or "no rows"


def _amount_restored(result: RollbackResult) -> str:
    folders, rows = counted(result.folders_restored, "folder"), result.references_restored
    if not conf.has_files():
        return f"{folders} and {counted(rows, 'reference')}"
    return f"{folders}, {counted(result.files_restored, 'file')} and {counted(rows, 'other reference')}"


def _show_results(to: Console, report: CleanupReport, *, roots: bool) -> None:
    if not report.results:
        return
    columns = ["Application", "Status", "#Folders", *(["#Files"] if conf.has_files() else []), "#References"]
    rows = Rows(*columns, *([] if report.dry_run else ["Rollback point"]))
    for result in report.results:
        cells: list[object] = [
            result.application_id,
            _status(result, dry_run=report.dry_run),
            result.folders_removed,
            *([result.files_moved] if conf.has_files() else []),
            result.references_moved,
        ]
        if not report.dry_run:
            cells.append(result.rollback_id or "")
        rows.add(*cells, style=BAD if result.status == Result.Status.FAILED else "")
    rows.show(to)
    _left_out(to, report.results_left_out, "--all-results lists all.")
    differing: Counter[str] = Counter()
    widening: Counter[str] = Counter()
    given_way: Counter[str] = Counter()
    for result in report.results:
        if roots and result.root_folders:
            staying = ", ".join(f"“{safe(root.name)}” ({safe(root.folder_id)})" for root in result.root_folders)
            say(to, f"{safe(result.application_id)}: of its duplicate root folders, {staying} would stay.")
        _show_changes(to, result, would="would take" if report.dry_run else "took")
        differing.update(result.details.get("differing_columns", {}))
        widening.update(result.details.get("widening", {}))
        given_way.update(result.details.get("removed", {}))
    _show_errors(to, report.results)
    if differing:
        columns = [f"{safe(column)} ({counted(number, 'folder')})" for column, number in sorted(differing.items())]
        say(to, f"Removed folders differ from those that stay in {', '.join(columns)}.")
    for table, number in sorted(given_way.items()):
        would = "would be " if report.dry_run else ""
        say(to, f"{counted(number, 'row')} of {safe(table)} {would}removed, as the folder that stays keeps its own.")
    for table, number in sorted(widening.items()):
        say(to, f"People or groups who would newly see files, by {safe(table)}: {number:,}.", style=WARN)


def _show_errors(to: Console, results: Sequence[FolderCleanupResult]) -> None:
    """Show why applications were not cleaned up, each reason once."""
    applications: dict[str, list[str]] = {}
    for result in results:
        if result.error_message:
            applications.setdefault(result.error_message, []).append(result.application_id)
    for message, named in applications.items():
        more = f" and {len(named) - NAMED:,} more" if len(named) > NAMED else ""
        say(to, f"{', '.join(map(safe, named[:NAMED]))}{more}: {safe(message)}", style=WARN)


def _show_changes(to: Console, result: FolderCleanupResult, *, would: str) -> None:
    """Show the rows that take another name or number."""
    for change in result.details.get("changes", ()):
        new, old = safe(change["to"]), safe(change["from"])
        say(
            to, f"{safe(result.application_id)}: {safe(change['table'])} {safe(change['key'])} {would} {new} for {old}."
        )
    _left_out(to, result.details.get("changes_left_out", 0), "--json lists a hundred.")


def _status(result: FolderCleanupResult, *, dry_run: bool) -> str:
    if not dry_run:
        return str(result.status).replace("_", " ")
    return {"completed": "would merge", "failed": "would refuse"}.get(result.status, str(result.status))


def _left_out(to: Console, number: int, remedy: str = "") -> None:
    if number:
        say(to, f"... and {number:,} more. {remedy}".rstrip())


def show_rollback(to: Console, result: RollbackResult) -> None:
    """Show what a rollback restored, or would restore, and what stood in its way."""
    would = result.status == "preview"
    say(to, f"{_amount_restored(result)} {'would be restored' if would else 'restored'}, in {_applications(result)}.")
    if result.conflicts:
        conflicts = counted(len(result.conflicts) + result.conflicts_left_out, "conflict")
        say(to, f"{conflicts}: what people have changed since is left as it is.", style=WARN)
        show_conflicts(to, result.conflicts)
        _left_out(to, result.conflicts_left_out)
    if result.copies:
        copies = counted(len(result.copies) + result.copies_left_out, "folder")
        say(to, f"{copies} {'would come' if would else 'came'} back as copies, to avoid duplicates.", style=WARN)
        _show_copies(to, result.copies)
        _left_out(to, result.copies_left_out)
    if result.expired:
        one = result.expired == 1
        say(
            to,
            f"{counted(result.expired, 'application')} can no longer be restored:"
            f" {'its rollback point has' if one else 'their rollback points have'} expired.",
            style=BAD,
        )
    if result.not_restored:
        _show_not_restored(to, result.not_restored)
        _left_out(to, result.not_restored_left_out)
    for name in ("triggers", "hook"):
        if name in result.inexact:
            say(to, _NOT_COMPARED[name], style=WARN)
    if not would:
        _show_end(to, result)


def _show_end(to: Console, result: RollbackResult) -> None:
    if result.failed:
        say(to, f"{counted(result.failed, 'application')} could not be rolled back.", style=BAD)
    if result:
        say(to, _restored(result), style=GOOD)
        if result.on_hold:
            say(to, "What was rolled back is now on hold: the next cleanup skips it, unless you add --include-held.")


def show_undo_script(to: Console, script: UndoScript, *, file: str) -> None:
    """Show what a script restores, how to run it, and what would keep it from running."""
    rows = sum(script.rows.values())
    where = f" written to {file}" if file else ""
    say(to, f"Script{where}: restores {counted(rows, 'row')} of {counted(script.applications, 'application')}.")
    if file:
        shell = "psql -X service=NAME -f" if script.database == "postgresql" else "sqlite3 DATABASE <"
        say(to, f"Run it with: {shell} {file}")
    for guard in script.guards:
        say(to, f"It will refuse to run while {guard} is in force; how to lift it is in its first lines.", style=WARN)
    if script.expired:
        say(to, f"{counted(script.expired, 'application')} can no longer be restored and is not in it.", style=BAD)
    for name in script.inexact:
        say(to, _NOT_COMPARED[name], style=WARN)


_NOT_COMPARED = {
    "triggers": "Your own triggers fired on these tables: what they wrote is neither undone nor compared.",
    "hook": "A tree hook ran: what it wrote elsewhere is not compared with what was there before.",
}


def _restored(result: RollbackResult) -> str:
    """Describe how far the previous state was restored."""
    if result.exact:
        return "Everything is as it was before."
    if set(result.inexact) <= set(_NOT_COMPARED):
        return "Everything that the cleanup itself changed is as it was before."
    return "Everything else is as it was before."


def _show_not_restored(to: Console, points: Sequence[NotRestored]) -> None:
    """Show each point of the run that is left as it is, and why."""
    rows = Rows("Left as it is", "Application", "Rollback point")
    for point in points:
        rows.add(point.code, point.application_id, str(point.rollback_id))
    rows.show(to)


def _show_copies(to: Console, copies: Sequence[Copy]) -> None:
    """Show each folder that came back as a copy, and how it differs."""
    rows = Rows("Folder", "Name", "Lies in", "Application")
    for copy in copies:
        name = 'with "(restored)"' if copy.renamed else "as it is"
        rows.add(copy.folder_id, name, copy.parent_id or "its place", copy.application_id)
    rows.show(to)


def _applications(result: RollbackResult) -> str:
    if result.status == "preview" or result.run_id is None:
        return counted(result.total_applications, "application")
    return f"{result.successful:,} of {counted(result.total_applications, 'application')}"


def show_conflicts(to: Console, conflicts: Sequence[Conflict]) -> None:
    """Show each conflict with the object that it is about."""
    rows = Rows("Conflict", "Table", "Key", "Column", "Constraint", "Application")
    for conflict in conflicts:
        rows.add(
            conflict.code,
            conflict.table,
            conflict.key,
            conflict.column,
            conflict.constraint,
            conflict.application_id,
        )
    rows.show(to)


def show_check(to: Console, check: CheckReport) -> None:
    """Show the consistency check."""
    found = check.duplicate_applications_found
    if found:
        rows = Rows("Application", "#Root folders", "#Duplicates")
        for entry in check.duplicate_applications:
            rows.add(entry.application_id, entry.root_folders, entry.duplicates)
        rows.show(to)
        _left_out(to, check.duplicate_applications_left_out)
    verb = "has" if found == 1 else "have"
    say(to, f"{counted(found, 'application')} {verb} duplicate folders.", style=WARN if found else GOOD)
    if check.alert_threshold_exceeded:
        say(to, "That is more than CLEANUP_ALERT_THRESHOLD.", style=WARN)
    verification = check.integrity_verification
    said = "passed" if verification.verification_passed else "found errors"
    say(to, f"The latest verification, on {_time(verification.verified_at)}, {said}.")
    if check.needs_cleanup:
        say(to, "See what would be done with: manage.py database_cleanup --dry-run")


def show_verification(to: Console, verification: VerificationReport) -> None:
    """Show the findings, each code with its hint."""
    findings = verification.findings
    if findings:
        rows = Rows("Finding", "Severity", "Table", "Object", "Application", "Detail")
        for found in findings:
            detail = ", ".join(f"{name}={_value(value)}" for name, value in found.detail.items())
            cells = (found.code, found.severity, found.table, found.object_key)
            style = BAD if found.severity == "error" else ""
            rows.add(*cells, found.application_id or "", detail, style=style)
        rows.show(to)
        _left_out(to, verification.findings_left_out)
        for code, hint in {found.code: found.hint for found in reversed(findings) if found.hint}.items():
            say(to, f"{code}: {safe(hint)}")
        for code in sorted({found.code for found in findings}.intersection(repairable(folder_tables()))):
            say(to, f"See how it would be repaired with: manage.py database_cleanup --repair {code} --dry-run")
        to.print()
    for code, number in verification.counts.items():
        say(to, f"{number:,} x {code}")
    if verification.verification_passed:
        say(to, "The verification passed: no errors.", style=GOOD)
    else:
        applications = len(verification.inconsistent_applications)
        applications += verification.inconsistent_applications_left_out
        say(to, f"The verification found errors in {counted(applications, 'application')}.", style=BAD)


def show_status(to: Console, status: StatusReport) -> None:
    """Show whether something is running, and what has been done so far."""
    if status.frozen:
        say(to, with_reason("Cleaning is frozen", status.frozen_reason), style=WARN)
    else:
        say(to, "Cleaning is not frozen.")
    run = status.active_run
    if run is None:
        say(to, "No cleanup run is active.")
    else:
        show_run(to, run)
    _show_last_check(to, status.last_check, at_work=run is not None and run.status != "paused")
    for entry in status.handed_over:
        _show_handed_over(to, entry)
    show_service(to, status)
    statistics = status.statistics
    last = statistics.last_run_time
    if status.latest_runs:
        _show_table_of_runs(to, status.latest_runs, title="Latest runs")
        say(to, "List all with: manage.py database_cleanup --runs")
    _show_mapping(to, {**statistics.as_json(), "last_run_time": last and as_time(last)}, title="Statistics")


def show_runs(to: Console, listed: RunList) -> None:
    """Show runs, the newest first."""
    if not listed.results:
        say(to, "No such runs.")
        return
    _show_table_of_runs(to, listed.results)
    _left_out(to, listed.results_left_out, "--limit N lists more.")
    if any(run.undoable_until for run in listed.results):
        say(to, "See what undoing one would restore with: manage.py database_cleanup --rollback RUN --preview")


def _show_table_of_runs(to: Console, runs: Sequence[ListedRun], *, title: str = "") -> None:
    """Show runs with the ids by which they are rolled back or resumed."""
    points = any(run.rollback_id for run in runs)
    amounts = ["#Folders", *(["#Files"] if conf.has_files() else [])]
    counts = ["#Applications", "#Successful", "#Failed", "#On hold", "#Left alone"]
    columns = ["Created", "Run", "Kind", "State", *counts, *amounts, "By", "Reason", "Undo until"]
    rows = Rows(*columns, *(["Rollback point"] if points else []), title=title)
    for run in runs:
        rows.add(
            as_time(run.created_at),
            str(run.run_id),
            run.kind,
            run.status,
            run.total_applications,
            run.successful_applications,
            run.failed_applications,
            run.held_applications,
            run.skipped_applications,
            run.folders_removed,
            *([run.files_moved] if conf.has_files() else []),
            f"{run.started_by} ({run.started_how})" if run.started_by else run.started_how,
            run.reason,
            _time(run.undoable_until),
            *([str(run.rollback_id or "")] if points else []),
            style=BAD if run.failed_applications or run.status == "stopped" else "",
        )
    rows.show(to)


def _show_handed_over(to: Console, entry: HandedOver) -> None:
    """Show what has become of a check or verification."""
    subject = f"{entry.kind.capitalize()} {entry.id}"
    if entry.status == "pending":
        say(to, f"{subject} was queued on {as_time(entry.started_at)} and has not finished.")
    elif entry.status == "failed":
        failed = f"{subject}, on {_time(entry.ended_at)}, failed"
        say(to, with_reason(failed, entry.error), style=BAD)
    else:
        found = {"check": "applications that need a cleanup", "verification": "errors"}[entry.kind]
        verdict = found if entry.found_something else "nothing wrong"
        say(to, f"{subject}, on {_time(entry.ended_at)}, found {verdict}.")


def _show_last_check(to: Console, check: LastCheck | None, *, at_work: bool) -> None:
    """Show what is known about duplicates, and whether it can still be true."""
    if check is None:
        say(
            to,
            "No check is stored yet: a schedule stores one every hour, and --check --background one at once.",
            style=WARN,
        )
        return
    number = check.duplicate_applications
    found = f"{counted(number, 'application')} had duplicates" if number else "No duplicates"
    said = f"{found} at the last check, {_ago(check.age_seconds)}"
    if check.changed_since or at_work:
        say(to, f"{said}; folders have changed since.", style=WARN)
    elif not check.current:
        say(to, f"{said}; that is too old to rely on.", style=WARN)
    else:
        say(to, f"{said}.", style=BAD if number else GOOD)


def _ago(seconds: int) -> str:
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{counted(seconds // length, unit)} ago"
    return f"{counted(seconds, 'second')} ago"


def show_service(to: Console, status: StatusReport) -> None:
    """Show whether the schedules are on, whether a cluster is running to do the work, and when they are due."""
    if copied := status.restored_copy:
        say(to, copied.message, style=BAD)
        say(to, f"Adopt it with: {copied.command}")
    elif status.running:
        say(to, "The automated service is running.", style=GOOD)
    elif status.started:
        seen = status.heartbeat_at
        dead = f"is running: the last heartbeat was at {as_time(seen)}" if seen else "has reported yet"
        say(to, f"The automated service is started, but no cluster {dead}.", style=BAD)
        say(to, "Start one with: manage.py qcluster")
    else:
        say(to, "The automated service is stopped.")
    rows = Rows("Schedule", "On", "How often", "Last run", "Next run", "#Limit", title="Schedules")
    for name, schedule in status.schedules.items():
        last, due = (_time(moment) for moment in (schedule.last_run, schedule.next_run))
        limit = schedule.max_applications_per_run or "-"
        cells = (_spoken(name), _value(schedule.enabled), schedule.schedule_type, last)
        late = schedule.overdue
        rows.add(*cells, f"{due} (overdue)" if late else due, limit, style=BAD if late else "")
    rows.show(to)


def _time(moment: datetime | None) -> str:
    return as_time(moment) if moment else "-"


def show_run(to: Console, run: ActiveRun) -> None:
    """Show the state of a run."""
    done = (
        f"{run.done_applications:,} of {counted(run.total_applications, 'application')} done"
        f" ({run.successful_applications:,} successful, {run.failed_applications:,} failed,"
        f" {run.held_applications:,} on hold, {run.skipped_applications:,} left alone)."
    )
    state = with_reason(f"Run {run.run_id} is {run.status}", run.status_reason)
    say(to, f"{state} {done}")
    if run.silent_seconds:
        say(to, f"No sign of life for {run.silent_seconds:,} seconds. The worker may be down.", style=BAD)
    if run.waiting_for:
        say(to, with_reason("It is waiting for the database", run.waiting_for), style=WARN)
    if run.status in ("pending", "paused", "stopped") or not run.worked:
        resume = f"manage.py database_cleanup --resume {run.run_id}"
        say(to, f"No worker is processing it. Resume it with: {resume}")


def show_purge(to: Console, purge: PurgeReport) -> None:
    """Show which rollback points have expired."""
    verb = "would be purged" if purge.preview else "purged"
    points, applications = purge.points, purge.applications
    say(
        to,
        f"{counted(points, 'expired rollback point')} of {counted(applications, 'application')} {verb}, with "
        f"{counted(purge.snapshot_rows, 'snapshot row')}.",
    )
    if purge.history is not None:
        gone = [counted(number, name[:-1].replace("_", " ")) for name, number in purge.history.rows.items()]
        say(to, f"History that ended before {purge.history.before:%Y-%m-%d}: {', '.join(gone)} {verb}.")
    if purge.preview and points:
        say(to, "The cleanups that they belong to could then no longer be undone.")
    if purge.kept_unverified:
        kept = counted(purge.kept_unverified, "expired point")
        say(to, f"{kept} kept: the newest of an application, and no verification has passed since.")


def show_preflight(to: Console, preflight: PreflightReport) -> None:
    """Show the answer, the reasons, and then everything that was looked at."""
    for name, value in preflight.as_json().items():
        if name not in ("ok", "problems", "warnings") and value not in (None, [], {}):
            _show_section(to, name, value)
    for title, problems, style in (("Warnings", preflight.warnings, WARN), ("Problems", preflight.problems, BAD)):
        if problems:
            say(to, title, style="bold")
        for problem in problems:
            say(to, f"  {safe(f'{problem.code}: {problem.message}')}", style=style)
    if preflight.problems or preflight.warnings:
        say(to, reference_to("preflight"))
    estimate = preflight.estimate
    colliding = 0 if estimate == UNKNOWN else estimate.colliding_applications
    if preflight.ok and colliding:
        say(
            to,
            "Yes: a cleanup can run, but it would refuse applications: see the warning about collisions.",
            style=WARN,
        )
    elif preflight.ok:
        say(to, "Yes: a cleanup can run.", style=GOOD)
    else:
        say(to, "No: a cleanup would stop before it starts. Fix the problems above first.", style=BAD)


def _show_section(to: Console, name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        _show_mapping(to, value, title=_spoken(name))
    elif _is_table(value):
        columns = list(dict.fromkeys(column for entry in value for column in entry))
        rows = Rows(*map(_spoken, columns), title=_spoken(name))
        for entry in value:
            rows.add(*(_value(entry.get(column, "")) for column in columns))
        rows.show(to)
    else:
        say(to, f"{_spoken(name)}: {_value(value)}")


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, Mapping) for entry in value)


def _spoken(name: str) -> str:
    """Return a field's name as a title; a setting's name stays as it is."""
    return name if name.isupper() else name.replace("_", " ").capitalize()


def _show_mapping(to: Console, mapping: Mapping[str, Any], *, title: str) -> None:
    rows = Rows("", "", title=title)
    for name, value in mapping.items():
        if name in _ABOUT_FILES and not conf.has_files():
            continue
        if not _is_table(value):
            rows.add(_spoken(name), _value(value))
    rows.show(to)
    for name, value in mapping.items():
        if _is_table(value):
            _show_section(to, f"{title}: {name}", value)


def _value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "-", True: "yes", False: "no"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, list | tuple):
        return ", ".join(_value(entry) for entry in value) or "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{safe(name)}: {_value(entry)}" for name, entry in value.items()) or "-"
    return safe(json.dumps(value, default=str))
