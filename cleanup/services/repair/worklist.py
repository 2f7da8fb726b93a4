"""The applications that a repair concerns, and what it leaves as it is."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cleanup import conf
from cleanup.repairing import Left, Repairs


@dataclass(slots=True)
class Worklist:
    """The applications that a repair concerns, each with those of the rows; and what it leaves as it is."""

    sources: dict[str, set[str]] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)
    left_out: int = 0
    """Rows beyond the listed ones."""

    def add(self, repairs: Repairs) -> None:
        """Add what was decided about some applications."""
        for application in repairs.plans():
            self.sources.setdefault(application, set()).update(repairs.sources[application])
        self.leave(repairs.left)

    def leave(self, several: Sequence[Left]) -> None:
        """Add what is left as it is."""
        room = max(0, conf.list_limit() - len(self.left))
        self.left += several[:room]
        self.left_out += len(several[room:])
