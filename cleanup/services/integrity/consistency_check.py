"""The consistency check: which applications have duplicates, and which of these wait for a person's decision.

It reads only.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from django.db.models import F, OuterRef, Q, Subquery

from cleanup import conf, queries
from cleanup.exceptions import TooLarge
from cleanup.models import Hold, QueuedApplication, Result, Run, Schedule
from cleanup.services.results import CheckedApplication, CheckReport

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cleanup.queries import AffectedApplication
    from cleanup.services.integrity.check_notes import Notes
    from cleanup.services.results import VerificationReport

#: Applications looked up together.
PAGE = 500

#: Applications of each kind that wait for a person, up to which all are read at once.
FEW = 2000


def examine(
    *,
    using: str,
    now: datetime,
    verification: VerificationReport,
    at_most: int | None = None,
    notes: Notes | None = None,
) -> CheckReport:
    """Check, and list ``at_most`` so many applications, with the result of a verification; take notes if asked."""
    with queries.reading(using=using):
        schedule = Schedule.objects.using(using).filter(pk=Schedule.Name.CONSISTENCY_CHECK).first()
        waiting_among = _waiting(using)
    threshold = conf.alert_threshold() if schedule is None else schedule.alert_threshold
    limit = min(conf.list_limit(), at_most or conf.list_limit())
    found = waiting = 0
    listed: list[CheckedApplication] = []
    affected = queries.affected_applications(using=using)
    while page := list(islice(affected, PAGE)):
        left = waiting_among({application.application_id for application in page})
        found += len(page)
        waiting += len(left)
        if notes is not None:
            notes.add(page, left)
        listed += [_checked(application, left) for application in page[: limit - len(listed)]]
    return CheckReport(
        check_time=now,
        duplicate_applications_found=found,
        duplicate_applications=tuple(listed),
        duplicate_applications_left_out=max(0, found - limit),
        waiting_for_decision=waiting,
        integrity_verification=verification,
        needs_cleanup=found > 0 or not verification.verification_passed,
        alert_threshold_exceeded=found - waiting > threshold,
    )


def _checked(application: AffectedApplication, waiting: set[str]) -> CheckedApplication:
    return CheckedApplication(
        application_id=application.application_id,
        root_folders=application.roots,
        duplicates=application.duplicates,
        waiting_for_decision=application.application_id in waiting,
    )


def _waiting(using: str) -> Callable[[set[str]], set[str]]:
    """Return a function that selects the applications that a cleanup would leave.

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
