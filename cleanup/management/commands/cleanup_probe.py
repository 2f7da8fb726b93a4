"""The liveness probe: exit status 0 while a cluster does its work, 1 when it does not."""

import json
import platform

from django.core.management.base import CommandParser

from cleanup.management.base import DONE, FOUND, ShellCommand
from cleanup.management.terminal import say
from cleanup.services.monitoring import liveness


class Command(ShellCommand):
    """Check whether a cluster is alive, by the last task that it did."""

    help = "Exit with 0 if a cluster is working and with 1 if none is; for systemd, containers and Kubernetes."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        super().add_arguments(parser)
        parser.add_argument("--here", action="store_true", help="look for a cluster on this machine only")
        parser.add_argument("--max-age", type=float, metavar="SECONDS", help="oldest heartbeat that counts as alive")
        parser.add_argument("--fail-on-overdue", action="store_true", help="exit with 1 if a schedule is overdue, too")
        parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")

    def perform(self) -> int:
        """Look, report, and return the verdict."""
        self.connect()
        found = liveness.probe(
            using=self.options["database"],
            host=platform.node() if self.options["here"] else "",
            max_age=self.options["max_age"],
        )
        if self.options["json"]:
            self.stdout.write(json.dumps(found.as_json(), indent=2))
        else:
            say(self.out, found.message)
        well = found.alive and not (self.options["fail_on_overdue"] and found.overdue)
        return DONE if well else FOUND
