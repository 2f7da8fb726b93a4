"""Undo as copies: nothing comes back as a duplicate, and nothing that people did since gives way.

What comes back how does not depend on the guards, so most tests do without; the last ones have them in place.
"""

import io
from operator import ne

import pytest
from django.core.management import call_command

from cleanup import exceptions
from cleanup.guard_names import MADE_BY, Guard
from cleanup.models import Hold, Result, RollbackPoint, Run
from cleanup.services import DatabaseCleanupService
from cleanup.signals import merge_undone
from tests.hostapp.models import Bookmark, Tag
from tests.integration.rollback.test_undo import clean, undo
from tests.integration.runs.test_lifecycle import once
from tests.integration.services.test_signals import heard
from tests.support import databases
from tests.support.model_roles import File, Folder
from tests.support.trees import Tree, assert_tree, dump, execute, fetch, named, tree


def service_of(database: str) -> DatabaseCleanupService:
    return DatabaseCleanupService(using=database)


def copied(database: str, made: Tree, **options):
    """Merge, and bring back as copies."""
    return undo(database, clean(database, made), as_copies=True, **options)


def copies_of(result, made: Tree) -> dict[str, tuple[bool, str | None]]:
    """Return whether renamed and where to, by label."""
    labels = {key: label for label, key in made.keys.items()}
    return {labels[c.folder_id]: (c.renamed, c.parent_id and labels[c.parent_id]) for c in result.copies}


#: Before, and after.
PLACES = {
    "a_second_root_under_the_root_that_stays": (
        "top:Loan/{Docs(2), a:A}, gone:Loan/d:Docs(1)",
        'top:Loan/{Docs(2), a:A, gone:"Loan (restored)"/d:Docs(1)}',
    ),
    "a_root_of_another_name": (
        "top:Loan/A, gone:Mortgage(1)/b:B(1)",
        'top:Loan/{A, gone:"Mortgage (restored)"(1)/b:B(1)}',
    ),
    "twins_beside_the_one_that_stays": (
        "Loan/{stays:Docs(2)/A, gone:Docs(1)/b:B, C}",
        'Loan/{stays:Docs(2)/A, gone:"Docs (restored)"(1)/b:B, C}',
    ),
    "several_with_a_number_each": (
        "Loan/A, b:Loan, c:Loan, d:Loan",
        'Loan/{A, b:"Loan (restored)", c:"Loan (restored 2)", d:"Loan (restored 3)"}',
    ),
    "what_is_below_in_its_place": (
        "Loan/{A/B, C}, gone:Loan/{one:A(1)/{two:B(1), D}, two_c:C}",
        'Loan/{A/B, C, gone:"Loan (restored)"/{one:A(1)/{two:B(1), D}, two_c:C}}',
    ),
    "twins_below_a_copy": (
        "Loan, gone:Loan/{first:Docs(1), second:Docs(2)}",
        'Loan/gone:"Loan (restored)"/{first:Docs(1), second:"Docs (restored)"(2)}',
    ),
    "twins_that_are_both_gone": (
        "Loan/Docs@1(1), gone:Loan/{first:Docs(1), second:Docs(2)}",
        'Loan/{Docs(1), gone:"Loan (restored)"/{first:Docs(1), second:"Docs (restored)"(2)}}',
    ),
    "a_name_that_is_free_however_names_are_compared": (
        'Loan/{Docs, gone:Docs(1), "Docs (restored)", "DOCS (Restored 2)"}',
        'Loan/{Docs, gone:"Docs (restored 3)"(1), "Docs (restored)", "DOCS (Restored 2)"}',
    ),
    "a_blank_name": ('Loan/{" "(1), gone:" "(2)}', 'Loan/{" "(1), gone:"(restored)"(2)}'),
    "a_long_name": (
        f"Loan/{{{'x' * 255}, gone:{'x' * 255}(1), last:{'x' * 255}}}",
        f'Loan/{{{"x" * 255}, gone:"{"x" * 244} (restored)"(1), last:"{"x" * 242} (restored 2)"}}',
    ),
}


class TestCopies:
    def test_have_names_and_places_of_their_own(self, database, subtests):
        made = {name: tree(database, before) for name, (before, _) in PLACES.items()}
        run = service_of(database).cleanup_all_duplicate_folders().run_id
        result = undo(database, run, as_copies=True)
        assert (bool(result), result.exact, result.successful) == (True, False, len(PLACES))
        for name, (_, after) in PLACES.items():
            with subtests.test(name):
                assert_tree(database, made[name], after)
                of_it = [copy for copy in result.copies if copy.application_id == made[name].application]
                assert len(of_it) == after.count(':"')

    def test_are_told_with_what_became_of_them(self, database):
        made = tree(database, "top:Loan/{x:X, y:X(1)}, gone:Mortgage/z:Z")
        result = copied(database, made)
        assert copies_of(result, made) == {"gone": (True, "top"), "y": (True, None)}
        assert (bool(result), result.exact) == (True, False)

    def test_have_their_references_again(self, database):
        made = tree(database, "stays:A, gone:A/B, A/B")
        bookmark = Bookmark._base_manager.using(database).create(folder_id=made["gone"])
        tag = Tag.objects.using(database).create(label="urgent")
        tag.folders.set([made["gone"], made["stays"]])
        was = dump(database)
        copied(database, made)
        assert str(Bookmark._base_manager.using(database).get(pk=bookmark.pk).folder_id) == made["gone"]
        assert {str(folder.pk) for folder in tag.folders.all()} == {made["gone"], made["stays"]}
        differing = {table for table, rows in dump(database).items() if rows != was[table]}
        assert differing == {named(":folders")}

    def test_differ_in_name_and_parent_alone(self, scratch_database):
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN weight double precision")
        made = tree(scratch_database, "top:Loan, gone:Loan")
        execute(scratch_database, "UPDATE :folders SET weight = %s", 0.1 + 0.2)
        rows = "SELECT * FROM :folders ORDER BY :folders.created"
        was = fetch(scratch_database, rows)
        copied(scratch_database, made)
        now = fetch(scratch_database, rows)
        changed = [sum(map(ne, *pair)) for pair in zip(was, now, strict=True)]
        assert changed == [0, 2]

    def test_leave_a_nested_root_folder_nested(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "nest"
        made = tree(database, "top:A, other:B(1), gone:A(1)")
        result = copied(database, made)
        assert_tree(database, made, 'top:A/{other:B(1), gone:"A (restored)"(1)}')
        assert copies_of(result, made) == {"gone": (True, "top"), "other": (False, "top")}

    def test_of_roots_lie_under_the_root_of_their_name_where_others_are_kept(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "keep"
        made = tree(database, "A, top:B(1), gone:B(2)/C")
        result = copied(database, made)
        assert_tree(database, made, 'A, top:B(1)/gone:"B (restored)"(2)/C')
        assert copies_of(result, made) == {"gone": (True, "top")}

    def test_pass_the_verification_and_are_merged_by_nobody_who_finds_other_names(self, database):
        made = tree(database, "Loan/{Docs(1), Docs(2)/A}, Loan/{Docs, A}")
        copied(database, made)
        assert service_of(database).verify_cleanup_integrity()["verification_passed"]
        service_of(database).release(made.application)
        assert service_of(database).cleanup_all_duplicate_folders().total_applications == 0

    def test_are_found_by_their_old_ids(self, database):
        made = tree(database, "stays:Loan, gone:Loan")
        point = clean(database, made)
        assert service_of(database).resolve_folder(made["gone"]) == made["stays"]
        undo(database, point, as_copies=True)
        assert service_of(database).resolve_folder(made["gone"]) is None  # it leads nowhere else
        assert Folder.objects.using(database).filter(pk=made["gone"]).exists()

    def test_go_around_what_is_in_the_trash(self, scratch_database, settings):
        settings.CLEANUP_FOLDER_LIVE = {"binned": 0}
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN binned integer NOT NULL DEFAULT 0")
        made = tree(scratch_database, 'Bin, Loan/{Docs, gone:Docs(1), "Docs (restored)", X}')
        bins = ("Bin", "Docs (restored)", "X")
        binned = "UPDATE :folders SET binned = 1 WHERE :folders.name IN (%s, %s, %s)"
        execute(scratch_database, binned, *bins)
        copied(scratch_database, made)
        assert_tree(scratch_database, made, 'Bin, Loan/{Docs, gone:"Docs (restored)"(1), "Docs (restored)", X}')


class TestNothingForbidden:
    """Where no one would be a duplicate, the undo is exact."""

    def test_since_the_name_is_free_by_now(self, database):
        made = tree(database, "Loan/{stays:Docs(1), gone:Docs(2)}")
        point = clean(database, made)
        Folder.objects.using(database).filter(pk=made["stays"]).update(name="Papers")
        assert undo(database, point, as_copies=True).exact
        assert_tree(database, made, "Loan/{stays:Papers(1), gone:Docs(2)}")

    def test_since_roots_of_other_names_are_kept_by_now(self, database, settings):
        for different_roots in ("merge", "nest"):
            settings.CLEANUP_DIFFERENT_ROOTS = different_roots
            made = tree(database, "A(1), B(2)")
            point = clean(database, made)
            settings.CLEANUP_DIFFERENT_ROOTS = "keep"
            assert undo(database, point, as_copies=True).exact
            assert_tree(database, made, "A(1), B(2)")

    def test_since_the_root_folder_is_in_the_trash(self, scratch_database, settings):
        settings.CLEANUP_FOLDER_LIVE = {"binned": 0}
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN binned integer NOT NULL DEFAULT 0")
        made = tree(scratch_database, "stays:Loan(1), gone:Loan(2), more:Loan")
        point = clean(scratch_database, made)
        execute(scratch_database, "UPDATE :folders SET binned = 1")
        undo(scratch_database, point, as_copies=True)
        assert_tree(scratch_database, made, 'stays:Loan(1), gone:Loan(2)/more:"Loan (restored)"')

    def test_since_the_root_folder_above_a_nested_one_is_in_the_trash(self, scratch_database, settings):
        settings.CLEANUP_FOLDER_LIVE = {"binned": 0}
        settings.CLEANUP_DIFFERENT_ROOTS = "nest"
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN binned integer NOT NULL DEFAULT 0")
        made = tree(scratch_database, "stays:A(1), B(1)")
        point = clean(scratch_database, made)
        execute(scratch_database, "UPDATE :folders SET binned = 1 WHERE :folders.name = 'A'")
        assert undo(scratch_database, point, as_copies=True).exact
        assert_tree(scratch_database, made, "stays:A(1), B(1)")


class TestWhatPeopleDidSince:
    def test_is_compared_first(self, database):
        made = tree(database, "stays:A/aside:C, gone:A(x.pdf, y.pdf)")
        point = clean(database, made)
        File.objects.using(database).filter(pk=made["x.pdf"]).update(folder=made["aside"])
        before = dump(database, own=True)
        with pytest.raises(exceptions.RollbackConflict):
            undo(database, point, as_copies=True)
        assert dump(database, own=True) == before
        result = undo(database, point, as_copies=True, skip_conflicts=True)
        assert_tree(database, made, 'stays:A/{aside:C(x.pdf), gone:"A (restored)"(y.pdf)}')
        assert ([c.code for c in result.conflicts], len(result.copies)) == (["changed"], 1)

    def test_keeps_its_names(self, database):
        made = tree(database, "Loan/{stays:Docs, gone:Docs(1), other:X}")
        point = clean(database, made)
        Folder.objects.using(database).filter(pk=made["stays"]).update(name="Papers")
        Folder.objects.using(database).filter(pk=made["other"]).update(name="Docs")
        undo(database, point, as_copies=True)
        assert_tree(database, made, 'Loan/{stays:Papers, gone:"Docs (restored)"(1), other:Docs}')

    def test_keeps_an_id_that_was_given_anew(self, database):
        made = tree(database, "A(x.pdf), gone:A(y.pdf)")
        point = clean(database, made)
        Folder.objects.using(database).create(id=made["gone"], name="Imported", application_id=made.application)
        with pytest.raises(exceptions.RollbackConflict):
            undo(database, point, as_copies=True)
        result = undo(database, point, as_copies=True, skip_conflicts=True)
        assert_tree(database, made, "A(x.pdf), gone:Imported(y.pdf)")
        assert result.copies == ()

    def test_is_passed_over_where_the_place_is_gone(self, database):
        made = tree(database, "top:A/mid:M/{stays:B, gone:B(x.pdf)}")
        point = clean(database, made)
        Folder.objects.using(database).filter(pk=made["stays"]).update(parent=made["top"])
        Folder.objects.using(database).filter(pk=made["mid"]).delete()
        result = undo(database, point, as_copies=True, skip_conflicts=True)
        assert_tree(database, made, "top:A/stays:B(x.pdf)")
        assert ({c.code for c in result.conflicts}, result.copies) == ({"missing_target"}, ())

    def test_makes_no_cycle_of_a_root_folder_put_below(self, database):
        made = tree(database, "stays:Loan/A, gone:Loan/{A(1), moved:B}")
        point = clean(database, made)
        (top,) = tree(database, "new:Top@9", application=made.application).keys.values()
        Folder.objects.using(database).filter(pk=made["stays"]).update(parent=top)
        undo(database, point, as_copies=True)
        assert_tree(database, made, 'Top/{stays:Loan/A, gone:"Loan (restored)"/{A(1), moved:B}}')


class TestRecord:
    def test_is_of_a_point_that_is_not_exact_and_has_no_names(self, database, subtests):
        made = tree(database, "top:Loan/{Secret, second:Secret}, gone:Loan")
        point = clean(database, made)
        with heard(merge_undone) as events:
            undo(database, point, as_copies=True, reason="wrong customer", started_by="anna")
        stored = RollbackPoint.objects.using(database).get(uuid=point)
        assert (stored.status, stored.exact, stored.ended_by) == ("rolled_back", False, "anna")
        of_all = {"application_id": made.application, "renamed": True}
        copies = [
            {**of_all, "folder_id": made["gone"], "parent_id": made["top"]},
            {**of_all, "folder_id": made["second"], "parent_id": None},
        ]
        assert sorted(stored.outcome["copies"], key=str) == sorted(copies, key=str)
        assert "Secret" not in str(stored.outcome)
        assert Result.objects.using(database).get(point__uuid=point).status == "rolled_back"
        with subtests.test("the application is on hold"):
            assert Hold.objects.using(database).get().application_key == made.application
        with subtests.test("hosts are told as of any undo"):
            (removed,) = [event["removed_to_survivor"] for event in events]
            assert removed.keys() == {made["gone"], made["second"]}
            assert removed[made["gone"]] == made["top"]
        with subtests.test("it happens once"), pytest.raises(exceptions.AlreadyRolledBack):
            undo(database, point)

    def test_counts_what_is_left_out(self, database, monkeypatch):
        monkeypatch.setattr("cleanup.conf.list_limit", lambda: 2)
        result = copied(database, tree(database, "Loan*6"))
        assert (len(result.copies), result.copies_left_out) == (2, 3)


class TestPreview:
    def test_tells_the_copies_and_changes_nothing(self, database):
        made = tree(database, "top:Loan/Docs(1), gone:Loan/twin:Docs(1)")
        point = clean(database, made)
        before = dump(database, own=True)
        preview = service_of(database).preview_rollback(point, as_copies=True)
        assert dump(database, own=True) == before
        assert (preview.status, copies_of(preview, made)) == ("preview", {"gone": (True, "top")})
        assert preview.copies == undo(database, point, as_copies=True).copies

    def test_of_a_run_tells_those_of_all(self, database):
        for _ in range(3):
            tree(database, "Loan, Loan")
        run = service_of(database).cleanup_all_duplicate_folders().run_id
        assert len(service_of(database).preview_rollback(run, as_copies=True).copies) == 3


class TestAgain:
    """A copy is a folder like any other."""

    def test_is_merged_when_it_is_renamed(self, database):
        made = tree(database, "Loan/{stays:Docs(1), gone:Docs(2)}")
        copied(database, made)
        service_of(database).release(made.application)
        Folder.objects.using(database).filter(pk=made["gone"]).update(name="Docs")
        before = dump(database)
        point = clean(database, made)
        assert_tree(database, made, "Loan/stays:Docs(3)")
        assert undo(database, point).exact
        assert dump(database) == before

    def test_bears_one_suffix_when_it_comes_back_once_more(self, database):
        made = tree(database, "Loan/{Docs, gone:Docs(1)}")
        copied(database, made)
        service_of(database).release(made.application)
        tree(database, '"Docs (restored)"@1', application=made.application)
        root, copy = (Folder.objects.using(database).filter(name=name) for name in ("Loan", "Docs (restored)"))
        copy.filter(parent=None).update(parent=root.get().pk)
        undo(database, clean(database, made), as_copies=True)
        assert_tree(database, made, 'Loan/{Docs, "Docs (restored)", gone:"Docs (restored 2)"(1)}')

    def test_an_older_cleanup_can_be_undone_after_it(self, database):
        made = tree(database, "first:A@5/x:X, gone:A@6/{x2:X(1), y:Y(1)}")
        older = clean(database, made)
        later = tree(database, "top:A@1/z:X(1)", application=made.application)
        newer = clean(database, made)
        with pytest.raises(exceptions.Superseded):
            undo(database, older, as_copies=True)
        undo(database, newer, as_copies=True)
        undo(database, older, as_copies=True)
        everything = Tree(database, made.application, made.keys | later.keys)
        assert_tree(
            database,
            everything,
            'top:A/{z:X(1), first:"A (restored)"/x:X, gone:"A (restored 2)"/{x2:X(1), y:Y(1)}}',
        )

    def test_an_older_cleanup_can_be_undone_exactly_after_it(self, database):
        made = tree(database, "first:A@5/x:X, gone:A@6/{x2:X(1), y:Y(1)}")
        older = clean(database, made)
        later = tree(database, "top:A@1/z:X(1)", application=made.application)
        undo(database, clean(database, made), as_copies=True)
        assert undo(database, older).exact
        everything = Tree(database, made.application, made.keys | later.keys)
        assert_tree(database, everything, 'top:A/{z:X(1), first:"A (restored)"/x:X}, gone:A/{x2:X(1), y:Y(1)}')


class TestPointTakenByHand:
    """The cleanups since are undone as copies, and what differs besides is listed."""

    def test_tells_copies_apart_from_other_differences(self, database):
        made = tree(database, "top:Loan/other:A, gone:Loan/{twin:B(1), twin2:B}")
        point = service_of(database).create_rollback_point(made.application)
        cleaned = clean(database, made)
        Folder.objects.using(database).filter(pk=made["other"]).update(name="Else")
        result = undo(database, point, as_copies=True)
        assert_tree(database, made, 'top:Loan/{other:Else, gone:"Loan (restored)"/{twin:B(1), twin2:"B (restored)"}}')
        assert copies_of(result, made) == {"gone": (True, "top"), "twin2": (True, None)}
        assert [(c.code, c.key) for c in result.conflicts] == [("changed", made["other"])]
        stored = RollbackPoint.objects.using(database).filter(uuid__in=[point, cleaned])
        assert set(stored.values_list("status", "exact")) == {("rolled_back", False)}


class TestWholeRun:
    @pytest.fixture
    def made(self, database):
        return [tree(database, f"Loan/aside:C, gone:Loan({number}.pdf)/B") for number in range(4)]

    def test_brings_copies_back_everywhere(self, database, made):
        run = service_of(database).cleanup_all_duplicate_folders().run_id
        result = undo(database, run, as_copies=True)
        for one in made:
            assert_tree(database, one, 'Loan/{aside:C, gone:"Loan (restored)"(1)/B}')
        assert (bool(result), result.exact, result.successful, len(result.copies)) == (True, False, 4, 4)
        assert Run.objects.using(database).get(pk=result.run_id).options["as_copies"] is True

    def test_goes_on_with_copies_when_it_is_resumed(self, database, made, settings):
        settings.CLEANUP_BATCH_SIZE = 1
        service = service_of(database)
        run = service.cleanup_all_duplicate_folders().run_id

        def pause():
            service.pause(Run.objects.using(database).get(kind="rollback").pk)

        paused = undo(database, run, as_copies=True, progress=once(pause))
        assert (paused.status, 0 < paused.successful < 4) == ("paused", True)
        result = service.resume(paused.run_id)
        assert (result.successful, len(result.copies), [one.folders for one in made]) == (4, 4, [4] * 4)
        assert Folder.objects.using(database).filter(parent=None).count() == 4


def guard(database: str, number: str = "") -> None:
    target = ["cleanup_guards", number] if number else ["cleanup_guards"]
    call_command("migrate", *target, database=database, verbosity=0, interactive=False, stdout=io.StringIO())


class TestUnderGuards:
    MESS = "top:Loan/{a:Docs(2), b:Docs(1)/X}, gone:Mortgage/{c:Docs(3), d:A, e:A}"
    COPIES = (
        'top:Loan/{a:Docs(2), b:"Docs (restored)"(1)/X, gone:"Mortgage (restored)"/{c:Docs(3), d:A, e:"A (restored)"}}'
    )

    @staticmethod
    def merge_and_guard(database: str) -> tuple:
        made = tree(database, TestUnderGuards.MESS)
        report = service_of(database).cleanup_all_duplicate_folders()
        guard(database)
        return made, report

    @pytest.fixture
    def made(self, database):
        """Yield merged folders in a database for this test alone, in which all guards stand."""
        start = databases.scratch_copy
        with databases.prepared(database, TestUnderGuards.merge_and_guard, start=start) as (made, self.report):
            databases.adopt(database)
            (self.point,) = (result.rollback_id for result in self.report.results)
            yield made

    @pytest.mark.parametrize("what", ["point", "run"])
    def test_works_where_the_exact_undo_is_refused(self, database, made, what):
        rollback_id = self.point if what == "point" else self.report.run_id
        with pytest.raises(exceptions.Guarded, match="--as-copies"):
            undo(database, rollback_id)
        assert len(service_of(database).preview_rollback(rollback_id, as_copies=True).copies) == 3
        assert len(undo(database, rollback_id, as_copies=True).copies) == 3
        assert_tree(database, made, self.COPIES)
        assert service_of(database).verify_cleanup_integrity()["verification_passed"]

    def test_keeps_nested_root_folders_nested(self, scratch_database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "nest"
        made = tree(scratch_database, "top:A, B(1), gone:A(1)")
        point = clean(scratch_database, made)
        guard(scratch_database)
        undo(scratch_database, point, as_copies=True)
        assert_tree(scratch_database, made, 'top:A/{B(1), gone:"A (restored)"(1)}')

    @pytest.mark.parametrize("lifted", [Guard.ONE_ROOT, Guard.ONE_NAME])
    def test_is_the_same_where_some_are_missing(self, database, made, lifted):
        execute(database, f"DROP INDEX {lifted}")
        undo(database, self.point, as_copies=True)
        assert_tree(database, made, self.COPIES)

    def test_is_exact_where_none_forbids_anything(self, scratch_database):
        made = tree(scratch_database, "Loan/{stays:Docs(1), gone:Docs(2)}")
        point = clean(scratch_database, made)
        guard(scratch_database)
        Folder.objects.using(scratch_database).filter(pk=made["stays"]).update(name="Papers")
        assert undo(scratch_database, point, as_copies=True).exact
        assert_tree(scratch_database, made, "Loan/{stays:Papers(1), gone:Docs(2)}")

    def test_lets_them_be_merged_again_when_guards_are_lifted(self, database, made):
        undo(database, self.point, as_copies=True)
        service_of(database).release(made.application)
        guard(database, f"{int(MADE_BY[Guard.ONE_NAME][:4]) - 1:04}")
        Folder.objects.using(database).filter(pk=made["b"]).update(name="Docs")
        result = service_of(database).consolidate_duplicate_folders(made.application)
        assert (result.status, result.folders_removed) == ("completed", 1)
        guard(database)
        again = undo(database, result.rollback_id, as_copies=True)
        assert copies_of(again, made) == {"b": (True, None)}
        assert_tree(database, made, self.COPIES)

    def test_finds_a_name_that_the_hosts_own_index_allows(self, scratch_database):
        made = tree(scratch_database, 'Loan/{Docs, gone:Docs(1), "docs (RESTORED)"}')
        point = clean(scratch_database, made)
        index = "CREATE UNIQUE INDEX of_the_host ON :folders (:folders.parent, lower(:folders.name))"
        execute(scratch_database, index)
        undo(scratch_database, point, as_copies=True)
        assert_tree(scratch_database, made, 'Loan/{Docs, gone:"Docs (restored 2)"(1), "docs (RESTORED)"}')
