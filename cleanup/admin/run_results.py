"""The applications on the page of a run: the first of them, those that need a person before those that were done."""

from dataclasses import dataclass
from typing import Any

from django.contrib.admin.utils import quote
from django.db.models import Count
from django.utils.translation import gettext as _

from cleanup.admin import access, badges, refusals, wording
from cleanup.models import Result, Run
from cleanup.services import folders
from cleanup.text_safety import safe

#: Applications that the page of a run shows; the list of results has all.
MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One application of the run."""

    key: str
    name: str
    address: str
    """Of its folders."""
    result: str
    """Address of the result."""
    state: Any
    outcome: str
    why: str
    """What the cleanup left alone, and why."""
    for_it: str
    """The message, which names table and constraint."""
    kept: str
    again: str
    """Address of the new preview, if the folders had changed since the person looked."""


def first(run: Run, *, site: str) -> list[Row]:
    """Return the first applications of a run."""
    results = Result.objects.using(access.database()).filter(run=run).order_by("application_key")
    unusual = run.failed_applications + run.held_applications + run.skipped_applications
    found = list(results.filter(status__in=Result.UNUSUAL)[:MOST_SHOWN]) if unusual else []
    if len(found) < MOST_SHOWN and unusual < run.total_applications:
        found += results.exclude(status__in=Result.UNUSUAL)[: MOST_SHOWN - len(found)]
    keys = [result.application_key for result in found]
    labels = folders.applications.labels(using=access.database(), application_ids=keys)
    return [_row(result, run, labels.get(result.application_key, ""), site) for result in found]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why some of a run's applications failed."""

    number: str
    why: str
    manual: str
    """A link to what the manual says about it."""


def causes(run: Run, *, site: str) -> list[Cause]:
    """Return why applications failed, most first: what stopped a run is mostly one thing."""
    if not run.failed_applications:
        return []
    failed = Result.objects.using(access.database()).filter(run=run, status=Result.Status.FAILED).order_by()
    found = failed.values_list("error_code").annotate(number=Count("pk")).order_by("-number", "error_code")
    return [
        Cause(wording.counted(number, "application"), refusals.obstacle(code), access.manual_link(site, code))
        for code, number in found
    ]


def _row(result: Result, run: Run, label: str, site: str) -> Row:
    result.run = run
    key = result.application_key
    return Row(
        key=key,
        name=safe(label or key),
        address=access.address(site, "preview", quote(key)),
        result=access.address(site, "result_change", result.pk),
        state=badges.badge(badges.RESULTS.get(result.status, "unknown"), wording.result_status(result.status)),
        outcome=wording.result_outcome(result),
        why=refusals.obstacle(result.error_code) if result.error_code else "",
        for_it=safe(result.error_message),
        kept=_kept(result.details),
        again=again(result, site=site),
    )


def again(result: Result, *, site: str) -> str:
    """Return the address of the new preview of what was not done because the folders had changed; empty otherwise."""
    return access.address(site, "preview", quote(result.application_key)) if result.error_code == "stale_plan" else ""


def _kept(details: dict[str, Any]) -> str:
    """Count what an undo left as it is, and what came back as copies."""
    kept = len(details.get("conflicts", ())) + details.get("conflicts_left_out", 0)
    copies = len(details.get("copies", ())) + details.get("copies_left_out", 0)
    parts = [
        wording.kept(kept) if kept else "",
        _("%s came back as copies") % wording.counted(copies, "folder") if copies else "",
    ]
    return "; ".join(filter(None, parts))
