"""The undo of a repair as a script: with the folders that it made."""

import pytest

from cleanup.models import Run
from tests.hostapp.models import Bookmark
from tests.support.model_roles import File, Folder
from tests.support.trees import Tree, dump, missing_key, tree, unchecked
from tests.support.undo_scripts import ScriptFailedError, export, run, uninstall


@pytest.fixture
def loan(loose) -> Tree:
    """Return an application without a root folder, and a file without a folder."""
    made = tree(loose, "top:Loan/{docs:Docs(a.txt), photos:Photos(b.txt)}")
    tree(loose, "Case")
    with unchecked(loose):
        Folder.objects.using(loose).filter(pk=made["top"]).update(parent=missing_key(Folder))
        File.objects.using(loose).filter(pk=made["b.txt"]).update(folder=missing_key(Folder))
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
