"""The mapped tables (``folders``) and the product's own tables (``operations``)."""

from cleanup.models.folders import Application, File, Folder
from cleanup.models.operations import (
    Control,
    Finding,
    Hold,
    QueuedApplication,
    RemovedFolder,
    Result,
    RollbackPoint,
    Run,
    SnapshotLayout,
    SnapshotRow,
    StructureLock,
    Verification,
)

__all__ = [
    "Application",
    "Control",
    "File",
    "Finding",
    "Folder",
    "Hold",
    "QueuedApplication",
    "RemovedFolder",
    "Result",
    "RollbackPoint",
    "Run",
    "SnapshotLayout",
    "SnapshotRow",
    "StructureLock",
    "Verification",
]
