"""The public services of the default database, and their types.

Each is imported when it is first used, so that what needs one module of the package does not load all of them.
"""

from typing import TYPE_CHECKING

from cleanup.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from cleanup.services.automation.service import AutomatedCleanupService, automated_cleanup_service
    from cleanup.services.facade import DatabaseCleanupService, cleanup_service
    from cleanup.services.folders.structure import FolderPlace, FolderStructure
    from cleanup.services.results import (
        CleanupReport,
        Conflict,
        FolderCleanupResult,
        Progress,
        RollbackData,
        RollbackResult,
    )
else:
    __getattr__ = lazy_exports(
        __name__,
        facade=("DatabaseCleanupService", "cleanup_service"),
        results=("CleanupReport", "Conflict", "FolderCleanupResult", "Progress", "RollbackData", "RollbackResult"),
        **{"automation.service": ("AutomatedCleanupService", "automated_cleanup_service")},
        **{"folders.structure": ("FolderPlace", "FolderStructure")},
    )

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
