"""Cleanups whose plans a person has confirmed."""

import pytest

from cleanup.exceptions import StalePlan
from cleanup.services import DatabaseCleanupService
from cleanup.services.merging.confirmation import forecasts
from cleanup.services.operations import cleanups
from cleanup.services.runs.lifecycle import Actor, Options
from tests.support.trees import assert_tree, tree


def confirmed(using: str, *applications: str) -> Options:
    found = forecasts(using=using, applications=applications)
    return Options(tuple(applications), plan_hashes={one.application_id: one.plan_hash for one in found})


class TestConfirmedPlans:
    def test_are_compared_before_anything_is_written(self, database):
        changed = tree(database, "Loan/Docs*2")
        options = confirmed(database, changed.application)
        tree(database, "Loan/Docs", application=changed.application)
        with pytest.raises(StalePlan):
            cleanups.start(using=database, options=options, actor=Actor(), in_background=False)

    def test_are_compared_again_with_the_rows_locked(self, database):
        kept, changed = tree(database, "Loan/Docs*2"), tree(database, "Loan/Docs*2")
        options = confirmed(database, kept.application, changed.application)
        run = cleanups.start(using=database, options=options, actor=Actor(), in_background=False)
        tree(database, "Loan/Docs", application=changed.application)

        report = DatabaseCleanupService(using=database).resume(run.pk)

        codes = {result.application_id: result.error_code for result in report.results}
        assert codes == {str(kept.application): "", str(changed.application): "stale_plan"}
        assert_tree(database, kept, "Loan/Docs")
        assert_tree(database, changed, "Loan/Docs*2, Loan/Docs")
