"""For each code: corrupt one thing by a raw write, repair it, find nothing, undo it, and everything is as it was."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from cleanup import hooks
from cleanup.exceptions import NotRepairable, RollbackConflict
from cleanup.models import RollbackPoint
from cleanup.services import DatabaseCleanupService
from cleanup.services.operations import repairs
from cleanup.services.results import RepairReport
from cleanup.services.runs.lifecycle import Actor, Options
from tests.support import databases
from tests.support.model_roles import Application, File, Folder
from tests.support.trees import (
    assert_tree,
    change,
    dump,
    execute,
    key_type,
    missing_key,
    raw,
    sql,
    tree,
)

NOWHERE, NOBODY = missing_key(Folder), missing_key(Application)


def codes(service: DatabaseCleanupService) -> set[str]:
    return set(service.verify_cleanup_integrity()["counts"]) - {"guards_missing"}


@pytest.fixture
def repairing(loose, service):
    """Return a context in which a code is repaired, found no more, and which is undone in the end."""

    @contextmanager
    def repairing(
        code: str, *, along_with: Collection[str] = (), stays: Collection[str] = ()
    ) -> Iterator[RepairReport]:
        before = dump(loose)
        assert codes(service) == {code, *along_with}
        announced = service.repair(code, dry_run=True)
        assert dump(loose) == before
        report = service.repair(code)
        assert codes(service) == set(stays)
        for total in ("successful_cleanups", "findings_repaired", "total_rows_moved", "folders_made", "not_repaired"):
            assert getattr(report, total) == getattr(announced, total)
        yield report
        undone = service.rollback_cleanup(report.run_id)
        assert (undone.exact, undone.conflicts) == (True, ())
        assert dump(loose) == before

    return repairing


class TestRepair:
    def test_puts_a_folder_under_a_missing_parent_among_the_recovered(self, loose, loan, repairing):
        change(loose, Folder, loan["photos"], parent=NOWHERE)
        with repairing("missing_parent"):
            assert_tree(loose, loan, "top:Loan/{docs:Docs(a.txt), Recovered/photos:Photos(b.txt)/old:Old(c.txt)}")

    def test_puts_duplicates_there_which_are_found_then(self, loose, service, loan):
        tree(loose, "Twin", application=loan.application)
        old = Folder.objects.using(loose).filter(pk=loan["old"])
        Folder.objects.using(loose).filter(name="Twin").update(name="Old", parent=old.get().parent_id)
        change(loose, Folder, loan["photos"], parent=NOWHERE)
        before = dump(loose)
        assert codes(service) == {"missing_parent"}
        report = service.repair("missing_parent")
        assert codes(service) == {"same_named_siblings"}
        assert service.rollback_cleanup(report.run_id).exact
        assert dump(loose) == before

    def test_breaks_a_cycle_once(self, loose, loan, repairing):
        change(loose, Folder, loan["photos"], parent=loan["old"])
        with repairing("cycle") as report:
            assert report.findings_repaired == 2
            assert_tree(loose, loan, "top:Loan/{docs:Docs(a.txt), Recovered/photos:Photos(b.txt)/old:Old(c.txt)}")

    def test_leaves_a_folder_in_another_application_there_if_its_files_are_of_that(self, loose, loan, other, repairing):
        change(loose, Folder, loan["photos"], parent=other["docs"])
        for name in ("b.txt", "c.txt"):
            change(loose, File, loan[name], application=other.application)
        with repairing("foreign_parent", along_with={"file_in_other_application"}):
            assert_tree(loose, loan, "Loan/Docs(a.txt)")
            assert_tree(loose, other, "Case/Docs(d.txt)/Photos(b.txt)/Old(c.txt)")

    def test_brings_a_folder_in_another_application_home_if_its_files_are_there(self, loose, loan, other, repairing):
        change(loose, Folder, loan["photos"], parent=other["docs"])
        with repairing("foreign_parent"):
            assert_tree(loose, loan, "top:Loan/{docs:Docs(a.txt), Recovered/photos:Photos(b.txt)/old:Old(c.txt)}")
            assert_tree(loose, other, "Case/Docs(d.txt)")

    def test_gives_folders_of_a_missing_application_to_the_one_of_their_files(self, loose, loan, other, repairing):
        for label in ("photos", "old"):
            change(loose, Folder, loan[label], application=NOBODY)
        change(loose, Folder, loan["photos"], parent=None)
        for name in ("b.txt", "c.txt"):
            change(loose, File, loan[name], application=other.application)
        with repairing("folder_of_missing_application", along_with={"file_in_other_application"}) as report:
            assert report.findings_repaired == 2
            assert_tree(loose, other, "Case/{Docs(d.txt), Recovered/Photos(b.txt)/Old(c.txt)}")

    def test_gives_folders_of_a_missing_application_to_the_one_they_lie_in(self, loose, loan, repairing):
        change(loose, Folder, loan["old"], application=NOBODY)
        change(loose, File, loan["c.txt"], application=None)
        with repairing("folder_of_missing_application"):
            assert_tree(loose, loan, "top:Loan/{docs:Docs(a.txt), photos:Photos(b.txt)/old:Old(c.txt)}")

    def test_files_what_lies_in_a_missing_folder_among_the_recovered(self, loose, loan, repairing):
        change(loose, File, loan["b.txt"], folder=NOWHERE)
        with repairing("file_of_missing_folder"):
            assert_tree(loose, loan, "top:Loan/{docs:Docs(a.txt), photos:Photos/old:Old(c.txt), Recovered(b.txt)}")

    def test_files_what_lies_in_another_application_at_the_same_path(self, loose, loan, other, repairing):
        change(loose, File, loan["a.txt"], folder=other["docs"])
        change(loose, File, loan["b.txt"], folder=other["docs"])
        change(loose, Folder, other["docs"], name="Photos")
        with repairing("file_in_other_application") as report:
            assert (report.total_files_moved, report.folders_made) == (2, 0)
            assert_tree(loose, loan, "top:Loan/{docs:Docs, photos:Photos(a.txt, b.txt)/old:Old(c.txt)}")

    def test_files_what_lies_in_another_application_among_the_recovered(self, loose, loan, other, repairing):
        tree(loose, "Odd(d.txt)", application=other.application)
        change(loose, File, loan["a.txt"], folder=other["docs"])
        change(loose, Folder, other["docs"], name="Elsewhere")
        with repairing("file_in_other_application", along_with={"several_roots"}, stays={"several_roots"}):
            assert_tree(loose, loan, "Loan/{Docs, Recovered(a.txt), Photos(b.txt)/Old(c.txt)}")

    def test_gives_files_of_a_missing_application_to_the_one_of_their_folder(self, loose, loan, repairing):
        change(loose, File, loan["a.txt"], application=NOBODY)
        with repairing("file_of_missing_application"):
            assert str(File.objects.using(loose).get(pk=loan["a.txt"]).application_id) == loan.application

    def test_names_what_has_no_name(self, loose, loan, repairing):
        tree(loose, "Unnamed", application=loan.application)
        change(loose, Folder, Folder.objects.using(loose).get(name="Unnamed").pk, parent=loan["top"])
        for label, name in (("docs", " "), ("photos", "")):
            change(loose, Folder, loan[label], name=name)
        with repairing("blank_name", along_with={"names_alike"}):
            assert_tree(
                loose,
                loan,
                'Loan/{Unnamed, "Unnamed (2)"(a.txt), "Unnamed (3)"(b.txt)/Old(c.txt)}',
            )


class TestResult:
    def test_names_the_applications_that_rows_come_from(self, loose, service, loan, other):
        change(loose, Folder, loan["photos"], application=NOBODY, parent=None)
        for name in ("b.txt", "c.txt"):
            change(loose, File, loan[name], application=other.application)
        (result,) = service.repair("folder_of_missing_application").results
        assert (result.application_id, result.details["sources"]) == (other.application, [NOBODY])

    def test_names_none_where_rows_stay_in_their_application(self, loose, service, loan):
        change(loose, Folder, loan["photos"], parent=NOWHERE)
        (result,) = service.repair("missing_parent").results
        assert (result.details["mended"], "sources" in result.details) == (1, False)


class TestPlace:
    def test_is_made_with_a_root_folder_if_there_is_none(self, loose, other, repairing, settings):
        settings.CLEANUP_RECOVERED_FOLDER, settings.CLEANUP_ROOT_FOLDER = "Lost and found", "Case"
        loan = tree(loose, "a:Docs(a.txt), b:docs(b.txt)")
        for label in ("a", "b"):
            change(loose, Folder, loan[label], parent=NOWHERE)
        with repairing("missing_parent", along_with={"names_alike"}) as report:
            assert report.folders_made == 2
            assert_tree(loose, loan, 'Case/"Lost and found"/{a:Docs(a.txt), b:"docs (2)"(b.txt)}')

    def test_is_made_with_a_root_folder_that_holds_its_own_key(self, loose, other, repairing, settings):
        settings.CLEANUP_ROOT_PARENT = "self"
        root = Folder.objects.using(loose).get(application=other.application, parent=None)
        change(loose, Folder, root.pk, parent=root.pk)
        loan = tree(loose, "a:Docs(a.txt)")
        change(loose, Folder, loan["a"], parent=NOWHERE)
        with repairing("missing_parent") as report:
            assert report.folders_made == 2
            assert_tree(loose, loan, "Application/Recovered/a:Docs(a.txt)")

    def test_is_kept_by_an_undo_if_people_use_it(self, loose, service, loan):
        change(loose, Folder, loan["photos"], parent=NOWHERE)
        report = service.repair("missing_parent")
        (recovered,) = Folder.objects.using(loose).filter(name="Recovered")
        change(loose, File, loan["a.txt"], folder=recovered.pk)
        undone = service.rollback_cleanup(report.run_id)
        assert undone
        assert_tree(loose, loan, "top:Loan/{docs:Docs, Recovered(a.txt)}")
        (point,) = RollbackPoint.objects.using(loose).all()
        assert [conflict["code"] for conflict in point.outcome["conflicts"]] == ["in_use"]
        assert not point.exact


class TestUnderForeignKeys:
    def test_what_they_forbid_is_a_conflict_of_the_undo(self, scratch_database):
        service = DatabaseCleanupService(using=scratch_database)
        loan = tree(scratch_database, "top:Loan/docs:Docs(a.txt)")
        change(scratch_database, File, loan["a.txt"], folder=NOWHERE)
        service.repair("file_of_missing_folder")
        point = RollbackPoint.objects.using(scratch_database).get().uuid
        previewed = service.preview_rollback(point)
        with pytest.raises(RollbackConflict) as refused:
            service.rollback_cleanup(point)
        codes_of = [[conflict.code for conflict in one.conflicts] for one in (previewed, refused.value)]
        assert codes_of == [["missing_target", "in_use"], ["missing_target"]]  # the folder made for it stays in use
        assert previewed.files_restored == 0
        assert_tree(scratch_database, loan, "top:Loan/{docs:Docs, Recovered(a.txt)}")


class TestLeavingAlone:
    def test_what_no_one_can_decide_says_why(self, loose, service, loan):
        change(loose, Folder, loan["old"], application=None, parent=NOWHERE)
        report = service.repair("missing_parent")
        assert (report.total_applications, report.findings_repaired) == (0, 0)
        (left,) = report.not_repaired
        assert (left.row_id, left.reason) == (loan["old"], "no_application")

    def test_what_no_one_can_decide_beside_what_can_be_mended(self, loose, service, loan):
        change(loose, Folder, loan["old"], application=None, parent=NOWHERE)
        change(loose, Folder, loan["docs"], parent=NOWHERE)
        report = service.repair("missing_parent")
        assert (report.findings_repaired, [left.row_id for left in report.not_repaired]) == (1, [loan["old"]])

    def test_a_cycle_of_a_folder_of_no_application_says_why(self, loose, service, loan):
        change(loose, Folder, loan["old"], application=None, parent=loan["old"])
        (left,) = service.repair("cycle").not_repaired
        assert (left.row_id, left.reason) == (loan["old"], "no_application")

    @pytest.mark.parametrize("code", ["several_roots", "dangling_reference", "guards_missing"])
    def test_what_cannot_be_repaired_says_what_helps(self, service, code):
        with pytest.raises(NotRepairable) as refusal:
            service.repair(code)
        assert len(refusal.value.remedy) > 20

    def test_an_application_on_hold_even_if_only_what_lies_there_is_of_it(self, loose, service, loan, other):
        change(loose, Folder, loan["photos"], parent=other["docs"])
        for name in ("b.txt", "c.txt"):
            change(loose, File, loan[name], application=other.application)
        service.hold(loan.application, reason="audit")
        before = dump(loose)
        report = service.repair("foreign_parent")
        assert (report.held_applications, report.findings_repaired) == (1, 0)
        assert dump(loose) == before

    @pytest.mark.parametrize("skipped", [0, 1])
    def test_an_application_of_more_folders_than_the_limit(self, loose, service, loan, settings, skipped):
        settings.CLEANUP_LARGE_APPLICATION = 4 - skipped
        change(loose, Folder, loan["photos"], parent=NOWHERE)
        report = service.repair("missing_parent")
        assert (report.skipped_applications, report.findings_repaired) == (skipped, 1 - skipped)

    def test_nothing_that_is_included_by_name(self, loose, service, loan, settings):
        settings.CLEANUP_LARGE_APPLICATION = 3
        service.hold(loan.application)
        change(loose, Folder, loan["photos"], parent=NOWHERE)
        report = service.repair("missing_parent", include_held=True, include_large=True)
        assert (report.successful_cleanups, report.findings_repaired) == (1, 1)

    def test_an_application_on_hold_even_if_it_is_large(self, loose, service, loan, settings):
        settings.CLEANUP_LARGE_APPLICATION = 3
        service.hold(loan.application, reason="audit")
        change(loose, Folder, loan["photos"], parent=NOWHERE)
        (result,) = service.repair("missing_parent").results
        assert (result.status, result.error_code) == ("held", "held")
        assert f"Application {loan.application} is on hold: audit" in result.error_message

    def test_other_applications_than_the_named_ones(self, loose, service, loan, other):
        for label, made in (("photos", loan), ("docs", other)):
            change(loose, Folder, made[label], parent=NOWHERE)
        report = service.repair("missing_parent", applications=[other.application])
        assert [result.application_id for result in report.results] == [other.application]
        assert service.verify_cleanup_integrity()["counts"]["missing_parent"] == 1

    def test_findings_of_an_application_that_only_takes_rows_in(self, loose, service, loan, other):
        extra = tree(loose, "extra:Extra(e.txt)", application=other.application)
        change(loose, Folder, extra["extra"], parent=loan["docs"])
        change(loose, Folder, loan["photos"], parent=other["docs"])
        for name in ("b.txt", "c.txt"):
            change(loose, File, loan[name], application=other.application)
        report = service.repair("foreign_parent", applications=[loan.application])
        assert [result.application_id for result in report.results] == [other.application]
        assert service.verify_cleanup_integrity()["counts"]["foreign_parent"] == 1

    def test_cycles_of_other_applications_than_the_named_ones(self, loose, service, loan, other):
        change(loose, Folder, loan["photos"], parent=loan["old"])
        change(loose, Folder, other["docs"], parent=other["docs"])
        report = service.repair("cycle", applications=[other.application])
        assert [result.application_id for result in report.results] == [other.application]
        assert service.verify_cleanup_integrity()["counts"]["cycle"] == 2

    def test_what_people_have_mended_since_it_was_found(self, loose, service, loan):
        change(loose, Folder, loan["photos"], parent=NOWHERE)
        run = service.start_repair("missing_parent", in_background=False)
        change(loose, Folder, loan["photos"], parent=loan["top"])
        before = dump(loose)
        report = service.resume(run.pk)
        assert (report.findings_repaired, dump(loose)) == (0, before)
        assert not RollbackPoint.objects.using(loose).exists()

    def test_what_has_changed_since_it_was_shown(self, loose, service, loan, other):
        for label, made in (("photos", loan), ("docs", other)):
            change(loose, Folder, made[label], parent=NOWHERE)
        shown = service.repair("missing_parent", dry_run=True).results
        hashes = {result.application_id: result.details["plan_hash"] for result in shown}
        options = Options(repair="missing_parent", plan_hashes=hashes)
        run = repairs.start(using=loose, options=options, actor=Actor(), in_background=False)
        change(loose, Folder, loan["docs"], parent=NOWHERE)
        codes = {result.application_id: result.error_code for result in service.resume(run.pk).results}
        assert codes == {loan.application: "stale_plan", other.application: ""}


@pytest.mark.only("postgresql")
class TestRowsThatAnotherSessionHolds:
    @pytest.fixture
    def other_session(self, loose, loan) -> Iterator[psycopg.Connection]:
        with psycopg.connect(databases.url_of(loose)) as session:
            yield session

    def test_do_not_keep_a_dry_run_waiting(self, loose, service, loan, other_session, settings):
        settings.CLEANUP_LOCK_TIMEOUT_MS = 10
        change(loose, Folder, loan["photos"], parent=NOWHERE)
        for rows in (":applications", ":folders"):
            other_session.execute(sql(loose, f"SELECT FROM {rows} FOR UPDATE"))
        assert service.repair("missing_parent", dry_run=True).findings_repaired == 1

    def test_are_not_repaired_meanwhile(self, loose, service, loan, other_session, settings):
        settings.CLEANUP_LOCK_TIMEOUT_MS = 10
        change(loose, Folder, loan["photos"], parent=NOWHERE)
        other_session.execute(sql(loose, "SELECT FROM :applications FOR UPDATE"))
        (result,) = service.repair("missing_parent").results
        assert (result.status, result.error_code) == ("failed", "55P03")


class TestLateArrivals:
    def test_are_filed_where_the_folder_went(self, loose, service):
        made = tree(loose, "stays:Loan(a.txt), gone:Loan(b.txt)")
        service.consolidate_duplicate_folders(made.application)
        change(loose, File, made["a.txt"], folder=made["gone"])
        before = dump(loose)
        assert codes(service) == {"late_arrival"}
        announced = service.repair("late_arrival", dry_run=True)
        report = service.repair("late_arrival")
        assert codes(service) == set()
        assert (announced.findings_repaired, report.findings_repaired, report.total_files_moved) == (1, 1, 1)
        assert report.total_folders_removed == 0
        assert_tree(loose, made, "stays:Loan(a.txt, b.txt)")
        assert service.rollback_cleanup(report.run_id).exact
        assert dump(loose) == before

    @pytest.mark.only("postgresql")
    def test_come_back_beside_a_conflict(self, loose, service, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["prefs.watched"]
        execute(loose, f"CREATE TABLE prefs (id integer PRIMARY KEY, watched {key_type(loose)}[])")
        made = tree(loose, "stays:Loan(a.txt), gone:Loan")
        service.consolidate_duplicate_folders(made.application)
        change(loose, File, made["a.txt"], folder=made["gone"])
        execute(loose, f"INSERT INTO prefs VALUES (1, %s::{key_type(loose)}[])", [raw(loose, made["gone"])])
        report = service.repair("late_arrival")
        execute(loose, "UPDATE prefs SET watched = NULL")
        undone = service.rollback_cleanup(report.run_id, skip_conflicts=True)
        assert [conflict.table for conflict in undone.conflicts] == ["public.prefs"]
        assert str(File.objects.using(loose).get(pk=made["a.txt"]).folder_id) == made["gone"]


class TestComputedColumns:
    def test_are_computed_again(self, loose, service, settings, loan):
        settings.CLEANUP_TREE_HOOK = {"hook": "cleanup.hooks.materialized_path", "path": "full_path"}
        execute(loose, "ALTER TABLE :folders ADD COLUMN full_path text")
        hooks.recompute(using=loose)
        execute(loose, "UPDATE :folders SET full_path = 'nowhere' WHERE :folders.name = 'Photos'")
        before = dump(loose)
        assert "path_out_of_date" in codes(service)
        report = service.repair("path_out_of_date")
        assert codes(service) == set()
        assert service.rollback_cleanup(report.run_id).exact
        assert dump(loose) == before

    def test_follow_a_repair(self, loose, service, settings, loan):
        settings.CLEANUP_TREE_HOOK = {"hook": "cleanup.hooks.materialized_path", "path": "full_path"}
        execute(loose, "ALTER TABLE :folders ADD COLUMN full_path text")
        hooks.recompute(using=loose)
        change(loose, Folder, loan["photos"], parent=NOWHERE)
        before = dump(loose)
        report = service.repair("missing_parent")
        assert codes(service) == set()
        assert service.rollback_cleanup(report.run_id)
        assert dump(loose) == before
