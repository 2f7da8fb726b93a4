"""The mapped tables (``folders``) and the product's own tables (``operations``, ``alerts``, ``requests``)."""

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
from cleanup.models.requests import RequestKey

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
    "RequestKey",
    "Result",
    "RollbackPoint",
    "Run",
    "SnapshotLayout",
    "SnapshotRow",
    "StructureLock",
    "Verification",
]
