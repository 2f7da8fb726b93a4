"""The chart of duplicates over time: points for an SVG that holds no style and no script, and the table beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from cleanup.admin import wording
from cleanup.models import ConsistencyCheck

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 200, 48, 24, 12


@dataclass(frozen=True, slots=True)
class Dot:
    """One day."""

    x: float
    y: float
    text: str
    day: str
    value: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across, with its number."""

    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws."""

    dots: tuple[Dot, ...]
    ticks: tuple[Tick, ...]
    summary: str
    """A description of the picture, for people who cannot see it."""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - 8
    base: int = HEIGHT - BOTTOM

    @property
    def line(self) -> str:
        """Return the points of the line."""
        return " ".join(f"{dot.x},{dot.y}" for dot in self.dots)


def chart(history: Sequence[ConsistencyCheck]) -> Chart | None:
    """Draw the last check of each day, oldest first; None if there is none."""
    days = [(check, check.duplicate_applications or 0) for check in history]
    if not days:
        return None
    top = _round_up(max(value for _, value in days))
    span = HEIGHT - BOTTOM - TOP
    step = (WIDTH - 8 - LEFT) / max(1, len(days) - 1)
    dots = tuple(
        Dot(
            x=round(LEFT + place * step, 1) if len(days) > 1 else WIDTH / 2,
            y=round(HEIGHT - BOTTOM - span * value / top, 1),
            text=f"{wording.day(check.started_at)}: {wording.counted(value, 'application')}",
            day=wording.day(check.started_at),
            value=value,
        )
        for place, (check, value) in enumerate(days)
    )
    ticks = tuple(
        Tick(y=round(HEIGHT - BOTTOM - span * value / top, 1), text=f"{value:,}") for value in (0, top // 2, top)
    )
    first, last = dots[0], dots[-1]
    summary = f"Applications with duplicates: {first.value:,} on {first.day}, {last.value:,} on {last.day}."
    return Chart(dots, ticks, summary)


def _round_up(number: int) -> int:
    """Return a round number, even and not smaller, for the top of the scale."""
    size = 1
    while True:
        for factor in (2, 4, 10):
            if factor * size >= number:
                return factor * size
        size *= 10
