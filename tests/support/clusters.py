"""Real clusters, to be killed: each is `manage.py qcluster` in a process group of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from cleanup.models import Heartbeat
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService
from tests import ROOT
from tests.support import databases

#: Short pieces, so that little is lost with one.
SETTINGS = {
    "CLEANUP_TICK_SECONDS": 1,
    "CLEANUP_LEASE_SECONDS": 3,
    "CLEANUP_BATCH_SIZE": 3,
    "CLEANUP_TREE_HOOK": "tests.reliability.hooks.slow",
}


@dataclass(slots=True)
class Cluster:
    """One cluster."""

    process: Any
    log: Path

    def pids(self) -> list[int]:
        """Return its sentinel, and what that guards: workers in the order of their making, monitor, pusher."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child.pid for child in sorted(children, key=lambda child: (child.create_time(), child.pid))]

    def workers(self, number: int) -> list[int]:
        """Return the pids of its workers: after the sentinel come these, then monitor and pusher."""
        return self.pids()[1 : 1 + number]

    def kill(self) -> None:
        """Kill all of it at once, as the machine's end would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=30)

    def stop(self) -> None:
        """End it as a process manager does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=20)
        self.kill()


@dataclass(slots=True)
class Fleet:
    """The clusters of a test, and a shell beside them."""

    using: str
    environment: dict[str, str]
    directory: Path
    clusters: list[Cluster] = field(default_factory=list)

    def start(self, *, workers: int = 1) -> Cluster:
        """Start a cluster."""
        log = self.directory / f"cluster-{len(self.clusters)}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "qcluster"],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**self.environment, "DJANGO_Q_WORKERS": str(workers)},
                start_new_session=True,
            )
        self.clusters.append(Cluster(process, log))
        return self.clusters[-1]

    def run(self, *arguments: object, status: int = 0) -> dict[str, Any]:
        """Have a command done in a process of its own, and return its JSON."""
        command = [sys.executable, "manage.py", *map(str, arguments), "--json"]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=ROOT, env=self.environment, timeout=60
        )
        assert done.returncode == status, f"{done.stdout}{done.stderr}{self.logs()}"
        return json.loads(done.stdout)

    def wake(self) -> None:
        """Start the service, and wait for a sign of life."""
        beats = Heartbeat.objects.using(self.using)
        beats.all().delete()
        AutomatedCleanupService(using=self.using).start_automated_service()
        self.wait_until(beats.exists)

    def cleanup(self) -> Any:
        """Start a cleanup in the background, and return the id of its run."""
        return DatabaseCleanupService(using=self.using).start_cleanup().pk

    def logs(self) -> str:
        """Return what the clusters said."""
        return "\n".join(f"--- {cluster.log.name}\n{cluster.log.read_text()[-6000:]}" for cluster in self.clusters)

    def wait_until(self, happened: Callable[[], Any], *, seconds: float = 60) -> Any:
        """Wait for something to happen, and return it."""
        until = time.monotonic() + seconds
        while not (found := happened()):
            assert time.monotonic() < until, f"it did not happen within {seconds} s\n{self.logs()}"
            time.sleep(0.05)
        return found


@contextlib.contextmanager
def fleet(using: str, **settings: Any) -> Iterator[Fleet]:
    """Have clusters on what stands behind an alias."""
    with tempfile.TemporaryDirectory(prefix="cleanup-fleet-") as directory:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.cluster_settings",
            "DATABASE_URL": databases.url_of(using),
            "CLEANUP_TEST_SETTINGS": json.dumps(SETTINGS | settings),
        }
        made = Fleet(using, environment, Path(directory))
        try:
            yield made
        finally:
            for cluster in made.clusters:
                cluster.kill()
