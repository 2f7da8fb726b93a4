"""What people review before a verb: an application's folders, the plans to confirm, an undo; each in one read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Sum
from django.db.models.functions import Coalesce

from cleanup import conf, queries
from cleanup.exceptions import UnknownObject
from cleanup.folder_tables import folder_tables
from cleanup.models import Hold, PreparedPreview, Result, RollbackPoint, Run
from cleanup.services.folders import applications
from cleanup.services.integrity import outlook
from cleanup.services.merging import confirmation, preview
from cleanup.services.merging.confirmation import MergeForecast
from cleanup.services.operations import prepared_previews
from cleanup.services.results import Preview
from cleanup.services.rollback.not_restored import left_behind


@dataclass(frozen=True, slots=True)
class ApplicationPreview:
    """What a cleanup of one application would do."""

    application_id: str
    label: str
    """The application's readable label; empty if it has none."""
    hold: Hold | None
    folders: int
    preview: Preview | None
    """None while it is not ready."""
    in_background: bool
    """A cluster works it out, because it is large."""
    prepared: PreparedPreview | None
    """If one was asked for."""
    large: bool
    """Cleanups leave it alone unless it is asked for."""


def of_application(*, using: str, application_id: str) -> ApplicationPreview:
    """Return what a cleanup of one application would do. Raises UnknownObject, InvalidKey and PreflightFailed."""
    folders = preview.count_folders(using=using, application_id=application_id)
    in_background, prepared = prepared_previews.is_prepared(folders), None
    if in_background:
        application_id = folder_tables().application_key.text(application_id)
        prepared = prepared_previews.latest(using=using, application_id=application_id, folders=folders)
        found = prepared_previews.preview_of(prepared)
    else:
        found = preview.whole_preview(using=using, application_id=application_id, folders=folders)
        application_id = found.application_id
    label = applications.labels(using=using, application_ids=[application_id]).get(application_id, "")
    may_be_held = in_background or found is None or any(obstacle.code == "held" for obstacle in found.obstacles)
    hold = Hold.objects.using(using).filter(application_key=application_id).first() if may_be_held else None
    return ApplicationPreview(
        application_id, label, hold, folders, found, in_background, prepared, folders > conf.large_application()
    )


def known_key(*, using: str, application_id: str) -> str:
    """Return the key of an application that has folders. Raises UnknownObject and InvalidKey."""
    key = folder_tables().application_key.text(application_id)
    if not preview.count_folders(using=using, application_id=key):
        raise UnknownObject(what="application", key=key)
    return key


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The plans that are about to be confirmed, with the labels of their applications."""

    forecasts: Sequence[MergeForecast]
    labels: Mapping[str, str]
    aside: queries.SetAside | None = None
    """If no application can be cleaned up: how many have duplicates, and why they are left alone."""
    checked_at: datetime | None = None
    """When they were the worst, if a check has told which they are."""


def of_applications(*, using: str, application_ids: Sequence[str]) -> Confirmation:
    """Return what a cleanup of named applications would do. Raises InvalidKey and PreflightFailed."""
    return _labelled(confirmation.forecasts(using=using, applications=application_ids), using=using)


def of_worst(*, using: str, number: int) -> Confirmation:
    """Return what a cleanup of the worst applications that can be cleaned up would do. Raises PreflightFailed.

    Of a large database, the worst are those of the latest check, if it found enough.
    """
    known = outlook.latest(using=using)
    if known is not None and known.worst:
        forecasts = confirmation.worst(
            using=using, number=number, candidates=[one.application_id for one in known.worst]
        )
        if len(forecasts) == number:
            return replace(_labelled(forecasts, using=using), checked_at=known.checked_at)
    forecasts = confirmation.worst(using=using, number=number)
    if not forecasts:
        return Confirmation((), {}, aside=confirmation.why_none(using=using))
    return _labelled(forecasts, using=using)


def _labelled(forecasts: Sequence[MergeForecast], *, using: str) -> Confirmation:
    named = [forecast.application_id for forecast in forecasts]
    return Confirmation(forecasts, applications.labels(using=using, application_ids=named))


@dataclass(frozen=True, slots=True)
class Everything:
    """What a cleanup of everything would do."""

    aside: queries.SetAside
    """The applications with duplicates, and how many of them are left alone."""
    checked_at: datetime | None
    """When they were counted; None: just now."""
    estimate: outlook.Estimate | None
    """None if no check has made one."""
    estimated_at: datetime | None


def of_everything(*, using: str) -> Everything:
    """Return what a cleanup of everything would do; of a large database as the latest check found, if that is right."""
    known = outlook.latest(using=using)
    counted = known.aside if known is not None and not known.outdated else None
    aside = counted or confirmation.why_none(using=using)
    estimate = known.estimate.of(aside.affected - aside.held - aside.large) if known and known.estimate else None
    checked_at = known.checked_at if known is not None else None
    return Everything(aside, checked_at if counted else None, estimate, checked_at if estimate else None)


@dataclass(frozen=True, slots=True)
class RunUndo:
    """What undoing a run would affect, from stored rows alone."""

    points: int
    """Live rollback points."""
    folders: int
    files: int
    expired: int
    """Applications that can no longer be restored."""
    expired_applications: Sequence[str]
    """Some of these, by label or else by id."""


def of_run(*, using: str, run: Run, listed: int) -> RunUndo:
    """Return what undoing a run would affect, with ``listed`` so many lost applications named."""
    points = RollbackPoint.objects.using(using).filter(run=run)
    live = points.filter(status=RollbackPoint.Status.LIVE).count()
    # Of a run of very many applications, mostly all are live: only the others are looked for.
    gone = Result.objects.using(using).filter(run=run, point__in=points.exclude(status=RollbackPoint.Status.LIVE))
    ended = gone.aggregate(folders=Coalesce(Sum("folders_removed"), 0), files=Coalesce(Sum("files_moved"), 0))
    behind = left_behind(using=using, source=run)
    lost = [point.application_id for point in behind.listed if point.code == "expired"][:listed]
    labels = applications.labels(using=using, application_ids=lost)
    names = [labels.get(application_id, "") or application_id for application_id in dict.fromkeys(lost)]
    folders, files = run.folders_removed - ended["folders"], run.files_moved - ended["files"]
    return RunUndo(live, folders, files, behind.expired, names)
