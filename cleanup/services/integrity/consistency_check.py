"""The consistency check: which applications have duplicates, and which of these wait for a person's decision.

And the verification, as far as it is more than looking. A check reads only, but for the late arrivals that a stored one
sees to.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Now

from cleanup import conf, queries
from cleanup.exceptions import TooLarge
from cleanup.folder_tables import folder_tables
from cleanup.models import ConsistencyCheck, Control, Hold, QueuedApplication, Result, Run, Schedule, Verification
from cleanup.queries import AffectedApplication
from cleanup.references import faults_of_shape, schema_changes
from cleanup.services.integrity import freshness
from cleanup.services.integrity.verification import latest_verification
from cleanup.services.integrity.verification import verify as verify_now
from cleanup.services.results import JSON
from cleanup.services.retention import points
from cleanup.services.runs.late_arrivals import LateArrivals

#: Applications looked up together.
PAGE = 500

#: Applications of each kind that wait for a person, up to which all are read once.
FEW = 2000

#: Age beyond which the latest verification says too little.
STALE = timedelta(days=1)


def examine(*, using: str, now: datetime, verify: Callable[[], JSON], at_most: int | None = None) -> JSON:
    """Return the check's JSON, with ``at_most`` so many applications listed.

    ``verify`` makes a verification where there is none younger than a day that can still be right.
    """
    schedule = Schedule.objects.using(using).filter(pk=Schedule.Name.CONSISTENCY_CHECK).first()
    threshold = conf.alert_threshold() if schedule is None else schedule.alert_threshold
    limit = min(conf.list_limit(), at_most or conf.list_limit())
    found = waiting = 0
    listed: list[JSON] = []
    affected = queries.affected_applications(using=using)
    waiting_among = _waiting(using)
    while page := list(islice(affected, PAGE)):
        left = waiting_among({application.application_id for application in page})
        found += len(page)
        waiting += len(left)
        listed += [_as_json(application, left) for application in page[: limit - len(listed)]]
    verification = latest_verification(using=using)
    if verification is None or _is_outdated(verification, using=using, now=now):
        verification = verify()
    return {
        "check_time": now.isoformat(),
        "duplicate_applications_found": found,
        "duplicate_applications": listed,
        "duplicate_applications_left_out": max(0, found - limit),
        "waiting_for_decision": waiting,
        "integrity_verification": verification,
        "needs_cleanup": found > 0 or not verification["verification_passed"],
        "alert_threshold_exceeded": found - waiting > threshold,
    }


def _is_outdated(verification: JSON, *, using: str, now: datetime) -> bool:
    """Return whether a verification is old, or passed before the tables, or a setting, came to be as they are."""
    if now - datetime.fromisoformat(verification["verified_at"]) > STALE:
        return True
    return bool(verification["verification_passed"] and faults_of_shape(using=using))


def _as_json(application: AffectedApplication, waiting: set[str]) -> JSON:
    return {
        "application_id": application.application_id,
        "root_folders": application.roots,
        "duplicates": application.duplicates,
        "waiting_for_decision": application.application_id in waiting,
    }


def _waiting(using: str) -> Callable[[set[str]], set[str]]:
    """Return what finds among applications those that a cleanup would leave.

    They are on hold, or were refused or too large when last tried.
    """
    newest = Result.objects.filter(application_key=OuterRef("application_key"), run__kind=Run.Kind.CLEANUP)
    refused = (
        Result.objects.using(using)
        .filter(status__in=Result.UNUSUAL, run__kind=Run.Kind.CLEANUP)
        .filter(Q(status=Result.Status.FAILED, error_class="data") | Q(error_code=TooLarge.code))
        .annotate(newest=Subquery(newest.order_by("-id").values("pk")[:1]))
        .filter(pk=F("newest"))
    )
    held = Hold.objects.using(using)
    queued = QueuedApplication.objects.using(using).filter(refused=True)
    waiting = [rows.values_list("application_key", flat=True) for rows in (held, queued, refused)]
    few = [list(rows.order_by()[: FEW + 1]) for rows in waiting]
    if all(len(keys) <= FEW for keys in few):
        return set().union(*few).intersection
    return lambda keys: {key for rows in waiting for key in rows.filter(application_key__in=keys)}


def perform(check: ConsistencyCheck, *, using: str, now: datetime, verify: Callable[[], JSON]) -> JSON:
    """Do a stored check: re-point late arrivals, unless all cleaning is frozen, and keep the answer.

    One that follows a run leaves late arrivals to the hourly one, and verifies where the run may have changed that.
    """
    arrived = 0
    after_a_run = check.started_how == freshness.AFTER_A_RUN
    if after_a_run and freshness.verification_is_outdated(using=using):
        verify()
    if not after_a_run and not Control.objects.using(using).frozen().exists():
        arrived = sum(LateArrivals(using=using, references=schema_changes.read(using=using)).sweep().values())
    at_most = None
    if check.started_how == "schedule":
        at_most = Schedule.objects.using(using).get(pk=Schedule.Name.CONSISTENCY_CHECK).max_applications
    answer = examine(using=using, now=now, verify=verify, at_most=at_most) | {"late_arrivals": arrived}
    ConsistencyCheck.objects.using(using).filter(pk=check.pk).update(
        ended_at=Now(),
        duplicate_applications=answer["duplicate_applications_found"],
        waiting_applications=answer["waiting_for_decision"],
        late_arrivals=arrived,
        needs_cleanup=answer["needs_cleanup"],
        alert_threshold_exceeded=answer["alert_threshold_exceeded"],
        summary=answer,
    )
    return answer


def verify(
    *,
    using: str,
    now: datetime,
    application_id: Any = None,
    started_by: str = "",
    verification: Verification | None = None,
) -> JSON:
    """Verify as ``verification.verify`` does; rollback points of before count as verified where it passes."""
    answer = verify_now(using=using, application_id=application_id, started_by=started_by, verification=verification)
    if answer["verification_passed"]:
        keys = None if application_id is None else [folder_tables().application_key.text(application_id)]
        points.mark_verified(using=using, application_ids=keys, now=now)
    return answer
