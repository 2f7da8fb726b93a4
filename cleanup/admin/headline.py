"""The first sentence of the overview: what runs, what is wrong, and how far that can be trusted.

Pure, as ``wording``. It is never good when the check is old, folders have changed since, or nothing will check again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cleanup.admin.wording import ago, counted, day, duration, listed, number_text, schedule_name
from cleanup.models import Run

Level = Literal["good", "attention", "unknown", "running"]


class Health(NamedTuple):
    """What the overview says first."""

    level: Level
    """Shown as a word and a colour."""
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the first sentence is based on."""

    now: datetime
    duplicates: int | None = None
    """Applications with duplicates at the latest check; None if there was no check."""
    waiting: int = 0
    """Those of them that were on hold, refused or too large."""
    all_on_hold: bool = False
    """People have put all of them on hold."""
    checked_at: datetime | None = None
    old: bool = False
    outdated: bool = False
    """A run has changed folders since."""
    checking: bool = False
    cluster_alive: bool = True
    schedules_on: bool = True
    checks_on: bool = True
    """The schedule of the check is not switched off."""
    run: Run | None = None
    """The active run, or else one that is paused."""
    silence: timedelta | None = None
    """How long that run has given no sign of life although it should have."""
    frozen: bool = False
    stopped: bool = False
    """The latest cleanup, or the latest one over everything, stopped before it finished."""
    verification_passed: bool | None = None
    only_duplicates: bool = False
    """All errors that the verification has found are duplicates."""
    alerts: int = 0
    overdue: Iterable[str] = ()


def copied_health() -> Health:
    """Warn that this database is a copy."""
    return Health("attention", _("This database is a copy of another one. Nothing happens here by itself."))


def health(found: Standing) -> Health:
    """Summarize the state of things in a sentence or two."""
    troubles = _troubles(found)
    wrong = _sentence(listed(troubles)) if troubles else ""
    if found.run is not None and found.run.is_in_progress:
        level: Level = "attention" if troubles or found.silence else "running"
        return Health(level, _joined(_running(found.run, found.silence), wrong))
    paused = _paused(found.run) if found.run else ""
    unsure = _unsure(found)
    unattended = _unattended(found)
    if paused or troubles:
        return Health("attention", _joined(paused, wrong, unsure, unattended))
    if unsure:
        return Health("unknown", _joined(unsure, unattended))
    if unattended:
        known = _all_on_hold_at_last_check(found) if found.duplicates else _none_at_last_check(found)
        return Health("attention", _joined(known, unattended))
    if found.duplicates:
        return Health("good", _well_but_for(found, found.duplicates))
    return Health("good", _("All is well: no application has duplicates. Checked %s.") % _ago(found))


def _troubles(found: Standing) -> list[str]:
    """Return what is known to be wrong; nothing about duplicates that a run may have merged in the meantime."""
    troubles = []
    if found.frozen:
        troubles.append(_("everything is stopped"))
    if found.stopped:
        troubles.append(_("a cleanup stopped before it finished"))
    at_work = found.run is not None and found.run.is_in_progress
    counted_duplicates = found.duplicates and not found.outdated and not at_work
    if found.duplicates and counted_duplicates and (found.old or not found.all_on_hold):
        troubles.append(_duplicates(found, found.duplicates))
    if found.verification_passed is False and not (counted_duplicates and found.only_duplicates):
        troubles.append(_("the last verification found errors"))
    if found.alerts:
        text = ngettext("%(alerts)s is open", "%(alerts)s are open", found.alerts)
        troubles.append(text % {"alerts": counted(found.alerts, "alert")})
    late = list(found.overdue)
    if late:
        text = ngettext("%(schedules)s is overdue", "%(schedules)s are overdue", len(late))
        troubles.append(text % {"schedules": listed(map(schedule_name, late))})
    return troubles


def _duplicates(found: Standing, number: int) -> str:
    if found.old:
        text = ngettext(
            "%(number)s application had duplicates at the last check, %(when)s",
            "%(number)s applications had duplicates at the last check, %(when)s",
            number,
        )
    else:
        text = ngettext("%(number)s application has duplicates", "%(number)s applications have duplicates", number)
    known = text % {"number": number_text(number), "when": _when(found)}
    if not found.waiting:
        return known
    aside = ngettext(
        "%(number)s of them on hold, refused or too large",
        "%(number)s of them on hold, refused or too large",
        found.waiting,
    )
    return f"{known} ({aside % {'number': number_text(found.waiting)}})"


def _running(run: Run, silence: timedelta | None) -> str:
    cleanup = run.kind == Run.Kind.CLEANUP
    if run.kind == Run.Kind.REPAIR:
        state = _("A repair is running") if run.status == Run.Status.RUNNING else _("A repair is not finished")
    elif run.status == Run.Status.PENDING:
        state = _("A cleanup is about to start") if cleanup else _("An undo is about to start")
    elif run.status == Run.Status.PAUSING:
        state = _("A cleanup is about to pause") if cleanup else _("An undo is about to pause")
    else:
        state = _("A cleanup is running") if cleanup else _("An undo is running")
    return f"{state}: {_done(run, silence)}"


def _done(run: Run, silence: timedelta | None = None) -> str:
    numbers = {"done": number_text(run.done_applications), "total": number_text(run.total_applications)}
    if silence:
        return _joined(_("%(done)s of %(total)s done.") % numbers, no_progress(silence))
    left = duration(run.seconds_left) if run.status == Run.Status.RUNNING and run.seconds_left else ""
    if left:
        return _("%(done)s of %(total)s done, about %(left)s left.") % {**numbers, "left": left}
    return _("%(done)s of %(total)s done.") % numbers


def no_progress(silence: timedelta) -> str:
    """Warn that a run which ought to be working shows no sign of life."""
    seconds = silence.total_seconds()
    return _("No progress for %s. The background service may be down.") % duration(seconds)


def _paused(run: Run) -> str:
    kinds: dict[str, str] = {Run.Kind.CLEANUP: _("A cleanup is paused"), Run.Kind.REPAIR: _("A repair is paused")}
    state = kinds.get(run.kind, _("An undo is paused"))
    return _joined(f"{state}: {_done(run)}", _("It stays paused until someone resumes it."))


def _unsure(found: Standing) -> str:
    """Return what is not known, or was known some time ago."""
    if found.duplicates is None:
        if found.checking:
            return _("Nothing is known yet: the first check is running.")
        return _asked_to_check(found) or _("No check has been recorded yet.")
    if found.outdated:
        if found.checking:
            return _("Folders have changed since the last check, and are being checked again.")
        return _asked_to_check(found) or _("Folders have changed since the last check.")
    if found.old and not found.duplicates:
        return _none_at_last_check(found)
    return ""


def _asked_to_check(found: Standing) -> str:
    """Return what is not known, with the button to press; empty if that is not there now."""
    if found.frozen or not found.cluster_alive:
        return ""
    if found.duplicates is None:
        return _("No check has been recorded yet. Press “Check now” to see how things are.")
    return _("Folders have changed since the last check. Press “Check now” to see how things are.")


def _none_at_last_check(found: Standing) -> str:
    return _("No duplicates at the last check, %s.") % _when(found)


def _well_but_for(found: Standing, number: int) -> str:
    text = ngettext(
        "All is well but for %(number)s application with duplicates, which is on hold. Checked %(ago)s.",
        "All is well but for %(number)s applications with duplicates, which are on hold. Checked %(ago)s.",
        number,
    )
    return text % {"number": number_text(number), "ago": _ago(found)}


def _all_on_hold_at_last_check(found: Standing) -> str:
    return _("At the last check, %s, only applications on hold had duplicates.") % _when(found)


def _unattended(found: Standing) -> str:
    """Return why nothing is checked automatically."""
    if not found.cluster_alive:
        return _("Nothing is checking automatically: the background service is not running.")
    if not found.schedules_on:
        return _("Nothing is checking automatically: the schedules are off.")
    if not found.checks_on:
        return _("Nothing is checking automatically: the check for duplicates is switched off.")
    return ""


def _when(found: Standing) -> str:
    if found.checked_at is None:
        return _("some time ago")
    return _("%(day)s (%(ago)s)") % {"day": day(found.checked_at, now=found.now), "ago": _ago(found)}


def _ago(found: Standing) -> str:
    if found.checked_at is None:
        return _("some time ago")
    return ago((found.now - found.checked_at).total_seconds())


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))
