"""Undo: everything as it was, nothing that a person did since is overwritten, and each conflict names its object."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import OperationalError, connections, transaction
from django.utils import timezone

from cleanup import exceptions
from cleanup.journal import FORMAT_OF_MERGES
from cleanup.models import Hold, Result, RollbackPoint, Run
from cleanup.references import schema_changes
from cleanup.services import DatabaseCleanupService
from cleanup.services.concurrency import retry
from cleanup.services.rollback.detached import Detached
from cleanup.services.rollback.points import find_point
from cleanup.services.rollback.roll_back import roll_back
from cleanup.services.runs.late_arrivals import LateArrivals
from tests.hostapp import paths
from tests.hostapp.models import TAGGED, Bookmark, Cover, Note, Scan, Tag, Watch
from tests.support.model_roles import Application, File, Folder, as_counted
from tests.support.trees import (
    Tree,
    assert_tree,
    dump,
    execute,
    fetch,
    key_type,
    label,
    named,
    new_key,
    raw,
    spellings,
    sql,
    tree,
)


def clean(database: str, made: Tree):
    """Merge one application and return the id of its rollback point."""
    return DatabaseCleanupService(using=database).consolidate_duplicate_folders(made.application).rollback_id


def undo(database: str, point, **options):
    return DatabaseCleanupService(using=database).rollback_cleanup(point, **options)


def refused(database: str, point) -> list[tuple[str, str, str, str]]:
    """Have a rollback refuse, see that it has changed nothing, and return its conflicts."""
    before = dump(database, own=True)
    with pytest.raises(exceptions.RollbackConflict) as caught:
        undo(database, point)
    assert dump(database, own=True) == before
    conflicts = [(c.code, c.table, c.key, c.column) for c in caught.value.conflicts]
    preview = DatabaseCleanupService(using=database).preview_rollback(point)
    assert [(c.code, c.table, c.key, c.column) for c in preview.conflicts] == conflicts
    return conflicts


EXACT = {
    "merged_roots": "A(1), B(2), C",
    "moved_children": "A/{B(1), C(1)}, D/{E(1)/F(1), C(1)}",
    "merged_siblings": "A/{B(1)/{C(1), D}, B(1)/C(1), B/{D(1), E}}",
    "null_times": "A@-(1)/B@-, A@-/B@-(2)",
    "odd_names": 'A/"100% {0} [b]\\"\'"(1)*3, A/"\u202eabc"(1)*2',
    "many": "A*5/{B(2)*3, C/D(1)*4}",
}


class TestUndo:
    def restore(self, database: str, *texts: str):
        """Have an application of each text cleaned up and brought back, to the last cell, and return what is told."""
        made = [tree(database, text) for text in texts]
        was = dump(database)
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert {r.application_id for r in report.results} == {each.application for each in made}
        assert dump(database) != was
        result = undo(database, report.run_id)
        assert dump(database) == was
        return result

    def test_restores_everything(self, database):
        result = self.restore(database, *EXACT.values())
        assert (result.exact, result.conflicts, result.successful) == (True, (), len(EXACT))

    def test_restores_nested_roots(self, database, settings):
        settings.CLEANUP_DIFFERENT_ROOTS = "nest"
        assert self.restore(database, "A, B(1), C", "A/B(1), A/B, B(1)/C, B(1)/C", "A/B, B*2").exact

    def test_restores_every_kind_of_reference(self, database):
        made = tree(database, "stays:A, gone:A/B, A/B")
        gone = made["gone"]
        of_folders = ContentType.objects.db_manager(database).get_for_model(Folder.model)
        Bookmark._base_manager.using(database).create(folder_id=gone)
        Cover.objects.using(database).create(folder_id=gone, picture="x")
        Tag.objects.using(database).create(label="urgent").folders.set([gone, made["stays"]])
        Tag.objects.using(database).create(label="late").folders.set([gone])
        Watch.objects.using(database).create(watched_id=gone)
        for spelling in spellings(gone):
            Note.objects.using(database).create(content_type=of_folders, object_id=spelling, text="x")
        Scan.objects.using(database).create(about_type=of_folders, about_id=gone)
        was = dump(database)
        point = clean(database, made)
        undo(database, point)
        assert dump(database) == was

    def test_restores_strangers_below_a_removed_folder(self, database):
        made = tree(database, "A/{B, gone:B(1)}")
        stranger = tree(database, "R/strange:S(theirs.pdf)")
        Folder.objects.using(database).filter(pk=stranger["strange"]).update(parent=made["gone"])
        File.objects.using(database).filter(pk=stranger["theirs.pdf"]).update(folder=made["gone"])
        was = dump(database)
        undo(database, clean(database, made))
        assert dump(database) == was

    def test_restores_columns_unknown_to_django(self, scratch_database):
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN colour text DEFAULT 'red'")
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN weight double precision")
        made = tree(scratch_database, "A, gone:A")
        execute(
            scratch_database,
            "UPDATE :folders SET colour = %s, weight = %s WHERE :folders.key = %s",
            'it\'s "so"\n',
            0.1 + 0.2,
            raw(scratch_database, made["gone"]),
        )
        was = dump(scratch_database)
        undo(scratch_database, clean(scratch_database, made))
        assert dump(scratch_database) == was

    def test_counts_what_it_restored(self, database):
        made = tree(database, "A(1)/B(1), gone:A(2)/{B(1), C}")
        Bookmark._base_manager.using(database).create(folder_id=made["gone"])
        result = undo(database, clean(database, made))
        assert (result.folders_restored, result.files_restored, result.references_restored) == (2, *as_counted(3, 2))

    def test_is_true_and_records_who_and_why(self, database):
        point = clean(database, tree(database, "A, A"))
        result = undo(database, point, reason="wrong customer", started_by="anna")
        assert result
        assert (result.exact, result.conflicts, result.status) == (True, (), "rolled_back")
        stored = RollbackPoint.objects.using(database).get(uuid=point)
        assert (stored.status, stored.ended_by, stored.ended_reason, stored.exact) == (
            "rolled_back",
            "anna",
            "wrong customer",
            True,
        )
        assert Result.objects.using(database).get(point__uuid=point).status == "rolled_back"

    def test_leaves_others_alone(self, database):
        made, other = tree(database, "A(1), A(1)"), tree(database, "A(1), A(1)")
        point = clean(database, made)
        clean(database, other)
        undo(database, point)
        assert_tree(database, made, "A(1), A(1)")
        assert_tree(database, other, "A(2)")

    def test_needs_an_id_that_is_known(self, database):
        with pytest.raises(exceptions.UnknownObject):
            undo(database, uuid.uuid4())

    def test_needs_an_id(self, database):
        with pytest.raises(exceptions.InvalidKey):
            undo(database, "yesterday's")

    def test_waits_for_the_freeze_to_end(self, database):
        point = clean(database, tree(database, "A, A"))
        DatabaseCleanupService(using=database).freeze(reason="audit week")
        with pytest.raises(exceptions.Frozen):
            undo(database, point)


class TestWhatPeopleDidSince:
    def test_stays_where_it_is_new(self, database):
        made = tree(database, "stays:A(1), A(1)/B(1)")
        was = dump(database)
        point = clean(database, made)
        folder = Folder.objects.using(database).create(
            id=new_key(), name="New", parent_id=made["stays"], application_id=made.application
        )
        undo(database, point)
        Folder.objects.using(database).filter(pk=folder.pk).delete()
        assert dump(database) == was

    def test_stays_where_it_is_a_new_file(self, database):
        made = tree(database, "stays:A(1), gone:A(1)")
        point = clean(database, made)
        File.objects.using(database).create(
            id=new_key(File), filename="new", file_size=1, folder_id=made["stays"], application_id=made.application
        )
        undo(database, point)
        assert_tree(database, made, "stays:A(2), gone:A(1)")

    def test_stays_where_a_column_is_not_the_cleanups(self, database):
        made = tree(database, "stays:A, gone:A(x.pdf)")
        point = clean(database, made)
        File.objects.using(database).update(display_name="Better name")
        Folder.objects.using(database).update(name="Better name")
        assert undo(database, point).exact
        assert File.objects.using(database).get().display_name == "Better name"
        assert_tree(database, made, '"stays":"Better name", gone:A(x.pdf)')

    def test_is_no_conflict_if_it_was_the_same(self, database):
        made = tree(database, "A, gone:A")
        watch = Watch.objects.using(database).create(watched_id=made["gone"])
        was = dump(database)
        point = clean(database, made)
        Watch.objects.using(database).filter(pk=watch.pk).update(watched_id=made["gone"])
        assert undo(database, point).exact
        assert dump(database) == was

    def test_is_no_conflict_if_it_was_taken_back(self, database):
        made = tree(database, "A/aside:C, A(x.pdf)")
        was = dump(database)
        point = clean(database, made)
        file = File.objects.using(database).filter(pk=made["x.pdf"])
        for folder in (made["aside"], file.values_list("folder_id", flat=True).get()):
            file.update(folder=folder)
        assert undo(database, point).exact
        assert dump(database) == was


ONE_NAME = "CREATE UNIQUE INDEX one_name ON :folders (:folders.parent, :folders.name) WHERE :folders.name = 'B'"


class TestConflict:
    """Each: first the rollback refuses and changes nothing, then it restores the rest."""

    def test_a_file_was_moved(self, database):
        made = tree(database, "stays:A/aside:C, gone:A(x.pdf, y.pdf)")
        point = clean(database, made)
        File.objects.using(database).filter(pk=made["x.pdf"]).update(folder=made["aside"])
        assert refused(database, point) == [
            ("changed", label(database, ":files"), made["x.pdf"], named(":files.folder"))
        ]

        result = undo(database, point, skip_conflicts=True)
        assert_tree(database, made, "stays:A/aside:C(x.pdf), gone:A(y.pdf)")
        assert (result.exact, [c.key for c in result.conflicts]) == (False, [made["x.pdf"]])

    def test_a_file_was_unfiled(self, database):
        made = tree(database, "A, A(x.pdf)")
        point = clean(database, made)
        File.objects.using(database).update(folder=None)
        assert refused(database, point) == [
            ("changed", label(database, ":files"), made["x.pdf"], named(":files.folder"))
        ]

        undo(database, point, skip_conflicts=True)
        assert File.objects.using(database).get(folder=None)

    def test_a_folder_was_moved(self, database):
        made = tree(database, "stays:A/C, gone:A/moved:B")
        point = clean(database, made)
        Folder.objects.using(database).filter(pk=made["moved"]).update(parent=None)
        assert refused(database, point) == [
            ("changed", label(database, ":folders"), made["moved"], named(":folders.parent"))
        ]

        undo(database, point, skip_conflicts=True)
        assert_tree(database, made, "stays:A/C, gone:A, moved:B")

    def test_a_file_was_deleted(self, database):
        made = tree(database, "A, gone:A(x.pdf, y.pdf)")
        point = clean(database, made)
        File.objects.using(database).filter(pk=made["x.pdf"]).delete()
        assert refused(database, point) == [("row_missing", label(database, ":files"), made["x.pdf"], "")]

        undo(database, point, skip_conflicts=True)
        assert_tree(database, made, "A, gone:A(y.pdf)")

    def test_the_id_of_a_removed_folder_was_given_anew(self, database):
        made = tree(database, "A(x.pdf), gone:A(y.pdf)")
        point = clean(database, made)
        Folder.objects.using(database).create(id=made["gone"], name="Imported", application_id=made.application)
        assert refused(database, point) == [("row_exists", label(database, ":folders"), made["gone"], "")]

        undo(database, point, skip_conflicts=True)
        assert_tree(database, made, "A(x.pdf), gone:Imported(y.pdf)")

    def test_a_removed_folder_made_anew_just_as_it_was_is_none(self, database):
        made = tree(database, "A, gone:A(y.pdf)")
        gone = Folder.objects.using(database).get(pk=made["gone"])
        was = dump(database)
        point = clean(database, made)
        gone.save(using=database, force_insert=True)
        assert undo(database, point).exact
        assert dump(database) == was

    def test_the_parent_of_a_removed_folder_was_deleted(self, database):
        made = tree(database, "top:A/mid:M/{stays:B, gone:B(x.pdf)/below:C}")
        point = clean(database, made)
        Folder.objects.using(database).filter(pk=made["stays"]).update(parent=made["top"])
        Folder.objects.using(database).filter(pk=made["mid"]).delete()
        folders, files = label(database, ":folders"), label(database, ":files")
        assert set(refused(database, point)) == {
            ("missing_target", files, made["x.pdf"], named(":files.folder")),
            ("missing_target", folders, made["below"], named(":folders.parent")),
            ("missing_target", folders, made["gone"], named(":folders.parent")),
        }

        undo(database, point, skip_conflicts=True)
        assert_tree(database, made, "top:A/stays:B(x.pdf)/below:C")

    def test_a_folder_whose_parent_is_not_restored_is_not_either(self, database):
        made = tree(database, "top:A/mid:M/{stays:B/C, one:B/two:C(x.pdf)}")
        point = clean(database, made)
        Folder.objects.using(database).filter(pk=made["stays"]).update(parent=made["top"])
        Folder.objects.using(database).filter(pk=made["mid"]).delete()
        found = {(code, key) for code, _, key, _ in refused(database, point)}
        assert found == {("missing_target", made[name]) for name in ("one", "two", "x.pdf")}

        undo(database, point, skip_conflicts=True)
        assert_tree(database, made, "top:A/stays:B/C(x.pdf)")

    def test_the_application_was_deleted(self, database):
        made = tree(database, "A, gone:A")
        point = clean(database, made)
        Folder.objects.using(database).all().delete()
        Application.objects.using(database).all().delete()
        assert refused(database, point) == [
            ("missing_target", label(database, ":folders"), made["gone"], named(":folders.application"))
        ]

        undo(database, point, skip_conflicts=True)
        assert not Folder.objects.using(database).exists()

    def test_a_unique_value_was_taken(self, scratch_database):
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN slug varchar(20)")
        execute(scratch_database, "CREATE UNIQUE INDEX folders_slug ON :folders (slug)")
        made = tree(scratch_database, "stays:A, gone:A")
        slug = "UPDATE :folders SET slug = 'mine' WHERE :folders.key = %s"
        execute(scratch_database, slug, raw(scratch_database, made["gone"]))
        point = clean(scratch_database, made)
        execute(scratch_database, slug, raw(scratch_database, made["stays"]))
        assert refused(scratch_database, point) == [
            ("unique_taken", label(scratch_database, ":folders"), made["gone"], "slug")
        ]

        undo(scratch_database, point, skip_conflicts=True)
        assert_tree(scratch_database, made, "stays:A")

    def test_a_unique_place_of_a_moved_row_was_taken(self, scratch_database, settings):
        """By a late writer, where no foreign key forbids it."""
        settings.CLEANUP_EXTRA_REFERENCES = ["slot.subject"]
        execute(
            scratch_database,
            f"CREATE TABLE slot (id integer PRIMARY KEY, subject {key_type(scratch_database)} UNIQUE)",
        )
        made = tree(scratch_database, "stays:A, gone:A(x.pdf)")
        gone = raw(scratch_database, made["gone"])
        execute(scratch_database, "INSERT INTO slot VALUES (1, %s)", gone)
        point = clean(scratch_database, made)
        execute(scratch_database, "INSERT INTO slot VALUES (2, %s)", gone)
        assert refused(scratch_database, point) == [("unique_taken", label(scratch_database, "slot"), "1", "")]

        undo(scratch_database, point, skip_conflicts=True)
        assert_tree(scratch_database, made, "stays:A, gone:A(x.pdf)")

    def test_a_late_row_came_when_the_steps_were_others(self, scratch_database, settings):
        """A reference that was made since has taken the number of a step; the late row is left alone."""
        key = key_type(scratch_database)
        settings.CLEANUP_EXTRA_REFERENCES = ["slot.subject"]
        execute(scratch_database, f"CREATE TABLE slot (id integer PRIMARY KEY, subject {key})")
        made = tree(scratch_database, "stays:A, gone:A(x.pdf)")
        gone = raw(scratch_database, made["gone"])
        execute(scratch_database, "INSERT INTO slot VALUES (1, %s)", gone)
        point = clean(scratch_database, made)
        execute(scratch_database, f"CREATE TABLE another (id integer PRIMARY KEY, subject {key})")
        settings.CLEANUP_EXTRA_REFERENCES = ["slot.subject", "another.subject"]
        execute(scratch_database, "INSERT INTO slot VALUES (2, %s)", gone)
        references = schema_changes.read(using=scratch_database)
        assert LateArrivals(using=scratch_database, references=references).sweep() == {}
        undo(scratch_database, point)
        found = fetch(scratch_database, "SELECT id, subject FROM slot ORDER BY id")
        assert [(row, str(subject)) for row, subject in found] == [(1, str(gone)), (2, str(gone))]

    def test_an_index_made_since_forbids_twins(self, scratch_database):
        made = tree(scratch_database, "A/{B, gone:B(x.pdf), also:B}")
        point = clean(scratch_database, made)
        execute(
            scratch_database,
            "CREATE UNIQUE INDEX one_name ON :folders (:folders.parent, :folders.name) WHERE :folders.name = 'B'",
        )
        found = {(code, key) for code, table, key, _ in refused(scratch_database, point)}
        assert {("unique_taken", made["gone"]), ("unique_taken", made["also"])} <= found

        undo(scratch_database, point, skip_conflicts=True)
        assert_tree(scratch_database, made, "A/B(x.pdf)")

    def test_twins_that_are_both_gone_are_forbidden_too(self, scratch_database):
        made = tree(scratch_database, "A/B, gone:A/{one:B, two:B}")
        point = clean(scratch_database, made)
        execute(
            scratch_database,
            "CREATE UNIQUE INDEX one_name ON :folders (:folders.parent, :folders.name) WHERE :folders.name = 'B'",
        )
        ((code, table, key, _),) = refused(scratch_database, point)
        assert (code, table) == ("unique_taken", label(scratch_database, ":folders"))
        assert key in (made["one"], made["two"])

        undo(scratch_database, point, skip_conflicts=True)
        assert_tree(scratch_database, made, "A/B, A/B")

    def test_the_partner_of_a_removed_twin_was_deleted(self, database):
        made = tree(database, "stays:A, gone:A(x.pdf)")
        tag = Tag.objects.using(database).create(label="urgent")
        tag.folders.set([made["stays"], made["gone"]])
        twin = Tag.folders.through.objects.using(database).get(**{TAGGED: made["gone"]}).pk
        point = clean(database, made)
        tag.delete()
        assert refused(database, point) == [
            ("missing_target", label(database, "hostapp_tag_folders"), str(twin), "tag_id")
        ]

        undo(database, point, skip_conflicts=True)
        assert_tree(database, made, "stays:A, gone:A(x.pdf)")

    def test_leaves_the_rest_restored_in_every_spelling(self, database):
        made = tree(database, "A/aside:C, gone:A(x.pdf)")
        of_folders = ContentType.objects.db_manager(database).get_for_model(Folder.model)
        ways = spellings(made["gone"])
        for spelling in ways:
            Note.objects.using(database).create(content_type=of_folders, object_id=spelling, text="x")
        point = clean(database, made)
        File.objects.using(database).update(folder=made["aside"])
        result = undo(database, point, skip_conflicts=True)
        assert [c.key for c in result.conflicts] == [made["x.pdf"]]
        notes = Note.objects.using(database).order_by("pk").values_list("object_id", flat=True)
        assert tuple(notes) == ways

    def test_is_kept_on_the_point(self, database):
        made = tree(database, "A/aside:C, A(x.pdf)")
        point = clean(database, made)
        File.objects.using(database).update(folder=made["aside"])
        undo(database, point, skip_conflicts=True)
        stored = RollbackPoint.objects.using(database).get(uuid=point)
        assert stored.exact is False
        assert [(c["code"], c["key"]) for c in stored.outcome["conflicts"]] == [("changed", made["x.pdf"])]


class TestMovesThatWouldCloseACycle:
    def test_make_the_rollback_refuse(self, database):
        made = tree(database, "root:R/mid:M/{stays:B, gone:B/below:C}")
        point = clean(database, made)
        folders = Folder.objects.using(database)
        folders.filter(pk=made["stays"]).update(parent=made["root"])
        folders.filter(pk=made["mid"]).update(parent=made["below"])
        before = dump(database, own=True)
        with pytest.raises(exceptions.WouldDetach, match=made.application):
            undo(database, point, skip_conflicts=True)
        assert dump(database, own=True) == before

        folders.filter(pk=made["mid"]).update(parent=made["root"])
        assert undo(database, point)


class TestOnceAndInOrder:
    def test_a_point_is_rolled_back_once(self, database):
        point = clean(database, tree(database, "A, A"))
        undo(database, point)
        before = dump(database, own=True)
        with pytest.raises(exceptions.AlreadyRolledBack, match=str(point)):
            undo(database, point)
        assert dump(database, own=True) == before

    def test_a_later_cleanup_goes_first_and_is_named(self, database):
        made = tree(database, "A@5(1), A@6(1)")
        was = dump(database)
        first = clean(database, made)
        tree(database, "B@1(1)", application=made.application)
        between = dump(database)
        second = clean(database, made)
        with pytest.raises(exceptions.Superseded, match=str(second)):
            undo(database, first)
        undo(database, second)
        assert dump(database) == between
        undo(database, first)
        File.objects.using(database).filter(folder__name="B").delete()
        Folder.objects.using(database).filter(name="B").delete()
        assert dump(database) == was

    def test_a_cleanup_that_came_while_we_waited_for_the_lock_goes_first_too(self, database, monkeypatch):
        made = tree(database, "A@5(1), A@6(1)")
        first = clean(database, made)
        lock = Detached.lock

        def late(self, keys):
            point = RollbackPoint.objects.using(database).get(uuid=first)
            later = {"application_key": made.application, "kind": "cleanup", "expires_at": point.expires_at}
            RollbackPoint.objects.using(database).create(schema=point.schema, **later)
            return lock(self, keys)

        monkeypatch.setattr(Detached, "lock", late)
        with pytest.raises(exceptions.Superseded):
            undo(database, first)
        assert made.folders == 1

    def test_a_purged_point_has_expired(self, database):
        point = clean(database, tree(database, "A, A"))
        RollbackPoint.objects.using(database).update(status=RollbackPoint.Status.PURGED, ended_at=timezone.now())
        with pytest.raises(exceptions.PointExpired, match=str(point)):
            undo(database, point)

    def test_a_point_that_is_not_purged_yet_still_works(self, database):
        made = tree(database, "A, A")
        point = clean(database, made)
        RollbackPoint.objects.using(database).update(expires_at=timezone.now() - timedelta(days=1))
        assert undo(database, point).exact

    def test_two_at_once_do_it_once(self, database):
        made = tree(database, "A(1), A(1)")
        point = clean(database, made)
        stale = RollbackPoint.objects.using(database).get(uuid=point)
        undo(database, point)
        with pytest.raises(exceptions.AlreadyRolledBack):
            roll_back(using=database, point=stale, skip_conflicts=False, as_copies=False, reason="", rolled_back_by="")


@pytest.fixture
def other_session(database) -> Iterator[psycopg.Connection]:
    """Yield a session that keeps the lock of every application until it ends its transaction."""
    parameters = connections[database].get_connection_params()
    known = {name: parameters[name] for name in ("host", "port", "user", "password", "dbname") if name in parameters}
    with psycopg.connect(**known) as session:
        yield session


@pytest.mark.only("postgresql")
class TestLockOfAnotherSession:
    LOCK = "SELECT 1 FROM :applications FOR UPDATE"

    @pytest.mark.parametrize("verb", ["rollback_cleanup", "preview_rollback"])
    def test_is_waited_for_in_several_attempts(self, database, settings, monkeypatch, other_session, verb):
        settings.CLEANUP_LOCK_TIMEOUT_MS = 10
        point = clean(database, tree(database, "A, A"))
        other_session.execute(sql(database, self.LOCK))
        pauses = []

        def end_after_three(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                other_session.rollback()

        monkeypatch.setattr(retry.time, "sleep", end_after_three)
        assert getattr(DatabaseCleanupService(using=database), verb)(point).exact
        assert len(pauses) == 3

    def test_fails_at_once_within_a_transaction_of_the_caller(self, database, settings, monkeypatch, other_session):
        settings.CLEANUP_LOCK_TIMEOUT_MS = 10
        monkeypatch.setattr(retry.time, "sleep", lambda seconds: pytest.fail("it was tried again"))
        point = clean(database, tree(database, "A, A"))
        other_session.execute(sql(database, self.LOCK))
        with pytest.raises(OperationalError), transaction.atomic(using=database):
            undo(database, point)


@pytest.mark.only("postgresql")
class TestWithinATransactionOfTheCaller:
    @pytest.mark.parametrize("verb", ["rollback_cleanup", "preview_rollback", "create_rollback_point"])
    def test_gives_back_what_it_had_set(self, database, settings, verb):
        settings.CLEANUP_LOCK_TIMEOUT_MS = 1  # late as soon as it begins
        made = tree(database, "A(1), A(1)")
        argument = made.application if verb == "create_rollback_point" else clean(database, made)
        names = ("lock_timeout", "statement_timeout", "enable_seqscan", "datestyle", "row_security", "application_name")

        def told() -> list[str]:
            return [fetch(database, f"SHOW {name}")[0][0] for name in names]

        with transaction.atomic(using=database):
            execute(database, "SET LOCAL lock_timeout = '7s'")
            before = told()
            getattr(DatabaseCleanupService(using=database), verb)(argument)
            assert told() == before


class TestHoldAfterwards:
    def test_keeps_the_next_cleanup_away(self, database):
        made = tree(database, "A(1), A(1)")
        undo(database, clean(database, made), reason="not yet")
        was = dump(database)
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert [r.status for r in report.results] == ["held"]
        assert dump(database) == was
        assert Hold.objects.using(database).get().reason == "not yet"

    def test_can_be_released(self, database):
        made = tree(database, "A(1), A(1)")
        undo(database, clean(database, made))
        DatabaseCleanupService(using=database).release(made.application)
        clean(database, made)
        assert_tree(database, made, "A(2)")

    def test_and_a_second_undo_is_as_exact(self, database):
        made = tree(database, "A(1)/B, A(1)/B(1)")
        was = dump(database)
        service = DatabaseCleanupService(using=database)
        undo(database, clean(database, made))
        service.release(made.application)
        undo(database, clean(database, made))
        assert dump(database) == was


class TestPreview:
    def test_changes_nothing(self, database):
        point = clean(database, tree(database, "A(1), A(1)/B"))
        before = dump(database, own=True)
        preview = DatabaseCleanupService(using=database).preview_rollback(point)
        assert dump(database, own=True) == before
        assert preview.status == "preview"

    def test_counts_as_the_rollback_does(self, database):
        point = clean(database, tree(database, "A(1), A(2)/B(1)"))
        preview = DatabaseCleanupService(using=database).preview_rollback(point).as_json()
        done = undo(database, point).as_json()
        assert {**preview, "status": None} == {**done, "status": None}

    def test_of_a_run_changes_nothing(self, database):
        for _ in range(3):
            tree(database, "A(1), A(1)")
        service = DatabaseCleanupService(using=database)
        run = service.cleanup_all_duplicate_folders().run_id
        before = dump(database, own=True)
        preview = service.preview_rollback(run)
        assert dump(database, own=True) == before
        assert (preview.folders_restored, preview.files_restored, preview.references_restored) == (3, *as_counted(3))
        assert preview.total_applications == 3

    def test_of_a_manual_point_changes_nothing(self, database):
        made = tree(database, "A(1), A(1)")
        service = DatabaseCleanupService(using=database)
        point = service.create_rollback_point(made.application)
        clean(database, made)
        before = dump(database, own=True)
        preview = service.preview_rollback(point)
        assert dump(database, own=True) == before
        assert preview.folders_restored == 1

    def test_refuses_what_the_rollback_refuses(self, database):
        point = clean(database, tree(database, "A, A"))
        undo(database, point)
        with pytest.raises(exceptions.AlreadyRolledBack):
            DatabaseCleanupService(using=database).preview_rollback(point)


class TestPointTakenByHand:
    def test_undoes_the_cleanups_since(self, database):
        made = tree(database, "A@5(1)/B, A@6(1)/B(1)")
        was = dump(database)
        point = DatabaseCleanupService(using=database).create_rollback_point(made.application)
        clean(database, made)
        later = tree(database, "C@1(1)/B(1)", application=made.application)
        clean(database, made)
        result = undo(database, point)
        assert (result.folders_restored, result.files_restored) == (4, as_counted(5)[0])
        File.objects.using(database).filter(pk__in=[pk for name, pk in later.keys.items()]).delete()
        extra = [conflict.key for conflict in result.conflicts if conflict.table == label(database, ":folders")]
        File.objects.using(database).filter(folder__in=extra).delete()
        Folder.objects.using(database).filter(pk__in=extra, name="B").delete()
        Folder.objects.using(database).filter(pk__in=extra).delete()
        assert dump(database) == was

    def test_changes_nothing_and_is_exact_where_nothing_else_changed(self, database, subtests):
        made = tree(database, "A(1)/B, A(1)/B(1)")
        was = dump(database)
        point = DatabaseCleanupService(using=database).create_rollback_point(made.application, reason="before the move")
        assert dump(database) == was
        cleaned = clean(database, made)
        result = undo(database, point, reason="start again", started_by="anna")
        assert (result.exact, result.conflicts) == (True, ())
        assert dump(database) == was
        with subtests.test("ends the points it undid"):
            for one in (point, cleaned):
                stored = RollbackPoint.objects.using(database).get(uuid=one)
                assert (stored.status, stored.ended_by) == ("rolled_back", "anna")
        with subtests.test("holds the application"):
            assert Hold.objects.using(database).get().application_key == made.application

    @pytest.mark.file_model
    def test_lists_what_differs_still(self, database):
        made = tree(database, "A(x.pdf)/renamed:B, A(y.pdf)")
        point = DatabaseCleanupService(using=database).create_rollback_point(made.application)
        clean(database, made)
        Folder.objects.using(database).filter(pk=made["renamed"]).update(name="C")
        File.objects.using(database).filter(pk=made["x.pdf"]).delete()
        added = tree(database, "", application=made.application)
        new = File.objects.using(database).create(
            id=new_key(File), filename="new", file_size=1, application_id=added.application
        )
        result = undo(database, point)
        folders, files = label(database, ":folders"), label(database, ":files")
        assert sorted((c.code, c.table, c.key) for c in result.conflicts) == [
            ("changed", folders, made["renamed"]),
            ("extra", files, str(new.pk)),
            ("row_missing", files, made["x.pdf"]),
        ]
        assert not result.exact

    def test_refuses_what_would_overwrite(self, database):
        made = tree(database, "A/aside:C, A(x.pdf)")
        point = DatabaseCleanupService(using=database).create_rollback_point(made.application)
        clean(database, made)
        File.objects.using(database).update(folder=made["aside"])
        before = dump(database, own=True)
        with pytest.raises(exceptions.RollbackConflict):
            undo(database, point)
        assert dump(database, own=True) == before

    def test_does_not_stand_in_the_way_of_an_older_cleanup(self, database):
        made = tree(database, "A(1), A(1)")
        was = dump(database)
        cleaned = clean(database, made)
        DatabaseCleanupService(using=database).create_rollback_point(made.application)
        undo(database, cleaned)
        assert dump(database) == was

    def test_of_an_application_without_folders(self, database):
        made = tree(database, "")
        point = DatabaseCleanupService(using=database).create_rollback_point(made.application)
        assert undo(database, point).exact

    def test_of_more_rows_than_a_snapshot_row_holds(self, database):
        made = tree(database, "A(700), A(400)")
        point = DatabaseCleanupService(using=database).create_rollback_point(made.application)
        clean(database, made)
        assert undo(database, point).exact

    def test_needs_an_application_that_exists(self, database):
        with pytest.raises(exceptions.UnknownObject):
            DatabaseCleanupService(using=database).create_rollback_point(new_key(Application))


class TestWholeRun:
    @pytest.fixture
    def made(self, database):
        return [tree(database, f"A(1)/aside:C, gone:A({number}.pdf)/B") for number in range(4)]

    def test_restores_everything_and_is_a_run_itself(self, database, made, subtests):
        was = dump(database)
        service = DatabaseCleanupService(using=database)
        run = service.cleanup_all_duplicate_folders().run_id
        result = undo(database, run, reason="wrong day", started_by="anna")
        assert dump(database) == was
        assert (result.exact, result.total_applications, result.successful, result.failed) == (True, 4, 4, 0)
        assert (result.folders_restored, result.files_restored, result.references_restored) == (4, *as_counted(4, 4))
        with subtests.test("is a run itself"):
            stored = Run.objects.using(database).get(pk=result.run_id)
            assert (stored.kind, stored.source_run_id, stored.status) == ("rollback", run, "completed")
            assert (stored.reason, stored.started_by) == ("wrong day", "anna")
        with subtests.test("shows in the report of the run"):
            assert {r.status for r in service.report(run).results} == {"rolled_back"}
        with subtests.test("is refused a second time"), pytest.raises(exceptions.AlreadyRolledBack):
            undo(database, run)
        with subtests.test("holds every application"):
            assert [r.status for r in service.cleanup_all_duplicate_folders().results] == ["held"] * 4

    def test_restores_rows_that_only_one_application_has(self, database, made, caplog):
        Bookmark._base_manager.using(database).create(folder_id=made[2]["gone"])
        was = dump(database)
        run = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders().run_id
        result = undo(database, run)
        assert dump(database) == was
        assert (result.exact, result.files_restored, result.references_restored) == (True, *as_counted(4, 5))
        assert "one by one" not in caplog.text  # all in the batch's own transaction

    def test_leaves_out_what_was_rolled_back_before(self, database, made):
        was = dump(database)
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        undo(database, report.results[0].rollback_id)
        assert undo(database, report.run_id).total_applications == 3
        assert dump(database) == was

    def test_restores_the_others_where_one_conflicts(self, database, made):
        run = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders().run_id
        touched = made[2]
        File.objects.using(database).filter(pk=touched["2.pdf"]).update(folder=touched["aside"])
        result = undo(database, run)
        assert (result.successful, result.failed, result.exact) == (3, 1, False)
        assert [(c.code, c.application_id, c.key) for c in result.conflicts] == [
            ("changed", touched.application, touched["2.pdf"])
        ]
        assert [one.folders for one in made] == [4, 4, 3, 4]

    def test_skips_conflicts_on_demand(self, database, made):
        run = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders().run_id
        touched = made[2]
        File.objects.using(database).filter(pk=touched["2.pdf"]).update(folder=touched["aside"])
        result = undo(database, run, skip_conflicts=True)
        assert (result.successful, result.failed, result.exact) == (4, 0, False)
        assert_tree(database, touched, "A(1)/aside:C(1), gone:A/B")

    def test_names_the_later_cleanup_that_must_go_first(self, database, made):
        service = DatabaseCleanupService(using=database)
        run = service.cleanup_all_duplicate_folders().run_id
        tree(database, "B@1", application=made[1].application)
        later = clean(database, made[1])
        result = undo(database, run)
        assert (result.successful, result.failed) == (3, 1)
        failed = Result.objects.using(database).get(run=result.run_id, status="failed")
        assert (failed.application_key, failed.error_code) == (made[1].application, "superseded")
        assert str(later) in failed.error_message

    def test_is_refused_where_it_changed_nothing(self, database):
        run = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders().run_id
        with pytest.raises(exceptions.Refused):
            undo(database, run)

    def test_is_refused_once_it_was_purged(self, database, made):
        run = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders().run_id
        RollbackPoint.objects.using(database).update(status=RollbackPoint.Status.PURGED, ended_at=timezone.now())
        with pytest.raises(exceptions.PointExpired):
            undo(database, run)


class TestChangedSchema:
    def test_a_new_column_is_no_obstacle(self, scratch_database):
        made = tree(scratch_database, "A(1), A(1)")
        point = clean(scratch_database, made)
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN colour text DEFAULT 'red'")
        assert undo(scratch_database, point).exact
        assert fetch(scratch_database, "SELECT colour FROM :folders") == [("red",), ("red",)]

    def test_a_column_that_is_gone_is_named(self, scratch_database):
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN colour text DEFAULT 'red'")
        made = tree(scratch_database, "A(1), A(1)")
        point = clean(scratch_database, made)
        execute(scratch_database, "ALTER TABLE :folders RENAME COLUMN colour TO shade")
        with pytest.raises(exceptions.UnreadableJournal, match="colour"):
            undo(scratch_database, point)
        assert made.folders == 1

    def test_a_column_that_cannot_be_written_to_any_more_is_named(self, scratch_database):
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN colour text DEFAULT 'red'")
        made = tree(scratch_database, "A(1), A(1)")
        point = clean(scratch_database, made)
        execute(scratch_database, "ALTER TABLE :folders DROP COLUMN colour")
        kind = "STORED" if connections[scratch_database].vendor == "postgresql" else "VIRTUAL"
        execute(scratch_database, f"ALTER TABLE :folders ADD COLUMN colour text GENERATED ALWAYS AS ('red') {kind}")
        with pytest.raises(exceptions.UnreadableJournal, match="colour"):
            undo(scratch_database, point)
        assert made.folders == 1

    def test_a_table_that_is_gone_is_named(self, scratch_database):
        execute(
            scratch_database,
            f"CREATE TABLE audit (id integer PRIMARY KEY, subject {key_type(scratch_database)} REFERENCES :folders)",
        )
        made = tree(scratch_database, "A, gone:A")
        execute(scratch_database, "INSERT INTO audit VALUES (1, %s)", raw(scratch_database, made["gone"]))
        point = clean(scratch_database, made)
        execute(scratch_database, "DROP TABLE audit")
        with pytest.raises(exceptions.UnreadableJournal, match="audit"):
            undo(scratch_database, point)

    def test_a_newer_format_is_refused(self, database):
        point = clean(database, tree(database, "A, A"))
        schema = RollbackPoint.objects.using(database).get(uuid=point).schema
        schema.document = schema.document.replace(f'"format": {FORMAT_OF_MERGES}', '"format": 99')
        schema.save(using=database)
        with pytest.raises(exceptions.UnreadableJournal, match="99"):
            undo(database, point)


def test_a_point_describes_itself(database):
    made = tree(database, "A, A")
    point = find_point(using=database, rollback_id=clean(database, made))
    assert (point.application_key, point.kind, point.status) == (made.application, "cleanup", "live")
    assert timedelta(days=89) < point.expires_at - datetime.now(UTC) < timedelta(days=91)


class TestPathColumns:
    def test_are_computed_anew_by_the_hosts_hook(self, scratch_database, settings):
        settings.CLEANUP_TREE_HOOK = "tests.hostapp.paths.rebuild"
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN path text")
        made = tree(scratch_database, "A/B, Z/{C, D}")
        paths.rebuild(using=scratch_database, application_ids=[made.application])
        before = dump(scratch_database)
        point = clean(scratch_database, made)
        found = fetch(scratch_database, "SELECT path FROM :folders ORDER BY path")
        assert found == [("A",), ("A/B",), ("A/C",), ("A/D",)]

        undo(scratch_database, point)
        assert dump(scratch_database) == before

    def test_stop_the_run_where_the_hook_is_none(self, scratch_database, settings):
        settings.CLEANUP_TREE_HOOK = "tests.hostapp.paths.missing"
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN path text")
        with pytest.raises(exceptions.MisconfiguredSetting):
            clean(scratch_database, tree(scratch_database, "A, A"))
