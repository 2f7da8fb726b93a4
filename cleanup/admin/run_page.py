"""What pages show about a run, live while it is active."""

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from cleanup import stored_texts
from cleanup.admin import access, wording
from cleanup.admin.base import list_link
from cleanup.admin.headline import no_progress
from cleanup.models import Result, Run
from cleanup.permissions import DESCRIPTIONS, to_control
from cleanup.services import runs as run_services

KINDS: dict[str, Any] = {
    Run.Kind.CLEANUP: pgettext_lazy("kind of run", "Cleanup"),
    Run.Kind.REPAIR: pgettext_lazy("kind of run", "Repair"),
    Run.Kind.ROLLBACK: pgettext_lazy("kind of run", "Undo"),
}


def live(run: Run, *, site: str, silence: timedelta | None = None) -> dict[str, Any]:
    """Return what the live part of a page shows about a run, which may have given no sign of life for a while."""
    undo_until, stopped = undoable_until(run), wording.stop_reason(run)
    if run.kind == Run.Kind.ROLLBACK:
        run.restored = run_services.reports.restored(run, using=access.database())
    return {
        "run_state": wording.capitalized(wording.run_status(run.status)),
        "run_reason": stopped.what,
        "run_reason_next_step": stopped.next_step,
        "run_reason_for_it": stopped.for_it,
        "run_to_control": wording.missing_permission([_(DESCRIPTIONS[permission]) for permission in to_control(run)]),
        "run_waiting_for": stored_texts.shown(run.waiting_for),
        "run_progress": wording.run_progress(run, silent=silence is not None),
        "run_numbers": numbers(run, site=site),
        "run_silence": no_progress(silence) if silence else "",
        "run_outcome": wording.run_outcome(run),
        "run_exactness": "" if run.is_in_progress else wording.run_exactness(run),
        "run_active": run.is_in_progress,
        "run_can_pause": run.can_pause,
        "run_can_resume": run.can_resume,
        "run_can_cancel": run.can_cancel,
        "run_can_undo": undo_until is not None,
        "run_ended": "" if run.is_in_progress else wording.run_ended(run, undo_until=undo_until),
    }


def numbers(run: Run, *, site: str) -> SafeString:
    """Show the run's applications by outcome, each number as a link to its results."""
    links = (
        (
            list_link(
                site,
                Result,
                f"{wording.number_text(found.number)} {found.words}",
                run__id__exact=run.pk,
                status=found.status,
            ),
        )
        for found in wording.run_numbers(run)
    )
    return format_html_join(" · ", "{}", links)


def undoable_until(run: Run) -> datetime | None:
    """Return until when all that can still be undone of a cleanup can be; None if nothing can."""
    read: Any = Run.objects.using(access.database()).with_undoable_until().get(pk=run.pk)
    until: datetime | None = read.undoable_until
    return until


def may_control(request: HttpRequest, run: Run) -> bool:
    """Return whether the person may pause, resume and cancel the run."""
    return any(access.may(request, permission) for permission in to_control(run))
