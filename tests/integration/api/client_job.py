"""The main job by a generated client, as a program of its own that knows nothing of this project.

    python client_job.py URL TOKEN APPLICATION OTHER_APPLICATION

``cleanup_client`` is what openapi-python-client made of the schema; it is found by PYTHONPATH. Prints, as JSON, the
fields that were sent and are not declared, and how many answers were looked at.
"""

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import attrs
from cleanup_client import AuthenticatedClient, models

FREE_FORM = {"additional_properties"}


def undeclared(answer: Any, place: str) -> Iterator[str]:
    """Yield the fields that the client does not know; an object of free form has no others."""
    if isinstance(answer, list):
        for entry in answer:
            yield from undeclared(entry, f"{place}[]")
    if not attrs.has(type(answer)):
        return
    fields = {field.name for field in attrs.fields(type(answer))}
    if fields != FREE_FORM:
        yield from (f"{place}.{name}" for name in answer.additional_properties)
    for name in fields - FREE_FORM:
        yield from undeclared(getattr(answer, name), f"{place}.{name}")


class Job:
    """Calls operations by their names, and looks at every answer."""

    def __init__(self, url: str, token: str) -> None:
        self.client = AuthenticatedClient(base_url=url, token=token)
        self.answers = 0
        self.unknown: list[str] = []

    def __call__(self, operation: str, *path: Any, status: int = 200, **arguments: Any) -> Any:
        """Call ``tag.operation``, and return what was answered."""
        call = import_module(f"cleanup_client.api.{operation}").sync_detailed
        response = call(*path, client=self.client, **arguments)
        assert response.status_code == status, (operation, response.status_code, response.content)
        self.answers += 1
        self.unknown += undeclared(response.parsed, operation)
        return response.parsed


def main(url: str, token: str, application: str, other: str) -> None:
    job = Job(url, token)
    assert job("status.get_the_services_status").running is False
    assert job("cleanup.clean_up", dry_run=True).total_applications == 2
    assert job("applications.list_applications_with_duplicates").results[0].application_id is not None

    plan = job("applications.get_the_plan_for_an_application", application)
    confirmed = models.ConsolidateBodyRequest(plan_hash=plan.plan_hash, reason="looked at")
    clean = "applications.clean_up_one_application"
    done, again = (job(clean, application, body=confirmed, idempotency_key="clean-1") for _ in range(2))
    assert done.to_dict() == again.to_dict()
    assert done.folders_removed == plan.folders_removed > 0
    reused = job(clean, other, body=confirmed, idempotency_key="clean-1", status=409)
    assert reused.code == "key_reused"
    stale = job(clean, other, body=confirmed, idempotency_key="clean-2", status=409)
    assert (stale.code, stale.plan is not None) == ("stale_plan", True)

    everything = {"wait": True, "idempotency_key": "everything"}
    report, repeated = (job("cleanup.clean_up", **everything) for _ in range(2))
    assert report.run_id == repeated.run_id is not None
    assert job("check.run_a_consistency_check", idempotency_key="check").duplicate_applications_found == 0
    assert job("verify.verify_the_databases_integrity").verification_passed is True
    assert job("preflight.ask_whether_a_cleanup_can_run").ok is True

    runs = job("runs.list_runs").results
    assert [run.total_applications for run in runs] == [1, 1, 1]  # the stale one is history, too
    job("runs.get_a_run", runs[0].run_id)
    assert len(job("runs.list_a_runs_results", runs[0].run_id).results) == 1
    assert len(job("results.list_results").results) == 3
    points = job("rollback_points.list_rollback_points").results
    job("rollback_points.list_a_points_snapshot_rows", points[0].rollback_id)
    for name in ("verifications.list_verifications", "findings.list_findings", "checks.list_checks"):
        job(name)

    copies = models.RollbackPreviewBodyRequest(as_copies=True)
    assert job("rollback_points.preview_a_rollback", done.rollback_id, body=copies).copies
    undo = "rollback.roll_back"
    undone, once = (job(undo, done.rollback_id, idempotency_key="undo") for _ in range(2))
    assert undone.to_dict() == once.to_dict()
    assert undone.folders_restored == done.folders_removed
    assert job(undo, done.rollback_id, status=409).code == "already_rolled_back"
    assert job(undo, str(report.run_id), wait=True).folders_restored > 0

    assert job("holds.list_holds").results
    job("holds.release_an_application", application, status=204)
    job("holds.hold_an_application", application, body=models.ReasonBodyRequest(reason="audit"))
    job("service.start_the_service", idempotency_key="start")
    assert job("schedules.list_schedules").results
    change = models.PatchedScheduleBodyRequest(enabled=False)
    job("schedules.change_a_schedule", "full_cleanup", body=change, idempotency_key="change")
    job("service.stop_the_service")
    made, kept = (job("tokens.make_a_token", idempotency_key="token", status=201) for _ in range(2))
    assert (kept.token_id, kept.token) == (made.token_id, None)
    assert made.token
    job("tokens.list_your_tokens")
    job("tokens.revoke_a_token", made.token_id, status=204)
    job("alerts.list_alerts")
    assert job("runs.get_a_run", application, status=404).code == "not_found"
    print(json.dumps({"answers": job.answers, "undeclared": job.unknown}))


if __name__ == "__main__":
    main(*sys.argv[1:])
