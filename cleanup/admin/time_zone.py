"""The earlier name of ``cleanup.admin.middleware``, which the settings of projects still hold."""

from cleanup.admin.middleware import PersonTimeZoneMiddleware

__all__ = ["PersonTimeZoneMiddleware"]
