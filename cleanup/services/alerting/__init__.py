"""Alerts: when they are raised and closed, and who hears of them."""

from typing import TYPE_CHECKING

from cleanup.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from cleanup.services.alerting import alerts
else:
    __getattr__ = lazy_exports(__name__, "alerts")

__all__ = ["alerts"]
