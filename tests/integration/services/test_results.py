from dataclasses import FrozenInstanceError, fields

import pytest

from cleanup.api.model_serializers import PointResource
from cleanup.exceptions import InvalidKey, UnknownObject
from cleanup.models import RollbackPoint
from cleanup.services import DatabaseCleanupService, RollbackData
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
