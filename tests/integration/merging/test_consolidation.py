"""What a merge does to an application, what it leaves alone, and what it refuses."""

import json
import threading
from collections import Counter
from datetime import UTC, datetime

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connections, transaction

from cleanup import exceptions
from cleanup.models import Hold, Result, RollbackPoint, Run, SnapshotRow
from cleanup.references import readiness
from cleanup.services import DatabaseCleanupService
from cleanup.services.merging import apply, examine
from cleanup.services.merging.preview import preview
from cleanup.services.results import Fate, Reason
from cleanup.services.runs import lifecycle
from tests.hostapp.models import Bookmark, Cover, Note, Scan, Tag, Watch
from tests.support.model_roles import Application, File, Folder
from tests.support.trees import (
    Tree,
    assert_tree,
    dump,
    execute,
    fetch,
    is_postgresql,
    key_type,
    label,
    named,
    new_key,
    raw,
    spellings,
    tree,
    unchecked,
)


def cleaned(database: str, **options):
    """Clean up everything and return the report, of which nothing may have failed."""
    report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders(**options)
    assert (report.status, report.failed_cleanups) == ("completed", 0), [r.error_message for r in report.results]
    return report


def consolidated(database: str, application: Tree, **options):
    return DatabaseCleanupService(using=database).consolidate_duplicate_folders(application.application, **options)


RULES = {
    "roots_of_any_name_become_one": ("old:A(1), B(1), C", "old:A(2)"),
    "the_oldest_root_stays": ("A@5(1), old:B@2(1), C@3", "old:B(2)"),
    "a_root_without_time_is_the_youngest": ("A@-(1), old:B@9(1)", "old:B(2)"),
    "of_equal_age_the_smaller_key_stays": ("old:A@4, B@4(1)", "old:A(1)"),
    "of_none_with_a_time_the_smaller_key_stays": ("old:A@-, B@-(1)", "old:A(1)"),
    "children_of_one_name_become_one": ("A/old:B(1), A/B(2)", "A/old:B(3)"),
    "a_child_of_a_new_name_is_moved": ("A/B, C/moved:D(1)", "A/{B, moved:D(1)}"),
    "what_is_there_goes_before_what_is_older": ("A@1/there:B@9(1), A@2/B@3(1)", "A/there:B(2)"),
    "of_those_that_arrive_the_oldest_stays": ("A@1, A@2/B@9(1), A@3/oldest:B@8(1)", "A/oldest:B(2)"),
    "it_goes_on_to_any_depth": ("A/B/C/deep:D(1), A/B/C/D(1), A/B/C/E", "A/B/C/{deep:D(2), E}"),
    "groups_arise_on_the_way": ("A/B/X(1), C/{B/X(1), B/Y(1)}", "A/B/{X(2), Y(1)}"),
    "siblings_merge_under_a_single_root": ("A/{first:B(1), B(1), C}", "A/{first:B(2), C}"),
    "a_name_may_occur_at_several_places": ("A/{A/A(1), A/A(1)}", "A/A/A(2)"),
    "many_roots_become_one": ("A/B(1)*13", "A/B(13)"),
    "case_makes_another_name": ("A/{b, B}, A/{B, b}", "A/{b, B}"),
    "a_blank_makes_another_name": ('A/{B, "B "}, A/{"B ", B}', 'A/{B, "B "}'),
    "the_unicode_form_makes_another_name": ("A/{Caf\u00e9, Cafe\u0301}", "A/{Caf\u00e9, Cafe\u0301}"),
    "an_empty_name_is_a_name": ('A/{""(1), ""(1), " "}', 'A/{""(2), " "}'),
    "odd_names_are_names": ("A/\"%s {0} 'x' [b]\"(1)*2", "A/\"%s {0} 'x' [b]\"(2)"),
    "files_of_one_name_stay_both": ("A/B(x.pdf), A/B(x.pdf, y.pdf)", "A/B(x.pdf, x.pdf, y.pdf)"),
    "nothing_to_do_is_nothing_done": ("A/{B(1), C/B(1)}", "A/{B(1), C/B(1)}"),
}


def test_rules(database, subtests):
    made = {rule: tree(database, before) for rule, (before, _) in RULES.items()}
    cleaned(database)
    for rule, (_, after) in RULES.items():
        with subtests.test(rule):
            assert_tree(database, made[rule], after)


class TestRootsOfDifferentNames:
    def test_are_nested_on_demand(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "nest"
        made = tree(database, "old:A(1), A(1), other:B(1)/C")
        cleaned(database)
        assert_tree(database, made, "old:A(2)/other:B(1)/C")

    def test_merge_with_a_child_of_their_name_when_nested(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "nest"
        made = tree(database, "A/child:B(1), B(2)")
        cleaned(database)
        assert_tree(database, made, "A/child:B(3)")

    def test_are_counted_when_nested(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "nest"
        made = tree(database, "A, B(1), C")
        result = consolidated(database, made)
        assert (result.folders_removed, result.references_moved, result.details["moved"]) == (
            0,
            2,
            {label(database, ":folders"): 2},
        )

    def test_are_refused_on_demand(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "refuse"
        made = tree(database, "A(1), B(1)/{C, C}")
        before = dump(database)
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert [(r.application_id, r.status, r.error_code) for r in report.results] == [
            (made.application, "failed", "different_roots")
        ]
        assert dump(database) == before

    def test_are_kept_side_by_side_on_demand(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "keep"
        made = tree(database, "a:A(1)/{x:X(1)}, b:B(1)/{X(1), X(1)}, A(2)/{X(1), Y(1)}, C(1)")
        result = consolidated(database, made)
        assert_tree(database, made, "a:A(3)/{x:X(2), Y(1)}, b:B(1)/X(2), C(1)")
        assert (result.folders_removed, result.child_folders_merged) == (3, 2)

    def test_are_kept_by_what_the_dry_run_announces(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "keep"
        made = tree(database, "a:A(1)/X, b:B(1)/{X(1), X(1)}, A(2)/{X(1), Y}, B, C(1)")
        tree(database, "A, B, C")
        service = DatabaseCleanupService(using=database)
        before = dump(database)
        forecast = service.cleanup_all_duplicate_folders(dry_run=True)
        assert dump(database) == before
        (announced,) = forecast.as_json()["results"]
        assert announced["root_folders"] == [
            {"folder_id": made["a"], "name": "A"},
            {"folder_id": made["b"], "name": "B"},
        ]
        assert announced["root_folder"] == announced["root_folders"][0]
        report = service.cleanup_all_duplicate_folders()
        (done,) = report.as_json()["results"]
        same = ("application_id", "folders_removed", "files_moved", "child_folders_merged", "references_moved")
        assert [announced[name] for name in same] == [done[name] for name in same]
        assert service.verify_cleanup_integrity()["verification_passed"]
        assert not service.check()["needs_cleanup"]
        assert service.rollback_cleanup(report.run_id).exact
        assert dump(database) == before

    def test_are_told_in_a_preview_that_keeps_them(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "keep"
        made = tree(database, "a:A, b:B, gone:A")
        shown = preview(using=database, application_id=made.application).by_id
        assert [(shown[made[key]].fate, shown[made[key]].reasons) for key in ("a", "b", "gone")] == [
            (Fate.SURVIVOR, (Reason.OLDEST,)),
            (Fate.KEPT, ()),
            (Fate.MERGED, (Reason.SAME_NAME,)),
        ]

    def test_are_no_finding_if_they_are_kept(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "keep"
        tree(database, "A, B")
        made = tree(database, "A, A, B")
        report = DatabaseCleanupService(using=database).verify_cleanup_integrity()
        assert report["duplicate_parent_folders"] == 1
        found = [f for f in report["findings"] if f["code"] == "several_roots"]
        assert [(f["application_id"], f["detail"]) for f in found] == [(made.application, {"folders": 3})]

    def test_of_one_name_merge_all_the_same(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "refuse"
        made = tree(database, "A(1), A(1)")
        cleaned(database)
        assert_tree(database, made, "A(2)")


class TestWhatIsLeftAlone:
    """Findings of the verification, not for the merge to touch."""

    def test_a_folder_under_a_parent_of_another_application(self, database):
        other = tree(database, "owner:A")
        made = tree(database, "B(1), B(1), strange:C/{D, D}")
        Folder.objects.using(database).filter(pk=made["strange"]).update(parent=other["owner"])
        cleaned(database)
        assert_tree(database, made, "B(2)")
        assert _below(database, made["strange"]) == ["D", "D"]
        assert _parent(database, made["strange"]) == other["owner"]

    def test_but_its_parent_reference_moves(self, database):
        made = tree(database, "A/{stays:B, gone:B(1)}")
        stranger = tree(database, "root:R/strange:S")
        Folder.objects.using(database).filter(pk=stranger["strange"]).update(parent=made["gone"])
        cleaned(database)
        assert _parent(database, stranger["strange"]) == made["stays"]
        assert _owner(database, stranger["strange"]) == stranger.application

    def test_a_stranger_of_the_same_name_is_not_merged(self, database):
        made = tree(database, "A/{stays:B/C, gone:B/C}")
        stranger = tree(database, "root:R/strange:C(1)")
        Folder.objects.using(database).filter(pk=stranger["strange"]).update(parent=made["gone"])
        cleaned(database)
        assert _below(database, made["stays"]) == ["C", "C"]
        assert File.objects.using(database).filter(folder=stranger["strange"]).count() == 1

    def test_folders_below_a_missing_parent(self, database):
        made = tree(database, "A(1), A(1), lost:B/{C(1), C(1)}")
        with unchecked(database):
            Folder.objects.using(database).filter(pk=made["lost"]).update(parent=new_key())
        missing = _parent(database, made["lost"])
        cleaned(database)
        assert _below(database, made["lost"]) == ["C", "C"]
        assert _parent(database, made["lost"]) == missing

    def test_folders_in_and_below_a_cycle(self, database):
        made = tree(database, "A(1), A(1), one:B/two:B/{C, C}, self:S/{T, T}")
        Folder.objects.using(database).filter(pk=made["one"]).update(parent=made["two"])
        Folder.objects.using(database).filter(pk=made["self"]).update(parent=made["self"])
        report = cleaned(database)
        assert report.total_folders_removed == 1
        assert sorted(_below(database, made["two"])) == ["B", "C", "C"]
        assert sorted(_below(database, made["self"])) == ["S", "T", "T"]

    def test_an_application_with_nothing_but_such_folders_is_not_affected(self, database):
        tree(database, "A")  # where no folder at all is a root, a run does not start
        made = tree(database, "one:B/two:B/{C, C}")
        Folder.objects.using(database).filter(pk=made["one"]).update(parent=made["two"])
        assert cleaned(database).total_applications == 0

    def test_folders_of_no_application(self, database):
        made = tree(database, "A/{B, B}, A/{B, B}")
        Folder.objects.using(database).update(application=None)
        before = dump(database)
        assert cleaned(database).total_applications == 0
        assert dump(database) == before
        assert made.folders == 0

    def test_folders_of_a_missing_application(self, database):
        tree(database, "A/{B, B}, A/{B, B}")
        with unchecked(database):
            Application.objects.using(database).all().delete()
        before = dump(database)
        assert cleaned(database).total_applications == 0
        assert dump(database) == before

    def test_a_folder_of_no_application_goes_with_its_parent(self, database):
        made = tree(database, "A/{stays:B, gone:B/orphan:C, C}")
        Folder.objects.using(database).filter(pk=made["orphan"]).update(application=None)
        cleaned(database)
        assert _parent(database, made["orphan"]) == made["stays"]

    def test_times_of_what_is_moved(self, database):
        made = tree(database, "A/B, A/moved:C")
        stamp = datetime(2021, 5, 6, tzinfo=UTC)
        Folder.objects.using(database).update(updated_at=stamp)
        cleaned(database)
        assert Folder.objects.using(database).get(pk=made["moved"]).updated_at == stamp


def _below(database: str, folder: str) -> list[str]:
    return list(Folder.objects.using(database).filter(parent=folder).values_list("name", flat=True))


def _parent(database: str, folder: str) -> str:
    return str(Folder.objects.using(database).values_list("parent_id", flat=True).get(pk=folder))


def _owner(database: str, folder: str) -> str:
    return str(Folder.objects.using(database).values_list("application_id", flat=True).get(pk=folder))


class TestTrashedFolders:
    """Where the host soft-deletes, trashed folders are in no group."""

    @pytest.fixture
    def trash(self, scratch_database, settings):
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN deleted_at timestamp")
        settings.CLEANUP_FOLDER_LIVE = {"deleted_at": None}

        def trash(*folders: str) -> None:
            for folder in folders:
                execute(
                    scratch_database,
                    "UPDATE :folders SET deleted_at = '2024-01-01' WHERE :folders.key = %s",
                    raw(scratch_database, folder),
                )

        return trash

    def test_never_merge(self, scratch_database, trash):
        made = tree(scratch_database, "old:A, B(1), dead:C(1)/{D(1), D(1)}")
        trash(made["old"], made["dead"])
        assert cleaned(scratch_database).total_folders_removed == 1
        assert_tree(scratch_database, made, "old:A, B(1), dead:C(1)/D(2)")

    def test_do_not_survive(self, scratch_database, trash):
        made = tree(scratch_database, "A/{dead:B(1), live:B(1), B(1)}")
        trash(made["dead"])
        cleaned(scratch_database)
        assert_tree(scratch_database, made, "A/{dead:B(1), live:B(2)}")

    def test_without_the_setting_stop_the_run_naming_the_column(self, scratch_database, settings):
        settings.CLEANUP_FOLDER_LIVE = None
        del settings.CLEANUP_FOLDER_LIVE
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN deleted_at timestamp")
        made = tree(scratch_database, "A, A")
        with pytest.raises(exceptions.PreflightFailed, match="deleted_at"):
            consolidated(scratch_database, made)
        assert made.folders == 2


class TestSize:
    def test_a_deep_tree(self, database):
        text = "/".join(f"L{level}" for level in range(150)) + "(1)"
        made = tree(database, f"{text}, {text}")
        assert consolidated(database, made).folders_removed == 150
        assert_tree(database, made, text.replace("(1)", "(2)"))

    def test_a_wide_one(self, database):
        made = tree(database, "A/B*1100, C/B(1)*1100")
        result = consolidated(database, made)
        assert (result.folders_removed, result.files_moved) == (2200, 1100)
        assert_tree(database, made, "A/B(1100)")

    def test_more_rows_in_one_folder_than_a_snapshot_row_holds(self, database):
        made = tree(database, "A(1), B(2345)")
        assert consolidated(database, made).files_moved == 2345
        assert _journaled(database)[label(database, ":files")] == 2345


# --- Counts, and the dry run


def _journaled(database: str) -> Counter:
    counts: Counter = Counter()
    for row in SnapshotRow.objects.using(database).filter(kind="moved"):
        counts[row.table] += row.row_count
    return counts


class TestCounts:
    def test_are_what_happened(self, database):
        made = tree(database, "A/{B(1), B(2)}, A/{B(1), C(1)}, D(3)")
        result = consolidated(database, made)
        assert (result.folders_removed, result.child_folders_merged, result.files_moved) == (4, 2, 6)
        assert_tree(database, made, "A(3)/{B(4), C(1)}")

    def test_of_rows_moved_equal_those_in_the_snapshot(self, database):
        made = tree(database, "A/{B(1), B(2)}, A/{gone:B(1), C(1)}, D(3)")
        Bookmark._base_manager.using(database).create(folder_id=made["gone"])
        result = consolidated(database, made)
        assert dict(_journaled(database)) == result.details["moved"]
        assert sum(result.details["moved"].values()) == result.references_moved

    def test_of_folders_removed_equal_those_in_the_snapshot(self, database):
        made = tree(database, "A/B*3, A/B*2")
        result = consolidated(database, made)
        removed = SnapshotRow.objects.using(database).filter(kind="removed")
        assert sum(row.row_count for row in removed) == result.folders_removed == 5

    def test_of_nothing_to_do_are_zeros(self, database):
        result = consolidated(database, tree(database, "A/B(1)"))
        assert (result.status, result.folders_removed, result.files_moved, result.rollback_id) == (
            "completed",
            0,
            0,
            None,
        )
        assert not RollbackPoint.objects.using(database).exists()

    def test_of_a_run_are_the_sums_of_its_results(self, database):
        for _ in range(5):
            tree(database, "A/B(1)*2, A/B(1)")
        report = cleaned(database)
        assert report.total_applications == report.successful_cleanups == len(report.results) == 5
        assert report.total_folders_removed == sum(r.folders_removed for r in report.results) == 15
        assert report.total_files_moved == sum(r.files_moved for r in report.results) == 10
        assert report.total_child_folders_merged == sum(r.child_folders_merged for r in report.results) == 10


class TestDryRun:
    @pytest.fixture
    def mess(self, database):
        """Make applications of every outcome."""
        settled = tree(database, "A/B(1)")
        twice = tree(database, "A/{B(1), gone:B(2)}, A/{B(3), C}")
        tree(database, "R(1), S(1), T*3/U(1)")
        held = tree(database, "A, A")
        stranger = tree(database, "X/strange:Y")
        Hold.objects.using(database).create(application_key=held.application, reason="asked by legal")
        Folder.objects.using(database).filter(pk=stranger["strange"]).update(parent=twice["gone"])
        collides = tree(database, "one:A, two:A")
        for which in ("one", "two"):
            Cover.objects.using(database).create(folder_id=collides[which], picture=which)
        tagged = tree(database, "one:A, two:A")
        tag = Tag.objects.using(database).create(label="urgent")
        tag.folders.set([tagged["one"], tagged["two"]])
        Bookmark._base_manager.using(database).create(folder_id=twice["gone"])
        return settled

    def test_foretells_the_cleanup(self, database, mess):
        service = DatabaseCleanupService(using=database)
        foretold, done = (service.cleanup_all_duplicate_folders(dry_run=dry) for dry in (True, False))
        ignored = {"run_id", "dry_run", "start_time", "end_time", "results", "rollback_points"}
        assert _without(foretold.as_json(), ignored) == _without(done.as_json(), ignored)
        assert [_foretold(r) for r in foretold.results] == [_foretold(r) for r in done.results]
        assert {r.status for r in done.results} == {"completed", "held", "failed"}

    def test_writes_nothing(self, database, mess):
        before = dump(database, own=True)
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders(dry_run=True)
        assert dump(database, own=True) == before

    def test_waits_for_no_writer(self, database, mess):
        holding, done = threading.Event(), threading.Event()

        def hold_everything() -> None:
            with transaction.atomic(using=database):
                Folder.objects.using(database).update(name="busy")
                holding.set()
                done.wait(20)
                transaction.set_rollback(True, using=database)
            connections[database].close()

        writer = threading.Thread(target=hold_everything)
        writer.start()
        try:
            assert holding.wait(20)
            with Impatience(database):
                report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders(dry_run=True)
        finally:
            done.set()
            writer.join()
        assert report.total_folders_removed > 0

    def test_lists_the_columns_in_which_folders_differ(self, database):
        made = tree(database, "A/{B, late:B}, A")
        Folder.objects.using(database).filter(pk=made["late"]).update(updated_at=datetime(2024, 1, 1, tzinfo=UTC))
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders(dry_run=True)
        assert report.results[0].details["differing_columns"] == {"updated_at": 1}

    def test_names_the_root_folder_that_would_stay(self, database):
        made = tree(database, "younger:A@5, older:B@1")
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders(dry_run=True)
        assert report.as_json()["results"][0]["root_folder"] == {"folder_id": made["older"], "name": "B"}

    def test_names_no_root_folder_where_there_is_one(self, database):
        tree(database, "A/{B, B}")
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders(dry_run=True)
        assert report.as_json()["results"][0]["root_folder"] is None

    def test_is_no_run(self, database, mess):
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders(dry_run=True)
        assert (report.run_id, report.dry_run, Run.objects.using(database).count()) == (None, True, 0)


def _without(document: dict, keys: set[str]) -> dict:
    return {key: value for key, value in document.items() if key not in keys}


def _foretold(result) -> dict:
    document = result.as_json()
    document["details"] = _without(document["details"], {"differing_columns"})
    return _without(document, {"rollback_id", "root_folder", "root_folders"})


class Impatience:
    """Have a wait for a lock fail after a moment."""

    def __init__(self, database: str) -> None:
        self.database = database

    def __enter__(self) -> None:
        postgresql = is_postgresql(self.database)
        execute(self.database, "SET lock_timeout = '100ms'" if postgresql else "PRAGMA busy_timeout = 100")

    def __exit__(self, *error) -> None:
        connections[self.database].close()


class TestDifferingColumns:
    def test_are_no_obstacle(self, database):
        made = tree(database, "A, late:A(1)")
        Folder.objects.using(database).filter(pk=made["late"]).update(updated_at=datetime(2024, 1, 1, tzinfo=UTC))
        cleaned(database)
        assert_tree(database, made, "A(1)")

    def test_are_refused_on_demand(self, database, settings):
        settings.CLEANUP_DIFFERING_COLUMNS = "refuse"
        made = tree(database, "A, late:A(1)")
        Folder.objects.using(database).filter(pk=made["late"]).update(updated_at=datetime(2024, 1, 1, tzinfo=UTC))
        with pytest.raises(exceptions.DifferingColumns, match="updated_at"):
            consolidated(database, made)
        assert made.folders == 2

    def test_that_do_not_differ_are_not_refused(self, database, settings):
        settings.CLEANUP_DIFFERING_COLUMNS = "refuse"
        made = tree(database, "A/B, A/B(1)")
        cleaned(database)
        assert_tree(database, made, "A/B(1)")


# --- Set aside


class TestHold:
    @pytest.fixture(autouse=True, params=[100, 1], ids=["among few", "among many"])
    def others(self, request, monkeypatch) -> None:
        monkeypatch.setattr(examine, "FEW_HOLDS", request.param)

    def test_leaves_the_application_alone(self, database):
        held, free = tree(database, "A, A"), tree(database, "A, A")
        DatabaseCleanupService(using=database).hold(held.application, reason="asked by legal")
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert {r.application_id: r.status for r in report.results} == {
            held.application: "held",
            free.application: "completed",
        }
        assert (held.folders, free.folders, report.set_aside) == (2, 1, 1)

    def test_is_said_to_who_asks_for_it_by_name(self, database):
        held = tree(database, "A, A")
        DatabaseCleanupService(using=database).hold(held.application, reason="asked by legal")
        with pytest.raises(exceptions.Held, match="asked by legal"):
            consolidated(database, held)

    def test_may_be_overridden(self, database):
        held = tree(database, "A, A")
        DatabaseCleanupService(using=database).hold(held.application)
        cleaned(database, include_held=True)
        assert held.folders == 1

    def test_ends_when_released(self, database):
        held = tree(database, "A, A")
        service = DatabaseCleanupService(using=database)
        service.hold(held.application)
        service.release(held.application)
        cleaned(database)
        assert held.folders == 1

    def test_forbids_a_write_by_reference_too(self, database):
        for what in ("folder", "file"):
            made = tree(database, "A/{B, gone:B}")
            held = tree(database, "X/strange:Y(strange.pdf)")
            DatabaseCleanupService(using=database).hold(held.application)
            if what == "folder":
                Folder.objects.using(database).filter(pk=held["strange"]).update(parent=made["gone"])
            else:
                File.objects.using(database).filter(pk=held["strange.pdf"]).update(folder=made["gone"])
        before = dump(database)
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert [r.status for r in report.results] == ["held", "held"]
        assert dump(database) == before


class TestLargeApplication:
    def test_is_set_aside(self, database, settings):
        settings.CLEANUP_LARGE_APPLICATION = 3
        large, small = tree(database, "A*4"), tree(database, "A*3")
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert {r.application_id: (r.status, r.error_code) for r in report.results} == {
            large.application: ("skipped", "too_large"),
            small.application: ("completed", ""),
        }
        assert (large.folders, small.folders) == (4, 1)

    def test_is_cleaned_when_asked_for(self, database, settings):
        settings.CLEANUP_LARGE_APPLICATION = 3
        large = tree(database, "A*4")
        cleaned(database, include_large=True)
        assert large.folders == 1

    def test_is_cleaned_when_named(self, database, settings):
        settings.CLEANUP_LARGE_APPLICATION = 3
        large = tree(database, "A*4")
        assert consolidated(database, large).folders_removed == 3


# --- References


class TestReferences:
    def test_of_every_kind_move(self, database, subtests):
        made = tree(database, "stays:A, gone:A")
        gone, stays = made["gone"], made["stays"]
        of_folders, of_files = (
            ContentType.objects.db_manager(database).get_for_model(model.model) for model in (Folder, File)
        )
        Bookmark._base_manager.using(database).create(folder_id=gone)
        Cover.objects.using(database).create(folder_id=gone, picture="x")
        tag = Tag.objects.using(database).create(label="urgent")
        tag.folders.set([gone])
        Watch.objects.using(database).create(watched_id=gone)
        for spelling in spellings(gone):
            Note.objects.using(database).create(content_type=of_folders, object_id=spelling, text="x")
        Scan.objects.using(database).create(about_type=of_folders, about_id=gone)
        Scan.objects.using(database).create(about_type=of_files, about_id=gone)

        cleaned(database)

        with subtests.test("hidden from Django by manager and name"):
            assert [str(b.folder_id) for b in Bookmark._base_manager.using(database).all()] == [stays]
        with subtests.test("one to one"):
            assert [str(c.pk) for c in Cover.objects.using(database).all()] == [stays]
        with subtests.test("many to many"):
            assert [str(folder.pk) for folder in tag.folders.all()] == [stays]
        with subtests.test("without a foreign key"):
            assert [str(w.watched_id) for w in Watch.objects.using(database).all()] == [stays]
        with subtests.test("by a generic key, in every spelling"):
            notes = list(Note.objects.using(database).order_by("pk").values_list("object_id", flat=True))
            assert tuple(notes) == spellings(stays)
        with subtests.test("by a generic UUID, but not one of another type"):
            scans = Scan.objects.using(database)
            assert [str(scan.about_id) for scan in scans.filter(about_type=of_folders)] == [stays]
            assert [str(scan.about_id) for scan in scans.filter(about_type=of_files)] == [gone]

    def test_of_a_file_that_belongs_to_another_application_move(self, database):
        made = tree(database, "stays:A, gone:A")
        other = tree(database, "B(theirs.pdf)")
        File.objects.using(database).filter(pk=other["theirs.pdf"]).update(folder=made["gone"])
        cleaned(database)
        files = File.objects.using(database).filter(pk=other["theirs.pdf"])
        ((folder, application),) = files.values_list("folder", "application")
        assert (str(folder), str(application)) == (made["stays"], other.application)


def _keys(database: str, sql: str) -> list[str]:
    return [str(key).replace("-", "") for (key,) in fetch(database, sql)]


class TestTableUnknownToDjango:
    def test_that_would_cascade_loses_nothing(self, scratch_database):
        execute(
            scratch_database,
            "CREATE TABLE audit (id integer PRIMARY KEY, note text,"
            f" subject {key_type(scratch_database)} REFERENCES :folders ON DELETE CASCADE)",
        )
        made = tree(scratch_database, "stays:A, gone:A/B, A/B")
        for number in range(10):
            execute(
                scratch_database,
                "INSERT INTO audit VALUES (%s, %s, %s)",
                number,
                "100% 'x'",
                raw(scratch_database, made["gone"]),
            )
        cleaned(scratch_database)
        assert _keys(scratch_database, "SELECT subject FROM audit") == [made["stays"].replace("-", "")] * 10

    def test_that_only_one_application_of_a_batch_uses_moves_for_it(self, scratch_database):
        execute(
            scratch_database,
            "CREATE TABLE audit (id integer PRIMARY KEY,"
            f" subject {key_type(scratch_database)} UNIQUE REFERENCES :folders ON DELETE CASCADE)",
        )
        made = tree(scratch_database, "stays:A, gone:A")
        tree(scratch_database, "A, A")
        execute(scratch_database, "INSERT INTO audit VALUES (1, %s)", raw(scratch_database, made["gone"]))
        before = dump(scratch_database)
        service = DatabaseCleanupService(using=scratch_database)
        report = service.cleanup_all_duplicate_folders()
        assert _keys(scratch_database, "SELECT subject FROM audit") == [made["stays"].replace("-", "")]
        service.rollback_cleanup(report.run_id)
        assert dump(scratch_database) == before

    def test_whose_key_contains_the_folder_moves_with_what_references_it(self, scratch_database):
        uuid = key_type(scratch_database)
        execute(
            scratch_database,
            f"CREATE TABLE shelf (subject {uuid} NOT NULL REFERENCES :folders, place integer NOT NULL,"
            " PRIMARY KEY (subject, place))",
        )
        execute(
            scratch_database,
            f"CREATE TABLE binder (id integer PRIMARY KEY, subject {uuid} NOT NULL, place integer NOT NULL,"
            " FOREIGN KEY (subject, place) REFERENCES shelf (subject, place))",
        )
        made = tree(scratch_database, "stays:A, gone:A")
        gone = raw(scratch_database, made["gone"])
        for place in (1, 2):
            execute(scratch_database, "INSERT INTO shelf VALUES (%s, %s)", gone, place)
            execute(scratch_database, "INSERT INTO binder VALUES (%s, %s, %s)", place, gone, place)
        before = dump(scratch_database)
        result = consolidated(scratch_database, made)
        stays = made["stays"].replace("-", "")
        assert _keys(scratch_database, "SELECT subject FROM shelf") == [stays, stays]
        assert _keys(scratch_database, "SELECT subject FROM binder") == [stays, stays]
        DatabaseCleanupService(using=scratch_database).rollback_cleanup(result.rollback_id)
        assert dump(scratch_database) == before

    def test_without_a_key_stops_the_run_naming_it(self, scratch_database):
        execute(
            scratch_database,
            f"CREATE TABLE keyless (subject {key_type(scratch_database)} REFERENCES :folders, note text)",
        )
        made = tree(scratch_database, "stays:A, gone:A")
        execute(scratch_database, "INSERT INTO keyless VALUES (%s, 'x')", raw(scratch_database, made["gone"]))
        with pytest.raises(exceptions.PreflightFailed, match="keyless"):
            DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
        assert made.folders == 2

    def test_without_a_key_is_no_obstacle_while_its_rows_stay(self, scratch_database):
        execute(
            scratch_database,
            f"CREATE TABLE keyless (subject {key_type(scratch_database)} REFERENCES :folders, note text)",
        )
        settled, made = tree(scratch_database, "here:A"), tree(scratch_database, "A, A")
        execute(scratch_database, "INSERT INTO keyless VALUES (%s, 'x')", raw(scratch_database, settled["here"]))
        cleaned(scratch_database)
        assert made.folders == 1

    def test_without_a_key_refuses_an_application_whose_rows_came_late(self, scratch_database, monkeypatch):
        monkeypatch.setattr(readiness, "blocking_rows", lambda **_: [])
        execute(
            scratch_database,
            f"CREATE TABLE keyless (subject {key_type(scratch_database)} REFERENCES :folders, note text)",
        )
        late, free = tree(scratch_database, "A, gone:A"), tree(scratch_database, "A, A")
        execute(scratch_database, "INSERT INTO keyless VALUES (%s, 'x')", raw(scratch_database, late["gone"]))
        report = DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
        assert {r.application_id: r.error_code for r in report.results} == {
            late.application: "unkeyed_rows",
            free.application: "",
        }
        assert (late.folders, free.folders) == (2, 1)


class TestCollision:
    @pytest.fixture
    def covered(self, database):
        made = tree(database, "stays:A, first:A@5(1), second:A@6")
        for which in ("second", "first"):
            Cover.objects.using(database).create(folder_id=made[which], picture=which)
        return made

    def test_is_refused_before_anything_is_written(self, database, covered):
        before = dump(database)
        with pytest.raises(exceptions.Collision, match="hostapp_cover"):
            consolidated(database, covered)
        assert dump(database) == before

    def test_keeps_the_row_of_the_earlier_folder_on_demand(self, database, covered, settings):
        settings.CLEANUP_COLLISIONS = {"hostapp_cover": "keep_survivor"}
        cleaned(database)
        assert [(str(c.pk), c.picture) for c in Cover.objects.using(database).all()] == [(covered["stays"], "first")]

    def test_keeps_the_row_of_the_folder_that_stays(self, database, covered, settings):
        settings.CLEANUP_COLLISIONS = {"hostapp_cover": "keep_survivor"}
        Cover.objects.using(database).create(folder_id=covered["stays"], picture="own")
        cleaned(database)
        assert [c.picture for c in Cover.objects.using(database).all()] == ["own"]

    def test_counts_what_was_removed(self, database, covered, settings):
        settings.CLEANUP_COLLISIONS = {"hostapp_cover": "keep_survivor"}
        result = consolidated(database, covered)
        assert result.details["removed"] == {label(database, "hostapp_cover"): 1}

    def test_is_undone_with_the_rest(self, database, covered, settings):
        settings.CLEANUP_COLLISIONS = {"hostapp_cover": "keep_survivor"}
        before = dump(database)
        result = consolidated(database, covered)
        DatabaseCleanupService(using=database).rollback_cleanup(result.rollback_id)
        assert dump(database) == before

    def test_of_an_exact_twin_goes_without_asking(self, database):
        made = tree(database, "stays:A, one:A, two:A")
        tag = Tag.objects.using(database).create(label="urgent")
        tag.folders.set([made["one"], made["two"]])
        before = dump(database)
        result = consolidated(database, made)
        assert [str(folder.pk) for folder in tag.folders.all()] == [made["stays"]]
        DatabaseCleanupService(using=database).rollback_cleanup(result.rollback_id)
        assert dump(database) == before

    def test_is_a_matter_of_one_application(self, database, covered):
        free = tree(database, "A, A")
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert {r.application_id: r.status for r in report.results} == {
            covered.application: "failed",
            free.application: "completed",
        }

    def test_never_lets_a_file_go(self, scratch_database, settings):
        execute(scratch_database, "CREATE UNIQUE INDEX one_name_each ON :files (:files.folder, :files.name)")
        settings.CLEANUP_COLLISIONS = {named(":files"): "keep_survivor"}
        made = tree(scratch_database, "A(x.pdf), A(x.pdf)")
        with pytest.raises(exceptions.CleanupError):
            consolidated(scratch_database, made)
        assert File.objects.using(scratch_database).count() == 2

    def test_in_a_partial_or_expression_index_is_seen(self, scratch_database):
        execute(
            scratch_database,
            f"CREATE TABLE pin (id integer PRIMARY KEY, subject {key_type(scratch_database)}"
            " REFERENCES :folders, label text, gone integer)",
        )
        execute(scratch_database, "CREATE UNIQUE INDEX pin_once ON pin (subject, lower(label)) WHERE gone = 0")
        made, harmless = tree(scratch_database, "one:A, two:A"), tree(scratch_database, "one:A, two:A")
        rows = [(made["one"], "X", 0), (made["two"], "x", 0), (harmless["one"], "X", 0), (harmless["two"], "x", 1)]
        for number, (folder, text, gone) in enumerate(rows):
            execute(
                scratch_database,
                "INSERT INTO pin VALUES (%s, %s, %s, %s)",
                number,
                raw(scratch_database, folder),
                text,
                gone,
            )
        report = DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
        assert {r.application_id: r.status for r in report.results} == {
            made.application: "failed",
            harmless.application: "completed",
        }


class TestOneBadApplication:
    def test_does_not_hold_back_another(self, scratch_database, settings):
        """The database itself refuses the write, in the middle of a batch, by what cannot be foreseen."""
        settings.CLEANUP_TRIGGERS = "fire"
        reference = f"subject {key_type(scratch_database)} REFERENCES :folders"
        execute(scratch_database, f"CREATE TABLE picky (id integer PRIMARY KEY, {reference})")
        if is_postgresql(scratch_database):
            body = "'BEGIN RAISE check_violation; END'"
            execute(scratch_database, f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS {body}")
            what = "FOR EACH ROW EXECUTE FUNCTION refuse()"
        else:
            what = "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        execute(scratch_database, f"CREATE TRIGGER refuse BEFORE UPDATE ON picky {what}")
        made = [tree(scratch_database, "stays:A(1), gone:A(1)/B*2") for _ in range(5)]
        bad = made[2]
        execute(scratch_database, "INSERT INTO picky VALUES (1, %s)", raw(scratch_database, bad["gone"]))
        report = DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders()
        assert [(r.application_id, r.error_code != "") for r in report.results if r.status == "failed"] == [
            (bad.application, True)
        ]
        assert [one.folders for one in made] == [2, 2, 4, 2, 2]
        assert (report.successful_cleanups, report.failed_cleanups) == (4, 1)
        assert Result.objects.using(scratch_database).get(status="failed").error_class == "data"


# --- One application by name


class TestOneApplication:
    def test_is_consolidated_beside_an_active_run(self, database):
        made = tree(database, "A, A(1)")
        active = lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        assert consolidated(database, made).folders_removed == 1
        assert lifecycle.active_cleanup(using=database).pk == active.pk

    def test_is_not_done_again_by_that_run(self, database):
        made = tree(database, "A, A(1)")
        active = lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        consolidated(database, made)
        report = DatabaseCleanupService(using=database).resume(active.pk)
        assert [(r.status, r.folders_removed) for r in report.results] == [("completed", 0)]

    def test_refuses_a_second_whole_run(self, database):
        tree(database, "A, A(1)")
        active = lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        with pytest.raises(exceptions.Busy, match=str(active.pk)):
            DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()

    def test_is_done_once_if_two_do_it_at_once(self, database):
        made = tree(database, "A/B(1), A/B(1), A/C")
        start, results = threading.Barrier(2), []

        def work() -> None:
            start.wait(20)
            results.append(consolidated(database, made))
            connections[database].close()

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(result.folders_removed for result in results) == [0, 3]
        assert_tree(database, made, "A/{B(2), C}")

    def test_must_exist(self, database):
        with pytest.raises(exceptions.UnknownObject):
            DatabaseCleanupService(using=database).consolidate_duplicate_folders(new_key(Application))

    def test_must_be_named_by_a_key(self, database):
        with pytest.raises(exceptions.InvalidKey):
            DatabaseCleanupService(using=database).consolidate_duplicate_folders("7'; --")

    def test_is_not_touched_while_frozen(self, database):
        made = tree(database, "A, A")
        DatabaseCleanupService(using=database).freeze(reason="audit week")
        with pytest.raises(exceptions.Frozen, match="audit week"):
            consolidated(database, made)
        assert made.folders == 2

    def test_gone_meanwhile_is_skipped(self, database):
        made, gone = tree(database, "A, A"), tree(database, "A, A")
        active = lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        with unchecked(database):
            Application.objects.using(database).filter(pk=gone.application).delete()
        report = DatabaseCleanupService(using=database).resume(active.pk)
        assert {r.application_id: r.status for r in report.results} == {
            made.application: "completed",
            gone.application: "skipped",
        }

    def test_leaves_all_others_alone(self, database):
        made, other = tree(database, "A, A"), tree(database, "A, A(1)/B")
        consolidated(database, made)
        assert_tree(database, other, "A, A(1)/B")

    def test_named_among_others_is_cleaned_with_them_alone(self, database):
        made = [tree(database, "A, A") for _ in range(3)]
        report = cleaned(database, applications=[made[0].application, made[2].application])
        assert (report.total_applications, [one.folders for one in made]) == (2, [1, 2, 1])

    def test_is_worked_in_a_transaction_that_is_proved(self, database, monkeypatch):
        """Were a step forgotten, the proof would undo the merge."""
        made = tree(database, "A, gone:A")
        Watch.objects.using(database).create(watched_id=made["gone"])
        move = apply.Merger._move

        def forgetful(self, step, batch):
            if any(reference.table.name == "hostapp_watch" for reference in step.references):
                return []
            return move(self, step, batch)

        monkeypatch.setattr(apply.Merger, "_move", forgetful)
        before = dump(database)
        with pytest.raises(exceptions.ProofFailed, match="hostapp_watch"):
            consolidated(database, made)
        assert dump(database) == before
        assert not RollbackPoint.objects.using(database).exists()


class TestForwardingAddress:
    def test_leads_to_the_survivor(self, database):
        made = tree(database, "stays:A/kept:B, gone:A/merged:B")
        cleaned(database)
        resolve = DatabaseCleanupService(using=database).resolve_folder
        assert (resolve(made["gone"]), resolve(made["merged"])) == (made["stays"], made["kept"])

    def test_follows_later_merges(self, database):
        made = tree(database, "first:A@5, gone:A@6")
        cleaned(database)
        tree(database, "older:B@1", application=made.application)
        cleaned(database)
        (last,) = Folder.objects.using(database).filter(application=made.application)
        assert DatabaseCleanupService(using=database).resolve_folder(made["gone"]) == str(last.pk)

    def test_is_of_any_spelling(self, database):
        made = tree(database, "stays:A, gone:A")
        cleaned(database)
        resolve = DatabaseCleanupService(using=database).resolve_folder
        assert {resolve(spelling) for spelling in spellings(made["gone"])} == {made["stays"]}

    def test_is_none_for_a_folder_that_stands(self, database):
        made = tree(database, "stays:A, gone:A")
        cleaned(database)
        assert DatabaseCleanupService(using=database).resolve_folder(made["stays"]) is None

    def test_is_none_for_an_unknown_folder(self, database):
        assert DatabaseCleanupService(using=database).resolve_folder(new_key()) is None

    def test_ends_with_the_rollback(self, database):
        made = tree(database, "stays:A, gone:A")
        result = consolidated(database, made)
        service = DatabaseCleanupService(using=database)
        service.rollback_cleanup(result.rollback_id)
        assert service.resolve_folder(made["gone"]) is None

    def test_is_refused_to_a_malformed_id(self, database):
        with pytest.raises(exceptions.InvalidKey):
            DatabaseCleanupService(using=database).resolve_folder("not\0a key")


class TestTriggersThatFire:
    BODY = "NEW.:files.name := NEW.:files.name || '!'; RETURN NEW;"
    SQL = {
        "sqlite": (
            (
                "CREATE TRIGGER shout AFTER UPDATE OF :files.folder ON :files BEGIN"
                " UPDATE :files SET :files.name = :files.name || '!' WHERE :files.key = NEW.:files.key; END"
            ),
        ),
        "postgresql": (
            f"CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {BODY} END $$",
            "CREATE TRIGGER shout BEFORE UPDATE ON :files FOR EACH ROW EXECUTE FUNCTION shout()",
        ),
    }

    def test_leave_an_image_of_the_row_before(self, scratch_database, settings):
        settings.CLEANUP_TRIGGERS = "fire"
        for statement in self.SQL[connections[scratch_database].vendor]:
            execute(scratch_database, statement)
        made = tree(scratch_database, "A, A(letter.txt)")
        service = DatabaseCleanupService(using=scratch_database)
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        row = SnapshotRow.objects.using(scratch_database).get(point__uuid=point, kind="moved")
        (((before, _),),) = json.loads(row.images)
        assert "letter.txt" in " ".join(cell or "" for cell in before)
        assert File.objects.using(scratch_database).values_list("filename", flat=True).get() == "letter.txt!"

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE :folders SET :folders.name = 'same' WHERE :folders.parent IS NOT NULL;",
            "UPDATE :folders SET :folders.parent = :folders.key WHERE :folders.name = 'C';",
        ],
        ids=["make new twins", "put a folder out of reach"],
    )
    def test_that_spoil_the_tree_undo_the_merge(self, scratch_database, settings, change):
        settings.CLEANUP_TRIGGERS = "fire"
        postgresql = (
            f"CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {change} RETURN NULL; END $$",
            "CREATE TRIGGER spoil AFTER UPDATE ON :files FOR EACH ROW EXECUTE FUNCTION spoil()",
        )
        sqlite = (f"CREATE TRIGGER spoil AFTER UPDATE OF :files.folder ON :files BEGIN {change} END",)
        for statement in postgresql if connections[scratch_database].vendor == "postgresql" else sqlite:
            execute(scratch_database, statement)
        made = tree(scratch_database, "A/{B, C}, A(letter.txt)")
        before = dump(scratch_database)
        with pytest.raises(exceptions.ProofFailed):
            DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders(made.application)
        assert dump(scratch_database) == before


class TestABatch:
    def test_does_not_take_what_is_wrong_with_one_application_for_another(self, scratch_database):
        """One is held by a file that it holds for another, and has a collision besides; its neighbour is merged."""
        database = scratch_database
        execute(database, "CREATE UNIQUE INDEX one ON hostapp_note (content_type_id, object_id)")
        first, second, other = (
            tree(database, "A, A(x.pdf)"),
            tree(database, "kept:A, gone:A(y.pdf)"),
            tree(database, ""),
        )
        folders = ContentType.objects.db_manager(database).get_for_model(Folder.model)
        for place in ("kept", "gone"):
            Note.objects.using(database).create(content_type=folders, object_id=second[place], text="")
        execute(
            database,
            "UPDATE :files SET :files.application = %s WHERE :files.name = 'y.pdf'",
            raw(database, other.application, Application),
        )
        service = DatabaseCleanupService(using=database)
        service.hold(other.application)
        report = service.cleanup_all_duplicate_folders()
        statuses = {result.application_id: result.status for result in report.results}
        assert statuses[first.application] == "completed"
        assert statuses[second.application] != "completed"


#: Of merging one small application, by database, without those that begin, pin and end transactions.
MOST_STATEMENTS = {"postgresql": 72, "sqlite": 93}


def recording(statements: list[str]):
    """Return a wrapper of the connection's execution that records the statements."""

    def record(execute, sql, *rest):
        statements.append(sql)
        return execute(sql, *rest)

    return record


class TestItsStatements:
    @pytest.mark.mapped_models("the statements depend on what refers to folders")
    def test_are_few(self, database):
        """Each is a round trip, for people behind a network and in the test suite."""
        service = DatabaseCleanupService(using=database)
        service.consolidate_duplicate_folders(tree(database, "A(1), A(1)").application)  # reads the catalogue
        made = tree(database, "A(1), A/B(1), A/B(1)")
        statements = []
        with connections[database].execute_wrapper(recording(statements)):
            service.consolidate_duplicate_folders(made.application)
        assert len(statements) <= MOST_STATEMENTS[connections[database].vendor]

    def test_look_for_late_arrivals_in_all_tables_at_once(self, database):
        made = tree(database, "A(1), A(1)")
        statements = []
        with connections[database].execute_wrapper(recording(statements)):
            consolidated(database, made)
        is_page = ('FROM "cleanup_removedfolder"', "LIMIT")
        (page,) = (n for n, sql in enumerate(statements) if all(part in sql for part in is_page))
        assert not any("cleanup_snapshotrow" in sql for sql in statements[page:])
