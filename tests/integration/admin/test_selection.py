"""Actions on several entries of a list: what was chosen is named first, and nothing else is touched."""

import pytest
from django.contrib.admin.models import LogEntry

from cleanup.models import Alert, Hold, Result, RollbackPoint, Run
from cleanup.permissions import Permission
from cleanup.services import DatabaseCleanupService
from tests.integration.admin.test_pages import address, boss, cluster, person, text, using
from tests.support.model_roles import File
from tests.support.trees import tree

__all__ = ["boss", "cluster", "using"]


@pytest.fixture
def held(using) -> list[Hold]:
    return [
        Hold.objects.create(
            application_key=tree(using, f"Loan {number}").application, reason="in court", created_by="Ann"
        )
        for number in range(3)
    ]


@pytest.fixture
def cleaned(using) -> list[Result]:
    keys = [tree(using, f"Loan {number}/{{Docs(scan.pdf), Docs(plan.pdf)}}").application for number in range(3)]
    run = DatabaseCleanupService(using=using).cleanup_all_duplicate_folders(applications=keys).run_id
    return list(Result.objects.filter(run=run).order_by("pk"))


class TestHolds:
    def test_are_removed_as_named(self, boss, held):
        chosen = [hold.pk for hold in held[:2]]
        page = boss.get(address("hold_selected"), {"selected": chosen})
        assert [name for name in ("Loan 0", "Loan 1", "Loan 2") if name in text(page)] == ["Loan 0", "Loan 1"]
        assert "by Ann. Reason: in court." in text(page)
        page = boss.post(address("hold_selected"), {"selected": chosen}, follow=True)
        assert "2 holds were removed" in text(page)
        assert [hold.pk for hold in Hold.objects.all()] == [held[2].pk]
        assert sorted(LogEntry.objects.values_list("object_repr", flat=True)) == ["Loan 0", "Loan 1"]

    def test_are_removed_with_all_that_a_search_finds(self, boss, held):
        page = boss.get(address("hold_selected"), {"every": "1", "filters": "q=Loan+1"}).context["question"]
        assert page.title == "Remove this hold?"
        boss.post(address("hold_selected"), dict(page.hidden))
        assert [hold.pk for hold in Hold.objects.order_by("pk")] == [held[0].pk, held[2].pk]

    def test_are_shown_again_if_they_have_changed(self, boss, held):
        shown = dict(boss.get(address("hold_selected"), {"every": "1"}).context["question"].hidden)
        Hold.objects.filter(pk=held[0].pk).delete()
        Hold.objects.create(application_key=held[0].application_key)
        page = boss.post(address("hold_selected"), shown)
        assert "The list has changed since." in text(page)
        assert Hold.objects.count() == 3

    @pytest.mark.parametrize("sent", [{}, {"selected": ["x", "9" * 30]}, {"selected": "0"}])
    def test_have_to_be_chosen(self, boss, held, sent):
        assert "Select at least one entry." in text(boss.get(address("hold_selected"), sent, follow=True))
        boss.post(address("hold_selected"), sent)
        assert Hold.objects.count() == 3

    def test_take_several_applications(self, boss, using):
        keys = [tree(using, f"Loan {number}").application for number in range(2)]
        page = text(boss.get(address("hold"), {"application": keys, "next": "duplicates"}))
        assert "Put these applications on hold?" in page
        assert ("Loan 0" in page, "Loan 1" in page) == (True, True)
        boss.post(address("hold"), {"application": keys, "reason": "in court", "next": "duplicates"})
        assert sorted(Hold.objects.values_list("application_key", "reason")) == sorted((k, "in court") for k in keys)
        assert LogEntry.objects.count() == 2


class TestUndo:
    def test_starts_one_for_each(self, boss, cluster, cleaned):
        chosen = [result.pk for result in cleaned[:2]]
        page = text(boss.get(address("result_selected"), {"selected": chosen}))
        assert page.count("1 folder comes back. 1 file goes back to where it was.") == 2
        boss.post(address("result_selected"), {"selected": chosen, "reason": "too early"})
        undos = Run.objects.filter(kind=Run.Kind.ROLLBACK)
        assert [(undo.total_applications, undo.reason) for undo in undos] == [(1, "too early")] * 2

    def test_of_one_leads_to_the_page_that_follows_it(self, boss, cluster, cleaned):
        page = boss.post(address("result_selected"), {"selected": [cleaned[0].pk]}, follow=True)
        undo = Run.objects.get(kind=Run.Kind.ROLLBACK)
        assert page.redirect_chain == [(address("run_change", undo.pk), 302)]
        assert "The undo has started. This page follows it." in text(page)

    def test_says_that_nothing_was_cleaned_up_in_an_application(self, boss, using, cleaned):
        other = tree(using, "Loan 77").application
        page = text(boss.get(address("rollbackpoint_changelist", q=other)))
        assert "Nothing was cleaned up in an application of this name or id, as far as the records go back." in page
        page = text(boss.get(address("rollbackpoint_changelist", q=other, status__exact="live")))
        assert ("Nothing matches." in page, "Nothing was cleaned up" in page) == (True, False)

    def test_leaves_out_what_people_have_changed(self, boss, cluster, cleaned):
        File.objects.filter(filename="plan.pdf", application=cleaned[0].application_key).update(folder_id=None)
        page = boss.get(address("rollbackpoint_selected"), {"selected": [row.point_id for row in cleaned]})
        assert "Left out: Loan 0" in text(page)
        assert "People have changed one thing since." in text(page)
        sent = [value for name, value in page.context["question"].hidden if name == "selected"]
        assert sorted(sent) == sorted(str(row.point_id) for row in cleaned[1:])

    def test_offers_no_tick_where_nothing_can_be_undone(self, boss, cleaned):
        RollbackPoint.objects.filter(pk=cleaned[0].point_id).update(status=RollbackPoint.Status.PURGED)
        assert boss.get(address("result_changelist")).content.decode().count('name="selected"') == 2


def test_alerts_are_acknowledged_together(boss, using):
    for number in range(3):
        Alert.objects.create(code="x", fingerprint=f"{number}", message=f"Trouble {number}.")
    shown = boss.get(address("alert_selected"), {"every": "1"}).context["question"]
    assert [line.name for line in shown.lines] == ["Trouble 2.", "Trouble 1.", "Trouble 0."]
    assert "3 alerts acknowledged." in text(boss.post(address("alert_selected"), dict(shown.hidden), follow=True))
    assert set(Alert.objects.values_list("state", flat=True)) == {Alert.State.ACKNOWLEDGED}


@pytest.mark.parametrize(
    ("name", "permission"),
    [
        ("hold", Permission.CLEAN),
        ("alert", Permission.MANAGE_SCHEDULES),
        ("result", Permission.ROLL_BACK),
        ("rollbackpoint", Permission.ROLL_BACK),
    ],
)
def test_are_for_people_with_the_permission(held, cleaned, name, permission):
    Alert.objects.create(code="x", fingerprint="1", message="Trouble.")
    for permissions, expected in (((Permission.VIEW,), 403), ((Permission.VIEW, permission), 302)):
        ann = person(*permissions)
        assert ann.post(address(f"{name}_selected")).status_code == expected
        assert ('id="cleanup-selection"' in ann.get(address(f"{name}_changelist")).content.decode()) == (
            expected == 302
        )


def test_a_run_is_cancelled_only_when_confirmed(boss, using):
    run = Run.objects.create(kind="cleanup", status="paused", total_applications=3)
    page = text(boss.get(address("run_cancel", run.pk)))
    assert ("Cancel this run for good?" in page, "0 of 3 applications done" in page) == (True, True)
    assert Run.objects.get().status == Run.Status.PAUSED
    boss.post(address("run_cancel", run.pk))
    assert Run.objects.get().status == Run.Status.CANCELLED


def test_holds_are_found_by_their_reason_and_by_who_set_them(boss, using):
    audit, other = (str(tree(using, "Loan").application) for _ in range(2))
    service = DatabaseCleanupService(using=using)
    service.hold(audit, reason="Audit 2026", created_by="weber")
    service.hold(other, reason="Court", created_by="anna")
    for text_ in ("audit", "web"):
        page = boss.get(address("hold_changelist", q=text_)).content.decode()
        assert (audit in page, other in page) == (True, False)
