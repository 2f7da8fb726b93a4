"""Runs that are started over the API, with the deliveries of the clusters made by hand."""

import threading

import pytest
from django.db import connections
from django.utils.module_loading import import_string

from cleanup.models import Heartbeat, IdempotencyKey, Result, Run
from cleanup.permissions import Permission
from cleanup.services.background import clusters
from tests.support.model_roles import Application
from tests.support.trees import assert_tree, missing_key, tree


@pytest.fixture(autouse=True)
def queue(monkeypatch) -> list:
    """Keep deliveries instead of sending them to a broker that no cluster asks."""
    kept = []
    monkeypatch.setattr(clusters, "_hand_over", lambda task, arguments, options: kept.append((task, arguments)))
    return kept


@pytest.fixture
def cluster(served, queue):
    """Have a cluster be alive; return a function that has it do what is in the queue."""
    Heartbeat.objects.using(served).create(cluster="elsewhere:1", host="elsewhere")

    def work() -> None:
        while queue:
            task, arguments = queue.pop(0)
            import_string(task)(*arguments)

    return work


@pytest.fixture
def loans(served):
    return [tree(served, "Loan/Docs(1), Loan/Docs(2)") for _ in range(3)]


class TestCleanup:
    def test_is_accepted_with_its_run_and_worked_by_the_cluster(self, caller, cluster, loans, served):
        response = caller.post("cleanup")
        document = response.json()
        assert (response.status_code, document["status"], document["total_applications"]) == (202, "pending", 3)
        assert response.headers["Location"] == document["url"] == f"/api/cleanup/runs/{document['run_id']}"

        cluster()
        run = caller.get(document["url"]).json()
        assert (run["status"], run["done_applications"], run["folders_removed"]) == ("completed", 3, 6)
        assert_tree(served, loans[0], "Loan/Docs(3)")

    @pytest.mark.parametrize("path", ["cleanup/?dry_run=false", "cleanup?dry_run=False"])
    def test_may_say_that_it_is_no_dry_run(self, caller, cluster, loans, path):
        assert caller.post(path).status_code == 202

    def test_is_refused_where_no_cluster_is_alive(self, caller, loans, served):
        response = caller.post("cleanup")
        assert (response.status_code, response.json()["code"]) == (503, "no_cluster")
        assert not Run.objects.using(served).exists()

    def test_is_refused_beside_another(self, caller, cluster, loans):
        first = caller.post("cleanup").json()
        response = caller.post("cleanup")
        problem = response.json()
        assert (response.status_code, problem["code"], problem["run_id"]) == (409, "busy", first["run_id"])

    def test_of_named_applications_leaves_the_others(self, caller, cluster, loans):
        caller.post("cleanup", {"applications": [loans[1].application]})
        cluster()
        assert [loan.folders for loan in loans] == [4, 2, 4]

    def test_of_a_missing_application_is_not_found(self, caller, cluster):
        response = caller.post("cleanup", {"applications": [missing_key(Application)]})
        assert (response.status_code, response.json()["code"]) == (404, "not_found")

    def test_takes_the_worst_ones(self, caller, cluster, loans):
        assert caller.post("cleanup", {"max_applications": 2}).json()["total_applications"] == 2

    def test_keeps_who_how_and_why(self, caller, cluster, loans, served):
        caller.post("cleanup", {"reason": "spring"})
        run = Run.objects.using(served).get()
        assert (run.started_by, run.started_how, run.reason) == ("root", "api", "spring")

    @pytest.mark.usefixtures("cluster", "loans")
    def test_that_is_badly_asked_for_is_refused(self, caller, served, subtests):
        for body, field in (
            ({"max_applications": 0}, "max_applications"),
            ({"max_applications": "5"}, "max_applications"),
            ({"include_held": 1}, "include_held"),
            ({"applications": []}, "applications"),
            ({"workers": 3}, "workers"),
            ([], ""),
            ({"reason": "\0"}, "reason"),
        ):
            with subtests.test(body=body):
                response = caller.post("cleanup", body)
                assert (response.status_code, response.json()["code"]) == (422, "invalid")
                assert field in response.json()["errors"][0]["field"]
                assert not Run.objects.using(served).exists()


class TestWaiting:
    def test_works_in_the_request_and_needs_no_cluster(self, caller, loans, queue):
        response = caller.post("cleanup?wait=true")
        document = response.json()
        assert (response.status_code, document["status"], document["successful_cleanups"]) == (200, "completed", 3)
        assert queue == []

    def test_is_refused_for_many_applications(self, caller, loans, settings, served):
        settings.CLEANUP_API_WAIT_APPLICATIONS = 2
        response = caller.post("cleanup?wait=true")
        assert (response.status_code, response.json()["code"]) == (422, "too_many_to_wait")
        assert not Run.objects.using(served).exists()

    def test_is_allowed_for_few_of_many(self, caller, loans, settings):
        settings.CLEANUP_API_WAIT_APPLICATIONS = 2
        assert caller.post("cleanup?wait=true", {"max_applications": 2}).status_code == 200


class TestIdempotencyKey:
    def test_makes_a_repeated_request_return_the_same_run_even_when_it_is_over(self, caller, cluster, loans, served):
        first = caller.post("cleanup", {"reason": "a"}, idempotency_key="k1")
        second = caller.post("cleanup/", {"reason": "a"}, idempotency_key="k1")
        assert (second.status_code, second.json()["run_id"]) == (202, first.json()["run_id"])
        cluster()
        third = caller.post("cleanup", {"reason": "a"}, idempotency_key="k1")
        assert (third.status_code, third.json()) == (202, first.json())
        assert Run.objects.using(served).count() == 1

    def test_does_so_for_one_that_waited(self, caller, loans):
        first = caller.post("cleanup?wait=true", idempotency_key="k1")
        second = caller.post("cleanup?wait=true", idempotency_key="k1")
        assert first.json() == second.json()

    def test_with_another_request_is_refused(self, caller, cluster, loans):
        caller.post("cleanup", {"reason": "a"}, idempotency_key="k1")
        response = caller.post("cleanup", {"reason": "b"}, idempotency_key="k1")
        assert (response.status_code, response.json()["code"]) == (409, "key_reused")

    def test_is_free_again_after_a_refusal(self, caller, loans, served):
        caller.post("cleanup", idempotency_key="k1")
        Heartbeat.objects.using(served).create(cluster="elsewhere:1", host="elsewhere")
        assert caller.post("cleanup", idempotency_key="k1").status_code == 202

    def test_of_someone_else_is_another_one(self, caller, make_caller, cluster, loans):
        caller.post("cleanup", idempotency_key="k1")
        other = make_caller(Permission.CLEAN_EVERYTHING)
        assert other.post("cleanup", idempotency_key="k1").json()["code"] == "busy"

    def test_that_nobody_can_read_is_refused(self, caller, cluster, loans):
        assert caller.post("cleanup", idempotency_key="x" * 256).status_code == 422

    def test_starts_one_run_when_sent_from_everywhere_at_once(self, caller, cluster, loans, served):
        answers = []

        def send() -> None:
            try:
                answers.append(type(caller)(headers=caller.headers).post("cleanup", idempotency_key="k1"))
            finally:
                connections[served].close()

        threads = [threading.Thread(target=send) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["run_id"] for answer in answers}) == 1
        assert IdempotencyKey.objects.using(served).count() == 1


class TestRollbackOfARun:
    @pytest.fixture
    def run(self, caller, cluster, loans) -> str:
        run_id = caller.post("cleanup").json()["run_id"]
        cluster()
        return run_id

    @pytest.mark.parametrize("path", ["rollback/{}", "runs/{}/rollback"])
    def test_is_accepted_and_worked_by_the_cluster(self, caller, cluster, run, loans, path):
        response = caller.post(path.format(run))
        assert (response.status_code, response.json()["rollback_id"]) == (202, run)
        cluster()
        assert_tree(loans[0].database, loans[0], "Loan/Docs(1), Loan/Docs(2)")

    def test_may_be_waited_for(self, caller, run):
        response = caller.post(f"rollback/{run}?wait=true")
        assert (response.status_code, response.json()["folders_restored"]) == (200, 6)

    def test_is_refused_for_waiting_when_it_is_large(self, caller, run, settings):
        settings.CLEANUP_API_WAIT_APPLICATIONS = 2
        assert caller.post(f"rollback/{run}?wait=true").json()["code"] == "too_many_to_wait"

    def test_of_a_run_that_changed_nothing_is_refused(self, caller, served):
        run = caller.post("cleanup?wait=true").json()["run_id"]
        response = caller.post(f"rollback/{run}")
        assert (response.status_code, response.json()["code"]) == (409, "refused")


class TestControl:
    @pytest.fixture
    def run(self, caller, cluster, loans) -> str:
        return caller.post("cleanup").json()["run_id"]

    def test_pauses_and_resumes(self, caller, run, cluster, loans):
        response = caller.post(f"runs/{run}/pause", {"reason": "lunch"})
        assert (response.status_code, response.json()["status"]) == (200, "paused")
        assert response.json()["status_reason"] == "paused by root: lunch"
        cluster()
        assert [loan.folders for loan in loans] == [4, 4, 4]
        response = caller.post(f"runs/{run}/resume")
        assert (response.status_code, response.json()["status"]) == (202, "pending")
        cluster()
        assert [loan.folders for loan in loans] == [2, 2, 2]

    def test_cancels_once(self, caller, run):
        assert caller.post(f"runs/{run}/cancel").json()["status"] == "cancelled"
        response = caller.post(f"runs/{run}/cancel")
        assert (response.status_code, response.json()["code"]) == (409, "not_active")

    def test_of_everything_is_not_for_those_who_clean_selected_applications(self, make_caller, run):
        assert make_caller(Permission.CLEAN).post(f"runs/{run}/cancel").status_code == 403

    def test_of_a_few_is(self, make_caller, caller, cluster, loans):
        run = caller.post("cleanup", {"max_applications": 2}).json()["run_id"]
        assert make_caller(Permission.CLEAN).post(f"runs/{run}/cancel").status_code == 200


class TestResults:
    def test_are_those_of_the_run_and_name_their_rollback_points(self, caller, cluster, loans):
        run = caller.post("cleanup").json()["run_id"]
        cluster()
        found = caller.get(f"runs/{run}/results").json()["results"]
        assert [row["application_id"] for row in found] == sorted(loan.application for loan in loans)
        assert {row["status"] for row in found} == {"completed"}
        row = found[0]
        assert caller.get(f"rollback-points/{row['rollback_id']}").json()["application_id"] == row["application_id"]

    def test_are_found_by_status(self, caller, cluster, loans, served):
        caller("PUT", f"holds/{loans[0].application}", {})
        run = caller.post("cleanup").json()["run_id"]
        cluster()
        (row,) = caller.get(f"runs/{run}/results?status=held").json()["results"]
        assert row["application_id"] == loans[0].application
        assert Result.objects.using(served).filter(status="held").count() == 1
