from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime

import pytest

from cleanup.api.model_serializers import PointResource
from cleanup.api.output_serializers import serializer_of
from cleanup.exceptions import AlreadyRolledBack, InvalidKey, PreflightFailed, UnknownObject
from cleanup.management.errors import failure_of
from cleanup.models import RollbackPoint
from cleanup.references import Problem
from cleanup.services import DatabaseCleanupService, RollbackData
from cleanup.services.results import CheckReport, Enqueued, VerificationReport
from tests.support.trees import tree


@pytest.fixture
def point(database) -> RollbackData:
    loan = tree(database, "Loan/Docs(1), Loan/Docs(2)")
    service = DatabaseCleanupService(using=database)
    return service.rollback_point(service.create_rollback_point(loan.application, reason="first", created_by="kim"))


class TestRollbackData:
    def test_is_the_view_of_a_point(self, point):
        assert (point.kind, point.status, point.reason, point.created_by) == ("manual", "live", "first", "kim")

    def test_cannot_be_changed(self, point):
        with pytest.raises(FrozenInstanceError):
            point.status = "purged"

    def test_tells_when_a_point_was_rolled_back(self, database, point):
        service = DatabaseCleanupService(using=database)
        assert service.rollback_cleanup(point.rollback_id)
        assert service.rollback_point(point.rollback_id).status == "rolled_back"

    def test_has_the_fields_of_the_api(self, database, point):
        row = RollbackPoint.objects.using(database).get(uuid=point.rollback_id)
        sent = PointResource(row).data
        assert list(sent) == [field.name for field in fields(RollbackData)] == list(point.as_json())
        assert sent["rollback_id"] == point.as_json()["rollback_id"]

    @pytest.mark.parametrize(
        ("key", "error"), [("nonsense", InvalidKey), ("7463cb40-eec5-457c-8386-7920a3bf3104", UnknownObject)]
    )
    def test_is_of_no_other_id(self, database, key, error):
        with pytest.raises(error):
            DatabaseCleanupService(using=database).rollback_point(key)


class TestJsonForm:
    def test_leaves_out_an_optional_field_that_is_unknown(self):
        assert Enqueued(check_id=7).as_json() == {"status": "pending", "check_id": 7}

    def test_of_a_failure_has_problems_field_by_field(self):
        failure = failure_of(PreflightFailed(problems=[Problem("privilege", "cases", "", "Grant it.")]))
        assert failure.as_json()["error"]["problems"] == [
            {"code": "privilege", "table": "cases", "column": "", "message": "Grant it."}
        ]

    def test_of_a_failure_has_times_in_iso_form(self):
        failure = failure_of(AlreadyRolledBack(rollback_id="7", at=datetime(2026, 11, 29, 12, tzinfo=UTC)))
        assert failure.as_json()["error"]["at"] == "2026-11-29T12:00:00+00:00"

    def test_of_a_stored_verification_can_be_read_again(self, database):
        tree(database, "Loan, Loan")
        report = DatabaseCleanupService(using=database).verify_cleanup_integrity()
        verified_at = datetime.fromisoformat(report.pop("verified_at"))
        again = VerificationReport.stored(report, verified_at=verified_at)
        assert again.as_json() == report | {"verified_at": verified_at.isoformat()}


class TestSerializer:
    def test_has_the_fields_of_the_document(self):
        assert list(serializer_of(CheckReport)().fields) == [field.name for field in fields(CheckReport)]

    def test_takes_its_help_from_the_text_below_a_field(self):
        assert serializer_of(VerificationReport)().fields["counts"].help_text == "Findings by code."

    def test_requires_what_is_always_sent(self):
        optional = [name for name, field in serializer_of(CheckReport)().fields.items() if not field.required]
        assert optional == ["late_arrivals"]

    def test_allows_null_where_the_document_does(self):
        found = serializer_of(VerificationReport)().fields
        assert (found["verification_id"].allow_null, found["orphaned_files"].allow_null) == (True, False)
