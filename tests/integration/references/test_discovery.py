import uuid

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, connections
from django.test.utils import CaptureQueriesContext

from cleanup import backends
from cleanup.backends.catalogue import TableName
from cleanup.backends.references import Reference
from cleanup.exceptions import DatabaseUnusable
from cleanup.references import blocking_rows, discover
from tests.hostapp.models import OWN_MODELS

KEYS = {"postgresql": "uuid", "sqlite": "char(32)"}


def run_sql(using: str, *statements: str) -> None:
    """Execute host DDL; KEYTYPE stands for the type of folder keys."""
    with connections[using].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.replace("KEYTYPE", KEYS[connections[using].vendor]))


def find(using: str, column: str) -> list[Reference]:
    """Return the references by ``table.column`` or ``table.column+column``, whatever the schema."""
    return [r for r in discover(using=using).references if f"{r.table.name}.{'+'.join(r.columns)}" == column]


def find_one(using: str, column: str) -> Reference:
    (reference,) = find(using, column)
    return reference


def columns_of(using: str, table: str) -> set[str]:
    return {"+".join(r.columns) for r in discover(using=using).references if r.table.name == table}


def problems(using: str, code: str) -> list[tuple[str, str]]:
    """Return (table, column) of the problems of that code, without schemas."""
    return [(p.table.rpartition(".")[2], p.column) for p in discover(using=using).problems if p.code == code]


def message(using: str, code: str) -> str:
    (text,) = [p.message for p in discover(using=using).problems if p.code == code]
    return text


def table_of(using: str, name: str):
    catalogue = backends.database(using=using).catalogue
    table = catalogue.resolve(name)
    return catalogue.describe([table])[table]


def key(using: str) -> str:
    """Return a new UUID as the database stores it."""
    new = uuid.uuid4()
    return new.hex if connections[using].vendor == "sqlite" else str(new)


class TestAFreshDatabase:
    def test_is_known_without_a_problem(self, database, subtests):
        found = discover(using=database)
        assert found.problems == ()
        with subtests.test("the parent of folders and the folder of files are known"):
            for table, column in (("folders", "parent_id"), ("files", "folder_id")):
                assert {"+".join(r.columns) for r in found.references if r.table.name == table} == {column}
        with subtests.test("each unconnected reference has a step of its own"):
            steps = [r.step for r in found.references if not r.table.name.startswith("hostapp_c")]
            assert len(set(steps)) == len(steps)
        with subtests.test("references are in the order of their steps"):
            steps = [r.step for r in found.references]
            assert steps == sorted(steps)
        with subtests.test("every table of a reference is described"):
            mapped = {found.applications.name, found.folders.name, found.files.name}
            assert set(found.tables) == mapped | {r.table for r in found.references}
        with subtests.test("the product's own tables are never listed"):
            assert not [name for name in found.tables if name.name.startswith("cleanup_")]
        with subtests.test("the application is not taken for a folder"):
            assert not [r for r in found.references if "application_id" in r.columns]


class TestReferencesOfModels:
    def test_include_relations_without_a_way_back(self, database):
        assert find_one(database, "hostapp_bookmark.folder_id").source == "catalogue"

    def test_include_one_to_one_relations(self, database):
        assert find_one(database, "hostapp_cover.folder_id").proven

    def test_include_automatic_many_to_many_tables(self, database):
        reference = find_one(database, "hostapp_tag_folders.folder_id")
        assert discover(using=database).automatic_many_to_many == {reference.table}

    def test_include_relations_without_a_foreign_key(self, database):
        reference = find_one(database, "hostapp_watch.watched_id")
        assert (reference.source, reference.proven, reference.constraint) == ("model", False, None)

    def test_include_generic_relations_as_text_in_any_spelling(self, database):
        reference = find_one(database, "hostapp_note.object_id")
        assert (reference.source, reference.spelled, *reference.condition.columns) == (
            "generic",
            True,
            "content_type_id",
        )

    def test_include_generic_relations_as_uuid(self, database):
        reference = find_one(database, "hostapp_scan.about_id")
        assert (reference.source, reference.spelled, *reference.condition.columns) == (
            "generic",
            False,
            "about_type_id",
        )

    def test_name_the_content_types_of_folders_and_their_proxies_and_children(self, database):
        types = ContentType.objects.using(database).filter(model__in=["folder", "dossier", "contract"])
        expected = tuple(sorted(types.values_list("pk", flat=True)))
        assert len(expected) == 3
        assert find_one(database, "hostapp_note.object_id").condition.tests[0].values == expected

    def test_include_child_tables_and_what_points_at_them(self, database):
        child = find_one(database, "hostapp_contract.folder_ptr_id")
        pointer = find_one(database, "hostapp_clause.contract_id")
        assert (child.step, pointer.folder_columns) == (pointer.step, ("id",))

    def test_leave_out_generic_relations_that_cannot_hold_the_key(self, database):
        assert find(database, "hostapp_counter.object_id") == []

    def test_leave_out_tables_that_are_not_in_this_database(self, scratch_database):
        run_sql(scratch_database, "DROP TABLE hostapp_watch", "DROP TABLE hostapp_note")
        assert find(scratch_database, "hostapp_watch.watched_id") == []
        assert discover(using=scratch_database).problems == ()

    def test_leave_out_columns_that_are_not_in_this_database(self, scratch_database):
        run_sql(scratch_database, "ALTER TABLE hostapp_watch RENAME COLUMN watched_id TO target")
        assert columns_of(scratch_database, "hostapp_watch") == set()


class TestReferencesOfTheCatalogue:
    def test_include_tables_that_django_does_not_know(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (id KEYTYPE PRIMARY KEY, place KEYTYPE REFERENCES folders (id) ON DELETE CASCADE)",
        )
        reference = find_one(scratch_database, "shelf.place")
        assert (reference.on_delete, reference.proven, reference.source) == ("cascade", False, "catalogue")
        assert reference.enforced

    def test_are_proven_where_the_database_refuses(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (id KEYTYPE PRIMARY KEY, place KEYTYPE REFERENCES folders (id) ON DELETE NO ACTION)",
            "CREATE TABLE chest (id KEYTYPE PRIMARY KEY, place KEYTYPE REFERENCES folders (id) ON DELETE RESTRICT)",
        )
        proven = {r.table.name for r in discover(using=scratch_database).references if r.proven}
        assert {"shelf", "chest"} <= proven

    def test_are_not_proven_where_triggers_are_bypassed(self, database, settings):
        settings.CLEANUP_TRIGGERS = "bypass"
        assert not any(reference.proven for reference in discover(using=database).references)

    def test_are_not_proven_where_another_key_takes_the_row_away(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (id KEYTYPE PRIMARY KEY, place KEYTYPE, FOREIGN KEY (place) REFERENCES folders (id),"
            " FOREIGN KEY (place) REFERENCES folders (id) ON DELETE CASCADE)",
        )
        reference = find_one(scratch_database, "shelf.place")
        assert (reference.proven, reference.on_delete) == (False, "cascade")

    def test_are_not_proven_where_foreign_keys_are_off(self, scratch_database):
        if connections[scratch_database].vendor == "sqlite":
            run_sql(scratch_database, "PRAGMA foreign_keys = OFF")
        else:
            run_sql(scratch_database, "ALTER TABLE files DISABLE TRIGGER ALL")
        reference = find_one(scratch_database, "files.folder_id")
        assert (reference.proven, reference.enforced) == (False, False)

    def test_include_other_unique_keys_of_folders(self, scratch_database):
        run_sql(
            scratch_database,
            "ALTER TABLE folders ADD COLUMN code varchar(20)",
            "CREATE UNIQUE INDEX folders_code ON folders (code)",
            "CREATE TABLE shelf (id KEYTYPE PRIMARY KEY, code varchar(20) REFERENCES folders (code))",
        )
        assert find_one(scratch_database, "shelf.code").folder_columns == ("code",)

    def test_include_references_of_folders_to_folders(self, scratch_database):
        run_sql(scratch_database, "ALTER TABLE folders ADD COLUMN shortcut_id KEYTYPE NULL REFERENCES folders (id)")
        assert columns_of(scratch_database, "folders") == {"parent_id", "shortcut_id"}

    @pytest.mark.only("postgresql")
    def test_include_tables_of_other_schemas(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE SCHEMA archive",
            "CREATE TABLE archive.shelf (id uuid PRIMARY KEY, place uuid REFERENCES folders ON DELETE SET NULL)",
        )
        assert find_one(scratch_database, "shelf.place").table == TableName("archive", "shelf")

    @pytest.mark.only("postgresql")
    def test_count_a_partitioned_table_once(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (id int, place uuid REFERENCES folders, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
            "CREATE TABLE shelf_1 PARTITION OF shelf FOR VALUES FROM (0) TO (10)",
            "CREATE TABLE shelf_2 PARTITION OF shelf FOR VALUES FROM (10) TO (20)",
        )
        names = [r.table.name for r in discover(using=scratch_database).references if r.table.name.startswith("shelf")]
        assert names == ["shelf"]

    @pytest.mark.only("postgresql")
    def test_include_what_only_a_partition_declares(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (id int PRIMARY KEY, place uuid) PARTITION BY RANGE (id)",
            "CREATE TABLE shelf_1 PARTITION OF shelf FOR VALUES FROM (0) TO (10)",
            "ALTER TABLE shelf_1 ADD FOREIGN KEY (place) REFERENCES folders ON DELETE CASCADE",
        )
        assert find_one(scratch_database, "shelf_1.place").on_delete == "cascade"

    @pytest.mark.only("postgresql")
    def test_take_a_partition_into_the_whole_table_where_that_is_a_reference(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["shelf.place"]
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (id int PRIMARY KEY, place uuid) PARTITION BY RANGE (id)",
            "CREATE TABLE shelf_1 PARTITION OF shelf FOR VALUES FROM (0) TO (10)",
            "ALTER TABLE shelf_1 ADD FOREIGN KEY (place) REFERENCES folders",
        )
        assert find(scratch_database, "shelf_1.place") == []
        assert not find_one(scratch_database, "shelf.place").proven

    @pytest.mark.only("sqlite")
    def test_are_spelled_as_the_table_spells_them(self, scratch_database):
        run_sql(
            scratch_database,
            'CREATE TABLE Shelf (Id KEYTYPE PRIMARY KEY, Place KEYTYPE, FOREIGN KEY (pLACE) REFERENCES "FOLDERS" (ID))',
        )
        assert find_one(scratch_database, "Shelf.Place").folder_columns == ("id",)

    @pytest.mark.only("sqlite")
    def test_follow_a_foreign_key_without_columns_to_the_primary_key(self, scratch_database):
        run_sql(scratch_database, "CREATE TABLE shelf (id KEYTYPE PRIMARY KEY, place KEYTYPE REFERENCES folders)")
        assert find_one(scratch_database, "shelf.place").folder_columns == ("id",)

    @pytest.mark.only("sqlite")
    def test_survive_a_virtual_table_whose_module_is_missing(self, scratch_database):
        run_sql(
            scratch_database,
            "PRAGMA writable_schema = ON",
            "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql)"
            " VALUES ('table', 'odd', 'odd', 0, 'CREATE VIRTUAL TABLE odd USING nowhere(folder_id)')",
            "PRAGMA writable_schema = OFF",
        )
        connections[scratch_database].close()
        assert discover(using=scratch_database).problems == ()


class TestOwnModels:
    @pytest.fixture(autouse=True)
    def own_models(self, settings):
        for name, value in OWN_MODELS.items():
            setattr(settings, name, value)

    def test_have_no_problem(self, database):
        assert discover(using=database).problems == ()

    def test_are_the_mapped_tables(self, database):
        found = discover(using=database)
        names = [table.name.name for table in (found.applications, found.folders, found.files)]
        assert names == ["hostapp_case", "hostapp_section", "hostapp_document"]

    def test_are_referenced_by_their_numbers(self, database):
        found = {(r.table.name, r.columns[0], r.spelled) for r in discover(using=database).references}
        assert found == {
            ("hostapp_section", "above_id", False),
            ("hostapp_document", "section_id", False),
            ("hostapp_note", "object_id", False),
            ("hostapp_counter", "object_id", False),
        }

    def test_make_columns_of_any_width_suspect(self, scratch_database):
        run_sql(scratch_database, "CREATE TABLE shelf (id int PRIMARY KEY, folder_no smallint, folder_name text)")
        assert problems(scratch_database, "suspected") == [("shelf", "folder_no")]

    def test_that_lack_a_table_make_the_database_unusable(self, scratch_database):
        run_sql(scratch_database, "DROP TABLE hostapp_document")
        with pytest.raises(DatabaseUnusable, match="hostapp_document"):
            discover(using=scratch_database)


class TestCompositeKeys:
    def test_leave_the_application_out_for_it_never_changes(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE UNIQUE INDEX folders_both ON folders (id, application_id)",
            "CREATE TABLE shelf (id KEYTYPE PRIMARY KEY, place KEYTYPE, owner KEYTYPE NOT NULL,"
            " FOREIGN KEY (place, owner) REFERENCES folders (id, application_id))",
        )
        assert columns_of(scratch_database, "shelf") == {"place"}
        assert find_one(scratch_database, "shelf.place").proven

    def test_are_not_proven_where_a_null_beside_the_folder_lets_it_go_unchecked(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE UNIQUE INDEX folders_both ON folders (id, application_id)",
            "CREATE TABLE shelf (id KEYTYPE PRIMARY KEY, place KEYTYPE, owner KEYTYPE,"
            " FOREIGN KEY (place, owner) REFERENCES folders (id, application_id))",
        )
        assert not find_one(scratch_database, "shelf.place").proven

    def test_move_whole_before_the_folder_alone(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE UNIQUE INDEX folders_both ON folders (id, name)",
            "CREATE TABLE shelf (id KEYTYPE PRIMARY KEY, place KEYTYPE, title varchar(255),"
            " FOREIGN KEY (place, title) REFERENCES folders (id, name))",
        )
        whole, alone = find_one(scratch_database, "shelf.place+title"), find_one(scratch_database, "shelf.place")
        assert whole.step < alone.step
        assert (whole.folder_columns, alone.folder_columns) == (("id", "name"), ("id",))

    def test_that_contain_a_column_which_a_merge_changes_are_refused(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE UNIQUE INDEX folders_both ON folders (id, parent_id)",
            "CREATE TABLE shelf (id KEYTYPE PRIMARY KEY, place KEYTYPE, above KEYTYPE,"
            " FOREIGN KEY (place, above) REFERENCES folders (id, parent_id))",
        )
        assert problems(scratch_database, "moving_key") == [("shelf", "place, above")]


SHELVES = (
    "CREATE TABLE shelf (place KEYTYPE REFERENCES folders (id), number int, PRIMARY KEY (place, number))",
    (
        "CREATE TABLE box (id KEYTYPE PRIMARY KEY, place KEYTYPE, number int, size int,"
        " UNIQUE (place, size), FOREIGN KEY (place, number) REFERENCES shelf (place, number))"
    ),
    (
        "CREATE TABLE label (id KEYTYPE PRIMARY KEY, box_place KEYTYPE, box_size int,"
        " FOREIGN KEY (box_place, box_size) REFERENCES box (place, size))"
    ),
)


class TestDerivedReferences:
    def test_copy_the_folder_from_a_key_that_contains_it_and_share_its_step(self, scratch_database, subtests):
        run_sql(scratch_database, *SHELVES)
        found = discover(using=scratch_database)
        shelf, box, label = (
            next(r for r in found.references if (r.table.name, *r.columns) == column)
            for column in (("shelf", "place"), ("box", "place"), ("label", "box_place"))
        )
        assert (box.folder_columns, label.folder_columns) == (("id",), ("id",))
        assert shelf.step == box.step == label.step
        with subtests.test("are not proven, for they do not name the folder itself"):
            assert not box.proven
        with subtests.test("count as inbound keys of the table they reference"):
            inbound = {table.name: count for table, count in found.inbound.items()}
            assert {name: inbound[name] for name in ("shelf", "box", "label") if name in inbound} == {
                "shelf": 1,
                "box": 1,
            }

    def test_may_be_direct_references_too(self, scratch_database):
        run_sql(scratch_database, *SHELVES[:1])
        run_sql(
            scratch_database,
            "CREATE TABLE box (id KEYTYPE PRIMARY KEY, place KEYTYPE REFERENCES folders (id), number int,"
            " FOREIGN KEY (place, number) REFERENCES shelf (place, number))",
        )
        assert find_one(scratch_database, "box.place").proven
        assert find_one(scratch_database, "box.place").step == find_one(scratch_database, "shelf.place").step

    def test_are_none_where_the_key_does_not_contain_the_folder(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (id KEYTYPE PRIMARY KEY, place KEYTYPE REFERENCES folders (id))",
            "CREATE TABLE box (id KEYTYPE PRIMARY KEY, shelf_id KEYTYPE REFERENCES shelf (id))",
        )
        assert columns_of(scratch_database, "box") == set()

    @pytest.mark.only("postgresql")
    def test_that_change_one_table_in_two_ways_are_refused(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (place uuid PRIMARY KEY REFERENCES folders, next uuid, CONSTRAINT shelf_next"
            " FOREIGN KEY (next) REFERENCES shelf (place))",
        )
        assert problems(scratch_database, "two_keys") == [("shelf", "next, place")]
        assert 'ALTER TABLE "public"."shelf" ALTER CONSTRAINT "shelf_next" DEFERRABLE;' in message(
            scratch_database, "two_keys"
        )

    def test_that_can_be_deferred_take_a_step_each_instead(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (place KEYTYPE PRIMARY KEY REFERENCES folders (id),"
            " next KEYTYPE REFERENCES shelf (place) DEFERRABLE)",
        )
        assert problems(scratch_database, "two_keys") == []
        assert find_one(scratch_database, "shelf.place").step != find_one(scratch_database, "shelf.next").step


class TestNamedColumns:
    LOOSE = "CREATE TABLE shelf (id KEYTYPE PRIMARY KEY, folder_ref KEYTYPE)"

    def test_that_look_like_a_reference_are_suspected(self, scratch_database):
        run_sql(scratch_database, self.LOOSE)
        assert problems(scratch_database, "suspected") == [("shelf", "folder_ref")]

    def test_are_suspected_with_the_settings_that_settle_it(self, scratch_database):
        run_sql(scratch_database, self.LOOSE)
        text = message(scratch_database, "suspected")
        assert 'shelf.folder_ref" to CLEANUP_EXTRA_REFERENCES' in text
        assert "CLEANUP_IGNORED_COLUMNS" in text

    def test_of_another_type_are_not_suspected(self, scratch_database):
        run_sql(
            scratch_database, "CREATE TABLE shelf (id KEYTYPE PRIMARY KEY, folder_name varchar(99), folder_count int)"
        )
        assert problems(scratch_database, "suspected") == []

    def test_with_a_foreign_key_to_elsewhere_are_not_suspected(self, scratch_database):
        run_sql(
            scratch_database, "CREATE TABLE shelf (id KEYTYPE PRIMARY KEY, folder_ref KEYTYPE REFERENCES files (id))"
        )
        assert problems(scratch_database, "suspected") == []

    def test_of_the_folder_table_itself_are_suspected_too(self, scratch_database):
        run_sql(scratch_database, "ALTER TABLE folders ADD COLUMN template_folder KEYTYPE NULL")
        assert problems(scratch_database, "suspected") == [("folders", "template_folder")]

    def test_are_left_alone_once_ignored(self, scratch_database, settings):
        settings.CLEANUP_IGNORED_COLUMNS = ["shelf.folder_ref"]
        run_sql(scratch_database, self.LOOSE)
        assert discover(using=scratch_database).problems == ()

    def test_are_references_once_named(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["shelf.folder_ref"]
        run_sql(scratch_database, self.LOOSE)
        reference = find_one(scratch_database, "shelf.folder_ref")
        assert (reference.source, reference.spelled, reference.proven) == ("setting", False, False)
        assert problems(scratch_database, "suspected") == []

    def test_are_references_in_any_spelling_where_they_are_text(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["shelf.place"]
        run_sql(scratch_database, "CREATE TABLE shelf (id KEYTYPE PRIMARY KEY, place text)")
        assert find_one(scratch_database, "shelf.place").spelled

    def test_add_nothing_to_a_foreign_key(self, database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["files.folder_id"]
        assert find_one(database, "files.folder_id").source == "catalogue"

    @pytest.mark.only("postgresql")
    def test_of_other_schemas_are_suspected_and_named(self, scratch_database, settings):
        run_sql(
            scratch_database,
            "CREATE SCHEMA archive",
            "CREATE TABLE archive.shelf (id int PRIMARY KEY, folder_ref uuid)",
        )
        assert '"archive.shelf.folder_ref" to CLEANUP_EXTRA' in message(scratch_database, "suspected")
        settings.CLEANUP_EXTRA_REFERENCES = ["archive.shelf.folder_ref"]
        assert find_one(scratch_database, "shelf.folder_ref").table == TableName("archive", "shelf")

    @pytest.mark.parametrize(
        ("setting", "value", "place"),
        [
            ("CLEANUP_EXTRA_REFERENCES", ["nowhere.folder_id"], ("nowhere", "folder_id")),
            ("CLEANUP_EXTRA_REFERENCES", ["files.nothing"], ("files", "nothing")),
            ("CLEANUP_EXTRA_REFERENCES", ["files.file_size"], ("files", "file_size")),
            ("CLEANUP_IGNORED_COLUMNS", ["files.nothing"], ("files", "nothing")),
            ("CLEANUP_COLLISIONS", {"nowhere": "refuse"}, ("nowhere", "")),
            ("CLEANUP_COLLISIONS", {"files": "keep_survivor"}, ("files", "")),
            ("CLEANUP_COLLISIONS", {"folders": "keep_survivor"}, ("folders", "")),
            ("CLEANUP_FOLDER_LIVE", {"vanished": None}, ("folders", "vanished")),
        ],
    )
    def test_that_make_no_sense_are_reported(self, database, settings, setting, value, place):
        setattr(settings, setting, value)
        assert problems(database, "misconfigured") == [place]

    def test_of_a_view_are_reported(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["seen.folder_id"]
        run_sql(scratch_database, "CREATE VIEW seen AS SELECT folder_id FROM files")
        assert problems(scratch_database, "view") == [("seen", "folder_id")]
        assert find(scratch_database, "seen.folder_id") == []


class TestTheFolderTable:
    @pytest.mark.parametrize("column", ["deleted_at", "is_deleted", "archived", "trashed"])
    def test_with_a_mark_of_deletion_is_refused(self, scratch_database, column):
        run_sql(scratch_database, f"ALTER TABLE folders ADD COLUMN {column} timestamp NULL")
        assert problems(scratch_database, "soft_delete") == [("folders", column)]

    @pytest.mark.parametrize("live", [None, {"deleted_at": None}])
    def test_with_a_mark_of_deletion_is_accepted_once_the_host_decided(self, scratch_database, settings, live):
        settings.CLEANUP_FOLDER_LIVE = live
        run_sql(scratch_database, "ALTER TABLE folders ADD COLUMN deleted_at timestamp NULL")
        assert discover(using=scratch_database).problems == ()

    @pytest.mark.parametrize("column", ["path", "tree_path", "materialized_path"])
    def test_with_a_path_is_refused(self, scratch_database, column):
        run_sql(scratch_database, f"ALTER TABLE folders ADD COLUMN {column} text NULL")
        assert problems(scratch_database, "path_column") == [("folders", column)]

    @pytest.mark.only("postgresql")
    def test_with_a_column_of_type_ltree_is_refused(self, scratch_database):
        run_sql(scratch_database, "CREATE DOMAIN ltree AS text", "ALTER TABLE folders ADD COLUMN spot ltree")
        assert problems(scratch_database, "path_column") == [("folders", "spot")]

    def test_with_nested_sets_is_refused(self, scratch_database):
        run_sql(
            scratch_database,
            "ALTER TABLE folders ADD COLUMN lft int NULL",
            "ALTER TABLE folders ADD COLUMN rght int NULL",
        )
        assert problems(scratch_database, "path_column") == [("folders", "lft"), ("folders", "rght")]

    def test_with_a_path_is_accepted_with_a_hook(self, scratch_database, settings):
        settings.CLEANUP_TREE_HOOK = "tests.hostapp.paths.rebuild"
        run_sql(scratch_database, "ALTER TABLE folders ADD COLUMN path text NULL")
        assert discover(using=scratch_database).problems == ()

    def test_with_harmless_columns_is_accepted(self, scratch_database):
        run_sql(
            scratch_database,
            "ALTER TABLE folders ADD COLUMN color text NULL",
            "ALTER TABLE folders ADD COLUMN level int NULL",
        )
        assert discover(using=scratch_database).problems == ()

    @pytest.mark.only("postgresql")
    def test_without_a_unique_key_is_refused(self, scratch_database):
        run_sql(scratch_database, "ALTER TABLE folders DROP CONSTRAINT folders_pkey CASCADE")
        assert problems(scratch_database, "unkeyed") == [("folders", "id")]

    @pytest.mark.parametrize("spelling", ["d2719c5e-0f9a-4f59-8f3c-3a1f6c3f8f10", "D2719C5E0F9A4F598F3C3A1F6C3F8F10"])
    @pytest.mark.only("sqlite")
    def test_with_keys_that_django_would_not_find_is_refused(self, scratch_database, spelling):
        run_sql(scratch_database, f"INSERT INTO folders (id, name) VALUES ('{spelling}', 'x')")
        assert problems(scratch_database, "key_storage") == [("folders", "id")]

    @pytest.mark.parametrize(
        ("statement", "missing"),
        [
            ("ALTER TABLE files RENAME TO documents", "there is no table files"),
            ("ALTER TABLE folders RENAME COLUMN parent_id TO above", "has no column parent_id"),
        ],
    )
    def test_that_is_not_there_makes_the_database_unusable(self, scratch_database, statement, missing):
        run_sql(scratch_database, statement)
        with pytest.raises(DatabaseUnusable, match=missing) as caught:
            discover(using=scratch_database)
        assert "manage.py migrate cleanup --fake-initial" in str(caught.value)


TRIGGERS = {
    "postgresql": (
        "CREATE FUNCTION noise() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER touch BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION noise()",
    ),
    "sqlite": ("CREATE TRIGGER touch BEFORE {event} ON {table} BEGIN SELECT 1; END",),
}


def make_trigger(using: str, event: str, table: str) -> None:
    run_sql(using, *(s.format(event=event, table=table) for s in TRIGGERS[connections[using].vendor]))


class TestTriggers:
    @pytest.mark.parametrize(
        ("event", "table"),
        [
            ("UPDATE", "files"),
            ("UPDATE OF folder_id", "files"),
            ("UPDATE OF parent_id, name", "folders"),
            ("DELETE", "folders"),
            ("INSERT", "folders"),
            ("DELETE", "hostapp_tag_folders"),
        ],
    )
    def test_that_would_fire_are_named(self, scratch_database, event, table):
        make_trigger(scratch_database, event, table)
        assert [table_name for table_name, _ in problems(scratch_database, "trigger")] == [table]
        assert "touch" in message(scratch_database, "trigger")

    @pytest.mark.parametrize(
        ("event", "table"),
        [
            ("INSERT", "files"),
            ("DELETE", "files"),
            ("UPDATE OF filename", "files"),
            ("UPDATE", "customer_applications"),
        ],
    )
    def test_that_would_not_fire_are_let_be(self, scratch_database, event, table):
        make_trigger(scratch_database, event, table)
        assert discover(using=scratch_database).problems == ()

    def test_are_let_be_where_they_may_fire(self, scratch_database, settings):
        settings.CLEANUP_TRIGGERS = "fire"
        make_trigger(scratch_database, "UPDATE", "files")
        assert discover(using=scratch_database).problems == ()

    @pytest.mark.only("postgresql")
    def test_are_let_be_where_they_are_bypassed(self, scratch_database, settings):
        settings.CLEANUP_TRIGGERS = "bypass"
        make_trigger(scratch_database, "UPDATE", "files")
        assert discover(using=scratch_database).problems == ()

    @pytest.mark.only("sqlite")
    def test_cannot_be_bypassed(self, scratch_database, settings):
        settings.CLEANUP_TRIGGERS = "bypass"
        make_trigger(scratch_database, "UPDATE", "files")
        assert [table for table, _ in problems(scratch_database, "trigger")] == ["files"]

    @pytest.mark.only("postgresql")
    def test_that_always_fire_cannot_be_bypassed(self, scratch_database, settings):
        settings.CLEANUP_TRIGGERS = "bypass"
        make_trigger(scratch_database, "UPDATE", "files")
        run_sql(scratch_database, "ALTER TABLE files ENABLE ALWAYS TRIGGER touch")
        assert [table for table, _ in problems(scratch_database, "trigger")] == ["files"]

    @pytest.mark.only("postgresql")
    def test_that_are_disabled_are_let_be(self, scratch_database):
        make_trigger(scratch_database, "UPDATE", "files")
        run_sql(scratch_database, "ALTER TABLE files DISABLE TRIGGER touch")
        assert discover(using=scratch_database).problems == ()

    @pytest.mark.only("postgresql")
    def test_of_partitions_are_named(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (id int PRIMARY KEY, place uuid REFERENCES folders) PARTITION BY RANGE (id)",
            "CREATE TABLE shelf_1 PARTITION OF shelf FOR VALUES FROM (0) TO (10)",
        )
        make_trigger(scratch_database, "UPDATE", "shelf_1")
        assert [table for table, _ in problems(scratch_database, "trigger")] == ["shelf_1"]

    @pytest.mark.only("postgresql")
    def test_of_a_partitioned_table_are_named_once(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (id int PRIMARY KEY, place uuid REFERENCES folders) PARTITION BY RANGE (id)",
            "CREATE TABLE shelf_1 PARTITION OF shelf FOR VALUES FROM (0) TO (10)",
        )
        make_trigger(scratch_database, "UPDATE", "shelf")
        assert [table for table, _ in problems(scratch_database, "trigger")] == ["shelf"]

    @pytest.mark.only("postgresql")
    def test_may_be_rules(self, scratch_database):
        run_sql(scratch_database, "CREATE RULE keep AS ON DELETE TO folders DO ALSO NOTIFY gone")
        text = message(scratch_database, "trigger")
        assert 'ALTER TABLE "public"."folders" DISABLE RULE "keep";' in text


@pytest.fixture
def as_clerk(scratch_database):
    """Become, on PostgreSQL, a role that may read and write everything in public, but owns nothing."""
    run_sql(
        scratch_database,
        "CREATE ROLE clerk",
        "GRANT USAGE ON SCHEMA public TO clerk",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk",
    )
    connections[scratch_database].close()
    try:

        def become() -> None:
            run_sql(scratch_database, "SET ROLE clerk")

        yield become
    finally:
        run_sql(scratch_database, "RESET ROLE", "DROP OWNED BY clerk", "DROP ROLE clerk")


@pytest.mark.only("postgresql")
class TestTheRole:
    def test_that_may_do_everything_has_no_problem(self, scratch_database, as_clerk):
        as_clerk()
        assert discover(using=scratch_database).problems == ()

    @pytest.mark.parametrize(
        ("privilege", "table", "column"),
        [
            ("UPDATE", "files", "folder_id"),
            ("SELECT", "hostapp_bookmark", "folder_id"),
            ("DELETE", "folders", "parent_id"),
            ("INSERT", "folders", "parent_id"),
            ("UPDATE", "customer_applications", ""),
        ],
    )
    def test_that_lacks_a_privilege_is_told(self, scratch_database, as_clerk, privilege, table, column):
        run_sql(scratch_database, f"REVOKE {privilege} ON {table} FROM clerk")
        as_clerk()
        assert problems(scratch_database, "privilege") == [(table, column)]
        assert f'GRANT {privilege} ON "public"."{table}"' in message(scratch_database, "privilege")

    def test_that_may_update_the_columns_it_needs_is_enough(self, scratch_database, as_clerk):
        run_sql(scratch_database, "REVOKE UPDATE ON files FROM clerk", "GRANT UPDATE (folder_id) ON files TO clerk")
        as_clerk()
        assert discover(using=scratch_database).problems == ()

    def test_that_may_update_other_columns_is_not_enough(self, scratch_database, as_clerk):
        run_sql(scratch_database, "REVOKE UPDATE ON files FROM clerk", "GRANT UPDATE (filename) ON files TO clerk")
        as_clerk()
        assert problems(scratch_database, "privilege") == [("files", "folder_id")]

    def test_sees_references_in_schemas_that_it_may_not_use(self, scratch_database, as_clerk):
        run_sql(
            scratch_database,
            "CREATE SCHEMA secret",
            "CREATE TABLE secret.shelf (id int PRIMARY KEY, place uuid REFERENCES folders ON DELETE CASCADE)",
        )
        as_clerk()
        assert problems(scratch_database, "privilege") == [("shelf", "place")]
        assert 'GRANT USAGE ON SCHEMA "secret"' in message(scratch_database, "privilege")

    def test_that_row_security_binds_is_told(self, scratch_database, as_clerk):
        run_sql(scratch_database, "ALTER TABLE files ENABLE ROW LEVEL SECURITY")
        assert problems(scratch_database, "row_security") == []
        as_clerk()
        assert problems(scratch_database, "row_security") == [("files", "")]
        assert "BYPASSRLS" in message(scratch_database, "row_security")

    def test_that_may_not_bypass_triggers_is_told(self, scratch_database, as_clerk, settings):
        settings.CLEANUP_TRIGGERS = "bypass"
        as_clerk()
        assert problems(scratch_database, "privilege") == [("folders", "")]


class TestInheritance:
    @pytest.mark.only("postgresql")
    def test_is_refused(self, scratch_database):
        run_sql(scratch_database, "CREATE TABLE special_files () INHERITS (files)")
        assert problems(scratch_database, "inheritance") == [("files", "")]
        assert 'ALTER TABLE "public"."special_files" NO INHERIT "public"."files";' in message(
            scratch_database, "inheritance"
        )


class TestLargeTables:
    def fill(self, using: str, *, index: str = "") -> None:
        numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) SELECT i FROM n"
        run_sql(
            using,
            "CREATE TABLE shelf (id int PRIMARY KEY, place KEYTYPE REFERENCES folders (id))",
            f"INSERT INTO shelf (id) {numbers}",
            *([index] if index else []),
        )

    @pytest.fixture(autouse=True)
    def small_limit(self, settings):
        settings.CLEANUP_LARGE_TABLE = 100  # more than a page that another test has filled and emptied is taken to hold

    def test_without_an_index_are_refused(self, scratch_database):
        self.fill(scratch_database)
        assert problems(scratch_database, "unindexed") == [("shelf", "place")]

    def test_are_refused_with_the_statement_that_helps(self, scratch_database):
        self.fill(scratch_database)
        text = message(scratch_database, "unindexed")
        run_sql(scratch_database, text[text.index("CREATE INDEX") :])
        assert problems(scratch_database, "unindexed") == []

    @pytest.mark.parametrize(
        ("index", "serves"),
        [
            ("CREATE INDEX i ON shelf (place)", True),
            ("CREATE INDEX i ON shelf (place, id)", True),
            ("CREATE INDEX i ON shelf (place) WHERE place IS NOT NULL", True),
            ("CREATE INDEX i ON shelf (id, place)", False),
            ("CREATE INDEX i ON shelf (place) WHERE id > 5", False),
        ],
    )
    def test_are_accepted_with_an_index_that_serves(self, scratch_database, index, serves):
        self.fill(scratch_database, index=index)
        assert (problems(scratch_database, "unindexed") == []) == serves


def make_mess(using: str) -> tuple[str, str]:
    """Insert an application with two roots and one with a single root; return a folder of each."""
    folders = []
    for roots in (2, 1):
        application = key(using)
        run_sql(using, f"INSERT INTO customer_applications (id) VALUES ('{application}')")
        for _ in range(roots):
            folder = key(using)
            run_sql(
                using, f"INSERT INTO folders (id, name, application_id) VALUES ('{folder}', 'Root', '{application}')"
            )
        folders.append(folder)
    return folders[0], folders[1]


class TestRowsWithoutKey:
    def blocking(self, using: str) -> list[tuple[str, str]]:
        found = blocking_rows(using=using, references=discover(using=using))
        return [(p.table.rpartition(".")[2], p.column) for p in found]

    def test_that_would_move_are_reported(self, scratch_database):
        affected, _ = make_mess(scratch_database)
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (place KEYTYPE REFERENCES folders (id))",
            f"INSERT INTO shelf VALUES ('{affected}')",
        )
        assert self.blocking(scratch_database) == [("shelf", "place")]

    def test_that_would_not_move_are_let_be(self, scratch_database):
        _, clean = make_mess(scratch_database)
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (place KEYTYPE REFERENCES folders (id))",
            f"INSERT INTO shelf VALUES ('{clean}')",
        )
        assert self.blocking(scratch_database) == []

    def test_below_same_named_siblings_are_reported(self, scratch_database):
        _, clean = make_mess(scratch_database)
        child, twin = key(scratch_database), key(scratch_database)
        insert = "INSERT INTO folders (id, name, parent_id, application_id) SELECT '{}', 'Twin', id, application_id"
        run_sql(
            scratch_database,
            *(f"{insert.format(new)} FROM folders WHERE id = '{clean}'" for new in (child, twin)),
            "CREATE TABLE shelf (place KEYTYPE REFERENCES folders (id))",
            f"INSERT INTO shelf VALUES ('{child}')",
        )
        assert self.blocking(scratch_database) == [("shelf", "place")]

    def test_in_any_spelling_are_reported(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["shelf.place"]
        affected, _ = make_mess(scratch_database)
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (place varchar(40))",
            f"INSERT INTO shelf VALUES ('{str(uuid.UUID(affected)).upper()}')",
        )
        assert self.blocking(scratch_database) == [("shelf", "place")]

    def test_are_let_be_where_trashed_roots_do_not_count(self, scratch_database, settings):
        settings.CLEANUP_FOLDER_LIVE = {"deleted_at": None}
        affected, _ = make_mess(scratch_database)
        run_sql(
            scratch_database,
            "ALTER TABLE folders ADD COLUMN deleted_at timestamp NULL",
            f"UPDATE folders SET deleted_at = '2026-01-01' WHERE id = '{affected}'",
            "CREATE TABLE shelf (place KEYTYPE REFERENCES folders (id))",
            f"INSERT INTO shelf VALUES ('{affected}')",
        )
        assert self.blocking(scratch_database) == []

    def test_are_let_be_where_a_unique_key_identifies_them(self, scratch_database):
        affected, _ = make_mess(scratch_database)
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (place KEYTYPE REFERENCES folders (id), number int NOT NULL UNIQUE)",
            f"INSERT INTO shelf VALUES ('{affected}', 1)",
        )
        assert self.blocking(scratch_database) == []


class TestUniqueKeys:
    def unique(self, using: str, index: str, *, columns: str = "id int PRIMARY KEY, place KEYTYPE, title text"):
        run_sql(using, f"CREATE TABLE shelf ({columns})", index)
        (unique,) = [u for u in table_of(using, "shelf").uniques if not u.primary]
        return unique

    def test_of_plain_columns(self, scratch_database):
        unique = self.unique(scratch_database, "CREATE UNIQUE INDEX u ON shelf (title, place)")
        assert (unique.columns, unique.simple, unique.predicate) == (("title", "place"), True, None)

    def test_of_an_expression(self, scratch_database):
        unique = self.unique(scratch_database, "CREATE UNIQUE INDEX u ON shelf (place, lower(title) DESC)")
        assert (set(unique.columns), unique.simple) == ({"place", "title"}, False)
        assert unique.parts[1] == "lower(title)"

    def test_with_a_predicate(self, scratch_database):
        unique = self.unique(scratch_database, "CREATE UNIQUE INDEX u ON shelf (place) WHERE (title IS NULL)")
        assert (set(unique.columns), unique.simple) == ({"place", "title"}, False)
        assert unique.predicate == "(title IS NULL)"

    def test_with_another_collation(self, scratch_database):
        collation = {"postgresql": '"POSIX"', "sqlite": "NOCASE"}[connections[scratch_database].vendor]
        unique = self.unique(scratch_database, f"CREATE UNIQUE INDEX u ON shelf (title COLLATE {collation})")
        assert not unique.simple
        assert "COLLATE" in unique.parts[0]

    def test_with_names_that_need_quotes(self, scratch_database):
        unique = self.unique(
            scratch_database,
            'CREATE UNIQUE INDEX "u , (" ON shelf ("100%, (x"";y", lower("Title"))',
            columns='id int PRIMARY KEY, "100%, (x"";y" int, "Title" text',
        )
        assert set(unique.columns) == {'100%, (x";y', "Title"}
        assert unique.parts == ('"100%, (x"";y"', 'lower("Title")')

    @pytest.mark.only("postgresql")
    def test_leave_included_columns_out(self, scratch_database):
        unique = self.unique(scratch_database, "CREATE UNIQUE INDEX u ON shelf (place) INCLUDE (title)")
        assert (unique.columns, unique.simple) == (("place",), True)

    @pytest.mark.only("postgresql", since=15)
    def test_in_which_nulls_collide(self, scratch_database):
        unique = self.unique(scratch_database, "CREATE UNIQUE INDEX u ON shelf (place) NULLS NOT DISTINCT")
        assert not unique.nulls_distinct

    @pytest.mark.only("postgresql")
    def test_that_failed_to_build_identify_nothing(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (place int NOT NULL)",
            "INSERT INTO shelf VALUES (1), (1)",
        )
        with pytest.raises(IntegrityError):
            run_sql(scratch_database, "CREATE UNIQUE INDEX CONCURRENTLY u ON shelf (place)")
        table = table_of(scratch_database, "shelf")
        assert (table.row_key, table.indexes) == (None, ())

    @pytest.mark.only("postgresql")
    def test_that_can_be_deferred(self, scratch_database):
        unique = self.unique(scratch_database, "ALTER TABLE shelf ADD UNIQUE (place) DEFERRABLE")
        assert unique.deferrable

    @pytest.mark.only("postgresql")
    def test_leave_exclusion_constraints_out(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (id int PRIMARY KEY, place uuid, EXCLUDE USING hash (place WITH =))",
        )
        assert [u.columns for u in table_of(scratch_database, "shelf").uniques] == [("id",)]


class TestRowKeys:
    @pytest.mark.parametrize(
        ("columns", "row_key"),
        [
            ("id int PRIMARY KEY, place KEYTYPE", ("id",)),
            ("a int NOT NULL, b int NOT NULL, PRIMARY KEY (b, a)", ("b", "a")),
            ("a int NOT NULL UNIQUE", ("a",)),
            ("a int UNIQUE", None),
            ("a int", None),
        ],
    )
    def test_are_the_primary_key_or_a_unique_key_without_nulls(self, scratch_database, columns, row_key):
        run_sql(scratch_database, f"CREATE TABLE shelf ({columns})")
        assert table_of(scratch_database, "shelf").row_key == row_key

    @pytest.mark.only("sqlite")
    @pytest.mark.parametrize("tail", ["", "WITHOUT ROWID"])
    def test_may_be_text_with_and_without_a_rowid(self, scratch_database, tail):
        run_sql(scratch_database, f"CREATE TABLE shelf (id text PRIMARY KEY, place KEYTYPE) {tail}")
        table = table_of(scratch_database, "shelf")
        assert table.row_key == ("id",)
        assert table.column("id").not_null == bool(tail)


class TestColumns:
    def test_that_the_database_computes_are_marked(self, scratch_database):
        run_sql(
            scratch_database,
            "CREATE TABLE shelf (id int PRIMARY KEY, width int, double int GENERATED ALWAYS AS (width * 2) STORED)",
        )
        table = table_of(scratch_database, "shelf")
        assert [column.name for column in table.columns if column.generated] == ["double"]

    @pytest.mark.only("postgresql")
    def test_that_count_by_themselves_are_marked(self, scratch_database):
        run_sql(scratch_database, "CREATE TABLE shelf (id int GENERATED ALWAYS AS IDENTITY, tags text[])")
        table = table_of(scratch_database, "shelf")
        assert (table.column("id").identity, table.column("tags").type) == (True, "text[]")


class TestForeignKeysOfTables:
    def test_are_listed_by_either_end(self, scratch_database):
        run_sql(scratch_database, *SHELVES[:2])
        catalogue = backends.database(using=scratch_database).catalogue
        shelf, box = catalogue.resolve("shelf"), catalogue.resolve("box")
        (inbound,) = catalogue.foreign_keys_to([shelf])
        (outbound,) = catalogue.foreign_keys_of([box])
        assert inbound == outbound
        assert (inbound.columns, inbound.target_columns) == (("place", "number"), ("place", "number"))

    @pytest.mark.only("postgresql")
    def test_are_the_same_whether_or_not_all_of_the_database_are_known(self, scratch_database):
        run_sql(
            scratch_database,
            *SHELVES[:2],
            "CREATE TABLE place (id int PRIMARY KEY)",
            "CREATE TABLE visit (id int PRIMARY KEY, place int REFERENCES place (id)) PARTITION BY RANGE (id)",
            "CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM (0) TO (9) PARTITION BY RANGE (id)",
            "CREATE TABLE visit_2 PARTITION OF visit_1 FOR VALUES FROM (0) TO (5)",
            "ALTER TABLE visit_2 ADD CONSTRAINT of_its_own FOREIGN KEY (id) REFERENCES place (id)",
            "CREATE TABLE note (visit int REFERENCES visit (id), place int)",
            "ALTER TABLE note ADD FOREIGN KEY (place) REFERENCES place (id) NOT VALID",
            "ALTER TABLE note DISABLE TRIGGER ALL",
        )
        everything = backends.database(using=scratch_database).catalogue
        tables = everything.resolve_all(connections[scratch_database].introspection.table_names())
        for table in tables.values():
            alone = backends.database(using=scratch_database).catalogue.foreign_keys_of([table])
            assert alone == everything.foreign_keys_of([table])
        visits = [everything.resolve(name) for name in ("visit", "visit_1", "visit_2")]
        assert [len(everything.foreign_keys_of([table])) for table in visits] == [2, 2, 2]


class TestStatements:
    def count(self, using: str) -> int:
        with CaptureQueriesContext(connections[using]) as captured:
            discover(using=using)
        return len([query for query in captured if query["sql"] not in {"BEGIN", "COMMIT"}])  # of the pinning

    def test_are_as_many_for_many_tables_as_for_few(self, scratch_database):
        before = self.count(scratch_database)
        for number in range(30):
            run_sql(
                scratch_database,
                f"CREATE TABLE shelf_{number} (id int PRIMARY KEY, place KEYTYPE REFERENCES folders (id))",
            )
        assert self.count(scratch_database) == before
        assert before <= 14

    def test_write_nothing(self, database):
        with CaptureQueriesContext(connections[database]) as captured:
            discover(using=database)
        words = {query["sql"].lstrip().split()[0] for query in captured}
        assert words <= {"SELECT", "WITH", "PRAGMA", "BEGIN", "COMMIT"}
