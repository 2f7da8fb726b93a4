"""What machines are told: metrics that are right from any process, and health that tells strangers nothing."""

import logging.config
import sys
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Permission as PermissionRow
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from cleanup.logs import ContextFilter, JsonFormatter
from cleanup.metrics import registry
from cleanup.models import Alert, AutomationState, ConsistencyCheck, Heartbeat, Run, Schedule
from cleanup.services import DatabaseCleanupService
from cleanup.services.automation.service import AutomatedCleanupService
from cleanup.services.monitoring.health import health
from tests.support.manual import blocks, section
from tests.support.trees import tree

TOKEN = "a token of sixteen or more"
NAME = "Ms Example"


def scraped(using: str) -> dict[str, float]:
    out = StringIO()
    call_command("cleanup_metrics", database=using, stdout=out, stderr=StringIO())
    return parsed(out.getvalue())


def parsed(text: str) -> dict[str, float]:
    """Return the metrics by name and label values."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


class TestMetrics:
    def test_of_an_empty_database_are_zero(self, database):
        found = scraped(database)
        assert found["cleanup_applications_cleaned"] == found["cleanup_success_ratio"] == 0
        assert "cleanup_duplicate_applications" not in found

    def test_count_what_cleanups_did(self, database):
        tree(database, f"{NAME}/Docs(2), {NAME}/Docs(1)")
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        found = scraped(database)
        assert found["cleanup_applications_cleaned"] == 1
        assert found["cleanup_folders_removed"] == 2
        assert found["cleanup_files_moved"] == 1
        assert found["cleanup_runs cleanup completed"] == found["cleanup_success_ratio"] == 1

    def test_count_duplicates_of_the_last_check(self, database):
        ConsistencyCheck.objects.using(database).create(
            ended_at=Now(), duplicate_applications=7, waiting_applications=2
        )
        found = scraped(database)
        assert (found["cleanup_duplicate_applications"], found["cleanup_waiting_applications"]) == (7, 2)

    def test_count_findings_by_code_and_open_alerts(self, database):
        tree(database, "Loan, Loan")
        DatabaseCleanupService(using=database).verify_cleanup_integrity()
        found = scraped(database)
        assert found["cleanup_findings several_roots"] == 1
        assert found["cleanup_verification_passed"] == 0
        assert found["cleanup_alerts_open warning open"] == 1

    def test_show_the_progress_of_a_run(self, database):
        Run.objects.using(database).create(
            kind="cleanup",
            status="running",
            total_applications=9,
            done_applications=4,
            failed_applications=1,
            waiting_for="maintenance",
        )
        found = scraped(database)
        assert [found[f"cleanup_run_progress_applications {of}"] for of in ("total", "done", "failed")] == [9, 4, 1]
        assert found["cleanup_run_waiting"] == 1

    def test_show_schedules_that_are_overdue(self, database):
        overdue(database)
        assert scraped(database)["cleanup_schedule_overdue full_cleanup"] == 1

    def test_name_nobody(self, database):
        tree(database, f"{NAME}/{NAME}(2), {NAME}/{NAME}(1)")
        service = DatabaseCleanupService(using=database)
        service.cleanup_all_duplicate_folders(reason=NAME, started_by=NAME)
        service.freeze(reason=NAME, changed_by=NAME)
        out = StringIO()
        call_command("cleanup_metrics", database=database, stdout=out, stderr=StringIO())
        assert NAME not in out.getvalue()

    def test_stand_in_the_manual(self, database):
        AutomationState.objects.using(database).update_or_create(id=1, defaults={"started": True})
        ConsistencyCheck.objects.using(database).create(ended_at=Now(), duplicate_applications=0)
        DatabaseCleanupService(using=database).verify_cleanup_integrity()
        names = {family.name for family in registry(using=database).collect()}
        assert {name for name in names if f"`{name}`" not in section("Monitoring")} == set()

    def test_are_written_to_a_file_for_a_textfile_collector(self, database, tmp_path):
        call_command("cleanup_metrics", database=database, output=str(tmp_path / "cleanup.prom"), stderr=StringIO())
        assert "cleanup_success_ratio" in parsed((tmp_path / "cleanup.prom").read_text(encoding="utf-8"))

    def test_cost_few_statements(self, database):
        with CaptureQueriesContext(connections[database]) as queries:
            list(registry(using=database).collect())
        assert len([query for query in queries if not query["sql"].startswith(("BEGIN", "COMMIT"))]) <= 13


def example(word: str) -> str:
    """Return the one example in Python of the manual's section that holds the word."""
    (found,) = [block for block in blocks("python", section("Monitoring")) if word in block]
    return found


class TestExamples:
    def test_collect_metrics(self, database):
        tree(database, "Loan/Docs(2), Loan/Docs(1)")
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        gauges: dict[str, float] = {}

        class Metrics:
            gauge = staticmethod(gauges.__setitem__)

        space = {"metrics": Metrics}
        exec(example("collect_cleanup_metrics"), space)
        space["automated_cleanup_service"] = AutomatedCleanupService(using=database)
        space["collect_cleanup_metrics"]()
        assert gauges == {
            "cleanup.applications_cleaned": 1,
            "cleanup.folders_removed": 2,
            "cleanup.success_rate": 1.0,
        }

    def test_hold_a_run_back(self):
        space: dict = {}
        exec(example("CLEANUP_THROTTLE"), space)
        assert space["busy"](using="default", run_id="1") in (None, "office hours")

    def test_configure_logs(self):
        space: dict = {}
        exec(example("LOGGING"), space)
        configurator = logging.config.DictConfigurator(space["LOGGING"])
        made = configurator.configure_formatter(space["LOGGING"]["formatters"]["json"])
        assert isinstance(made, JsonFormatter)
        assert isinstance(configurator.configure_filter(space["LOGGING"]["filters"]["context"]), ContextFilter)


@pytest.fixture
def token(monkeypatch) -> str:
    monkeypatch.setenv("CLEANUP_METRICS_TOKEN", TOKEN)
    return TOKEN


@pytest.fixture
def looker() -> User:
    user = User.objects.create_user("ann")
    user.user_permissions.add(PermissionRow.objects.get(codename="view", content_type__app_label="cleanup"))
    return user


@pytest.mark.only("sqlite")
class TestScraping:
    def get(self, **headers: str):
        return Client(headers=headers).get("/api/cleanup/metrics")

    def test_takes_the_token(self, database, token):
        answer = self.get(Authorization=f"Bearer {token}")
        assert answer.status_code == 200
        assert "cleanup_success_ratio" in parsed(answer.content.decode())

    def test_speaks_openmetrics_to_who_prefers_it(self, database, token):
        answer = self.get(Authorization=f"Bearer {token}", Accept="application/openmetrics-text; version=1.0.0")
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        assert answer.content.endswith(b"# EOF\n")

    def test_says_what_to_install(self, database, token, monkeypatch):
        monkeypatch.setitem(sys.modules, "prometheus_client", None)
        answer = self.get(Authorization=f"Bearer {token}")
        assert (answer.status_code, answer.json()["code"]) == (501, "not_installed")
        assert answer.json()["detail"].endswith("Run: pip install 'cleanup[metrics]'")

    @pytest.mark.parametrize("header", ["Bearer wrong", "Bearer ", f"Basic {TOKEN}", TOKEN, ""])
    def test_refuses_anything_else(self, database, token, header):
        assert self.get(Authorization=header).status_code in (401, 403)

    def test_takes_no_empty_token_where_none_is_set(self, database, monkeypatch):
        monkeypatch.delenv("CLEANUP_METRICS_TOKEN", raising=False)
        assert self.get(Authorization="Bearer ").status_code in (401, 403)

    def test_takes_who_may_look(self, database, looker):
        client = Client()
        client.force_login(looker)
        assert client.get("/api/cleanup/metrics/").status_code == 200

    def test_refuses_who_may_not(self, database):
        client = Client()
        client.force_login(User.objects.create_user("bob"))
        assert client.get("/api/cleanup/metrics").status_code == 403


def overdue(using: str) -> None:
    AutomationState.objects.using(using).update_or_create(id=1, defaults={"started": True})
    Heartbeat.objects.using(using).create(cluster="here:1", host="here")
    Schedule.objects.using(using).update_or_create(
        name="full_cleanup", defaults={"schedule_type": "daily", "next_run": Now() - timedelta(hours=1)}
    )


class TestHealth:
    def test_is_good_where_nothing_was_started(self, database):
        assert health(using=database).ok

    def test_is_good_while_a_cluster_beats(self, database):
        AutomationState.objects.using(database).update_or_create(id=1, defaults={"started": True})
        Heartbeat.objects.using(database).create(cluster="here:1", host="here")
        assert health(using=database).ok

    def test_is_bad_when_no_cluster_beats(self, database):
        AutomationState.objects.using(database).update_or_create(id=1, defaults={"started": True})
        Heartbeat.objects.using(database).create(cluster="here:1", host="here", beat_at=Now() - timedelta(hours=1))
        assert not health(using=database).ok

    def test_is_bad_when_a_schedule_is_overdue(self, database):
        overdue(database)
        found = health(using=database)
        assert (found.ok, found.overdue) == (False, ("full_cleanup",))

    def test_is_bad_without_tables(self, blank_database):
        found = health(using=blank_database)
        assert (found.ok, found.database) == (
            False,
            "42P01" if blank_database == "postgresql" else "SQLITE_ERROR",
        )

    def test_minds_no_alert(self, database):
        Alert.objects.using(database).create(fingerprint="x", code="x", severity="critical", message="x")
        found = health(using=database)
        assert (found.ok, found.critical_alerts) == (True, 1)


@pytest.mark.only("sqlite")
class TestHealthEndpoint:
    def test_tells_strangers_one_word(self, database):
        answer = Client().get("/api/cleanup/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    def test_tells_strangers_no_more_when_all_is_not_well(self, database):
        overdue(database)
        answer = Client().get("/api/cleanup/health")
        assert (answer.status_code, answer.json()) == (503, {"status": "not ok"})

    def test_tells_who_may_look_why(self, database, looker):
        overdue(database)
        client = Client()
        client.force_login(looker)
        assert client.get("/api/cleanup/health/").json()["overdue"] == ["full_cleanup"]

    def test_answers_without_tables(self, blank_database):
        answer = Client().get("/api/cleanup/health")
        assert (answer.status_code, answer.json()) == (503, {"status": "not ok"})

    def test_minds_no_credentials_that_it_does_not_know(self, database):
        answer = Client(headers={"Authorization": "Bearer nonsense"}).get("/api/cleanup/health")
        assert answer.status_code == 200
