"""How a state looks: its words on a background of one of three colours. The words suffice; a colour is seen faster."""

from typing import Literal

from django.utils.html import format_html
from django.utils.safestring import SafeString

from cleanup.models import Alert, Result, RollbackPoint, Run

Level = Literal["good", "attention", "unknown"]

RUNS: dict[str, Level] = {
    Run.Status.PAUSED: "attention",
    Run.Status.STOPPED: "attention",
    Run.Status.COMPLETED: "good",
}
RESULTS: dict[str, Level] = {Result.Status.COMPLETED: "good", Result.Status.FAILED: "attention"}
POINTS: dict[str, Level] = {RollbackPoint.Status.LIVE: "good"}
ALERTS: dict[str, Level] = {Alert.State.OPEN: "attention", Alert.State.RESOLVED: "good"}


def run_level(status: str, *, failed: int = 0) -> Level:
    """Return the level of a run; a finished run with failures needs attention, too."""
    return "attention" if failed else RUNS.get(status, "unknown")


def schedule_level(*, enabled: bool, started: bool, overdue: bool, failed: bool) -> Level:
    """Return the level of a schedule."""
    if not (enabled and started):
        return "unknown"
    return "attention" if overdue or failed else "good"


def badge(level: Level, words: str) -> SafeString:
    """Show a state."""
    return format_html('<span class="cleanup-state cleanup-{}">{}</span>', level, words)
