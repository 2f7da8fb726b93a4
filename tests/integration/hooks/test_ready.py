"""The ready tree hooks: columns agree with the tree after a merge, and are as before after its undo."""

import re
import shlex
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from cleanup import conf, exceptions, hooks
from cleanup.hooks.ready import Trees
from cleanup.references import discover
from cleanup.services import DatabaseCleanupService
from cleanup.services.integrity import verification
from cleanup.services.preflight.shown_settings import shown_settings
from tests.hostapp import paths
from tests.support.trees import dump, execute, fetch, label, raw, tree

FOREST = (
    "old:Loan/{Docs/{Tax, Bank/Old}, Photos/Front}, Loan/{Docs/{Tax/May, Letters}, Mail, Photos},"
    " Rest/{Docs/Tax, Bills/Due}"
)


@dataclass(frozen=True)
class Row:
    """A folder with the columns that a hook keeps."""

    key: str
    parent: str | None
    name: str
    held: tuple[Any, ...]


Rows = dict[str, Row]


@dataclass(frozen=True)
class Kind:
    """One way to repeat the place in the tree."""

    setting: Any
    columns: dict[str, str]
    agrees: Callable[[Row, Rows, list[Row]], bool]
    """Whether a row agrees with all rows and its children."""
    roots: str = ""
    """What roots hold before a hook can number what is below; ``{number}`` is another one for each."""

    def rows(self, database: str) -> Rows:
        """Read the folders."""
        listed = ", ".join(f'"{column}"' for column in self.columns)
        found = fetch(database, f"SELECT :folders.key, :folders.parent, :folders.name, {listed} FROM :folders")
        rows = [
            Row(str(key), None if above is None else str(above), name, tuple(held)) for key, above, name, *held in found
        ]
        return {row.key: row for row in rows}

    def disagreeing(self, database: str) -> list[Row]:
        """Return the folders whose columns are wrong."""
        rows = self.rows(database)
        children = defaultdict(list)
        for row in rows.values():
            children[row.parent].append(row)
        return [row for row in rows.values() if not self.agrees(row, rows, children[row.key])]


def _nested(row: Row, rows: Rows, children: list[Row]) -> bool:
    left, right, tree_id, level = row.held[0], row.held[1], *row.held[2:]
    end = left
    for child in sorted(children, key=lambda child: child.held[0]):
        if child.held[0] != end + 1 or child.held[2:] != (tree_id, level + 1):
            return False
        end = child.held[1]
    return right == end + 1


def _counted_through(row: Row, rows: Rows, children: list[Row]) -> bool:
    numbers = [number for each in rows.values() for number in each.held[:2]]
    plain = Row(row.key, row.parent, row.name, (*row.held, 0, 0))
    below = [Row(child.key, child.parent, child.name, (*child.held, 0, 1)) for child in children]
    return len(set(numbers)) == len(numbers) and _nested(plain, rows, below)


def _above(row: Row, rows: Rows) -> list[Row]:
    line = [row]
    while line[0].parent in rows:
        line.insert(0, rows[line[0].parent])
    return line


def _of_keys(row: Row, rows: Rows, children: list[Row]) -> bool:
    return row.held == ("".join(f"{_shown(one.key)}/" for one in _above(row, rows)),)


def _of_names(row: Row, rows: Rows, children: list[Row]) -> bool:
    line = _above(row, rows)
    return row.held == ("".join(f"/{one.name}" for one in line), len(line) - 1)


def _stepped(row: Row, rows: Rows, children: list[Row]) -> bool:
    path, depth, numchild = row.held
    above = rows[row.parent].held[0] if row.parent else ""
    alone = sum(each.held[0] == path for each in rows.values()) == 1
    right = path.startswith(above) and len(path) == len(above) + 4
    return alone and right and (depth, numchild) == (len(path) // 4, len(children))


def _labelled(row: Row, rows: Rows, children: list[Row]) -> bool:
    above = rows[row.parent].held[0] if row.parent else ""
    return row.held[0].rpartition(".")[0] == above


def _shown(key: str) -> str:
    """Spell a key as paths do: with hyphens, whatever the database holds."""
    return f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}" if len(key) == 32 else key


NUMBER = "integer"
KINDS = {
    "mptt": Kind("cleanup.hooks.mptt", {"lft": NUMBER, "rght": NUMBER, "tree_id": NUMBER, "level": NUMBER}, _nested),
    "nested sets": Kind("cleanup.hooks.nested_set", {"lft": NUMBER, "rgt": NUMBER}, _counted_through),
    "nested sets of other names": Kind(
        {"hook": "cleanup.hooks.nested_set", "left": "from_no", "right": "to_no", "tree": "nr", "level": "at"},
        {"from_no": NUMBER, "to_no": NUMBER, "nr": NUMBER, "at": NUMBER},
        _nested,
    ),
    "parent_path": Kind("cleanup.hooks.materialized_path", {"parent_path": "text"}, _of_keys),
    "names": Kind(
        {"hook": "cleanup.hooks.materialized_path", "path": "full_path", "leading": True, "depth": "deep"},
        {"full_path": "text", "deep": NUMBER},
        _of_names,
    ),
    "treebeard": Kind(
        "cleanup.hooks.materialized_path",
        {"path": "varchar(255) UNIQUE", "depth": NUMBER, "numchild": NUMBER},
        _stepped,
        roots="path = '{number:04}'",
    ),
}


def install(database: str, settings, kind: Kind) -> None:
    """Add the columns, and fill them by the hook."""
    settings.CLEANUP_TREE_HOOK = kind.setting
    for column, declared in kind.columns.items():
        plain, _, _unique = declared.partition(" UNIQUE")
        execute(database, f'ALTER TABLE :folders ADD COLUMN "{column}" {plain}')
        if declared != plain:
            execute(database, f'CREATE UNIQUE INDEX "one_{column}" ON :folders ("{column}")')
    if kind.roots:
        roots = fetch(database, "SELECT :folders.key FROM :folders WHERE :folders.parent IS NULL ORDER BY 1")
        for number, (key,) in enumerate(roots, 1):
            execute(database, f"UPDATE :folders SET {kind.roots.format(number=number)} WHERE :folders.key = %s", key)
    compute(database, settings)


def compute(database: str, settings) -> None:
    """Call the hook for every application."""
    setting = settings.CLEANUP_TREE_HOOK
    name = setting if isinstance(setting, str) else setting["hook"]
    keys = [key for (key,) in fetch(database, "SELECT :applications.key FROM :applications")]
    getattr(hooks, name.rpartition(".")[2])(using=database, application_ids=keys)


@pytest.fixture(params=KINDS)
def kind(request) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def service(scratch_database) -> DatabaseCleanupService:
    return DatabaseCleanupService(using=scratch_database)


class TestReadyHook:
    @pytest.fixture
    def made(self, scratch_database, settings, kind):
        tree(scratch_database, "Other/{Docs, Mail/Old}")
        made = tree(scratch_database, FOREST)
        tree(scratch_database, "Third/Docs")
        install(scratch_database, settings, kind)
        assert kind.disagreeing(scratch_database) == []
        return made

    def test_keeps_the_columns_through_a_merge(self, scratch_database, kind, made, service):
        service.consolidate_duplicate_folders(made.application)
        assert kind.disagreeing(scratch_database) == []

    def test_is_undone_exactly(self, scratch_database, settings, kind, made, service):
        before = dump(scratch_database)
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        result = service.rollback_cleanup(point)
        assert dump(scratch_database) == before
        assert (result.exact, result.conflicts) == (True, ())
        compute(scratch_database, settings)
        assert dump(scratch_database) == before

    def test_is_undone_exactly_once_it_is_gone(self, scratch_database, settings, kind, made, service):
        before = dump(scratch_database)
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        settings.CLEANUP_TREE_HOOK = None
        settings.CLEANUP_IGNORED_COLUMNS = [f"{label(scratch_database, ':folders')}.{name}" for name in kind.columns]
        assert service.rollback_cleanup(point).exact
        assert dump(scratch_database) == before

    def test_changes_no_other_tree(self, scratch_database, kind, made, service):
        before = kind.rows(scratch_database)
        service.consolidate_duplicate_folders(made.application)
        after = kind.rows(scratch_database)
        others = fetch(
            scratch_database,
            "SELECT :folders.key FROM :folders WHERE :folders.application <> %s",
            raw(scratch_database, made.application),
        )
        assert all(before[str(key)] == after[str(key)] for (key,) in others)

    def test_computes_for_folders_made_since(self, scratch_database, kind, made, service):
        count = made.folders
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        since = tree(scratch_database, "Since", application=made.application)
        below = "(SELECT f.:folders.key FROM :folders AS f WHERE f.:folders.name = 'Due')"
        execute(scratch_database, f"UPDATE :folders SET :folders.parent = {below} WHERE :folders.name = 'Since'")
        result = service.rollback_cleanup(point)
        assert (result.conflicts, since.folders) == ((), count + 1)
        assert kind.disagreeing(scratch_database) == []

    def test_leaves_what_people_changed_since(self, scratch_database, kind, made, service):
        before = dump(scratch_database)
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        column, declared = next(iter(kind.columns.items()))
        value = "'later'" if "integer" not in declared else "7000"
        execute(scratch_database, f"UPDATE :folders SET {column} = {value} WHERE :folders.name = 'Due'")
        with pytest.raises(exceptions.RollbackConflict) as caught:
            service.rollback_cleanup(point)
        assert [conflict.code for conflict in caught.value.conflicts] == ["changed"]
        assert column in caught.value.conflicts[0].column
        result = service.rollback_cleanup(point, skip_conflicts=True)
        assert (result.exact, result.inexact[0]) == (False, "conflicts")
        assert kind.disagreeing(scratch_database) == []
        assert len(dump(scratch_database)) == len(before)


class TestHostsHook:
    """A program of the host's own, whose writes to folders are journaled, too."""

    @pytest.fixture
    def made(self, scratch_database, settings):
        settings.CLEANUP_TREE_HOOK = "tests.hostapp.paths.rebuild"
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN path text")
        made = tree(scratch_database, FOREST)
        paths.rebuild(using=scratch_database, application_ids=[made.application])
        return made

    def test_is_undone_once_it_is_gone(self, scratch_database, settings, made, service):
        before = dump(scratch_database)
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        assert dump(scratch_database) != before
        settings.CLEANUP_TREE_HOOK = None
        settings.CLEANUP_IGNORED_COLUMNS = [f"{label(scratch_database, ':folders')}.path"]
        result = service.rollback_cleanup(point)
        assert dump(scratch_database) == before
        # What it writes elsewhere is not known.
        assert (result.exact, result.inexact) == (False, ("hook",))

    def test_takes_options(self, scratch_database, settings, made, service):
        settings.CLEANUP_TREE_HOOK = {"hook": f"{__name__}.noting", "colour": "red"}
        service.consolidate_duplicate_folders(made.application)
        assert NOTED == {"colour": "red"}


NOTED: dict[str, str] = {}


def noting(*, using: str, application_ids: list[str], **options: str) -> None:
    """Note the options."""
    NOTED.update(options)


@pytest.mark.mapped_models("files of the other models refer to what owns the folders")
class TestTreesWithoutApplications:
    @pytest.mark.parametrize("name", ["mptt", "nested sets", "parent_path", "names", "treebeard"])
    def test_are_kept_and_undone(self, scratch_database, settings, name):
        kind = KINDS[name]
        tree(scratch_database, FOREST)
        install(scratch_database, settings, kind)
        settings.CLEANUP_APPLICATION_MODEL = None
        service = DatabaseCleanupService(using=scratch_database)
        before = dump(scratch_database)
        run = service.cleanup_all_duplicate_folders()
        assert (run.successful_cleanups, run.failed_cleanups) == (1, 0)
        assert kind.disagreeing(scratch_database) == []
        assert service.rollback_cleanup(run.run_id).exact
        assert dump(scratch_database) == before


class TestSharedFolders:
    @pytest.mark.parametrize("name", ["names", "parent_path"])
    def test_are_computed_kept_and_undone(self, scratch_database, settings, service, name):
        kind = KINDS[name]
        made = tree(scratch_database, "Common/{Docs, Mail/Old}, Common/Docs/Tax, Forms/Due")
        tree(scratch_database, FOREST)
        owner = "UPDATE :folders SET :folders.application = NULL WHERE :folders.application = %s"
        execute(scratch_database, owner, raw(scratch_database, made.application))
        settings.CLEANUP_SHARED_FOLDERS = "merge"
        install(scratch_database, settings, kind)
        assert kind.disagreeing(scratch_database) != []
        hooks.recompute(using=scratch_database)
        assert kind.disagreeing(scratch_database) == []
        before = dump(scratch_database)
        run = service.cleanup_all_duplicate_folders()
        assert (run.successful_cleanups, kind.disagreeing(scratch_database)) == (2, [])
        assert service.rollback_cleanup(run.run_id).exact
        assert dump(scratch_database) == before


class TestMarkedRoots:
    @pytest.mark.parametrize("name", ["mptt", "nested sets", "parent_path", "treebeard"])
    def test_are_kept_verified_and_undone(self, scratch_database, settings, service, name):
        made = tree(scratch_database, FOREST)
        install(scratch_database, settings, KINDS[name])
        settings.CLEANUP_ROOT_PARENT = "self"
        itself = "UPDATE :folders SET :folders.parent = :folders.key WHERE :folders.parent IS NULL"
        execute(scratch_database, itself)
        before = dump(scratch_database)
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        report = verification.verify(using=scratch_database)
        assert (report.verification_passed, dump(scratch_database) == before) == (True, False)
        assert service.rollback_cleanup(point).exact
        assert dump(scratch_database) == before


class TestSetting:
    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ({"hook": "cleanup.hooks.mptt", "lef": "lft"}, "no option 'lef'; it has left, right, tree, level"),
            ({"hook": "cleanup.hooks.ltree", "path": 3}, "'path' of cleanup.hooks.ltree cannot be 3"),
            ({"hook": "cleanup.hooks.materialized_path", "step": True}, "'step' .* cannot be True"),
        ],
    )
    def test_with_a_wrong_option_is_refused(self, settings, setting, message):
        settings.CLEANUP_TREE_HOOK = setting
        with pytest.raises(exceptions.MisconfiguredSetting, match=message):
            conf.tree_hooks()

    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ("cleanup.hooks.mptt", 'there is no column .*lft. Give its name as "left"'),
            ({"hook": "cleanup.hooks.nested_set", "left": "nowhere"}, "there is no column .*nowhere"),
            ("cleanup.hooks.materialized_path", 'there is no column .*path. Give its name as "path"'),
            ("cleanup.hooks.closure_table", 'needs the name of the table as "table"'),
            ({"hook": "cleanup.hooks.closure_table", "table": "nowhere"}, "there is no table nowhere"),
        ],
    )
    def test_that_names_no_column_is_a_problem(self, scratch_database, settings, setting, message):
        settings.CLEANUP_TREE_HOOK = setting
        (problem,) = discover(using=scratch_database).problems
        assert problem.code == "misconfigured"
        assert re.search(message, problem.message)

    def test_leaves_other_columns_to_be_decided(self, scratch_database, settings):
        settings.CLEANUP_TREE_HOOK = "cleanup.hooks.materialized_path"
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN path text")
        execute(scratch_database, "ALTER TABLE :folders ADD COLUMN ancestors text")
        (problem,) = discover(using=scratch_database).problems
        assert (problem.code, problem.column) == ("path_column", "ancestors")

    @pytest.mark.parametrize(
        "setting",
        [None, "cleanup.hooks.mptt", {"hook": "cleanup.hooks.ltree", "path": "spot"}, ["cleanup.hooks.mptt"] * 2],
    )
    def test_is_shown_as_it_was_set(self, settings, setting):
        settings.CLEANUP_TREE_HOOK = setting
        assert shown_settings()["CLEANUP_TREE_HOOK"] == setting

    def test_may_be_a_list(self, scratch_database, settings):
        settings.CLEANUP_TREE_HOOK = [
            "cleanup.hooks.nested_set",
            {"hook": "cleanup.hooks.materialized_path", "of": "key", "own": False},
        ]
        for column in ("lft integer", "rgt integer", "path text"):
            execute(scratch_database, f"ALTER TABLE :folders ADD COLUMN {column}")
        assert discover(using=scratch_database).problems == ()


class TestVerification:
    @pytest.fixture
    def made(self, scratch_database, settings, kind):
        made = tree(scratch_database, FOREST)
        tree(scratch_database, "Third/{Docs/Old, Mail}")
        install(scratch_database, settings, kind)
        return made

    def found(self, service) -> list[Any]:
        report = verification.verify(using=service.using)
        return [finding for finding in report.findings if finding.code == "path_out_of_date"]

    def test_finds_nothing_where_columns_agree(self, kind, made, service):
        assert self.found(service) == []
        service.consolidate_duplicate_folders(made.application)
        assert self.found(service) == []

    def test_finds_each_column_that_does_not(self, scratch_database, kind, made, service):
        for column, declared in kind.columns.items():
            wrong = "'later'" if "integer" not in declared else f'"{column}" + 5'
            ((before,),) = fetch(scratch_database, f"SELECT \"{column}\" FROM :folders WHERE :folders.name = 'Due'")
            execute(scratch_database, f"UPDATE :folders SET \"{column}\" = {wrong} WHERE :folders.name = 'Due'")
            findings = self.found(service)
            assert findings, column
            assert {finding.application_id for finding in findings} == {made.application}
            execute(scratch_database, f"UPDATE :folders SET \"{column}\" = %s WHERE :folders.name = 'Due'", before)
        assert self.found(service) == []

    def test_hints_at_what_computes_it_anew(self, scratch_database, kind, made, service):
        column, declared = next(iter(kind.columns.items()))
        wrong = "'later'" if "integer" not in declared else f"{column} + 1"
        execute(scratch_database, f"UPDATE :folders SET {column} = {wrong} WHERE :folders.name = 'Due'")
        hint = self.found(service)[0].hint
        exec(shlex.split(hint)[-1])  # it is what a shell is given
        assert (self.found(service), kind.disagreeing(scratch_database)) == ([], [])


class TestOneCount:
    def test_is_a_warning_with_what_it_costs(self, scratch_database, settings, service):
        tree(scratch_database, FOREST)
        install(scratch_database, settings, KINDS["nested sets"])
        (warning,) = [one for one in service.preflight()["warnings"] if one["code"] == "one_count"]
        assert "250 ms" in warning["message"]
        assert discover(using=scratch_database).applications_are_independent is False

    @pytest.mark.only("postgresql")
    def test_is_taken_by_one_writer_at_a_time(self, scratch_database, settings, service, monkeypatch):
        made = tree(scratch_database, FOREST)
        install(scratch_database, settings, KINDS["nested sets"])
        locks: list[tuple] = []
        changes = Trees.changes

        def looking(*args: Any) -> Any:
            locks.extend(fetch(scratch_database, "SELECT mode FROM pg_locks WHERE mode = 'ShareRowExclusiveLock'"))
            return changes(*args)

        monkeypatch.setattr(Trees, "changes", looking)
        service.consolidate_duplicate_folders(made.application)
        assert len(locks) == 1


class TestRemedy:
    @pytest.fixture(params=[name for name in KINDS if name != "nested sets of other names"])
    def kind(self, request) -> Kind:
        return KINDS[request.param]

    def test_of_preflight_keeps_the_columns(self, scratch_database, settings, kind, service):
        made = tree(scratch_database, FOREST)
        install(scratch_database, settings, kind)
        settings.CLEANUP_TREE_HOOK = None
        problems = [problem for problem in service.preflight()["problems"] if problem["code"] == "path_column"]
        (remedy,) = {re.search(r"Set (CLEANUP_TREE_HOOK = .*?) \(see", problem["message"])[1] for problem in problems}
        written: dict[str, Any] = {}
        exec(remedy, written)  # it is pasted
        settings.CLEANUP_TREE_HOOK = written["CLEANUP_TREE_HOOK"]
        assert service.preflight()["problems"] == []
        service.consolidate_duplicate_folders(made.application)
        assert kind.disagreeing(scratch_database) == []


@pytest.mark.only("postgresql")
class TestLtree(TestReadyHook, TestVerification, TestRemedy):
    @pytest.fixture
    def kind(self, scratch_database) -> Kind:
        execute(scratch_database, "CREATE EXTENSION ltree")
        return Kind("cleanup.hooks.ltree", {"spot": "ltree"}, _labelled)
