"""What an undo leaves as it is, in sentences: names, places, and what is for IT folded."""

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from cleanup import queries
from cleanup.admin import conflicts, wording
from cleanup.models import RemovedFolder, Run
from cleanup.services import DatabaseCleanupService
from cleanup.services.folders.places import places
from tests.integration.admin.test_pages import address, boss, person, text, using
from tests.support.model_roles import File, Folder
from tests.support.trees import missing_key, tree

__all__ = ["boss", "person", "using"]

#: Files, paths, names of merged folders; and, in PostgreSQL, what the session is.
MOST_QUERIES = 4


@pytest.fixture
def made(using):
    return tree(using, "Loan 14/{Docs(a.txt), Docs(scan.pdf, plan.txt)/Income, Borrower}")


@pytest.fixture
def run(using, made) -> Run:
    report = DatabaseCleanupService(using=using).cleanup_all_duplicate_folders(started_how="admin")
    return Run.objects.get(pk=report.run_id)


class TestConfirmation:
    def page(self, boss, run):
        return boss.get(address("undo_record", run.points.get().pk))

    def test_names_a_file_that_was_moved_and_its_place(self, boss, using, run):
        place = Folder.objects.using(using).get(name="Borrower")
        File.objects.using(using).filter(filename="scan.pdf").update(folder_id=place.pk)
        page = text(self.page(boss, run))
        assert "“scan.pdf”: moved to Loan 14 / Borrower since. It stays there." in page

    def test_says_what_comes_back_with_the_rest(self, boss, using, run):
        File.objects.using(using).filter(filename="scan.pdf").update(folder_id=None)
        page = text(self.page(boss, run))
        assert "Undo the rest, and keep what people have changed 1 folder comes back." in page
        assert "One thing stays as it is now, as listed." in page
        assert "People have changed some of it since. You can undo the rest" in page
        assert page.count("1 folder comes back.") == 1

    def test_folds_why_it_is_refused(self, boss, using, run):
        DatabaseCleanupService(using=using).rollback_cleanup(run.points.get().uuid)
        assert "There is nothing left to do. For IT" in text(self.page(boss, run))

    def test_says_where_a_file_was_that_was_deleted(self, boss, using, run):
        File.objects.using(using).filter(filename="scan.pdf").delete()
        assert "A file that was in “Docs”: deleted since. It does not come back." in text(self.page(boss, run))

    def test_says_where_a_folder_was_that_was_deleted(self, boss, using, run):
        Folder.objects.using(using).filter(name="Income").delete()
        assert "A folder that was in “Docs”: deleted since. It does not come back." in text(self.page(boss, run))

    def test_names_a_folder_that_was_moved(self, boss, using, run):
        place = Folder.objects.using(using).get(name="Borrower")
        Folder.objects.using(using).filter(name="Income").update(parent_id=place.pk)
        assert "“Income”: moved to Loan 14 / Borrower since. It stays there." in text(self.page(boss, run))

    def test_folds_tables_and_keys(self, boss, using, run):
        File.objects.using(using).filter(filename="scan.pdf").update(folder_id=None)
        page = self.page(boss, run).content.decode()
        sentence, folded = page.split("<summary>For IT</summary>", 1)
        assert "folder_id" not in sentence
        assert "folder_id" in folded.split("</details>")[0]

    def test_counts_folders_that_move_back_as_folders(self, boss, run):
        page = text(self.page(boss, run))
        assert "goes back to its old place." in page
        assert "linked record" not in page


def test_a_page_of_conflicts_costs_a_query_for_each_table(using, made):
    files = [str(key) for key in File.objects.using(using).values_list("pk", flat=True)]
    folders = [str(key) for key in Folder.objects.using(using).values_list("pk", flat=True)]
    with CaptureQueriesContext(connections[using]) as few:
        places(using=using, folders=folders[:1], files=files[:1])
    with CaptureQueriesContext(connections[using]) as many:
        places(using=using, folders=folders, files=files)
    assert len(many) == len(few) <= MOST_QUERIES


def test_a_path_ends_where_parents_go_round(using):
    made = tree(using, "A/B/lost:C")
    Folder.objects.using(using).filter(name="A").update(parent_id=made["lost"])
    path = queries.paths_of(using=using, folders=[made["lost"]])[made["lost"]]
    assert len(path) == queries.LEVELS_OF_A_PATH
    assert path[-3:] == ("A", "B", "C")


@pytest.mark.parametrize("code", ["changed", "row_missing", "row_exists", "missing_target", "unique_taken", "refused"])
def test_every_kind_has_words_for_a_record_of_the_host(using, code):
    (one,) = conflicts.described([{"code": code, "table": "hostapp_bookmark", "key": "7", "column": "folder_id"}])
    assert one.sentence.startswith("Bookmark: ")
    assert "hostapp_bookmark, 7, folder_id" in one.for_it


def test_a_key_that_cannot_be_is_a_folder_without_name(using):
    table = Folder.model._meta.db_table
    (one,) = conflicts.described([{"code": "row_missing", "table": table, "key": missing_key(Folder)}])
    assert one.sentence == "A folder: deleted since. It does not come back."


class TestPages:
    @pytest.fixture
    def undone(self, using, run) -> Run:
        File.objects.using(using).filter(filename="scan.pdf").update(folder_id=None)
        service = DatabaseCleanupService(using=using)
        result = service.rollback_cleanup(run.pk, skip_conflicts=True)
        return Run.objects.get(pk=result.run_id)

    def test_of_the_result_says_what_was_kept(self, boss, undone):
        page = text(boss.get(address("result_change", undone.results.get().pk)))
        assert "“scan.pdf”: taken out of its folder since. It stays out." in page

    def test_of_the_undo_record_says_so_too(self, boss, run, undone):
        page = text(boss.get(address("rollbackpoint_change", run.points.get().pk)))
        assert "“scan.pdf”: taken out of its folder since. It stays out." in page


class TestTotals:
    def test_of_an_undo_stand_on_its_page(self, boss, using, run):
        undo = DatabaseCleanupService(using=using).rollback_cleanup(run.pk)
        page = text(boss.get(address("run_change", undo.run_id)))
        assert "0 failed 1 folder came back." in page

    def test_say_nothing_odd_about_no_files(self, using):
        assert wording.restored_text(1, 0, 0, 0) == "1 folder comes back. No file has to move back."


def test_copies_are_named_as_they_were_and_as_they_are(using, run, made):
    key = RemovedFolder.objects.using(using).get().folder_key
    folder = Folder.objects.using(using).get(name="Docs")
    File.objects.using(using).update(folder_id=None)
    Folder.objects.using(using).create(pk=key, name="Docs (restored)", parent_id=folder.pk)
    assert "“Docs” came back as “Docs (restored)” in Loan 14 / Docs." in conflicts.copies([{"folder_id": key}])
