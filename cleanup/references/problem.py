"""What prevents a run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a run may not start; ``message`` names table, column and remedy."""

    code: str
    table: str
    column: str
    message: str

    def __str__(self) -> str:
        return self.message
