"""The admin: see it, decide, undo. Django's own, extended; its pages hang below the register of ``Control``."""

from cleanup.admin import automation, control, history, holds, problems, runs

__all__ = ["automation", "control", "history", "holds", "problems", "runs"]
