"""The mapped tables (``folders``) and the product's own tables (the other modules)."""

from cleanup.models.alerts import Alert
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
from cleanup.models.requests import RequestKey

__all__ = [
    "Alert",
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
    "RequestKey",
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
