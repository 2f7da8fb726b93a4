"""Trees without files and times: what is filed by a column or a link table is a reference like any other."""

import re

import pytest

from cleanup.models import Result
from cleanup.permissions import Permission
from cleanup.services import DatabaseCleanupService
from cleanup.services.merging.preview import preview
from tests.integration.admin.test_pages import PAGES, OneDatabase, address, person, text
from tests.integration.management.test_command import run_command
from tests.support.trees import Tree, assert_tree, dump, execute, fetch, label, tree
from tests.treemodels.models import Appearance, Item, Mention, Placement, Topic

LINKS = {"automatic": Item.topics.through, "composite": Placement, "unique": Appearance, "any": Mention}
#: Those of which an exact twin is removed without asking.
PURE = ("automatic", "composite")


def link(database: str, kind: str, *topics: str) -> None:
    """File a new item under each of the topics."""
    item = Item.objects.using(database).create(title="x")
    for topic in topics:
        LINKS[kind].objects.using(database).create(topic_id=topic, item_id=item.pk)


def table(database: str, kind: str) -> str:
    """Return how reports spell the table."""
    return label(database, LINKS[kind]._meta.db_table)


@pytest.fixture(params=LINKS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def made(database) -> Tree:
    return tree(database, "stays:A/kept:B, gone:A/lost:B")


class TestLinks:
    def test_follow_their_folder(self, database, kind, made):
        link(database, kind, made["gone"])
        link(database, kind, made["lost"])
        was = dump(database)
        service = DatabaseCleanupService(using=database)
        result = service.consolidate_duplicate_folders(made.application)
        assert result.details["moved"] == {table(database, kind): 2}
        assert (result.files_moved, result.references_moved, result.folders_removed) == (0, 2, 2)
        linked = LINKS[kind].objects.using(database).values_list("topic_id", flat=True)
        assert sorted(map(str, linked)) == [made["stays"], made["kept"]]
        service.rollback_cleanup(result.rollback_id)
        assert dump(database) == was

    @pytest.mark.parametrize("kind", PURE)
    def test_become_one_where_a_pure_one_would_be_there_twice(self, database, kind, made):
        link(database, kind, made["stays"], made["gone"])
        was = dump(database)
        service = DatabaseCleanupService(using=database)
        (forecast,) = service.cleanup_all_duplicate_folders(dry_run=True).results
        result = service.consolidate_duplicate_folders(made.application)
        assert (forecast.details, result.details["removed"]) == (result.details, {table(database, kind): 1})
        (left,) = LINKS[kind].objects.using(database).values_list("topic_id", flat=True)
        assert str(left) == made["stays"]
        service.rollback_cleanup(result.rollback_id)
        assert dump(database) == was

    def test_with_values_of_their_own_need_a_policy(self, database, made):
        link(database, "unique", made["stays"], made["gone"])
        was = dump(database)
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        (result,) = report.results
        assert (result.status, dump(database)) == (Result.Status.FAILED, was)
        assert report.collision_policies == {table(database, "unique"): "keep_survivor"}

    def test_with_values_of_their_own_keep_those_of_the_survivor(self, database, settings, made):
        settings.CLEANUP_COLLISIONS = {Appearance._meta.db_table: "keep_survivor"}
        link(database, "unique", made["stays"], made["gone"])
        was = dump(database)
        service = DatabaseCleanupService(using=database)
        (forecast,) = service.cleanup_all_duplicate_folders(dry_run=True).results
        result = service.consolidate_duplicate_folders(made.application)
        assert (forecast.details, result.details["removed"]) == (result.details, {table(database, "unique"): 1})
        service.rollback_cleanup(result.rollback_id)
        assert dump(database) == was

    def test_that_may_be_there_twice_are(self, database, made):
        link(database, "any", made["stays"], made["gone"])
        DatabaseCleanupService(using=database).consolidate_duplicate_folders(made.application)
        linked = Mention.objects.using(database).values_list("topic_id", flat=True)
        assert [str(topic) for topic in linked] == [made["stays"]] * 2


class TestATableThatDjangoDoesNotKnow:
    """``folder_files``, as another program makes it."""

    @pytest.fixture
    def filed(self, scratch_database) -> Tree:
        made = tree(scratch_database, "stays:A/kept:B, gone:A/lost:B")
        execute(
            scratch_database,
            "CREATE TABLE folder_files (folder_id bigint NOT NULL REFERENCES library_topics, file_id bigint NOT NULL,"
            " filed_by text, PRIMARY KEY (folder_id, file_id))",
        )
        self.file(scratch_database, made["lost"], 7)
        return made

    def file(self, database: str, topic: str, number: int, by: str = "Ann") -> None:
        execute(database, "INSERT INTO folder_files VALUES (%s, %s, %s)", int(topic), number, by)

    def test_follows_its_folder(self, scratch_database, filed):
        self.file(scratch_database, filed["kept"], 7)
        was = dump(scratch_database)
        service = DatabaseCleanupService(using=scratch_database)
        (forecast,) = service.cleanup_all_duplicate_folders(dry_run=True).results
        result = service.consolidate_duplicate_folders(filed.application)
        assert (forecast.details, sum(result.details["removed"].values())) == (result.details, 1)
        assert fetch(scratch_database, "SELECT * FROM folder_files") == [(int(filed["kept"]), 7, "Ann")]
        assert service.verify_cleanup_integrity()["verification_passed"]
        service.rollback_cleanup(result.rollback_id)
        assert dump(scratch_database) == was

    def test_is_refused_where_rows_that_meet_differ(self, scratch_database, filed):
        self.file(scratch_database, filed["kept"], 7, by="Bob")
        was = dump(scratch_database)
        (result,) = DatabaseCleanupService(using=scratch_database).cleanup_all_duplicate_folders().results
        assert (result.status, dump(scratch_database)) == (Result.Status.FAILED, was)


class TestFoldersWithoutTimes:
    def test_stay_by_the_lowest_key(self, database):
        made = tree(database, "first:A/B, A/later:B, A/B")
        DatabaseCleanupService(using=database).consolidate_duplicate_folders(made.application)
        assert_tree(database, made, "first:A/B")

    def test_are_compared_as_numbers(self, database):
        application = tree(database, "").application
        for key in (10, 9):
            Topic.objects.using(database).create(pk=key, heading="A", desk_id=application)
        DatabaseCleanupService(using=database).consolidate_duplicate_folders(application)
        assert [topic.pk for topic in Topic.objects.using(database).all()] == [9]

    def test_say_why_they_stay(self, database, made):
        found = preview(using=database, application_id=made.application)
        assert {group.reason for group in found.groups} == {"lowest_key"}
        assert {folder.created_at for folder in found.folders} == {None}

    def test_come_back_as_copies_in_their_order(self, database):
        application = tree(database, "").application
        for key in (8, 9, 10):
            Topic.objects.using(database).create(pk=key, heading="A", desk_id=application)
        service = DatabaseCleanupService(using=database)
        point = service.consolidate_duplicate_folders(application).rollback_id
        service.rollback_cleanup(point, as_copies=True)
        names = dict(Topic.objects.using(database).values_list("pk", "heading"))
        assert names == {8: "A", 9: "A (restored)", 10: "A (restored 2)"}


class TestFindings:
    def test_are_none_about_files(self, database, made):
        link(database, "any", made["gone"])
        report = DatabaseCleanupService(using=database).verify_cleanup_integrity()
        assert {code for code, number in report["counts"].items() if number} == {"several_roots", "guards_missing"}
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert DatabaseCleanupService(using=database).verify_cleanup_integrity()["verification_passed"]


class TestPreflight:
    def test_finds_no_obstacle(self, database, made):
        report = DatabaseCleanupService(using=database).preflight()
        assert (report["ok"], report["problems"]) == (True, [])


FILES = re.compile(r"\bfiles?\b", re.IGNORECASE)


@pytest.fixture
def boss(database, settings):
    settings.DATABASE_ROUTERS = [OneDatabase(database)]
    return person(*Permission)


class TestWords:
    """What people read counts rows by their own names, and speaks of no files."""

    def test_of_the_command(self, database, made):
        link(database, "any", made["gone"])
        link(database, "any", made["lost"])
        moved = f"2 rows of {table(database, 'any')} would be moved."
        shown = run_command(database, "--dry-run").out
        assert f"2 folders would be removed, 1 of them child folders; {moved}" in shown
        assert "File" not in shown
        run = run_command(database, "--cleanup", "--no-input", "--json").json
        assert run["total_rows_moved"] == {table(database, "any"): 2}
        undone = run_command(database, "--rollback", run["run_id"], "--no-input", "--reason", "a test").out
        assert "2 folders and 2 references restored, in 1 of 1 application." in undone

    def test_of_the_preview(self, database, boss, made):
        link(database, "any", made["gone"], made["lost"])
        link(database, "composite", made["gone"])
        shown = text(boss.get(address("preview", made.application)))
        assert "2 duplicate folders will be merged and 2 mentions and 1 placement moved." in shown
        assert "Only duplicate folders are removed; everything in them is kept." in shown
        assert "the one with the lowest key stays" in shown
        assert not FILES.search(shown)

    def test_of_a_run(self, database, boss, made):
        link(database, "any", made["gone"])
        run = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders().run_id
        assert not FILES.search(text(boss.get(address("run_change", run))))
        shown = text(boss.get(address("result_changelist")))
        assert "2 duplicate folders merged, 1 mention moved." in shown
        assert not FILES.search(shown)

    def test_of_every_page(self, database, boss, made, subtests):
        link(database, "any", made["gone"])
        service = DatabaseCleanupService(using=database)
        service.verify_cleanup_integrity()
        service.rollback_cleanup(service.cleanup_all_duplicate_folders().run_id)
        for page in PAGES:
            with subtests.test(page):
                response = boss.get(address(page), follow=True)
                assert (response.status_code, FILES.search(text(response))) == (200, None)

    def test_of_every_verb_that_looks(self, database, made, subtests):
        for verb in ("--preflight", "--check", "--verify", "--status"):
            with subtests.test(verb):
                done = run_command(database, verb)
                assert FILES.search(done.out + done.err) is None
