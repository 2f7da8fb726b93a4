"""Repairs of tables with columns that ready hooks keep: those of folders that were made, too, and all comes back."""

import pytest

from tests.integration.hooks.test_ready import KINDS, Kind, compute, install
from tests.integration.repair.corruptions import NOWHERE
from tests.support.model_roles import Folder
from tests.support.trees import change, dump
from tests.support.undo_scripts import export, run, uninstall


@pytest.fixture(params=KINDS)
def kind(request, loose, settings, loan, other) -> Kind:
    """Return the hook, whose columns are filled."""
    install(loose, settings, KINDS[request.param])
    return KINDS[request.param]


@pytest.fixture(params=["photos", "top"])
def lost(request, loose, settings, kind, loan) -> str:
    """Return the key of a folder that has lost its parent; a root folder only if a new one gets its columns."""
    key = loan["photos" if kind.roots else request.param]
    change(loose, Folder, key, parent=NOWHERE)
    compute(loose, settings)
    return key


@pytest.mark.usefixtures("lost")
class TestRepairWithHooks:
    def test_is_undone_exactly(self, loose, service, kind):
        before = dump(loose)
        report = service.repair("missing_parent")
        assert (report.failed_cleanups, kind.disagreeing(loose)) == (0, [])
        undone = service.rollback_cleanup(report.run_id)
        assert (undone.exact, undone.conflicts) == (True, ())
        assert dump(loose) == before

    def test_is_undone_by_a_script_alone(self, loose, service):
        before = dump(loose)
        script = export(loose, service.repair("missing_parent").run_id)
        uninstall(loose)
        assert "proven" in run(loose, script)
        after = dump(loose)
        assert {name: after[name] for name in before} == before
