"""Folders of applications: creating them, finding them, and what became of removed ones.

Each module is imported when it is first used: the admin is loaded by every command, and needs none of them for that.
"""

from typing import TYPE_CHECKING

from cleanup.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from cleanup.services.folders import applications, places, vanished
    from cleanup.services.folders.structure import (
        FolderPlace,
        FolderStructure,
        get_or_create_folder,
        get_or_create_folder_structure,
        resolve_folder,
    )
else:
    __getattr__ = lazy_exports(
        __name__,
        "applications",
        "places",
        "vanished",
        structure=(
            "FolderPlace",
            "FolderStructure",
            "get_or_create_folder",
            "get_or_create_folder_structure",
            "resolve_folder",
        ),
    )

__all__ = [
    "FolderPlace",
    "FolderStructure",
    "applications",
    "get_or_create_folder",
    "get_or_create_folder_structure",
    "places",
    "resolve_folder",
    "vanished",
]
