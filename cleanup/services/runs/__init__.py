"""Runs: their worklists, who works them, and what came of them."""

from typing import TYPE_CHECKING

from cleanup.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from cleanup.services.runs import reports
else:
    __getattr__ = lazy_exports(__name__, "reports")

__all__ = ["reports"]
