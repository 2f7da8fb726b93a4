"""Measure the admin's pages on much history: ``python -m tests.benchmarks.pages``.

Processor time of a page for someone who is signed in, of Python and of the database's session: the median of five after
one to warm up; what other programs do meanwhile counts little. Beside it the time that passed, and the queries. By
default 100,000 applications, 10,000 runs with 500,000 results and undo records and a million rows in them, and a
cleanup of all the applications with its undo.

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
        created_at, started_at, paused_by_error, restored)
    SELECT gen_random_uuid(), 'cleanup', 'completed', '', true, n::text, 'ann', 'schedule', '', '{}', '{}', '0', 'x',
        %(per_run)s, %(per_run)s, 0, 0, 0, 100, 400, 0, '', 1, '{}', now() - n * interval '1 hour', now(), false,
        '{}'
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
    # A cleanup of every application and its undo, which a person looks at the next morning.
    """
    INSERT INTO cleanup_run (id, kind, status, status_reason, exclusive, correlation_id, started_by, started_how,
        reason, options, settings, code_version, database_identity, total_applications, done_applications,
        failed_applications, held_applications, skipped_applications,
        folders_removed, files_moved, done_when_resumed, waiting_for, seconds_worked, probes,
        created_at, started_at, ended_at, paused_by_error, restored)
    SELECT md5(kind)::uuid, kind, 'completed', '', true, kind, 'ann', 'admin', 'all at once', '{}', '{}', '0', 'x',
        %(applications)s, %(applications)s, %(applications)s / 100, %(applications)s / 100, %(applications)s / 100,
        1000000, 4000000, 0, '', 1, '{}', now(), now() - interval '3 hours', now(), false, restored::jsonb
      FROM (VALUES ('cleanup', '{}'), ('rollback', '{"folders_restored": 1000000, "files_restored": 4000000,
        "references_restored": 0, "folders_moved_back": 0, "inexact": [], "expired": 0, "expired_applications": []}')
           ) AS runs(kind, restored)
    """,
    """
    INSERT INTO cleanup_rollbackpoint (uuid, application_key, kind, status, run_id, schema_id, created_at, created_by,
        reason, expires_at, ended_by, ended_reason, outcome)
    SELECT gen_random_uuid(), a.id::text, 'cleanup', 'live', md5('cleanup')::uuid, 'bench', now(), '', '',
        now() + interval '90 days', '', '', '{}'
      FROM customer_applications AS a
    """,
    """
    INSERT INTO cleanup_result (run_id, application_key, status, folders, folders_removed, files_moved,
        child_folders_merged, references_moved, details, attempts, isolated, error_code, error_class, error_message,
        point_id, worker, ended_at)
    SELECT r.run_id, p.application_key, s.status, 10, 10, 40, 9, 49, r.details::jsonb, 1, false, s.code, '', '',
        p.id, '', now()
      FROM cleanup_rollbackpoint AS p
     CROSS JOIN (VALUES (md5('cleanup')::uuid, '{"moved": {"public.files": 40}}'),
        (md5('rollback')::uuid, '{"folders_restored": 10, "files_restored": 40, "references_restored": 0}')
                ) AS r(run_id, details)
     CROSS JOIN LATERAL (SELECT CASE p.id %% 100 WHEN 1 THEN 'failed' WHEN 2 THEN 'held' WHEN 3 THEN 'skipped'
            ELSE 'completed' END, CASE p.id %% 100 WHEN 1 THEN 'collision' WHEN 2 THEN 'held' WHEN 3 THEN 'too_large'
            ELSE '' END) AS s(status, code)
     WHERE p.run_id = md5('cleanup')::uuid
    """,
    """
    INSERT INTO cleanup_hold (application_key, reason, created_at, created_by)
    SELECT a.id::text, 'audit until Friday', now(), 'ann' FROM customer_applications AS a LIMIT %(applications)s / 50
    """,
    """
    INSERT INTO cleanup_queuedapplication (application_key, code, message, refused, queued_at)
    SELECT a.id::text, 'collision', '', true, now()
      FROM customer_applications AS a OFFSET %(applications)s / 2 LIMIT %(applications)s / 100
    """,
    """
    INSERT INTO cleanup_alert (fingerprint, code, severity, state, message, hint, detail, size, first_size,
        correlation_id, first_seen, last_seen, acknowledged_by, notice, notices, noticed_at, owed, owed_to, told_by)
    SELECT 'bench ' || n, 'duplicates', 'warning', 'resolved', 'Something happened.', '', '{}', 0, 0,
        '', now() - n * interval '1 hour', now(), '', 'resolved', 1, now(), false, '[]', '[]'
      FROM generate_series(1, 20000) AS n
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
    "now",
    "applications",
    "applications?after={application}",
    "applications?order=most",
    "applications?order=most&page=2",
    "applications?q=Documents",
    "applications?q=Nothing",
    "clean_up?first=10",
    "clean_up_everything",
    "dry_run",
    "decisions",
    "decisions?page=20&held=20",
    "folder?q=Documents",
    "folder?q=Nothing",
    "folder?q=Documents&application=Documents",
    "run_changelist",
    "run_changelist?p=100",
    "run_changelist?q=Documents",
    "run_changelist?q=ann",
    "run_changelist?status__exact=stopped",
    "run_changelist?kind__exact=rollback",
    "result_changelist",
    "result_changelist?p=100",
    "result_changelist?q=Documents",
    "result_changelist?q=Nothing",
    "result_changelist?status=failed",
    "result_changelist?status=done",
    "result_changelist?run__id__exact={cleanup}",
    "result_changelist?run__id__exact={cleanup}&q=Documents",
    "result_changelist?run__id__exact={cleanup}&status=completed",
    "rollbackpoint_changelist",
    "rollbackpoint_changelist?p=100",
    "rollbackpoint_changelist?q=Documents",
    "rollbackpoint_changelist?status__exact=rolled_back",
    "rollbackpoint_changelist?kind__exact=repair",
    "rollbackpoint_changelist?run__id__exact={cleanup}",
    "snapshotrow_changelist",
    "snapshotrow_changelist?point__id__exact=5",
    "finding_changelist",
    "finding_changelist?q=Documents",
    "finding_changelist?code=several_roots",
    "verification_changelist",
    "consistencycheck_changelist",
    "alert_changelist",
    "alert_changelist?p=100",
    "hold_changelist",
    "hold_changelist?q=Documents",
    "hold_changelist?q=audit",
    "schedule_changelist",
    "preview/{application}",
    "run_change/{run}",
    "run_change/{cleanup}",
    "run_change/{undo}",
    "run_progress/{undo}",
    "undo_run/{cleanup}",
    "run_history/{cleanup}",
    "result_change/{result}",
    "rollbackpoint_change/{point}",
    "alert_change/{alert}",
    "hold_change/{hold}",
)


def _address(page: str) -> str:
    """Return the address of a page, as ``name``, ``name/argument`` or either with ``?query``."""
    from django.urls import reverse

    name, _, query = page.partition("?")
    name, _, argument = name.partition("/")
    path = (
        reverse("admin:app_list", args=["cleanup"])
        if name == "overview"
        else reverse(f"admin:cleanup_{name}", args=[argument] if argument else [])
    )
    return f"{path}?{query}"


def _arguments() -> dict[str, object]:
    """Return what those pages are about that are about one thing."""
    from cleanup.models import Alert, Hold, Result, RollbackPoint, Run
    from cleanup.services.folders.applications import affected_page

    return {
        "application": affected_page(using="default").rows[0].application_id,
        "run": Run.objects.filter(started_how="schedule").order_by("-created_at")[5].pk,
        "cleanup": Run.objects.filter(kind="cleanup", reason="all at once").latest("created_at").pk,
        "undo": Run.objects.filter(kind="rollback", reason="all at once").latest("created_at").pk,
        "result": Result.objects.order_by("-id")[5].pk,
        "point": RollbackPoint.objects.filter(status="live").order_by("-id")[5].pk,
        "alert": Alert.objects.order_by("-id")[5].pk,
        "hold": Hold.objects.order_by("-id")[5].pk,
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
        address = _address(page.format(**arguments))
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
    return page["ms"] > MOST_MS or page["queries"] > MOST_QUERIES or page["status"] != 200


def table(pages: list[dict[str, object]]) -> str:
    """Return the pages as a table in Markdown."""
    lines = ["| page | processor ms | ms | queries |", "| --- | ---: | ---: | ---: |"]
    lines += [f"| {page['page']} | {page['ms']:.0f} | {page['passed']:.0f} | {page['queries']} |" for page in pages]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
