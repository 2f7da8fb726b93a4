"""Applications as people know them: readable labels, search by label or id, and the affected ones page by page.

Reads only. What is read is bounded: a page of labels, a page of matches, and the time of a search for duplicates.
"""

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import reduce
from operator import or_

from django.db.models import Q

from cleanup import conf, queries
from cleanup.exceptions import InvalidKey
from cleanup.folder_tables import Ownership, folder_tables
from cleanup.models import Hold
from cleanup.services.integrity import outlook
from cleanup.text_safety import is_storable

#: Maximum matches of a search.
MOST_FOUND = 100
#: Pages of the list that begins with the worst.
MOST_PAGES = 100
#: Characters of a text that are searched for.
LONGEST_TEXT = 255
#: Applications examined in the first step; steps grow while little is found.
FIRST_STEP = 500
#: Longest step.
LAST_STEP = 20_000


def labels(*, using: str, application_ids: Iterable[str]) -> dict[str, str]:
    """Return the readable label of each application that has one, by its id.

    It is made of CLEANUP_APPLICATION_LABEL, or is the name of the root folder that stays in a merge.
    """
    tables = folder_tables()
    fields = conf.application_label()
    wanted = tables.application_key.texts(application_ids)
    if not wanted:
        return {}
    if not fields:
        names = queries.root_names(using=using, keys=wanted)
        return {key: name for key, name in names.items() if name.strip()}
    rows = tables.application._base_manager.using(using).filter(pk__in=wanted).values_list("pk", *fields)
    return {
        tables.application_key.text(key): " ".join(str(value) for value in values if value not in (None, ""))
        for key, *values in rows
    }


def find(*, using: str, text: str, limit: int = MOST_FOUND) -> list[str]:
    """Return keys of applications whose label contains the text, capitals or not, or whose id it is."""
    tables = folder_tables()
    text = text.strip()[:LONGEST_TEXT]
    keys: dict[str, None] = {}
    with contextlib.suppress(InvalidKey):
        keys[tables.application_key.text(text)] = None  # also of a deleted application: its history still exists
    if text and is_storable(text):
        search = _labelled if conf.application_label() else queries.applications_named
        keys |= dict.fromkeys(search(using=using, text=text, limit=limit))
    return list(keys)[:limit]


def _labelled(*, using: str, text: str, limit: int) -> list[str]:
    tables = folder_tables()
    condition = reduce(or_, (Q(**{f"{field}__icontains": text}) for field in conf.application_label()))
    rows = tables.application._base_manager.using(using).filter(condition).order_by("pk")
    if tables.ownership == Ownership.TREE:
        rows = rows.filter(**{conf.folder_fields()["parent"]: None})
    found = [tables.application_key.text(key) for key in rows.values_list("pk", flat=True)[:limit]]
    if tables.ownership == Ownership.TREE:  # any root of its name leads to a tree
        found = list(queries.applications_of(using=using, folders=found).values())
    return found


@dataclass(frozen=True, slots=True)
class AffectedPage:
    """Some of the affected applications, in key order."""

    rows: tuple[queries.AffectedApplication, ...]
    after: str | None
    """Continue after this key; None at the end."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """By id, of those that have one."""
    held: frozenset[str] = frozenset()
    """Those on hold."""
    checked_at: datetime | None = None
    """When they were the worst, if a check has told which they are."""


def listed(*, using: str, text: str = "", after: str | None = None) -> AffectedPage:
    """Return a page of affected applications, with labels: those that a search finds, or that follow ``after``.

    Raises InvalidKey.
    """
    if text.strip():
        page = AffectedPage(affected_among(using=using, application_ids=find(using=using, text=text)), None)
        found = _described(page, using=using)
        in_order = sorted(found.rows, key=lambda row: (found.labels.get(row.application_id, ""), row.application_id))
        return replace(found, rows=tuple(in_order))
    page = affected_page(using=using, after=after)
    return _described(page, using=using)


def worst(*, using: str, number: int = 1, size: int = 50) -> AffectedPage:
    """Return a page of affected applications, with labels, those with most duplicates first; pages count from 1.

    Every application is looked at, so there is a last page: ``after`` is the number of the next one. Of a large
    database, those that the latest check found to be the worst, as they are now.
    """
    number = max(1, min(number, MOST_PAGES))
    known = outlook.latest(using=using)
    if known is not None and known.worst:
        found = affected_among(using=using, application_ids=[one.application_id for one in known.worst])
        rows = sorted(found, key=lambda row: (-row.duplicates, row.application_id))
    else:
        known, rows = None, queries.worst_rows(using=using, limit=number * size + 1)
    more = len(rows) > number * size and number < MOST_PAGES
    page = AffectedPage(
        tuple(rows[(number - 1) * size : number * size]),
        str(number + 1) if more else None,
        checked_at=known.checked_at if known else None,
    )
    return _described(page, using=using)


def _described(page: AffectedPage, *, using: str) -> AffectedPage:
    keys = [row.application_id for row in page.rows]
    held = Hold.objects.using(using).filter(application_key__in=keys).values_list("application_key", flat=True)
    return replace(page, labels=labels(using=using, application_ids=keys), held=frozenset(held))


def affected_page(*, using: str, after: str | None = None, size: int = 50, seconds: float = 0.15) -> AffectedPage:
    """Return the affected applications that follow a key: a page, or what was found in the time limit.

    A page may hold fewer without being the last. Raises InvalidKey.
    """
    found: list[queries.AffectedApplication] = []
    deadline = time.monotonic() + seconds
    step = FIRST_STEP
    if after is not None:
        after = folder_tables().application_key.text(after)
    while True:
        further, until = queries.affected_among_next(using=using, after=after, size=step)
        found += further
        if len(found) > size:
            return AffectedPage(tuple(found[:size]), found[size - 1].application_id)
        if until is None or len(found) == size:
            return AffectedPage(tuple(found), until)
        after = until
        if time.monotonic() > deadline:
            return AffectedPage(tuple(found), after)
        step = min(LAST_STEP, step * 2)


def affected_among(*, using: str, application_ids: Sequence[str]) -> tuple[queries.AffectedApplication, ...]:
    """Return those of the named applications that are affected, in key order."""
    valid = folder_tables().application_key.texts(application_ids)
    return tuple(queries.affected_named(using=using, keys=valid)) if valid else ()
