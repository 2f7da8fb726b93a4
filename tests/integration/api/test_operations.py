from contextlib import closing

import pytest
from django.db import connections

from cleanup.logs import ContextFilter
from cleanup.models import Result, RollbackPoint, Run
from cleanup.services import DatabaseCleanupService
from tests.support.model_roles import Application, Folder
from tests.support.trees import assert_tree, dump, execute, is_postgresql, missing_key, tree


@pytest.fixture
def loan(served):
    return tree(served, "old:Loan/Docs(1), Loan/Docs(2)")


class TestStatus:
    @pytest.mark.parametrize("path", ["status", "status/"])
    def test_is_that_of_the_service(self, caller, served, path):
        response = caller.get(path)
        expected = DatabaseCleanupService(using=served).status()
        assert (response.status_code, response.json()) == (200, expected)


class TestCheck:
    @pytest.mark.parametrize("path", ["check", "check/"])
    def test_finds_duplicates(self, caller, loan, path):
        document = caller.post(path).json()
        assert (document["duplicate_applications_found"], document["needs_cleanup"]) == (1, True)

    def test_lists_them(self, caller, loan):
        (found,) = caller.post("check").json()["duplicate_applications"]
        assert (found["application_id"], found["root_folders"]) == (loan.application, 2)


class TestVerify:
    @pytest.mark.parametrize("path", ["verify", "verify/"])
    def test_of_the_whole_database_is_stored(self, caller, loan, path):
        document = caller.post(path).json()
        assert document["duplicate_parent_folders"] == 1
        assert caller.get(f"verifications/{document['verification_id']}").json()["passed"] is False

    def test_of_one_application(self, caller, loan, served):
        clean = tree(served, "Loan")
        assert caller.post(f"verify?application_id={clean.application}").json()["verification_passed"] is True

    def test_of_a_missing_application_is_not_found(self, caller, served):
        response = caller.post(f"verify?application_id={missing_key(Application)}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


class TestDryRun:
    @pytest.mark.parametrize("path", ["cleanup?dry_run=true", "cleanup/?dry_run=True"])
    def test_tells_what_would_be_done(self, caller, loan, path):
        response = caller.post(path)
        document = response.json()
        assert (response.status_code, document["run_id"], document["dry_run"]) == (200, None, True)
        assert (document["total_folders_removed"], document["total_files_moved"]) == (2, 2)

    def test_changes_nothing(self, caller, loan, served):
        before = dump(served, own=True)
        caller.post("cleanup?dry_run=true")
        assert dump(served, own=True) == before

    @pytest.mark.parametrize("query", ["dryrun=true", "dry_run=1", "dry_run=yes", "dry_run="])
    def test_that_is_misspelled_is_no_cleanup(self, caller, loan, query, served):
        response = caller.post(f"cleanup?{query}")
        assert (response.status_code, response.json()["code"]) == (422, "invalid")
        assert loan.folders == 4

    def test_in_the_body_is_no_cleanup(self, caller, loan):
        response = caller.post("cleanup", {"dry_run": True})
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "dry_run")


class TestRollback:
    @pytest.fixture
    def point(self, loan, served) -> str:
        result = DatabaseCleanupService(using=served).consolidate_duplicate_folders(loan.application)
        return str(result.rollback_id)

    @pytest.mark.parametrize("slash", ["", "/"])
    def test_restores_what_was_there(self, caller, loan, point, served, slash):
        response = caller.post(f"rollback/{point}{slash}")
        document = response.json()
        assert (response.status_code, document["status"], document["folders_restored"]) == (200, "rolled_back", 2)
        assert_tree(served, loan, "old:Loan/Docs(1), Loan/Docs(2)")

    def test_is_handed_out_as_a_script(self, caller, point, served):
        before = dump(served)
        response = caller.get(f"rollback/{point}/script")
        script = b"".join(response.streaming_content).decode()
        assert (response.status_code, response.headers["Content-Type"]) == (200, "text/plain")
        assert script.startswith(f"-- Undoes rollback point {point}")
        assert "COMMIT;" in script
        assert dump(served) == before

    def test_as_a_script_is_refused_before_anything_is_answered(self, caller, point, settings):
        settings.CLEANUP_LARGE_APPLICATION = 1
        refused = caller.get(f"rollback/{point}/script")
        assert (refused.status_code, refused.json()["code"]) == (409, "too_large_to_preview")
        assert f"--export-undo {point}" in refused.json()["detail"]

    def test_keeps_who_and_why(self, caller, point, served):
        caller.post(f"rollback/{point}", {"reason": "wrong loan"})
        row = RollbackPoint.objects.using(served).get(uuid=point)
        assert (row.ended_by, row.ended_reason) == ("root", "wrong loan")

    def test_happens_once(self, caller, point):
        caller.post(f"rollback/{point}")
        response = caller.post(f"rollback/{point}")
        assert (response.status_code, response.json()["code"]) == (409, "already_rolled_back")

    @pytest.mark.parametrize("name", ["9" * 8 + "-9999-4999-8999-" + "9" * 12, "nonsense", "%00"])
    def test_of_nothing_is_not_found(self, caller, name):
        assert caller.post(f"rollback/{name}").status_code == 404

    def test_lists_conflicts_and_restores_nothing(self, caller, loan, point, served):
        before = loan.folders
        survivor = Folder.objects.using(served).get(pk=loan["old"])
        moved = Folder.objects.using(served).filter(parent=survivor).first()
        from tests.support.model_roles import File

        File.objects.using(served).filter(folder=moved).update(folder_id=survivor.pk)
        response = caller.post(f"rollback/{point}")
        assert (response.status_code, response.json()["code"]) == (409, "conflict")
        assert response.json()["conflicts"][0]["code"] == "changed"
        assert loan.folders == before

    def test_is_previewed_without_a_change(self, caller, point, served):
        before = dump(served)
        document = caller.post(f"rollback-points/{point}/preview").json()
        assert (document["status"], document["folders_restored"]) == ("preview", 2)
        assert dump(served) == before


class TestFreeze:
    def test_refuses_to_clean_up(self, caller, loan):
        caller.post("freeze", {"reason": "audit"})
        response = caller.post(f"applications/{loan.application}/cleanup")
        assert (response.status_code, response.json()["code"]) == (409, "frozen")

    def test_is_lifted(self, caller, loan):
        caller.post("freeze", {"reason": "audit"})
        caller.post("unfreeze")
        assert caller.post(f"applications/{loan.application}/cleanup").status_code == 200


class TestOneApplication:
    def test_has_a_plan(self, caller, loan):
        plan = caller.get(f"applications/{loan.application}").json()
        assert (plan["folders_removed"], [line["depth"] for line in plan["before"]]) == (2, [0, 1, 0, 1])

    def test_is_cleaned_up_as_planned(self, caller, loan, served):
        plan = caller.get(f"applications/{loan.application}").json()
        response = caller.post(f"applications/{loan.application}/cleanup", {"plan_hash": plan["plan_hash"]})
        assert (response.status_code, response.json()["folders_removed"]) == (200, 2)
        run = Run.objects.using(served).get()
        assert (run.started_by, run.started_how) == ("root", "api")

    def test_is_left_alone_when_the_plan_has_changed(self, caller, loan, served):
        plan = caller.get(f"applications/{loan.application}").json()
        tree(served, "Loan", application=loan.application)
        response = caller.post(f"applications/{loan.application}/cleanup", {"plan_hash": plan["plan_hash"]})
        problem = response.json()
        assert (response.status_code, problem["code"], problem["plan"]["folders_removed"]) == (409, "stale_plan", 3)
        assert Result.objects.using(served).get().folders_removed == 0

    def test_on_hold_is_left_alone(self, caller, loan):
        caller("PUT", f"holds/{loan.application}", {"reason": "audit"})
        response = caller.post(f"applications/{loan.application}/cleanup")
        assert (response.status_code, response.json()["code"]) == (409, "held")

    def test_is_cleaned_up_once_released(self, caller, loan):
        caller("PUT", f"holds/{loan.application}", {})
        assert caller("DELETE", f"holds/{loan.application}").status_code == 204
        assert caller.post(f"applications/{loan.application}/cleanup").status_code == 200


class TestSurvivor:
    def test_is_where_a_removed_folder_went(self, caller, served):
        loan = tree(served, "old:Loan, young:Loan")
        caller.post(f"applications/{loan.application}/cleanup")
        assert caller.get(f"folders/{loan['young']}/survivor").json() == {
            "folder_id": loan["young"],
            "survivor_id": loan["old"],
        }

    def test_of_a_folder_that_was_never_removed_is_not_found(self, caller, loan):
        assert caller.get(f"folders/{loan['old']}/survivor").status_code == 404


class TestALockedTable:
    @pytest.fixture
    def locked(self, served, loan):
        """Have someone else hold what is to be written, and no one wait for long."""
        execute(served, "SET lock_timeout = '50ms'" if is_postgresql(served) else "PRAGMA busy_timeout = 50")
        other = connections.create_connection(served)
        with closing(other), other.cursor() as cursor:
            cursor.execute("BEGIN" if is_postgresql(served) else "BEGIN IMMEDIATE")
            if is_postgresql(served):
                cursor.execute("LOCK TABLE cleanup_hold IN ACCESS EXCLUSIVE MODE")
            yield
            cursor.execute("ROLLBACK")
        connections[served].close()

    def test_is_a_reason_to_try_again(self, caller, locked, loan):
        response = caller("PUT", f"holds/{loan.application}", {})
        assert (response.status_code, response.json()["code"]) == (503, "try_again")
        assert response.headers["Retry-After"] == "5"


class TestCorrelationId:
    def test_of_a_request_is_that_of_its_answer_its_run_and_its_log(self, caller, loan, served, caplog):
        caplog.set_level("INFO", logger="cleanup")
        caplog.handler.addFilter(ContextFilter())
        response = caller.post("cleanup?wait=true", X_Correlation_ID="order-2026")
        assert response.headers["X-Correlation-ID"] == "order-2026"
        assert Run.objects.using(served).get().correlation_id == "order-2026"
        ours = [record for record in caplog.records if record.name.startswith("cleanup")]
        assert {record.correlation_id for record in ours} == {"order-2026"}

    def test_that_can_be_none_is_replaced(self, caller, served):
        given = "Ms Example <script>"
        response = caller.get("status", X_Correlation_ID=given)
        assert (response.status_code, response.headers["X-Correlation-ID"] == given) == (200, False)
