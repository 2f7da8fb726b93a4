"""Repairs through the API: planned, done, undone; what cannot be repaired says so."""

import pytest

from tests.support.model_roles import Folder
from tests.support.trees import Tree, assert_tree, tree


@pytest.fixture
def loan(database) -> Tree:
    """Return an application with a folder that lies in another one."""
    made, other = tree(database, "top:Loan/docs:Docs(1)"), tree(database, "Case")
    root = Folder.objects.using(database).get(application=other.application)
    Folder.objects.using(database).filter(pk=made["docs"]).update(parent=root)
    return made


def test_a_repair_is_planned_done_and_undone(caller, database, loan):
    planned = caller.post("repair/foreign_parent?dry_run=true")
    assert planned.status_code == 200
    (change,) = planned.json()["changes"]
    assert (change["row_id"], "Recovered" in change["sentence"]) == (loan["docs"], True)
    done = caller.post("repair/foreign_parent?wait=true", {"applications": [loan.application], "reason": "audit"})
    assert (done.status_code, done.json()["findings_repaired"], done.json()["repair"]) == (200, 1, "foreign_parent")
    assert_tree(database, loan, "top:Loan/Recovered/docs:Docs(1)")
    undone = caller.post(f"rollback/{done.json()['run_id']}?wait=true").json()
    assert (undone["exact"], undone["on_hold"]) == (True, False)


def test_what_cannot_be_repaired_says_what_helps(caller):
    refused = caller.post("repair/several_roots")
    assert (refused.status_code, refused.json()["code"]) == (422, "not_repairable")
    assert "--cleanup" in refused.json()["detail"]
    assert caller.post("repair/nonsense").status_code == 422


def test_is_refused_where_only_root_folders_name_their_application(caller, database, settings):
    settings.CLEANUP_APPLICATION_FROM = "root"
    made = tree(database, "Loan/{a:Docs, DOCS}")
    refusals = [
        caller.post("repair/blank_name"),
        caller.post("repair/blank_name?dry_run=true"),
        caller.post(f"applications/{made.application}/names", {"folder_id": made["a"], "decision": "approved"}),
    ]
    assert [(one.status_code, one.json()["code"]) for one in refusals] == [(422, "not_repairable")] * 3
    assert all("only root folders do" in one.json()["detail"] for one in refusals)


def test_names_are_proposed_and_decided(caller, database):
    made = tree(database, "Loan/{a:Docs(1), b:DOCS}")
    (group,) = caller.get(f"applications/{made.application}/names").json()["results"]
    assert [folder["name"] for folder in group["folders"]] == ["Docs", "DOCS"]
    decided = caller.post(f"applications/{made.application}/names", {"folder_id": made["b"], "decision": "approved"})
    assert (decided.status_code, decided.json()["decision"]) == (200, "approved")
    report = caller.post("repair/names_alike?wait=true").json()
    assert (report["total_folders_removed"], report["results"][0]["status"]) == (1, "completed")
