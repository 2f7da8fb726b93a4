"""Process a run in this process, from its start or from where it was interrupted, and what follows its end."""

from collections.abc import Callable
from contextlib import suppress

from django.db import DatabaseError, InterfaceError

from cleanup.models import Run
from cleanup.references import ReferenceMap
from cleanup.services import origin
from cleanup.services.alerting import alerts
from cleanup.services.background import clusters
from cleanup.services.errors import RUN_AT_WORK
from cleanup.services.integrity import rechecks
from cleanup.services.results import Progress
from cleanup.services.runs.team import Team


def work_through(
    run: Run,
    references: ReferenceMap,
    *,
    using: str,
    workers: int = 1,
    batch_size: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> None:
    """Work until the run ends or is paused; then have its changes checked, and evaluate the alerts."""
    team = Team(using=using, run=run, references=references, workers=workers, batch_size=batch_size, progress=progress)
    try:
        team.work()
    except BaseException as error:
        vars(error)[RUN_AT_WORK] = run
        raise
    finally:
        if run.exclusive or run.kind != Run.Kind.CLEANUP:  # no one waits for news of a single application
            with suppress(DatabaseError, InterfaceError):  # it must not hide the error that ended the work
                if clusters.alive(using=using) and not origin.is_at_rest(using=using):
                    rechecks.renew(using=using)
            alerts.evaluate_quietly(using=using)
