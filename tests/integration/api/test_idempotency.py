"""What is sent twice with one Idempotency-Key is done once, by every route that changes something."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections
from django.db.models.functions import Now
from django.utils import timezone

from cleanup.models import Alert, Heartbeat, IdempotencyKey, RollbackPoint, Run, Schedule
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService
from cleanup.services.background import clusters
from cleanup.services.operations import rollbacks
from cleanup.services.runs import idempotency
from tests.integration.api.test_strictness import ROUTES
from tests.support.model_roles import Folder
from tests.support.trees import Tree, assert_tree, dump, tree

KEY = {"idempotency_key": "k1"}

#: They change nothing, and take no key.
WITHOUT = {"preflight", "rollback-points/{rollback_id}/preview"}


@pytest.fixture(autouse=True)
def queue(monkeypatch) -> list:
    kept = []
    monkeypatch.setattr(clusters, "_hand_over", lambda task, arguments, options: kept.append((task, arguments)))
    return kept


@pytest.fixture
def loan(served) -> Tree:
    return tree(served, "Loan/Docs(1), Loan/Docs(2)")


@pytest.fixture
def service(served) -> DatabaseCleanupService:
    Heartbeat.objects.using(served).create(cluster="elsewhere:1", host="elsewhere")
    AutomatedCleanupService(using=served).start_automated_service()
    return DatabaseCleanupService(using=served)


def cleaned(service: DatabaseCleanupService, loan: Tree) -> str:
    return str(service.consolidate_duplicate_folders(loan.application).rollback_id)


def run_of(service: DatabaseCleanupService, loan: Tree) -> str:
    return str(service.cleanup_all_duplicate_folders(applications=[loan.application]).run_id)


def waiting_run(service: DatabaseCleanupService, loan: Tree) -> str:
    return str(service.start_cleanup(applications=[loan.application]).pk)


def paused_run(service: DatabaseCleanupService, loan: Tree) -> str:
    run = waiting_run(service, loan)
    service.pause(run)
    return run


def alert(service: DatabaseCleanupService, loan: Tree) -> int:
    return Alert.objects.using(service.using).create(code="duplicates", severity="warning", message="x").pk


def hold(service: DatabaseCleanupService, loan: Tree) -> str:
    service.hold(loan.application)
    return loan.application


def waiting_for_approval(service: DatabaseCleanupService, loan: Tree) -> int:
    schedule = Schedule.objects.using(service.using).get(pk="full_cleanup")
    return schedule.runs.create(due_at=datetime.now(UTC), status="waiting").pk


def alike(service: DatabaseCleanupService, loan: Tree) -> str:
    return tree(service.using, "Loan/{Docs(1), docs(1)}").application


def folder_alike(service: DatabaseCleanupService) -> str:
    return str(Folder.objects.using(service.using).get(name="docs").pk)


def nothing(service: DatabaseCleanupService, loan: Tree) -> str:
    return loan.application


#: By operation of the schema: method, path, body, and what there must be, whose id goes into the path.
REQUESTS = {
    "POST check": ("check", None, nothing),
    "POST verify": ("verify", None, nothing),
    "POST cleanup": ("cleanup", {"reason": "a"}, nothing),
    "POST cleanup?wait": ("cleanup?wait=true", {}, nothing),
    "POST cleanup?dry_run": ("cleanup?dry_run=true", {}, nothing),
    "POST rollback/{rollback_id}": ("rollback/{}", {}, cleaned),
    "POST rollback/{rollback_id}?wait=false": ("rollback/{}?wait=false", {}, cleaned),
    "POST rollback/{rollback_id}?run": ("rollback/{}?wait=true", {}, run_of),
    "POST freeze": ("freeze", {"reason": "a"}, nothing),
    "POST unfreeze": ("unfreeze", None, nothing),
    "POST runs/{run_id}/pause": ("runs/{}/pause", {}, waiting_run),
    "POST runs/{run_id}/resume": ("runs/{}/resume", {}, paused_run),
    "POST runs/{run_id}/cancel": ("runs/{}/cancel", {}, waiting_run),
    "POST runs/{run_id}/rollback": ("runs/{}/rollback", {}, run_of),
    "POST rollback-points": ("rollback-points", {"application_id": ...}, nothing),
    "POST rollback-points/{rollback_id}/rollback": ("rollback-points/{}/rollback", {}, cleaned),
    "POST applications/{application_id}/cleanup": ("applications/{}/cleanup", {}, nothing),
    "POST applications/{application_id}/names": (
        "applications/{}/names",
        {"folder_id": folder_alike, "decision": "dismissed"},
        alike,
    ),
    "POST repair/{code}": ("repair/names_alike", {}, alike),
    "POST alerts/{alert_id}/acknowledge": ("alerts/{}/acknowledge", None, alert),
    "POST service/start": ("service/start", None, nothing),
    "POST service/stop": ("service/stop", None, nothing),
    "POST service/adopt": ("service/adopt", None, nothing),
    "PATCH schedules/{name}": ("schedules/full_cleanup", {"max_applications": 7}, nothing),
    "POST schedules/{name}/run": ("schedules/consistency_check/run", None, nothing),
    "POST scheduled-runs/{scheduled_run_id}/approve": ("scheduled-runs/{}/approve", {}, waiting_for_approval),
    "POST scheduled-runs/{scheduled_run_id}/decline": ("scheduled-runs/{}/decline", {}, waiting_for_approval),
    "PUT holds/{application_id}": ("holds/{}", {"reason": "audit"}, nothing),
    "DELETE holds/{application_id}": ("holds/{}", None, hold),
    "POST tokens": ("tokens", {"hours": 1}, nothing),
    "DELETE tokens/{token_id}": ("tokens/{}", None, None),
}


def prepared(operation: str, caller, service, loan) -> tuple[str, str, dict | None]:
    path, body, make = REQUESTS[operation]
    found = caller.post("tokens").json()["token_id"] if make is None else make(service, loan)
    body = {name: filled(value, service, loan) for name, value in body.items()} if body else body
    return operation.partition(" ")[0], path.format(found), body


def filled(value: object, service: DatabaseCleanupService, loan: Tree) -> object:
    if value is ...:
        return str(loan.application)
    return value(service) if callable(value) else value


def document(response) -> object:
    """Return what was answered, less the one secret that is not kept."""
    found = json.loads(response.content or b"null")
    return {**found, "token": None} if isinstance(found, dict) and "token" in found else found


class TestEveryRouteThatChangesSomething:
    def test_declares_the_key_and_no_other_does(self, caller):
        schema = caller.get("schema?format=json").json()
        declaring = {
            f"{method.upper()} {path.removeprefix('/api/cleanup/')}"
            for path, operations in schema["paths"].items()
            for method, operation in operations.items()
            if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ()))
        }
        assert declaring == {operation.partition("?")[0] for operation in REQUESTS}
        changing = [path for method, path in ROUTES if method not in ("GET", "HEAD")]
        assert len(changing) == len(declaring) + len(WITHOUT)

    @pytest.mark.parametrize("operation", REQUESTS)
    def test_is_done_once_and_answers_the_same_again(self, caller, service, loan, served, operation):
        method, path, body = prepared(operation, caller, service, loan)
        first = caller(method, path, body, **KEY)
        assert first.status_code < 300, first.content
        before = own_rows(served)
        second = caller(method, path, body, **KEY)
        assert (second.status_code, document(second)) == (first.status_code, document(first))
        assert second.headers.get("Location") == first.headers.get("Location")
        assert own_rows(served) == before

    def test_refuses_the_key_of_another_request_and_what_is_no_key(self, caller, service, loan, served):
        assert caller.post("freeze", {"reason": "b"}, **KEY).status_code == 200
        service.unfreeze()
        requests = everything(caller, service, loan)
        before = own_rows(served)
        answers = {request[:2]: caller(*request, **KEY).json().get("code") for request in requests}
        assert set(answers.values()) == {"key_reused"}, answers
        malformed = {
            request[:2]: caller(*request, idempotency_key="two words").json().get("errors", [{}])[0].get("field")
            for request in requests
        }
        assert set(malformed.values()) == {"Idempotency-Key"}, malformed
        assert own_rows(served) == before


def everything(caller, service, loan) -> list[tuple[str, str, dict | None]]:
    """Return a request to every route; a run and its point are there, and of much else nothing."""
    report = service.cleanup_all_duplicate_folders(applications=[loan.application])
    ids = {cleaned: report.results[0].rollback_id, nothing: loan.application, hold: loan.application}
    ids |= {alike: loan.application, alert: 1, waiting_for_approval: 1}
    requests = []
    for operation, (path, body, make) in REQUESTS.items():
        whole = {
            name: str(loan.application) if value is ... or callable(value) else value
            for name, value in (body or {}).items()
        }
        requests.append((operation.partition(" ")[0], path.format(ids.get(make, report.run_id)), body and whole))
    return requests


def own_rows(using: str) -> dict:
    return dump(using, own=True)


class TestAKey:
    def test_of_someone_else_is_another_one(self, caller, make_caller, service, loan):
        path = f"holds/{loan.application}"
        caller("PUT", path, {"reason": "mine"}, **KEY)
        other = make_caller(superuser=True)
        assert other("PUT", path, {"reason": "theirs"}, **KEY).json()["reason"] == "theirs"

    def test_is_free_again_after_a_refusal(self, caller, service, loan, served):
        service.hold(loan.application)
        path = f"applications/{loan.application}/cleanup"
        assert caller.post(path, {}, **KEY).json()["code"] == "held"
        service.release(loan.application)
        assert caller.post(path, {}, **KEY).json()["folders_removed"] == 2

    def test_keeps_the_way_to_undo(self, caller, service, loan, served):
        path = f"applications/{loan.application}/cleanup"
        first, second = (caller.post(path, **KEY).json() for _ in range(2))
        assert second["rollback_id"] == first["rollback_id"] is not None
        other = tree(served, "Loan, Loan")
        assert caller.post(f"applications/{other.application}/cleanup", **KEY).json()["code"] == "key_reused"
        assert_tree(served, other, "Loan, Loan")

    def test_does_not_keep_a_token(self, caller, service, served):
        first, second = (caller.post("tokens", **KEY).json() for _ in range(2))
        assert (second["token_id"], second["token"]) == (first["token_id"], None)
        assert first["token"] not in IdempotencyKey.objects.using(served).get().answer

    def test_is_purged_after_a_week(self, caller, service, loan, served):
        caller.post("unfreeze", **KEY)
        keys = IdempotencyKey.objects.using(served)
        keys.update(created_at=timezone.now() - timedelta(days=6))
        service.purge()
        assert keys.exists()
        keys.update(created_at=timezone.now() - timedelta(days=8))
        assert service.purge(preview=True)["history"]["request_keys"] == 1
        assert service.purge()["history"]["request_keys"] == 1
        assert not keys.exists()


class TestAllAtOnce:
    @pytest.mark.parametrize(
        "operation",
        [
            "POST check",
            "POST cleanup?wait",
            "POST rollback/{rollback_id}",
            "POST applications/{application_id}/cleanup",
            "POST rollback-points",
            "POST schedules/{name}/run",
        ],
    )
    def test_are_done_once(self, caller, service, loan, served, operation):
        method, path, body = prepared(operation, caller, service, loan)
        answers = []

        def send() -> None:
            try:
                answers.append(type(caller)(headers=caller.headers)(method, path, body, **KEY))
            finally:
                connections[served].close()

        counts = (Run.objects.using(served).count(), RollbackPoint.objects.using(served).count())
        threads = [threading.Thread(target=send) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({(answer.status_code, answer.content) for answer in answers}) == 1
        assert answers[0].status_code < 300, answers[0].content
        runs = Run.objects.using(served).count() - counts[0]
        points = RollbackPoint.objects.using(served).count() - counts[1]
        expected = {
            "POST cleanup?wait": (1, 1),
            "POST applications/{application_id}/cleanup": (1, 1),
            "POST rollback-points": (0, 1),
        }
        assert (runs, points) == expected.get(operation, (0, 0))


class Died(BaseException):
    """The process is gone."""


def dies(*args: object, **kwargs: object) -> None:
    raise Died


def elapse(using: str) -> None:
    """Have the time pass for which the first request is taken to be at work."""
    IdempotencyKey.objects.using(using).update(created_at=Now() - idempotency.LEASE)


def die(monkeypatch, where: str, send: Callable[[], object]) -> None:
    """Send a request, and have the process die there."""
    with monkeypatch.context() as patch:
        patch.setattr(f"cleanup.{where}", dies)
        with pytest.raises(Died):
            send()


class TestAProcessThatDies:
    @pytest.mark.parametrize(
        "operation", ["POST rollback/{rollback_id}", "POST rollback-points", "PUT holds/{application_id}"]
    )
    def test_leaves_nothing_of_what_takes_a_moment(self, caller, service, loan, operation, monkeypatch):
        request = prepared(operation, caller, service, loan)
        before = own_rows(loan.database)
        die(monkeypatch, "api.idempotency_keys._written", lambda: caller(*request, **KEY))
        assert own_rows(loan.database) == before
        assert caller(*request, **KEY).status_code < 300

    @pytest.mark.parametrize(
        ("operation", "where"),
        [
            ("POST cleanup?wait", "services.operations.foreground.Team.work"),
            ("POST cleanup?wait", "api.idempotency_keys._written"),
            ("POST applications/{application_id}/cleanup", "services.operations.foreground.Team.work"),
            ("POST applications/{application_id}/cleanup", "api.idempotency_keys._written"),
        ],
    )
    def test_leaves_a_run_that_the_next_request_ends(self, caller, loan, operation, where, monkeypatch):
        request = prepared(operation, caller, DatabaseCleanupService(using=loan.database), loan)
        die(monkeypatch, where, lambda: caller(*request, **KEY))
        monkeypatch.setattr(idempotency, "PATIENCE", timedelta(seconds=0.1))
        response = caller(*request, **KEY)
        assert (response.status_code, response.json()["code"]) == (409, "in_progress")
        assert response.headers["Retry-After"]
        elapse(loan.database)
        response = caller(*request, **KEY)
        assert (response.status_code, response.json()["status"]) == (200, "completed")
        assert caller(*request, **KEY).json() == response.json()
        assert Run.objects.using(loan.database).count() == 1
        assert_tree(loan.database, loan, "Loan/Docs(3)")

    def test_leaves_a_run_that_somebody_may_pause(self, caller, service, loan, monkeypatch):
        die(monkeypatch, "services.operations.foreground.Team.work", lambda: caller.post("cleanup?wait=true", **KEY))
        service.pause()
        elapse(loan.database)
        response = caller.post("cleanup?wait=true", **KEY)
        assert (response.status_code, response.json()["status"]) == (202, "paused")
        assert_tree(loan.database, loan, "Loan/Docs(1), Loan/Docs(2)")

    def test_leaves_a_check_that_is_done_again(self, caller, loan, monkeypatch):
        die(monkeypatch, "services.operations.stored_checks.perform", lambda: caller.post("check", **KEY))
        elapse(loan.database)
        assert caller.post("check", **KEY).json()["duplicate_applications_found"] == 1


class TestALockThatSomebodyHolds:
    @pytest.mark.only("postgresql")
    def test_is_waited_for_beyond_the_first_attempt(self, caller, service, loan, served, monkeypatch):
        """In a transaction of the caller a rollback is attempted once; here the whole transaction is."""
        point = cleaned(service, loan)
        attempts = []
        undo = rollbacks.roll_back

        def locked_at_first(**kwargs):
            attempts.append(1)
            if len(attempts) == 1:
                with connections[served].cursor() as cursor:
                    cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'locked' USING ERRCODE = '55P03'; END $$")
            return undo(**kwargs)

        monkeypatch.setattr(rollbacks, "roll_back", locked_at_first)
        assert caller.post(f"rollback/{point}", **KEY).json()["status"] == "rolled_back"
        assert len(attempts) == 2
