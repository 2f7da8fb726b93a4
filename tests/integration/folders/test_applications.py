"""Applications as people know them: named by the top folder that stays, and found by a part of that name."""

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from cleanup.services import DatabaseCleanupService
from cleanup.services.folders.applications import find, labels, listed
from tests.support.model_roles import Application
from tests.support.trees import missing_key, tree


@pytest.fixture
def loans(database) -> list[str]:
    texts = ["Loan 2023-0001@5, Draft@3", "Loan 2023-00010/Loan 9", "100%_sure", '"Übergröße"']
    return [tree(database, text).application for text in texts]


class TestName:
    def test_is_that_of_the_top_folder_that_stays(self, database, loans):
        names = labels(using=database, application_ids=loans)
        assert [names[key] for key in loans] == ["Draft", "Loan 2023-00010", "100%_sure", "Übergröße"]
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert labels(using=database, application_ids=loans) == names

    def test_follows_the_policy_of_what_stays(self, database, loans, settings):
        settings.CLEANUP_SURVIVOR = "newest"
        assert labels(using=database, application_ids=loans[:1]) == {loans[0]: "Loan 2023-0001"}

    def test_is_missing_without_folders(self, database):
        empty = missing_key(Application)
        assert labels(using=database, application_ids=[empty, "no key"]) == {}

    def test_of_a_page_is_one_query(self, database, loans):
        with CaptureQueriesContext(connections[database]) as captured:
            labels(using=database, application_ids=loans)
        assert sum("row_number" in query["sql"] for query in captured.captured_queries) == 1


class TestSearch:
    @pytest.mark.parametrize(
        ("text", "places"),
        [
            ("loan 2023", [0, 1]),
            ("0001", [0, 1]),
            ("DRAFT", [0]),
            ("Loan 9", []),
            ("%_", [2]),
            ("an_2", []),
            ("übergröße", [3]),
            ("", []),
            ("\\", []),
        ],
    )
    def test_finds_top_folders_by_a_part_of_their_names(self, database, loans, text, places):
        assert find(using=database, text=text) == [loans[place] for place in places]

    def test_finds_an_id(self, database, loans):
        assert loans[1] in find(using=database, text=loans[1])

    def test_lists_those_with_duplicates(self, database, loans):
        page = listed(using=database, text="loan")
        assert [row.application_id for row in page.rows] == loans[:1]
        assert page.labels[loans[0]] == "Draft"

    def test_is_bounded(self, database, loans):
        assert find(using=database, text="loan", limit=1) == loans[:1]

    def test_finds_as_many_as_asked_for_though_each_has_several_top_folders(self, database):
        made = sorted(tree(database, ", ".join(["Loan"] * 20)).application for _ in range(3))
        assert find(using=database, text="loan", limit=2) == made[:2]
