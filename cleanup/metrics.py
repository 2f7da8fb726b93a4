"""Prometheus metrics, read from the database at each scrape: correct from any process, and after any restart.

All are gauges: they are read from rows, and purging old rows lowers sums, which a counter must not do. No label
contains the name of a folder, a file or a person, nor an application's id.
"""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cleanup.backends.finding_kinds import CODES
from cleanup.backends.pinning import pinning
from cleanup.models import Alert, ConsistencyCheck, Run, Verification
from cleanup.services.monitoring.status import status as status_of
from cleanup.services.results import ActiveRun, Statistics, StatusReport


def registry(*, using: str) -> CollectorRegistry:
    """Return a registry of these metrics alone."""
    made = CollectorRegistry(auto_describe=False)
    made.register(DatabaseCollector(using=using))
    return made


class DatabaseCollector(Collector):
    """Reads the metrics of one database; register it in your own registry to serve them with yours."""

    def __init__(self, *, using: str = "default") -> None:
        self.using = using

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering does not query the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        with pinning(using=self.using):
            metrics = list(self._collected())
        yield from metrics

    def _collected(self) -> Iterator[Metric]:
        found = status_of(using=self.using)
        yield from self._statistics(found.statistics)
        yield from self._service(found)
        yield from self._active_run(found.active_run)
        yield from self._runs()
        yield from self._checks()
        yield self._alerts()

    def _statistics(self, statistics: Statistics) -> Iterator[Metric]:
        runs = max(1, statistics.total_runs)
        for name, about in (
            ("applications_cleaned", "Applications from which a cleanup removed folders."),
            ("folders_removed", "Folders removed by cleanups."),
            ("files_moved", "Files moved by cleanups."),
        ):
            yield _gauge(name, about, getattr(statistics, name))
        yield _gauge("success_ratio", "Successful cleanup runs, of all.", statistics.successful_runs / runs)

    def _service(self, status: StatusReport) -> Iterator[Metric]:
        yield _gauge("running", "1 while schedules are on and a cluster shows signs of life.", status.running)
        yield _gauge("frozen", "1 while all cleaning is frozen.", status.frozen)
        yield _gauge("heartbeat_timestamp_seconds", "A cluster's last sign of life.", _seconds(status.heartbeat_at))
        overdue = _family("schedule_overdue", "1 for a schedule that should have been done a while ago.", "schedule")
        last = _family("schedule_last_run_timestamp_seconds", "When a schedule was last done.", "schedule")
        for name, schedule in status.schedules.items():
            overdue.add_metric([name], float(schedule.overdue))
            last.add_metric([name], _seconds(schedule.last_run))
        yield overdue
        yield last

    def _active_run(self, run: ActiveRun | None) -> Iterator[Metric]:
        yield _gauge("run_active", "1 while a cleanup run is active.", run is not None)
        progress = _family("run_progress_applications", "Applications of the active run, by what became of them.", "of")
        for name in ("total", "done", "successful", "failed", "held", "skipped"):
            progress.add_metric([name], float(getattr(run, f"{name}_applications", 0)))
        yield progress
        waiting = Run.objects.using(self.using).active().exclude(waiting_for="")
        yield _gauge("run_waiting", "Active runs that wait for the database to be less busy.", waiting.count())

    def _runs(self) -> Iterator[Metric]:
        runs = _family("runs", "Runs by kind and status.", "kind", "status")
        counts = Run.objects.using(self.using).order_by().values_list("kind", "status").annotate(Count("pk"))
        found = {(kind, status): number for kind, status, number in counts}
        for kind in Run.Kind.values:
            for status in Run.Status.values:
                runs.add_metric([kind, status], float(found.get((kind, status), 0)))
        yield runs

    def _checks(self) -> Iterator[Metric]:
        checks = ConsistencyCheck.objects.using(self.using).exclude(duplicate_applications=None)
        check = checks.defer("summary").order_by("-id").first()
        if check is not None:
            yield _gauge(
                "duplicate_applications",
                "Applications with duplicates, of the last check.",
                check.duplicate_applications,
            )
            yield _gauge(
                "waiting_applications", "Of these, those that wait for a decision.", check.waiting_applications or 0
            )
            yield _gauge("check_timestamp_seconds", "When the last check ended.", _seconds(check.ended_at))
        verifications = Verification.objects.using(self.using).exclude(passed=None)
        verification = verifications.defer("summary").order_by("-id").first()
        if verification is not None:
            findings = _family("findings", "Findings of the last verification.", "code")
            for code in CODES:
                findings.add_metric([code], float(verification.counts.get(code, 0)))
            yield findings
            yield _gauge("verification_passed", "1 if the last verification found no error.", bool(verification.passed))
            ended = _seconds(verification.ended_at)
            yield _gauge("verification_timestamp_seconds", "When the last verification ended.", ended)

    def _alerts(self) -> Metric:
        alerts = _family("alerts_open", "Alerts that are not resolved.", "severity", "state")
        rows = Alert.objects.using(self.using).filter(state__in=Alert.UNRESOLVED).order_by()
        counts = rows.values_list("severity", "state").annotate(Count("pk"))
        found = {(severity, state): number for severity, state, number in counts}
        for severity in Alert.Severity.values:
            for state in Alert.UNRESOLVED:
                alerts.add_metric([severity, state.value], float(found.get((severity, state.value), 0)))
        return alerts


def _family(name: str, about: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"cleanup_{name}", about, labels=labels)


def _gauge(name: str, about: str, value: float | None) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"cleanup_{name}", about, value=float(value or 0))


def _seconds(moment: datetime | None) -> float:
    """Return seconds since 1970; 0: never."""
    return 0.0 if moment is None else moment.timestamp()
