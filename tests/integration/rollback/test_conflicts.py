"""What the database would refuse on undo: listed, skippable, named, and decided in a bounded number of statements."""

from datetime import timedelta

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cleanup import exceptions
from cleanup.models import RollbackPoint
from cleanup.services import DatabaseCleanupService
from tests.integration.management.test_command import run_command
from tests.support.model_roles import Application, Folder
from tests.support.trees import Tree, dump, execute, fetch, key_type, label, new_key, raw, tree


def clean(database: str, made: Tree):
    """Merge one application and return the id of its rollback point."""
    return DatabaseCleanupService(using=database).consolidate_duplicate_folders(made.application).rollback_id


def undo(database: str, point, **options):
    return DatabaseCleanupService(using=database).rollback_cleanup(point, **options)


def preview(database: str, point):
    return DatabaseCleanupService(using=database).preview_rollback(point)


def refused(database: str, point) -> list[tuple[str, str, str, str]]:
    """Have a rollback refuse, see that it has changed nothing, and return its conflicts."""
    before = dump(database, own=True)
    with pytest.raises(exceptions.RollbackConflict) as caught:
        undo(database, point)
    assert dump(database, own=True) == before
    conflicts = [(c.code, c.table, c.key, c.column) for c in caught.value.conflicts]
    assert [(c.code, c.table, c.key, c.column) for c in preview(database, point).conflicts] == conflicts
    return conflicts


class TestConflictAtTheTopOfADeepTree:
    def deep(self, database: str, depth: int):
        """Merge two chains of folders, have a slug of the top one taken meanwhile, and return the point."""
        chain = "gone:A/" + "/".join("B" for _ in range(depth - 1))
        made = tree(database, f"stays:A/{'/'.join('B' for _ in range(depth - 1))}, {chain}")
        execute(database, "UPDATE :folders SET slug = 'top' WHERE :folders.key = %s", raw(database, made["gone"]))
        point = clean(database, made)
        execute(database, "UPDATE :folders SET slug = 'top' WHERE :folders.key = %s", raw(database, made["stays"]))
        return made, point

    def test_leaves_out_everything_below(self, scratch_database):
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN slug varchar(30)")
        execute(scratch_database, "CREATE UNIQUE INDEX one_slug ON :folders (slug)")
        made, point = self.deep(scratch_database, 40)
        conflicts = refused(scratch_database, point)
        assert conflicts[0] == ("unique_taken", label(scratch_database, ":folders"), made["gone"], "slug")
        assert [code for code, *_ in conflicts[1:]] == ["missing_target"] * 39
        assert not undo(scratch_database, point, skip_conflicts=True).exact

    def test_takes_as_many_statements_as_at_the_top_of_a_flat_one(self, scratch_database):
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN slug varchar(30)")
        execute(scratch_database, "CREATE UNIQUE INDEX one_slug ON :folders (slug)")
        counts = []
        for depth in (3, 60):
            _, point = self.deep(scratch_database, depth)
            preview(scratch_database, point)  # looks through the rows, which then are fine for some seconds
            with CaptureQueriesContext(connections[scratch_database]) as statements:
                preview(scratch_database, point)
            counts.append(len(statements))
            execute(scratch_database, "UPDATE :folders SET slug = NULL")
        assert counts[0] == counts[1]


def named_conflicts(database: str, point) -> list[tuple[str, str, str]]:
    """Have a rollback refuse, and return code, key and constraint of its conflicts."""
    refused(database, point)
    return [(c.code, c.key, c.constraint) for c in preview(database, point).conflicts]


def at(database: str, folder: str) -> str:
    return raw(database, folder)


class TestWhatTheDatabaseRefuses:
    """On folders: what no comparison knows is a conflict with the constraint's name, and the rest comes back."""

    def merged(self, database: str, *statements: str):
        """Merge A/{B}, gone:A/{taken:C, free:D} where folders have a code, then execute the statements."""
        execute(database, "ALTER TABLE :folders ADD COLUMN code varchar(30)")
        for statement in statements:
            execute(database, statement)
        made = tree(database, "stays:A/B, gone:A/{B/taken:C, B/free:D}")
        for name in ("taken", "free"):
            execute(database, "UPDATE :folders SET code = %s WHERE :folders.key = %s", name, at(database, made[name]))
        execute(database, "UPDATE :folders SET code = %s WHERE :folders.key = %s", "Gone", at(database, made["gone"]))
        return made, clean(database, made)

    def code(self, database: str, folder: str, code: str | None) -> None:
        execute(database, "UPDATE :folders SET code = %s WHERE :folders.key = %s", code, at(database, folder))

    def test_a_generated_column_that_is_unique(self, scratch_database):
        stored = "" if connections[scratch_database].vendor == "sqlite" else " STORED"
        made, point = self.merged(
            scratch_database,
            f"ALTER TABLE :folders ADD COLUMN lower_code varchar(30) GENERATED ALWAYS AS (lower(code)){stored}",
            "CREATE UNIQUE INDEX one_lower_code ON :folders (lower_code)",
        )
        self.code(scratch_database, made["stays"], "GONE")
        ((code, key, constraint), *below) = named_conflicts(scratch_database, point)
        assert (code, key) == ("unique_taken", made["gone"])
        assert "lower_code" in constraint
        assert {code for code, *_ in below} <= {"missing_target"}
        result = undo(scratch_database, point, skip_conflicts=True)
        assert not result.exact

    def test_a_check_that_was_added_since(self, scratch_database, subtests):
        made, point = self.merged(scratch_database)
        self.add_check(scratch_database, "code_is_short", "length(code) < 4 OR code <> 'Gone'")
        conflicts = named_conflicts(scratch_database, point)
        assert conflicts[0] == ("refused", made["gone"], "code_is_short")
        undo(scratch_database, point, skip_conflicts=True)

    def add_check(self, database: str, name: str, condition: str) -> None:
        if connections[database].vendor == "postgresql":
            execute(database, f"ALTER TABLE :folders ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
            return
        execute(database, f"ALTER TABLE :folders ADD COLUMN checked int CONSTRAINT {name} CHECK ({condition})")

    @pytest.mark.only("postgresql")
    def test_a_column_that_is_not_null_now(self, scratch_database):
        _, point = self.merged(scratch_database)
        execute(scratch_database, "UPDATE :folders SET code = 'none' WHERE code IS NULL")
        execute(scratch_database, "ALTER TABLE :folders ALTER COLUMN code SET NOT NULL")
        conflicts = named_conflicts(scratch_database, point)
        assert ("refused", "code") in {(code, constraint) for code, _, constraint in conflicts}

    @pytest.mark.only("postgresql")
    def test_an_exclusion_constraint(self, scratch_database):
        made, point = self.merged(
            scratch_database,
            "ALTER TABLE :folders ADD CONSTRAINT no_two EXCLUDE USING btree (code WITH =)",
        )
        self.code(scratch_database, made["stays"], "Gone")
        (conflict, *_) = named_conflicts(scratch_database, point)
        assert conflict == ("unique_taken", made["gone"], "no_two")

    @pytest.mark.only("postgresql")
    def test_a_unique_constraint_that_is_deferred(self, scratch_database):
        made, point = self.merged(
            scratch_database,
            "ALTER TABLE :folders ADD COLUMN lower_code text GENERATED ALWAYS AS (lower(code)) STORED",
            "ALTER TABLE :folders ADD CONSTRAINT no_two UNIQUE (lower_code) DEFERRABLE INITIALLY DEFERRED",
        )
        self.code(scratch_database, made["stays"], "GONE")
        (conflict, *_) = named_conflicts(scratch_database, point)
        assert conflict == ("unique_taken", made["gone"], "no_two")

    def test_a_trigger_that_raises(self, scratch_database, settings):
        settings.CLEANUP_TRIGGERS = "fire"
        made, point = self.merged(scratch_database)
        if connections[scratch_database].vendor == "postgresql":
            execute(
                scratch_database,
                "CREATE FUNCTION no_gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " IF NEW.code = 'Gone' THEN RAISE EXCEPTION 'secret'; END IF; RETURN NEW; END $$",
            )
            execute(
                scratch_database,
                "CREATE TRIGGER no_gone BEFORE INSERT ON :folders FOR EACH ROW EXECUTE FUNCTION no_gone()",
            )
        else:
            execute(
                scratch_database,
                "CREATE TRIGGER no_gone BEFORE INSERT ON :folders WHEN NEW.code = 'Gone'"
                " BEGIN SELECT RAISE(ABORT, 'secret'); END",
            )
        (code, key, constraint), *_ = named_conflicts(scratch_database, point)
        assert (code, key) == ("refused", made["gone"])
        assert "secret" not in constraint


class TestMovedRows:
    """Rows of a referencing table, each with a place of its own in the folder."""

    PINS = """
        CREATE TABLE pins (
            id integer PRIMARY KEY,
            folder_id {key},
            pos integer NOT NULL,
            {unique})
    """

    @pytest.fixture(autouse=True)
    def _known(self, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["pins.folder_id"]

    def pinned(self, database: str, *pins: tuple[int, str, int], unique: str = "UNIQUE (folder_id, pos)"):
        execute(database, self.PINS.format(key=key_type(database), unique=unique))
        execute(database, "CREATE INDEX pins_of_folder ON pins (folder_id)")
        made = tree(database, "stays:A, gone:A, other:A")
        for number, folder, pos in pins:
            self.pin(database, number, made[folder], pos)
        return made

    def pin(self, database: str, number: int, folder: str, pos: int) -> None:
        execute(
            database, "INSERT INTO pins (id, folder_id, pos) VALUES (%s, %s, %s)", number, at(database, folder), pos
        )

    def places(self, database: str) -> set[tuple[int, str, int]]:
        return set(fetch(database, "SELECT id, folder_id, pos FROM pins"))

    def test_a_place_that_a_late_row_took(self, scratch_database):
        made = self.pinned(
            scratch_database,
            (1, "gone", 1),
            (2, "gone", 2),
            (3, "gone", 3),
        )
        point = clean(scratch_database, made)
        self.pin(scratch_database, 4, made["gone"], 2)  # who has read the folder's key before the merge
        ((code, table, key, _),) = refused(scratch_database, point)
        assert (code, table, key) == ("unique_taken", label(scratch_database, "pins"), "2")
        result = undo(scratch_database, point, skip_conflicts=True)
        gone, stays = (at(scratch_database, made[name]) for name in ("gone", "stays"))
        assert {(i, str(f).replace("-", ""), p) for i, f, p in self.places(scratch_database)} == {
            (i, str(f).replace("-", ""), p) for i, f, p in [(1, gone, 1), (2, stays, 2), (3, gone, 3), (4, gone, 2)]
        }
        assert not result.exact
        assert [(c.code, c.key) for c in result.conflicts] == [("unique_taken", "2")]

    def test_many_places(self, scratch_database):
        """Half of the rows are refused; the others come back."""
        made = self.pinned(
            scratch_database,
            *[(number, "gone", number) for number in range(1, 41)],
        )
        point = clean(scratch_database, made)
        for number in range(1, 41, 2):
            self.pin(scratch_database, 100 + number, made["gone"], number)
        assert {key for _, _, key, _ in refused(scratch_database, point)} == {str(n) for n in range(1, 41, 2)}

    def test_a_unique_index_over_an_expression(self, scratch_database):
        made = self.pinned(
            scratch_database,
            (1, "gone", 1),
            (2, "gone", 2),
            unique="CHECK (id > 0)",
        )
        execute(scratch_database, "CREATE UNIQUE INDEX one_pos ON pins (folder_id, (abs(pos)))")
        point = clean(scratch_database, made)
        self.pin(scratch_database, 4, made["gone"], -2)
        assert [(code, key) for code, _, key, _ in refused(scratch_database, point)] == [("unique_taken", "2")]

    def test_in_a_run_the_application_is_restored_but_for_them(self, scratch_database):
        made = self.pinned(
            scratch_database,
            (1, "gone", 1),
            (2, "other", 2),
        )
        tree(scratch_database, "A(1), A(1)")
        service = DatabaseCleanupService(using=scratch_database)
        run = service.cleanup_all_duplicate_folders().run_id
        self.pin(scratch_database, 4, made["other"], 2)
        result = service.rollback_cleanup(run)
        assert (result.successful, result.failed, result.exact) == (1, 1, False)

    def test_in_a_run_that_skips_conflicts(self, scratch_database):
        made = self.pinned(
            scratch_database,
            (1, "gone", 1),
            (2, "other", 2),
        )
        tree(scratch_database, "A(1), A(1)")
        service = DatabaseCleanupService(using=scratch_database)
        run = service.cleanup_all_duplicate_folders().run_id
        self.pin(scratch_database, 4, made["other"], 2)
        result = service.rollback_cleanup(run, skip_conflicts=True)
        assert (result.successful, result.failed, result.exact) == (2, 0, False)
        assert [(c.code, c.key) for c in result.conflicts] == [("unique_taken", "2")]

    @pytest.mark.only("postgresql")
    def test_a_foreign_key_of_several_columns(self, scratch_database, settings):
        """A row that was given to another application since does not fit its old folder any more."""
        settings.CLEANUP_EXTRA_REFERENCES = []
        execute(
            scratch_database,
            "ALTER TABLE :folders ADD CONSTRAINT of_application UNIQUE (:folders.key, :folders.application)",
        )
        execute(
            scratch_database,
            f"CREATE TABLE pins (id integer PRIMARY KEY, folder_id {key_type(scratch_database)},"
            f" owner {key_type(scratch_database, Application)}, FOREIGN KEY (folder_id, owner)"
            f" REFERENCES :folders (:folders.key, :folders.application) DEFERRABLE INITIALLY DEFERRED)",
        )
        execute(scratch_database, "CREATE INDEX pins_of_folder ON pins (folder_id, owner)")
        made, other = tree(scratch_database, "stays:A, gone:A"), tree(scratch_database, "B")
        for number in (1, 2):
            execute(scratch_database, "INSERT INTO pins VALUES (%s, %s, %s)", number, made["gone"], made.application)
        point = clean(scratch_database, made)
        execute(scratch_database, "ALTER TABLE pins DROP CONSTRAINT pins_folder_id_owner_fkey")
        execute(scratch_database, "UPDATE pins SET owner = %s WHERE id = 1", other.application)
        execute(
            scratch_database,
            "ALTER TABLE pins ADD CONSTRAINT back FOREIGN KEY (folder_id, owner)"
            " REFERENCES :folders (:folders.key, :folders.application) DEFERRABLE INITIALLY DEFERRED NOT VALID",
        )
        conflicts = named_conflicts(scratch_database, point)
        assert conflicts == [("missing_target", "1", "back")]
        undo(scratch_database, point, skip_conflicts=True)


class TestAsCopies:
    def test_a_folder_made_under_a_removed_ones_key_with_a_child_of_a_name_that_comes_back(self, scratch_database):
        execute(scratch_database, "CREATE UNIQUE INDEX one_child ON :folders (:folders.parent, :folders.name)")
        made = tree(scratch_database, "stays:A, gone:A/moved:B(1)")
        point = clean(scratch_database, made)
        again = Folder.objects.using(scratch_database)
        again.create(id=made["gone"], name="mine", parent_id=made["stays"], application_id=made.application)
        again.create(id=new_key(), name="B", parent_id=made["gone"], application_id=made.application)
        before = dump(scratch_database)
        with pytest.raises(exceptions.RollbackConflict) as caught:
            undo(scratch_database, point, as_copies=True)
        assert dump(scratch_database) == before
        assert [(c.code, c.key) for c in caught.value.conflicts] == [
            ("row_exists", made["gone"]),
            ("unique_taken", made["moved"]),
        ]
        result = undo(scratch_database, point, as_copies=True, skip_conflicts=True)
        assert not result.exact


class TestRunOfWhichPointsAreGone:
    """Preview and result name the applications that cannot come back."""

    def partly(self, database: str, status: str):
        """Clean two applications, end the point of the first, and return run, application and point."""
        made = [tree(database, "A(1), A(1)") for _ in range(2)]
        run = DatabaseCleanupService(using=database).cleanup_all_duplicate_folders().run_id
        point = RollbackPoint.objects.using(database).get(run=run, application_key=made[0].application)
        if status == "expired":
            RollbackPoint.objects.using(database).filter(pk=point.pk).update(
                expires_at=timezone.now() - timedelta(days=1), verified_at=timezone.now()
            )
            DatabaseCleanupService(using=database).purge()
        else:
            undo(database, point.uuid)
        return run, made[0].application, point.uuid

    def test_an_expired_one(self, database):
        run, application, point = self.partly(database, "expired")
        for result in (preview(database, run), undo(database, run)):
            assert (result.exact, result.inexact, result.expired) == (False, ("expired",), 1)
            assert [(p.application_id, p.rollback_id, p.code) for p in result.not_restored] == [
                (application, point, "expired")
            ]
            assert result.as_json()["not_restored"][0]["application_id"] == application

    def test_an_expired_one_on_the_command_line(self, database):
        run, application, _ = self.partly(database, "expired")
        for options in (["--preview"], ["--no-input"]):
            done = run_command(database, "--rollback", str(run), *options)
            assert done.status == 1
            assert "1 application can no longer be restored" in done.out
            assert application in done.out
            assert "Everything is as it was before." not in done.out

    def test_one_that_was_rolled_back_before_does_not_spoil_it(self, database):
        run, application, _ = self.partly(database, "rolled_back")
        for result in (preview(database, run), undo(database, run)):
            assert (result.exact, result.expired) == (True, 0)
            assert [(p.application_id, p.code) for p in result.not_restored] == [(application, "already_rolled_back")]

    def test_one_that_was_cleaned_again_since_does(self, database):
        run, application, _ = self.partly(database, "rolled_back")
        DatabaseCleanupService(using=database).consolidate_duplicate_folders(application, include_held=True)
        result = undo(database, run)
        assert (result.exact, result.inexact) == (False, ("already_rolled_back",))


class TestExact:
    def test_not_where_the_tree_hook_ran(self, database, settings):
        point = clean(database, tree(database, "A, A"))
        settings.CLEANUP_TREE_HOOK = f"{__name__}.no_hook"
        result = undo(database, point)
        assert (result.exact, result.inexact) == (False, ("hook",))
        assert RollbackPoint.objects.using(database).get(uuid=point).exact is False

    def test_not_where_triggers_fired_though_they_are_gone(self, scratch_database, settings):
        settings.CLEANUP_TRIGGERS = "fire"
        made = tree(scratch_database, "A, A(1)")
        self.trigger(scratch_database)
        point = clean(scratch_database, made)
        execute(scratch_database, f"DROP TRIGGER noticed{self.on(scratch_database)}")
        settings.CLEANUP_TRIGGERS = "refuse"
        result = undo(scratch_database, point)
        assert (result.exact, result.inexact) == (False, ("triggers",))

    def on(self, database: str) -> str:
        return " ON :files" if connections[database].vendor == "postgresql" else ""

    def trigger(self, database: str) -> None:
        if connections[database].vendor == "postgresql":
            execute(
                database,
                "CREATE FUNCTION noticed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
            )
            execute(database, "CREATE TRIGGER noticed BEFORE UPDATE ON :files FOR EACH ROW EXECUTE FUNCTION noticed()")
        else:
            execute(database, "CREATE TRIGGER noticed BEFORE UPDATE ON :files BEGIN SELECT 1; END")


def no_hook(*, using: str, application_ids: list[str]) -> None:
    """Do nothing."""
