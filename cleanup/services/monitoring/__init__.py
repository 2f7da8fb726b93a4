"""What is running, what was done, and what waits for a person."""

from typing import TYPE_CHECKING

from cleanup.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from cleanup.services.monitoring import dashboard, pending_decisions
else:
    __getattr__ = lazy_exports(__name__, "dashboard", "pending_decisions")

__all__ = ["dashboard", "pending_decisions"]
