"""Adopting tables that another program made, and leaving them as they were.

Plain SQL makes them with what no model knows: a column with data, an index, a trigger, rows that no constraint admits.
"""

import contextlib
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError
from django.db import IntegrityError, connections
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.db.models import Model

from cleanup.backends.sqlite import dangling_rows
from cleanup.exceptions import DatabaseUnusable
from cleanup.models import Application, AutomationState, File, Folder, RollbackPoint, Run
from cleanup.services import DatabaseCleanupService
from cleanup.services.background import leases
from project.database import parse_database_url
from tests.support import databases
from tests.support.trees import dump, execute, fetch, is_postgresql, raw

MAPPED = ("customer_applications", "folders", "files")

TOKEN = str(uuid.UUID(int=1))
LATER = datetime(2100, 1, 1, tzinfo=UTC)

TABLES = {
    "customer_applications": "CREATE TABLE customer_applications (id KEYTYPE PRIMARY KEY, note text DEFAULT 'new')",
    "folders": """
        CREATE TABLE folders (
            id KEYTYPE PRIMARY KEY, name varchar(255) NOT NULL, parent_id KEYTYPE, application_id KEYTYPE,
            created_at TIMETYPE, updated_at TIMETYPE, color varchar(20) DEFAULT 'blue' CHECK (color <> ''))""",
    "files": """
        CREATE TABLE files (
            id KEYTYPE PRIMARY KEY, filename varchar(255) NOT NULL, original_filename varchar(255) NOT NULL,
            display_name varchar(255), file_path text NOT NULL, file_size bigint NOT NULL,
            mime_type varchar(100) NOT NULL, uploaded_by KEYTYPE, application_id KEYTYPE, folder_id KEYTYPE,
            created_at TIMETYPE, checksum BYTESTYPE)""",
}

EXTRAS = (
    "CREATE INDEX folders_by_color ON folders (color, name)",
    "CREATE INDEX folders_by_application ON folders (application_id) WHERE parent_id IS NULL",
    "CREATE TABLE folder_log (what text)",
)

TRIGGERS = {
    "sqlite": (
        "CREATE TRIGGER folders_logged AFTER DELETE ON folders BEGIN INSERT INTO folder_log VALUES (OLD.id); END",
    ),
    "postgresql": (
        """
        CREATE FUNCTION log_folder() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN INSERT INTO folder_log VALUES (OLD.id); RETURN OLD; END $$""",
        "CREATE TRIGGER folders_logged AFTER DELETE ON folders FOR EACH ROW EXECUTE FUNCTION log_folder()",
        "COMMENT ON TABLE folders IS 'whose folders these are'",
    ),
}

SCHEMA = {
    "sqlite": "SELECT type, name, sql FROM sqlite_master WHERE tbl_name IN {tables} ORDER BY type, name",
    # The file's number changes when a table is rewritten.
    "postgresql": """
        WITH mapped AS (SELECT * FROM pg_class WHERE oid IN (SELECT unnest(ARRAY{regclasses})))
        SELECT 'table', c.oid::text, format('%%s %%s', pg_relation_filenode(c.oid), obj_description(c.oid, 'pg_class'))
          FROM mapped c
        UNION ALL
        SELECT c.relname || ' column', a.attnum::text,
               format('%%I %%s %%s %%s', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                      pg_get_expr(d.adbin, d.adrelid))
          FROM mapped c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
          LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        UNION ALL
        SELECT c.relname || ' constraint', k.conname, pg_get_constraintdef(k.oid)
          FROM mapped c JOIN pg_constraint k ON k.conrelid = c.oid
        UNION ALL
        SELECT c.relname || ' index', i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
          FROM mapped c JOIN pg_index i ON i.indrelid = c.oid
        UNION ALL
        SELECT c.relname || ' trigger', t.tgname, pg_get_triggerdef(t.oid)
          FROM mapped c JOIN pg_trigger t ON t.tgrelid = c.oid WHERE NOT t.tgisinternal
         ORDER BY 1, 2, 3""",
}


def create(database: str, *tables: str) -> None:
    """Make some of the three tables by plain SQL."""
    postgresql = is_postgresql(database)
    types = {
        "KEYTYPE": "uuid" if postgresql else "char(32)",
        "TIMETYPE": "timestamptz" if postgresql else "datetime",
        "BYTESTYPE": "bytea" if postgresql else "blob",
    }
    for table in tables:
        sql = TABLES[table]
        for name, spelling in types.items():
            sql = sql.replace(name, spelling)
        execute(database, sql)


def fill(database: str) -> str:
    """Write rows as they are in the wild, some of which nothing would admit, and return an application's key."""
    application, *folders = (str(uuid.UUID(int=number)) for number in range(1, 8))
    key = {number: raw(database, folder) for number, folder in enumerate(folders)}
    execute(database, "INSERT INTO customer_applications VALUES (%s, 'it''s 100%%')", raw(database, application))
    rows = (
        (key[0], "Loan", None, "2020-01-01 00:00:00.000001+00:00", "red"),
        (key[1], "Loan", None, None, "green"),
        (key[2], "Docs", key[0], "2020-01-02 00:00:00+00:00", "blue"),
        (key[3], "Docs", key[1], "2020-01-03 00:00:00+00:00", None),
        (key[4], "no \x1b[31mparent", key[5], None, "blue"),
    )
    for folder, name, parent, created, color in rows:
        execute(
            database,
            "INSERT INTO folders (id, name, parent_id, application_id, created_at, color)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            *(folder, name, parent, raw(database, application), created, color),
        )
    for number in range(4):
        execute(
            database,
            "INSERT INTO files VALUES (%s, 'a', 'a', NULL, '/a', 1, 'text/plain', NULL, %s, %s, NULL, %s)",
            *(raw(database, str(uuid.UUID(int=100 + number))), raw(database, application), key[number], b"\x00\xff"),
        )
    return application


def make_wild(database: str) -> str:
    """Make the three tables as another program would have, filled, and return an application's key."""
    create(database, *MAPPED)
    application = fill(database)
    for statement in (*EXTRAS, *TRIGGERS[connections[database].vendor]):
        execute(database, statement)
    return application


def schema(database: str) -> list[tuple]:
    """Return everything that the catalogue says of the mapped tables."""
    regclasses = [f"'{table}'::regclass" for table in MAPPED]
    sql = SCHEMA[connections[database].vendor]
    return fetch(database, sql.format(tables=MAPPED, regclasses=f"[{', '.join(regclasses)}]"))


OWN_SCHEMA = {
    # A table's columns may stand in another order, where it was made in more than one step.
    "sqlite": "SELECT type, name, sql FROM sqlite_master WHERE tbl_name LIKE 'cleanup!_%' ESCAPE '!'",
    "postgresql": """
        WITH own AS (SELECT * FROM pg_class WHERE starts_with(relname, 'cleanup_'))
        SELECT format('%%s %%s', c.relkind, c.relname), c.relpersistence::text, c.reloptions::text FROM own c
        UNION ALL
        SELECT c.relname || ' column', a.attname,
               format('%%s %%s %%s %%s %%s', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
                      a.attcollation, pg_get_expr(d.adbin, d.adrelid))
          FROM own c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        UNION ALL
        SELECT c.relname || ' constraint', k.conname, format('%%s %%s', pg_get_constraintdef(k.oid), k.convalidated)
          FROM own c JOIN pg_constraint k ON k.conrelid = c.oid
        UNION ALL
        SELECT c.relname || ' index', i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
          FROM own c JOIN pg_index i ON i.indrelid = c.oid
        UNION ALL
        SELECT c.relname || ' trigger', t.tgname, pg_get_triggerdef(t.oid)
          FROM own c JOIN pg_trigger t ON t.tgrelid = c.oid WHERE NOT t.tgisinternal""",
}


def own_schema(database: str) -> list[tuple]:
    """Return everything that the catalogue says of the product's own tables."""
    found = fetch(database, OWN_SCHEMA[connections[database].vendor])
    if is_postgresql(database):
        return sorted(found)
    return sorted(
        (kind, name, *sorted(re.split(r', (?=")', (sql or "").removesuffix(")")))) for kind, name, sql in found
    )


@contextlib.contextmanager
def one_by_one() -> Iterator[None]:
    """Migrate as versions did whose migrations had not been squashed yet."""
    load_disk = MigrationLoader.load_disk

    def load_replaced(loader: MigrationLoader) -> None:
        load_disk(loader)
        squashed = {key for key, found in loader.disk_migrations.items() if key[0] == "cleanup" and found.replaces}
        loader.disk_migrations = {key: loader.disk_migrations[key] for key in loader.disk_migrations.keys() - squashed}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MigrationLoader, "load_disk", load_replaced)
        yield


def rows(database: str) -> dict[str, list[str]]:
    """Return every row of the mapped tables, to the byte."""
    return {table: found for table, found in dump(database).items() if table in MAPPED}


def migrate(database: str, *target: str, **options: object) -> None:
    call_command("migrate", *target, database=database, verbosity=0, interactive=False, **options)


def stored(database: str) -> list[tuple]:
    """Return where the rows of each own table and index are stored, and which foreign keys were looked at."""
    if is_postgresql(database):
        return fetch(
            database,
            "SELECT 'file', pg_relation_filenode(oid)::bigint FROM pg_class WHERE starts_with(relname, 'cleanup_')"
            " AND relkind IN ('r', 'i') UNION ALL SELECT 'foreign key', oid::bigint FROM pg_constraint"
            " WHERE starts_with(conrelid::regclass::text, 'cleanup_')",
        )
    return fetch(database, "SELECT type, rootpage FROM sqlite_master WHERE tbl_name GLOB 'cleanup_*'")


def tables(database: str) -> set[str]:
    return set(connections[database].introspection.table_names())


class TestAdoption:
    @pytest.fixture
    def wild(self, blank_database) -> str:
        self.application = make_wild(blank_database)
        self.before = (schema(blank_database), rows(blank_database))
        return blank_database

    def assert_untouched(self, database: str) -> None:
        assert (schema(database), rows(database)) == self.before

    def test_brings_the_tables_of_every_app_with_one_command_that_ends_at_the_guards(self, wild):
        with pytest.raises(CommandError, match="All other apps are migrated"):
            migrate(wild, fake_initial=True)
        assert {"cleanup_run", "auth_user", "django_content_type", "django_q_schedule"} <= tables(wild)

    def test_leaves_schema_and_rows_as_they_were_and_can_be_taken_back_again_and_again(self, wild):
        for _ in range(2):
            migrate(wild, "cleanup", fake_initial=True)
            self.assert_untouched(wild)
            migrate(wild, "cleanup", "zero")
            self.assert_untouched(wild)
            assert not [table for table in tables(wild) if table.startswith("cleanup_")]

    def test_finds_every_migration_applied_the_second_time(self, wild, capsys):
        migrate(wild, "cleanup", fake_initial=True)
        call_command("migrate", "cleanup", database=wild, check_unapplied=True, interactive=False)
        self.assert_untouched(wild)

    def test_says_how_where_migrate_is_run_without_the_option(self, wild):
        with pytest.raises(CommandError, match="migrate cleanup --fake-initial"):
            migrate(wild, "cleanup")
        self.assert_untouched(wild)

    def test_makes_a_database_that_can_be_cleaned_and_restored(self, wild, settings):
        settings.CLEANUP_TRIGGERS = "fire"
        migrate(wild, "cleanup", fake_initial=True)
        service = DatabaseCleanupService(using=wild)
        result = service.consolidate_duplicate_folders(self.application)
        assert (result.folders_removed, result.files_moved) == (2, 2)
        service.rollback_cleanup(result.rollback_id)
        self.assert_untouched(wild)


@pytest.mark.only("sqlite")
class TestDanglingRows:
    @pytest.fixture
    def dangling(self, blank_database) -> str:
        make_wild(blank_database)
        with connections[blank_database].cursor() as cursor:
            cursor.execute("PRAGMA foreign_keys = off")
            cursor.execute("CREATE TABLE comments (id integer PRIMARY KEY, file_id char(32) REFERENCES files)")
            cursor.execute("CREATE TABLE shares (id integer PRIMARY KEY, file_name text REFERENCES files (filename))")
            cursor.execute("INSERT INTO comments (file_id) VALUES ('gone')")
            cursor.execute("INSERT INTO shares (file_name) VALUES ('scan.pdf')")
            cursor.execute("PRAGMA foreign_keys = on")
        return blank_database

    def test_of_other_tables_do_not_stop_an_adoption(self, dangling):
        before = rows(dangling)
        migrate(dangling, "cleanup", fake_initial=True)
        migrate(dangling, "contenttypes")
        assert rows(dangling) == before

    def test_are_found_as_ever_once_the_migrate_is_over(self, dangling):
        migrate(dangling, "cleanup", fake_initial=True)
        with pytest.raises(IntegrityError, match="comments"):
            connections[dangling].check_constraints(["comments"])

    def test_that_come_about_in_sound_tables_are_found(self, dangling):
        connection = connections[dangling]
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE notes (id integer PRIMARY KEY, file_id char(32) REFERENCES files)")
            dangling_rows.tolerate(using=dangling)
            connection.check_constraints()
            cursor.execute("PRAGMA foreign_keys = off")
            cursor.execute("INSERT INTO notes (file_id) VALUES ('gone')")
        with pytest.raises(IntegrityError, match="notes"):
            connection.check_constraints()
        dangling_rows.tolerate_no_more(using=dangling)


class TestMappedNames:
    @pytest.fixture
    def behind(self, blank_database) -> str:
        create(blank_database, *MAPPED)
        execute(blank_database, "ALTER TABLE folders RENAME TO tbl_folder")
        return blank_database

    def test_that_are_views_are_refused_before_anything_is_made(self, behind):
        execute(behind, "CREATE VIEW folders AS SELECT * FROM tbl_folder")
        before = tables(behind)
        with pytest.raises(SystemCheckError, match=r"E009.*folders is a view"):
            migrate(behind, "cleanup", fake_initial=True, skip_checks=False)
        assert tables(behind) == before

    def test_that_are_views_are_a_problem_at_preflight(self, behind):
        execute(behind, "CREATE VIEW folders AS SELECT * FROM tbl_folder")
        try:
            told = [problem["message"] for problem in DatabaseCleanupService(using=behind).preflight()["problems"]]
        except DatabaseUnusable as unusable:  # SQLite: a view's columns are not known
            told = [str(unusable)]
        assert any("folders is a view" in message and "CLEANUP_FOLDER_MODEL" in message for message in told)
        assert not any("CREATE UNIQUE INDEX" in message for message in told)

    @pytest.mark.only("postgresql")
    def test_with_inheritance_children_are_refused(self, blank_database):
        create(blank_database, *MAPPED)
        execute(blank_database, "CREATE TABLE old_folders () INHERITS (folders)")
        with pytest.raises(
            SystemCheckError, match=r"E009.*public.folders has inheritance children \(public.old_folders"
        ):
            migrate(blank_database, "cleanup", fake_initial=True, skip_checks=False)

    @pytest.mark.only("postgresql")
    def test_in_a_schema_beside_the_search_path_are_told(self, blank_database):
        create(blank_database, *MAPPED)
        execute(blank_database, "CREATE SCHEMA archive")
        for table in MAPPED:
            execute(blank_database, f"ALTER TABLE {table} SET SCHEMA archive")
        with pytest.raises(SystemCheckError, match=r"E011.*schema archive[\s\S]*search_path%3Darchive"):
            migrate(blank_database, "cleanup", fake_initial=True, skip_checks=False)
        assert tables(blank_database) == set()


class TestPartOfTheTables:
    @pytest.mark.parametrize("present", MAPPED)
    def test_is_refused_naming_the_table_and_the_remedy_and_left_as_it_is(self, blank_database, present):
        create(blank_database, present)
        with pytest.raises(CommandError, match=f"Table {present} exists already.*all three.*--fake-initial"):
            migrate(blank_database, "cleanup", fake_initial=True)
        assert tables(blank_database) & set(MAPPED) == {present}

    @pytest.mark.only("sqlite")
    def test_is_recognised_in_another_spelling(self, blank_database):
        execute(blank_database, "CREATE TABLE Folders (id char(32) PRIMARY KEY)")
        with pytest.raises(CommandError, match="Table folders exists already"):
            migrate(blank_database, "cleanup", fake_initial=True)


class TestTablesThatCameInADump:
    """They have the mark of the tables that they were, and belong to the role that restored them."""

    @pytest.fixture
    def dumped(self, blank_database) -> list[str]:
        """Make the tables, take their definitions as a dump has them, comments too, and remove them."""
        migrate(blank_database, "cleanup")
        if is_postgresql(blank_database):
            found = fetch(
                blank_database,
                "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class WHERE relname = ANY(%s)",
                list(MAPPED),
            )
            dump = [f"COMMENT ON TABLE {table} IS '{comment}'" for table, comment in found]
        else:
            dump = [sql for (sql,) in fetch(blank_database, f"SELECT sql FROM sqlite_master WHERE name IN {MAPPED}")]
        assert all("created by cleanup.0001" in statement for statement in dump)
        migrate(blank_database, "cleanup", "zero")
        assert not tables(blank_database) & set(MAPPED)
        return dump

    def restore(self, database: str, dump: list[str]) -> None:
        if is_postgresql(database):
            create(database, *MAPPED)
        for statement in dump:
            execute(database, statement)

    def test_are_kept_where_they_are_adopted(self, blank_database, dumped):
        if not is_postgresql(blank_database):  # another file, as a dump is read into
            dumped = [re.sub(r"0001 in \w+", "0001 in 0123456789abcdef", statement) for statement in dumped]
        self.restore(blank_database, dumped)
        migrate(blank_database, "cleanup", fake_initial=True)
        before = schema(blank_database)
        migrate(blank_database, "cleanup", "zero")
        assert schema(blank_database) == before
        assert tables(blank_database) >= set(MAPPED)

    def test_are_kept_with_their_rows_whatever_the_mark_says(self, blank_database, dumped):
        self.restore(blank_database, dumped)
        execute(
            blank_database,
            "INSERT INTO customer_applications (id) VALUES (%s)",
            raw(blank_database, str(uuid.UUID(int=1))),
        )
        migrate(blank_database, "cleanup", fake_initial=True)
        before = (schema(blank_database), rows(blank_database))
        migrate(blank_database, "cleanup", "zero")
        assert (schema(blank_database), rows(blank_database)) == before

    @pytest.mark.parametrize("mark", ["created by cleanup.0001", "created by cleanup.0001 as 1/2"])
    @pytest.mark.only("postgresql")
    def test_are_kept_by_any_other_mark(self, blank_database, mark):
        migrate(blank_database, "cleanup")
        execute(blank_database, f"COMMENT ON TABLE files IS '{mark}'")
        migrate(blank_database, "cleanup", "zero")
        assert tables(blank_database) >= set(MAPPED)


class TestFreshTables:
    def test_are_made_and_dropped_again_by_whoever_made_them_and_made_the_same_the_second_time(self, blank_database):
        migrate(blank_database, "cleanup")
        assert set(MAPPED) <= tables(blank_database)
        before = databases.schema(blank_database)
        migrate(blank_database, "cleanup", "zero")
        assert tables(blank_database) <= {"django_migrations"}
        migrate(blank_database, "cleanup")
        assert databases.schema(blank_database) == before

    def test_are_kept_with_their_rows(self, blank_database):
        migrate(blank_database, "cleanup")
        Application.objects.using(blank_database).create()
        before = (schema(blank_database), rows(blank_database))
        migrate(blank_database, "cleanup", "zero")
        assert (schema(blank_database), rows(blank_database)) == before

    @pytest.mark.only("postgresql")
    @pytest.mark.parametrize(
        ("table", "columns"),
        [
            ("customer_applications", [("id", "uuid", True)]),
            (
                "folders",
                [
                    ("id", "uuid", True),
                    ("name", "character varying(255)", True),
                    ("parent_id", "uuid", False),
                    ("application_id", "uuid", False),
                    ("created_at", "timestamp with time zone", False),
                    ("updated_at", "timestamp with time zone", False),
                ],
            ),
            (
                "files",
                [
                    ("id", "uuid", True),
                    ("filename", "character varying(255)", True),
                    ("original_filename", "character varying(255)", True),
                    ("display_name", "character varying(255)", False),
                    ("file_path", "text", True),
                    ("file_size", "bigint", True),
                    ("mime_type", "character varying(100)", True),
                    ("uploaded_by", "uuid", False),
                    ("application_id", "uuid", False),
                    ("folder_id", "uuid", False),
                    ("created_at", "timestamp with time zone", False),
                ],
            ),
        ],
    )
    def test_have_exactly_the_specified_columns(self, database, table, columns):
        found = fetch(
            database,
            "SELECT attname::text, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            table,
        )
        assert sorted(found) == sorted(columns)

    @pytest.mark.only("postgresql")
    def test_refer_to_each_other(self, database):
        found = fetch(
            database,
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE contype = 'f' AND conrelid = ANY(ARRAY['folders'::regclass, 'files'::regclass])",
        )
        deferred = "DEFERRABLE INITIALLY DEFERRED"
        assert sorted(found) == [
            ("files", f"FOREIGN KEY (application_id) REFERENCES customer_applications(id) {deferred}"),
            ("files", f"FOREIGN KEY (folder_id) REFERENCES folders(id) {deferred}"),
            ("folders", f"FOREIGN KEY (application_id) REFERENCES customer_applications(id) {deferred}"),
            ("folders", f"FOREIGN KEY (parent_id) REFERENCES folders(id) {deferred}"),
        ]


class TestMigrations:
    def test_say_all_that_the_models_say(self):
        loader = MigrationLoader(None)
        changes = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps)).changes(loader.graph)
        assert {label: [str(migration) for migration in found] for label, found in changes.items()} == {}

    def test_can_be_shown_as_sql_where_they_are_applied(self, database, capsys):
        call_command("sqlmigrate", "cleanup", "0001", database=database)
        shown = capsys.readouterr().out
        assert [table for table in MAPPED if f'CREATE TABLE "{table}"' in shown] == list(MAPPED)

    def test_never_touch_a_mapped_table_after_the_first(self):
        mapped = {model._meta.model_name for model in (Application, Folder, File)}
        later = [
            operation
            for (label, name), migration in MigrationLoader(None).disk_migrations.items()
            if label == "cleanup" and not name.startswith("0001")
            for operation in migration.operations
        ]
        touched = {str(getattr(operation, "model_name", getattr(operation, "name", ""))).lower() for operation in later}
        assert later
        assert touched & mapped == set()

    def test_end_with_the_same_models_squashed_and_one_by_one(self):
        squashed = MigrationLoader(None)
        with one_by_one():
            replaced = MigrationLoader(None).project_state()
        assert MigrationAutodetector(replaced, squashed.project_state()).changes(squashed.graph) == {}
        assert MigrationAutodetector(squashed.project_state(), replaced).changes(squashed.graph) == {}


class AccountsElsewhere:
    """A router of a project whose accounts are in another database than this one, or so it says."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def allow_migrate(self, db, app_label, **hints) -> bool | None:
        return False if app_label in {"auth", "contenttypes"} else None

    def db_for_write(self, model, **hints) -> str:
        return self.alias


def people(database: str) -> tuple[User, Group]:
    return User.objects.using(database).get(), Group.objects.using(database).get()


def codenames(holder: User | Group) -> list[str]:
    """Return the permissions that someone has been granted."""
    granted = holder.user_permissions if isinstance(holder, User) else holder.permissions
    return sorted(granted.values_list("codename", flat=True))


BEFORE_RENAMES, AFTER_RENAMES = "0020_undone_points", "0031_control_to_freezeswitch"


#: The number and the key of a rollback point.
POINT = (5, uuid.UUID(int=5))


def release(database: str) -> None:
    """Make the tables as they were then, with a run and a lease under way, and one row of all that is renamed."""
    with one_by_one():
        migrate(database, "cleanup", BEFORE_RENAMES)
    models = MigrationLoader(connections[database]).project_state(("cleanup", BEFORE_RENAMES)).apps

    def create(model: str, **values: object) -> Model:
        return models.get_model("cleanup", model).objects.using(database).create(**values)

    create("Service", started=True, changed_by="ann", database_identity="here")
    run = create("Run", kind="cleanup", status="running", takes_slot=False, halted=True, database_identity="here")
    create("Tick", kind="run", target=str(run.pk), run=run, seat=3, token=TOKEN, lease_expires_at=LATER)
    create("RequestKey", account="1", key="once", digest="d", run=run)
    layout = create("SnapshotLayout", digest="d", format_version=2, document="{}")
    of_point = {"application_key": "a", "kind": "cleanup", "run": run, "layout": layout, "expires_at": LATER}
    point = create("RollbackPoint", sequence=POINT[0], id=POINT[1], **of_point)
    create("SnapshotRow", point=point, kind="moved", step=1, table="files", row_count=1)
    create("Result", run=run, application_key="a", status="in_progress", alone=True, point=point)


@contextlib.contextmanager
def as_released(database: str) -> Iterator[None]:
    with databases.prepared(database, release, start=databases.blank):
        yield


def upgrade(database: str) -> None:
    migrate(database, "cleanup")


def grant(database: str) -> None:
    """Have a user who may look, and a group that may freeze, too."""
    migrate(database, "auth")
    permissions = Permission.objects.using(database).filter(content_type__app_label="cleanup")
    user = User.objects.using(database).create(username="ann")
    user.user_permissions.set(permissions.filter(codename="look"))
    group = Group.objects.using(database).create(name="g")
    group.permissions.set(permissions.filter(codename__in=["look", "freeze"]))


class TestRenames:
    """A database of the version before the renames is migrated, and back again: rows stay where and what they are."""

    @pytest.fixture
    def released(self, database) -> Iterator[str]:
        with as_released(database):
            yield database

    @pytest.fixture
    def upgraded(self, database) -> Iterator[str]:
        with databases.prepared(database, upgrade, start=as_released):
            yield database

    @pytest.fixture
    def granted(self, database) -> Iterator[str]:
        with databases.prepared(database, grant, start=as_released):
            yield database

    def kept(self, database: str) -> dict[str, list[str]]:
        """Return the rows of the product's own tables, by table, each with its columns by name.

        On SQLite, a table that is made again has its columns in the order in which Python made the fields.
        """
        kept, connection = {}, connections[database]
        with connection.cursor() as cursor:
            for table in connection.introspection.table_names(cursor):
                if table.startswith("cleanup_"):
                    described = connection.introspection.get_table_description(cursor, table)
                    columns = ", ".join(f't."{name}"' for name in sorted(column.name for column in described))
                    kept[table] = sorted(map(repr, fetch(database, f"SELECT {columns} FROM {table} AS t")))
        return kept

    def test_keep_every_row_and_the_permission_to_view_and_can_be_taken_back(self, granted, subtests):
        before, holders = self.kept(granted), people(granted)
        migrate(granted, "cleanup")
        with subtests.test("users and groups may view"):
            assert [codenames(holder) for holder in holders] == [["view"], ["freeze", "view"]]
        migrate(granted, "cleanup", BEFORE_RENAMES)
        after = self.kept(granted)
        after["cleanup_schedule"] = []  # installed as soon as all is migrated
        with subtests.test("users and groups may look again"):
            assert [codenames(holder) for holder in holders] == [["look"], ["freeze", "look"]]
        assert after == before

    def test_leave_a_run_that_is_under_way_to_go_on(self, upgraded):
        run = Run.objects.using(upgraded).get()
        lease = run.leases.get()
        assert (run.status, run.exclusive, run.paused_by_error) == ("running", False, True)
        assert (lease.slot, str(lease.token), lease.lease_expires_at) == (3, TOKEN, LATER)
        assert run.idempotency_keys.get().key == "once"
        assert AutomationState.objects.using(upgraded).get().started
        assert leases.acquire(using=upgraded, lease_id=lease.pk, token=TOKEN) is not None

    def test_leave_a_rollback_point_to_its_rows(self, upgraded):
        point = RollbackPoint.objects.using(upgraded).get()
        assert (point.id, point.uuid) == POINT
        assert (point.schema.document, point.rows.get().table, point.results.get().isolated) == ("{}", "files", True)

    def test_leave_the_permission_to_view_where_a_row_of_the_new_name_was_made_before(self, granted):
        _, group = holders = people(granted)
        look = Permission.objects.using(granted).get(codename="look")
        view = Permission.objects.using(granted).create(content_type=look.content_type, codename="view", name="new")
        group.permissions.add(view)
        migrate(granted, "cleanup")
        assert [codenames(holder) for holder in holders] == [["view"], ["freeze", "view"]]
        assert not Permission.objects.using(granted).filter(codename="look").exists()

    def test_leave_the_permission_to_view_where_accounts_live_in_another_database(self, granted, settings):
        holders = people(granted)
        settings.DATABASE_ROUTERS = [AccountsElsewhere(granted)]
        migrate(granted, "cleanup")
        assert [codenames(holder) for holder in holders] == [["view"], ["freeze", "view"]]

    def test_write_no_table_anew(self, released):
        before = sorted(stored(released))
        migrate(released, "cleanup", AFTER_RENAMES)
        assert sorted(stored(released)) == before

    def test_leave_the_tables_that_a_new_database_has(self, upgraded):
        found = own_schema(upgraded)
        with databases.migrated(upgraded):
            assert own_schema(upgraded) == found


@pytest.mark.only("postgresql")
class TestSchemaOfItsOwn:
    """Own tables in a schema of their own, by the search path; the mapped tables stay where they are."""

    @pytest.fixture(params=["role", "url"])
    def separate(self, blank_database, request) -> Iterator[str]:
        connection = connections[blank_database]
        parameters = connection.settings_dict
        usual = parameters["OPTIONS"]
        self.application = make_wild(blank_database)
        execute(blank_database, "CREATE SCHEMA own")
        if request.param == "role":
            name = connection.ops.quote_name(parameters["NAME"])
            execute(blank_database, f"ALTER ROLE CURRENT_USER IN DATABASE {name} SET search_path = own, public")
        else:
            url = f"{databases.url_of(blank_database)}?options=-c%20search_path%3Down,public"
            asked_for = parse_database_url(url, default_file=None)["OPTIONS"]["options"]
            parameters["OPTIONS"] = {**usual, "options": asked_for}
        connection.close()
        self.before = (schema(blank_database), rows(blank_database))
        try:
            migrate(blank_database, "cleanup", fake_initial=True)
            yield blank_database
        finally:
            connection.close()
            parameters["OPTIONS"] = usual

    def places(self, database: str, pattern: str) -> set[str]:
        found = fetch(
            database,
            "SELECT relnamespace::regnamespace::text FROM pg_class WHERE relkind = 'r' AND relname ~ %s",
            pattern,
        )
        return {schema for (schema,) in found}

    def test_holds_the_own_tables_and_leaves_the_mapped_ones_and_passes_the_preflight(self, separate, settings):
        assert self.places(separate, "^cleanup_") == {"own"}
        assert self.places(separate, f"^({'|'.join(MAPPED)})$") == {"public"}
        assert (schema(separate), rows(separate)) == self.before
        settings.CLEANUP_TRIGGERS = "fire"
        answer = DatabaseCleanupService(using=separate).preflight()
        assert (answer["problems"], answer["identity"]["schema"]) == ([], "own")

    def test_serves_cleanup_verification_and_rollback_and_can_be_taken_back(self, separate, settings):
        settings.CLEANUP_TRIGGERS = "fire"
        service = DatabaseCleanupService(using=separate)
        report = service.cleanup_all_duplicate_folders()
        assert (report.successful_cleanups, report.total_folders_removed) == (1, 2)
        assert "several_roots" not in service.verify_cleanup_integrity()["counts"]
        assert service.rollback_cleanup(report.run_id)
        assert (schema(separate), rows(separate)) == self.before
        migrate(separate, "cleanup", "zero")
        assert self.places(separate, "^cleanup_") == set()
        assert (schema(separate), rows(separate)) == self.before
