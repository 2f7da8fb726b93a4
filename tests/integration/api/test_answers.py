"""What is sent is what is declared, field by field, in both directions."""

from collections.abc import Iterator
from typing import Any

import pytest

from cleanup.api.exception_handler import _CLIENT_FIELDS
from cleanup.models import Alert, Hold, Run
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService
from tests.support.trees import tree


@pytest.fixture
def schema(caller) -> dict[str, Any]:
    return caller.get("schema?format=json").json()


def differences(declared: dict[str, Any], sent: Any, schema: dict[str, Any], place: str = "") -> Iterator[str]:
    """Yield the fields that are sent and not declared, and those that are required and not sent."""
    for reference in [declared.get("$ref"), *(part.get("$ref") for part in declared.get("allOf", ()))]:
        if reference:
            declared = {**declared, **schema["components"]["schemas"][reference.rpartition("/")[2]]}
    if isinstance(sent, list):
        for entry in sent:
            yield from differences(declared.get("items", {}), entry, schema, f"{place}[]")
    if not isinstance(sent, dict) or "properties" not in declared:
        return
    known = declared["properties"]
    yield from (f"{place}.{name} is not declared" for name in sent.keys() - known.keys())
    yield from (f"{place}.{name} is not sent" for name in set(declared.get("required", ())) - sent.keys())
    for name in sent.keys() & known.keys():
        yield from differences(known[name], sent[name], schema, f"{place}.{name}")


class TestEveryField:
    def test_is_declared_and_every_declared_one_is_sent(self, caller, served, schema):
        loan, other = tree(served, "Loan/Docs(1), Loan/Docs(2)"), tree(served, "Loan/Docs(1), Loan/Docs(2)")
        AutomatedCleanupService(using=served).start_automated_service()
        service = DatabaseCleanupService(using=served)
        Hold.objects.using(served).create(application_key=str(tree(served, "Loan, Loan").application))
        Alert.objects.using(served).create(code="duplicates", severity="warning", message="x")
        application = "applications/{application_id}"
        asked = [
            ("POST", "check", "check", None),
            ("POST", "verify", "verify", None),
            ("POST", "preflight", "preflight", None),
            ("POST", "cleanup", "cleanup?dry_run=true", None),
            ("GET", "applications", "applications", None),
            ("GET", application, f"applications/{loan.application}", None),
            ("POST", f"{application}/cleanup", f"applications/{loan.application}/cleanup", {}),
            ("POST", "cleanup", "cleanup?wait=true", {"applications": [str(other.application)]}),
            ("GET", "runs", "runs", None),
            ("GET", "results", "results", None),
            ("GET", "rollback-points", "rollback-points", None),
            ("GET", "findings", "findings", None),
            ("GET", "checks", "checks", None),
            ("GET", "verifications", "verifications", None),
            ("GET", "alerts", "alerts", None),
            ("GET", "holds", "holds", None),
            ("GET", "schedules", "schedules", None),
            ("GET", "tokens", "tokens", None),
        ]
        found = []
        for method, route, path, body in asked:
            found += self.of(caller, schema, f"{method} {route}", path, body)
        point = caller.get("rollback-points").json()["results"][0]["rollback_id"]
        preview, undo = "POST rollback-points/{rollback_id}/preview", "POST rollback/{rollback_id}"
        found += self.of(caller, schema, preview, f"rollback-points/{point}/preview")
        found += self.of(caller, schema, undo, f"rollback/{point}")
        found += self.of(caller, schema, undo, f"rollback/{point}", status=409)
        Run.objects.using(served).create(kind="cleanup", status="paused")
        found += self.of(caller, schema, "GET status", "status")
        assert service.status()["active_run"] is not None
        assert not found

    def of(self, caller, schema, operation, path, body=None, *, status=None) -> list[str]:
        method, _, route = operation.partition(" ")
        response = caller(method, path, body)
        assert status is None or response.status_code == status
        described = schema["paths"][f"/api/cleanup/{route}"][method.lower()]["responses"]
        if str(response.status_code) not in described:
            return [f"{method} {route}: {response.status_code} is not declared"]
        (content,) = described[str(response.status_code)]["content"].values()
        return [f"{method} {route}{d}" for d in differences(content["schema"], response.json(), schema)]

    def test_of_a_problem_is_declared(self, schema):
        assert set(_CLIENT_FIELDS) <= schema["components"]["schemas"]["ProblemDetails"]["properties"].keys()

    def test_every_operation_declares_what_each_may_answer(self, schema):
        operations = [op for path in schema["paths"].values() for op in path.values()]
        assert all({"400", "401", "403", "413", "415", "422"} <= op["responses"].keys() for op in operations)
