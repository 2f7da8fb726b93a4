"""Folders of applications: creating them, finding them, and what became of removed ones."""

from cleanup.services.folders.structure import (
    FolderPlace,
    FolderStructure,
    get_or_create_folder,
    get_or_create_folder_structure,
    resolve_folder,
)

__all__ = ["FolderPlace", "FolderStructure", "get_or_create_folder", "get_or_create_folder_structure", "resolve_folder"]
