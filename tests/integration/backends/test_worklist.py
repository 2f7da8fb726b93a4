"""The statements of every batch on the worklist: what can be claimed, and whether it may still be done."""

import uuid

import pytest
from django.db import transaction

from cleanup import backends
from cleanup.backends.worklist import Worklist
from cleanup.models import FreezeSwitch, Result, Run

TOKEN = uuid.UUID(int=7)


@pytest.fixture
def run(database) -> Run:
    return started(database)


@pytest.fixture
def worklist(database) -> Worklist:
    return backends.database(using=database).worklist


def started(database: str, status: str = "running") -> Run:
    return Run.objects.using(database).create(kind="cleanup", status=status, exclusive=False, started_how="shell")


def listed(run: Run, keys: str = "abc", **state: object) -> list[int]:
    """Add a result for each key; return their ids."""
    results = Result.objects.using(run._state.db)
    return [results.create(run=run, application_key=key, **state).pk for key in keys]


class TestNextPending:
    def keys(self, worklist: Worklist, run: Run, *, after: str | None = None, size: int = 9, descending=False) -> str:
        with transaction.atomic(using=worklist.connection.alias):
            found = worklist.next_pending(run.pk, after=after, size=size, descending=descending)
        return "".join(key for _, key, _, _ in found)

    def test_come_in_the_order_of_their_keys(self, worklist, run):
        listed(run, "cab")
        assert self.keys(worklist, run) == "abc"
        assert self.keys(worklist, run, descending=True) == "cba"

    def test_follow_a_key_and_are_no_more_than_asked_for(self, worklist, run):
        listed(run, "abcde")
        assert self.keys(worklist, run, after="b", size=2) == "cd"
        assert self.keys(worklist, run, after="d", size=2, descending=True) == "cb"

    def test_are_those_of_the_run_that_wait_and_need_not_be_alone(self, database, worklist, run):
        listed(run, "a", status="in_progress", lease_token=TOKEN)
        listed(run, "b", isolated=True)
        listed(started(database), "c")
        (pk,) = listed(run, "d", attempts=2)
        with transaction.atomic(using=database):
            found = worklist.next_pending(run.pk, after=None, size=9, descending=False)
        assert found == [(pk, "d", None, 2)]

    @pytest.mark.parametrize(("status", "keys"), [("pending", "abc"), ("paused", ""), ("cancelled", "")])
    def test_are_none_of_a_run_that_was_told_to_stop(self, database, worklist, status, keys):
        run = started(database, status)
        listed(run)
        started(database)
        assert self.keys(worklist, run) == keys

    def test_are_none_during_a_freeze(self, database, worklist, run):
        listed(run)
        FreezeSwitch.objects.using(database).update(frozen=True)
        assert self.keys(worklist, run) == ""


class TestLock:
    def locked(self, worklist: Worklist, results: list[int], token: uuid.UUID | None = TOKEN) -> list[bool]:
        with transaction.atomic(using=worklist.connection.alias):
            return worklist.lock(results, token=token)

    def test_returns_those_that_are_still_claimed_under_the_token(self, worklist, run):
        ours = listed(run, "ab", status="in_progress", lease_token=TOKEN)
        lost = listed(run, "c", status="in_progress", lease_token=uuid.uuid4())
        ended = listed(run, "d", status="completed", lease_token=TOKEN)
        assert self.locked(worklist, [*ours, *lost, *ended]) == [True, True]
        assert self.locked(worklist, ours[:1]) == [True]
        assert self.locked(worklist, ours, token=None) == []

    def test_says_for_each_whether_its_run_may_continue(self, database, worklist, run):
        first, last = (
            listed(one, "a", status="in_progress", lease_token=TOKEN) for one in (run, started(database, "paused"))
        )
        assert self.locked(worklist, [*last, *first]) == [True, False]
        FreezeSwitch.objects.using(database).update(frozen=True)
        assert self.locked(worklist, first) == [False]


class TestAdd:
    def test_adds_to_the_run_alone_and_gives_a_sign_of_life(self, database, worklist, run):
        other = started(database)
        for number in (2, 3):
            worklist.add(run.pk, {"done_applications": number, "files_moved": 1})
        run.refresh_from_db()
        other.refresh_from_db()
        assert (run.done_applications, run.files_moved) == (5, 2)
        assert (other.done_applications, other.heartbeat_at) == (0, None)
        assert run.heartbeat_at is not None
