"""The mapped tables (``folders``) and the product's own tables (the other modules)."""

from cleanup.models.alerts import Alert
from cleanup.models.automation import (
    AutomationState,
    ConsistencyCheck,
    Heartbeat,
    JobLease,
    PreparedPreview,
    Schedule,
    ScheduledRun,
)
from cleanup.models.folders import Application, File, Folder
from cleanup.models.operations import (
    Finding,
    FreezeSwitch,
    Hold,
    QueuedApplication,
    RemovedFolder,
    Result,
    RollbackPoint,
    Run,
    SnapshotRow,
    SnapshotSchema,
    StructureLock,
    Verification,
)
from cleanup.models.repairs import NameGroup
from cleanup.models.requests import IdempotencyKey

__all__ = [
    "Alert",
    "Application",
    "AutomationState",
    "ConsistencyCheck",
    "File",
    "Finding",
    "Folder",
    "FreezeSwitch",
    "Heartbeat",
    "Hold",
    "IdempotencyKey",
    "JobLease",
    "NameGroup",
    "PreparedPreview",
    "QueuedApplication",
    "RemovedFolder",
    "Result",
    "RollbackPoint",
    "Run",
    "Schedule",
    "ScheduledRun",
    "SnapshotRow",
    "SnapshotSchema",
    "StructureLock",
    "Verification",
]
