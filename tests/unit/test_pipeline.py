"""Pipeline of two threads: who may begin, and who may change rows."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from django.db import OperationalError
from psycopg.errors import LockNotAvailable

from cleanup.services.concurrency.pipeline import ALONE, Pipeline

LONG, A_MOMENT = 10, 0.05


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


class Other:
    """Another thread that does something, and then has come so far."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._done = threading.Event()
        self._thread = threading.Thread(target=lambda: (action(), self._done.set()), daemon=True)
        self._thread.start()

    def waits(self) -> bool:
        return not self._done.wait(A_MOMENT)

    def goes_on(self) -> bool:
        return self._done.wait(LONG)


def test_nobody_begins_while_another_has_much_to_change(pipeline):
    second = pipeline.slot()
    with pipeline.slot() as first:
        first.change()
        other = Other(second.__enter__)
        assert other.waits()
        first.let_next_begin()
        assert other.goes_on()


def test_nobody_plans_ahead_once_a_batch_had_to_wait_for_a_lock(pipeline):
    """It may have been the next one's."""
    with suppress(OperationalError), pipeline.slot() as failing:
        failing.change()
        raise OperationalError from LockNotAvailable()
    with pipeline.slot() as first:
        first.change()
        first.let_next_begin()
        other = Other(pipeline.slot().__enter__)
        assert other.waits()
        first.end()
        assert other.goes_on()


def test_nobody_changes_rows_while_another_does(pipeline):
    with pipeline.slot() as first:
        first.change()
        first.let_next_begin()
        with pipeline.slot() as second:
            other = Other(second.change)
            assert other.waits()
            first.end()
            assert other.goes_on()


def test_a_batch_begins_only_when_the_other_will_soon_have_changed_its_rows(pipeline):
    with pipeline.slot() as first:
        first.change()
        time.sleep(10 * A_MOMENT)  # so long the next one is expected to take
        first.end()
    with pipeline.slot() as second:
        second.change()
        second.let_next_begin()
        other = Other(pipeline.slot().__enter__)
        assert other.waits()
        second.end()
        assert other.goes_on()


def test_when_a_turn_ends_the_next_may_begin_and_change(pipeline):
    with pipeline.slot() as first:
        first.change()
        first.end()
        with pipeline.slot() as second:
            assert Other(second.change).goes_on()


def test_a_turn_that_fails_is_over(pipeline):
    def fail() -> None:
        with pipeline.slot() as first:
            first.change()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pipeline.slot() as second:
        assert Other(second.change).goes_on()


def test_whoever_is_alone_never_waits():
    with ALONE as first, ALONE as second:
        first.change()
        assert Other(second.change).goes_on()
