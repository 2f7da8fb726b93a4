"""Alerts: opened when a cause is seen, repeated while it lasts, critical when it persists or grows, resolved when gone.

Invariants: a notification says something new, so nothing is sent while nothing changes; concurrent evaluations write
and send nothing twice; a channel that fails affects no other channel, is an alert itself, and is retried. What is still
to be sent is stored in the rows: if a process dies while sending, the next one continues. A channel that is set up
later sends the alerts that are open then.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from datetime import timedelta
from pathlib import PurePath
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import IntegrityError, connections, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import translation
from django.utils.translation import gettext as _

from cleanup import conf, stored_texts
from cleanup.exceptions import ChannelFailed, UnknownObject
from cleanup.models import Alert
from cleanup.services import origin
from cleanup.services.alerting.alert_kinds import RESTORED_COPY, Cause, causes
from cleanup.services.alerting.channels import channels
from cleanup.services.errors import classify, is_anticipated

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from cleanup.services.alerting.channels import Channel

logger = logging.getLogger(__name__)

#: An alert about a channel that failed; opened and resolved by sending, not by examining the database.
CHANNEL_FAILED = "channel_failed"

#: How long a process may take to send one notification before another one tries.
_SENDING = timedelta(minutes=5)

#: An alert has grown when its number is this many times the first one.
_GROWTH = 2


def evaluate(*, using: str) -> Sequence[Alert]:
    """Update the alerts to what is wrong now, send what is due, and return the unresolved ones.

    Sends after the caller's transaction, if there is one. Never raises because of a channel.
    """
    found = {cause.fingerprint: cause for cause in causes(using=using)}
    labels = {way.label for way in channels()}
    own = _own(on_copy=RESTORED_COPY in found)
    with transaction.atomic(using=using):
        for alert in _unresolved(using).filter(own).select_for_update(of=("self",)).order_by("pk"):
            cause = found.pop(alert.fingerprint, None)
            if cause is not None:
                _see_again(alert, cause, using=using)
            elif alert.code != CHANNEL_FAILED or alert.detail.get("channel") not in labels:
                _resolve(alert)
        for cause in found.values():
            _open(cause, using=using)
        _repeat(using, own)
    transaction.on_commit(lambda: _quietly(deliver, using=using), using=using)
    return list(_unresolved(using).filter(own))


def evaluate_quietly(*, using: str) -> None:
    """Evaluate beside other work: failures are logged and do not affect it."""
    _quietly(evaluate, using=using)


def acknowledge(*, using: str, alert_id: int, by: str) -> Alert:
    """Acknowledge an alert: it is not repeated unless it becomes critical. Raises UnknownObject.

    An alert that is already acknowledged or resolved is left as it is.
    """
    alerts = Alert.objects.using(using).filter(pk=alert_id)
    alerts.filter(state=Alert.State.OPEN).update(
        state=Alert.State.ACKNOWLEDGED, acknowledged_at=Now(), acknowledged_by=by[:255]
    )
    alert = alerts.first()
    if alert is None:
        raise UnknownObject(what="alert", key=alert_id)
    return alert


def _quietly(action: Callable[..., object], *, using: str) -> None:
    try:
        with transaction.atomic(using=using) if connections[using].in_atomic_block else nullcontext():
            action(using=using)
    except Exception as error:  # whatever fails here must not fail the work that it is about
        # The traceback of a database error quotes rows.
        logger.warning("alerts: %s", classify(error).message, exc_info=None if is_anticipated(error) else error)


def _log(level: int, event: str, code: str, text: str, **fields: str) -> None:
    logger.log(level, "alert %s: %s", code, text, extra={"event": event, "alert": code, **fields})


def _run_of(cause: Cause) -> dict[str, str]:
    return {"run": str(cause.run.pk), "correlation_id": cause.run.correlation_id} if cause.run else {}


def _unresolved(using: str) -> QuerySet[Alert]:
    return Alert.objects.using(using).filter(state__in=Alert.UNRESOLVED)


# What becomes of an alert.


def _open(cause: Cause, *, using: str) -> None:
    try:
        with transaction.atomic(using=using):
            Alert.objects.using(using).create(
                fingerprint=cause.fingerprint,
                code=cause.code,
                severity=Alert.Severity.CRITICAL if cause.critical else Alert.Severity.WARNING,
                first_size=cause.size,
                run=cause.run,
                correlation_id=cause.run.correlation_id if cause.run else "",
                **_seen(cause),
            )
    except IntegrityError:  # a concurrent evaluation has opened it
        return
    _log(logging.WARNING, "alert_opened", cause.code, cause.message, **_run_of(cause))


def _seen(cause: Cause) -> dict[str, object]:
    return {
        "message": cause.message,
        "hint": cause.hint,
        "detail": dict(cause.detail),
        "size": cause.size,
    }


def _see_again(alert: Alert, cause: Cause, *, using: str) -> None:
    same = Alert.objects.using(using).filter(pk=alert.pk)
    same.update(last_seen=Now(), **_seen(cause))
    grown = cause.size >= _GROWTH * max(1, alert.first_size) and cause.size > alert.first_size
    persists = Q() if grown or cause.critical else Q(first_seen__lte=Now() - conf.alert_escalation())
    escalated = same.filter(persists, severity=Alert.Severity.WARNING).update(
        severity=Alert.Severity.CRITICAL,
        state=Alert.State.OPEN,
        **_owing(Alert.Notice.ESCALATED),
    )
    if escalated:
        _log(logging.ERROR, "alert_escalated", cause.code, f"has become critical: {cause.message}", **_run_of(cause))


def _resolve(alert: Alert) -> None:
    """Resolve an alert; recipients that were notified of it are notified of that, too."""
    alert.state = Alert.State.RESOLVED
    changes = _owing(Alert.Notice.RESOLVED) if alert.notified_at else {"owed": False, "owed_to": []}
    Alert.objects.using(alert._state.db).filter(pk=alert.pk, state__in=Alert.UNRESOLVED).update(
        state=Alert.State.RESOLVED, resolved_at=Now(), **changes
    )
    _log(logging.INFO, "alert_resolved", alert.code, "resolved")


def _own(*, on_copy: bool) -> Q:
    """Return the condition for this database's own alerts: on a copy, the others are left to the original."""
    return Q(code=RESTORED_COPY) if on_copy else Q()


def _repeat(using: str, own: Q) -> None:
    due = Alert.objects.using(using).filter(own, state=Alert.State.OPEN, noticed_at__lte=Now() - conf.alert_repeat())
    due.update(**_owing(Alert.Notice.REPEATED))


def _owing(notice: str) -> dict[str, object]:
    return {
        "notice": notice,
        "notices": F("notices") + 1,
        "noticed_at": Now(),
        "owed": True,
        "owed_to": [],
        "sending_until": None,
    }


# Sending.


def deliver(*, using: str) -> int:
    """Send what is due, and return the number of notifications that some channel accepted."""
    ways = channels()
    own = _own(on_copy=origin.copied(using=using) is not None)
    owed = Alert.objects.using(using).filter(own, owed=True).order_by("pk")
    if not ways:
        owed.update(owed=False, owed_to=[])
        return 0
    _owe_to_new(ways, using=using)
    taken = 0
    tried: set[int] = set()
    down: set[str] = set()
    while batch := list(owed.exclude(pk__in=tried)):  # again: a channel that fails opens an alert
        tried.update(alert.pk for alert in batch)
        taken += sum(_send(alert, ways, down, using=using) for alert in batch)
    return taken


def _owe_to_new(ways: Collection[Channel], *, using: str) -> None:
    """Queue open alerts for the channels that have not sent them: those that were set up since."""
    for alert in Alert.objects.using(using).filter(state=Alert.State.OPEN, owed=False):
        if alert.notified_at is not None and not alert.told_by:
            continue  # sent by a version that did not record which channels accepted it
        new = [way.label for way in ways if way.label not in alert.told_by]
        if new:
            same = Alert.objects.using(using).filter(pk=alert.pk, owed=False, told_by=alert.told_by)
            same.update(owed=True, owed_to=new)


def try_channels(*, using: str) -> Mapping[str, str]:
    """Send a test by every channel, and return what is wrong with each, by its label; empty: it works."""
    outcome: dict[str, str] = {}
    with translation.override(settings.LANGUAGE_CODE):
        subject = "[cleanup] " + _("test")
        body = _("This is a test, of %s. Nothing is wrong.") % _database(using) + "\n"
    for way in channels():
        try:
            way.send(subject=subject, body=body, critical=False)
        except ChannelFailed as error:
            outcome[way.label] = error.problem
        else:
            outcome[way.label] = ""
            _works(way, using=using)
    return outcome


def _send(alert: Alert, ways: Collection[Channel], down: set[str], *, using: str) -> bool:
    row = Alert.objects.using(using).filter(pk=alert.pk, owed=True, notices=alert.notices)
    free = Q(sending_until=None) | Q(sending_until__lte=Now())
    if not row.filter(free).update(sending_until=Now() + _SENDING):
        return False
    wanted = [way for way in ways if not alert.owed_to or way.label in alert.owed_to]
    down.update(way.label for way in wanted if way.label not in down and not _tell(way, alert, using=using))
    failed = [way.label for way in wanted if way.label in down]
    took = [way.label for way in wanted if way.label not in down]
    row.update(
        owed=bool(failed),
        owed_to=failed,
        sending_until=None,
        notified_at=Now() if took else F("notified_at"),
        told_by=sorted({*alert.told_by, *took}),
    )
    return bool(took)


def _tell(way: Channel, alert: Alert, *, using: str) -> bool:
    """Send one alert through one channel; record whether the channel works."""
    with translation.override(settings.LANGUAGE_CODE):
        subject, body = _subject(alert), _body(alert, using=using)
    try:
        way.send(subject=subject, body=body, critical=alert.severity == Alert.Severity.CRITICAL)
    except ChannelFailed as error:
        _log(logging.WARNING, "channel_failed", alert.code, str(error), channel=way.label)
        _channel_failed(way, error, using=using)
        return False
    _works(way, using=using)
    return True


def _works(way: Channel, *, using: str) -> None:
    for failure in _unresolved(using).filter(code=CHANNEL_FAILED, detail__channel=way.label):
        _resolve(failure)


def _channel_failed(way: Channel, error: ChannelFailed, *, using: str) -> None:
    cause = Cause(
        CHANNEL_FAILED,
        str(error),
        "manage.py cleanup_alerts --test",
        subject=way.label,
        detail={"channel": way.label, "problem": error.problem},
    )
    alert = _unresolved(using).filter(fingerprint=cause.fingerprint).first()
    if alert is None:
        _open(cause, using=using)
    else:
        _see_again(alert, cause, using=using)


def _database(using: str) -> str:
    """Return the name of the database, without the path to its file."""
    return PurePath(str(connections[using].settings_dict["NAME"])).name


def _subject(alert: Alert) -> str:
    resolved = alert.notice == Alert.Notice.RESOLVED
    what = alert.get_notice_display() if resolved else alert.get_severity_display()
    return " ".join(f"[cleanup] {what}: {stored_texts.shown(alert.message)}".split())


def _body(alert: Alert, *, using: str) -> str:
    lines = [stored_texts.shown(alert.message), ""]
    if alert.notice == Alert.Notice.RESOLVED:
        lines += [_("This is no longer the case."), ""]
    elif alert.hint:
        lines += [_("What to do:"), f"  {alert.hint}", ""]
    facts = {
        _("Alert"): f"{alert.pk} ({alert.code}, {alert.get_severity_display()}, {alert.get_notice_display()})",
        _("Database"): _database(using),
        _("First seen"): alert.first_seen.isoformat(timespec="seconds"),
        _("Last seen"): alert.last_seen.isoformat(timespec="seconds"),
        _("Run"): str(alert.run_id or ""),
        _("Correlation id"): alert.correlation_id,
    }
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in facts.items() if value), ""])
