"""What the administrator's screens say."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from cleanup import exceptions
from cleanup.admin import refusals, wording
from cleanup.backends.finding_kinds import CODES
from cleanup.models import Result, RollbackPoint, Run, Schedule, Verification
from cleanup.services.integrity.outlook import Estimate

NOW = datetime(2026, 1, 20, 23, 30, tzinfo=UTC)


class TestTimes:
    def test_are_told_in_the_persons_zone_with_its_name(self):
        with timezone.override(ZoneInfo("Europe/Berlin")):
            assert wording.moment_text(NOW) == "21 January 2026, 00:30 CET"

    def test_have_an_offset_where_the_zone_has_no_name(self):
        with timezone.override(ZoneInfo("America/Sao_Paulo")):
            assert wording.moment_text(NOW) == "20 January 2026, 20:30 UTC-03:00"

    def test_that_never_were_are_said_to_be_so(self):
        assert wording.moment_text(None) == "never"

    def test_leave_out_the_year_while_it_is_this_one(self):
        assert wording.undo_until(datetime(2026, 2, 21, 12, tzinfo=UTC), now=NOW) == "Undo possible until 21 February."

    def test_name_another_year(self):
        assert wording.day(datetime(2027, 2, 21, tzinfo=UTC), now=NOW) == "21 February 2027"

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(0.2, "1 second"), (61, "61 seconds"), (600, "10 minutes"), (7200, "2 hours"), (864_000, "10 days")],
    )
    def test_spans_are_told_roughly(self, seconds, text):
        assert wording.duration(seconds) == text


class TestRuns:
    def run(self, **values) -> Run:
        return Run(
            **{"kind": "cleanup", "status": "running", "total_applications": 40, "done_applications": 12, **values}
        )

    def test_tell_how_far_they_are(self):
        assert wording.run_progress(self.run()) == "12 of 40 applications done."

    def test_tell_how_long_they_will_take(self):
        begun = {"resumed_at": NOW, "heartbeat_at": NOW + timedelta(seconds=60)}
        assert "about 2 minutes left" in wording.run_progress(self.run(**begun))

    def numbers(self, **values) -> str:
        return " · ".join(f"{found.number} {found.words}" for found in wording.run_numbers(self.run(**values)))

    def test_tell_what_was_cleaned_up_held_left_alone_and_failed_apart(self):
        numbers = self.numbers(failed_applications=2, held_applications=3, skipped_applications=1)
        assert numbers == "6 cleaned up · 3 on hold · 1 left alone · 2 failed"

    def test_tell_what_was_undone_and_what_failed(self):
        assert self.numbers(kind="rollback", failed_applications=2) == "10 undone · 2 failed"

    @pytest.mark.parametrize("status", Run.Status)
    def test_have_a_word_for_every_status(self, status):
        assert wording.run_status(status)

    @pytest.mark.parametrize("status", Result.Status)
    def test_have_a_word_for_every_status_of_a_result(self, status):
        assert wording.result_status(status)


class TestUndoRecords:
    def test_tell_until_when(self):
        point = RollbackPoint(status="live", expires_at=NOW + timedelta(days=32))
        assert wording.point_status(point, now=NOW) == "Undo possible until 21 February."

    def test_tell_that_they_were_undone_not_exactly(self):
        assert wording.point_status(RollbackPoint(status="rolled_back", exact=False)) == (
            "Undone (not exactly as before)."
        )


class TestRefusals:
    REFUSALS = [
        kind
        for kind in vars(exceptions).values()
        if isinstance(kind, type)
        and issubclass(kind, exceptions.Refused | exceptions.ApplicationError)
        and kind.code not in {"refused", "application"}
    ]
    AT_THE_SHELL = {"guard_forbidden", "guard_blocked", "folder_not_created"}
    IN_THE_API = {"key_reused", "in_progress"}
    INTERNAL = {"proof_failed", "count_mismatch", "unreadable_journal"}

    @pytest.mark.parametrize("kind", REFUSALS, ids=lambda kind: kind.code)
    def test_have_words_and_a_next_step(self, kind):
        known = refusals.advice(kind.code) != refusals.advice("no such code")
        assert known or kind.code in self.AT_THE_SHELL | self.IN_THE_API | self.INTERNAL

    def test_say_what_to_do(self):
        assert refusals.refusal(exceptions.Busy(run_id="r-1")).startswith("Another cleanup is running. Wait for it")


class TestProblems:
    @pytest.mark.parametrize("code", CODES)
    def test_have_words(self, code):
        assert "_" not in wording.finding(code)


class TestSchedules:
    @pytest.mark.parametrize(
        ("values", "text"),
        [
            ({"schedule_type": "hourly", "minute": 5}, "every hour, at minute 5"),
            ({"schedule_type": "daily", "hour": 2, "minute": 0}, "every day at 02:00 UTC"),
            ({"schedule_type": "weekly", "hour": 3, "minute": 30, "weekday": 6}, "every Sunday at 03:30 UTC"),
        ],
    )
    def test_tell_how_often(self, values, text):
        assert wording.cadence(Schedule(**values)) == text

    @pytest.mark.parametrize(
        ("hours", "text"),
        [
            (1, "today at 15:05 CET"),
            (24, "tomorrow at 14:05 CET"),
            (48, "Monday, 23 February, at 14:05 CET"),
        ],
    )
    def test_tell_when_they_are_due_next(self, hours, text):
        now = datetime(2026, 2, 21, 13, 5, tzinfo=UTC)
        with timezone.override(ZoneInfo("Europe/Berlin")):
            assert wording.upcoming(now + timedelta(hours=hours), now=now) == text


class TestEstimated:
    WHEN = datetime(2026, 11, 28, 14, 5, tzinfo=UTC)

    def test_rounds_what_is_a_guess(self):
        text = wording.estimated(Estimate(30_000, 15_234, 61_870, 490.0), self.WHEN)
        assert "15,000 duplicate folders will be merged and 62,000 files moved. At full speed it takes about 8" in text

    def test_says_if_next_to_nothing_can_be_done(self):
        assert "hardly any of them can be cleaned up" in wording.estimated(Estimate(9, 0, 0, 0.0), self.WHEN)

    def test_says_if_there_is_none(self):
        assert "The next check estimates" in wording.estimated(None, None)


class TestVerification:
    """What a verification has found, in numbers."""

    @pytest.mark.parametrize(
        ("counts", "words"),
        [
            ({}, "No errors"),
            ({"names_alike": 2}, "No errors, 2 warnings"),
            ({"several_roots": 3}, "3 places with duplicates, which a cleanup merges, no other errors"),
            (
                {"several_roots": 3, "same_named_siblings": 1, "cycle": 1, "names_alike": 1},
                "4 places with duplicates, which a cleanup merges, 1 other error, 1 warning",
            ),
            ({"cycle": 2}, "2 errors"),
        ],
    )
    def test_counts_duplicates_apart(self, counts, words):
        assert wording.problems(Verification(counts=counts, passed=True)) == words
