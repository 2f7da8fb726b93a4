"""The admin: see it, decide, undo. Django's own, extended; its pages hang below the register of ``FreezeSwitch``."""

from cleanup.admin import automation, findings, holds, overview, rollback_points, runs

__all__ = ["automation", "findings", "holds", "overview", "rollback_points", "runs"]
