"""``manage.py cleanup_metrics``: the Prometheus metrics, for a textfile collector or a look."""

from django.core.management.base import CommandParser
from prometheus_client import generate_latest, write_to_textfile

from cleanup.management.shell import DONE, ShellCommand
from cleanup.metrics import registry


class Command(ShellCommand):
    """Write the metrics."""

    help = "Writes the Prometheus metrics to standard output, or to a file that a textfile collector reads."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare where to."""
        super().add_arguments(parser)
        parser.add_argument("--output", metavar="FILE", help="written anew as a whole; its name must end in .prom")

    def perform(self) -> int:
        """Read the database and write."""
        self.connect()
        metrics = registry(using=self.service.using)
        if self.options["output"]:
            write_to_textfile(self.options["output"], metrics)
        else:
            self.stdout.write(generate_latest(metrics).decode(), ending="")
        return DONE
