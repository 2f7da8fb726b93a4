"""The chart of duplicates over time."""

from datetime import date, timedelta

import pytest

from cleanup.admin.chart import chart, days_of
from cleanup.services.monitoring.trend import Cleanups, Trend

LAST = date(2026, 11, 29)


def drawn(measured: dict[int, int], *, days: int = 90, cleanups: dict[int, Cleanups] | None = None):
    """Draw what was measured so many days ago."""

    def ago(number: int) -> date:
        return LAST - timedelta(days=number)

    return chart(
        Trend(
            ago(days - 1),
            LAST,
            {ago(number): value for number, value in sorted(measured.items(), reverse=True)},
            {ago(number): ran for number, ran in (cleanups or {}).items()},
        )
    )


class TestTheTimeAxis:
    def test_is_true_to_the_days_between(self):
        first, second, third = drawn({80: 5, 20: 4, 0: 3}).dots
        assert round((second.x - first.x) / (third.x - second.x), 2) == 3

    def test_names_months_and_the_new_year(self):
        assert [tick.text for tick in drawn({0: 1}).dates] == ["Sep", "Oct", "Nov"]
        assert [tick.text for tick in drawn({0: 1}, days=365).dates][:2] == ["Dec", "2026"]

    def test_names_the_mondays_of_a_month(self):
        assert [tick.text for tick in drawn({0: 1}, days=30).dates] == ["2 Nov", "9 Nov", "16 Nov", "23 Nov"]


class TestTheLine:
    def test_has_a_gap_where_nothing_was_measured(self):
        found = drawn({4: 9, 3: 8, 1: 7, 0: 6})
        assert [(start.value, end.value) for start, end in found.segments] == [(9, 8), (7, 6)]

    def test_has_none_where_checks_are_weekly(self):
        assert len(drawn({21: 9, 14: 8, 7: 7, 0: 6}).segments) == 3

    @pytest.mark.parametrize(("value", "top"), [(0, "2"), (751, "800"), (883, "1,000"), (1261, "1,600")])
    def test_has_a_round_scale(self, value, top):
        assert drawn({0: value}).levels[-1].text == top

    def test_ends_with_its_value(self):
        assert drawn({1: 751, 0: 1687}).last_text == "1,687"


class TestCleanups:
    def test_are_marked_and_counted(self):
        found = drawn({1: 751, 0: 687}, cleanups={0: Cleanups(2, 310)})
        assert found.marks == (found.last.x,)
        chosen = next(column for column in found.columns if column.chosen)
        assert chosen.text == "29 November 2026: 687 applications with duplicates. 2 cleanups, 310 folders merged."

    def test_are_told_of_days_without_a_check(self):
        found = drawn({}, cleanups={0: Cleanups(1, 1)})
        assert found.rows[0].text == "29 November 2026"
        assert found.columns[-1].text == "29 November 2026: not checked. 1 cleanup, 1 folder merged."


class TestAYear:
    def test_has_columns_of_several_days_that_tell_the_last_one(self):
        found = drawn({3: 7, 2: 5}, days=365)
        assert len(found.columns) == 73
        assert found.columns[-1].text == "27 November 2026: 5 applications with duplicates."


class TestTheSummary:
    def test_says_what_it_began_and_ended_with(self):
        assert drawn({9: 3, 4: 8, 0: 5}).summary == (
            "Applications with duplicates: 3 on 20 November 2026, 5 on 29 November 2026; in between, from 3 to 8."
        )

    def test_says_that_nothing_was_measured(self):
        assert drawn({}).summary == "Nothing was measured in the last 90 days."


@pytest.mark.parametrize(("text", "days"), [("30", 30), ("365", 365), ("", 90), ("7", 90), ("9" * 99, 90)])
def test_days_are_those_that_can_be_chosen(text, days):
    assert days_of(text) == days
