"""The public services of the default database, and their types."""

from cleanup.services.automation.service import AutomatedCleanupService
from cleanup.services.facade import DatabaseCleanupService
from cleanup.services.folders.structure import FolderPlace, FolderStructure
from cleanup.services.results import (
    CleanupReport,
    Conflict,
    FolderCleanupResult,
    Progress,
    RollbackData,
    RollbackResult,
)

#: The service of the default database; ``DatabaseCleanupService(using=alias)`` serves another.
cleanup_service = DatabaseCleanupService()

#: The automated service of the default database; ``AutomatedCleanupService(using=alias)`` serves another.
automated_cleanup_service = AutomatedCleanupService()

__all__ = [
    "AutomatedCleanupService",
    "CleanupReport",
    "Conflict",
    "DatabaseCleanupService",
    "FolderCleanupResult",
    "FolderPlace",
    "FolderStructure",
    "Progress",
    "RollbackData",
    "RollbackResult",
    "automated_cleanup_service",
    "cleanup_service",
]
