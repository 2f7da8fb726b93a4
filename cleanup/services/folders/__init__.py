"""Folders of applications: creating them, finding them, and what became of removed ones."""

from typing import TYPE_CHECKING

from cleanup.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from cleanup.services.folders.structure import (
        FolderPlace,
        FolderStructure,
        get_or_create_folder,
        get_or_create_folder_structure,
        resolve_folder,
    )

__all__ = ["FolderPlace", "FolderStructure", "get_or_create_folder", "get_or_create_folder_structure", "resolve_folder"]

if not TYPE_CHECKING:
    __getattr__ = lazy_exports(__name__, structure=tuple(__all__))
