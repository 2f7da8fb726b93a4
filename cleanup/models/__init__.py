"""The mapped tables (``folders``) and the product's own tables (``operations``)."""

from cleanup.models.folders import Application, File, Folder
from cleanup.models.operations import (
    Control,
    Finding,
    Hold,
    RemovedFolder,
    Result,
    RollbackPoint,
    Run,
    SnapshotLayout,
    SnapshotRow,
    Verification,
)

__all__ = [
    "Application",
    "Control",
    "File",
    "Finding",
    "Folder",
    "Hold",
    "RemovedFolder",
    "Result",
    "RollbackPoint",
    "Run",
    "SnapshotLayout",
    "SnapshotRow",
    "Verification",
]
