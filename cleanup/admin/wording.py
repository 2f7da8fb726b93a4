"""The sentences of the administrator's screens, all in one place, so that they agree and can be tested.

Pure but for the person's time zone, which the middleware has activated, and the models of the settings. No sentence
contains markup; names in them are data, with control and direction characters escaped.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from django.utils import timezone
from django.utils.translation import gettext as _

from cleanup import conf
from cleanup.admin.linked_records import without_folders
from cleanup.backends.finding_kinds import BY_CODE, ERRORS
from cleanup.models import Result, RollbackPoint, Run, Schedule
from cleanup.services.results import Fate, Reason
from cleanup.text_safety import safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cleanup.exceptions import CleanupError
    from cleanup.models import ConsistencyCheck, FreezeSwitch, Hold, Verification
    from cleanup.queries import SetAside
    from cleanup.services.folders.history import FolderEvent
    from cleanup.services.results import FolderPreview, GroupPreview, Preview


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun in the right form, as in ``1 folder`` and ``1,200 folders``."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def listed(parts: Iterable[str]) -> str:
    """Join parts as a person would: ``a, b and c``."""
    *most, last = list(parts) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def nothing_deleted() -> str:
    """State that a cleanup loses nothing."""
    if conf.has_files():
        return "No file is deleted or changed."
    return "Only duplicate folders are removed; everything in them is kept."


# Times.


def day(moment: datetime, *, now: datetime | None = None) -> str:
    """Name a day, as in ``21 February``; with the year unless it is the current one."""
    there, here = timezone.localtime(moment), timezone.localtime(now or timezone.now())
    return f"{there.day} {there:%B}" if there.year == here.year else f"{there.day} {there:%B %Y}"


def moment_text(moment: datetime | None, *, otherwise: str = "never") -> str:
    """Format a time in the person's zone with the zone's name, as in ``21 February 2026, 14:05 CET``."""
    if moment is None:
        return otherwise
    there = timezone.localtime(moment)
    return f"{there.day} {there:%B %Y, %H:%M} {zone_name(there)}"


def short_moment(moment: datetime, *, now: datetime | None = None) -> str:
    """Format a time in the person's zone shortly, as in ``21 Feb, 14:05``; with the year if it is another one."""
    there, here = timezone.localtime(moment), timezone.localtime(now or timezone.now())
    year = "" if there.year == here.year else f" {there.year}"
    return f"{there.day} {there:%b}{year}, {there:%H:%M}"


def zone_name(moment: datetime) -> str:
    """Return the short name of the zone, or its offset if the name is only digits."""
    name, offset = moment.tzname() or "", f"{moment:%z}"
    return name if name[:1].isalpha() else f"UTC{offset[:3]}:{offset[3:]}"


def duration(seconds: float | None) -> str:
    """Describe a span of time roughly; empty if it is unknown."""
    if seconds is None:
        return ""
    if seconds < 90:
        return counted(max(1, round(seconds)), "second")
    if seconds < 5400:
        return counted(round(seconds / 60), "minute")
    return counted(round(seconds / 3600), "hour") if seconds < 172_800 else counted(round(seconds / 86_400), "day")


def undo_until(expires_at: datetime, *, now: datetime | None = None) -> str:
    """Describe how long something can be undone."""
    return f"Undo possible until {day(expires_at, now=now)}."


def undo_for(days: int, *, now: datetime) -> str:
    """Describe how long something that is done now can be undone."""
    return undo_until(now + timedelta(days=days), now=now)


_SCHEDULES = {
    "consistency_check": "check for duplicates",
    "full_cleanup": "full cleanup",
    "integrity_verification": "database verification",
    "retention": "remove expired undo records",
}


def schedule_name(name: str) -> str:
    """Return what people call a schedule."""
    return _SCHEDULES.get(name, name.replace("_", " "))


def capitalized(text: str) -> str:
    """Return text with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]


def changed(moment: datetime | None, by: str) -> str:
    """Describe when something was last changed, and by whom."""
    if moment is None:
        return _("never")
    return f"{moment_text(moment)}, {safe(by)}" if by else moment_text(moment)


def stopped_since(switch: FreezeSwitch) -> str:
    """Describe since when everything is stopped, and who has stopped it."""
    by = f" by {safe(switch.changed_by)}" if switch.changed_by else ""
    return f"{by}, {moment_text(switch.changed_at)}.".lstrip() if by else f"since {moment_text(switch.changed_at)}."


def unfrozen(*, paused: int) -> str:
    """Say that cleanups are possible again, and what stays paused."""
    text = _("Cleanups are allowed again.")
    if not paused:
        return text
    stays = (
        _("%s that was paused stays paused until someone resumes it.")
        if paused == 1
        else _("%s that were paused stay paused until someone resumes them.")
    )
    return f"{text} {stays % counted(paused, 'run')}"


def missing_permission(names: Sequence[str]) -> str:
    """Explain which permission someone lacks."""
    if not names:
        return _("Your account lacks the permission for this page. Ask the person who manages accounts.")
    choice = " ” or “".join(names)
    return _(
        "This needs the permission “%s”, which your account does not have. Ask the person who manages accounts."
    ) % (choice.replace(" ” or", "” or"))


# Runs and results.

HOW = {
    "shell": "at the command line",
    "service": "by script",
    "api": "through the API",
    "admin": "in the admin",
    "schedule": "by its schedule",
    "run": "after a run",
}


def started(by: str, how: str) -> str:
    """Describe who started something, and how."""
    place = HOW.get(how, safe(how))
    return f"{safe(by)}, {place}" if by else place


RUN_STATUS = {
    Run.Status.PENDING: "waiting to start",
    Run.Status.RUNNING: "running",
    Run.Status.PAUSING: "about to pause",
    Run.Status.PAUSED: "paused",
    Run.Status.COMPLETED: "finished",
    Run.Status.STOPPED: "stopped before it finished",
    Run.Status.CANCELLED: "cancelled",
}


def run_status(status: str) -> str:
    """Describe the status of a run."""
    return RUN_STATUS[Run.Status(status)]


def run_progress(run: Run, *, silent: bool = False) -> str:
    """Describe how far a run has come, and how long it will take unless it gives no sign of life."""
    total = counted(run.total_applications, "application")
    left = duration(run.seconds_left) if run.status == Run.Status.RUNNING and run.seconds_left and not silent else ""
    return f"{run.done_applications:,} of {total} done{f'; about {left} left' if left else ''}."


class RunNumber(NamedTuple):
    """One of the four numbers that count a run's applications by outcome; they add up to those done."""

    status: str
    """The value that the list of results is filtered by."""
    number: int
    words: str


#: Filters results that were done, whether or not they were undone later.
DONE = "done"


def run_numbers(run: Run) -> tuple[RunNumber, ...]:
    """Count the run's applications by outcome; an undo leaves none alone."""
    cleanup = run.kind == Run.Kind.CLEANUP
    aside = (
        RunNumber(Result.Status.HELD, run.held_applications, "on hold"),
        RunNumber(Result.Status.SKIPPED, run.skipped_applications, "left alone"),
    )
    return (
        RunNumber(DONE, run.successful_applications, "cleaned up" if cleanup else "undone"),
        *(number for number in aside if cleanup or number.number),
        RunNumber(Result.Status.FAILED, run.failed_applications, "failed"),
    )


def run_outcome(run: Run) -> str:
    """Describe what a run has changed so far."""
    if run.kind == Run.Kind.ROLLBACK:
        return ""
    moved = f", {counted(run.files_moved, 'file')} moved" if conf.has_files() else ""
    return f"{counted(run.folders_removed, 'duplicate folder')} merged{moved}. {nothing_deleted()}"


def run_duration(run: Run) -> str:
    """Describe how long a run took; empty if it has not ended."""
    return duration((run.ended_at - (run.started_at or run.created_at)).total_seconds()) if run.ended_at else ""


def run_ended(run: Run, *, undo_until: datetime | None) -> str:
    """Describe how long a run took, and whether it can be undone; of a paused one, that it stays so."""
    if run.can_resume:
        return "It stays paused until someone resumes it." if run.status == Run.Status.PAUSED else "It has stopped."
    took = f"Took {run_duration(run)}." if run.ended_at else ""
    if run.kind == Run.Kind.ROLLBACK:
        return took
    undo = f"Can be undone until {day(undo_until)}." if undo_until else "There is nothing to undo."
    return f"{took} {undo}".strip()


_RESULT_STATUS = {
    Result.Status.PENDING: "waiting its turn",
    Result.Status.IN_PROGRESS: "being worked on",
    Result.Status.COMPLETED: "done",
    Result.Status.FAILED: "failed",
    Result.Status.SKIPPED: "left alone",
    Result.Status.HELD: "on hold",
    Result.Status.ROLLED_BACK: "undone",
}


def result_status(status: str) -> str:
    """Describe the status of one application in a run."""
    return _RESULT_STATUS[Result.Status(status)]


def result_outcome(result: Result) -> str:
    """Describe the outcome for an application."""
    if result.run.kind == Run.Kind.ROLLBACK:
        restored = result.details
        if "folders_restored" not in restored:
            return ""
        text = restored_text(
            restored["folders_restored"],
            restored.get("files_restored", 0),
            restored.get("references_restored", 0),
            restored.get("folders_moved_back", 0),
        )
        return f"{text} {exactness(inexact)}" if (inexact := restored.get("inexact")) else text
    rows = result.details.get("moved", {})
    return merged(result.folders_removed, result.files_moved, rows) if result.folders_removed else ""


def merged(folders: int, files: int, rows: Mapping[str, int]) -> str:
    """Summarize what a merge has done; ``rows`` moved, by table, and are named if no files are mapped."""
    return f"{counted(folders, 'duplicate folder')} merged, {_moved(files, rows)} moved."


def to_merge(folders: int, files: int, rows: Mapping[str, int]) -> str:
    """Summarize what a merge will do."""
    return f"{counted(folders, 'duplicate folder')} will be merged and {_moved(files, rows)} moved."


def _moved(files: int, rows: Mapping[str, int]) -> str:
    if conf.has_files():
        return counted(files, "file") if files else "no files"
    return listed(counted(*row) for row in without_folders(rows)) or "nothing else"


def left_aside(number: int) -> str:
    """Describe how many applications with duplicates a cleanup of everything leaves alone."""
    if not number:
        return ""
    subject = f"{counted(number, 'more application')} {'has' if number == 1 else 'have'} duplicates and"
    return f"{subject} will be left alone: on hold, or very large."


def restored_text(folders: int, files: int, references: int, moved_back: int) -> str:
    """Summarize what an undo does; ``references`` count the folders that move back, which are told apart."""
    parts = [f"{counted(folders, 'folder')} {'comes' if folders == 1 else 'come'} back."]
    if moved_back:
        parts.append(f"{counted(moved_back, 'folder')} {_back_to_place(moved_back)}.")
    if conf.has_files():
        where = "it was" if files == 1 else "they were"
        parts.append(f"{counted(files, 'file')} {'goes' if files == 1 else 'go'} back to where {where}.")
    others = references - moved_back
    if others or not conf.has_files():
        parts.append(f"{linked_records(others)} {_back_to_place(others)}.")
    return " ".join(parts)


def left_as_it_is(number: int) -> str:
    """Count what undoing the rest does not bring back."""
    if not number:
        return ""
    return (
        _("%(things)s stay as they are now, as listed.") % {"things": counted(number, "thing")}
        if number > 1
        else _("One thing stays as it is now, as listed.")
    )


def _back_to_place(number: int) -> str:
    return "goes back to its old place" if number == 1 else "go back to their old places"


def linked_records(number: int) -> str:
    """Count rows that refer to folders, other than files if these are mapped."""
    return counted(number, "other linked record" if conf.has_files() else "linked record")


def not_restored(expired: int, names: Sequence[str]) -> str:
    """List the applications that undoing a whole cleanup cannot restore; if there are many, only some by name."""
    if not expired:
        return ""
    more = expired - len(names)
    which = listed([*names, *([f"{more:,} more"] if more > 0 else [])]) if names else ""
    return (
        f"{counted(expired, 'application')} can no longer be restored, because the time to undo"
        f" {'it' if expired == 1 else 'them'} has passed{f': {which}' if which else ''}."
    )


_NOT_COMPARED = {
    "triggers": "programs inside the database write as well, and what they write is not compared",
    "hook": "the program that keeps the order of folders writes as well, and what it writes is not compared",
}


def not_compared(inexact: Sequence[str]) -> str:
    """Describe what an undo, before it is done, cannot promise."""
    reasons = [_NOT_COMPARED[name] for name in inexact if name in _NOT_COMPARED]
    return f"There is no guarantee that everything is as it was before: {'; '.join(reasons)}." if reasons else ""


_INEXACT = {
    "conflicts": "what people have changed since was kept",
    "copies": "some folders came back as copies",
    "differences": "other things have changed since",
    **_NOT_COMPARED,
    "expired": "the time to undo some applications has passed",
    "already_rolled_back": "some applications had been undone before and have changed since",
    "failed": "some applications could not be undone",
    "unfinished": "not all applications have been undone yet",
}


def exactness(inexact: Sequence[str]) -> str:
    """Describe how far an undo has brought everything back."""
    if not inexact:
        return "Everything that the cleanup changed is as it was before."
    reasons = "; ".join(_INEXACT.get(name, name) for name in inexact)
    return f"Not everything is as it was before: {reasons}."


POINT_STATUS = {
    RollbackPoint.Status.LIVE: "can be undone",
    RollbackPoint.Status.ROLLED_BACK: "undone",
    RollbackPoint.Status.PURGED: "expired",
}


def point_status(point: RollbackPoint, *, now: datetime | None = None) -> str:
    """Describe what can be done with an undo record."""
    if point.status == RollbackPoint.Status.LIVE:
        return undo_until(point.expires_at, now=now)
    inexact = " (not exactly as before)" if point.exact is False else ""
    return f"{POINT_STATUS[RollbackPoint.Status(point.status)]}{inexact}".capitalize() + "."


def not_done(*, signed_out: bool) -> str:
    """Explain that pressing a button has done nothing."""
    why = "You had been signed out, so nothing was done." if signed_out else "Nothing was done."
    return f"{why} Press the button again if you still want it."


# Refusals, conflicts, decisions.


class Advice(NamedTuple):
    """What happened, and the next step."""

    what: str
    next_step: str


_ADVICE = {
    "busy": Advice("Another cleanup is running.", "Wait for it, or pause or cancel it."),
    "frozen": Advice("Everything is stopped.", "First press “Resume everything” on the overview."),
    "held": Advice("The application is on hold.", "Remove the hold if it may be cleaned up."),
    "no_cluster": Advice("Nothing was started, because the background service is not running.", "Please tell IT."),
    "stale_plan": Advice(
        "The folders have changed since you looked, so nothing was done.", "Look at the new plan, then confirm it."
    ),
    "already_rolled_back": Advice("This was undone before.", "There is nothing left to do."),
    "expired": Advice("The undo record has expired.", "It can no longer be undone here; ask for a backup."),
    "superseded": Advice("A later cleanup has changed the same things again.", "Undo the later cleanup first."),
    "conflict": Advice(
        "People have changed some of it since, so nothing was undone.",
        "Look at the conflicts, then undo the rest and keep the newer values.",
    ),
    "schema_changed": Advice(
        "Database tables were changed in the meantime, so nothing was done.",
        "Try again; if that does not help, ask IT.",
    ),
    "would_detach": Advice(
        "Folders have been moved since, and would be left without a top folder.", "Move them back first."
    ),
    "would_misplace": Advice(
        "Something has been assigned to another application since, and would lie in a folder of the wrong one.",
        "Assign them back first.",
    ),
    "guarded": Advice(
        "The database no longer allows duplicates, so these folders can only come back renamed.",
        "Undo it as copies, or ask IT to allow duplicates for the time being.",
    ),
    "not_resumable": Advice("This run has ended.", "Start a new one."),
    "not_active": Advice("This run has ended.", "There is nothing to pause or cancel."),
    "foreign_database": Advice(
        "This run was started on another database, of which this one is a copy.",
        "To continue the work here, adopt the copy on the overview.",
    ),
    "restored_copy": Advice(
        "This database is a copy that was not adopted, so nothing is done here in the background.",
        "To continue the work here, adopt the copy on the overview.",
    ),
    "preflight": Advice(
        "Not started: some tables may refer to folders in a way the cleanup does not know.",
        "IT has to decide.",
    ),
    "too_large_to_preview": Advice(
        "It is too large to preview on a page.",
        "Ask IT for its plan; it can be cleaned up without one, outside office hours.",
    ),
    "too_large": Advice("The application is very large.", "Clean it up separately, outside office hours."),
    "different_roots": Advice(
        "Its top folders have different names.", "Give them the same name, or leave it as it is."
    ),
    "differing_columns": Advice(
        "Its duplicates differ in more than their location.", "Compare them, then make them the same."
    ),
    "collision": Advice(
        "Some linked records would become identical, so it was left untouched.",
        "Ask IT: one of the records has to be removed, or a rule made for them.",
    ),
    "unkeyed_rows": Advice(
        "Some linked records have no key to identify them by.", "Ask for a primary key on that table."
    ),
    "lease_lost": Advice("Its worker disappeared.", "Try again."),
    "not_found": Advice("This no longer exists.", "Go back to the list and look again."),
}


def advice(code: str) -> Advice:
    """Return what a code means to a person, and the next step."""
    return _ADVICE.get(code, Advice("It could not be done.", "Try again; if the problem persists, ask for help."))


TOO_LARGE_TO_LOOK_INTO = (
    "It is too large to examine on a page. If people have changed something since, nothing is undone, and the "
    "page of the undo lists it."
)


def refusal(error: CleanupError) -> str:
    """Turn a refusal into what the screen says."""
    found = advice(error.code)
    return f"{found.what} {found.next_step}"


#: What IT needs to act on a refusal; shown folded.
COMMANDS = {
    "no_cluster": "python manage.py qcluster",
    "preflight": "python manage.py database_cleanup --preflight",
}


def finding(code: str) -> str:
    """Describe what a finding's code means; a stored one may be of another version."""
    return BY_CODE[code].sentence if code in BY_CODE else safe(code).replace("_", " ").capitalize()


# What merging an application would do.


def folder_name(name: str) -> str:
    """Return a folder's name as it can be shown; a blank one as ``(no name)``."""
    return safe(name) if name.strip() else "(no name)"


_REASONS = {
    Reason.OLDEST: "it is the oldest",
    Reason.LOWEST_KEY: "it has the lowest key",
    Reason.NEWEST: "it is the newest",
    Reason.FULLEST: "no other holds more",
    Reason.NAMED: "the application names it as its top folder",
    Reason.CHOSEN: "the settings prefer it",
    Reason.ALREADY_THERE: "it is the first one already in the right place",
    Reason.ANOTHER_ROOT: "an application may have only one top folder",
    Reason.SAME_NAME: "they have the same name",
    Reason.PARENT_MERGED: "the folder that it lies in is merged",
    Reason.NESTED: "it is a top folder with another name",
    Reason.UNREACHABLE: "no top folder leads to it",
    Reason.NOT_LIVE: "it is in the trash",
}


def group(found: GroupPreview) -> str:
    """Describe what becomes of folders that become one: ``3 folders named Documents become 1. 14 files move.``"""
    number = len(found.removed) + 1
    name = folder_name(found.name)
    if found.roots:
        first = f"{counted(number, 'top folder')} become 1: “{name}” stays, because {_REASONS[found.reason]}."
    else:
        first = f"{counted(number, 'folder')} named {name} become 1: {_stays(found.reason)}."
    parts = [first]
    if found.files_moved:
        parts.append(f"{counted(found.files_moved, 'file')} {'moves' if found.files_moved == 1 else 'move'}.")
    if found.linked_records_moved:
        follow = "follows" if found.linked_records_moved == 1 else "follow"
        parts.append(f"{linked_records(found.linked_records_moved)} {follow}.")
    return " ".join(parts)


def _stays(reason: Reason) -> str:
    return f"{_STAYING[reason]} stays"


_STAYING = {
    Reason.OLDEST: "the oldest",
    Reason.LOWEST_KEY: "the one with the lowest key",
    Reason.NEWEST: "the newest",
    Reason.FULLEST: "the one that holds most",
    Reason.CHOSEN: "the one that the settings prefer",
    Reason.ALREADY_THERE: "the one that is already in the right place",
}


def totals(found: Preview, *, days: int) -> str:
    """Summarize what merging an application would do."""
    if found.empty:
        return "There is nothing to do: this application has no duplicates."
    parts = [to_merge(found.folders_removed, found.files_moved, found.references_moved)]
    if found.folders_moved:
        parts.append(f"{counted(found.folders_moved, 'folder')} {'moves' if found.folders_moved == 1 else 'move'}.")
    if found.rows_removed:
        rows = sum(found.rows_removed.values())
        parts.append(
            f"{counted(rows, 'linked record')} that would be duplicates"
            f" {'is' if rows == 1 else 'are'} kept in the undo record."
        )
    return " ".join([*parts, nothing_deleted(), undo_for(days, now=found.made_at)])


def fate_before(folder: FolderPreview, folders: Mapping[str, FolderPreview]) -> str:
    """Describe what becomes of one of the folders, and why."""
    why = f", because {_REASONS[folder.reasons[0]]}" if folder.reasons else ""
    if folder.fate == Fate.SURVIVOR:
        return f"stays{why}"
    if folder.fate == Fate.MERGED:
        into = folders.get(folder.into or "")
        where = f" into “{folder_name(into.name)}”" if into else ""
        differs = f"; differs in {listed(map(safe, folder.differing_columns))}" if folder.differing_columns else ""
        return f"merges{where}{why}{differs}"
    if folder.fate == Fate.MOVED:
        return f"moves{why}"
    if folder.fate == Fate.LEFT_ALONE:
        return f"is not touched{why}"
    return f"is not touched{why}" if folder.reasons else ""


def content(folder: FolderPreview, *, after: bool) -> str:
    """Count what lies in a folder; without files only before the merge, in which linked records may become one."""
    if conf.has_files():
        return counted(folder.files_after if after else folder.files, "file")
    return "" if after else counted(sum(folder.linked_records.values()), "linked record")


def fate_after(folder: FolderPreview) -> str:
    """Describe what has become of a folder."""
    if folder.fate == Fate.MOVED:
        return "moved here"
    gained = folder.files_after - folder.files
    return f"merged, {counted(gained, 'file')} more" if gained else "merged"


def wrong_number(number: int, *, most: int) -> str:
    """Explain that nothing was selected, or too many at once."""
    return f"Select at most {most:,} applications at a time." if number else "Select at least one application."


def worst(number: int) -> str:
    """Describe which applications are shown if no one has chosen any."""
    if number == 1:
        return "This is the only application that can be cleaned up now."
    return f"These are the {number:,} applications with the most duplicates that can be cleaned up now."


def none_to_clean_up(aside: SetAside) -> str:
    """Describe why no application can be cleaned up."""
    if not aside.affected:
        return "No application has duplicates. There is nothing to do."
    others = aside.affected - aside.held - aside.large - aside.refused
    parts = [
        f"{number:,} {'is' if number == 1 else 'are'} {words}"
        for number, words in (
            (aside.held, "on hold"),
            (aside.large, "very large"),
            (aside.refused + others, "refused, because linked records or names stand in the way"),
        )
        if number
    ]
    have = f"{counted(aside.affected, 'application')} {'has' if aside.affected == 1 else 'have'} duplicates"
    return f"{have}, but none can be cleaned up now: {listed(parts)}."


def hold(found: Hold) -> str:
    """Describe who has put an application on hold, when and why."""
    by = f" by {safe(found.created_by)}" if found.created_by else ""
    reason = f" Reason: {safe(found.reason)}." if found.reason else ""
    return f"On hold since {moment_text(found.created_at)}{by}.{reason}"


def obstacle(code: str) -> str:
    """Describe what keeps an application from being cleaned up, and the next step."""
    found = advice(code)
    return f"{found.what} {found.next_step}"


# What happened to a folder.


def folder_event(event: FolderEvent) -> str:
    """Describe what became of a folder."""
    name = folder_name(event.name) if event.name else safe(event.folder_id)
    into = (
        f"“{folder_name(event.survivor_name)}”" if event.survivor_name is not None else "a folder that no longer exists"
    )
    if event.undone:
        return f"The folder “{name}” was merged into {into}; that was undone, and it came back."
    later = (
        f" That folder was later merged too: everything is now in folder {event.now_in_id}." if event.now_in_id else ""
    )
    followed = "Its files moved with it." if conf.has_files() else "What was in it moved with it."
    return f"The folder “{name}” was merged into {into}. {followed}{later}"


# Checks and schedules.


def last_check(check: ConsistencyCheck | None, *, outdated: bool = False) -> str:
    """Describe what the last check found, and when; ``outdated``: a run has changed folders since."""
    if check is None or check.duplicate_applications is None:
        return "Not checked yet."
    number = check.duplicate_applications
    found = f"{counted(number, 'application')} {'has' if number == 1 else 'have'} duplicates"
    found = found if number else "No duplicates"
    waiting = check.waiting_applications or 0
    aside = f"; {waiting:,} of them {'is' if waiting == 1 else 'are'} on hold, refused or too large" if waiting else ""
    before = ", before folders were changed" if outdated else ""
    return f"{found}{aside}. Checked {moment_text(check.ended_at)}{before}."


def last_verification(verification: Verification | None) -> str:
    """Describe what the last verification found, and when."""
    if verification is None:
        return "Not verified yet."
    return f"{problems(verification)}. Verified {moment_text(verification.ended_at)}."


def problems(verification: Verification) -> str:
    """Count what a verification has found: ``No errors, 15 warnings``."""
    errors = sum(number for code, number in verification.counts.items() if code in ERRORS)
    warnings = sum(verification.counts.values()) - errors
    first = counted(errors, "error") if errors else "No errors" if verification.passed else "Errors were found"
    return f"{first}, {counted(warnings, 'warning')}" if warnings else first


_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def cadence(schedule: Schedule) -> str:
    """Describe how often a schedule fires, in the zone that it is kept in."""
    if schedule.schedule_type == Schedule.Cadence.HOURLY:
        return f"every hour, at minute {schedule.minute}"
    at = f"at {schedule.hour:02}:{schedule.minute:02} UTC"
    if schedule.schedule_type == Schedule.Cadence.DAILY:
        return f"every day {at}"
    return f"every {_WEEKDAYS[schedule.weekday]} {at}"


def schedule_state(*, enabled: bool, started: bool, overdue: bool) -> str:
    """Return whether a schedule fires."""
    if not enabled:
        return "switched off"
    if not started:
        return "waits until the schedules are started"
    return "overdue" if overdue else "on"
