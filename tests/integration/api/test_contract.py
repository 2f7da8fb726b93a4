"""The API keeps to its own schema: examples of all kinds, right and wrong, are sent to every operation."""

import pytest
import schemathesis
from django.db import connections
from hypothesis import HealthCheck, settings

from cleanup.models import Heartbeat, Hold, Schedule
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService
from cleanup.services.background import clusters
from project.wsgi import application
from tests.support.trees import tree


@pytest.fixture
def contract(caller, served, monkeypatch, request, settings):
    """Have something there of every kind, and a cluster alive; return the schema, to be called with a login."""
    # schemathesis 4.32 names the operation here, by an attribute that pytest 9.2 no longer has.
    request.node._nodeid = request.node.nodeid
    monkeypatch.setattr(clusters, "_hand_over", lambda task, arguments, options: None)
    # Thousands of requests, each of which would begin a session, and read the catalogue again.
    monkeypatch.setitem(connections[served].settings_dict, "CONN_MAX_AGE", None)
    # The cluster counts as alive to the end, however long that takes.
    settings.CLEANUP_HEARTBEAT_SECONDS = 3600
    Heartbeat.objects.using(served).create(cluster="elsewhere:1", host="elsewhere")
    service = DatabaseCleanupService(using=served)
    AutomatedCleanupService(using=served).start_automated_service()
    Schedule.objects.using(served).update(enabled=False)
    for _ in range(3):
        tree(served, "Loan/Docs(1), Loan/Docs(2)")
    service.verify_cleanup_integrity()
    service.cleanup_all_duplicate_folders(max_applications=1)
    loan = tree(served, "Loan, Loan")
    Hold.objects.using(served).create(application_key=loan.application, reason="audit")
    config = schemathesis.Config.from_dict(
        {"phases": {"coverage": {"unexpected-methods": ["put"]}, "fuzzing": {"enabled": False}}}
    )
    return schemathesis.openapi.from_wsgi(
        "/api/cleanup/schema?format=json", application, config=config, headers=caller.headers
    )


everything = schemathesis.pytest.from_fixture("contract")


@pytest.mark.slow
@pytest.mark.only("postgresql")
@everything.parametrize()
@pytest.mark.timeout(900)  # as many examples as the schema has edges
@settings(max_examples=1, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_keeps_to_the_schema(case, served, caller):
    case.call_and_validate(headers=caller.headers)
