"""Version and log tables: built here as django-reversion, django-auditlog and others build them."""

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType

from cleanup.references import discover
from cleanup.references.probing import probe
from cleanup.services import DatabaseCleanupService
from tests.support.model_roles import Folder
from tests.support.trees import dump, execute, fetch, key_type, raw, tree

COLUMNS = {
    "reversion_version": "object_id varchar(191), revision_id integer, serialized_data text",
    "auditlog_logentry": "object_pk varchar(255), object_id bigint, action integer, changes text",
    "easyaudit_crudevent": "object_id varchar(255), event_type integer, object_json_repr text",
    "my_audit": "object_pk varchar(255), what text",
}
KEY = {"reversion_version": "object_id", "easyaudit_crudevent": "object_id"}


def make(using: str, table: str) -> None:
    execute(
        using,
        f"CREATE TABLE {table} (id integer PRIMARY KEY, content_type_id integer NOT NULL REFERENCES"
        f" django_content_type (id), {COLUMNS[table]})",
    )


def log(using: str, table: str, key: str, *, model=Folder.model) -> None:
    kind = ContentType.objects.db_manager(using).get_for_model(model)
    column = KEY.get(table, "object_pk")
    execute(using, f"INSERT INTO {table} (id, content_type_id, {column}) VALUES (1, %s, %s)", kind.pk, key)


def looked(using: str):
    return probe(using=using, references=discover(using=using))


def codes(problems) -> list[str]:
    return [problem.code for problem in problems]


def sources(using: str, table: str) -> list[str]:
    return [r.source for r in discover(using=using).references if r.table.name == table]


HISTORIES = [table for table in COLUMNS if table != "my_audit"]


class TestHistoryTables:
    @pytest.fixture(autouse=True)
    def tables(self, scratch_database) -> None:
        for table in HISTORIES:
            make(scratch_database, table)

    def rows(self, database: str) -> list[list[tuple]]:
        return [fetch(database, f"SELECT * FROM {table}") for table in HISTORIES]

    def test_are_left_alone_and_named(self, scratch_database):
        gone = tree(scratch_database, "stays:A, gone:A")["gone"]
        for table in HISTORIES:
            log(scratch_database, table, gone)
            assert sources(scratch_database, table) == []
        found = looked(scratch_database)
        assert (codes(found.problems), codes(found.warnings)) == ([], ["history"] * len(HISTORIES))
        before = self.rows(scratch_database)
        service = DatabaseCleanupService(using=scratch_database)
        assert service.cleanup_all_duplicate_folders().failed_cleanups == 0
        assert self.rows(scratch_database) == before
        assert service.verify_cleanup_integrity()["counts"].get("dangling_reference", 0) == 0

    def test_about_other_rows_are_not_named(self, scratch_database):
        for table in HISTORIES:
            log(scratch_database, table, "1", model=get_user_model())
        assert codes(looked(scratch_database).warnings) == []

    def test_move_where_a_setting_says_so(self, scratch_database, settings):
        settings.CLEANUP_HISTORY_TABLES = dict.fromkeys(HISTORIES, "move")
        made = tree(scratch_database, "stays:A, gone:A")
        for table in HISTORIES:
            log(scratch_database, table, made["gone"])
        before = dump(scratch_database)
        service = DatabaseCleanupService(using=scratch_database)
        report = service.cleanup_all_duplicate_folders()
        for table in HISTORIES:
            keys = fetch(scratch_database, f"SELECT {KEY.get(table, 'object_pk')} FROM {table}")
            assert keys == [(made["stays"],)]
        service.rollback_cleanup(report.run_id)
        assert dump(scratch_database) == before

    def test_are_refused_where_a_setting_says_so(self, scratch_database, settings):
        settings.CLEANUP_HISTORY_TABLES = {f"{table[:5]}*": "refuse" for table in HISTORIES}
        assert codes(discover(using=scratch_database).problems) == ["history"] * len(HISTORIES)


class TestTheAdminsLog:
    def test_is_left_alone(self, database):
        made = tree(database, "stays:A, gone:A")
        user = get_user_model().objects.db_manager(database).create(username="clerk")
        kind = ContentType.objects.db_manager(database).get_for_model(Folder.model)
        entry = LogEntry.objects.using(database).create(
            user=user, content_type=kind, object_id=made["gone"], object_repr="A", action_flag=CHANGE
        )
        assert codes(looked(database).warnings) == ["history"]
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        entry.refresh_from_db()
        assert entry.object_id == made["gone"]


class TestAHistoryOfColumns:
    def test_is_left_alone(self, scratch_database):
        column = key_type(scratch_database, Folder)
        execute(
            scratch_database,
            f"CREATE TABLE historicalpaper (history_id integer PRIMARY KEY, history_date varchar(30),"
            f" history_type varchar(1), id {column}, folder_id {column})",
        )
        gone = raw(scratch_database, tree(scratch_database, "stays:A, gone:A")["gone"])
        execute(scratch_database, "INSERT INTO historicalpaper VALUES (1, 'now', '~', %s, %s)", gone, gone)
        assert discover(using=scratch_database).problems == ()
        assert looked(scratch_database).problems == []


class TestAnotherTableWithContentTypes:
    def test_is_suspect_where_its_rows_name_folders(self, scratch_database):
        make(scratch_database, "my_audit")
        assert codes(looked(scratch_database).problems) == []
        log(scratch_database, "my_audit", "1")
        assert codes(looked(scratch_database).problems) == ["suspected"]

    def test_may_be_called_a_history(self, scratch_database, settings):
        settings.CLEANUP_HISTORY_TABLES = {"*_audit": "leave"}
        make(scratch_database, "my_audit")
        log(scratch_database, "my_audit", "1")
        found = looked(scratch_database)
        assert (codes(found.problems), codes(found.warnings)) == ([], ["history"])


class TestATableThatNoColumnTells:
    def test_may_be_called_a_history(self, scratch_database, settings):
        settings.CLEANUP_HISTORY_TABLES = {"revisions": "leave"}
        execute(scratch_database, "CREATE TABLE revisions (id integer PRIMARY KEY, item varchar(255))")
        made = tree(scratch_database, "gone:A")
        execute(scratch_database, "INSERT INTO revisions VALUES (1, %s)", raw(scratch_database, made["gone"]))
        assert looked(scratch_database).problems == []
