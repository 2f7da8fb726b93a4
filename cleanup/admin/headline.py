"""The first sentence of the overview: what runs, what is wrong, and how far that can be trusted.

Pure, as ``wording``. It is never good when the check is old, folders have changed since, or nothing will check again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from cleanup.admin.wording import counted, day, duration, listed, schedule_name
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
    """The latest cleanup stopped before it finished."""
    verification_passed: bool | None = None
    alerts: int = 0
    overdue: Iterable[str] = ()


def copied_health() -> Health:
    """Warn that this database is a copy."""
    return Health("attention", "This database is a copy of another one. Nothing happens here by itself.")


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
        return Health("attention", _joined(f"No duplicates at the last check, {_when(found)}.", unattended))
    return Health("good", f"All is well: no application has duplicates. Checked {_ago(found)}.")


def _troubles(found: Standing) -> list[str]:
    """Return what is known to be wrong; nothing about duplicates that a run may have merged in the meantime."""
    troubles = []
    if found.frozen:
        troubles.append("everything is stopped")
    if found.stopped:
        troubles.append("the last cleanup stopped before it finished")
    at_work = found.run is not None and found.run.is_in_progress
    if found.duplicates and not found.outdated and not at_work:
        one = found.duplicates == 1
        text = counted(found.duplicates, "application")
        if found.old:
            troubles.append(f"{text} had duplicates at the last check, {_when(found)}")
        else:
            troubles.append(f"{text} {'has' if one else 'have'} duplicates")
    if found.verification_passed is False:
        troubles.append("the last verification found errors")
    if found.alerts:
        troubles.append(f"{counted(found.alerts, 'alert')} {'is' if found.alerts == 1 else 'are'} open")
    late = list(found.overdue)
    if late:
        troubles.append(f"{listed(map(schedule_name, late))} {'is' if len(late) == 1 else 'are'} overdue")
    return troubles


def _running(run: Run, silence: timedelta | None) -> str:
    what = "A cleanup" if run.kind == Run.Kind.CLEANUP else "An undo"
    state = {Run.Status.PENDING: "is about to start", Run.Status.PAUSING: "is about to pause"}.get(
        Run.Status(run.status), "is running"
    )
    return f"{what} {state}: {_done(run, silence)}"


def _done(run: Run, silence: timedelta | None = None) -> str:
    text = f"{run.done_applications:,} of {run.total_applications:,} done"
    if silence:
        return f"{text}. {no_progress(silence)}"
    left = duration(run.seconds_left) if run.status == Run.Status.RUNNING and run.seconds_left else ""
    return f"{text}, about {left} left." if left else f"{text}."


def no_progress(silence: timedelta) -> str:
    """Warn that a run which ought to be working shows no sign of life."""
    return f"No progress for {duration(silence.total_seconds())}. The background service may be down."


def _paused(run: Run) -> str:
    what = "A cleanup" if run.kind == Run.Kind.CLEANUP else "An undo"
    return f"{what} is paused: {_done(run)} It stays paused until someone resumes it."


def _unsure(found: Standing) -> str:
    """Return what is not known, or was known some time ago."""
    if found.duplicates is None:
        if found.checking:
            return "Nothing is known yet: the first check is running."
        return "Nothing has been checked yet. Press “Check now” to see how things are."
    if found.outdated:
        if found.checking:
            return "Folders have changed since the last check, and are being checked again."
        return "Folders have changed since the last check. Press “Check now” to see how things are."
    if found.old and not found.duplicates:
        return f"No duplicates at the last check, {_when(found)}."
    return ""


def _unattended(found: Standing) -> str:
    """Return why nothing is checked automatically."""
    if not found.cluster_alive:
        return "Nothing is checking automatically: the background service is not running."
    if not found.schedules_on:
        return "Nothing is checking automatically: the schedules are off."
    return "" if found.checks_on else "Nothing is checking automatically: the check for duplicates is switched off."


def _when(found: Standing) -> str:
    return f"{day(found.checked_at, now=found.now)} ({_ago(found)})" if found.checked_at else "some time ago"


def _ago(found: Standing) -> str:
    if found.checked_at is None:
        return "some time ago"
    seconds = (found.now - found.checked_at).total_seconds()
    return "just now" if seconds < 60 else f"{duration(seconds)} ago"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))
