"""The states of a run: services make the transitions of the table and no others."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from cleanup.exceptions import NotPausable, NotResumable
from cleanup.models import Result, Run
from cleanup.references import schema_changes
from cleanup.services.runs import lifecycle
from cleanup.services.runs.team import Team
from tests.support import dirty_database

STATES = list(Run.Status)


def pause(run: Run) -> None:
    lifecycle.pause(using=run._state.db, run=run, reason="a test")


def cancel(run: Run) -> None:
    lifecycle.cancel(using=run._state.db, run=run, reason="a test")


def resume(run: Run) -> None:
    lifecycle.reopen(using=run._state.db, run=run, retry_failed=False)


def retry_failed(run: Run) -> None:
    lifecycle.reopen(using=run._state.db, run=run, retry_failed=True)


def halt(run: Run) -> None:
    lifecycle.halt(using=run._state.db, run=run, reason="a test")


def work(run: Run) -> None:
    using = run._state.db
    Team(using=using, run=run, references=schema_changes.read(using=using)).work()


VERBS = (pause, cancel, resume, retry_failed, halt, work)


@pytest.fixture
def run(database) -> Run:
    dirty_database.make(database, applications=1)
    return lifecycle.create_cleanup(using=database, options=lifecycle.Options(), actor=lifecycle.Actor())


def put_in(run: Run, status: Run.Status, *, failed: bool = False) -> None:
    """Bring a run, and its one result, into a state by SQL."""
    using = run._state.db
    Run.objects.using(using).filter(pk=run.pk).update(status=status)
    if failed:
        Result.objects.using(using).update(status=Result.Status.FAILED)
    run.refresh_from_db(using=using)


@pytest.mark.parametrize("status", STATES)
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
def test_services_make_listed_transitions_only(run, verb: Callable[[Run], None], status):
    put_in(run, status)
    with suppress(NotPausable, NotResumable):
        verb(run)
    run.refresh_from_db()
    assert run.status == status or run.status in Run.TRANSITIONS[status]


@pytest.mark.parametrize("status", STATES)
class TestRefusals:
    def is_refused(self, verb: Callable[[Run], None], run: Run) -> bool:
        try:
            verb(run)
        except (NotPausable, NotResumable):
            return True
        return False

    def test_cancel_is_refused_unless_listed(self, run, status):
        put_in(run, status)
        assert self.is_refused(cancel, run) != (Run.Status.CANCELLED in Run.TRANSITIONS[status])

    def test_pause_is_refused_unless_listed_or_asked_for_before(self, run, status):
        put_in(run, status)
        accepted = Run.Status.PAUSING in Run.TRANSITIONS[status] or status in ("pausing", "paused")
        assert self.is_refused(pause, run) != accepted

    def test_retry_is_refused_unless_listed(self, run, status):
        put_in(run, status, failed=True)
        assert self.is_refused(retry_failed, run) != (Run.Status.PENDING in Run.TRANSITIONS[status])

    def test_resume_is_refused_of_completed_runs_too(self, run, status):
        put_in(run, status)
        assert self.is_refused(resume, run) == run.is_over

    def test_a_refusal_changes_no_result(self, run, status):
        put_in(run, status, failed=True)
        if self.is_refused(retry_failed, run):
            assert run.results.get().status == "failed"


class TestMoveTo:
    @pytest.mark.parametrize("source", STATES)
    def test_moves_to_listed_states_only(self, run, source):
        for target in STATES:
            put_in(run, source)
            moved = Run.objects.using(run._state.db).filter(pk=run.pk).move_to(target)
            run.refresh_from_db()
            expected = target in Run.TRANSITIONS[source]
            assert (bool(moved), run.status) == (expected, target if expected else source)

    def test_lists_every_state(self):
        assert set(Run.TRANSITIONS) == set(STATES)

    def test_asks_the_database_not_what_was_read(self, run, database):
        stale = Run.objects.using(database).get(pk=run.pk)
        cancel(run)
        with pytest.raises(NotResumable, match="cancelled"):
            resume(stale)
        run.refresh_from_db()
        assert run.status == "cancelled"


@pytest.mark.parametrize("status", STATES)
def test_query_sets_and_predicates_agree(run, status):
    put_in(run, status)
    runs = Run.objects.using(run._state.db)
    assert runs.active().exists() == runs.exclusive_cleanup().exists() == run.is_active
    assert runs.claimable().exists() == run.is_claimable
    assert runs.filter(status__in=Run.IN_PROGRESS).exists() == run.is_in_progress
    assert runs.filter(status__in=Run.OVER).exists() == run.is_over


@pytest.mark.parametrize(
    ("status", "failed", "expected"),
    [
        ("pending", 0, (True, False, True)),
        ("running", 0, (True, False, True)),
        ("pausing", 0, (False, False, True)),
        ("paused", 0, (False, True, True)),
        ("stopped", 0, (False, True, True)),
        ("completed", 0, (False, False, False)),
        ("completed", 1, (False, True, False)),
        ("cancelled", 1, (False, False, False)),
    ],
)
def test_offers_what_is_of_use(status, failed, expected):
    run = Run(status=status, failed_applications=failed)
    assert (run.can_pause, run.can_resume, run.can_cancel) == expected
