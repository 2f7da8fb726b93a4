"""Corrupt one thing with a raw write, expect exactly that finding."""

import json
import uuid
from collections import Counter
from datetime import UTC, datetime
from functools import partial

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connections

from cleanup import queries
from cleanup.analysis import Edge, in_cycles, similar_groups
from cleanup.exceptions import InvalidKey, UnknownObject
from cleanup.guard_names import Guard
from cleanup.models import Finding, RemovedFolder, RollbackPoint, SnapshotSchema, Verification
from cleanup.services import DatabaseCleanupService
from cleanup.services.integrity import verification
from tests.hostapp.models import Bookmark, Note, Scan, Watch
from tests.support.model_roles import Application, File, Folder
from tests.support.trees import (
    Tree,
    change,
    drop_foreign_keys,
    dump,
    execute,
    is_postgresql,
    key_type,
    missing_key,
    named,
    new_key,
    raw,
    spellings,
    tree,
    unchecked,
)

MISSING, NOBODY = missing_key(Folder), missing_key(Application)
GUARDS = {"guards_missing"}


def found(report: dict) -> list[tuple[str, str, str | None]]:
    """Return code, object and application of all findings but those about guards."""
    assert not report.findings_left_out
    return sorted(
        (finding.code, finding.object_key, finding.application_id)
        for finding in report.findings
        if finding.code not in GUARDS
    )


def merge_away(database: str, loan: Tree, *, removed: str, survivor: str, status: str = "live") -> None:
    """Record that a cleanup of the application removed a folder."""
    schema, _ = SnapshotSchema.objects.using(database).get_or_create(digest="d", format_version=1, document="{}")
    point = RollbackPoint.objects.using(database).create(
        application_key=loan.application,
        kind="cleanup",
        status=status,
        schema=schema,
        expires_at=datetime(2100, 1, 1, tzinfo=UTC),
    )
    RemovedFolder.objects.using(database).create(folder_key=removed, survivor_key=survivor, point=point)


class Expectation:
    """Two sound applications, and the verb to expect one finding in them."""

    @pytest.fixture
    def loan(self, alias) -> Tree:
        return tree(alias, "top:Loan/{docs:Docs(a.txt), photos:Photos(b.txt)/old:Old}")

    @pytest.fixture
    def other(self, alias) -> Tree:
        return tree(alias, "top:Loan/docs:Docs(c.txt)")

    @pytest.fixture
    def expect(self, alias, loan, other):
        def expect(code: str, key: str, application: str | None) -> dict:
            """Expect this finding and no other, in the whole and in its application; return it."""
            report = verification.verify(using=alias)
            assert found(report) == [(code, key, application)]
            if application in (loan.application, other.application):
                scoped = verification.verify(using=alias, application_id=application)
                assert found(scoped) == found(report)
                sound = other if application == loan.application else loan
                assert found(verification.verify(using=alias, application_id=sound.application)) == []
            (finding,) = [finding for finding in report.findings if finding.code == code]
            assert report.verification_passed is (finding.severity == "warning")
            self.assert_hint_runs(alias, finding)
            return finding

        return expect

    def assert_hint_runs(self, alias: str, finding: dict) -> None:
        if not finding.hint.startswith(("SELECT", "WITH")):
            assert finding.hint.startswith(
                f"manage.py database_cleanup --cleanup --application {finding.application_id}"
            )
            return
        with connections[alias].cursor() as cursor:
            cursor.execute(finding.hint)
            listed = {str(row[0]) for row in cursor.fetchall()}
        if finding.code != "names_alike":  # lists the children of the folder it is about
            assert listed & {finding.object_key, finding.object_key.replace("-", "")}


class Corruption(Expectation):
    """Each test runs on tables with foreign keys and on tables without, on both databases."""

    # Errors.

    def test_nothing_is_found_in_sound_tables(self, alias, loan, other):
        report = verification.verify(using=alias)

        assert report.verification_passed
        assert found(report) == []

    def test_several_roots(self, alias, loan, expect):
        tree(alias, "Loan", application=loan.application)

        finding = expect("several_roots", loan.application, loan.application)

        assert finding.detail == {"folders": 2}

    def test_same_named_siblings(self, alias, loan, expect):
        change(alias, Folder, loan["photos"], name="Docs")

        finding = expect("same_named_siblings", loan["top"], loan.application)

        assert finding.detail == {"folders": 2, "name": "Docs"}

    def test_missing_parent(self, alias, loan, expect):
        change(alias, Folder, loan["photos"], parent_id=MISSING)

        finding = expect("missing_parent", loan["photos"], loan.application)

        assert finding.detail == {"column": named(":folders.parent"), "folder": MISSING}

    def test_missing_parent_hides_the_groups_below_it(self, alias, loan, expect):
        tree_below = [Folder(pk=new_key(), name="Twin", parent_id=loan["photos"], application_id=loan.application)] * 1
        tree_below.append(Folder(pk=new_key(), name="Twin", parent_id=loan["photos"], application_id=loan.application))
        Folder.objects.using(alias).bulk_create(tree_below)
        change(alias, Folder, loan["photos"], parent_id=MISSING)

        expect("missing_parent", loan["photos"], loan.application)

    def test_folder_that_is_its_own_parent(self, alias, loan, expect):
        change(alias, Folder, loan["photos"], parent_id=loan["photos"])

        expect("cycle", loan["photos"], loan.application)

    def test_cycle_names_its_members_and_not_what_hangs_below(self, alias, loan):
        Folder.objects.using(alias).create(
            id=new_key(), name="Deep", parent_id=loan["old"], application_id=loan.application
        )
        change(alias, Folder, loan["photos"], parent_id=loan["old"])

        expected = sorted(("cycle", loan[label], loan.application) for label in ("photos", "old"))

        assert found(verification.verify(using=alias)) == expected
        assert found(verification.verify(using=alias, application_id=loan.application)) == expected

    def test_cycle_through_two_applications(self, alias, loan, other):
        change(alias, Folder, loan["photos"], parent_id=other["docs"])
        change(alias, Folder, other["docs"], parent_id=loan["photos"])

        for application, key in ((loan.application, loan["photos"]), (other.application, other["docs"])):
            report = verification.verify(using=alias, application_id=application)
            assert found(report) == [("cycle", key, application), ("foreign_parent", key, application)]
        assert verification.verify(using=alias).counts["cycle"] == 2

    def test_foreign_parent(self, alias, loan, other, expect):
        change(alias, Folder, loan["photos"], parent_id=other["docs"])

        expect("foreign_parent", loan["photos"], loan.application)

    def test_folder_of_missing_application(self, alias, loan, expect):
        with unchecked(alias):
            Folder.objects.using(alias).create(pk=MISSING, name="Lost", application_id=NOBODY)

        expect("folder_of_missing_application", MISSING, NOBODY)

    def test_folder_of_missing_application_under_a_sound_parent(self, alias, loan, expect):
        change(alias, Folder, loan["old"], application_id=NOBODY)

        expect("folder_of_missing_application", loan["old"], NOBODY)

    def test_file_of_missing_application(self, alias, loan, expect):
        change(alias, File, loan["a.txt"], application_id=NOBODY)

        expect("file_of_missing_application", loan["a.txt"], NOBODY)

    def test_file_of_missing_application_in_a_folder_of_none(self, alias, loan):
        change(alias, Folder, loan["docs"], application_id=None)
        change(alias, File, loan["a.txt"], application_id=NOBODY)

        assert found(verification.verify(using=alias)) == [
            ("file_of_missing_application", loan["a.txt"], NOBODY),
            ("folder_without_application", loan["docs"], None),
        ]

    def test_file_of_missing_folder(self, alias, loan, expect):
        change(alias, File, loan["a.txt"], folder_id=MISSING)

        finding = expect("file_of_missing_folder", loan["a.txt"], loan.application)

        assert finding.detail == {"column": named(":files.folder"), "folder": MISSING}

    def test_file_of_missing_folder_and_of_no_application(self, alias, loan, expect):
        change(alias, File, loan["a.txt"], folder_id=MISSING, application_id=None)

        expect("file_of_missing_folder", loan["a.txt"], None)

    def test_file_in_other_application(self, alias, loan, other, expect):
        change(alias, File, loan["a.txt"], folder_id=other["docs"])

        expect("file_in_other_application", loan["a.txt"], loan.application)

    @pytest.mark.parametrize("points", ["at a folder", "at nothing"])
    @pytest.mark.parametrize("model", ["foreign key", "no foreign key", "generic text", "generic uuid"])
    def test_dangling_reference(self, alias, loan, expect, model, points):
        folder = loan["photos"] if points == "at a folder" else MISSING
        type_of_folder = ContentType.objects.db_manager(alias).get_for_model(Folder.model)
        with unchecked(alias):
            make = {
                "foreign key": lambda: Bookmark._base_manager.using(alias).create(folder_id=folder),
                "no foreign key": lambda: Watch.objects.using(alias).create(watched_id=folder),
                "generic text": lambda: Note.objects.using(alias).create(
                    content_type=type_of_folder, object_id=spellings(folder)[-1], text=""
                ),
                "generic uuid": lambda: Scan.objects.using(alias).create(about_type=type_of_folder, about_id=folder),
            }
            row = make[model]()

        if points == "at a folder":
            assert found(verification.verify(using=alias)) == []
        else:
            finding = expect("dangling_reference", str(row.pk), None)
            assert finding.detail["folder"] == MISSING
        with unchecked(alias):
            Bookmark._base_manager.using(alias).all().delete()

    def test_generic_reference_to_something_else(self, alias, loan):
        user_type = ContentType.objects.db_manager(alias).get(app_label="auth", model="user")
        Note.objects.using(alias).create(content_type=user_type, object_id=MISSING, text="")

        assert found(verification.verify(using=alias)) == []

    # Warnings.

    def test_folder_without_application(self, alias, loan, expect):
        change(alias, Folder, loan["old"], application_id=None)

        expect("folder_without_application", loan["old"], None)

    def test_file_without_folder(self, alias, loan, expect):
        change(alias, File, loan["a.txt"], folder_id=None)

        expect("file_without_folder", loan["a.txt"], loan.application)

    def test_late_arrival_of_a_file(self, alias, loan, expect):
        merge_away(alias, loan, removed=MISSING, survivor=loan["docs"])
        change(alias, File, loan["a.txt"], folder_id=MISSING)

        finding = expect("late_arrival", loan["a.txt"], loan.application)

        assert finding.detail == {"column": named(":files.folder"), "folder": MISSING, "survivor": loan["docs"]}

    def test_late_arrival_in_a_folder_that_was_removed_twice_names_the_latest_survivor(self, alias, loan, expect):
        for survivor in ("photos", "docs"):
            merge_away(alias, loan, removed=MISSING, survivor=loan[survivor])
        change(alias, File, loan["a.txt"], folder_id=MISSING)

        assert expect("late_arrival", loan["a.txt"], loan.application).detail["survivor"] == loan["docs"]

    def test_folder_that_is_there_again_after_a_cleanup_had_removed_it(self, alias, loan, other, expect):
        merge_away(alias, loan, removed=other["docs"], survivor=loan["docs"])
        change(alias, File, loan["a.txt"], folder_id=other["docs"])

        expect("file_in_other_application", loan["a.txt"], loan.application)

    def test_late_arrival_of_a_file_of_no_application(self, alias, loan, expect):
        merge_away(alias, loan, removed=MISSING, survivor=loan["docs"])
        change(alias, File, loan["a.txt"], folder_id=MISSING, application_id=None)

        expect("late_arrival", loan["a.txt"], loan.application)

    def test_late_arrival_of_a_folder(self, alias, loan, expect):
        merge_away(alias, loan, removed=MISSING, survivor=loan["docs"])
        change(alias, Folder, loan["photos"], parent_id=MISSING)

        expect("late_arrival", loan["photos"], loan.application)

    @pytest.mark.parametrize("spelling", spellings(MISSING))
    def test_late_arrival_of_another_row(self, alias, loan, expect, spelling):
        merge_away(alias, loan, removed=MISSING, survivor=loan["docs"])
        type_of_folder = ContentType.objects.db_manager(alias).get_for_model(Folder.model)
        note = Note.objects.using(alias).create(content_type=type_of_folder, object_id=spelling, text="")

        expect("late_arrival", str(note.pk), loan.application)

    def test_late_arrival_after_the_point_was_rolled_back_is_an_error(self, alias, loan, expect):
        merge_away(alias, loan, removed=MISSING, survivor=loan["docs"], status="rolled_back")
        change(alias, File, loan["a.txt"], folder_id=MISSING)

        expect("file_of_missing_folder", loan["a.txt"], loan.application)


class TestTablesWithForeignKeys(Corruption):
    @pytest.fixture
    def alias(self, database) -> str:
        return database


class TestTablesWithoutForeignKeys(Corruption):
    @pytest.fixture
    def alias(self, scratch_database) -> str:
        drop_foreign_keys(scratch_database)
        return scratch_database


class TestTexts(Expectation):
    @pytest.fixture
    def alias(self, scratch_database, settings) -> str:
        settings.CLEANUP_EXTRA_REFERENCES = ["pins.folder"]
        execute(scratch_database, "CREATE TABLE pins (id integer PRIMARY KEY, folder text)")
        return scratch_database

    @pytest.mark.parametrize("spelling", spellings(MISSING))
    def test_late_arrival(self, alias, loan, expect, spelling):
        merge_away(alias, loan, removed=MISSING, survivor=loan["docs"])
        execute(alias, "INSERT INTO pins VALUES (1, %s)", spelling)

        expect("late_arrival", "1", loan.application)


class TestNames(Expectation):
    @pytest.fixture
    def alias(self, database) -> str:
        return database

    @pytest.mark.parametrize(
        ("one", "another"),
        [
            ("Docs", "docs"),
            ("Docs", "DOCS "),
            ("Docs", "\tDocs"),
            ("My Docs", "My  Docs"),
            ("My Docs", "My\u00a0Docs"),
            ("Caf\u00e9", "Cafe\u0301"),
            ("Caf\u00e9", "CAF\u00c9"),
            ("Docs", "\uff24ocs"),
            ("Stra\u00dfe", "STRASSE"),
            ("\u039f\u0394\u039f\u03a3", "\u03bf\u03b4\u03bf\u03c2"),
            ("\u0414\u043e\u043a", "\u0434\u043e\u043a"),
        ],
    )
    def test_names_alike(self, alias, loan, expect, one, another):
        change(alias, Folder, loan["docs"], name=one)
        change(alias, Folder, loan["photos"], name=another)

        finding = expect("names_alike", loan["top"], loan.application)

        assert finding.detail == {"names": sorted([one, another]), "folders": 2}

    @pytest.mark.parametrize(
        ("one", "another"),
        [("My Docs", "MyDocs"), ("Docs", "D\u00f6cs"), ("\u6587\u4ef6", "\u6587\u6863"), ("100%", "100")],
    )
    def test_names_that_are_not_alike(self, alias, loan, one, another):
        change(alias, Folder, loan["docs"], name=one)
        change(alias, Folder, loan["photos"], name=another)

        assert found(verification.verify(using=alias)) == []

    def test_names_alike_under_different_parents(self, alias, loan):
        change(alias, Folder, loan["old"], name="docs")

        assert found(verification.verify(using=alias)) == []

    def test_names_alike_are_those_in_one_folder_of_one_application(self, alias, loan, other):
        change(alias, Folder, loan["photos"], name="docs")
        change(alias, Folder, loan["old"], name="DOCS")
        change(alias, Folder, other["docs"], name="docs ", parent_id=loan["top"])

        (finding,) = [one for one in verification.verify(using=alias).findings if one.code == "names_alike"]

        assert finding.detail == {"names": ["Docs", "docs"], "folders": 2}

    @pytest.mark.parametrize("name", ["", " ", "\t\n", "\u2003\u00a0"])
    def test_blank_name(self, alias, loan, expect, name):
        change(alias, Folder, loan["docs"], name=name)

        expect("blank_name", loan["docs"], loan.application)


@pytest.mark.mapped_models("files can do without applications")
class TestTreesWithoutApplications:
    def test_have_but_the_findings_of_folders(self, database, settings):
        settings.CLEANUP_APPLICATION_MODEL = None
        loan = tree(database, "top:Loan/{docs:Docs, Old*2}")
        tree(database, "Case/Docs")
        with unchecked(database):
            Folder.objects.using(database).filter(pk=loan["docs"]).update(parent_id=MISSING)

        report = verification.verify(using=database)

        assert found(report) == [
            ("missing_parent", loan["docs"], None),
            ("same_named_siblings", loan["top"], loan["top"]),
        ]


class TestGuardsMissing:
    def hints(self, database: str) -> dict[str, str]:
        report = verification.verify(using=database)
        return {f.object_key: f.hint for f in report.findings if f.code == "guards_missing"}

    def test_are_all_named(self, database):
        assert set(self.hints(database)) == set(Guard)

    def test_do_not_fail_a_verification(self, database):
        assert verification.verify(using=database).verification_passed

    def test_are_put_in_place_by_their_hint(self, scratch_database):
        (hint,) = set(self.hints(scratch_database).values())
        assert hint.startswith("manage.py migrate cleanup_guards")
        call_command("migrate", "cleanup_guards", database=scratch_database, verbosity=0)
        assert self.hints(scratch_database) == {}

    def test_are_not_stood_for_by_another_kind(self, scratch_database):
        execute(
            scratch_database,
            "CREATE UNIQUE INDEX one ON :folders (:folders.application, :folders.name) WHERE :folders.parent IS NULL",
        )
        two = "CREATE UNIQUE INDEX two ON :folders (:folders.parent, :folders.name, :folders.created)"
        execute(scratch_database, two)

        assert set(self.hints(scratch_database)) == set(Guard)


class TestTableWithACompositeKey:
    @pytest.fixture
    def loan(self, scratch_database) -> Tree:
        database = scratch_database
        execute(database, "CREATE UNIQUE INDEX named ON :folders (:folders.key, :folders.name)")
        execute(
            database,
            f"CREATE TABLE pages (place {key_type(database)} NOT NULL REFERENCES :folders,"
            " title varchar(255) NOT NULL, number integer NOT NULL, PRIMARY KEY (place, number),"
            " FOREIGN KEY (place, title) REFERENCES :folders (:folders.key, :folders.name))",
        )
        loan = tree(database, "top:Loan/Docs")
        self.add_page(database, loan["top"], "Loan", 1)
        return loan

    def add_page(self, database: str, folder: str, title: str, number: int) -> None:
        with unchecked(database):
            execute(database, "INSERT INTO pages VALUES (%s, %s, %s)", raw(database, folder), title, number)

    def test_reports_a_row_once(self, scratch_database, loan):
        self.add_page(scratch_database, MISSING, "Loan", 2)

        report = verification.verify(using=scratch_database)

        assert found(report) == [("dangling_reference", f"{MISSING},2", None)]

    def test_reports_a_row_that_names_a_folder_and_the_name_of_another(self, scratch_database, loan):
        self.add_page(scratch_database, loan["top"], "Docs", 2)

        report = verification.verify(using=scratch_database)

        assert found(report) == [("dangling_reference", f"{loan['top']},2", None)]


class TestReport:
    def test_counts_what_the_original_counted(self, database):
        tree(database, "Loan*3/Docs*2")
        tree(database, "Loan/Docs*4")
        orphan = tree(database, "Loan/lost:Docs(a, b)")
        with unchecked(database):
            execute(database, "DELETE FROM :folders WHERE :folders.key = %s", raw(database, orphan["lost"]))
            Folder.objects.using(database).create(id=new_key(), name="Lost", parent_id=MISSING, application_id=NOBODY)

        report = verification.verify(using=database)

        assert (report.duplicate_parent_folders, report.duplicate_child_folders) == (1, 6)
        assert (report.orphaned_files, report.orphaned_folders) == (2, 1)

    def test_is_json(self, database):
        tree(database, "Loan*2")

        report = verification.verify(using=database).as_json()

        assert json.loads(json.dumps(report)) == report

    def test_is_the_same_in_ranges(self, database, monkeypatch):
        self.messy(database)
        whole = verification.verify(using=database)

        monkeypatch.setattr(verification, "application_ranges", partial(queries.application_ranges, per_range=2))
        ranged = verification.verify(using=database)

        assert found(ranged) == found(whole)
        assert ranged.counts == whole.counts
        assert ranged.inconsistent_applications == whole.inconsistent_applications

    def messy(self, database: str) -> None:
        trees = [tree(database, "top:Loan/{docs:Docs(a), Photos(b)}") for _ in range(7)]
        tree(database, "Loan*2/Docs*2")
        change(database, Folder, trees[0]["docs"], parent_id=trees[5]["top"])
        change(database, Folder, trees[1]["docs"], parent_id=MISSING)
        change(database, Folder, trees[2]["docs"], parent_id=trees[2]["docs"])
        change(database, Folder, trees[3]["docs"], application_id=None)
        change(database, File, trees[3]["b"], folder_id=trees[4]["docs"])
        change(database, File, trees[4]["a"], folder_id=MISSING, application_id=None)
        change(database, File, trees[5]["a"], application_id=NOBODY)
        change(database, Folder, trees[6]["docs"], name="photos ")

    def test_lists_each_application_with_an_error_once(self, database):
        loan = tree(database, "Loan*2/{Docs*2, own:Own}".replace("own:", ""))
        looped = tree(database, "Loan/own:Own, Loan")
        change(database, Folder, looped["own"], parent_id=looped["own"])
        tree(database, "Loan/{Docs, docs}")

        report = verification.verify(using=database)

        assert report.inconsistent_applications == tuple(sorted([loan.application, looped.application]))

    def test_counts_the_applications_beyond_the_limit(self, database, monkeypatch):
        for _ in range(4):
            tree(database, "Loan*2")
        monkeypatch.setattr("cleanup.conf.list_limit", lambda: 3)

        report = verification.verify(using=database)

        assert len(report.inconsistent_applications) == 3
        assert report.inconsistent_applications_left_out == 1

    @pytest.mark.parametrize(("limit", "guards"), [(5, 2), (4, 1)])
    def test_lists_some_of_every_code(self, database, monkeypatch, limit, guards):
        for _ in range(6):
            tree(database, "Loan*2")
        tree(database, "Loan/Docs*2")
        monkeypatch.setattr("cleanup.conf.list_limit", lambda: limit)

        report = verification.verify(using=database)

        codes = Counter(finding.code for finding in report.findings)
        assert codes == {"several_roots": 2, "same_named_siblings": 1, "guards_missing": guards}
        assert report.findings_left_out == 13 - limit

    def test_tells_progress(self, database):
        steps: list[tuple[int, int]] = []

        verification.verify(using=database, progress=lambda done, total: steps.append((done, total)))

        assert [done for done, _ in steps] == list(range(1, steps[-1][1] + 1))

    def test_refuses_a_malformed_application(self, database):
        with pytest.raises(InvalidKey):
            verification.verify(using=database, application_id="x17")

    def test_refuses_an_unknown_application(self, database):
        with pytest.raises(UnknownObject):
            verification.verify(using=database, application_id=NOBODY)

    def test_changes_no_mapped_row(self, database):
        tree(database, "Loan*2/Docs*2(a)")
        before = dump(database)

        verification.verify(using=database)

        assert dump(database) == before


class TestStoredVerification:
    def test_is_there_after_a_whole_verification(self, database):
        loan = tree(database, "Loan*2")

        report = verification.verify(using=database, started_by="ann")

        stored = Verification.objects.using(database).get(pk=report.verification_id)
        assert (stored.passed, stored.started_by, stored.counts) == (False, "ann", report.counts)
        finding = stored.findings.get(code="several_roots")
        assert (finding.severity, finding.object_key, finding.application_key) == (
            "error",
            loan.application,
            loan.application,
        )

    def test_is_taken_by_a_check_until_something_is_undone(self, database):
        service = DatabaseCleanupService(using=database)
        tree(database, "Loan*2")
        run = service.cleanup_all_duplicate_folders().run_id
        passed = service.verify_cleanup_integrity()["verification_id"]
        assert service.check()["integrity_verification"]["verification_id"] == passed
        service.rollback_cleanup(run)
        assert not service.check()["integrity_verification"]["verification_passed"]

    def test_is_not_there_after_one_of_an_application(self, database):
        loan = tree(database, "Loan*2")

        report = verification.verify(using=database, application_id=loan.application)

        assert report.verification_id is None
        assert not Verification.objects.using(database).exists()

    @pytest.mark.parametrize("per_range", [2, 1000])
    def test_keeps_a_limited_number_of_findings_of_a_code(self, database, settings, monkeypatch, per_range):
        settings.CLEANUP_FINDING_LIMIT = 3
        monkeypatch.setattr("cleanup.conf.list_limit", lambda: 2)
        monkeypatch.setattr(
            verification, "application_ranges", partial(queries.application_ranges, per_range=per_range)
        )
        for _ in range(5):
            tree(database, "Loan*2")

        report = verification.verify(using=database)

        assert report.counts["several_roots"] == 5
        assert Finding.objects.using(database).filter(code="several_roots").count() == 3

    def test_is_the_latest(self, database):
        verification.verify(using=database)
        tree(database, "Loan*2")
        report = verification.verify(using=database)

        assert verification.latest_verification(using=database) == report

    def test_is_not_the_latest_while_it_is_incomplete(self, database):
        Verification.objects.using(database).create()

        assert verification.latest_verification(using=database) is None


class TestRole:
    """On PostgreSQL; SQLite has no roles."""

    @pytest.fixture
    def role(self, scratch_database):
        """Name a role that may read the mapped tables and owns nothing."""
        if not is_postgresql(scratch_database):
            yield None
            return
        role = f"looker_{uuid.uuid4().hex}"  # the server has other visitors
        execute(scratch_database, f"CREATE ROLE {role}")
        execute(scratch_database, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        execute(scratch_database, f"GRANT ALL ON cleanup_verification, cleanup_finding TO {role}")
        execute(scratch_database, f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}")
        yield role
        execute(scratch_database, "RESET ROLE")
        execute(scratch_database, f"DROP OWNED BY {role}")
        execute(scratch_database, f"DROP ROLE {role}")

    def test_that_may_not_read_a_table_is_told_so(self, scratch_database, role):
        if role is None:
            return
        execute(scratch_database, f"REVOKE SELECT ON hostapp_watch FROM {role}")
        execute(scratch_database, f"SET ROLE {role}")

        report = verification.verify(using=scratch_database)

        assert [(code, key) for code, key, _ in found(report)] == [("not_checked", "watched_id")]

    def test_that_row_security_binds_gets_an_error_and_no_half_truth(self, scratch_database, role):
        if role is None:
            return
        execute(scratch_database, "ALTER TABLE :folders ENABLE ROW LEVEL SECURITY")
        execute(scratch_database, f"SET ROLE {role}")

        with pytest.raises(Exception, match="row-level security"):
            verification.verify(using=scratch_database)


class TestAnomalies:
    def test_names_alike_come_in_groups(self):
        assert list(similar_groups(["b", "A", "a", "B ", "c", "a", "d", "d"])) == [["A", "a", "a"], ["B ", "b"]]

    def test_cycles_of_a_very_deep_tree(self):
        chain = [Edge(f"{number:06}", f"{number - 1:06}", None) for number in range(1, 100_000)]
        loop = [Edge("x", "y", None), Edge("y", "x", None), Edge("z", "x", None)]

        assert in_cycles([*chain, *loop]) == loop[:2]


class TestDepth:
    def test_is_no_obstacle(self, database):
        """The walk for cycles goes down 64 levels; what lies deeper is decided in Python."""
        loan = tree(database, "Loan")
        keys = [new_key() for _ in range(300)]
        Folder.objects.using(database).bulk_create(
            Folder(
                pk=key, name="Deeper", parent_id=keys[number - 1] if number else None, application_id=loan.application
            )
            for number, key in enumerate(keys)
        )
        Folder.objects.using(database).filter(pk=keys[0]).update(
            parent_id=Folder.objects.using(database).get(parent=None, name="Loan").pk
        )
        assert found(verification.verify(using=database)) == []

        change(database, Folder, keys[200], parent_id=keys[298])

        report = verification.verify(using=database)
        assert report.counts["cycle"] == 99
        assert verification.verify(using=database, application_id=loan.application).counts["cycle"] == 99
