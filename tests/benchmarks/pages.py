"""Measure the admin's pages on much history: ``python -m tests.benchmarks.pages``.

Processor time of a page for someone who is signed in, of Python and of the database's session: the median of five after
one to warm up; what other programs do meanwhile counts little. Beside it the time that passed, and the queries. By
default 100,000 applications, 10,000 runs, 500,000 results, 500,000 undo records and a million rows in them.

Filling takes most of the time: ``--keep`` leaves the server running until Ctrl-C and prints how to measure again.
"""

import argparse
import itertools
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests import ROOT
from tests.benchmarks.server import PRISTINE, Stage

#: What a page may take, and ask of the database.
MOST_MS, MOST_QUERIES = 300, 15

_HISTORY = (
    """
    INSERT INTO cleanup_snapshotschema (digest, format_version, document) VALUES ('bench', 2, '{}')
    """,
    """
    INSERT INTO cleanup_run (id, kind, status, status_reason, exclusive, correlation_id, started_by, started_how,
        reason, options, settings, code_version, database_identity, total_applications, done_applications,
        failed_applications, held_applications, skipped_applications,
        folders_removed, files_moved, done_when_resumed, waiting_for, seconds_worked, probes,
        created_at, started_at, paused_by_error)
    SELECT gen_random_uuid(), 'cleanup', 'completed', '', true, n::text, 'ann', 'schedule', '', '{}', '{}', '0', 'x',
        %(per_run)s, %(per_run)s, 0, 0, 0, 100, 400, 0, '', 1, '{}', now() - n * interval '1 hour', now(), false
      FROM generate_series(1, %(runs)s) AS n
    """,
    """
    CREATE TEMPORARY TABLE bench_run AS
    SELECT id, row_number() OVER (ORDER BY created_at) - 1 AS n FROM cleanup_run
    """,
    """
    INSERT INTO cleanup_rollbackpoint (uuid, application_key, kind, status, run_id, schema_id, created_at, created_by,
        reason, expires_at, ended_by, ended_reason, outcome)
    SELECT gen_random_uuid(), md5((p.n %% %(applications)s)::text)::uuid::text, 'cleanup',
        CASE WHEN p.n %% 1000 = 0 THEN 'rolled_back' ELSE 'live' END, r.id, 'bench', now(), '', '',
        now() + interval '90 days', '', '', '{}'
      FROM generate_series(1, %(points)s) AS p(n) JOIN bench_run AS r ON r.n = p.n %% %(runs)s
    """,
    """
    INSERT INTO cleanup_result (run_id, application_key, status, folders, folders_removed, files_moved,
        child_folders_merged, references_moved, details, attempts, isolated, error_code, error_class, error_message,
        point_id, worker, ended_at)
    SELECT run_id, application_key, CASE WHEN id %% 1000 = 1 THEN 'failed' ELSE 'completed' END, 10, 10, 40, 9,
        49, '{}', 1, false, CASE WHEN id %% 1000 = 1 THEN 'collision' ELSE '' END, '', '', id, '', now()
      FROM cleanup_rollbackpoint ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, changes)
    SELECT 1 + n %% %(points)s, 'moved', 1, 'public.files', 40, '[]' FROM generate_series(1, %(rows)s) AS n
    """,
    """
    INSERT INTO cleanup_removedfolder (folder_key, survivor_key, name, point_id)
    SELECT gen_random_uuid()::text, gen_random_uuid()::text, 'Documents', 1 + n %% %(points)s
      FROM generate_series(1, %(rows)s) AS n
    """,
    """
    INSERT INTO cleanup_consistencycheck (started_at, ended_at, started_by, started_how, duplicate_applications,
        waiting_applications, late_arrivals, summary, error)
    SELECT now() - n * interval '1 hour', now() - n * interval '1 hour', '', 'schedule', n %% 100, 0, 0, '{}', ''
      FROM generate_series(1, 10000) AS n
    """,
)

PAGES = (
    "overview",
    "overview?days=365",
    "applications",
    "applications?order=most",
    "applications?q=Documents",
    "clean_up?first=10",
    "clean_up_everything",
    "dry_run",
    "decisions",
    "folder?q=Documents",
    "run_changelist",
    "run_changelist?status__exact=stopped",
    "result_changelist",
    "result_changelist?status=failed",
    "rollbackpoint_changelist",
    "rollbackpoint_changelist?status__exact=rolled_back",
    "snapshotrow_changelist",
    "snapshotrow_changelist?point__id__exact=5",
    "finding_changelist",
    "consistencycheck_changelist",
    "alert_changelist",
    "hold_changelist",
    "schedule_changelist",
    "preview",
    "run_change",
    "result_change",
    "rollbackpoint_change",
)


def _address(name: str, arguments: dict[str, object]) -> str:
    from django.urls import reverse

    if name == "overview":
        return reverse("admin:app_list", args=["cleanup"])
    return reverse(f"admin:cleanup_{name}", args=[arguments[name]] if name in arguments else [])


def _arguments() -> dict[str, object]:
    """Return what those pages are about that are about one thing."""
    from cleanup.models import Result, RollbackPoint, Run
    from cleanup.services.folders.applications import affected_page

    return {
        "preview": affected_page(using="default").rows[0].application_id,
        "run_change": Run.objects.order_by("-created_at")[5].pk,
        "result_change": Result.objects.order_by("-id")[5].pk,
        "rollbackpoint_change": RollbackPoint.objects.order_by("-id")[5].pk,
    }


def _processor_ms() -> float:
    """Return the processor time of this process and of its session of the database, as far as the system tells it."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        session = Path(f"/proc/{cursor.fetchone()[0]}/stat")
    ticks = sum(map(int, session.read_text().rpartition(")")[2].split()[11:13])) if session.exists() else 0
    return time.process_time() * 1000 + ticks * 1000 / os.sysconf("SC_CLK_TCK")


def measure() -> list[dict[str, object]]:
    """Measure in this process, on the database of the settings."""
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client

    from cleanup.models import ConsistencyCheck
    from cleanup.services.integrity import outlook
    from cleanup.services.operations import stored_checks

    settings.ALLOWED_HOSTS = ["*"]
    with connection.cursor() as cursor:  # the processor time of its helpers is not known
        cursor.execute("SET max_parallel_workers_per_gather = 0")
    if not ConsistencyCheck.objects.filter(summary__has_key=outlook.NOTED).exists():
        stored_checks.check_and_store(using="default")
    client = Client()
    client.force_login(User.objects.filter(username="bench").first() or User.objects.create_superuser("bench"))
    arguments = _arguments()
    found = []
    for page in PAGES:
        name, _, query = page.partition("?")
        address = f"{_address(name, arguments)}?{query}"
        count = itertools.count()

        def counted(execute, *arguments, count=count):
            next(count)
            return execute(*arguments)

        client.get(address)  # the first page of a process reads the catalogue
        with connection.execute_wrapper(counted):
            status = client.get(address).status_code
        worked, passed = [], []
        for _ in range(5):
            started, before = time.perf_counter(), _processor_ms()
            client.get(address)
            worked.append(_processor_ms() - before)
            passed.append((time.perf_counter() - started) * 1000)
        found.append(
            {
                "page": page,
                "status": status,
                "ms": statistics.median(worked),
                "passed": statistics.median(passed),
                "queries": next(count),
            }
        )
    return found


def main() -> None:
    """Fill a database, measure, and print a table; status 1 if a page is too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("applications", 100_000), ("runs", 10_000), ("points", 500_000), ("rows", 1_000_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help="leave the server running until Ctrl-C")
    options = parser.parse_args()
    if options.child:
        found = measure()
        print(table(found))
        sys.exit(any(too_slow(page) for page in found))
    parameters = {**vars(options), "per_run": max(1, options.points // options.runs)}
    with Stage(applications=options.applications, durable=False) as stage:
        with stage.connect(PRISTINE) as connection:
            connection.execute("SET session_replication_role = replica")  # rows of ours, which need no checks
            for statement in _HISTORY:
                connection.execute(statement, parameters if "%" in statement else None)
            connection.execute("VACUUM ANALYZE")
        command = [sys.executable, "-m", "tests.benchmarks.pages", "--child"]
        environment = stage.environment(PRISTINE)
        measured = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        if options.keep:
            names = ("DATABASE_URL", "DJANGO_SETTINGS_MODULE", "DJANGO_DATA_DIR")
            print("Again:", *(f"{name}='{environment[name]}'" for name in names), " ".join(command), flush=True)
            signal.sigwait({signal.SIGINT, signal.SIGTERM})
    sys.exit(measured.returncode)


def too_slow(page: dict[str, object]) -> bool:
    """Return whether a page takes or asks too much, or is not shown."""
    return page["ms"] > MOST_MS or page["queries"] >= MOST_QUERIES or page["status"] != 200


def table(pages: list[dict[str, object]]) -> str:
    """Return the pages as a table in Markdown."""
    lines = ["| page | processor ms | ms | queries |", "| --- | ---: | ---: | ---: |"]
    lines += [f"| {page['page']} | {page['ms']:.0f} | {page['passed']:.0f} | {page['queries']} |" for page in pages]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
