"""The mapped tables (``folders``) and the product's own tables (``operations``, ``automation``)."""

from cleanup.models.automation import ConsistencyCheck, Heartbeat, Schedule, ScheduledRun, Service, Tick
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
    "ConsistencyCheck",
    "Control",
    "File",
    "Finding",
    "Folder",
    "Heartbeat",
    "Hold",
    "QueuedApplication",
    "RemovedFolder",
    "Result",
    "RollbackPoint",
    "Run",
    "Schedule",
    "ScheduledRun",
    "Service",
    "SnapshotLayout",
    "SnapshotRow",
    "StructureLock",
    "Tick",
    "Verification",
]
