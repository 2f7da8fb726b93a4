"""The folder service: an application's folders, each once, no matter who asks for them, and how many at a time."""

import json
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, OperationalError, connections, transaction
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cleanup import exceptions
from cleanup.models import File, Folder, Hold, QueuedApplication, Result, RollbackPoint, Run, StructureLock
from cleanup.services import DatabaseCleanupService, cleanup_service
from cleanup.services.folders.structure import get_or_create_folder, get_or_create_folder_structure
from tests.hostapp.models import OWN_MODELS, Case, Document, Section
from tests.support.trees import assert_tree, dump, execute, fetch, is_postgresql, new_key, tree, unchecked

NAMES = ("Borrower", "Guarantor", "Collateral", "Business", "Supporting Documents")
STANDARD = f"Application/{{{', '.join(NAMES)}}}"

ONE_ROOT = "CREATE UNIQUE INDEX one_root ON folders (application_id) WHERE parent_id IS NULL"
ONE_NAME = "CREATE UNIQUE INDEX one_name ON folders (parent_id, name) WHERE application_id IS NOT NULL"


def structure(database: str, application):
    key = application if isinstance(application, str) else application.application
    return get_or_create_folder_structure(application_id=key, using=database)


def place(database: str, application, name: str, parent_id=None):
    return get_or_create_folder(application_id=application.application, name=name, parent_id=parent_id, using=database)


def queued(database: str) -> dict[str, str]:
    return dict(QueuedApplication.objects.using(database).values_list("application_key", "code"))


@pytest.fixture
def loan(database):
    return tree(database, "")


class TestStructure:
    def test_is_a_root_and_the_standard_folders(self, database, loan):
        made = structure(database, loan)
        assert_tree(database, loan, STANDARD)
        assert list(made.folders) == list(NAMES)
        assert made.created == (made.root_id, *made.folders.values())

    def test_is_the_same_the_second_time(self, database, loan):
        made = structure(database, loan)
        again = structure(database, loan)
        assert (again.root_id, again.folders, again.created) == (made.root_id, made.folders, ())

    def test_is_named_by_the_settings(self, database, loan, settings):
        settings.CLEANUP_ROOT_FOLDER = "Loan"
        settings.CLEANUP_STANDARD_FOLDERS = ["Contracts", "Letters"]
        structure(database, loan)
        assert_tree(database, loan, "Loan/{Contracts, Letters}")

    def test_may_be_a_root_alone(self, database, loan, settings):
        settings.CLEANUP_STANDARD_FOLDERS = ()
        assert structure(database, loan).folders == {}
        assert_tree(database, loan, "Application")

    def test_takes_the_root_that_is_there_whatever_its_name(self, database):
        loan = tree(database, "top:Loan 2023-00001/there:Borrower(2)")
        made = structure(database, loan)
        assert (made.root_id, made.folders["Borrower"]) == (loan["top"], loan["there"])
        assert_tree(database, loan, f"top:Loan 2023-00001/{{there:Borrower(2), {', '.join(NAMES[1:])}}}")

    def test_takes_the_root_of_the_name_where_others_are_kept(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "keep"
        loan = tree(database, "Trash/Borrower, top:Application/there:Borrower(2), Application(1)")
        made = structure(database, loan)
        assert (made.root_id, made.folders["Borrower"]) == (loan["top"], loan["there"])
        assert_tree(database, loan, f"Trash/Borrower, top:Application(1)/{{Borrower(2), {', '.join(NAMES[1:])}}}")

    def test_makes_a_root_beside_others_that_are_kept(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "keep"
        loan = tree(database, "Trash/Borrower")
        structure(database, loan)
        assert structure(database, loan).created == ()
        assert_tree(database, loan, f"Trash/Borrower, {STANDARD}")

    def test_takes_the_root_of_the_name_that_the_defaults_give(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "keep"
        settings.CLEANUP_STANDARD_FOLDERS = ()
        settings.CLEANUP_FOLDER_DEFAULTS = {"name": "Loan"}
        loan = tree(database, "Application, top:Loan")
        assert structure(database, loan).root_id == loan["top"]

    def test_names_differ_by_case(self, database):
        loan = tree(database, "Loan/BORROWER")
        structure(database, loan)
        assert_tree(database, loan, f"Loan/{{BORROWER, {', '.join(NAMES)}}}")

    def test_is_completed_after_a_death_between_root_and_children(self, database):
        loan = tree(database, "Application/Borrower")
        assert len(structure(database, loan).created) == 4
        assert_tree(database, loan, STANDARD)

    def test_of_an_application_that_does_not_exist_is_an_error(self, database):
        with pytest.raises(exceptions.UnknownObject, match="no application"):
            structure(database, str(new_key()))

    @pytest.mark.parametrize("key", ["no uuid", None, 1.5, ["x"]])
    def test_of_what_is_no_key_is_an_error(self, database, key):
        with pytest.raises(exceptions.InvalidKey):
            get_or_create_folder_structure(application_id=key, using=database)

    @pytest.mark.only("sqlite")
    def test_is_a_verb_of_the_service(self, database, loan):
        assert cleanup_service.get_or_create_folder_structure(loan.application).root_id
        assert_tree(database, loan, STANDARD)


class TestFolder:
    def test_is_made_in_the_root_folder(self, database, loan):
        made = place(database, loan, "Letters")
        assert_tree(database, loan, "Application/Letters")
        assert made.created

    def test_is_made_once(self, database, loan):
        made = place(database, loan, "Letters")
        again = place(database, loan, "Letters")
        assert (again.folder_id, again.created) == (made.folder_id, False)

    def test_is_made_in_the_folder_that_is_named(self, database):
        loan = tree(database, "Loan/at:Letters")
        made = place(database, loan, "2023", loan["at"])
        assert_tree(database, loan, "Loan/Letters/2023")
        assert made.parent_id == loan["at"]

    def test_goes_to_the_survivor_of_a_parent_that_is_merged_on_the_way(self, database):
        loan = tree(database, "Loan/{old:Letters, young:Letters}")
        made = place(database, loan, "2023", loan["young"])
        assert_tree(database, loan, "Loan/old:Letters/2023")
        assert made.parent_id == loan["old"]

    def test_goes_to_the_survivor_of_a_parent_that_was_merged_before(self, database):
        loan = tree(database, "Loan/{old:Letters, young:Letters}")
        DatabaseCleanupService(using=database).consolidate_duplicate_folders(loan.application)
        assert place(database, loan, "2023", loan["young"]).parent_id == loan["old"]

    def test_under_a_parent_of_another_application_is_an_error(self, database, loan):
        other = tree(database, "theirs:Loan")
        with pytest.raises(exceptions.ForeignParent):
            place(database, loan, "Letters", other["theirs"])

    def test_under_a_parent_that_does_not_exist_is_an_error(self, database, loan):
        with pytest.raises(exceptions.UnknownObject, match="no folder"):
            place(database, loan, "Letters", new_key())

    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            ("", "blank"),
            ("  \t", "blank"),
            (" Letters", "begins or ends with white space"),
            ("Letters\n", "begins or ends with white space"),
            (None, "of type NoneType"),
            (7, "of type int"),
            (b"Letters", "of type bytes"),
            ("Le\x00ters", "NUL"),
            ("Letters \ud800", "surrogate"),
            ("x" * 256, "longer than 255"),
        ],
    )
    def test_of_a_bad_name_is_an_error(self, database, loan, name, problem):
        with pytest.raises(exceptions.InvalidName, match=problem):
            place(database, loan, name)
        assert loan.folders == 0

    def test_may_have_a_name_that_means_something_elsewhere(self, database, loan):
        for name in ("50 % of 'it'; --", "%s", "[red]x", "Caf\u00e9", "x" * 255):
            assert place(database, loan, name).folder_id == place(database, loan, name).folder_id
        assert loan.folders == 6

    @pytest.mark.only("sqlite")
    def test_is_a_verb_of_the_service(self, database, loan):
        at = cleanup_service.get_or_create_folder(loan.application, "Letters")
        assert cleanup_service.get_or_create_folder(loan.application, "2023", parent_id=at.folder_id).created
        assert_tree(database, loan, "Application/Letters/2023")


class TestCost:
    """Two queries when all is there, both by the application alone."""

    @contextmanager
    def counted(self, database: str, *, queries: int):
        with CaptureQueriesContext(connections[database]) as captured:
            yield captured
        assert len(captured) == queries, [query["sql"] for query in captured.captured_queries]

    def test_is_two_queries_when_all_is_there(self, database, loan):
        structure(database, loan)
        with self.counted(database, queries=2):
            structure(database, loan)

    def test_is_two_queries_within_a_transaction_of_the_caller(self, database, loan):
        structure(database, loan)
        with transaction.atomic(using=database), self.counted(database, queries=2):
            structure(database, loan)

    def test_is_two_queries_for_a_folder(self, database, loan):
        at = place(database, loan, "Letters")
        with self.counted(database, queries=2):
            place(database, loan, "Letters")
        deep = place(database, loan, "2023", at.folder_id)
        with self.counted(database, queries=2):
            assert place(database, loan, "2023", at.folder_id).folder_id == deep.folder_id

    def test_is_two_queries_for_a_large_application(self, database, settings):
        loan = tree(database, f"Loan/{{{', '.join(NAMES)}, Letters/at:2023/May}}")
        settings.CLEANUP_LARGE_APPLICATION = 3
        with self.counted(database, queries=2):
            structure(database, loan)
        with self.counted(database, queries=2):
            place(database, loan, "May", loan["at"])

    def test_does_not_grow_with_other_applications(self, database, loan):
        structure(database, loan)
        for _ in range(120):
            tree(database, "Loan/{A, B, C}, Loan")
        execute(database, "ANALYZE")
        with CaptureQueriesContext(connections[database]) as captured:
            structure(database, loan)
        for query in captured.captured_queries:
            plan = self.plan(database, query["sql"])
            assert "Seq Scan on folders" not in plan
            assert "SCAN folders" not in plan

    def plan(self, database: str, sql: str) -> str:
        explain = "EXPLAIN" if is_postgresql(database) else "EXPLAIN QUERY PLAN"
        with connections[database].cursor() as cursor:
            cursor.execute(f"{explain} {sql}")
            return "\n".join(str(row[-1]) for row in cursor.fetchall())

    def test_is_one_transaction_without_a_savepoint_for_who_has_none(self, database, loan):
        with CaptureQueriesContext(connections[database]) as captured:
            structure(database, loan)
        assert not [query for query in captured.captured_queries if query["sql"].startswith("SAVEPOINT")]


class TestDuplicates:
    def test_are_merged_first(self, database):
        loan = tree(database, "old:Loan/Borrower(1), Loan/{Borrower(2), Business}")
        made = structure(database, loan)
        assert_tree(database, loan, f"old:Loan/{{Borrower(3), {', '.join(NAMES[1:])}}}")
        assert (made.root_id, len(made.created), made.queued) == (loan["old"], 3, False)

    def test_are_merged_wherever_they_are(self, database):
        loan = tree(database, "Loan/Letters/2023/{May(1), May(2)}")
        structure(database, loan)
        assert_tree(database, loan, f"Loan/{{Letters/2023/May(3), {', '.join(NAMES)}}}")

    def test_are_merged_where_no_folder_is_missing(self, database):
        loan = tree(database, f"Loan/{{{', '.join(NAMES)}}}, Loan")
        assert structure(database, loan).rollback_id is not None
        assert_tree(database, loan, f"Loan/{{{', '.join(NAMES)}}}")

    def test_can_be_brought_back(self, database):
        loan = tree(database, f"Loan/{{{', '.join(NAMES)}}}, Loan/Borrower(1)")
        before = dump(database)
        made = structure(database, loan)
        assert DatabaseCleanupService(using=database).rollback_cleanup(made.rollback_id).exact
        assert dump(database) == before

    def test_are_a_run_of_one_application(self, database):
        loan = tree(database, "Loan/Borrower(1), Loan/Borrower(2)")
        made = structure(database, loan)
        run = Run.objects.using(database).get()
        result = Result.objects.using(database).get(run=run)
        assert (run.status, run.exclusive, run.total_applications) == ("completed", False, 1)
        assert (result.status, result.folders_removed, result.files_moved) == ("completed", 2, 2)
        assert result.point.uuid == made.rollback_id

    def test_do_not_wait_for_the_active_run(self, database):
        loan = tree(database, "Loan, Loan")
        Run.objects.using(database).create(kind="cleanup", status="paused", started_how="shell")
        assert structure(database, loan).rollback_id is not None

    def test_of_other_applications_stay(self, database):
        loan, other = tree(database, "Loan, Loan"), tree(database, "Loan, Loan")
        structure(database, loan)
        assert other.folders == 2


class TestDuplicatesThatMayNotBeMerged:
    """What would survive is returned, what is missing is made, the rest is queued."""

    TEXT = "old:Loan/first:Borrower, Loan/{there:Business, Borrower}"

    def assert_left(self, database: str, loan, code: str) -> None:
        made = structure(database, loan)
        assert (made.root_id, made.queued, made.rollback_id) == (loan["old"], True, None)
        assert (made.folders["Borrower"], made.folders["Business"]) == (loan["first"], loan["there"])
        assert_tree(
            database,
            loan,
            "old:Loan/{first:Borrower, Guarantor, Collateral, Supporting Documents}, Loan/{there:Business, Borrower}",
        )
        assert queued(database) == {loan.application: code}
        assert structure(database, loan).created == ()
        assert Run.objects.using(database).count() == RollbackPoint.objects.using(database).count() == 0

    def test_for_a_hold(self, database):
        loan = tree(database, self.TEXT)
        Hold.objects.using(database).create(application_key=loan.application)
        self.assert_left(database, loan, "held")

    def test_for_the_freeze(self, database):
        loan = tree(database, self.TEXT)
        DatabaseCleanupService(using=database).freeze(reason="year end")
        self.assert_left(database, loan, "frozen")

    def test_for_their_number(self, database, settings):
        settings.CLEANUP_LARGE_APPLICATION = 4
        self.assert_left(database, tree(database, self.TEXT), "too_large")

    def test_for_their_names(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "refuse"
        loan = tree(database, "old:Loan/first:Borrower, Other/{there:Business, Borrower}")
        made = structure(database, loan)
        assert (made.root_id, made.folders["Business"]) == (loan["old"], loan["there"])
        assert queued(database) == {loan.application: "different_roots"}

    def test_for_what_stands_in_the_way_of_any_run(self, scratch_database):
        loan = tree(scratch_database, self.TEXT)
        execute(scratch_database, "ALTER TABLE folders ADD COLUMN deleted_at varchar(30)")
        self.assert_left(scratch_database, loan, "preflight")

    def test_are_merged_when_the_reason_is_gone(self, database):
        loan = tree(database, self.TEXT)
        service = DatabaseCleanupService(using=database)
        service.freeze(reason="year end")
        structure(database, loan)
        service.unfreeze()
        assert structure(database, loan).rollback_id is not None
        assert queued(database) == {}

    def test_are_not_tried_again_after_a_refusal(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "refuse"
        loan = tree(database, "Loan, Other")
        structure(database, loan)
        settings.CLEANUP_DIFFERENT_ROOTS = "merge"
        assert structure(database, loan).rollback_id is None
        assert DatabaseCleanupService(using=database).cleanup_all_duplicate_folders().successful_cleanups == 1
        assert queued(database) == {}

    def test_come_first_in_the_next_run_with_a_limit(self, database):
        worse = tree(database, "Loan*9")
        loan = tree(database, self.TEXT)
        service = DatabaseCleanupService(using=database)
        service.freeze(reason="year end")
        structure(database, loan)
        service.unfreeze()
        foreseen = service.cleanup_all_duplicate_folders(dry_run=True, max_applications=1)
        done = service.cleanup_all_duplicate_folders(max_applications=1)
        assert [report.results[0].application_id for report in (foreseen, done)] == [loan.application] * 2
        assert (worse.folders, queued(database)) == (9, {})

    def test_are_queued_only_if_the_caller_commits(self, database):
        loan = tree(database, self.TEXT)
        Hold.objects.using(database).create(application_key=loan.application)
        with transaction.atomic(using=database):
            structure(database, loan)
            transaction.set_rollback(True, using=database)
        assert queued(database) == {}


class TestTransactionOfTheCaller:
    def test_that_is_undone_leaves_nothing(self, database):
        loan = tree(database, "Loan/Borrower(1), Loan/Borrower(1)")
        before = dump(database, own=True)
        with transaction.atomic(using=database):
            structure(database, loan)
            transaction.set_rollback(True, using=database)
        assert dump(database, own=True) == before

    def test_goes_on_after_an_error_of_ours(self, database, loan):
        with transaction.atomic(using=database):
            with pytest.raises(exceptions.UnknownObject):
                structure(database, str(new_key()))
            with pytest.raises(exceptions.ForeignParent):
                place(database, loan, "Letters", tree(database, "theirs:Loan")["theirs"])
            structure(database, loan)
        assert_tree(database, loan, STANDARD)

    def test_goes_on_after_a_merge_that_failed(self, scratch_database):
        loan = tree(scratch_database, "Loan/Borrower, Loan")
        execute(scratch_database, "ALTER TABLE folders ADD COLUMN deleted_at varchar(30)")
        with transaction.atomic(using=scratch_database):
            structure(scratch_database, loan)
            later = tree(scratch_database, "Later")
        assert (loan.folders, later.folders) == (7, 1)

    @pytest.mark.only("postgresql")
    def test_gets_its_settings_back_after_a_merge(self, database):
        loan = tree(database, "Loan, Loan")
        names = ("lock_timeout", "statement_timeout", "enable_seqscan", "datestyle", "row_security", "application_name")
        shown = f"SELECT {', '.join(f'current_setting({name!r})' for name in names)}"
        with transaction.atomic(using=database):
            execute(database, "SET LOCAL lock_timeout = '7s'")
            execute(database, "SET LOCAL datestyle = 'German'")
            before = fetch(database, shown)
            assert structure(database, loan).rollback_id is not None
            assert fetch(database, shown) == before

    @pytest.mark.only("postgresql")
    def test_may_put_a_child_before_its_parent_after_a_merge(self, database):
        loan = tree(database, "Loan, Loan")
        parent = new_key()
        with transaction.atomic(using=database):
            assert structure(database, loan).rollback_id is not None
            Folder.objects.using(database).create(id=new_key(), name="early", parent_id=parent)
            Folder.objects.using(database).create(id=parent, name="late")

    @pytest.mark.only("postgresql")
    def test_is_told_at_once_again_what_is_declared_so_after_a_merge(self, scratch_database):
        execute(scratch_database, 'CREATE TABLE "odd %%s" (n int UNIQUE DEFERRABLE INITIALLY IMMEDIATE)')
        loan = tree(scratch_database, "Loan, Loan")
        with pytest.raises(Exception, match="odd"), transaction.atomic(using=scratch_database):  # noqa: PT012
            assert structure(scratch_database, loan).rollback_id is not None
            execute(scratch_database, 'INSERT INTO "odd %%s" VALUES (1), (1)')
            pytest.fail("not checked at once")


class TestWhatIsKept:
    def locks(self, database: str) -> int:
        return StructureLock.objects.using(database).count()

    @pytest.mark.only("postgresql")
    def test_is_a_row_for_each_application_that_was_given_something(self, database, loan):
        structure(database, loan)
        structure(database, loan)
        structure(database, tree(database, STANDARD))
        assert self.locks(database) == 1

    def test_goes_with_the_next_purge_after_a_day(self, database):
        now = timezone.now()
        for days in (0, 2, 3):
            StructureLock.objects.using(database).create(application_key=days, taken_at=now - timedelta(days=days))
        DatabaseCleanupService(using=database).purge(preview=True)
        assert self.locks(database) == 3
        DatabaseCleanupService(using=database).purge()
        assert self.locks(database) == 1


class TestNewFolders:
    def test_have_their_times(self, database, loan):
        structure(database, loan)
        for folder in Folder.objects.using(database).filter(application=loan.application):
            assert folder.created_at is not None
            assert folder.updated_at == folder.created_at

    def test_are_older_the_nearer_to_the_root(self, database, loan):
        made = structure(database, loan)
        by_age = Folder.objects.using(database).filter(application=loan.application).order_by("created_at")
        assert [str(folder.pk) for folder in by_age] == list(made.created)

    def test_are_told_to_receivers_of_the_host(self, database, loan):
        heard = []

        def receive(instance, created, using, **_):
            heard.append((instance.name, created, using))

        post_save.connect(receive, sender=Folder)
        try:
            structure(database, loan)
        finally:
            post_save.disconnect(receive, sender=Folder)
        assert heard == [(name, True, database) for name in ("Application", *NAMES)]

    def test_get_the_defaults_of_the_settings(self, database, loan, settings):
        moment = datetime(2020, 2, 3, tzinfo=UTC)
        settings.CLEANUP_FOLDER_DEFAULTS = {"updated_at": moment}
        structure(database, loan)
        moments = Folder.objects.using(database).values_list("updated_at", flat=True)
        assert set(moments) == {moment}

    def test_get_the_defaults_of_a_function_which_may_name_the_root(self, database, loan, settings):
        settings.CLEANUP_FOLDER_DEFAULTS = "tests.integration.folders.test_structure.defaults_of"
        structure(database, loan)
        assert_tree(database, loan, f"Loan {loan.application[-4:]}/{{{', '.join(NAMES)}}}")

    @pytest.mark.parametrize("value", ["no.such.function", "tests.integration.folders.test_structure.no_defaults", 7])
    def test_with_defaults_that_are_none_are_an_error(self, database, loan, settings, value):
        settings.CLEANUP_FOLDER_DEFAULTS = value
        with pytest.raises(exceptions.MisconfiguredSetting, match="CLEANUP_FOLDER_DEFAULTS"):
            structure(database, loan)
        assert loan.folders == 0

    def test_with_a_required_field_name_it(self, database, loan, settings, monkeypatch):
        field = Folder._meta.get_field("updated_at")
        monkeypatch.setattr(field, "null", False)
        monkeypatch.setattr(field, "blank", False)
        with pytest.raises(exceptions.MisconfiguredSetting, match=r"CLEANUP_FOLDER_DEFAULTS.*updated_at"):
            structure(database, loan)
        settings.CLEANUP_FOLDER_DEFAULTS = {"updated_at": datetime(2020, 2, 3, tzinfo=UTC)}
        assert structure(database, loan).created

    def test_that_a_constraint_forbids_are_an_error_without_their_names(self, scratch_database):
        loan = tree(scratch_database, "")
        execute(scratch_database, "CREATE UNIQUE INDEX few ON folders (length(name))")
        with pytest.raises(exceptions.FolderNotCreated) as caught:
            structure(scratch_database, loan)
        assert "Collateral" not in str(caught.value)
        assert loan.folders == 0

    def test_are_live(self, scratch_database, settings):
        execute(scratch_database, "ALTER TABLE folders ADD COLUMN archived varchar(3)")
        settings.CLEANUP_FOLDER_LIVE = {"archived": None}
        loan = tree(scratch_database, "Loan/Borrower")
        execute(scratch_database, "UPDATE folders SET archived = 'yes'")
        assert len(structure(scratch_database, loan).created) == 6
        assert structure(scratch_database, loan).created == ()

    def test_have_their_paths_computed(self, scratch_database, settings):
        execute(scratch_database, "ALTER TABLE folders ADD COLUMN path varchar(200)")
        settings.CLEANUP_TREE_HOOK = "tests.hostapp.paths.rebuild"
        structure(scratch_database, tree(scratch_database, ""))
        paths = {path for (path,) in fetch(scratch_database, "SELECT path FROM folders")}
        assert paths == {"Application", *(f"Application/{name}" for name in NAMES)}


def defaults_of(*, using, application_id, name, parent_id):
    return {"name": f"Loan {application_id[-4:]}"} if parent_id is None else {}


def no_defaults(**_):
    return None


class TestModelsOfTheHost:
    @pytest.fixture
    def case(self, database, settings):
        for name, value in OWN_MODELS.items():
            setattr(settings, name, value)
        return Case.objects.using(database).create()

    def test_play_the_parts(self, database, case):
        made = structure(database, str(case.pk))
        sections = Section.objects.using(database)
        assert {section.title for section in sections.filter(above=made.root_id)} == set(NAMES)
        assert sections.get(pk=made.root_id).made_at is not None
        assert structure(database, str(case.pk)).created == ()

    def test_are_merged_first(self, database, case):
        roots = [Section.objects.using(database).create(title="Case", case=case) for _ in range(2)]
        Document.objects.using(database).create(title="letter", section=roots[1], case=case)
        made = structure(database, str(case.pk))
        assert (made.root_id, Document.objects.using(database).get().section_id) == (str(roots[0].pk), roots[0].pk)


# --- Many at once


def at_once(count: int, work, database: str) -> list[BaseException]:
    """Do the work in threads that start together, each with a connection of its own, and return what was raised."""
    barrier = threading.Barrier(count)
    errors: list[BaseException] = []

    def in_thread(number: int) -> None:
        try:
            connections[database].ensure_connection()
            barrier.wait(timeout=60)
            work(number)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is compared with nothing
            errors.append(error)
        finally:
            connections[database].close()

    threads = [threading.Thread(target=in_thread, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not any(thread.is_alive() for thread in threads)
    return errors


def assert_each_once(database: str, loans, *, files: int = 0) -> None:
    borrower = f"Borrower({files})" if files else "Borrower"
    for loan in loans:
        assert_tree(database, loan, f"Application/{{{borrower}, {', '.join(NAMES[1:])}}}")


def hold_key(database: str, loan) -> None:
    """Lock the application as a foreign key does, when someone files something."""
    fetch(database, "SELECT 1 FROM customer_applications WHERE id = %s FOR KEY SHARE", loan.application)


def guard(database: str) -> None:
    execute(database, ONE_ROOT)
    execute(database, ONE_NAME)


@pytest.mark.slow
@pytest.mark.only("postgresql")
class TestSixteenCallersAtOnce:
    CALLERS = 16

    @pytest.fixture(params=["with constraints", "without constraints"])
    def loans(self, request, scratch_database):
        if request.param == "with constraints":
            guard(scratch_database)
        return [tree(scratch_database, "") for _ in range(10)]

    def test_get_the_same_folders(self, scratch_database, loans):
        answers = Counter()

        def work(number: int) -> None:
            for loan in loans:
                made = structure(scratch_database, loan)
                answers[made.root_id, json.dumps(made.folders)] += 1

        assert at_once(self.CALLERS, work, scratch_database) == []
        assert_each_once(scratch_database, loans)
        assert set(answers.values()) == {self.CALLERS}

    def test_hold_locks_of_their_own(self, scratch_database, loans):
        """Each has filed something for the application, and so holds its key, when it asks."""

        def work(number: int) -> None:
            for loan in loans:
                with transaction.atomic(using=scratch_database):
                    hold_key(scratch_database, loan)
                    file = upload(scratch_database, loan.application)
                    made = structure(scratch_database, loan)
                    file.folder_id = made.folders["Borrower"]
                    file.save(using=scratch_database)

        assert at_once(self.CALLERS, work, scratch_database) == []
        assert_each_once(scratch_database, loans, files=self.CALLERS)

    def test_work_in_repeatable_read(self, scratch_database, loans):
        def work(number: int) -> None:
            execute(scratch_database, "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            for loan in loans:
                structure(scratch_database, loan)

        assert at_once(self.CALLERS, work, scratch_database) == []
        assert_each_once(scratch_database, loans)

    def test_repeat_their_own_transactions_in_repeatable_read(self, scratch_database, loans):
        def attempt(loan) -> bool:
            try:
                with transaction.atomic(using=scratch_database):
                    execute(scratch_database, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                    fetch(scratch_database, "SELECT count(*) FROM customer_applications")
                    structure(scratch_database, loan)
            except OperationalError as error:
                if error.__cause__.sqlstate != "40001":
                    raise
                return False
            return True

        def work(number: int) -> None:
            for loan in loans:
                while not attempt(loan):
                    pass

        assert at_once(self.CALLERS, work, scratch_database) == []
        assert_each_once(scratch_database, loans)

    def test_merge_duplicates_once(self, scratch_database):
        loans = [
            tree(
                scratch_database,
                "Application/Borrower(1), Application/{Borrower(1), Business}, Application/Borrower(1)",
            )
            for _ in range(4)
        ]

        def work(number: int) -> None:
            for loan in loans:
                structure(scratch_database, loan)

        assert at_once(self.CALLERS, work, scratch_database) == []
        assert_each_once(scratch_database, loans, files=3)
        assert RollbackPoint.objects.using(scratch_database).count() == len(loans)

    def test_adopt_what_a_host_makes_without_asking(self, scratch_database):
        guard(scratch_database)
        loans = [tree(scratch_database, "") for _ in range(10)]

        def make_root(loan) -> None:
            with suppress(IntegrityError):  # the host's own business
                Folder.objects.using(scratch_database).create(
                    id=new_key(), name="Application", application_id=loan.application
                )

        def work(number: int) -> None:
            for loan in loans:
                if number % 2:
                    structure(scratch_database, loan)
                else:
                    make_root(loan)

        assert at_once(self.CALLERS, work, scratch_database) == []
        assert_each_once(scratch_database, loans)


def upload(database: str, application: str) -> File:
    return File.objects.using(database).create(
        filename="x", original_filename="x", file_path="/x", file_size=1, mime_type="x", application_id=application
    )


@pytest.mark.slow
@pytest.mark.only("sqlite")
class TestFourCallersAtOnceOnSqlite:
    @pytest.mark.parametrize("guarded", [True, False])
    def test_get_the_same_folders(self, scratch_database, guarded):
        if guarded:
            guard(scratch_database)
        loans = [tree(scratch_database, "") for _ in range(5)]

        def work(number: int) -> None:
            for loan in loans:
                structure(scratch_database, loan)

        assert at_once(4, work, scratch_database) == []
        assert_each_once(scratch_database, loans)


@pytest.mark.only("postgresql")
class TestMetOnTheWay:
    """What someone else does at the worst moment, one step after the other."""

    def in_another_session(self, database: str, work) -> None:
        assert at_once(1, lambda _: work(), database) == []

    def test_an_older_snapshot_is_an_error_and_makes_nothing_twice(self, database, loan):
        with transaction.atomic(using=database):
            execute(database, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            fetch(database, "SELECT 1")
            self.in_another_session(database, lambda: structure(database, loan))
            with pytest.raises(OperationalError) as caught:
                structure(database, loan)
            assert fetch(database, "SELECT 1") == [(1,)]
        assert caught.value.__cause__.sqlstate == "40001"
        assert_tree(database, loan, STANDARD)

    def test_an_older_snapshot_than_a_merge_is_an_error(self, database):
        loan = tree(database, "Application/Borrower(1), Application/Borrower(1)")
        service = DatabaseCleanupService(using=database)
        service.consolidate_duplicate_folders(tree(database, "Application, Application").application)
        with transaction.atomic(using=database):
            execute(database, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            fetch(database, "SELECT 1")
            self.in_another_session(database, lambda: service.consolidate_duplicate_folders(loan.application))
            with pytest.raises(OperationalError) as caught:
                structure(database, loan)
        assert caught.value.__cause__.sqlstate == "40001"

    def test_a_row_that_somebody_holds_leaves_the_duplicates(self, database):
        loan = tree(database, "old:Application/Borrower(1), Application/Borrower(1)")
        with transaction.atomic(using=database):
            hold_key(database, loan)  # a merge must have it for itself
            self.in_another_session(database, lambda: structure(database, loan))
        assert loan.folders == 8
        assert queued(database) == {loan.application: "55P03"}
        assert structure(database, loan).rollback_id is not None
        assert_tree(database, loan, f"old:Application/{{Borrower(2), {', '.join(NAMES[1:])}}}")

    def test_who_files_something_is_not_waited_for(self, database, loan):
        with transaction.atomic(using=database):
            hold_key(database, loan)
            self.in_another_session(database, lambda: structure(database, loan))
        assert_tree(database, loan, STANDARD)

    def test_a_cleanup_is_not_waited_for_when_all_is_there(self, database, loan):
        structure(database, loan)
        with transaction.atomic(using=database):
            fetch(database, "SELECT 1 FROM customer_applications WHERE id = %s FOR UPDATE", loan.application)
            self.in_another_session(database, lambda: structure(database, loan))

    def test_folders_out_of_reach_of_a_root_are_left(self, database):
        loan = tree(database, "")
        with unchecked(database):
            Folder.objects.using(database).create(
                id=new_key(), name="Lost", parent_id=new_key(), application_id=loan.application
            )
            structure(database, loan)
        assert loan.folders == 7
