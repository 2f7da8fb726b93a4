"""Requests that are worked off at once, behind PgBouncer in transaction mode."""

import pytest

from tests.support import pgbouncer
from tests.support.trees import dump, tree


@pytest.mark.only("postgresql")
def test_a_cleanup_is_waited_for_and_undone(served, make_caller):
    with pgbouncer.between(served):
        caller = make_caller(superuser=True)
        for _ in range(3):
            tree(served, "Loan/Docs(1), Loan/Docs(2)")
        before = dump(served)
        cleaned = caller.post("cleanup?wait=true")
        assert (cleaned.status_code, cleaned.json()["successful_cleanups"]) == (200, 3)
        undone = caller.post(f"rollback/{cleaned.json()['run_id']}?wait=true")
        assert (undone.status_code, undone.json()["exact"]) == (200, True)
        assert dump(served) == before
