"""What people call the things that a page or an entry of the admin's history is about."""

from functools import singledispatch

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cleanup import stored_texts
from cleanup.admin import wording
from cleanup.models import (
    Alert,
    ConsistencyCheck,
    Finding,
    FreezeSwitch,
    Hold,
    Result,
    RollbackPoint,
    Run,
    Schedule,
    Verification,
)
from cleanup.text_safety import safe


@singledispatch
def name_of(thing: models.Model, *, label: str = "") -> str:  # noqa: ARG001  # of those that are about an application
    """Return the name; ``label`` is that of the application, if it is known."""
    return wording.capitalized(str(thing._meta.verbose_name))


@name_of.register
def _run(run: Run, *, label: str = "") -> str:
    moment = wording.short_moment(run.started_at or run.created_at)
    if label:  # of its only application
        return _work(label, run, moment)
    kinds: dict[str, str] = {Run.Kind.CLEANUP: _("Cleanup of %s"), Run.Kind.REPAIR: _("Repair of %s")}
    return kinds.get(run.kind, _("Undo of %s")) % moment


@name_of.register
def _result(result: Result, *, label: str = "") -> str:
    day = wording.day(result.run.started_at or result.run.created_at)
    return _work(label or result.application_key, result.run, day)


@name_of.register
def _point(point: RollbackPoint, *, label: str = "") -> str:
    return _work(label or point.application_key, point.run, wording.day(point.created_at))


def _work(name: str, run: Run | None, when: str) -> str:
    """Name what was done to one application."""
    if run and run.kind == Run.Kind.REPAIR:
        what = _("%(name)s: repair of %(day)s")
    elif run and run.kind == Run.Kind.ROLLBACK:
        what = _("%(name)s: undo of %(day)s")
    else:
        what = _("%(name)s: cleanup of %(day)s")
    return what % {"name": safe(name), "day": when}


@name_of.register
def _hold(hold: Hold, *, label: str = "") -> str:
    return safe(label or hold.application_key)


@name_of.register
def _check(check: ConsistencyCheck, **_rest: str) -> str:
    return _("Check of %s") % wording.short_moment(check.started_at)


@name_of.register
def _verification(verification: Verification, **_rest: str) -> str:
    return _("Verification of %s") % wording.short_moment(verification.started_at)


@name_of.register
def _schedule(schedule: Schedule, **_rest: str) -> str:
    return wording.capitalized(wording.schedule_name(schedule.name))


@name_of.register
def _alert(alert: Alert, **_rest: str) -> str:
    return alert_text(alert)


def alert_text(alert: Alert) -> str:
    """Return an alert's message without the run's id, to which its page links, and without what only IT can read."""
    text = stored_texts.without_messages(alert.message)
    text = text.replace(f" {alert.run_id}", "") if alert.run_id else text
    waiting = alert.detail.get("waiting_for_decision") if alert.code == "duplicates" else None
    return f"{text} {_do_not_count(waiting)}" if waiting else text


def _do_not_count(waiting: int) -> str:
    """Say why fewer applications are meant here than have duplicates."""
    words = ngettext(
        "%(number)s more is on hold, refused or too large, and does not count.",
        "%(number)s more are on hold, refused or too large, and do not count.",
        waiting,
    )
    return words % {"number": wording.number_text(waiting)}


@name_of.register
def _finding(finding: Finding, **_rest: str) -> str:
    return wording.finding(finding.code)


@name_of.register
def _everything(_switch: FreezeSwitch, **_rest: str) -> str:
    return _("Folder cleanup")
