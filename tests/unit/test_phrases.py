from datetime import UTC, datetime, timedelta, timezone

import pytest

from cleanup import exceptions
from cleanup.phrases import as_reason, as_time, with_reason


class TestReason:
    @pytest.mark.parametrize(
        ("reason", "told"),
        [
            ("year end", "year end"),
            ("The database refused (x).", "The database refused (x)"),
            ("one\ntwo\r\n three", "one two three"),
            ("one\u2028two\x85three", "one two three"),
            ("a\x1b[31mb", "a\\x1b[31mb"),
            (" \n", ""),
        ],
    )
    def test_stands_in_one_line_without_a_full_stop(self, reason, told):
        assert as_reason(reason) == told

    def test_is_left_out_where_there_is_none(self):
        assert [with_reason("It is frozen", reason) for reason in ("", "year end.")] == [
            "It is frozen.",
            "It is frozen: year end.",
        ]


class TestTime:
    @pytest.mark.parametrize(
        "moment",
        [
            datetime(2026, 11, 28, 15, 11, 27, 82942, tzinfo=UTC),
            datetime(2026, 11, 28, 16, 11, 27, tzinfo=timezone(timedelta(hours=1))),
            "2026-11-28T15:11:27.082942+00:00",
        ],
    )
    def test_is_in_utc_and_to_the_minute(self, moment):
        assert as_time(moment) == "2026-11-28 15:11 UTC"

    def test_stands_so_in_the_message_of_an_error(self):
        error = exceptions.PointExpired(rollback_id=1, at=datetime(2026, 11, 28, 15, 11, tzinfo=UTC))
        assert "at 2026-11-28 15:11 UTC." in str(error)
        assert error.at.year == 2026


class TestMessage:
    def test_of_an_error_takes_text_in_one_line(self):
        error = exceptions.Held(application_id="a\nb", reason="one\ntwo")
        assert "\n" not in str(error)

    def test_names_a_wrong_value_as_it_is(self):
        assert str(exceptions.InvalidKey(value="a\nb", what="a run")) == "'a\\nb' is not a valid id of a run."
