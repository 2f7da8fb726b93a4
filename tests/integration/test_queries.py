import random
from collections import Counter

import pytest

from cleanup import backends, queries
from cleanup.backends.folders import Cleanable
from cleanup.backends.query import block
from cleanup.exceptions import InvalidKey, UnknownObject
from cleanup.models import Hold, Result, Run
from cleanup.planning import FolderRow, plan_merge
from cleanup.policies import DifferentRootsPolicy
from cleanup.services import DatabaseCleanupService
from tests.support.forests import PLAIN_NAMES, random_folders, ranked
from tests.support.model_roles import Application, Folder
from tests.support.trees import execute, fetch, new_key, raw, tree, unchecked


def affected(database: str, **options) -> dict[str, tuple[int, int]]:
    return {
        found.application_id: (found.roots, found.duplicates)
        for found in queries.affected_applications(using=database, **options)
    }


class TestAffectedApplications:
    def test_are_none_in_an_empty_database(self, database):
        assert affected(database) == {}

    def test_are_none_where_all_is_well(self, database):
        tree(database, "Loan/{Docs/A, Photos/A}")

        assert affected(database) == {}

    def test_have_several_roots_whatever_their_names(self, database):
        loan = tree(database, "Loan, Loan, Other")

        assert affected(database) == {loan.application: (3, 2)}

    @pytest.mark.parametrize("named_by", ["folder", "root"])
    def test_have_same_named_siblings_below_a_single_root(self, database, settings, named_by):
        settings.CLEANUP_APPLICATION_FROM = named_by
        loan = tree(database, "Loan/{Docs*3, Photos/Docs*2}")

        assert affected(database) == {loan.application: (1, 3)}

    def test_count_the_duplicates_that_are_there_now(self, database):
        loan = tree(database, "Loan/Docs, Loan/Docs")

        assert affected(database) == {loan.application: (2, 1)}

    def test_tell_names_apart_by_code_point(self, database):
        tree(database, 'Loan/{Docs, docs, "Docs ", "Caf\u00e9", "Cafe\u0301"}')

        assert affected(database) == {}

    def test_look_at_an_application_by_itself(self, database):
        first = tree(database, "Loan/Docs")
        second = tree(database, "top:Loan/Docs")
        Folder.objects.using(database).filter(parent=second["top"]).update(application_id=first.application)

        assert affected(database) == {}

    def test_are_trees_where_there_are_no_applications(self, database, settings):
        settings.CLEANUP_APPLICATION_MODEL = None
        loan = tree(database, "top:Loan/Docs*2, other:Loan")
        tree(database, "Case")

        assert affected(database) == {loan["top"]: (2, 2)}

    def test_leave_out_siblings_under_a_missing_parent(self, database):
        loan = tree(database, "Loan/gone:Lost/Docs*2")
        with unchecked(database):
            Folder.objects.using(database).filter(pk=loan["gone"]).delete()

        assert affected(database) == {}

    def test_leave_out_siblings_below_a_folder_under_a_parent_of_another_application(self, database):
        other = tree(database, "top:Loan")
        loan = tree(database, "Loan/moved:Docs/A/B*2")
        Folder.objects.using(database).filter(pk=loan["moved"]).update(parent_id=other["top"])

        assert affected(database) == {}

    def test_leave_out_siblings_below_a_cycle(self, database):
        loan = tree(database, "Loan/a:A/b:B/C*2")
        Folder.objects.using(database).filter(pk=loan["a"]).update(parent_id=loan["b"])

        assert affected(database) == {}

    def test_leave_out_folders_of_no_or_a_missing_application(self, database):
        orphan, ownerless = tree(database, "Loan*2"), tree(database, "Loan*2")
        Folder.objects.using(database).filter(application=ownerless.application).update(application_id=None)
        with unchecked(database):
            Application.objects.using(database).filter(pk=orphan.application).delete()

        assert affected(database) == {}

    def test_come_in_key_order_whatever_the_range(self, database):
        keys = [tree(database, "Loan*2" if number % 3 else "Loan").application for number in range(10)]

        found = list(affected(database, per_range=2))

        assert found == sorted(key for number, key in enumerate(keys) if number % 3)

    @pytest.mark.parametrize("different_roots", ["merge", "nest", "refuse"])
    def test_are_affected_by_different_roots_under_every_setting(self, database, settings, different_roots):
        settings.CLEANUP_DIFFERENT_ROOTS = different_roots
        loan = tree(database, "Loan, Other")

        assert affected(database) == {loan.application: (2, 1)}

    def test_have_same_named_roots_if_others_are_kept(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "keep"
        tree(database, "Loan, Other, loan")
        both = tree(database, "Loan*3, Other*2, Third/Docs*2")

        assert affected(database) == {both.application: (6, 4)}


class TestAffectedSql:
    def test_stands_behind_an_insert(self, database):
        loan = tree(database, "Loan*2/Docs*2")
        execute(database, "CREATE TEMPORARY TABLE worklist (k varchar(64), roots integer, duplicates integer)")

        query = queries.affected_sql(using=database)
        backends.database(using=database).execute(block("INSERT INTO worklist {query}", query=query))

        assert fetch(database, "SELECT * FROM worklist") == [(loan.application, 2, 3)]
        execute(database, "DROP TABLE worklist")

    def test_stands_in_a_from_clause(self, database):
        tree(database, "Loan*2")

        query = block("SELECT count(*) FROM ({query}) AS a", query=queries.affected_sql(using=database))

        assert backends.database(using=database).fetch(query) == [(1,)]

    def test_looks_at_named_applications_only(self, database):
        first, _ = tree(database, "Loan*2"), tree(database, "Loan*2")

        query = queries.affected_sql(using=database, applications=[first.application.upper()])

        assert backends.database(using=database).fetch(query) == [(first.application, 2, 1)]

    def test_looks_at_a_range_of_keys_only(self, database):
        first, second, third, _ = [tree(database, "Loan*2").application for _ in range(4)]

        query = queries.affected_sql(using=database, after=first, until=third)

        assert [row[0] for row in backends.database(using=database).fetch(query)] == [second, third]

    def test_refuses_a_malformed_key(self, database):
        with pytest.raises(InvalidKey):
            queries.affected_sql(using=database, applications=["x17"])


class TestWorstApplications:
    def test_have_most_duplicates(self, database):
        keys = [tree(database, f"Loan*{number}").application for number in (2, 5, 1, 3)]

        assert sorted(queries.worst_applications(using=database, limit=2)) == [keys[1], keys[3]]

    def test_come_from_the_select_worst_first(self, database):
        keys = [tree(database, f"Loan*{number}").application for number in (2, 5, 1, 3)]

        query = queries.worst_sql(using=database, limit=2)

        assert backends.database(using=database).fetch(query) == [(keys[1], 5, 4), (keys[3], 3, 2)]


class TestSmallReads:
    def test_duplicate_roots_come_with_their_number_in_key_order(self, database):
        first, _, third = tree(database, "Loan*2"), tree(database, "Loan/Docs*2"), tree(database, "A, B, C")

        found = list(queries.applications_with_duplicate_roots(using=database, per_range=1))

        assert found == [(first.application, 2), (third.application, 3)]

    def test_roots_of_other_names_are_no_duplicates_if_they_are_kept(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "keep"
        tree(database, "A, B, C")
        loan = tree(database, "Loan*2, Other")

        assert list(queries.applications_with_duplicate_roots(using=database)) == [(loan.application, 3)]

    def test_affected_applications_are_counted(self, database):
        tree(database, "Loan*2")
        tree(database, "Loan/Docs*2")

        assert queries.count_affected(using=database) == 2

    def test_largest_applications_come_first_with_all_their_folders(self, database):
        small, large, equal = (tree(database, text) for text in ("Loan", "Loan/{Docs, Old*2}", "Loan/{A, B, C}"))
        ownerless = tree(database, "Loan*5")
        Folder.objects.using(database).filter(application=ownerless.application).update(application_id=None)

        found = queries.largest_applications(using=database, limit=9)

        assert found == [(large.application, 4), (equal.application, 4), (small.application, 1)]
        assert queries.largest_applications(using=database, limit=1) == found[:1]

    def test_next_applications_end_with_the_last_one_looked_at(self, database):
        first, second, third = (tree(database, text).application for text in ("Loan", "Loan", "Loan*2"))

        assert queries.affected_among_next(using=database, after=None, size=2) == ([], second)
        found, until = queries.affected_among_next(using=database, after=first, size=2)
        assert ([one.application_id for one in found], until) == ([third], None)

    def test_returns_the_id_of_an_application_as_text(self, database):
        application = tree(database, "Loan").application
        assert queries.existing_application(using=database, application_id=application) == str(application)

    def test_returns_the_key_of_a_root_where_there_are_no_applications(self, database, settings):
        settings.CLEANUP_APPLICATION_MODEL = None
        loan = tree(database, "top:Loan")

        assert queries.existing_application(using=database, application_id=loan["top"]) == loan["top"]

    @pytest.mark.mapped_models("folders are shared between applications whose keys are UUIDs")
    def test_returns_the_id_of_an_application_without_folders_beside_shared_ones(self, database, settings):
        settings.CLEANUP_SHARED_FOLDERS = "merge"
        loan = tree(database, "")

        assert queries.existing_application(using=database, application_id=loan.application) == loan.application

    def test_refuses_an_unknown_application(self, database):
        with pytest.raises(UnknownObject):
            queries.existing_application(using=database, application_id=new_key(Application))

    def test_refuses_a_malformed_application_id(self, database):
        with pytest.raises(InvalidKey):
            queries.existing_application(using=database, application_id="nobody")


class TestLiveFolders:
    @pytest.fixture
    def trashed(self, scratch_database, settings):
        settings.CLEANUP_FOLDER_LIVE = {"trashed": 0}
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN trashed integer NOT NULL DEFAULT 0")
        return scratch_database

    def trash(self, database: str, key: str) -> None:
        execute(database, "UPDATE :folders SET trashed = 1 WHERE :folders.key = %s", raw(database, key))

    @pytest.mark.parametrize("named_by", ["folder", "root"])
    def test_alone_are_duplicates(self, trashed, settings, named_by):
        settings.CLEANUP_APPLICATION_FROM = named_by
        loan = tree(trashed, "Loan/{Docs, old:Docs}, spare:Loan")
        self.trash(trashed, loan["old"])
        self.trash(trashed, loan["spare"])

        assert affected(trashed) == {}

    def test_are_live_by_every_column_of_the_setting(self, trashed, settings):
        settings.CLEANUP_FOLDER_LIVE = {"trashed": 0, "gone": None}
        execute(trashed, "ALTER TABLE :folders ADD COLUMN gone text")
        loan = tree(trashed, "Loan/{Docs, old:Docs, Photos, gone:Photos}")
        self.trash(trashed, loan["old"])
        execute(trashed, "UPDATE :folders SET gone = 'yes' WHERE :folders.key = %s", raw(trashed, loan["gone"]))

        assert affected(trashed) == {}

    def test_may_be_duplicates_below_a_trashed_root(self, trashed):
        loan = tree(trashed, "spare:Loan/Docs*2")
        self.trash(trashed, loan["spare"])

        assert affected(trashed) == {loan.application: (0, 1)}


class TestAgreementWithPlanning:
    @pytest.mark.parametrize("different_roots", list(DifferentRootsPolicy))
    @pytest.mark.parametrize("broken", [0.0, 0.15])
    def test_on_random_forests(self, scratch_database, settings, different_roots, broken):
        settings.CLEANUP_DIFFERENT_ROOTS = different_roots
        settings.CLEANUP_FOLDER_LIVE = {"live": 1}
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN live integer NOT NULL DEFAULT 1")
        forests = random_forests(random.Random(f"{different_roots} {broken}"), broken=broken)
        fill(scratch_database, forests)

        found = affected(scratch_database, per_range=30)

        assert found == {
            application: (roots(rows), duplicates(rows, different_roots))
            for application, rows in forests.items()
            if (plan := plan_merge(rows, different_roots=different_roots)).refused or not plan.empty
        }


def random_forests(rng: random.Random, *, broken: float) -> dict[str, list[FolderRow]]:
    forests: dict[str, list[FolderRow]] = {}
    foreign: list[str] = []
    for _ in range(120):
        names = rng.choice([PLAIN_NAMES, PLAIN_NAMES[:2], [f"Folder {number}" for number in range(40)]])
        folders = random_folders(
            rng,
            size=rng.randint(0, 15),
            roots=rng.choice((1, 1, 1, 2)),
            names=names,
            broken=broken,
            dead=0.1,
            foreign=foreign,
        )
        application = str(new_key(Application))
        forests[application] = ranked(folders)
        foreign += [folder.key for folder in folders]
    return dict(sorted(forests.items()))


def fill(database: str, forests: dict[str, list[FolderRow]]) -> None:
    Application.objects.using(database).bulk_create(Application(pk=key) for key in forests)
    with unchecked(database):
        Folder.objects.using(database).bulk_create(
            Folder(pk=row.key, name=row.name, parent_id=row.parent, application_id=application)
            for application, rows in forests.items()
            for row in rows
        )
    for rows in forests.values():
        for row in rows:
            if not row.live:
                execute(database, "UPDATE :folders SET live = 0 WHERE :folders.key = %s", raw(database, row.key))


def roots(rows: list[FolderRow]) -> int:
    return sum(row.live and row.parent is None for row in rows)


def duplicates(rows: list[FolderRow], different_roots: DifferentRootsPolicy) -> int:
    """Count folders beyond the first of each group there is now, by walking down from the roots."""
    level = [row for row in rows if row.parent is None]
    groups = Counter(row.name if different_roots == "keep" else "" for row in level if row.live)
    surplus = sum(number - 1 for number in groups.values())
    while level:
        keys = {row.key for row in level}
        level = [row for row in rows if row.parent in keys]
        groups = Counter((row.parent, row.name) for row in level if row.live)
        surplus += sum(number - 1 for number in groups.values())
    return surplus


class TestWorstThatCanBeCleaned:
    @pytest.fixture
    def loans(self, database) -> dict[str, str]:
        return {
            name: tree(database, text).application
            for name, text in {
                "two": "Loan*2",
                "held": "Loan*9",
                "large": "Loan*3/{" + ", ".join(f"n{number}" for number in range(30)) + "}",
                "refused": "Loan*8",
                "four": "Loan*4",
            }.items()
        }

    def worst(self, database, **values) -> list[str]:
        return queries.worst_applications(using=database, limit=9, cleanable=Cleanable(**values))

    def test_comes_first_without_those_that_would_be_left_alone(self, database, loans):
        Hold.objects.using(database).create(application_key=loans["held"])
        self.refuse(database, loans["refused"])
        found = self.worst(database, most_folders=20)
        assert found == [loans["four"], loans["two"], loans["refused"]]

    @pytest.mark.parametrize(("most", "taken"), [(93, True), (92, False)])
    def test_is_left_alone_beyond_the_limit(self, database, loans, most, taken):
        assert (loans["large"] in self.worst(database, most_folders=most)) is taken

    def refuse(self, database, key: str) -> None:
        run = Run.objects.using(database).create(kind="cleanup", status="completed")
        Result.objects.using(database).create(
            run=run, application_key=key, status="failed", error_class="data", error_code="collision"
        )

    def test_counts_what_was_settled_since(self, database, loans):
        self.refuse(database, loans["refused"])
        run = Run.objects.using(database).create(kind="cleanup", status="completed")
        Result.objects.using(database).create(run=run, application_key=loans["refused"], status="completed")
        assert self.worst(database, held=True, most_folders=20)[:2] == [loans["held"], loans["refused"]]

    def test_takes_those_that_are_asked_for_all_the_same(self, database, loans):
        Hold.objects.using(database).create(application_key=loans["held"])
        assert {loans["held"], loans["large"]} < set(self.worst(database, held=True))

    def test_says_how_many_are_set_aside_and_why(self, database, loans):
        Hold.objects.using(database).create(application_key=loans["held"])
        self.refuse(database, loans["refused"])
        found = queries.count_set_aside(using=database, most_folders=20)
        assert (found.affected, found.held, found.large, found.refused) == (5, 1, 1, 1)

    def test_is_what_a_limited_run_takes(self, database, loans, settings):
        settings.CLEANUP_LARGE_APPLICATION = 20
        service = DatabaseCleanupService(using=database)
        service.hold(loans["held"])
        planned = service.cleanup_all_duplicate_folders(dry_run=True, max_applications=1)
        done = service.cleanup_all_duplicate_folders(max_applications=1)
        keys = [[result.application_id for result in report.results] for report in (planned, done)]
        assert keys == [[loans["refused"]], [loans["refused"]]]
