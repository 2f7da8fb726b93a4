"""The admin: see it, decide, undo. Django's own, extended; its pages hang below the register of ``Control``."""

from cleanup.admin import control, history, holds, problems, runs

__all__ = ["control", "history", "holds", "problems", "runs"]
