"""Previews of large applications, which a request asks for and a cluster works out.

Invariants: one for each application, in outline, so that what is stored and shown is bounded. It is shown only while it
may be current: not once a run has tried the application since, or the number of its folders is another one. Whether the
plan is still the same is decided under the lock, by its hash.
"""

from contextlib import suppress

from django.db import transaction
from django.db.models.functions import Now

from cleanup import conf
from cleanup.exceptions import StalePlan
from cleanup.models import JobLease, PreparedPreview, Result
from cleanup.services.background import clusters, leases
from cleanup.services.merging.preview import count_folders, whole_preview
from cleanup.services.results.preview import Preview, stored_preview

#: Folders up to which a request works a preview out itself; beyond, that could take more than a moment.
MOST_AT_ONCE = 2000
#: Folders of a preview that are stored.
MOST_STORED = 2000


def is_prepared(folders: int) -> bool:
    """Return whether the preview of an application with so many folders is left to a cluster."""
    return folders > min(MOST_AT_ONCE, conf.large_application())


def prepare(*, using: str, application_id: str, by: str) -> PreparedPreview:
    """Have a cluster work it out, unless one is about to. Raises NoCluster, MissingApp and RestoredCopy."""
    clusters.require_alive(using=using)
    with transaction.atomic(using=using):
        rows = PreparedPreview.objects.using(using)
        row, _created = rows.get_or_create(application_key=application_id, defaults={"requested_by": by[:255]})
        rows.filter(pk=row.pk, ended_at__isnull=False).update(
            requested_at=Now(), requested_by=by[:255], ended_at=None, document=None, error=""
        )
        leases.issue(using=using, kind=JobLease.Kind.PREVIEW, target=row)
    return row


def perform(row: PreparedPreview, *, using: str) -> None:
    """Work it out, and store it. Raises UnknownObject and PreflightFailed."""
    found = whole_preview(using=using, application_id=row.application_key)
    PreparedPreview.objects.using(using).filter(pk=row.pk).update(
        ended_at=Now(), folders=len(found.folders), document=found.outlined(MOST_STORED).as_json(), error=""
    )


def latest(*, using: str, application_id: str, folders: int) -> PreparedPreview | None:
    """Return the one that was asked for, given how many folders the application has; None if it cannot be current."""
    row = PreparedPreview.objects.using(using).filter(application_key=application_id).first()
    if row is None or row.ended_at is None or row.error:
        return row
    tried = Result.objects.using(using).filter(application_key=application_id, ended_at__gt=row.requested_at)
    return None if row.folders != folders or tried.exists() else row


def preview_of(row: PreparedPreview | None) -> Preview | None:
    """Return the preview, once it is ready; None also for one that another version has stored in another form."""
    if row is None or row.document is None:
        return None
    with suppress(KeyError, TypeError, ValueError):
        return stored_preview(row.document)
    return None


def refuse_if_not_shown(*, using: str, application_id: str, plan_hash: str) -> None:
    """Raise StalePlan unless a plan is that of the preview that can be shown."""
    folders = count_folders(using=using, application_id=application_id)
    shown = preview_of(latest(using=using, application_id=application_id, folders=folders))
    if shown is None or shown.plan_hash != plan_hash:
        raise StalePlan(application_id=application_id)
