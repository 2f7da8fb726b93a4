"""Clusters at work on one of the stage's databases: how long a cleanup takes one of them, and several."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.benchmarks.server import ROOT, Stage

_MANAGE = [sys.executable, "manage.py"]

#: Longest wait for anything, in seconds.
PATIENCE = 1800


@contextlib.contextmanager
def clusters(stage: Stage, database: str, *, number: int) -> Iterator[None]:
    """Have so many clusters of one process each, awake."""
    environment = stage.environment(database) | {"DJANGO_Q_WORKERS": "1", "DJANGO_LOG_LEVEL": "CRITICAL"}
    processes = [
        subprocess.Popen(
            [*_MANAGE, "qcluster"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in range(number)
    ]
    try:
        for _ in range(number):
            # Every one of them is to have connected: those that are awake ask the queue once a second.
            stage.child([*_MANAGE, "database_cleanup", "--start", "--json"], database=database)
        _wait(stage, database, "SELECT count(*) > 0 FROM cleanup_heartbeat")
        stage.child([*_MANAGE, "database_cleanup", "--stop", "--json"], database=database)
        yield
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def seconds_in_background(stage: Stage, database: str) -> float:
    """Have everything cleaned up in the background, and return the time from the order to the end of the run."""
    command = [*_MANAGE, "database_cleanup", "--cleanup", "--background", "--no-input", "--json"]
    run = json.loads(stage.child(command, database=database).output)["run_id"]
    _wait(stage, database, "SELECT count(*) > 0 FROM cleanup_run WHERE ended_at IS NOT NULL")
    with stage.connect(database) as connection:
        query = "SELECT status, extract(epoch FROM ended_at - created_at)::float FROM cleanup_run WHERE id = %s"
        ((status, seconds),) = connection.execute(query, [run]).fetchall()
    if status != "completed":
        raise AssertionError(f"the run is {status}")
    return float(seconds)


def _wait(stage: Stage, database: str, query: str) -> None:
    until = time.monotonic() + PATIENCE
    with stage.connect(database) as connection:
        while not connection.execute(query).fetchone()[0]:
            if time.monotonic() > until:
                raise AssertionError(f"not within {PATIENCE} s: {query}")
            time.sleep(0.2)
