"""The mapped tables (``folders``) and the product's own tables (``operations``, ``alerts``)."""

from cleanup.models.alerts import Alert
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
    "Alert",
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
