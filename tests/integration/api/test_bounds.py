"""What is too large is not looked through while someone waits."""

import pytest

from cleanup.models import Heartbeat
from cleanup.services import DatabaseCleanupService
from cleanup.services.background import clusters
from cleanup.services.merging.examine import Examiner
from cleanup.services.rollback import preview
from cleanup.services.rollback.undo import Undo
from tests.support.trees import Tree, assert_tree, tree


@pytest.fixture
def loan(served) -> Tree:
    return tree(served, "Loan/Docs(1), Loan/Docs(2)")


@pytest.fixture
def few(settings) -> None:
    settings.CLEANUP_LARGE_APPLICATION = 1


def nobody_reads(*args: object, **kwargs: object) -> None:
    pytest.fail("folders were read")


def refused(response) -> bool:
    problem = response.json()
    assert (response.status_code, problem["code"], problem["limit"]) == (409, "too_large_to_preview", 1)
    return True


class TestThePlanOfAVeryLargeApplication:
    def test_is_not_made(self, caller, loan, few, monkeypatch):
        monkeypatch.setattr(Examiner, "examine", nobody_reads)
        response = caller.get(f"applications/{loan.application}")
        assert refused(response)
        assert "--dry-run --application" in response.json()["command"]

    def test_is_left_out_where_it_is_stale(self, caller, loan, few):
        body = {"plan_hash": "0", "include_large": True}
        problem = caller.post(f"applications/{loan.application}/cleanup", body).json()
        assert (problem["code"], "plan" in problem) == ("stale_plan", False)


class TestTheUndoOfAVeryLargeApplication:
    @pytest.fixture
    def point(self, served, loan) -> str:
        return str(DatabaseCleanupService(using=served).consolidate_duplicate_folders(loan.application).rollback_id)

    def test_is_not_previewed(self, caller, point, few, monkeypatch):
        monkeypatch.setattr(Undo, "undo", nobody_reads)
        response = caller.post(f"rollback-points/{point}/preview")
        assert refused(response)
        assert f"--rollback {point} --preview" in response.json()["command"]

    def test_is_not_previewed_for_a_point_taken_by_hand(self, caller, served, few):
        made = tree(served, "Loan, Loan, Loan")
        service = DatabaseCleanupService(using=served)
        point = service.create_rollback_point(made.application)
        service.consolidate_duplicate_folders(made.application)
        assert refused(caller.post(f"rollback-points/{point}/preview"))

    def test_is_left_to_the_clusters_all_the_same(self, caller, served, point, few, monkeypatch):
        kept = []
        monkeypatch.setattr(clusters, "_hand_over", lambda task, arguments, options: kept.append(arguments))
        monkeypatch.setattr(preview, "outcomes_of", nobody_reads)
        Heartbeat.objects.using(served).create(cluster="elsewhere:1", host="elsewhere")
        response = caller.post(f"rollback/{point}?wait=false")
        assert (response.status_code, bool(kept)) == (202, True)

    def test_may_still_be_done(self, caller, served, loan, point, few):
        assert caller.post(f"rollback/{point}").json()["folders_restored"] == 2
        assert_tree(served, loan, "Loan/Docs(1), Loan/Docs(2)")


class TestThePreviewOfARollback:
    @pytest.fixture
    def point(self, served, loan) -> str:
        return str(DatabaseCleanupService(using=served).consolidate_duplicate_folders(loan.application).rollback_id)

    def test_tells_what_would_come_back_as_a_copy(self, caller, served, loan, point):
        path = f"rollback-points/{point}/preview"
        assert caller.post(path).json()["copies"] == []
        document = caller.post(path, {"as_copies": True}).json()
        assert (document["status"], len(document["copies"]), document["exact"]) == ("preview", 1, False)
        assert_tree(served, loan, "Loan/Docs(3)")
