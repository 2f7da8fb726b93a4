"""Decisions that wait for a person, and those already made: applications that cleanups and undos leave alone.

Open are those whose latest result is a refusal or a failure, and those that the folder service found and may not merge;
held are those on hold. An application is in one of the two lists, once. Both are complete: they are read page by page,
and counted by the database.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, TypeVar, overload

from django.db.models import Count, Exists, Model, OuterRef, QuerySet, Value

from cleanup.models import Hold, QueuedApplication, Result, RollbackPoint, Run
from cleanup.paging import in_pages
from cleanup.services.merging.decisions import MISSING

#: Rows read at a time if all are wanted.
PAGE = 500

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class PendingDecision:
    """One application that waits."""

    application_id: str
    code: str
    """``too_large``, ``conflict`` and the like."""
    result: Result | None = None

    @property
    def undo(self) -> bool:
        """Return whether an undo is waiting, not a cleanup."""
        return self.result is not None and self.result.run.kind == Run.Kind.ROLLBACK

    @property
    def can_undo(self) -> bool:
        """Return whether that undo can be requested again."""
        point = self.result.point if self.undo and self.result else None
        return point is not None and point.status == RollbackPoint.Status.LIVE


class Counts(NamedTuple):
    """How many applications wait, and how many are on hold."""

    open: int
    held: int


class OpenDecisions(Sequence[PendingDecision]):
    """The open decisions as a sequence to be paged through: what was refused or failed, newest first, then queued.

    If ``codes`` are given, only theirs; ``numbers`` has how many there are of each code in any case.
    """

    def __init__(self, *, using: str, codes: Collection[str] = ()) -> None:
        results, queued = _unsettled(using), _queued(using)
        of_results, of_queued = _by_code(results, "error_code"), _by_code(queued, "code")
        self.numbers = of_results + of_queued
        if codes:
            known = [code for code in self.numbers if code in codes]
            results, queued = results.filter(error_code__in=known), queued.filter(code__in=known)
            of_results, of_queued = (Counter({code: of[code] for code in known}) for of in (of_results, of_queued))
        self._results = results.select_related("run", "point").order_by("-pk")
        self._queued = queued.order_by("-queued_at", "pk")
        self._number_of_results = of_results.total()
        self._number = self._number_of_results + of_queued.total()

    def __len__(self) -> int:
        return self._number

    @overload
    def __getitem__(self, place: int) -> PendingDecision: ...
    @overload
    def __getitem__(self, place: slice) -> list[PendingDecision]: ...
    def __getitem__(self, place: int | slice) -> PendingDecision | list[PendingDecision]:
        if isinstance(place, int):
            return self[place : place + 1][0]
        start, stop, _ = place.indices(self._number)
        first = self._number_of_results
        decisions = [_of_result(result) for result in self._results[start:stop]] if start < first else []
        queued = self._queued[max(0, start - first) : max(0, stop - first)] if stop > first else ()
        return decisions + [_of_queued(row) for row in queued]


def first_open(*, using: str, number: int, codes: Collection[str] = ()) -> list[str]:
    """Return the applications of so many open decisions, in the order of the list; only of these codes, if any."""
    return [row.application_id for row in OpenDecisions(using=using, codes=codes)[:number]]


def counts(*, using: str) -> Counts:
    """Count both lists, in one query."""
    return counts_of(answers(number_queries(using=using)))


def answers(queries: Sequence[QuerySet[Any, tuple[str, int]]]) -> dict[str, int]:
    """Return what queries of numbers find, by their names, in one query."""
    first, *others = queries
    # From 6.1 on, Django would order a union as its first model is ordered, by a column that it lacks.
    return dict(first.union(*others, all=True).order_by())


def number_queries(*, using: str) -> list[QuerySet[Any, tuple[str, int]]]:
    """Return the queries of the numbers that ``counts_of`` takes, to be united with others."""
    parts = {"results": _unsettled(using), "queued": _queued(using), "held": Hold.objects.using(using).all()}
    return [number_query(name, rows) for name, rows in parts.items()]


def number_query(name: str, rows: QuerySet[Any]) -> QuerySet[Any, tuple[str, int]]:
    """Return the query of a name and how many rows there are; it may have no row if there are none."""
    numbers: QuerySet[Any, tuple[str, int]]
    numbers = rows.order_by().values(part=Value(name)).annotate(number=Count("pk")).values_list("part", "number")
    return numbers


def counts_of(numbers: Mapping[str, int]) -> Counts:
    """Return the counts."""
    return Counts(numbers.get("results", 0) + numbers.get("queued", 0), numbers.get("held", 0))


def held(*, using: str) -> QuerySet[Hold]:
    """Return the holds, newest first."""
    return Hold.objects.using(using).order_by("-pk")


def every_open(*, using: str) -> Iterator[PendingDecision]:
    """Yield all open decisions."""
    for result in _each(_unsettled(using).select_related("run", "point")):
        yield _of_result(result)
    for queued in _each(_queued(using)):
        yield _of_queued(queued)


def every_hold(*, using: str) -> Iterator[Hold]:
    """Yield all holds."""
    return _each(held(using=using))


def _unsettled(using: str) -> QuerySet[Result]:
    """Return the latest results that were refused or failed; held ones wait for their hold, or for nothing."""
    later = Result.objects.filter(application_key=OuterRef("application_key"), pk__gt=OuterRef("pk")).exclude(
        status__in=Result.OPEN
    )
    waiting = Result.objects.using(using).filter(status__in=Result.UNUSUAL).exclude(status=Result.Status.HELD)
    return waiting.exclude(error_code__in=["", MISSING]).filter(~Exists(later), ~Exists(_hold()))


def _queued(using: str) -> QuerySet[QueuedApplication]:
    known = _unsettled(using).filter(application_key=OuterRef("application_key"))
    return QueuedApplication.objects.using(using).filter(~Exists(_hold()), ~Exists(known), refused=True)


def _by_code(rows: QuerySet[Any], field: str) -> Counter[str]:
    return Counter(dict(rows.order_by().values_list(field).annotate(number=Count("pk"))))


def _hold() -> QuerySet[Hold]:
    return Hold.objects.filter(application_key=OuterRef("application_key"))


def _of_result(result: Result) -> PendingDecision:
    return PendingDecision(result.application_key, result.error_code or result.status, result)


def _of_queued(queued: QueuedApplication) -> PendingDecision:
    return PendingDecision(queued.application_key, queued.code)


def _each(rows: QuerySet[M]) -> Iterator[M]:
    """Yield all rows, the highest key first."""
    return chain.from_iterable(in_pages(rows, by="-pk", size=PAGE))
