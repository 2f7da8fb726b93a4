"""The public services: ``cleanup_service`` for the default database, and the types they speak in."""

from cleanup.services.database import DatabaseCleanupService
from cleanup.services.folders import FolderPlace, FolderStructure
from cleanup.services.reports import CleanupReport, Conflict, FolderCleanupResult, Progress, RollbackResult

#: The service of the default database; ``DatabaseCleanupService(using=alias)`` serves another.
cleanup_service = DatabaseCleanupService()

__all__ = [
    "CleanupReport",
    "Conflict",
    "DatabaseCleanupService",
    "FolderCleanupResult",
    "FolderPlace",
    "FolderStructure",
    "Progress",
    "RollbackResult",
    "cleanup_service",
]
