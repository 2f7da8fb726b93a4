import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from django.db import connections, transaction

from cleanup import conf
from cleanup.backends.postgresql.server import Server as PostgresServer
from cleanup.backends.sqlite.server import Server as SqliteServer
from cleanup.exceptions import DatabaseUnusable
from cleanup.references import discover
from cleanup.services import DatabaseCleanupService
from cleanup.services.preflight.estimate import estimate
from tests.support.model_roles import Application, Folder
from tests.support.trees import (
    dump,
    execute,
    fetch,
    is_postgresql,
    key_type,
    label,
    missing_key,
    named,
    raw,
    sql,
    tree,
    unchecked,
)

MESS = "Loan@1/{Docs@1(2), Tax@2(1)}, Loan@2/{Docs@3(3), Docs@4, Tax@5}"

SECTIONS = {
    "ok",
    "problems",
    "warnings",
    "identity",
    "role",
    "foreign_keys",
    "indexes",
    "references",
    "triggers",
    "row_security",
    "collations",
    "suspected",
    "settings",
    "estimate",
}


def preflight(database: str) -> dict:
    return DatabaseCleanupService(using=database).preflight()


def problems(database: str) -> list[tuple[str, str, str]]:
    """Return code, table and column of each problem, less the schema."""
    return [(p["code"], p["table"].removeprefix("public."), p["column"]) for p in preflight(database)["problems"]]


def message(database: str, code: str) -> str:
    (found,) = (p["message"] for p in preflight(database)["problems"] if p["code"] == code)
    return found


def warnings(database: str) -> list[str]:
    return [warning["code"] for warning in preflight(database)["warnings"]]


class TestTheAnswer:
    def test_is_yes_on_a_clean_database(self, database):
        tree(database, "Loan/Docs(2)")
        answer = preflight(database)
        assert (answer["ok"], answer["problems"]) == (True, [])

    def test_is_yes_on_an_empty_database(self, database):
        assert preflight(database)["ok"]

    def test_is_yes_on_a_dirty_database(self, database):
        tree(database, MESS)
        answer = preflight(database)
        assert (answer["ok"], answer["problems"]) == (True, [])

    def test_is_no_with_a_problem(self, database, settings):
        settings.CLEANUP_IGNORED_COLUMNS = ["nowhere.folder_id"]
        assert not preflight(database)["ok"]

    def test_has_every_section(self, database):
        assert set(preflight(database)) == SECTIONS

    def test_can_be_written_as_json(self, database):
        tree(database, MESS)
        answer = preflight(database)
        assert json.loads(json.dumps(answer)) == answer

    def test_is_the_same_within_a_transaction(self, database):
        tree(database, MESS)
        outside = preflight(database)
        with transaction.atomic(using=database):
            inside = preflight(database)
        for answer in (inside, outside):
            del answer["estimate"]["free_bytes"]
        assert inside == outside

    def test_costs_no_write(self, database):
        tree(database, MESS)
        before = dump(database, own=True)
        preflight(database)
        assert dump(database, own=True) == before

    @pytest.mark.parametrize("table", [":folders", ":files", ":applications"])
    def test_is_an_error_without_a_mapped_table(self, scratch_database, table):
        cascade = " CASCADE" if is_postgresql(scratch_database) else ""
        with connections[scratch_database].constraint_checks_disabled():
            execute(scratch_database, f"DROP TABLE {table}{cascade}")
            with pytest.raises(DatabaseUnusable, match=f"no table {named(table)}.*migrate cleanup --fake-initial"):
                preflight(scratch_database)

    def test_waits_for_nobody(self, database):
        tree(database, MESS)
        with writing_elsewhere(database):
            assert preflight(database)["ok"]


@contextmanager
def writing_elsewhere(database: str) -> Iterator[None]:
    """Have another connection hold every row of the mapped tables, on SQLite the only write lock there is."""
    other = connections[database].copy()
    try:
        with other.cursor() as cursor:
            if is_postgresql(database):
                other.set_autocommit(False)
                for table in (":applications", ":folders", ":files"):
                    cursor.execute(sql(database, f"SELECT FROM {table} FOR UPDATE"))
            else:
                cursor.execute("BEGIN IMMEDIATE")
                cursor.execute(sql(database, "UPDATE :folders SET :folders.name = :folders.name"))
            yield
            cursor.execute("ROLLBACK")
    finally:
        other.close()


class TestIdentity:
    def test_names_the_database(self, database):
        identity = preflight(database)["identity"]
        assert identity["database"].endswith(connections[database].settings_dict["NAME"])
        assert (identity["vendor"], identity["read_only"], identity["in_recovery"]) == (
            connections[database].vendor,
            False,
            False,
        )

    def test_has_no_password(self, database):
        assert "PASSWORD" not in json.dumps(preflight(database)["identity"]).upper()

    @pytest.mark.only("postgresql")
    def test_names_the_schema(self, database):
        identity = preflight(database)["identity"]
        assert (identity["schema"], identity["search_path"]) == ("public", '"$user", public')

    @pytest.mark.only("postgresql")
    def test_lists_the_settings_of_the_server(self, database):
        assert preflight(database)["identity"]["settings"]["deadlock_timeout"] == "1000 ms"

    @pytest.mark.only("sqlite")
    def test_lists_the_settings_of_the_connection(self, database):
        assert preflight(database)["identity"]["settings"]["journal_mode"] == "wal"

    def test_says_which_settings_are_in_force(self, database, settings):
        settings.CLEANUP_COLLISIONS = {"hostapp_cover": "keep_survivor"}
        settings.CLEANUP_LEASE_SECONDS = 7
        in_force = preflight(database)["settings"]
        assert (in_force["CLEANUP_COLLISIONS"], in_force["CLEANUP_LEASE_SECONDS"]) == (
            {"hostapp_cover": "keep_survivor"},
            7.0,
        )

    def test_leaves_no_setting_out(self, database):
        known = set(re.findall(r'"(CLEANUP_[A-Z_]+)"', Path(conf.__file__).read_text(encoding="utf-8")))
        assert set(preflight(database)["settings"]) == known


class TestReferences:
    def test_are_listed_with_what_matters_of_them(self, database):
        if is_postgresql(database):  # else the estimate may be of a test before
            execute(database, f"ANALYZE {named(':files')}")
        (found,) = (r for r in preflight(database)["references"] if r["table"] == label(database, ":files"))
        step, rows, constraint = (found.pop(name) for name in ("step", "estimated_rows", "constraint"))
        assert (isinstance(step, int), rows, bool(constraint)) == (True, 0, True)
        assert found == {
            "table": label(database, ":files"),
            "columns": [named(":files.folder")],
            "folder_columns": [named(":folders.key")],
            "source": "catalogue",
            "on_delete": "no action",
            "proven": True,
            "indexed": True,
            "row_key": [named(":files.key")],
            "kind": "table",
        }

    def test_are_listed_with_their_foreign_keys(self, database):
        keys = [(k["table"], k["columns"], k["target"]) for k in preflight(database)["foreign_keys"]]
        folders = label(database, ":folders")
        assert (folders, [named(":folders.parent")], folders) in keys
        assert (label(database, "hostapp_clause"), ["contract_id"], label(database, "hostapp_contract")) in keys

    def test_are_listed_with_their_indexes(self, database):
        found = [(i["table"], i["columns"], i["unique"]) for i in preflight(database)["indexes"]]
        assert (label(database, ":folders"), [named(":folders.parent")], False) in found
        assert (label(database, ":folders"), [named(":folders.key")], True) in found

    def test_tell_whether_a_generic_key_has_an_index(self, database):
        found = {r["table"]: r["indexed"] for r in preflight(database)["references"] if r["source"] == "generic"}
        assert found == {label(database, "hostapp_note"): True, label(database, "hostapp_scan"): False}

    def test_without_a_foreign_key_are_pointed_out(self, database):
        found = [w["table"] for w in preflight(database)["warnings"] if w["code"] == "no_foreign_key"]
        assert found == [label(database, "hostapp_watch")]

    @pytest.mark.only("postgresql")
    def test_that_materialized_views_repeat_are_pointed_out(self, scratch_database):
        execute(scratch_database, "CREATE VIEW shown AS SELECT :folders.key FROM :folders")
        execute(scratch_database, "CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM shown")
        execute(scratch_database, "CREATE MATERIALIZED VIEW other AS SELECT 1 AS number")
        (found,) = [w for w in preflight(scratch_database)["warnings"] if w["code"] == "materialized_view"]
        assert found["table"] == "public.counted"
        assert 'REFRESH MATERIALIZED VIEW "public"."counted";' in found["message"]


class TestTheNameColumn:
    def test_has_a_collation(self, database):
        (found,) = preflight(database)["collations"]
        expected = "default" if is_postgresql(database) else "BINARY"
        assert (found["column"], found["collation"], found["deterministic"]) == (
            named(":folders.name"),
            expected,
            True,
        )

    @pytest.mark.only("sqlite")
    def test_that_ignores_case_is_pointed_out(self, scratch_database):
        execute(scratch_database, "ALTER TABLE :folders RENAME COLUMN :folders.name TO old_name")
        name = ":folders.name varchar(255) NOT NULL DEFAULT '' COLLATE NOCASE"
        execute(scratch_database, f"ALTER TABLE :folders ADD COLUMN {name}")
        (found,) = preflight(scratch_database)["collations"]
        assert (found["collation"], found["ignores_case"]) == ("NOCASE", True)
        assert "collation" in warnings(scratch_database)

    @pytest.mark.only("postgresql")
    def test_that_takes_different_names_for_equal_is_pointed_out(self, scratch_database):
        # As the extension's type, which need not be there.
        execute(scratch_database, "CREATE DOMAIN citext AS text")
        execute(scratch_database, "ALTER TABLE :folders ALTER COLUMN :folders.name TYPE citext")
        (found,) = preflight(scratch_database)["collations"]
        assert found["ignores_case"] is True
        assert "collation" in warnings(scratch_database)


class TestTheEstimate:
    def test_of_few_applications_is_what_the_dry_run_says(self, database):
        for _ in range(3):
            tree(database, MESS)
        tree(database, "Loan/Docs(2)")
        foreseen = preflight(database)["estimate"]
        report = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders(dry_run=True)
        assert (foreseen["basis"], foreseen["applications"]) == ("exact", report.total_applications)
        assert (foreseen["folders_to_remove"], foreseen["files_to_move"], foreseen["child_folders_to_merge"]) == (
            report.total_folders_removed,
            report.total_files_moved,
            report.total_child_folders_merged,
        )

    def test_counts_rows_by_table(self, database):
        tree(database, MESS)
        assert preflight(database)["estimate"]["rows_by_table"] == {label(database, ":files"): 3}

    def test_of_many_applications_is_scaled_from_a_sample(self, database):
        for _ in range(10):
            tree(database, MESS)
        whole = estimate(using=database, references=discover(using=database))
        part = estimate(using=database, references=discover(using=database), sample=2)
        assert part == replace(whole, basis="sample", sampled_applications=2)

    def test_bounds_the_folders_to_remove_from_below(self, database):
        tree(database, MESS)
        foreseen = preflight(database)["estimate"]
        assert (foreseen["duplicates"], foreseen["folders_to_remove"]) == (2, 4)

    def test_gives_room_and_time(self, database):
        tree(database, MESS)
        foreseen = preflight(database)["estimate"]
        assert foreseen["journal_bytes"] > 0
        assert foreseen["seconds"] >= 0
        assert (foreseen["wal_bytes"] is not None) == is_postgresql(database)

    def test_leaves_out_applications_on_hold(self, database):
        held = tree(database, MESS)
        tree(database, MESS)
        DatabaseCleanupService(using=database).hold(held.application, reason="audit")
        foreseen = preflight(database)["estimate"]
        assert (foreseen["applications_set_aside"], foreseen["folders_to_remove"]) == (1, 4)

    def test_names_the_largest_application(self, database):
        tree(database, "Loan")
        large = tree(database, "Loan/Docs*5")
        assert preflight(database)["estimate"]["largest_application"] == {
            "application_id": large.application,
            "folders": 6,
            "too_large": False,
        }

    def test_names_no_application_where_there_is_none(self, database):
        assert preflight(database)["estimate"]["largest_application"] is None

    def test_warns_of_affected_applications_over_the_size_limit(self, database, settings):
        settings.CLEANUP_LARGE_APPLICATION = 4
        tree(database, "Loan/Docs*5")
        tree(database, "Loan/{A, B, C, D, E}")
        answer = preflight(database)
        assert answer["estimate"]["too_large_applications"] == 1
        assert "too_large" in [warning["code"] for warning in answer["warnings"]]

    def test_is_unknown_before_the_own_tables_are_there(self, scratch_database):
        execute(scratch_database, "DELETE FROM django_migrations WHERE app = 'cleanup' AND name NOT LIKE '0001%%'")
        assert preflight(scratch_database)["estimate"] == "unknown"


class TestProblems:
    """Each kind is seen in the answer; what finds them is tested with discovery."""

    def test_of_suspected_columns(self, scratch_database):
        execute(scratch_database, f"CREATE TABLE shelf (id integer PRIMARY KEY, folder {key_type(scratch_database)})")
        assert problems(scratch_database) == [("suspected", "shelf", "folder")]
        assert preflight(scratch_database)["suspected"] == [
            {"table": label(scratch_database, "shelf"), "column": "folder"}
        ]

    def test_of_triggers(self, scratch_database):
        make_trigger(scratch_database)
        (found,) = problems(scratch_database)
        assert found[:2] == ("trigger", named(":folders"))
        assert preflight(scratch_database)["triggers"]["found"] == [
            {"name": "watched", "table": label(scratch_database, ":folders"), "events": ["update"], "columns": []}
        ]

    def test_of_triggers_become_a_warning_where_they_may_fire(self, scratch_database, settings):
        settings.CLEANUP_TRIGGERS = "fire"
        make_trigger(scratch_database)
        answer = preflight(scratch_database)
        assert (answer["ok"], answer["triggers"]["policy"]) == (True, "fire")
        assert "triggers_fire" in [warning["code"] for warning in answer["warnings"]]

    def test_of_marks_of_deletion(self, scratch_database, settings):
        settings.CLEANUP_FOLDER_LIVE = None
        del settings.CLEANUP_FOLDER_LIVE
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN trashed_at timestamp")
        assert ("soft_delete", named(":folders"), "trashed_at") in problems(scratch_database)

    def test_of_path_columns(self, scratch_database):
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN full_path text")
        assert problems(scratch_database) == [("path_column", named(":folders"), "full_path")]

    def test_of_large_tables_without_an_index(self, scratch_database, settings):
        settings.CLEANUP_LARGE_TABLE = 1
        tree(scratch_database, "Loan/Docs(5)")
        folder = named(":files.folder")
        for index, text in indexes_of(scratch_database, named(":files")):
            if re.search(rf'\("?{folder}"?[ )]', text):
                execute(scratch_database, f'DROP INDEX "{index}"')
        if is_postgresql(scratch_database):
            execute(scratch_database, "ANALYZE :files")
        assert ("unindexed", named(":files"), folder) in problems(scratch_database)

    def test_of_rows_without_key(self, scratch_database):
        made = tree(scratch_database, "gone:Loan@2, Loan@1")
        execute(
            scratch_database,
            f"CREATE TABLE pin (place {key_type(scratch_database)} REFERENCES :folders)",
        )
        execute(scratch_database, "INSERT INTO pin VALUES (%s)", raw(scratch_database, made["gone"]))
        assert problems(scratch_database) == [("unkeyed", "pin", "place")]

    def test_of_settings_that_name_nothing(self, database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["nowhere.folder_id"]
        assert problems(database) == [("misconfigured", "nowhere", "folder_id")]

    @pytest.mark.only("sqlite")
    @pytest.mark.mapped_models("only UUIDs have several spellings")
    def test_of_keys_that_cannot_be_found(self, scratch_database):
        execute(scratch_database, "INSERT INTO :applications VALUES (%s)", str(uuid.uuid4()))
        assert ("key_storage", named(":applications"), "id") in problems(scratch_database)

    @pytest.mark.only("postgresql")
    def test_of_inheritance(self, scratch_database):
        execute(scratch_database, "CREATE TABLE old_files () INHERITS (:files)")
        assert ("inheritance", named(":files"), "") in problems(scratch_database)

    @pytest.mark.only("postgresql")
    def test_of_a_view_that_is_named_as_a_reference(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["filed.folder_id"]
        execute(scratch_database, "CREATE VIEW filed AS SELECT :files.key, :files.folder AS folder_id FROM :files")
        assert problems(scratch_database) == [("view", "filed", "folder_id")]

    @pytest.mark.only("postgresql")
    def test_of_keys_that_cannot_change_together(self, scratch_database):
        key = key_type(scratch_database)
        shelf = f"CREATE TABLE shelf (folder {key} REFERENCES :folders, label text, PRIMARY KEY (folder, label))"
        book = f"""
            CREATE TABLE book (
                id integer PRIMARY KEY, folder {key} REFERENCES :folders, other_folder {key}, label text,
                FOREIGN KEY (folder, label) REFERENCES shelf, FOREIGN KEY (other_folder, label) REFERENCES shelf)"""
        execute(scratch_database, shelf)
        execute(scratch_database, book)
        assert "two_keys" in [code for code, _, _ in problems(scratch_database)]

    def test_of_migrations_that_are_not_applied(self, scratch_database):
        execute(scratch_database, "DELETE FROM django_migrations WHERE app = 'cleanup' AND name LIKE '0002%%'")
        assert problems(scratch_database) == [("migrations", "", "")]
        assert "manage.py migrate cleanup --fake-initial" in message(scratch_database, "migrations")

    def test_of_a_server_that_is_too_old(self, database, monkeypatch):
        monkeypatch.setattr(PostgresServer, "minimum", (99,))
        monkeypatch.setattr(SqliteServer, "minimum", (99,))
        assert problems(database) == [("server_version", "", "")]

    @pytest.mark.only("postgresql")
    @pytest.mark.parametrize("milliseconds", [667, 5000])
    def test_of_a_lock_timeout_that_lets_the_host_lose(self, database, settings, milliseconds):
        settings.CLEANUP_LOCK_TIMEOUT_MS = milliseconds
        assert "under two thirds of it" in message(database, "lock_timeout")
        settings.CLEANUP_LOCK_TIMEOUT_MS = 666
        assert "lock_timeout" not in [code for code, *_ in problems(database)]

    @pytest.mark.only("postgresql")
    def test_of_an_address_that_asks_for_reading_alone(self, scratch_database, monkeypatch):
        connections[scratch_database].close()
        options = connections[scratch_database].settings_dict["OPTIONS"]
        with monkeypatch.context() as patched:
            patched.setitem(options, "options", "-c default_transaction_read_only=on")
            assert problems(scratch_database) == [("read_only", "", "")]
        connections[scratch_database].close()

    @pytest.mark.only("postgresql")
    def test_are_none_where_a_role_merely_begins_by_reading(self, scratch_database):
        execute(scratch_database, "SET default_transaction_read_only = on")
        assert problems(scratch_database) == []

    @pytest.mark.only("sqlite")
    def test_of_a_connection_that_is_read_only(self, scratch_database):
        execute(scratch_database, "PRAGMA query_only = on")
        assert problems(scratch_database) == [("read_only", "", "")]

    @pytest.mark.only("sqlite")
    def test_of_a_disk_that_is_full(self, database, monkeypatch):
        monkeypatch.setattr(SqliteServer, "free_bytes", lambda self: 1000)
        assert problems(database) == [("disk", "", "")]


def make_trigger(database: str) -> None:
    if is_postgresql(database):
        execute(database, "CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$")
        execute(database, "CREATE TRIGGER watched BEFORE UPDATE ON :folders FOR EACH ROW EXECUTE FUNCTION watch()")
    else:
        execute(database, "CREATE TRIGGER watched AFTER UPDATE ON :folders BEGIN SELECT 1; END")


def indexes_of(database: str, table: str) -> list[tuple[str, str]]:
    if is_postgresql(database):
        return fetch(database, "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s", table)
    return fetch(
        database, "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql > '' AND tbl_name = %s", table
    )


class TestWhatKeepsARunFromStartingNow:
    def test_is_the_freeze_switch(self, database):
        DatabaseCleanupService(using=database).freeze(reason="audit")
        answer = preflight(database)
        assert answer["ok"]
        assert "frozen" in [warning["code"] for warning in answer["warnings"]]

    def test_is_another_run(self, database):
        from cleanup.services.runs import lifecycle

        lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())
        answer = preflight(database)
        assert answer["ok"]
        assert "active_run" in [warning["code"] for warning in answer["warnings"]]


@pytest.fixture
def clerk(scratch_database) -> Iterator[str]:
    """Yield a role that may log in and nothing else; the alias works as it after ``become``."""
    parameters = connections[scratch_database].settings_dict
    usual = {name: parameters[name] for name in ("USER", "PASSWORD")}
    name = f"clerk_of_{parameters['NAME']}"
    execute(scratch_database, f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    try:
        yield name
    finally:
        become(scratch_database, **usual)
        execute(scratch_database, f"DROP OWNED BY {name}")
        execute(scratch_database, f"DROP ROLE {name}")


def become(database: str, USER: str, PASSWORD: str = "secret") -> None:  # noqa: N803 - Django's names
    connections[database].close()
    connections[database].settings_dict.update(USER=USER, PASSWORD=PASSWORD)


def grant_work(database: str, role: str) -> None:
    """Give a role what works need."""
    execute(database, f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")


@pytest.mark.only("postgresql")
class TestTheRole:
    def test_that_may_do_everything_is_fit(self, scratch_database, clerk):
        tree(scratch_database, MESS)
        grant_work(scratch_database, clerk)
        become(scratch_database, clerk)
        answer = preflight(scratch_database)
        assert (answer["ok"], answer["problems"]) == (True, [])
        assert (answer["role"]["name"], answer["role"]["superuser"], answer["role"]["bypassrls"]) == (
            clerk,
            False,
            False,
        )
        assert [grant for grant in answer["role"]["grants"] if grant["missing"]] == []

    @pytest.mark.parametrize(
        ("privilege", "table"),
        [
            ("UPDATE", ":files"),
            ("DELETE", ":folders"),
            ("INSERT", ":folders"),
            ("SELECT", "hostapp_cover"),
            ("UPDATE", ":applications"),
            ("INSERT", "cleanup_snapshotrow"),
            ("UPDATE", "cleanup_result"),
            ("SELECT", "cleanup_control"),
        ],
    )
    def test_that_lacks_one_grant_is_told_which(self, scratch_database, clerk, privilege, table):
        grant_work(scratch_database, clerk)
        execute(scratch_database, f"REVOKE {privilege} ON {table} FROM {clerk}")
        become(scratch_database, clerk)
        answer = preflight(scratch_database)
        assert [(p["code"], p["table"]) for p in answer["problems"]] == [("privilege", f"public.{named(table)}")]
        missing = [(g["table"], g["missing"]) for g in answer["role"]["grants"] if g["missing"]]
        assert missing == [(f"public.{named(table)}", [privilege.lower()])]

    def test_that_may_nothing_gets_an_answer(self, scratch_database, clerk):
        tree(scratch_database, MESS)
        become(scratch_database, clerk)
        answer = preflight(scratch_database)
        assert (answer["ok"], answer["estimate"]) == (False, "unknown")
        assert {problem["code"] for problem in answer["problems"]} == {"privilege"}

    def test_is_fit_after_the_grants_that_the_answers_name(self, scratch_database, clerk):
        tree(scratch_database, MESS)
        usual = dict(connections[scratch_database].settings_dict)
        for _ in range(5):
            become(scratch_database, clerk)
            found = preflight(scratch_database)["problems"]
            become(scratch_database, usual["USER"], usual["PASSWORD"])
            for problem in found:
                execute(scratch_database, problem["message"].partition("Grant it: ")[2])
        assert found == []

    def test_is_fit_to_clean_verify_and_roll_back_with_these_grants(self, scratch_database, clerk):
        made = tree(scratch_database, MESS)
        usual = dict(connections[scratch_database].settings_dict)
        before = dump(scratch_database)
        for grant in preflight(scratch_database)["role"]["grants"]:
            needed, table = ", ".join(grant["needed"]), grant["table"].replace(".", '."') + '"'
            execute(scratch_database, f"GRANT {needed} ON {table} TO {clerk}")
        execute(scratch_database, f"GRANT SELECT ON django_migrations, django_content_type TO {clerk}")
        become(scratch_database, clerk)
        service = DatabaseCleanupService(using=scratch_database)
        assert service.preflight()["ok"]
        report = service.cleanup_all_duplicate_folders()
        assert (report.successful_cleanups, service.verify_cleanup_integrity()["verification_passed"]) == (1, True)
        assert service.check()["duplicate_applications_found"] == 0
        assert service.rollback_cleanup(report.run_id)
        service.release(made.application)
        service.purge()
        become(scratch_database, usual["USER"], usual["PASSWORD"])
        assert dump(scratch_database) == before

    def test_that_may_not_read_who_the_database_is_is_told(self, scratch_database, clerk):
        grant_work(scratch_database, clerk)
        execute(scratch_database, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        become(scratch_database, clerk)
        answer = preflight(scratch_database)
        assert answer["identity"]["key"] == "unknown"
        assert [problem["code"] for problem in answer["problems"]] == ["identity"]

    def test_that_may_not_read_settings_is_warned(self, scratch_database, clerk):
        grant_work(scratch_database, clerk)
        execute(scratch_database, "REVOKE SELECT ON pg_settings FROM PUBLIC")
        become(scratch_database, clerk)
        answer = preflight(scratch_database)
        assert (answer["ok"], answer["identity"]["settings"]["deadlock_timeout"]) == (True, "unknown")
        assert "lock_timeout" in [warning["code"] for warning in answer["warnings"]]

    def test_that_may_not_read_roles_is_let_be(self, scratch_database, clerk):
        grant_work(scratch_database, clerk)
        execute(scratch_database, "REVOKE SELECT ON pg_roles FROM PUBLIC")
        become(scratch_database, clerk)
        answer = preflight(scratch_database)
        assert (answer["role"]["name"], answer["role"]["superuser"]) == (clerk, "unknown")

    def test_that_may_not_read_migrations_gets_an_answer(self, scratch_database, clerk):
        grant_work(scratch_database, clerk)
        execute(scratch_database, f"REVOKE SELECT ON django_migrations FROM {clerk}")
        become(scratch_database, clerk)
        assert [code for code, _, _ in problems(scratch_database)] == ["privilege"]

    def test_that_row_security_binds_is_told(self, scratch_database, clerk):
        tree(scratch_database, MESS)
        grant_work(scratch_database, clerk)
        execute(scratch_database, "ALTER TABLE :files ENABLE ROW LEVEL SECURITY")
        become(scratch_database, clerk)
        answer = preflight(scratch_database)
        assert answer["row_security"] == [label(scratch_database, ":files")]
        assert ("row_security", label(scratch_database, ":files")) in [
            (p["code"], p["table"]) for p in answer["problems"]
        ]

    def test_that_may_not_bypass_triggers_is_told(self, scratch_database, clerk, settings):
        settings.CLEANUP_TRIGGERS = "bypass"
        tree(scratch_database, MESS)
        grant_work(scratch_database, clerk)
        become(scratch_database, clerk)
        answer = preflight(scratch_database)
        assert (answer["ok"], answer["triggers"]["may_bypass"]) == (False, False)


class TestRowsThatNothingWouldAdmit:
    def test_do_not_disturb(self, database):
        made = tree(database, MESS)
        with unchecked(database):
            columns = ":folders.key, :folders.name, :folders.parent, :folders.application"
            keys = [raw(database, missing_key(part), part) for part in (Folder, Folder, Application)]
            execute(database, f"INSERT INTO :folders ({columns}) VALUES (%s, 'a', %s, %s)", *keys)
        assert preflight(database)["ok"]
        assert Application.objects.using(database).filter(pk=made.application).exists()
