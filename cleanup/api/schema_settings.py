"""The settings of drf-spectacular for the schema. Imports nothing from Django, so that settings can import it, too."""

from collections.abc import Mapping
from typing import Any

import cleanup

#: For drf-spectacular, whatever the host's own settings are.
SETTINGS: Mapping[str, Any] = {
    "TITLE": "cleanup",
    "DESCRIPTION": "Find, merge and prevent duplicate folders, and undo every merge exactly.",
    "VERSION": cleanup.__version__,
    "PREPROCESSING_HOOKS": ["cleanup.api.schema.without_twins"],
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums"],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "RunKind": "cleanup.models.operations.Run.Kind",
        "RunStatus": "cleanup.models.operations.Run.Status",
        "ResultStatus": "cleanup.models.operations.Result.Status",
        "PointKind": "cleanup.models.operations.RollbackPoint.Kind",
        "PointStatus": "cleanup.models.operations.RollbackPoint.Status",
        "SnapshotRowKind": "cleanup.models.operations.SnapshotRow.Kind",
        "FindingSeverity": "cleanup.models.operations.Finding.Severity",
        "Cadence": "cleanup.models.automation.Schedule.Cadence",
        "AlertSeverity": "cleanup.models.alerts.Alert.Severity",
    },
    "SERVERS": [],
    "SECURITY": [],
    "APPEND_COMPONENTS": {},
    "SCHEMA_PATH_PREFIX": "/api/cleanup",
}
