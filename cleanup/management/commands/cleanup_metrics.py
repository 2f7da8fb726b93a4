"""``manage.py cleanup_metrics``: the Prometheus metrics, for a textfile collector or a look."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.management.base import CommandParser

from cleanup.exceptions import UsageError
from cleanup.extras import METRICS
from cleanup.management.base import DONE, ShellCommand

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class Command(ShellCommand):
    """Write the metrics."""

    help = "Write the Prometheus metrics to standard output, or to a file for a textfile collector."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the file."""
        super().add_arguments(parser)
        parser.add_argument("--output", metavar="FILE", help="the file to replace; its name must end in .prom")

    def perform(self) -> int:
        """Read the database and write. Raises MissingPackage."""
        METRICS.require("The metrics")
        from prometheus_client import generate_latest  # noqa: PLC0415  # need not be there

        from cleanup.metrics import registry  # noqa: PLC0415  # as above

        self.connect()
        metrics = registry(using=self.service.using)
        if self.options["output"] is None:
            self.stdout.write(generate_latest(metrics).decode(), ending="")
        else:
            _write(Path(self.options["output"]), metrics)
        return DONE


def _write(path: Path, metrics: "CollectorRegistry") -> None:
    """Replace the file as a whole. Raises UsageError."""
    from prometheus_client import write_to_textfile  # noqa: PLC0415  # as above

    if path.suffix != ".prom":
        raise UsageError(f"The name of the file {path} must end in .prom, or no textfile collector reads it.")
    try:
        write_to_textfile(str(path), metrics)
    except OSError as error:
        raise UsageError(f"Cannot write {path}: {os.strerror(error.errno or 0)}.") from error
