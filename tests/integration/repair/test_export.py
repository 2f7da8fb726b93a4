"""The undo of a repair as a script: with the folders that it made."""

import pytest

from cleanup import hooks
from cleanup.models import Run
from cleanup.services.results import RepairReport
from tests.hostapp.models import Bookmark
from tests.integration.repair.corruptions import CORRUPTIONS, NOWHERE
from tests.support.model_roles import File, Folder
from tests.support.trees import Tree, change, dump, execute, key_type, raw, tree, unchecked
from tests.support.undo_scripts import ScriptFailedError, export, run, uninstall

EACH = [pytest.param(code, marks=pytest.mark.file_model if "file" in code else ()) for code in CORRUPTIONS]


@pytest.fixture
def loan(loose) -> Tree:
    """Return an application without a root folder, and a file without a folder."""
    made = tree(loose, "top:Loan/{docs:Docs(a.txt), photos:Photos(b.txt)}")
    tree(loose, "Case")
    with unchecked(loose):
        Folder.objects.using(loose).filter(pk=made["top"]).update(parent=NOWHERE)
        File.objects.using(loose).filter(pk=made["b.txt"]).update(folder=NOWHERE)
    return made


@pytest.fixture
def script(loose, service, loan) -> str:
    """Return the script that undoes the repair of the folder."""
    return export(loose, service.repair("missing_parent").run_id)


def of_host(database: str) -> dict[str, list[str]]:
    return {name: rows for name, rows in dump(database).items() if not name.startswith(("django_", "auth_"))}


class TestScriptOfARepair:
    def test_removes_the_folders_that_were_made(self, loose, service, loan):
        before = of_host(loose)
        script = export(loose, service.repair("missing_parent").run_id)
        assert of_host(loose) != before
        uninstall(loose)
        assert "proven" in run(loose, script)
        assert of_host(loose) == before

    def test_restores_nothing_when_it_runs_again(self, loose, script):
        run(loose, script)
        after = of_host(loose)
        run(loose, script)
        assert of_host(loose) == after

    def test_is_recorded_by_a_rollback(self, loose, service, script):
        run(loose, script)
        undone = service.rollback_cleanup(Run.objects.using(loose).get(kind=Run.Kind.REPAIR).pk)
        assert (undone.exact, undone.conflicts) == (True, ())

    @pytest.mark.parametrize("by", ["file", "folder", "bookmark"])
    def test_ends_at_what_people_put_into_a_folder_that_was_made(self, loose, loan, script, by):
        recovered = Folder.objects.using(loose).get(name="Recovered")
        with unchecked(loose):
            if by == "file":
                File.objects.using(loose).filter(pk=loan["b.txt"]).update(folder=recovered)
            elif by == "folder":
                Folder.objects.using(loose).filter(pk=loan["photos"]).update(parent=recovered)
            else:
                Bookmark._base_manager.using(loose).create(folder_id=recovered.pk)
        before = of_host(loose)
        with pytest.raises(ScriptFailedError, match="in_use: it refers to a folder that a repair made"):
            run(loose, script)
        assert of_host(loose) == before

    def test_ends_at_a_folder_that_was_made_and_renamed_since(self, loose, script):
        Folder.objects.using(loose).filter(name="Recovered").update(name="Found")
        before = of_host(loose)
        with pytest.raises(ScriptFailedError, match="changed"):
            run(loose, script)
        assert of_host(loose) == before


@pytest.fixture
def restores(loose, service):
    """Return a function that repairs a code, and sees that its script alone brings everything back."""

    def restores(code: str) -> RepairReport:
        before = of_host(loose)
        report = service.repair(code)
        assert (report.failed_cleanups, of_host(loose) != before) == (0, True)
        script = export(loose, report.run_id)
        uninstall(loose)
        assert "proven" in run(loose, script)
        assert of_host(loose) == before
        return report

    return restores


class TestScriptOfEachRepair:
    @pytest.fixture
    def loan(self, loose) -> Tree:
        return tree(loose, "top:Loan/{docs:Docs(a.txt), photos:Photos(b.txt)/old:Old(c.txt)}")

    @pytest.mark.parametrize("code", EACH)
    def test_restores_everything_without_the_product(self, loose, loan, other, restores, code):
        CORRUPTIONS[code](loose, loan, other)
        restores(code)

    def test_removes_a_root_folder_that_was_made(self, loose, loan, other, restores):
        change(loose, Folder, loan["top"], parent=NOWHERE)
        assert restores("missing_parent").folders_made == 2

    def test_removes_a_root_folder_that_holds_its_own_key(self, loose, settings, loan, other, restores):
        settings.CLEANUP_ROOT_PARENT = "self"
        root = Folder.objects.using(loose).get(application=other.application, parent=None)
        change(loose, Folder, root.pk, parent=root.pk)
        change(loose, Folder, loan["top"], parent=NOWHERE)
        assert restores("missing_parent").folders_made == 2

    def test_splits_names_that_look_the_same(self, loose, service, loan, restores):
        tree(loose, "docs", application=loan.application)
        Folder.objects.using(loose).filter(name="docs").update(parent=loan["top"])
        service.approve_names(loan.application, loan["docs"])
        assert restores("names_alike").total_folders_removed == 1

    def test_returns_late_arrivals(self, loose, service, restores):
        made = tree(loose, "stays:Loan(a.txt), gone:Loan(b.txt)")
        service.consolidate_duplicate_folders(made.application)
        change(loose, File, made["a.txt"], folder=made["gone"])
        restores("late_arrival")

    def test_returns_what_tree_hooks_keep(self, loose, settings, loan, restores):
        settings.CLEANUP_TREE_HOOK = {"hook": "cleanup.hooks.materialized_path", "path": "full_path"}
        execute(loose, "ALTER TABLE :folders ADD COLUMN full_path text")
        hooks.recompute(using=loose)
        change(loose, Folder, loan["photos"], parent=NOWHERE)
        restores("missing_parent")


@pytest.mark.only("postgresql")
class TestScriptWithArrays:
    @pytest.fixture(params=["key", "text", pytest.param("json", marks=pytest.mark.mapped_models("keys are UUIDs"))])
    def add(self, request, loose, settings):
        """Return a function that adds a row whose array names folders."""
        settings.CLEANUP_EXTRA_REFERENCES = ["prefs.watched"]
        kinds = {"key": f"{key_type(loose)}[]", "text": "text[]", "json": "jsonb"}
        kind = kinds[request.param]
        execute(loose, f"CREATE TABLE prefs (id integer PRIMARY KEY, watched {kind})")

        def add(number: int, *keys: object) -> None:
            held = [None if key is None else raw(loose, key) for key in keys]
            value = "to_jsonb(%s::text[])" if kind == "jsonb" else f"%s::text[]::{kind}"
            execute(loose, f"INSERT INTO prefs VALUES (%s, {value})", number, held)

        return add

    def test_ends_at_one_that_names_a_folder_that_was_made(self, loose, loan, add, script):
        recovered = Folder.objects.using(loose).get(name="Recovered")
        add(1, loan["docs"])
        add(2, loan["docs"], None, recovered.pk)
        before = of_host(loose)
        with pytest.raises(ScriptFailedError, match=r"prefs, row 2: in_use: it refers to a folder that a repair made"):
            run(loose, script)
        assert of_host(loose) == before

    def test_leaves_one_alone_that_names_others(self, loose, loan, add, script):
        add(1, loan["docs"], None, loan["top"])
        before = of_host(loose)["prefs"]
        run(loose, script)
        assert of_host(loose)["prefs"] == before
        assert not Folder.objects.using(loose).filter(name="Recovered").exists()

    def test_restores_elements_that_a_repair_changed(self, loose, service, loan, add, restores):
        again = tree(loose, "again:docs", application=loan.application)
        change(loose, Folder, again["again"], parent=loan["top"])
        change(loose, Folder, loan["top"], parent=None)
        service.approve_names(loan.application, loan["docs"])
        add(1, again["again"], None, loan["docs"], again["again"])
        restores("names_alike")

    def test_restores_late_elements(self, loose, service, add, restores):
        made = tree(loose, "stays:Case, gone:Case")
        service.consolidate_duplicate_folders(made.application)
        add(1, made["gone"], None, made["stays"])
        restores("late_arrival")
