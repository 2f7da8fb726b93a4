"""``manage.py cleanup_alerts``: list the alerts, acknowledge them, test the channels."""

import json
from typing import Any

from django.core.management.base import CommandParser

from cleanup.management.base import DONE, FOUND, ShellCommand, operator
from cleanup.management.terminal import say
from cleanup.models import Alert
from cleanup.phrases import as_time
from cleanup.services.alerting import alerts


class Command(ShellCommand):
    """Check for problems, send the notifications that are due, and list the alerts."""

    help = "Check for problems, send what notifications are due, and list the alerts. Exits with 1 if there are any."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the verbs."""
        super().add_arguments(parser)
        verb = parser.add_mutually_exclusive_group()
        verb.add_argument("--acknowledge", type=int, metavar="ID", help="acknowledge this alert")
        verb.add_argument("--test", action="store_true", help="send a test by every channel; exits with 1 if one fails")
        parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")

    def perform(self) -> int:
        """Carry out the verb."""
        self.connect()
        if self.options["test"]:
            return self._test()
        if self.options["acknowledge"] is not None:
            alert = alerts.acknowledge(using=self.service.using, alert_id=self.options["acknowledge"], by=operator())
            return self._tell([alert], DONE)
        found = alerts.evaluate(using=self.service.using)
        return self._tell(found, FOUND if found else DONE)

    def _test(self) -> int:
        outcome = alerts.try_channels(using=self.service.using)
        if self.options["json"]:
            self.stdout.write(json.dumps({"channels": outcome}))
        elif not outcome:
            say(self.out, "No channel is set up. Set CLEANUP_ALERT_EMAILS, or CLEANUP_ALERT_URLS in the environment.")
        for label, problem in outcome.items():
            if not self.options["json"]:
                say(self.out, f"{label}: {problem or 'works'}")
        return FOUND if any(outcome.values()) or not outcome else DONE

    def _tell(self, found: Any, status: int) -> int:
        if self.options["json"]:
            self.stdout.write(json.dumps({"alerts": [_as_json(alert) for alert in found]}))
            return status
        for alert in found:
            say(self.out, f"{alert.pk}: {alert.severity}, {alert.state}, since {as_time(alert.first_seen)}")
            say(self.out, f"  {alert.message}")
            if alert.hint:
                say(self.out, f"  {alert.hint}")
        if not found:
            say(self.out, "There are no alerts.")
        return status


def _as_json(alert: Alert) -> dict[str, object]:
    return {
        "id": alert.pk,
        "code": alert.code,
        "severity": alert.severity,
        "state": alert.state,
        "message": alert.message,
        "hint": alert.hint,
        "detail": alert.detail,
        "run_id": None if alert.run_id is None else str(alert.run_id),
        "correlation_id": alert.correlation_id,
        "first_seen": alert.first_seen.isoformat(),
        "last_seen": alert.last_seen.isoformat(),
        "notified_at": alert.notified_at.isoformat() if alert.notified_at else None,
        "acknowledged_at": alert.acknowledged_at.isoformat() if alert.acknowledged_at else None,
        "acknowledged_by": alert.acknowledged_by,
    }
