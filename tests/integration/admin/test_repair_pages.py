"""From a problem to its repair: the list offers it, the page says what changes, a person confirms and can undo it."""

import re

import pytest

from cleanup.models import Run
from cleanup.permissions import Permission
from cleanup.services import DatabaseCleanupService
from tests.integration.admin.test_pages import address, boss, cluster, person, text, using
from tests.support.model_roles import Folder
from tests.support.trees import Tree, assert_tree, tree

__all__ = ["boss", "cluster", "using"]


@pytest.fixture
def loan(using) -> Tree:
    """Return an application with a folder that lies in another one."""
    made, other = tree(using, "top:Loan/{docs:Docs(1), Photos}"), tree(using, "Case")
    root = Folder.objects.using(using).get(application=other.application)
    Folder.objects.using(using).filter(pk=made["docs"]).update(parent=root)
    return made


def test_a_problem_is_shown_repaired_and_undone(boss, cluster, using, loan):
    service = DatabaseCleanupService(using=using)
    service.verify_cleanup_integrity()
    found = boss.get(address("finding_changelist")).content.decode()
    (link,) = re.findall(r'href="([^"]+)">Preview and repair', found)
    page = boss.get(link)
    assert "1 problem goes away. 1 folder is made." in text(page)
    assert "The folder “Docs” goes into the folder “Recovered”." in text(page)
    shown = dict(re.findall(r'name="(application|planned|plan_hash)" value="([^"]+)"', page.content.decode()))
    page = boss.post(address("repair", "foreign_parent"), shown | {"reason": "audit"}, follow=True)
    run = Run.objects.using(using).get(kind=Run.Kind.REPAIR)
    assert (run.reason, run.started_how, page.redirect_chain[-1][0]) == (
        "audit",
        "admin",
        address("run_change", run.pk),
    )
    service.resume(run.pk)
    assert_tree(using, loan, "top:Loan/{Recovered/docs:Docs(1), Photos}")
    page = boss.get(address("run_change", run.pk))
    assert "Repaired: A folder lies in a folder of another application." in text(page)
    page = text(boss.get(address("undo_run", run.pk)))
    assert "Undo the repair of Loan?" in page
    assert "on hold, or the next cleanup" not in page
    assert boss.post(address("undo_run", run.pk), {"reason": "no"}).status_code == 302
    service.resume(Run.objects.using(using).get(kind=Run.Kind.ROLLBACK).pk)
    assert service.verify_cleanup_integrity()["counts"]["foreign_parent"] == 1


def test_what_has_changed_since_it_was_shown_is_not_repaired(boss, cluster, using, loan):
    shown = {"application": loan.application, "planned": loan.application, "plan_hash": "0" * 64}
    boss.post(address("repair", "foreign_parent"), shown)
    report = DatabaseCleanupService(using=using).resume(Run.objects.using(using).get(kind=Run.Kind.REPAIR).pk)
    assert [result.error_code for result in report.results] == ["stale_plan"]


def test_names_are_decided_by_a_person(boss, using):
    made = tree(using, "Loan/{a:Docs(1), b:DOCS(2)}")
    page = boss.get(address("names", made.application))
    assert "Docs 1 file, 0 records DOCS 2 files, 0 records" in text(page)
    page = boss.post(address("names", made.application), {"folder": made["a"], "decision": "approved"}, follow=True)
    assert "Approved. " in text(page)
    report = DatabaseCleanupService(using=using).repair("names_alike", dry_run=True)
    assert report.findings_repaired == 1
    boss.post(address("names", made.application), {"folder": made["a"], "decision": "dismissed"})
    assert "names_alike" not in DatabaseCleanupService(using=using).verify_cleanup_integrity()["counts"]


def test_where_only_root_folders_name_their_application_none_is_offered(boss, using, settings):
    settings.CLEANUP_APPLICATION_FROM = "root"
    made = tree(using, 'Loan/{" ", a:Docs, DOCS}')
    DatabaseCleanupService(using=using).verify_cleanup_integrity()
    found = text(boss.get(address("finding_changelist")))
    assert ("Preview and repair" in found, "Ask IT" in found) == (False, True)
    sentence = "This kind of problem cannot be repaired in this database. Ask IT what helps."
    assert sentence in text(boss.get(address("repair", "blank_name"), follow=True))
    decision = {"folder": made["a"], "decision": "approved"}
    assert sentence in text(boss.post(address("names", made.application), decision, follow=True))


@pytest.mark.only("sqlite")
def test_whoever_may_only_look_repairs_and_decides_nothing(using, loan):
    viewer = person(Permission.VIEW)
    assert "<form" not in viewer.get(address("repair", "foreign_parent")).content.decode().split("</nav>")[-1]
    assert viewer.post(address("repair", "foreign_parent")).status_code == 403
    assert viewer.post(address("names", loan.application)).status_code == 403
    assert viewer.get(address("repair", "several_roots")).status_code == 404
