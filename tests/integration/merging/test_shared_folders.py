"""CLEANUP_SHARED_FOLDERS = "merge": root folders without an application are trees beside those that have one."""

import pytest
from django.db import IntegrityError

from cleanup import hooks
from cleanup.checks import check_models
from cleanup.exceptions import Guarded, MisconfiguredSetting
from cleanup.folder_tables import folder_tables
from cleanup.guard_names import Guard
from cleanup.guards.differences import guard_differences
from cleanup.models import Hold
from cleanup.services import CleanupReport, DatabaseCleanupService
from cleanup.services.errors import broken_guard
from tests.integration.guards.test_guards import differences, folder, migrate, refused, set_right
from tests.integration.hooks.test_ready import KINDS, install
from tests.support import databases, undo_scripts
from tests.support.model_roles import Application, File, Folder
from tests.support.promises import keep
from tests.support.trees import Tree, dump, execute, key_type, missing_key, named, raw, tree, unchecked


@pytest.fixture(autouse=True)
def merged(settings):
    settings.CLEANUP_SHARED_FOLDERS = "merge"


def shared(database: str, text: str) -> Tree:
    """Make folders and files without an application."""
    made = tree(database, text)
    Folder.objects.using(database).filter(application=made.application).update(application=None)
    File.objects.using(database).filter(application=made.application).update(application=None)
    return made


def service(database: str) -> DatabaseCleanupService:
    return DatabaseCleanupService(using=database)


def told(database: str) -> dict[str, int]:
    """Return what a verification finds, guards and files without application apart."""
    counts = service(database).verify_cleanup_integrity()["counts"]
    return {code: number for code, number in counts.items() if number and code != "guards_missing"}


@pytest.fixture
def made(database) -> tuple[Tree, Tree]:
    return tree(database, "Loan/Docs(1), Loan/Docs(2)"), shared(
        database, "old:Common/Docs(1), Common/{Docs(2), New}, B"
    )


class TestCleanup:
    def test_merges_applications_and_trees_each_by_itself(self, database, made):
        owned, common = made
        was = dump(database)
        announced = service(database).cleanup_all_duplicate_folders(dry_run=True).results
        report = service(database).cleanup_all_duplicate_folders()
        found = {result.application_id: (result.folders_removed, result.files_moved) for result in report.results}
        assert found == {owned.application: (2, 2), common["old"]: (2, 2)}
        assert [(r.application_id, r.details) for r in announced] == [
            (r.application_id, r.details) for r in report.results
        ]
        assert told(database) == {}
        service(database).rollback_cleanup(report.run_id)
        assert dump(database) == was

    def test_merges_no_shared_folder_with_one_of_an_application(self, database):
        made = tree(database, "root:Loan")
        tree(database, "Loan")
        shared(database, "Loan")
        shared(database, "Sub, Sub")
        Folder.objects.using(database).filter(application=None, name="Sub").update(parent=made["root"])
        assert service(database).cleanup_all_duplicate_folders().total_applications == 0

    def test_leaves_them_alone_by_default(self, database, settings, made):
        del settings.CLEANUP_SHARED_FOLDERS
        report = service(database).cleanup_all_duplicate_folders()
        assert [result.application_id for result in report.results] == [made[0].application]

    def test_takes_one_tree_and_holds_another(self, database, made):
        common = made[1]
        assert service(database).consolidate_duplicate_folders(common["old"]).folders_removed == 2
        shared(database, "Common")
        Hold.objects.using(database).create(application_key=common["old"])
        report = service(database).cleanup_all_duplicate_folders()
        assert {r.application_id: r.status for r in report.results} == {
            made[0].application: "completed",
            common["old"]: "held",
        }


def gone(report: CleanupReport, what: str) -> int:
    """Return how many rows were removed, or got another name."""
    return sum(sum(result.details.get(what, {}).values()) for result in report.results)


class TestWhatElseRefersToThem:
    """Beside an application with duplicates of its own; see ``promises``: announced, done, undone to the byte."""

    @pytest.fixture
    def trees(self, scratch_database) -> Tree:
        tree(scratch_database, "Loan/Docs(1), Loan/Docs(2)")
        return shared(scratch_database, "old:Common/{d:Docs(1), Mail}, new:Common/{e:Docs(2), New}, B")

    @pytest.mark.parametrize("policy", ["merge", "nest", "keep", "refuse"])
    def test_rows_of_a_link_table_give_way_to_their_twins(self, scratch_database, settings, trees, policy):
        settings.CLEANUP_DIFFERENT_ROOTS = policy
        columns = f"f {key_type(scratch_database)} NOT NULL REFERENCES :folders, tag integer, PRIMARY KEY (f, tag)"
        execute(scratch_database, f"CREATE TABLE link ({columns})")
        for label, tag in (("old", 1), ("new", 1), ("new", 2), ("d", 3), ("e", 3)):
            execute(scratch_database, "INSERT INTO link VALUES (%s, %s)", raw(scratch_database, trees[label]), tag)
        report = keep(scratch_database).report
        assert report.successful_cleanups == 2
        assert gone(report, "removed") == 2

    def test_files_take_another_name_where_a_rule_asks_for_it(self, scratch_database, settings, trees):
        settings.CLEANUP_COLLISIONS = {named(":files"): {"rename": named(":files.name").rpartition(".")[2]}}
        for number in (1, 2):
            name = f"UPDATE :files SET :files.name = 'x{number}.txt' WHERE :files.key = %s"
            for label in "de":
                keys = File.objects.using(scratch_database).filter(folder=trees[label]).order_by("pk")
                if len(keys) >= number:
                    execute(scratch_database, name, raw(scratch_database, str(keys[number - 1].pk)))
        execute(scratch_database, "CREATE UNIQUE INDEX one ON :files (:files.folder, :files.name)")
        report = keep(scratch_database).report
        assert gone(report, "renamed") == 1

    def test_files_of_an_application_stay_its_own(self, scratch_database, trees):
        case = tree(scratch_database, "Case")
        File.objects.using(scratch_database).filter(folder=trees["e"]).update(application=case.application)
        was = dump(scratch_database)
        run = service(scratch_database).cleanup_all_duplicate_folders()
        assert (run.successful_cleanups, run.total_files_moved) == (2, 4)
        assert service(scratch_database).rollback_cleanup(run.run_id).exact
        assert dump(scratch_database) == was

    @pytest.mark.parametrize("name", ["mptt", "nested sets", "treebeard"])
    def test_tree_hooks_keep_their_columns(self, scratch_database, settings, trees, name):
        install(scratch_database, settings, KINDS[name])
        hooks.recompute(using=scratch_database)
        assert keep(scratch_database, merged=lambda _: KINDS[name].disagreeing(scratch_database)).report

    def test_they_come_back_by_a_script_and_whatever_is_on_hold_or_set_by_then(self, scratch_database, settings, trees):
        was = dump(scratch_database)
        run = service(scratch_database).cleanup_all_duplicate_folders()
        undo_scripts.run(scratch_database, undo_scripts.export(scratch_database, run.run_id))
        assert dump(scratch_database) == was
        service(scratch_database).hold(trees["old"], reason="audit")
        settings.CLEANUP_SHARED_FOLDERS = "leave"
        assert service(scratch_database).rollback_cleanup(run.run_id).exact
        assert dump(scratch_database) == was


class TestVerification:
    def test_finds_duplicates_of_both(self, database, made):
        assert told(database) == {"several_roots": 2}

    def test_finds_folders_of_a_missing_application(self, database):
        made = tree(database, "top:Loan")
        shared(database, "Common")
        with unchecked(database):
            Folder.objects.using(database).filter(pk=made["top"]).update(application=missing_key(Application))
        assert told(database) == {"folder_of_missing_application": 1}

    def test_of_a_tree_finds_its_own(self, database, made):
        counts = service(database).verify_cleanup_integrity(made[1]["old"])["counts"]
        assert counts["several_roots"] == 1


class TestGuards:
    @pytest.fixture
    def clean(self, scratch_database) -> tuple[Tree, Tree]:
        return tree(scratch_database, "Loan/Docs"), shared(scratch_database, "root:Common/docs:Docs, Loan")

    @pytest.fixture
    def guarded(self, scratch_database, clean) -> tuple[Tree, Tree]:
        migrate(scratch_database)
        assert differences(scratch_database) == {}
        return clean

    def test_forbid_shared_twins_and_hold_for_applications_as_ever(self, scratch_database, guarded, subtests):
        owned, common = guarded
        folder(scratch_database, None, "common")
        folder(scratch_database, None, "Docs", common["docs"])
        for case, guard, values in (
            ("a second shared root of a name", Guard.ONE_ROOT, (None, "Common")),
            ("same-named folders below one", Guard.ONE_NAME, (None, "Docs", common["root"])),
            ("a second root of an application", Guard.ONE_ROOT, (owned.application, "Another")),
        ):
            with subtests.test(case):
                with pytest.raises(IntegrityError) as caught:
                    folder(scratch_database, *values)
                assert broken_guard(caught.value) == guard

    def test_go_up_down_and_up_again(self, scratch_database, clean):
        bare = databases.schema(scratch_database)
        migrate(scratch_database)
        indexes = databases.schema(scratch_database)
        migrate(scratch_database, "cleanup_guards", "zero")
        assert databases.schema(scratch_database) == bare
        migrate(scratch_database)
        assert databases.schema(scratch_database) == indexes

    def test_stop_at_duplicates_and_count_them(self, scratch_database):
        tree(scratch_database, "Loan, Loan")
        common = shared(scratch_database, "old:Common, Common, up:B/C, B/C")
        told = str(refused(scratch_database))
        assert "3 applications or trees have several root folders" in told
        assert common["up"] in told
        service(scratch_database).cleanup_all_duplicate_folders()
        migrate(scratch_database)

    def test_stop_at_same_named_folders_in_one(self, scratch_database):
        common = shared(scratch_database, "old:Common/{Docs, Docs}")
        told = str(refused(scratch_database))
        assert "1 folder has same-named folders in it" in told
        assert common["old"] in told

    def test_let_an_undo_bring_copies(self, scratch_database):
        common = shared(scratch_database, "old:Common/Docs, new:Common/Docs")
        report = service(scratch_database).cleanup_all_duplicate_folders()
        migrate(scratch_database)
        with pytest.raises(Guarded, match=Guard.ONE_ROOT):
            service(scratch_database).rollback_cleanup(report.results[0].rollback_id)
        service(scratch_database).rollback_cleanup(report.results[0].rollback_id, as_copies=True)
        came_back = Folder.objects.using(scratch_database).get(pk=common["new"])
        assert (came_back.name, str(came_back.parent_id)) == ("Common (restored)", common["old"])

    def test_are_recognised_as_the_host_s(self, scratch_database, clean):
        Folder.objects.using(scratch_database).filter(application=None, name="Loan").delete()
        execute(scratch_database, "CREATE UNIQUE INDEX ours ON folders (name) WHERE parent_id IS NULL")
        migrate(scratch_database)
        assert differences(scratch_database) == {}
        assert f"{Guard.ONE_ROOT}_shared" not in str(databases.schema(scratch_database))

    def test_change_with_the_setting(self, scratch_database, settings, guarded):
        for value in ("leave", "merge"):
            settings.CLEANUP_SHARED_FOLDERS = value
            assert differences(scratch_database) == {Guard.ONE_ROOT: "outdated", Guard.ONE_NAME: "outdated"}
            set_right(scratch_database, guard_differences(using=scratch_database)[0].command)
            assert differences(scratch_database) == {}
        with pytest.raises(IntegrityError):
            folder(scratch_database, None, "Common")


class TestSetting:
    def test_needs_folders_that_tell(self, settings):
        settings.CLEANUP_APPLICATION_FROM = "root"
        with pytest.raises(MisconfiguredSetting, match="CLEANUP_SHARED_FOLDERS") as refused:
            folder_tables()
        assert [message.msg for message in check_models()] == [str(refused.value)]
