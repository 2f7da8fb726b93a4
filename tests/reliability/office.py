"""An office for some weeks: schedules that fire by a clock of its own, clerks at work, and all that may go wrong.

The clock is driven: when it strikes, schedules become due; at the end of a day everything that is stored grows a day
older. Days end when nothing is left to do, and then it is compared what was told, recorded and done.
"""

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from random import Random

import psycopg
from django.apps import apps
from django.db import connections
from django.db.models import DateTimeField, F, QuerySet
from django.db.models.functions import Now

from cleanup.exceptions import Refused
from cleanup.models import Alert, Hold, Run, Schedule, ScheduledRun, Verification
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService, origin
from cleanup.services.alerting import alerts
from cleanup.services.automation.schedules import next_time
from cleanup.services.background import clusters as queue
from tests.reliability.concurrent_users import Clerk
from tests.reliability.ledger import Ledger, unaccounted, unaccounted_of_other_tables, unjournaled
from tests.reliability.staff import DUPLICATES, HARMLESS
from tests.support import databases
from tests.support.clusters import Cluster, Fleet
from tests.support.failover import Failover

#: A Friday, so that a week ends on the third day.
FIRST_DAY = datetime(2027, 1, 1, tzinfo=UTC)

#: When the scheduled cleanup is due.
CLEANUP_HOUR = 2

#: Seconds within which clusters do what they are to do, on a machine that is busy.
PATIENCE_WITH_CLUSTERS = 180

CLERKS = 4
#: Seconds between two things that a clerk does.
PACE = 0.05

#: Seconds that the clusters' settings allow: how late a schedule may be, and how long a run waits for the database.
OVERDUE, PATIENCE = 10, 1
SETTINGS = {
    "CLEANUP_TREE_HOOK": None,
    "CLEANUP_LEASE_SECONDS": 10,
    "CLEANUP_OVERDUE_SECONDS": OVERDUE,
    "CLEANUP_THROTTLE_PATIENCE_SECONDS": PATIENCE,
    "CLEANUP_ROLLBACK_DAYS": 7,
}

#: Seconds until people do what an alert asks for.
UNTIL_PEOPLE_COME = 10

#: Alerts about what is only over when everything has been cleaned up.
LASTING = {"duplicates", "verification_errors"}

#: Times that are of this moment, and not of the history that grows older.
PRESENT = {
    "next_run",
    "lease_expires_at",
    "heartbeat_at",
    "beat_at",
    "first_beat_at",
    "issued_at",
    "taken_at",
    "sending_until",
}


class Office:
    """A database in use, its servers, its clusters, and those who look after them."""

    def __init__(self, database: str, servers: Failover, clusters: Fleet) -> None:
        self.database = database
        self.servers = servers
        self.clusters = clusters
        self.service = DatabaseCleanupService(using=database)
        self.automated = AutomatedCleanupService(using=database)
        self.rng = Random("office")
        self.now = FIRST_DAY
        self.due = {schedule.name: next_time(schedule, after=self.now) for schedule in self._schedules()}
        self.ledger = Ledger()
        self.ledger.take_over(database)
        self.clerks = [Clerk(database, n, self.ledger, pace=PACE, outlives_the_server=True) for n in range(CLERKS)]
        self.events: Counter[str] = Counter()
        self.stopped: set[str] = set()
        """Runs that the database has stopped."""
        self.abandoned: set[str] = set()
        """Runs that were active when all clusters were lost."""
        self.suspects: list[Cluster] = []
        """Clusters that may hang."""
        self.at_work = [clusters.start(), clusters.start()]
        clusters.wait_until(lambda: all("running" in cluster.log.read_text() for cluster in self.at_work))
        clusters.wake()
        self.troubles = cycle(
            [
                self.kill_a_cluster,
                self.fail_over,
                self.crash_the_server,
                self.lock_a_table,
                self.kill_a_worker,
                self.freeze,
                self.restart_a_cluster,
                self.undo_something,
                self.lose_all_clusters,
            ]
        )

    def _schedules(self) -> list[Schedule]:
        return list(Schedule.objects.using(self.database))

    # A day.

    def day(self, *, seconds: float) -> None:
        """Have a day go by in so many seconds: trouble comes when the cleanup has begun, and at another time."""
        other = self.rng.randrange(5, 25)
        with self.clerks_at_work() as stop:
            for hour in range(1, 25):
                before = self.cleanups().first()
                self.strike()
                if hour == CLEANUP_HOUR:
                    self.wait_until(self.cleanups().filter(pk__gt=before.pk if before else 0).exists)
                if hour in (CLEANUP_HOUR, other):
                    self.meet_trouble()
                stop.wait(seconds / 24)
        assert self.ledger.faults == []
        self.settle()
        self.assert_true()
        self.grow_older()

    @contextlib.contextmanager
    def clerks_at_work(self) -> Iterator[threading.Event]:
        """Have clerks write until the block ends."""
        stop = threading.Event()
        threads = [threading.Thread(target=clerk.work, args=[stop]) for clerk in self.clerks]
        for thread in threads:
            thread.start()
        try:
            yield stop
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def strike(self) -> None:
        """Have the clock strike the next hour."""
        self.now += timedelta(hours=1)
        for schedule in self._schedules():
            if self.due[schedule.name] <= self.now:
                self.due[schedule.name] = next_time(schedule, after=self.now)
                Schedule.objects.using(self.database).filter(pk=schedule.pk).update(next_run=Now())
        queue.wake(using=self.database)

    def cleanups(self) -> QuerySet[ScheduledRun]:
        """Return the scheduled cleanups that have begun, or were planned, the newest first."""
        rows = ScheduledRun.objects.using(self.database).filter(schedule=Schedule.Name.FULL_CLEANUP)
        return rows.exclude(status=ScheduledRun.Status.STARTED, run=None)

    def meet_trouble(self) -> None:
        trouble: Callable[[], None] = next(self.troubles)
        trouble()
        self.events[trouble.__name__] += 1

    def settle(self) -> None:
        """Have everything that was begun come to its end; people approve, release, resume, and replace what hangs."""
        while self.suspects:
            cluster = self.suspects.pop()
            cluster.kill()
            self._replace(cluster)
        self.adopt_if_asked()
        Hold.objects.using(self.database).all().delete()
        for row in ScheduledRun.objects.using(self.database).filter(status=ScheduledRun.Status.WAITING):
            self.automated.approve_scheduled_run(row.pk, approved_by="office")
            self.events["approved"] += 1
        self.wait_until(self.is_quiet)

    def is_quiet(self) -> bool:
        """Return whether nothing is to be done any more."""
        for run in Run.objects.using(self.database).filter(status__in=[Run.Status.PAUSED, Run.Status.STOPPED]):
            self.events["resumed"] += 1
            self.service.start_resume(run.pk, retry_failed=True)
        begun = ScheduledRun.objects.using(self.database).filter(status=ScheduledRun.Status.STARTED)
        due = Schedule.objects.using(self.database).filter(next_run__lte=Now())
        return not (Run.objects.using(self.database).active().exists() or begun.exists() or due.exists())

    def wait_until(self, happened: Callable[[], object]) -> None:
        """Wait for something to happen, with a heartbeat a second."""
        woken = 0.0

        def happened_at_last() -> object:
            nonlocal woken
            if time.monotonic() > woken + 1:
                queue.wake(using=self.database)
                woken = time.monotonic()
            return happened()

        self.clusters.wait_until(happened_at_last, seconds=PATIENCE_WITH_CLUSTERS)

    def grow_older(self) -> None:
        """Have everything that is stored be a day older."""
        for model in apps.get_app_config("cleanup").get_models():
            if model._meta.managed:
                times = [field.name for field in model._meta.fields if isinstance(field, DateTimeField)]
                changes = {name: F(name) - timedelta(days=1) for name in times if name not in PRESENT}
                if changes:
                    model.objects.using(self.database).update(**changes)

    # What must be true.

    def assert_true(self) -> None:
        """Compare what people were told with what is there."""
        errors = [
            *unaccounted(self.database, self.ledger),
            *unaccounted_of_other_tables(self.database, self.ledger),
            *unjournaled(self.database),
            *self._torn(),
            *self._untrue_alerts(),
        ]
        assert not errors, "\n".join(errors)

    def _torn(self) -> Iterator[str]:
        for counts in Verification.objects.using(self.database).values_list("counts", flat=True):
            if torn := {
                code: number for code, number in counts.items() if number and code not in DUPLICATES | HARMLESS
            }:
                yield f"a verification found {torn}"

    def _untrue_alerts(self) -> Iterator[str]:
        """Each stop was reported, and is over; nothing was reported without a cause."""
        alerts.evaluate(using=self.database)
        rows = Alert.objects.using(self.database)
        for run in self.stopped - {str(key) for key in rows.filter(code="run_paused").values_list("run", flat=True)}:
            yield f"run {run} was stopped, and no alert said so"
        causes = {
            "duplicates": True,
            "verification_errors": True,
            "approval_needed": self.events["approved"],
            "schedule_overdue": self.events["lose_all_clusters"],
            "restored_copy": self.events["fail_over"],
        }
        for alert in rows:
            about = {"run_paused": self.stopped, "run_stalled": self.abandoned}.get(alert.code, ())
            if not causes.get(alert.code) and str(alert.run_id) not in about:
                yield f"an alert was about nothing: {alert.message} {alert.detail}"
            if alert.state in Alert.UNRESOLVED and alert.code not in LASTING:
                yield f"an alert is not over: {alert.message} {alert.detail}"

    # Troubles.

    def _replace(self, cluster: Cluster) -> None:
        if cluster in self.suspects:
            self.suspects.remove(cluster)
        self.at_work[self.at_work.index(cluster)] = self.clusters.start()

    def kill_a_cluster(self) -> None:
        """As the end of its machine does; the process manager starts another one."""
        cluster = self.rng.choice(self.at_work)
        cluster.kill()
        self._replace(cluster)

    def kill_a_worker(self) -> None:
        """Which may leave a cluster that hangs: at the end of the day it is started again as a whole."""
        cluster = self.rng.choice(self.at_work)
        for pid in cluster.workers(1):
            os.kill(pid, signal.SIGKILL)
        self.suspects.append(cluster)

    def restart_a_cluster(self) -> None:
        """As for a deployment."""
        cluster = self.rng.choice(self.at_work)
        cluster.stop()
        self._replace(cluster)

    def lose_all_clusters(self) -> None:
        """For so long that the schedules are late: an alert says so until there are clusters again."""
        for cluster in self.at_work:
            cluster.kill()
        self.suspects.clear()
        active = Run.objects.using(self.database).active()
        self.abandoned |= {str(key) for key in active.values_list("pk", flat=True)}
        late = Schedule.objects.using(self.database).filter(pk=Schedule.Name.CONSISTENCY_CHECK)
        late.update(next_run=Now() - timedelta(seconds=OVERDUE + 600))
        alerts.evaluate(using=self.database)
        overdue = Alert.objects.using(self.database).filter(code="schedule_overdue", state="open")
        assert overdue.exists()
        self.at_work = [self.clusters.start(), self.clusters.start()]
        self.wait_until(lambda: not overdue.exists())

    def crash_the_server(self) -> None:
        self.servers.crash()
        connections[self.database].close()

    def fail_over(self) -> None:
        """The clusters that were at work follow; if they all have started since, people adopt the promoted server."""
        self.servers.fail_over()
        connections[self.database].close()
        since = time.monotonic()

        def is_followed() -> bool:
            if time.monotonic() - since > UNTIL_PEOPLE_COME:
                self.adopt_if_asked()
            return origin.copied(using=self.database) is None

        self.wait_until(is_followed)

    def adopt_if_asked(self) -> None:
        """Do what the alert asks for when no cluster has known the server before it was promoted."""
        if Alert.objects.using(self.database).filter(code="restored_copy", state="open").exists():
            self.automated.adopt_database(adopted_by="office")
            self.events["adopted"] += 1

    def lock_a_table(self) -> None:
        """A cleanup meets a table that someone rewrites for too long, and is paused until they are done."""
        runs = self._begin_a_cleanup()
        with psycopg.connect(databases.url_of(self.database)) as rewriting:
            rewriting.execute("LOCK TABLE shares IN ACCESS EXCLUSIVE MODE")
            self.wait_until(runs.exclude(status__in=Run.IN_PROGRESS).exists)
        run = runs.get()
        if run.status == Run.Status.PAUSED:
            self.stopped.add(str(run.pk))
            alert = Alert.objects.using(self.database).filter(run=run, code="run_paused")
            self.wait_until(alert.filter(state="open").exists)
            self.service.start_resume(run.pk)
            self.wait_until(lambda: not alert.exclude(state="resolved").exists())

    def freeze(self) -> None:
        """A person stops everything for a moment, of which no alert is needed."""
        runs = self._begin_a_cleanup()
        self.service.freeze(reason="a moment, please", changed_by="office")
        self.wait_until(runs.exclude(status__in=Run.IN_PROGRESS).exists)
        self.service.unfreeze(changed_by="office")
        if runs.get().status == Run.Status.PAUSED:
            self.service.start_resume(runs.get().pk)

    def _begin_a_cleanup(self) -> QuerySet[Run]:
        """Start one as soon as there is none, and return it."""
        self.wait_until(lambda: not Run.objects.using(self.database).exclusive_cleanup().exists())
        run = self.service.start_cleanup(started_by="office")
        return Run.objects.using(self.database).filter(pk=run.pk)

    def undo_something(self) -> None:
        """A person takes back the newest cleanup, except for what people have changed since, or may not at all."""
        runs = Run.objects.using(self.database).filter(kind=Run.Kind.CLEANUP, exclusive=True, points__status="live")
        if (run := runs.first()) is not None:
            try:
                self.service.start_rollback(run.pk, skip_conflicts=True)
            except Refused as error:
                self.events[f"undo refused: {error.code}"] += 1
