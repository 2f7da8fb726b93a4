"""What a stored check notes for the pages, and how pages of a large database rely on it."""

import pytest

from cleanup.services import DatabaseCleanupService
from cleanup.services.folders import applications
from cleanup.services.integrity import check_notes, outlook
from cleanup.services.operations import previews, stored_checks
from tests.support.trees import tree


@pytest.fixture
def large(monkeypatch) -> None:
    """Have every database count as large."""
    monkeypatch.setattr(check_notes, "LARGE", -1)


def mess(using: str, twins: int) -> str:
    """Make an application with so many folders too many, and a file in each of them."""
    return str(tree(using, f"Loan, {', '.join(['Loan(1)'] * twins)}").application)


def check(using: str) -> None:
    stored_checks.check_and_store(using=using)


class TestEstimate:
    def test_is_exact_for_few(self, database):
        mess(database, 2)
        mess(database, 1)
        check(database)
        found = outlook.latest(using=database).estimate
        assert (found.applications, found.folders, found.files) == (2, 3, 3)
        assert found.seconds > 0

    def test_is_scaled_from_a_sample(self, database, monkeypatch):
        monkeypatch.setattr(check_notes, "SAMPLE", 3)
        for _ in range(6):
            mess(database, 2)
        check(database)
        found = outlook.latest(using=database).estimate
        assert (found.applications, found.folders) == (3, 6)
        assert found.of(6).folders == previews.of_everything(using=database).estimate.folders == 12

    def test_leaves_out_what_is_on_hold(self, database):
        DatabaseCleanupService(using=database).hold(mess(database, 5))
        mess(database, 1)
        check(database)
        assert outlook.latest(using=database).estimate.folders == 1

    def test_of_nothing_is_nothing(self, database):
        check(database)
        assert outlook.latest(using=database).estimate.of(0) == outlook.Estimate(0, 0, 0, 0.0)

    def test_there_is_none_before_a_check(self, database):
        assert outlook.latest(using=database) is None
        assert previews.of_everything(using=database).estimate is None


class TestSmallDatabase:
    def test_is_counted_when_someone_looks(self, database):
        mess(database, 1)
        check(database)
        worst = mess(database, 3)
        everything = previews.of_everything(using=database)
        assert (everything.aside.affected, everything.checked_at) == (2, None)
        assert previews.of_worst(using=database, number=1).forecasts[0].application_id == worst
        assert applications.worst(using=database).rows[0].application_id == worst


@pytest.mark.usefixtures("large")
class TestLargeDatabase:
    def test_is_counted_by_the_check(self, database):
        mess(database, 1)
        DatabaseCleanupService(using=database).hold(mess(database, 1))
        check(database)
        mess(database, 1)
        everything = previews.of_everything(using=database)
        assert (everything.aside.affected, everything.aside.held) == (2, 1)
        assert everything.checked_at == outlook.latest(using=database).checked_at

    def test_is_counted_again_once_a_run_has_changed_folders(self, database):
        mess(database, 1)
        check(database)
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        everything = previews.of_everything(using=database)
        assert (everything.aside.affected, everything.checked_at) == (0, None)

    def test_has_the_worst_that_the_check_found_as_they_are_now(self, database):
        some, more = mess(database, 1), mess(database, 3)
        check(database)
        mess(database, 5)
        page = applications.worst(using=database)
        assert [(row.application_id, row.duplicates) for row in page.rows] == [(more, 3), (some, 1)]
        found = previews.of_worst(using=database, number=2)
        assert [forecast.application_id for forecast in found.forecasts] == [more, some]
        assert found.checked_at == page.checked_at == outlook.latest(using=database).checked_at

    def test_is_looked_at_if_the_check_does_not_know_enough_of_them(self, database):
        mess(database, 1)
        check(database)
        unknown = mess(database, 2)
        found = previews.of_worst(using=database, number=2)
        assert found.forecasts[0].application_id == unknown
        assert found.checked_at is None

    def test_leaves_out_what_was_put_on_hold_since(self, database):
        held, other = mess(database, 3), mess(database, 1)
        check(database)
        DatabaseCleanupService(using=database).hold(held)
        found = previews.of_worst(using=database, number=1)
        assert [forecast.application_id for forecast in found.forecasts] == [other]

    def test_keeps_no_more_than_the_worst(self, database, monkeypatch):
        monkeypatch.setattr(check_notes, "WORST", 2)
        expected = [mess(database, twins) for twins in (4, 3)]
        mess(database, 1)
        check(database)
        assert [row.application_id for row in outlook.latest(using=database).worst] == expected
