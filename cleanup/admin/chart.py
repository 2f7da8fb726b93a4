"""The chart of duplicates over time, on a true time axis, for an SVG that holds no style and no script.

Positions are percentages of the plot, so that text and dots keep their size on every screen. Days that nothing was
measured on are gaps. The columns over the plot are what one points at, or steps through with the arrow keys.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from statistics import median

from cleanup.admin import chart_wording
from cleanup.admin.wording import number_text
from cleanup.services.monitoring.trend import Trend

#: The choices of days, by the days of a column: one for each day, unless they were too narrow.
CHOICES = {30: 1, 90: 1, 365: 5}
DEFAULT = 90

#: How many times the usual distance between two checks is a gap.
GAP = 1.5
#: Days beyond which the months are marked, and not the weeks.
WEEKS = 31


@dataclass(frozen=True, slots=True)
class Dot:
    """What one day's last check found."""

    x: float
    y: float
    day: date
    value: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across or down, with what it stands for."""

    at: float
    text: str
    minor: bool = False
    """Without its words on a narrow screen."""


@dataclass(frozen=True, slots=True)
class Column:
    """One or several days, for people to point at."""

    text: str
    """Empty if there is nothing to tell."""
    chosen: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A day in the table beside the chart."""

    day: date
    text: str
    value: int | None
    cleanups: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws."""

    days: int
    segments: tuple[tuple[Dot, Dot], ...]
    dots: tuple[Dot, ...]
    """Those that are drawn as such."""
    last: Dot | None
    last_text: str
    marks: tuple[float, ...]
    """Where cleanups ran."""
    levels: tuple[Tick, ...]
    dates: tuple[Tick, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    summary: str
    """A description of the picture, for people who cannot see it."""


def days_of(text: str) -> int:
    """Return the number of days that was chosen, or else the usual one."""
    return next((days for days in CHOICES if str(days) == text), DEFAULT)


def chart(found: Trend) -> Chart:
    """Draw each day's last check, and mark the cleanups."""
    days = (found.last - found.first).days + 1
    top = _round_up(max(found.duplicates.values(), default=0))

    def x(day: date) -> float:
        return round(100 * ((day - found.first).days + 0.5) / days, 2)

    def y(value: float) -> float:
        return round(100 - 100 * value / top, 2)

    dots = [Dot(x(day), y(value), day, value) for day, value in found.duplicates.items()]
    segments = tuple(_segments(dots))
    joined = {dot.day for segment in segments for dot in segment}
    single = CHOICES.get(days, 1) == 1
    last = dots[-1] if dots else None
    return Chart(
        days=days,
        segments=segments,
        dots=tuple(dot for dot in dots if single or dot.day not in joined or dot is last),
        last=last,
        last_text=number_text(last.value) if last else "",
        marks=tuple(x(day) for day in found.cleanups),
        levels=tuple(Tick(y(value), number_text(value)) for value in (0, top // 2, top)),
        dates=tuple(
            Tick(x(day), text, minor=not single and bool(number % 2))
            for number, (day, text) in enumerate(_dates(found.first, found.last))
        ),
        columns=tuple(_columns(found, CHOICES.get(days, 1))),
        rows=tuple(_rows(found)),
        summary=chart_wording.summary(found.duplicates, days=days),
    )


def _segments(dots: Sequence[Dot]) -> Iterator[tuple[Dot, Dot]]:
    """Join neighbours, unless more time lies between them than usual: nothing was measured there."""
    distances = [(after.day - before.day).days for before, after in pairwise(dots)]
    if distances:
        most = GAP * median(distances)
        yield from (pair for pair, distance in zip(pairwise(dots), distances, strict=True) if distance <= most)


def _dates(first: date, last: date) -> Iterator[tuple[date, str]]:
    """Mark the Mondays of a few weeks, the first of each month of longer spans."""
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if (last - first).days < WEEKS:
            if day.weekday() == 0:
                yield day, chart_wording.short_day(day)
        elif day.day == 1:
            yield day, chart_wording.month(day)


def _columns(found: Trend, width: int) -> Iterator[Column]:
    days = (found.last - found.first).days + 1
    latest = max(found.duplicates, default=None)
    for start in range(0, days, width):
        several = [found.first + timedelta(days=start + number) for number in range(width)]
        measured = [day for day in several if day in found.duplicates]
        cleaned = [day for day in several if day in found.cleanups]
        day = measured[-1] if measured else cleaned[-1] if cleaned else None
        runs = sum(found.cleanups[cleaned_on].runs for cleaned_on in cleaned)
        folders = sum(found.cleanups[cleaned_on].folders for cleaned_on in cleaned)
        yield Column(
            chart_wording.readout(day, found.duplicates.get(day), runs=runs, folders=folders) if day else "",
            chosen=day is not None and day == latest,
        )


def _rows(found: Trend) -> Iterator[Row]:
    """List what is known of each day, the latest first."""
    for day in sorted({*found.duplicates, *found.cleanups}, reverse=True):
        cleaned = found.cleanups.get(day)
        text = chart_wording.cleanups(cleaned.runs, cleaned.folders) if cleaned else ""
        yield Row(day, chart_wording.day(day), found.duplicates.get(day), text)


def _round_up(number: int) -> int:
    """Return a round number, even and not smaller, for the top of the scale."""
    size = 1
    while True:
        for factor in (2, 4, 6, 8, 10, 12, 16):
            if factor * size >= number:
                return factor * size
        size *= 10
