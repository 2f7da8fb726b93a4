"""``database_cleanup --repair``: what it says, what it writes, and how it exits."""

import getpass

import pytest

from cleanup.models import NameGroup
from tests.integration.management.test_command import run_command
from tests.support.model_roles import Folder
from tests.support.trees import Tree, assert_tree, dump, tree


@pytest.fixture
def loan(database) -> Tree:
    """Return an application with a folder that lies in another one."""
    made, other = tree(database, "top:Loan/docs:Docs(1)"), tree(database, "Case")
    root = Folder.objects.using(database).get(application=other.application)
    Folder.objects.using(database).filter(pk=made["docs"]).update(parent=root)
    return made


class TestRepairCommand:
    def test_says_in_sentences_what_would_change_and_writes_nothing(self, database, loan):
        before = dump(database, own=True)
        done = run_command(database, "--repair", "foreign_parent", "--dry-run")
        assert (done.status, dump(database, own=True)) == (0, before)
        assert "1 finding of foreign_parent would be repaired, in 1 application." in done.out
        assert "The folder “Docs” goes into the folder “Recovered”." in done.out

    def test_repairs_and_can_be_rolled_back(self, database, loan):
        before = dump(database)
        done = run_command(database, "--repair", "foreign_parent", "--no-input", "--reason", "audit", "--json")
        assert (done.status, done.json["findings_repaired"], done.json["folders_made"]) == (0, 1, 1)
        assert_tree(database, loan, "top:Loan/Recovered/docs:Docs(1)")
        undone = run_command(database, "--rollback", done.json["run_id"], "--no-input")
        assert (undone.status, "on hold" in undone.out) == (0, False)
        assert dump(database) == before

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (("--repair", "several_roots"), "several_roots cannot be repaired. A cleanup merges duplicates"),
            (("--repair", "nonsense"), "There is no finding 'nonsense'"),
            (("--repair", "cycle", "--max-applications", "3"), "--max-applications cannot be used with --repair"),
            (("--repair", "cycle", "--cleanup"), "cannot be used together"),
        ],
    )
    def test_refuses_what_it_cannot_do(self, database, options, says):
        done = run_command(database, *options, "--no-input")
        assert (done.status, says in done.sentence) == (2, True)

    def test_of_an_unknown_application_is_wrong_usage(self, database, loan):
        unknown = "0c7b1f6e-2f5a-4d0e-9a43-6f1d2c3b4a59"
        done = run_command(database, "--repair", "foreign_parent", "--application", unknown, "--no-input")
        assert done.status == 2

    def test_needs_folders_that_name_their_application(self, database, settings):
        settings.CLEANUP_APPLICATION_FROM = "root"
        done = run_command(database, "--repair", "missing_parent", "--no-input")
        assert (done.status, 'with CLEANUP_APPLICATION_FROM = "root", only root folders do.' in done.sentence) == (
            2,
            True,
        )

    @pytest.mark.parametrize(("named_by", "offered"), [("folder", True), ("root", False)])
    def test_is_offered_where_it_can_be_made(self, database, settings, named_by, offered):
        settings.CLEANUP_APPLICATION_FROM = named_by
        tree(database, 'Loan/" "')
        assert ("--repair blank_name" in run_command(database, "--verify").out) == offered


class TestNamesCommand:
    @pytest.fixture
    def loan(self, database) -> Tree:
        return tree(database, "top:Loan/{docs:Docs(1), capitals:DOCS(2), Photos}")

    @pytest.fixture
    def names(self, database, loan):
        """Return a function that runs an action on the application's names."""
        return lambda *options: run_command(database, *options, "--application", loan.application)

    def test_lists_groups_with_what_is_on_each_side(self, database, loan, names):
        before = dump(database, own=True)
        told, listed = names("--names").out, names("--names", "--json").json
        assert dump(database, own=True) == before
        assert f"In folder {loan['top']}, not decided:" in told
        ((group,),) = listed.values()
        assert [(one["name"], one["files"]) for one in group["folders"]] == [("Docs", 1), ("DOCS", 2)]

    def test_approves_a_group_which_is_merged_then(self, database, loan, names):
        done = names("--approve-names", loan["docs"], "--stays", "--json")
        assert (done.status, done.json["decision"]) == (0, "approved")
        assert "--repair names_alike" in names("--names").out
        names("--repair", "names_alike", "--no-input")
        assert_tree(database, loan, "top:Loan/{docs:Docs(3), Photos}")
        assert names("--names").out.strip() == "No names look the same."

    def test_dismisses_a_group_which_is_left_then(self, database, loan, names):
        assert "dismissed" in names("--dismiss-names", loan["docs"]).out
        assert names("--repair", "names_alike", "--no-input", "--json").json["findings_repaired"] == 0
        assert_tree(database, loan, "top:Loan/{docs:Docs(1), capitals:DOCS(2), Photos}")

    def test_records_who_decided(self, database, loan, names):
        names("--approve-names", loan["docs"])
        assert NameGroup.objects.using(database).get().decided_by == getpass.getuser()

    def test_refuses_a_folder_whose_name_looks_like_no_other(self, loan, names):
        done = names("--approve-names", loan["top"])
        assert (done.status, "group of names" in done.sentence) == (2, True)

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (("--names",), "--names needs one --application"),
            (("--approve-names", "1"), "--approve-names needs one --application"),
            (("--dismiss-names", "1", "--stays"), "--stays cannot be used with --dismiss-names"),
        ],
    )
    def test_refuses_what_it_cannot_do(self, database, options, says):
        done = run_command(database, *options)
        assert (done.status, says in done.sentence) == (2, True)
