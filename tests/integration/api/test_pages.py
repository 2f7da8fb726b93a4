import uuid

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from cleanup.models import Alert, Hold, QueuedApplication, Result, RollbackPoint, Run, SnapshotSchema
from cleanup.permissions import Permission
from cleanup.services import DatabaseCleanupService
from tests.support.trees import tree


@pytest.fixture
def runs(served) -> list[str]:
    """Make runs, some of them at the same moment."""
    made = Run.objects.using(served).bulk_create(
        Run(kind="cleanup", status="completed", correlation_id="c", code_version="1", database_identity="d")
        for _ in range(7)
    )
    Run.objects.using(served).filter(pk__in=[run.pk for run in made[:3]]).update(created_at="2020-01-01T00:00:00Z")
    return [str(run.pk) for run in made]


def walk(caller, path: str) -> list[list[dict]]:
    """Return the rows of each page."""
    pages, url = [], f"/api/cleanup/{path}"
    while url:
        document = caller.get(url.replace("http://testserver", "")).json()
        pages.append(document["results"])
        url = document["next"]
        assert len(pages) < 50
    return pages


class TestPages:
    @pytest.mark.parametrize("ordering", ["-created_at", "created_at"])
    def test_hold_each_row_once(self, caller, runs, ordering):
        pages = walk(caller, f"runs?limit=2&ordering={ordering}")
        found = [row["run_id"] for page in pages for row in page]
        assert [len(page) for page in pages] == [2, 2, 2, 1]
        assert sorted(found) == sorted(runs)

    def test_are_in_the_order_that_was_asked_for(self, caller, runs):
        times = [row["created_at"] for page in walk(caller, "runs?limit=3&ordering=created_at") for row in page]
        assert times == sorted(times)

    def test_keep_the_filter(self, caller, runs, served):
        Run.objects.using(served).filter(pk__in=runs[:5]).update(status="stopped")
        found = [row["run_id"] for page in walk(caller, "runs?limit=2&status=stopped") for row in page]
        assert sorted(found) == sorted(runs[:5])

    def test_of_runs_are_those_of_an_application_since_a_moment(self, caller, served):
        loan = tree(served, "Loan, Loan").application
        result = DatabaseCleanupService(using=served).consolidate_duplicate_folders(loan)
        ((run,),) = walk(caller, f"runs?application_id={loan}&since=2020-01-01T00:00:00Z")
        assert run["undoable_until"] > run["created_at"]
        assert caller.get(f"runs/{run['run_id']}").json()["undoable_until"] == run["undoable_until"]
        DatabaseCleanupService(using=served).rollback_cleanup(result.rollback_id)
        assert caller.get(f"runs/{run['run_id']}").json()["undoable_until"] is None
        assert walk(caller, f"runs?application_id={loan}&since=2999-01-01T00:00:00Z") == [[]]
        assert walk(caller, f"runs?application_id={tree(served, 'Loan').application}") == [[]]

    def test_show_no_row_twice_when_rows_come_in_between(self, caller, runs, served):
        first = caller.get("runs?limit=2").json()
        Run.objects.using(served).create(kind="rollback", correlation_id="c", code_version="1", database_identity="d")
        rest = walk(caller, first["next"].removeprefix("http://testserver/api/cleanup/"))
        found = [row["run_id"] for page in [first["results"], *rest] for row in page]
        assert sorted(found) == sorted(runs)

    def test_of_another_list_are_not_there(self, caller, runs, served):
        Hold.objects.using(served).bulk_create(Hold(application_key=str(number)) for number in range(3))
        cursor = caller.get("holds?limit=1").json()["next"].split("cursor=")[1]
        answer = caller.get(f"runs?cursor={cursor}")
        told = "The cursor does not belong to this list and order."
        assert (answer.status_code, answer.json()["detail"]) == (404, told)

    @pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "ordering=reason", "status=odd", "page=2"])
    def test_are_not_asked_for_in_other_ways(self, caller, served, query):
        assert caller.get(f"runs?{query}").status_code == 422


class TestApplications:
    def test_are_those_with_duplicates_in_the_order_of_their_keys(self, caller, served):
        made = [tree(served, "Loan, Loan").application for _ in range(5)]
        tree(served, "Loan")
        pages = walk(caller, "applications?limit=2")
        assert [row["application_id"] for page in pages for row in page] == sorted(made)

    def test_are_found_however_rare_they_are(self, caller, served, monkeypatch):
        monkeypatch.setattr("cleanup.queries.APPLICATIONS_PER_PAGE", 2)
        for _ in range(5):
            tree(served, "Loan")
        last = tree(served, "Loan, Loan").application
        assert [row["application_id"] for page in walk(caller, "applications?limit=1") for row in page] == [last]


LISTS = (
    "runs",
    "results",
    "results?status=completed",
    "rollback-points",
    "applications",
    "verifications",
    "findings",
    "checks",
    "alerts",
    "holds",
    "schedules",
    "tokens",
    "runs/RUN/results",
    "rollback-points/POINT/rows",
)


@pytest.mark.only("postgresql")
class TestQueries:
    """Those that find out who asks are counted."""

    @pytest.fixture
    def history(self, served) -> dict[str, str]:
        service = DatabaseCleanupService(using=served)
        for _ in range(3):
            tree(served, "Loan/Docs(1), Loan/Docs(2)")
        service.check()
        report = service.cleanup_all_duplicate_folders()
        schema = SnapshotSchema.objects.using(served).get()
        run = Run.objects.using(served).get()
        for number in range(60):
            key = str(uuid.UUID(int=number))
            point = RollbackPoint.objects.using(served).create(
                application_key=key, kind="cleanup", run=run, schema=schema, expires_at="2099-01-01T00:00:00Z"
            )
            Result.objects.using(served).create(run=run, application_key=key, status="completed", point=point)
            Hold.objects.using(served).create(application_key=key)
            Alert.objects.using(served).create(fingerprint=key, code="c", message="m", run=run)
            QueuedApplication.objects.using(served).create(application_key=key, code="held")
        return {"RUN": str(report.run_id), "POINT": str(report.results[0].rollback_id)}

    def count(self, caller, served, path: str) -> int:
        with CaptureQueriesContext(connections[served]) as queries:
            assert caller.get(path).status_code == 200
        return sum(query["sql"] not in ("BEGIN", "COMMIT") for query in queries)

    def test_of_the_status_are_few(self, make_caller, served, history):
        root = make_caller(superuser=True)
        assert self.count(root, served, "status") - 1 <= 8  # the one that finds the account

    def test_of_a_list_are_few_whatever_its_length(self, make_caller, served, history, subtests):
        for listed in LISTS:
            path = listed.replace("RUN", history["RUN"]).replace("POINT", history["POINT"])
            with subtests.test(listed):
                assert self.count(make_caller(Permission.VIEW, name=listed), served, path) <= 6
