import json

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from cleanup.exceptions import InvalidKey, StalePlan, TooLargeToPreview, UnknownObject
from cleanup.references import cache
from cleanup.services import DatabaseCleanupService
from cleanup.services.merging.preview import preview
from cleanup.services.results import Fate, Reason
from cleanup.services.results.preview import stored_preview
from tests.support.model_roles import Application, Folder
from tests.support.trees import dump, execute, key_type, missing_key, raw, tree


def drawn(lines, found) -> list[str]:
    return ["  " * line.depth + found.by_id[line.folder_id].name for line in lines]


class TestPreview:
    @pytest.fixture
    def application(self, database):
        return tree(database, "old:Loan/docs:Docs(2), young:Loan/{twin:Docs(1)/deep:Scans, Photos(3)}")

    @pytest.fixture
    def found(self, database, application):
        return preview(using=database, application_id=application.application)

    def test_draws_the_tree_before(self, found):
        assert drawn(found.before, found) == ["Loan", "  Docs", "Loan", "  Docs", "    Scans", "  Photos"]

    def test_draws_the_tree_after(self, found):
        assert drawn(found.after, found) == ["Loan", "  Docs", "    Scans", "  Photos"]

    def test_tells_which_folder_stays(self, found, application):
        folder = found.by_id[application["old"]]
        assert (folder.fate, folder.reasons) == (Fate.SURVIVOR, (Reason.OLDEST,))

    def test_tells_into_which_folder_another_merges(self, found, application):
        folder = found.by_id[application["twin"]]
        assert (folder.fate, folder.into, folder.reasons) == (Fate.MERGED, application["docs"], (Reason.SAME_NAME,))

    def test_tells_what_moves(self, found, application):
        folder = found.by_id[application["deep"]]
        assert (folder.fate, folder.parent_id, folder.parent_after) == (
            Fate.MOVED,
            application["twin"],
            application["docs"],
        )

    def test_counts_files_before_and_after(self, found, application):
        folder = found.by_id[application["docs"]]
        assert (folder.files, folder.files_after) == (2, 3)

    def test_has_the_totals_that_the_cleanup_will_have(self, found, application, database):
        result = DatabaseCleanupService(using=database).consolidate_duplicate_folders(application.application)
        assert (found.folders_removed, found.files_moved, sum(found.references_moved.values())) == (
            result.folders_removed,
            result.files_moved,
            result.references_moved,
        )

    def test_tells_what_each_group_brings_together(self, found, application):
        roots, docs = found.groups
        assert (roots.removed, docs.removed, docs.files_moved) == ((application["young"],), (application["twin"],), 1)

    def test_changes_nothing(self, database, application):
        before = dump(database, own=True)
        preview(using=database, application_id=application.application)
        assert dump(database, own=True) == before

    def test_tells_when_folders_were_made(self, found, application, database):
        assert found.by_id[application["old"]].created_at.year == 2020

    def test_counts_linked_records(self, database, application):
        from tests.hostapp.models import Tag

        Tag.objects.using(database).create(label="red").folders.add(application["twin"])
        found = preview(using=database, application_id=application.application)
        ((table, rows),) = found.by_id[application["twin"]].linked_records.items()
        assert (table.removeprefix("public."), rows) == ("hostapp_tag_folders", 1)


class TestPreviewOfOddApplications:
    def test_of_one_without_duplicates_is_empty(self, database):
        found = preview(using=database, application_id=tree(database, "Loan/Docs(1)").application)
        assert (found.empty, drawn(found.after, found)) == (True, ["Loan", "  Docs"])

    def test_of_one_without_folders_is_empty(self, database):
        found = preview(using=database, application_id=tree(database, "").application)
        assert (found.empty, found.before) == (True, ())

    def test_of_a_missing_one_is_refused(self, database):
        with pytest.raises(UnknownObject):
            preview(using=database, application_id=missing_key(Application))

    @pytest.mark.mapped_models("a text key may be anything")
    def test_of_nonsense_is_refused(self, database):
        with pytest.raises(InvalidKey):
            preview(using=database, application_id="nonsense")

    def test_names_the_hold_and_shows_the_plan_all_the_same(self, database):
        application = tree(database, "Loan, Loan").application
        DatabaseCleanupService(using=database).hold(application, reason="audit")
        found = preview(using=database, application_id=application)
        assert ([obstacle.code for obstacle in found.obstacles], found.folders_removed) == (["held"], 1)

    def test_of_what_is_too_large_is_not_made(self, database, settings):
        settings.CLEANUP_LARGE_APPLICATION = 1
        made = tree(database, "Loan, Loan").application
        with pytest.raises(TooLargeToPreview, match=f"--application '?{made}'? --include-large"):
            preview(using=database, application_id=made)

    def test_names_roots_that_may_not_merge(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "refuse"
        found = preview(using=database, application_id=tree(database, "Loan, Other").application)
        assert [obstacle.code for obstacle in found.obstacles] == ["different_roots"]

    def test_shows_what_no_root_leads_to(self, database):
        made = tree(database, "Loan/a:A/b:B")
        Folder.objects.using(database).filter(pk=made["a"]).update(parent_id=made["b"])
        found = preview(using=database, application_id=made.application)
        assert {found.by_id[made[label]].fate for label in "ab"} == {Fate.LEFT_ALONE}


class TestPlanHash:
    def test_is_carried_out_while_nothing_changes(self, database):
        service, application = DatabaseCleanupService(using=database), tree(database, "Loan, Loan").application
        shown = preview(using=database, application_id=application)
        done = service.consolidate_duplicate_folders(application, plan_hash=shown.plan_hash)
        assert done.folders_removed == 1

    def test_is_stale_once_a_folder_came(self, database):
        service, made = DatabaseCleanupService(using=database), tree(database, "Loan, Loan")
        shown = preview(using=database, application_id=made.application)
        tree(database, "Loan", application=made.application)
        with pytest.raises(StalePlan):
            service.consolidate_duplicate_folders(made.application, plan_hash=shown.plan_hash)
        assert made.folders == 3


class TestTheCatalogue:
    """Read for the first of several previews, within some seconds."""

    def statements(self, using: str, key: str) -> list[str]:
        with CaptureQueriesContext(connections[using]) as captured:
            preview(using=using, application_id=key)
        return [query["sql"] for query in captured]

    def catalogue(self, statements: list[str]) -> list[str]:
        # On SQLite, the tables themselves are read again only if they have changed since.
        return [sql for sql in statements if "pg_class" in sql or "PRAGMA foreign_keys" in sql]

    def test_is_read_once_for_several_previews(self, scratch_database):
        key = tree(scratch_database, "a:Loan, b:Loan").application
        first, second = self.statements(scratch_database, key), self.statements(scratch_database, key)
        assert (len(self.catalogue(first)) > 0, self.catalogue(second)) == (True, [])

    def test_is_read_again_after_some_seconds(self, scratch_database, monkeypatch):
        key = tree(scratch_database, "a:Loan, b:Loan").application
        preview(using=scratch_database, application_id=key)
        monkeypatch.setattr(cache, "SECONDS", 0)
        assert self.catalogue(self.statements(scratch_database, key))

    def test_is_read_again_under_other_settings(self, scratch_database, settings):
        key = tree(scratch_database, "a:Loan, b:Loan").application
        preview(using=scratch_database, application_id=key)
        settings.CLEANUP_TRIGGERS = "fire"
        assert self.catalogue(self.statements(scratch_database, key))

    def test_is_read_again_when_a_table_has_gone(self, scratch_database):
        made = tree(scratch_database, "a:Loan, b:Loan")
        key = key_type(scratch_database)
        execute(scratch_database, f"CREATE TABLE note (id integer PRIMARY KEY, folder_id {key} REFERENCES folders)")
        execute(scratch_database, "CREATE INDEX note_folder ON note (folder_id)")
        execute(scratch_database, "INSERT INTO note VALUES (1, %s)", raw(scratch_database, made["b"]))
        before = preview(using=scratch_database, application_id=made.application)
        execute(scratch_database, "DROP TABLE note")
        after = preview(using=scratch_database, application_id=made.application)
        assert [sum(found.references_moved.values()) for found in (before, after)] == [1, 0]


class TestTheOutline:
    """Of a large application's preview, which is stored."""

    def test_is_stored_as_it_is(self, database):
        made = tree(database, "Loan/{Docs(2), Docs(1), Kept/deep}, Loan/Docs")
        found = preview(using=database, application_id=made.application)
        assert stored_preview(json.loads(json.dumps(found.as_json()))) == found

    def test_keeps_what_changes_and_what_leads_to_it(self, database):
        made = tree(database, "top:Loan/{a:A/{one:x, two:x}, B/{C, D, E}, F}")
        found = preview(using=database, application_id=made.application).outlined(100)
        assert {line.folder_id for line in found.after} == {made["top"], made["a"], made["one"]}
        assert {folder.folder_id for folder in found.folders} == {made[label] for label in ("top", "a", "one", "two")}
        assert found.folders_left_out == 5

    def test_is_bounded_where_very_many_merge(self, database):
        made = tree(database, "Loan/{A*30, B*30, C/d}")
        found = preview(using=database, application_id=made.application).outlined(10)
        (group,) = found.groups
        assert (len(group.removed), group.number_removed, found.groups_left_out) == (10, 29, 1)
        assert (len(found.folders), found.folders_left_out, found.folders_removed) == (12, 51, 58)
