"""The sentences of the administrator's screens, those of ``refusals`` excepted, in one place, so that they agree.

Pure but for the person's time zone and language, which middleware has activated, and the models of the settings. No
sentence contains markup; names in them are data, with control and direction characters escaped. Each is translated as a
whole: what is put together from parts has the grammar of one language.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from django.utils import dateformat, formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from cleanup import conf, stored_texts
from cleanup.admin import refusals
from cleanup.admin.linked_records import without_folders
from cleanup.backends.finding_kinds import BY_CODE, DUPLICATES, ERRORS
from cleanup.models import Result, RollbackPoint, Run, Schedule
from cleanup.services.automation.schedules import next_time
from cleanup.text_safety import safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cleanup.models import ConsistencyCheck, FreezeSwitch, Hold, Verification
    from cleanup.queries import SetAside
    from cleanup.services.folders.history import FolderEvent
    from cleanup.services.integrity.outlook import Estimate
    from cleanup.services.results import RepairReport


def number_text(number: int) -> str:
    """Write a number as people do, as in ``1,200``."""
    return formats.number_format(number, use_l10n=True, force_grouping=True)


#: Nouns as they stand beside a number, in the nominative and accusative of languages that have cases.
_NOUNS: dict[str, Callable[[int], str]] = {
    "alert": lambda number: ngettext("%(number)s alert", "%(number)s alerts", number),
    "application": lambda number: ngettext("%(number)s application", "%(number)s applications", number),
    "day": lambda number: ngettext("%(number)s day", "%(number)s days", number),
    "duplicate folder": lambda number: ngettext("%(number)s duplicate folder", "%(number)s duplicate folders", number),
    "error": lambda number: ngettext("%(number)s error", "%(number)s errors", number),
    "file": lambda number: ngettext("%(number)s file", "%(number)s files", number),
    "folder": lambda number: ngettext("%(number)s folder", "%(number)s folders", number),
    "hour": lambda number: ngettext("%(number)s hour", "%(number)s hours", number),
    "linked record": lambda number: ngettext("%(number)s linked record", "%(number)s linked records", number),
    "minute": lambda number: ngettext("%(number)s minute", "%(number)s minutes", number),
    "other linked record": lambda number: ngettext(
        "%(number)s other linked record", "%(number)s other linked records", number
    ),
    "record": lambda number: ngettext("%(number)s record", "%(number)s records", number),
    "second": lambda number: ngettext("%(number)s second", "%(number)s seconds", number),
    "thing": lambda number: ngettext("%(number)s thing", "%(number)s things", number),
    "undo": lambda number: ngettext("%(number)s undo", "%(number)s undos", number),
    "warning": lambda number: ngettext("%(number)s warning", "%(number)s warnings", number),
}


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun in the right form, as in ``1 folder`` and ``1,200 folders``.

    A noun that is not ours, such as a host's, is given with its plural and as it is to be shown.
    """
    if noun in _NOUNS:
        return _NOUNS[noun](number) % {"number": number_text(number)}
    return f"{number_text(number)} {noun if number == 1 else plural or f'{noun}s'}"


def listed(parts: Iterable[str]) -> str:
    """Join parts as a person would: ``a, b and c``."""
    *most, last = list(parts) or [""]
    return _("%(most)s and %(last)s") % {"most": ", ".join(most), "last": last} if most else last


def quoted(text: str) -> str:
    """Put text in quotation marks."""
    return _("“%s”") % text


def nothing_deleted() -> str:
    """State that a cleanup loses nothing."""
    if conf.has_files():
        return _("No file is deleted or changed.")
    return _("Only duplicate folders are removed; everything in them is kept.")


# Times.


# The formats of times are those of Django's filter ``date``: a translation has its own order of parts.


def day(moment: datetime, *, now: datetime | None = None) -> str:
    """Name a day, as in ``21 February``; with the year unless it is the current one."""
    there, here = timezone.localtime(moment), timezone.localtime(now or timezone.now())
    this_year = there.year == here.year
    return dateformat.format(there, pgettext("date format", "j F") if this_year else pgettext("date format", "j F Y"))


def moment_text(moment: datetime | None, *, otherwise: str | None = None) -> str:
    """Format a time in the person's zone with the zone's name, as in ``21 February 2026, 14:05 CET``."""
    if moment is None:
        return _("never") if otherwise is None else otherwise
    there = timezone.localtime(moment)
    return " ".join([dateformat.format(there, pgettext("date format", "j F Y, H:i")), zone_name(there)])


def short_moment(moment: datetime, *, now: datetime | None = None) -> str:
    """Format a time in the person's zone shortly, as in ``21 Feb, 14:05``; with the year if it is another one."""
    there, here = timezone.localtime(moment), timezone.localtime(now or timezone.now())
    this_year = there.year == here.year
    return dateformat.format(
        there, pgettext("date format", "j M, H:i") if this_year else pgettext("date format", "j M Y, H:i")
    )


def zone_name(moment: datetime) -> str:
    """Return the short name of the zone, or its offset if the name is only digits."""
    name, offset = moment.tzname() or "", f"{moment:%z}"
    return name if name[:1].isalpha() else f"UTC{offset[:3]}:{offset[3:]}"


def duration(seconds: float | None) -> str:
    """Describe a span of time roughly; empty if it is unknown."""
    return "" if seconds is None else counted(*_span(seconds))


_AGO: dict[str, Callable[[int], str]] = {
    "second": lambda number: ngettext("%(number)s second ago", "%(number)s seconds ago", number),
    "minute": lambda number: ngettext("%(number)s minute ago", "%(number)s minutes ago", number),
    "hour": lambda number: ngettext("%(number)s hour ago", "%(number)s hours ago", number),
    "day": lambda number: ngettext("%(number)s day ago", "%(number)s days ago", number),
}


def ago(seconds: float) -> str:
    """Describe roughly how long ago something was."""
    if seconds < 60:
        return _("just now")
    number, unit = _span(seconds)
    return _AGO[unit](number) % {"number": number_text(number)}


def _span(seconds: float) -> tuple[int, str]:
    """Return a number of units, and the unit."""
    if seconds < 90:
        return max(1, round(seconds)), "second"
    if seconds < 5400:
        return round(seconds / 60), "minute"
    return (round(seconds / 3600), "hour") if seconds < 172_800 else (round(seconds / 86_400), "day")


def undo_until(expires_at: datetime, *, now: datetime | None = None) -> str:
    """Describe how long something can be undone."""
    return _("Undo possible until %s.") % day(expires_at, now=now)


def undo_for(days: int, *, now: datetime) -> str:
    """Describe how long something that is done now can be undone."""
    return undo_until(now + timedelta(days=days), now=now)


def schedule_name(name: str) -> str:
    """Return what people call a schedule."""
    return str(stored_texts.SCHEDULES.get(name, name.replace("_", " ")))


def capitalized(text: str) -> str:
    """Return text with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]


def changed(moment: datetime | None, by: str) -> str:
    """Describe when something was last changed, and by whom."""
    if moment is None:
        return _("not changed yet")
    return f"{moment_text(moment)}, {safe(by)}" if by else moment_text(moment)


def stopped_since(switch: FreezeSwitch) -> str:
    """Describe since when everything is stopped, and who has stopped it."""
    moment = moment_text(switch.changed_at)
    if not switch.changed_by:
        return _("since %(moment)s.") % {"moment": moment}
    return _("by %(person)s, %(moment)s.") % {"person": safe(switch.changed_by), "moment": moment}


def unfrozen(*, paused: int) -> str:
    """Say that cleanups are possible again, and what stays paused."""
    text = _("Cleanups are allowed again.")
    if not paused:
        return text
    stays = ngettext(
        "%(number)s run that was paused stays paused until someone resumes it.",
        "%(number)s runs that were paused stay paused until someone resumes them.",
        paused,
    )
    return f"{text} {stays % {'number': number_text(paused)}}"


def missing_permission(names: Sequence[str]) -> str:
    """Explain which permission someone lacks."""
    if not names:
        return _("Your account lacks the permission for this page. Ask the person who manages accounts.")
    return _(
        "This needs the permission “%s”, which your account does not have. Ask the person who manages accounts."
    ) % _("” or “").join(names)


# Runs and results.


class StopReason(NamedTuple):
    """Why a run does not go on."""

    what: str
    next_step: str = ""
    """What to do, if people in the office cannot know."""
    for_it: str = ""
    """What the database said; empty if a person, or the product by its own rules, stopped the run."""


def stop_reason(run: Run) -> StopReason:
    """Describe why a run does not go on; all empty if it does, or has ended as it should."""
    reason = run.status_reason
    if not reason or not run.paused_by_error or stored_texts.is_known(reason):
        return StopReason(stored_texts.shown(reason))
    return StopReason(
        _("the database tables were changed in the meantime")
        if stored_texts.is_about_tables(reason)
        else _("the database did not let it continue"),
        _("What it has finished is complete, and nothing is half done. Show IT the message; then resume the run."),
        safe(reason),
    )


def failure_reason(reason: str) -> StopReason:
    """Describe why what a schedule began has failed."""
    if stored_texts.is_known(reason):
        return StopReason(stored_texts.shown(reason))
    return StopReason(*refusals.advice("preflight" if stored_texts.is_about_not_starting(reason) else ""), safe(reason))


HOW: dict[str, Any] = {
    "shell": gettext_lazy("at the command line"),
    "service": gettext_lazy("by script"),
    "api": gettext_lazy("through the API"),
    "admin": gettext_lazy("in the admin"),
    "schedule": gettext_lazy("by its schedule"),
    "run": gettext_lazy("after a run"),
}


def started(by: str, how: str) -> str:
    """Describe who started something, and how."""
    place = str(HOW.get(how, safe(how)))
    return f"{safe(by)}, {place}" if by else place


RUN_STATUS: dict[Any, Any] = {
    Run.Status.PENDING: gettext_lazy("waiting to start"),
    Run.Status.RUNNING: gettext_lazy("running"),
    Run.Status.PAUSING: gettext_lazy("about to pause"),
    Run.Status.PAUSED: gettext_lazy("paused"),
    Run.Status.COMPLETED: gettext_lazy("finished"),
    Run.Status.STOPPED: gettext_lazy("stopped before it finished"),
    Run.Status.CANCELLED: gettext_lazy("cancelled"),
}


def run_status(status: str) -> str:
    """Describe the status of a run."""
    return str(RUN_STATUS[Run.Status(status)])


def run_progress(run: Run, *, silent: bool = False) -> str:
    """Describe how far a run has come, and how long it will take unless it gives no sign of life."""
    left = duration(run.seconds_left) if run.status == Run.Status.RUNNING and run.seconds_left and not silent else ""
    numbers = {
        "done": number_text(run.done_applications),
        "number": number_text(run.total_applications),
        "left": left,
    }
    if not left:
        return (
            ngettext(
                "%(done)s of %(number)s application done.",
                "%(done)s of %(number)s applications done.",
                run.total_applications,
            )
            % numbers
        )
    return (
        ngettext(
            "%(done)s of %(number)s application done; about %(left)s left.",
            "%(done)s of %(number)s applications done; about %(left)s left.",
            run.total_applications,
        )
        % numbers
    )


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
    cleanup = run.kind != Run.Kind.ROLLBACK
    done: dict[str, str] = {Run.Kind.CLEANUP: _("cleaned up"), Run.Kind.REPAIR: _("repaired")}
    aside = (
        RunNumber(Result.Status.HELD, run.held_applications, _("on hold")),
        RunNumber(Result.Status.SKIPPED, run.skipped_applications, _("left alone")),
    )
    return (
        RunNumber(DONE, run.successful_applications, done.get(run.kind, _("undone"))),
        *(number for number in aside if cleanup or number.number),
        RunNumber(Result.Status.FAILED, run.failed_applications, _("failed")),
    )


def run_outcome(run: Run) -> str:
    """Describe what a run has changed so far."""
    if run.kind == Run.Kind.ROLLBACK:
        return was_restored(run.restored) if run.successful_applications else ""
    if run.kind == Run.Kind.REPAIR:
        return _("Repaired: %(problem)s.") % {"problem": finding(run.options.get("repair", ""))}
    numbers = {"number": number_text(run.folders_removed), "files": counted(run.files_moved, "file")}
    if conf.has_files():
        text = ngettext(
            "%(number)s duplicate folder merged, %(files)s moved.",
            "%(number)s duplicate folders merged, %(files)s moved.",
            run.folders_removed,
        )
    else:
        text = ngettext(
            "%(number)s duplicate folder merged.", "%(number)s duplicate folders merged.", run.folders_removed
        )
    return f"{text % numbers} {nothing_deleted()}"


def run_exactness(run: Run) -> str:
    """Describe how far an undo that has ended has brought everything back; empty if that is not known."""
    if not run.restored:
        return ""
    lost = not_restored(run.restored["expired"], run.restored["expired_applications"])
    return f"{exactness(run.restored['inexact'])} {lost}".strip()


def repair_totals(report: RepairReport) -> str:
    """Describe what a repair would do in all."""
    if not report.findings_repaired:
        return _("There is nothing to repair.")
    problems = ngettext("%(number)s problem goes away.", "%(number)s problems go away.", report.findings_repaired)
    told = [problems % {"number": number_text(report.findings_repaired)}]
    if report.folders_made:
        made = ngettext("%(number)s folder is made.", "%(number)s folders are made.", report.folders_made)
        told.append(made % {"number": number_text(report.folders_made)})
    return " ".join([*told, nothing_deleted()])


def holds(files: int, records: int) -> str:
    """Describe what is in a folder, or linked with it."""
    parts = [counted(files, "file")] if conf.has_files() else []
    return ", ".join([*parts, counted(records, "record")])


def run_duration(run: Run) -> str:
    """Describe how long a run took; empty if it has not ended."""
    return duration((run.ended_at - (run.started_at or run.created_at)).total_seconds()) if run.ended_at else ""


def _has_paused(run: Run) -> bool:
    """Return whether the run was resumed at least a minute after it had started."""
    started = run.started_at or run.created_at
    return run.resumed_at is not None and (run.resumed_at - started).total_seconds() >= 60


def run_ended(run: Run, *, undo_until: datetime | None) -> str:
    """Describe how long a run took, and whether it can be undone; of a paused one, that it stays so."""
    if run.status == Run.Status.PAUSED:
        return _("It stays paused until someone resumes it.")
    if run.status == Run.Status.STOPPED:
        return _("It has stopped. Look at what failed, then resume or cancel it.")
    took = ""
    if run.ended_at:
        took = (_("Took %s, pauses included.") if _has_paused(run) else _("Took %s.")) % run_duration(run)
    if run.kind == Run.Kind.ROLLBACK:
        return took
    undo = _("Can be undone until %s.") % day(undo_until) if undo_until else _("There is nothing to undo.")
    return f"{took} {undo}".strip()


def kept(number: int) -> str:
    """Count what an undo left, or would leave, as people changed it."""
    text = ngettext("%(number)s thing is as people changed it", "%(number)s things are as people changed them", number)
    return text % {"number": number_text(number)}


_RESULT_STATUS = {
    Result.Status.PENDING: gettext_lazy("waiting its turn"),
    Result.Status.IN_PROGRESS: gettext_lazy("being worked on"),
    Result.Status.COMPLETED: gettext_lazy("done"),
    Result.Status.FAILED: gettext_lazy("failed"),
    Result.Status.SKIPPED: gettext_lazy("left alone"),
    Result.Status.HELD: gettext_lazy("on hold"),
    Result.Status.ROLLED_BACK: gettext_lazy("undone"),
}


def result_status(status: str) -> str:
    """Describe the status of one application in a run."""
    return str(_RESULT_STATUS[Result.Status(status)])


def result_outcome(result: Result) -> str:
    """Describe the outcome for an application."""
    if result.run.kind == Run.Kind.ROLLBACK:
        inexact = result.details.get("inexact")
        text = was_restored(result.details)
        return f"{text} {exactness(inexact)}" if inexact else text
    rows = result.details.get("moved", {})
    if result.run.kind == Run.Kind.REPAIR and (mended := result.details.get("mended", 0)):
        return ngettext("%(number)s problem repaired.", "%(number)s problems repaired.", mended) % {
            "number": number_text(mended)
        }
    return merged(result.folders_removed, result.files_moved, rows) if result.folders_removed else ""


def merged(folders: int, files: int, rows: Mapping[str, int]) -> str:
    """Summarize what a merge has done; ``rows`` moved, by table, and are named if no files are mapped."""
    return ngettext(
        "%(number)s duplicate folder merged, %(files)s moved.",
        "%(number)s duplicate folders merged, %(files)s moved.",
        folders,
    ) % {"number": number_text(folders), "files": _moved(files, rows)}


def to_merge(folders: int, files: int, rows: Mapping[str, int]) -> str:
    """Summarize what a merge will do."""
    return ngettext(
        "%(number)s duplicate folder will be merged and %(files)s moved.",
        "%(number)s duplicate folders will be merged and %(files)s moved.",
        folders,
    ) % {"number": number_text(folders), "files": _moved(files, rows)}


def _moved(files: int, rows: Mapping[str, int]) -> str:
    if conf.has_files():
        return counted(files, "file") if files else _("no files")
    return listed(counted(*row) for row in without_folders(rows)) or _("nothing else")


def left_aside(number: int) -> str:
    """Describe how many applications with duplicates a cleanup of everything leaves alone."""
    if not number:
        return ""
    return ngettext(
        "%(number)s more application has duplicates and will be left alone: on hold, or very large.",
        "%(number)s more applications have duplicates and will be left alone: on hold, or very large.",
        number,
    ) % {"number": number_text(number)}


def restored_text(folders: int, files: int, references: int, moved_back: int) -> str:
    """Summarize what an undo will do; ``references`` count the folders that move back, which are told apart."""
    parts = [folders_come_back(folders)]
    if moved_back:
        text = ngettext(
            "%(number)s folder goes back to its old place.",
            "%(number)s folders go back to their old places.",
            moved_back,
        )
        parts.append(text % {"number": number_text(moved_back)})
    if conf.has_files():
        parts.append(files_go_back(files))
    others = references - moved_back
    if others or not conf.has_files():
        text = ngettext("%(records)s goes back to its old place.", "%(records)s go back to their old places.", others)
        parts.append(text % {"records": linked_records(others)})
    return " ".join(parts)


def was_restored(restored: Mapping[str, Any]) -> str:
    """Summarize what an undo has done, as a run or a result keeps it; empty if it has done nothing.

    References count the folders that moved back, too, which are told apart.
    """
    if "folders_restored" not in restored:
        return ""
    folders, files = restored["folders_restored"], restored.get("files_restored", 0)
    references, moved_back = restored.get("references_restored", 0), restored.get("folders_moved_back", 0)
    text = ngettext("%(number)s folder came back.", "%(number)s folders came back.", folders)
    parts = [text % {"number": number_text(folders)}]
    if moved_back:
        text = ngettext(
            "%(number)s folder went back to its old place.",
            "%(number)s folders went back to their old places.",
            moved_back,
        )
        parts.append(text % {"number": number_text(moved_back)})
    if conf.has_files():
        text = ngettext(
            "%(number)s file went back to where it was.", "%(number)s files went back to where they were.", files
        )
        parts.append(text % {"number": number_text(files)} if files else _("No file had to move back."))
    others = references - moved_back
    if others or not conf.has_files():
        text = ngettext("%(records)s went back to its old place.", "%(records)s went back to their old places.", others)
        parts.append(text % {"records": linked_records(others)})
    return " ".join(parts)


def folders_come_back(number: int) -> str:
    """Count the folders that an undo brings back."""
    text = ngettext("%(number)s folder comes back.", "%(number)s folders come back.", number)
    return text % {"number": number_text(number)}


def files_go_back(number: int) -> str:
    """Count the files that an undo moves back."""
    if not number:
        return _("No file has to move back.")
    text = ngettext(
        "%(number)s file goes back to where it was.", "%(number)s files go back to where they were.", number
    )
    return text % {"number": number_text(number)}


def left_as_it_is(number: int) -> str:
    """Count what undoing the rest does not bring back."""
    if not number:
        return ""
    return ngettext(
        "One thing stays as it is now, as listed.", "%(number)s things stay as they are now, as listed.", number
    ) % {"number": number_text(number)}


def linked_records(number: int) -> str:
    """Count rows that refer to folders, other than files if these are mapped."""
    return counted(number, "other linked record" if conf.has_files() else "linked record")


def not_restored(expired: int, names: Sequence[str]) -> str:
    """List the applications that undoing a whole cleanup cannot restore; if there are many, only some by name."""
    if not expired:
        return ""
    more = expired - len(names)
    further = [_("%s more") % number_text(more)] if more > 0 else []
    which = f": {listed([*names, *further])}" if names else ""
    return ngettext(
        "%(number)s application can no longer be restored, because the time to undo it has passed%(which)s.",
        "%(number)s applications can no longer be restored, because the time to undo them has passed%(which)s.",
        expired,
    ) % {"number": number_text(expired), "which": which}


_NOT_COMPARED = {
    "triggers": gettext_lazy("programs inside the database write as well, and what they write is not compared"),
    "hook": gettext_lazy(
        "the program that keeps the order of folders writes as well, and what it writes is not compared"
    ),
}


def not_compared(inexact: Sequence[str]) -> str:
    """Describe what an undo cannot promise, before it is done and afterwards."""
    reasons = _reasons_not_to_compare(inexact)
    return _("There is no guarantee that everything is as it was before: %s.") % reasons if reasons else ""


_INEXACT = {
    "conflicts": gettext_lazy("what people have changed since was kept"),
    "copies": gettext_lazy("some folders came back as copies"),
    "differences": gettext_lazy("other things have changed since"),
    "expired": gettext_lazy("the time to undo some applications has passed"),
    "already_rolled_back": gettext_lazy("some applications had been undone before and have changed since"),
    "failed": gettext_lazy("some applications could not be undone"),
    "unfinished": gettext_lazy("not all applications have been undone yet"),
}


def exactness(inexact: Sequence[str]) -> str:
    """Describe how far an undo has brought everything back."""
    if not inexact:
        return _("Everything that the cleanup changed is as it was before.")
    known = "; ".join(str(_INEXACT.get(name, name)) for name in inexact if name not in _NOT_COMPARED)
    if not known:
        return not_compared(inexact)
    words = _("Not everything is as it was before: %s.") % known
    reasons = _reasons_not_to_compare(inexact)
    if not reasons:
        return words
    rest = _("There is no guarantee for the rest: %s.") % reasons
    return f"{words} {rest}"


def _reasons_not_to_compare(inexact: Sequence[str]) -> str:
    return "; ".join(str(_NOT_COMPARED[name]) for name in inexact if name in _NOT_COMPARED)


POINT_STATUS: dict[Any, Any] = {
    RollbackPoint.Status.LIVE: gettext_lazy("can be undone"),
    RollbackPoint.Status.ROLLED_BACK: gettext_lazy("undone"),
    RollbackPoint.Status.PURGED: gettext_lazy("expired"),
}


def point_status(point: RollbackPoint, *, now: datetime | None = None) -> str:
    """Describe what can be done with an undo record."""
    if point.status == RollbackPoint.Status.LIVE:
        return undo_until(point.expires_at, now=now)
    if point.exact is False and point.status == RollbackPoint.Status.ROLLED_BACK:
        return _("Undone (not exactly as before).")
    return f"{capitalized(str(POINT_STATUS[RollbackPoint.Status(point.status)]))}."


def not_done(*, signed_out: bool) -> str:
    """Explain that pressing a button has done nothing."""
    why = _("You had been signed out, so nothing was done.") if signed_out else _("Nothing was done.")
    return " ".join([why, _("Press the button again if you still want it.")])


# Problems.


def finding(code: str) -> str:
    """Describe what a finding's code means; a stored one may be of another version."""
    return _(BY_CODE[code].sentence) if code in BY_CODE else safe(code).replace("_", " ").capitalize()


# What merging an application would do.


def folder_name(name: str) -> str:
    """Return a folder's name as it can be shown; a blank one as ``(no name)``."""
    return safe(name) if name.strip() else _("(no name)")


def wrong_number(number: int, *, most: int) -> str:
    """Explain that nothing was selected, or too many at once."""
    if not number:
        return _("Select at least one application.")
    return ngettext(
        "Select at most %(number)s application at a time.", "Select at most %(number)s applications at a time.", most
    ) % {"number": number_text(most)}


def worst(number: int, checked_at: datetime | None = None) -> str:
    """Describe which applications are shown if no one has chosen any, and which check knows them, if one does."""
    if checked_at is not None:
        return ngettext(
            "At the check of %(moment)s this was the application with the most duplicates that can be cleaned up.",
            "At the check of %(moment)s these were the %(number)s applications with the most duplicates that can be "
            "cleaned up.",
            number,
        ) % {"number": number_text(number), "moment": short_moment(checked_at)}
    return ngettext(
        "This is the only application that can be cleaned up now.",
        "These are the %(number)s applications with the most duplicates that can be cleaned up now.",
        number,
    ) % {"number": number_text(number)}


def estimated(estimate: Estimate | None, checked_at: datetime | None) -> str:
    """Describe about what a cleanup of everything would do, and how long it would take."""
    if estimate is None or checked_at is None:
        return _("The next check estimates how much that is, and how long it takes.")
    if not estimate.folders:
        return _("An estimate of %s: hardly any of them can be cleaned up as things are.") % short_moment(checked_at)
    return " ".join(
        [
            _("An estimate of %s:") % short_moment(checked_at),
            to_merge(_roughly(estimate.folders), _roughly(estimate.files), {}),
            _("At full speed it takes about %s.") % duration(max(1, estimate.seconds)),
        ]
    )


def _roughly(number: int) -> int:
    """Round to two digits: more would claim too much."""
    return round(number, 2 - len(str(number)))


def none_to_clean_up(aside: SetAside) -> str:
    """Describe why no application can be cleaned up."""
    if not aside.affected:
        return _("No application has duplicates. There is nothing to do.")
    refused = aside.affected - aside.held - aside.large
    parts = [
        words % {"number": number_text(number)}
        for number, words in (
            (aside.held, ngettext("%(number)s is on hold", "%(number)s are on hold", aside.held)),
            (aside.large, ngettext("%(number)s is very large", "%(number)s are very large", aside.large)),
            (
                refused,
                ngettext(
                    "%(number)s is refused, because linked records or names stand in the way",
                    "%(number)s are refused, because linked records or names stand in the way",
                    refused,
                ),
            ),
        )
        if number
    ]
    return ngettext(
        "%(number)s application has duplicates, but none can be cleaned up now: %(why)s.",
        "%(number)s applications have duplicates, but none can be cleaned up now: %(why)s.",
        aside.affected,
    ) % {"number": number_text(aside.affected), "why": listed(parts)}


def hold(found: Hold) -> str:
    """Describe who has put an application on hold, when and why."""
    facts = {"moment": moment_text(found.created_at), "person": safe(found.created_by)}
    since = _("On hold since %(moment)s by %(person)s.") if found.created_by else _("On hold since %(moment)s.")
    return f"{since % facts} {with_reason(found.reason)}".rstrip()


def with_reason(reason: str) -> str:
    """Give a reason, if there is one, as a sentence of its own."""
    return _("Reason: %s.") % stored_texts.shown(reason) if reason else ""


# What happened to a folder.


def folder_event(event: FolderEvent, *, number: int = 1) -> str:
    """Describe what became of a folder, or of several of its name that one cleanup merged into the same one."""
    name = folder_name(event.name) if event.name else safe(event.folder_id)
    if event.undone:
        came_back = ngettext(
            "“%(name)s” was merged; that was undone, and it came back.",
            "%(number)s folders “%(name)s” were merged; that was undone, and they came back.",
            number,
        )
        again = ngettext("Later it was merged again.", "Later they were merged again.", number)
        return " ".join(
            [came_back % {"name": name, "number": number_text(number)}, *([again] if event.merged_again else [])]
        )
    merged = ngettext(
        "“%(name)s” was merged into another folder.",
        "%(number)s folders “%(name)s” were merged into another folder.",
        number,
    )
    followed = (
        ngettext("Its files moved with it.", "Their files moved with them.", number)
        if conf.has_files()
        else ngettext("What was in it moved with it.", "What was in them moved with them.", number)
    )
    again = _("That folder was merged again later.") if event.merged_again else ""
    return f"{merged % {'name': name, 'number': number_text(number)}} {followed} {again}".rstrip()


def where_now(event: FolderEvent) -> str:
    """Introduce, or deny, the place of the folder that something is in now."""
    if event.now is None:
        return _("The folder no longer exists.")
    return _("It is back:") if event.undone and not event.merged_again else _("Everything is now in:")


def place(names: Sequence[str]) -> str:
    """Write a path as people read it, outermost folder first."""
    return " / ".join(folder_name(name) for name in names)


# Checks and schedules.


def last_check(check: ConsistencyCheck | None, *, outdated: bool = False) -> str:
    """Describe what the last check found, and when; ``outdated``: a run has changed folders since."""
    if check is None or check.duplicate_applications is None:
        return _("Not checked yet.")
    number, waiting = check.duplicate_applications, check.waiting_applications or 0
    found = (
        ngettext("%(number)s application has duplicates", "%(number)s applications have duplicates", number)
        % {"number": number_text(number)}
        if number
        else _("No duplicates")
    )
    aside = ngettext(
        "%(number)s of them was then on hold, refused or too large.",
        "%(number)s of them were then on hold, refused or too large.",
        waiting,
    ) % {"number": number_text(waiting)}
    checked = _("Checked %s, before folders were changed.") if outdated else _("Checked %s.")
    return f"{found}. {checked % moment_text(check.ended_at)} {aside if waiting else ''}".rstrip()


def last_verification(verification: Verification | None) -> str:
    """Describe what the last verification found, and when."""
    if verification is None:
        return _("Not verified yet.")
    verified = _("Verified %s.") % moment_text(verification.ended_at)
    return f"{problems(verification)}. {verified}"


def problems(verification: Verification) -> str:
    """Count what a verification has found: ``No errors, 15 warnings``; duplicates, which a cleanup merges, apart."""
    errors = sum(number for code, number in verification.counts.items() if code in ERRORS)
    warnings = sum(verification.counts.values()) - errors
    duplicates = sum(number for code, number in verification.counts.items() if code in DUPLICATES)
    parts = [_places_with_duplicates(duplicates)] if duplicates else []
    if errors > duplicates:
        parts.append(_other_errors(errors - duplicates) if duplicates else counted(errors, "error"))
    elif duplicates:
        parts.append(_("no other errors"))
    else:
        parts.append(_("No errors") if verification.passed else _("Errors were found"))
    return ", ".join([*parts, *([counted(warnings, "warning")] if warnings else [])])


def has_only_duplicates(verification: Verification) -> bool:
    """Return whether all errors that a verification has found are duplicates, which a cleanup merges."""
    errors = {code for code, number in verification.counts.items() if number and code in ERRORS}
    return bool(errors) and errors <= set(DUPLICATES)


def _places_with_duplicates(number: int) -> str:
    text = ngettext(
        "%(number)s place with duplicates, which a cleanup merges",
        "%(number)s places with duplicates, which a cleanup merges",
        number,
    )
    return text % {"number": number_text(number)}


def _other_errors(number: int) -> str:
    text = ngettext("%(number)s other error", "%(number)s other errors", number)
    return text % {"number": number_text(number)}


def cadence(schedule: Schedule) -> str:
    """Describe how often a schedule fires, in the person's zone as it will be the next time."""
    due = timezone.localtime(next_time(schedule, after=timezone.now()))
    if schedule.schedule_type == Schedule.Cadence.HOURLY:
        return _("every hour, at minute %s") % due.minute
    time = f"{due:%H:%M} {zone_name(due)}"
    if schedule.schedule_type == Schedule.Cadence.DAILY:
        return _("every day at %(time)s") % {"time": time}
    return _("every %(weekday)s at %(time)s") % {"weekday": Schedule.Weekday(due.weekday()).label, "time": time}


def upcoming(moment: datetime, *, now: datetime) -> str:
    """Name a moment that is to come in the person's zone: ``tomorrow at 03:00 CET``."""
    there, here = timezone.localtime(moment), timezone.localtime(now)
    time = f"{there:%H:%M} {zone_name(there)}"
    days = (there.date() - here.date()).days
    if days == 0:
        return _("today at %s") % time
    if days == 1:
        return _("tomorrow at %s") % time
    named = Schedule.Weekday(there.weekday()).label
    return _("%(weekday)s, %(day)s, at %(time)s") % {"weekday": named, "day": day(moment, now=now), "time": time}


def schedule_state(*, enabled: bool, started: bool, overdue: bool, failed: bool) -> str:
    """Return whether a schedule fires, and whether it failed the last time."""
    if not enabled:
        return _("switched off")
    if not started:
        return _("waits until the schedules are started")
    if overdue:
        return _("overdue")
    return _("on, but failed the last time") if failed else pgettext("schedule", "on")
