"""What an action of the command came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cleanup.management.base import DONE, operator
from cleanup.management.terminal import say
from cleanup.services import results

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from cleanup.models import Run
    from cleanup.services.results import Document, Enqueued


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a verb came to, how to show it, what to exit with, and a last word for standard error."""

    document: Document
    show: Callable[[Console], None]
    exit_status: int = DONE
    last_word: str = ""


def enqueued_run(run: Run) -> Outcome:
    """Describe a run that a cluster will process."""
    document = results.Enqueued(
        status=run.status, run_id=run.pk, kind=run.kind, total_applications=run.total_applications
    )
    return enqueued(document, "Run", run.pk)


def enqueued(document: Enqueued, what: str, key: object) -> Outcome:
    """Describe something that a cluster will do."""
    queued = f"{what} {key} was queued. Follow it with: manage.py database_cleanup --status"
    return Outcome(document, lambda to: say(to, queued))


def actor() -> dict[str, Any]:
    """Return who starts something, and how, for the services."""
    return {"started_by": operator(), "started_how": "shell"}
