"""The admin: see it, decide, undo. Django's own, extended; its pages hang below the register of ``FreezeSwitch``."""

from cleanup.admin import automation, dashboard, findings, holds, rollback_points, runs

__all__ = ["automation", "dashboard", "findings", "holds", "rollback_points", "runs"]
