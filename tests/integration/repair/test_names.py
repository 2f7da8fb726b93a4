"""Names that look the same: proposed, decided by people, merged, and undone."""

import pytest

from cleanup.exceptions import UnknownObject
from cleanup.services import DatabaseCleanupService
from tests.support.model_roles import Folder
from tests.support.trees import Tree, assert_tree, dump, tree


@pytest.fixture
def service(database) -> DatabaseCleanupService:
    return DatabaseCleanupService(using=database)


@pytest.fixture
def loan(database) -> Tree:
    return tree(
        database,
        'top:Loan/{docs:Docs(1)/Old(1), capitals:DOCS(3)/{Old(1), New}, blank:"docs "(1), Photos/{a:A, b:a}}, Loan/X',
    )


def names_found(service: DatabaseCleanupService) -> int:
    return service.verify_cleanup_integrity()["counts"].get("names_alike", 0)


class TestNames:
    def test_are_proposed_with_what_is_on_each_side(self, service, loan):
        docs, letters = sorted(service.name_groups(loan.application), key=lambda group: -len(group["folders"]))
        shown = ("folder_id", "name", "files", "linked_records")
        assert [tuple(one[part] for part in shown) for one in docs["folders"]] == [
            (loan["docs"], "Docs", 1, 1),
            (loan["capitals"], "DOCS", 3, 2),
            (loan["blank"], "docs ", 1, 0),
        ]
        assert (len(letters["folders"]), docs["decision"]) == (2, "")

    def test_are_none_where_all_differ(self, database, service, loan):
        assert service.name_groups(tree(database, "Case/{A, B}").application) == []

    def test_are_left_alone_until_somebody_approves(self, database, service, loan):
        before = dump(database)
        report = service.repair("names_alike")
        assert (report.total_applications, [left.reason for left in report.not_repaired]) == (0, ["not_approved"] * 2)
        assert dump(database) == before

    def test_are_merged_into_the_one_that_most_rows_use_and_undone(self, database, service, loan):
        before = dump(database)
        service.approve_names(loan.application, loan["docs"])
        assert names_found(service) == 2
        announced = service.repair("names_alike", dry_run=True)
        report = service.repair("names_alike")
        assert (report.findings_repaired, report.total_folders_removed, report.total_files_moved) == (1, 3, 3)
        assert (announced.total_folders_removed, announced.total_rows_moved) == (3, report.total_rows_moved)
        assert_tree(database, loan, "top:Loan/{capitals:DOCS(5)/{Old(2), New}, Photos/{a:A, b:a}}, Loan/X")
        assert names_found(service) == 1
        assert service.resolve_folder(loan["blank"]) == loan["capitals"]
        assert service.rollback_cleanup(report.run_id).exact
        assert dump(database) == before

    def test_are_merged_for_the_application_that_has_them_by_now(self, database, service, loan):
        service.approve_names(loan.application, loan["docs"])
        other = tree(database, "Case")
        Folder.objects.using(database).filter(application=loan.application).update(application=other.application)
        Folder.objects.using(database).filter(name="Case").delete()
        assert service.repair("names_alike").findings_repaired == 1

    @pytest.mark.parametrize("where", ["in a folder of none", "in one of another application"])
    def test_are_left_where_no_top_folder_leads(self, database, service, loan, where):
        service.approve_names(loan.application, loan["docs"])
        service.approve_names(loan.application, loan["a"])
        photos = Folder.objects.using(database).filter(name="Photos")
        if where == "in a folder of none":
            photos.update(application=None)
        else:
            tree(database, "Case")
            photos.update(parent=Folder.objects.using(database).get(name="Case"))
        before, found = dump(database), names_found(service)
        report = service.repair("names_alike")
        (left,) = report.not_repaired
        assert (report.findings_repaired, left.reason) == (1, "unreachable")
        assert "Repair the folders above it first." in left.sentence
        assert names_found(service) == found - 1
        assert service.rollback_cleanup(report.run_id).exact
        assert dump(database) == before

    def test_are_merged_into_the_one_that_a_person_picks(self, database, service, loan):
        service.approve_names(loan.application, loan["blank"], stays=True)
        service.approve_names(loan.application, loan["b"], stays=True)
        assert service.repair("names_alike").findings_repaired == 2
        assert Folder.objects.using(database).filter(pk__in=[loan["a"], loan["b"]]).get().name == "a"
        assert Folder.objects.using(database).filter(pk=loan["blank"]).exists()
        assert not Folder.objects.using(database).filter(pk__in=[loan["docs"], loan["capitals"]]).exists()

    def test_that_are_dismissed_are_found_again_when_another_comes(self, database, service, loan):
        service.dismiss_names(loan.application, loan["a"])
        assert names_found(service) == 1
        third = tree(database, "A, third: Á", application=loan.application)
        Folder.objects.using(database).filter(pk=third["third"]).update(
            name="\uff41", parent=Folder.objects.using(database).get(pk=loan["a"]).parent_id
        )
        assert names_found(service) == 2

    def test_that_are_alone_cannot_be_decided(self, service, loan):
        with pytest.raises(UnknownObject):
            service.approve_names(loan.application, loan["top"])
