"""Every document that is sent as JSON by the command, the services and the API, each declared once.

A field's annotation and the text below it are its declaration: ``as_json`` and the API's serializers are derived from
them, and the manual is tested against them. Lists are capped; what is left out is counted. A subject's module is
imported when one of its documents is first used.
"""

from typing import TYPE_CHECKING

from cleanup.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from cleanup.services.results.check import CheckedApplication, CheckReport, DuplicateApplication
    from cleanup.services.results.cleanup import CleanupReport, FolderCleanupResult, Progress, RootFolder
    from cleanup.services.results.document import (
        JSON,
        OPTIONAL,
        UNKNOWN,
        ApplicationId,
        Document,
        FolderId,
        Unknown,
        plain,
    )
    from cleanup.services.results.fates import Fate, Reason
    from cleanup.services.results.health import HealthReport, HealthVerdict, LivenessReport
    from cleanup.services.results.preflight import (
        Estimate,
        ForeignKeyFacts,
        Grant,
        IndexFacts,
        LargestApplication,
        PreflightReport,
        ReferenceFacts,
        SuspectedColumn,
        Trigger,
        TriggerFacts,
        UniqueKeyFacts,
    )
    from cleanup.services.results.preview import FolderPreview, GroupPreview, Line, Obstacle, Preview
    from cleanup.services.results.purge import PurgedHistory, PurgeReport
    from cleanup.services.results.repair import (
        NameGroupFolder,
        NameGroupList,
        NotRepaired,
        ProposedGroup,
        RepairChange,
        RepairReport,
    )
    from cleanup.services.results.requests import Enqueued, FolderSurvivor, FreezeSwitch
    from cleanup.services.results.rollback import Conflict, Copy, NotRestored, RollbackData, RollbackResult, UndoScript
    from cleanup.services.results.runs import ListedRun, RunList
    from cleanup.services.results.status import (
        ActiveRun,
        HandedOver,
        LastCheck,
        RestoredCopy,
        ScheduleStatus,
        Statistics,
        StatusReport,
    )
    from cleanup.services.results.verification import FindingReport, VerificationReport
else:
    __getattr__ = lazy_exports(
        __name__,
        check=("CheckReport", "CheckedApplication", "DuplicateApplication"),
        cleanup=("CleanupReport", "FolderCleanupResult", "Progress", "RootFolder"),
        document=("ApplicationId", "Document", "FolderId", "JSON", "OPTIONAL", "UNKNOWN", "Unknown", "plain"),
        fates=("Fate", "Reason"),
        repair=("NameGroupFolder", "NameGroupList", "NotRepaired", "ProposedGroup", "RepairChange", "RepairReport"),
        health=("HealthReport", "HealthVerdict", "LivenessReport"),
        preflight=(
            "Estimate",
            "ForeignKeyFacts",
            "Grant",
            "IndexFacts",
            "LargestApplication",
            "PreflightReport",
            "ReferenceFacts",
            "SuspectedColumn",
            "Trigger",
            "TriggerFacts",
            "UniqueKeyFacts",
        ),
        preview=("FolderPreview", "GroupPreview", "Line", "Obstacle", "Preview"),
        purge=("PurgeReport", "PurgedHistory"),
        requests=("Enqueued", "FolderSurvivor", "FreezeSwitch"),
        rollback=("Conflict", "Copy", "NotRestored", "RollbackData", "RollbackResult", "UndoScript"),
        runs=("ListedRun", "RunList"),
        status=(
            "ActiveRun",
            "HandedOver",
            "LastCheck",
            "RestoredCopy",
            "ScheduleStatus",
            "Statistics",
            "StatusReport",
        ),
        verification=("FindingReport", "VerificationReport"),
    )

__all__ = [
    "JSON",
    "OPTIONAL",
    "UNKNOWN",
    "ActiveRun",
    "ApplicationId",
    "CheckReport",
    "CheckedApplication",
    "CleanupReport",
    "Conflict",
    "Copy",
    "Document",
    "DuplicateApplication",
    "Enqueued",
    "Estimate",
    "Fate",
    "FindingReport",
    "FolderCleanupResult",
    "FolderId",
    "FolderPreview",
    "FolderSurvivor",
    "ForeignKeyFacts",
    "FreezeSwitch",
    "Grant",
    "GroupPreview",
    "HandedOver",
    "HealthReport",
    "HealthVerdict",
    "IndexFacts",
    "LargestApplication",
    "LastCheck",
    "Line",
    "ListedRun",
    "LivenessReport",
    "NameGroupFolder",
    "NameGroupList",
    "NotRepaired",
    "NotRestored",
    "Obstacle",
    "PreflightReport",
    "Preview",
    "Progress",
    "ProposedGroup",
    "PurgeReport",
    "PurgedHistory",
    "Reason",
    "ReferenceFacts",
    "RepairChange",
    "RepairReport",
    "RestoredCopy",
    "RollbackData",
    "RollbackResult",
    "RootFolder",
    "RunList",
    "ScheduleStatus",
    "Statistics",
    "StatusReport",
    "SuspectedColumn",
    "Trigger",
    "TriggerFacts",
    "UndoScript",
    "UniqueKeyFacts",
    "Unknown",
    "VerificationReport",
    "plain",
]
