"""The first sentence of the cleanup page, in every state that it knows."""

from datetime import UTC, datetime, timedelta

import pytest

from cleanup.admin.headline import Health, Standing, health
from cleanup.models import Run

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def told(**found) -> Health:
    known = {"duplicates": 0, "checked_at": NOW - timedelta(minutes=12), "verification_passed": True}
    return health(Standing(now=NOW, **{**known, **found}))


def run(status: str, **fields) -> Run:
    return Run(**{"kind": "cleanup", "status": status, "total_applications": 1261, "done_applications": 529, **fields})


class TestGood:
    def test_is_what_was_checked_lately_and_will_be_checked_again(self):
        assert told() == ("good", "All is well: no application has duplicates. Checked 12 minutes ago.")

    @pytest.mark.parametrize(
        "found",
        [
            {"duplicates": None, "checked_at": None},
            {"old": True},
            {"outdated": True},
            {"outdated": True, "checking": True},
            {"cluster_alive": False},
            {"schedules_on": False},
            {"checks_on": False},
            {"run": run("running")},
            {"run": run("paused")},
            {"run": run("pending", kind="rollback")},
            {"duplicates": 1},
            {"frozen": True},
            {"stopped": True},
            {"verification_passed": False},
            {"alerts": 1},
            {"overdue": ["full_cleanup"]},
        ],
        ids="-".join,
    )
    def test_is_nothing_else(self, found):
        assert told(**found).level != "good"
        assert "All is well" not in told(**found).sentence


class TestDuplicatesThatAreAllOnHold:
    """People have decided to leave them, so that there is nothing to attend to."""

    FOUND = {"duplicates": 3, "waiting": 3, "all_on_hold": True, "verification_passed": False, "only_duplicates": True}

    def test_are_well_and_told_with_their_number(self):
        assert told(**self.FOUND) == (
            "good",
            "All is well but for 3 applications with duplicates, which are on hold. Checked 12 minutes ago.",
        )

    @pytest.mark.parametrize("found", [{"alerts": 1}, {"old": True}, {"outdated": True}, {"only_duplicates": False}])
    def test_are_not_well_while_something_else_is_wrong_or_unsure(self, found):
        assert told(**{**self.FOUND, **found}).level != "good"

    def test_are_told_of_the_last_check_if_nothing_checks_again(self):
        found = told(**self.FOUND, schedules_on=False)
        assert found.level == "attention"
        assert "only applications on hold had duplicates. Nothing is checking automatically" in found.sentence


class TestOldKnowledge:
    def test_is_told_with_its_age_and_in_grey(self):
        found = told(old=True, schedules_on=False, cluster_alive=True, checked_at=NOW - timedelta(days=45))
        assert found == (
            "unknown",
            (
                "No duplicates at the last check, 14 October (45 days ago)."
                " Nothing is checking automatically: the schedules are off."
            ),
        )

    def test_of_duplicates_stays_bad_news(self):
        found = told(old=True, duplicates=883, checked_at=NOW - timedelta(days=45))
        assert found == ("attention", "883 applications had duplicates at the last check, 14 October (45 days ago).")

    def test_is_unknown_before_the_first_check(self):
        assert told(duplicates=None, checked_at=None).level == "unknown"


class TestFreshKnowledgeThatNothingRenews:
    @pytest.mark.parametrize(
        ("found", "why"),
        [
            ({"cluster_alive": False}, "the background service is not running"),
            ({"schedules_on": False}, "the schedules are off"),
            ({"checks_on": False}, "the check for duplicates is switched off"),
        ],
    )
    def test_wants_attention(self, found, why):
        assert told(**found) == (
            "attention",
            f"No duplicates at the last check, 28 November (12 minutes ago). Nothing is checking automatically: {why}.",
        )


class TestAfterARun:
    def test_bad_news_of_before_is_not_told(self):
        assert "883" not in told(outdated=True, duplicates=883).sentence

    def test_it_says_that_folders_are_checked_again(self):
        assert "are being checked again" in told(outdated=True, checking=True, duplicates=883).sentence

    def test_it_says_what_to_do_where_nothing_checks(self):
        assert "Press “Check now”" in told(outdated=True, schedules_on=False).sentence

    @pytest.mark.parametrize("hidden", [{"cluster_alive": False}, {"frozen": True}])
    @pytest.mark.parametrize("known", [{"outdated": True}, {"duplicates": None}])
    def test_it_names_no_button_that_is_not_there(self, hidden, known):
        sentence = told(**hidden, **known).sentence
        assert "Check now" not in sentence
        assert "check" in sentence


class TestARun:
    def test_is_told_with_its_progress(self):
        fields = {"resumed_at": NOW, "heartbeat_at": NOW + timedelta(seconds=8), "done_when_resumed": 0}
        assert told(run=run("running", **fields), duplicates=1545) == (
            "running",
            "A cleanup is running: 529 of 1,261 done, about 11 seconds left.",
        )

    def test_that_undoes_is_told_as_well(self):
        assert told(run=run("running", kind="rollback")).sentence == "An undo is running: 529 of 1,261 done."

    def test_that_gives_no_sign_of_life_wants_attention(self):
        fields = {"resumed_at": NOW, "heartbeat_at": NOW + timedelta(seconds=8)}
        assert told(run=run("running", **fields), silence=timedelta(minutes=2)) == (
            "attention",
            "A cleanup is running: 529 of 1,261 done. No progress for 2 minutes. The background service may be down.",
        )

    def test_that_is_paused_waits_for_a_person(self):
        assert told(run=run("paused"), outdated=True).level == "attention"
        assert told(run=run("paused")).sentence.startswith("A cleanup is paused: 529 of 1,261 done. It stays paused")


class TestTroubles:
    def test_are_named_in_one_sentence(self):
        found = told(frozen=True, duplicates=1200, alerts=2, overdue=["full_cleanup"])
        assert found.sentence == (
            "Everything is stopped, 1,200 applications have duplicates, 2 alerts are open and full cleanup is overdue."
        )

    def test_of_one_application_are_told_of_one(self):
        assert told(duplicates=1) == ("attention", "1 application has duplicates.")

    def test_of_duplicates_that_wait_are_told_with_how_many_these_are(self):
        found = told(duplicates=84, waiting=70)
        assert found.sentence == "84 applications have duplicates (70 of them on hold, refused or too large)."


class TestVerification:
    """Errors that are the duplicates of the first sentence once more alarm no one twice."""

    def test_of_duplicates_alone_is_told_once(self):
        found = told(duplicates=3, verification_passed=False, only_duplicates=True)
        assert found == ("attention", "3 applications have duplicates.")

    @pytest.mark.parametrize("found", [{"only_duplicates": False}, {"only_duplicates": True, "duplicates": 0}])
    def test_of_anything_else_is_told(self, found):
        told_of = told(**{"duplicates": 3, "verification_passed": False, **found}).sentence
        assert "he last verification found errors" in told_of
