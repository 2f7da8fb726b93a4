"""The API's routes, each with and without a trailing slash."""

from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, path

from cleanup.api.views import (
    alerts,
    applications,
    findings,
    holds,
    operations,
    points,
    repairs,
    runs,
    schedules,
    schema,
    tokens,
)

#: Route, view, name.
ROUTES: tuple[tuple[str, Any, str], ...] = (
    ("status", operations.Status, "status"),
    ("check", operations.Check, "check"),
    ("verify", operations.Verify, "verify"),
    ("cleanup", operations.Cleanup, "cleanup"),
    ("repair/<str:code>", repairs.Repair, "repair"),
    ("rollback/<str:rollback_id>", operations.Rollback, "rollback"),
    ("rollback/<str:rollback_id>/script", operations.UndoScript, "rollback-script"),
    ("preflight", operations.Preflight, "preflight"),
    ("freeze", operations.Freeze, "freeze"),
    ("unfreeze", operations.Unfreeze, "unfreeze"),
    ("runs", runs.Runs, "runs"),
    ("runs/<str:run_id>", runs.OneRun, "run"),
    ("runs/<str:run_id>/results", runs.ResultsOfRun, "run-results"),
    ("runs/<str:run_id>/pause", runs.PauseRun, "run-pause"),
    ("runs/<str:run_id>/resume", runs.ResumeRun, "run-resume"),
    ("runs/<str:run_id>/cancel", runs.CancelRun, "run-cancel"),
    ("runs/<str:run_id>/rollback", runs.RollbackRun, "run-rollback"),
    ("results", runs.Results, "results"),
    ("rollback-points", points.Points, "points"),
    ("rollback-points/<str:rollback_id>", points.OnePoint, "point"),
    ("rollback-points/<str:rollback_id>/rows", points.RowsOfPoint, "point-rows"),
    ("rollback-points/<str:rollback_id>/preview", points.PreviewPoint, "point-preview"),
    ("rollback-points/<str:rollback_id>/rollback", points.RollbackPointNow, "point-rollback"),
    ("applications", applications.Applications, "applications"),
    ("applications/<str:application_id>", applications.OneApplication, "application"),
    ("applications/<str:application_id>/cleanup", applications.CleanupApplication, "application-cleanup"),
    ("applications/<str:application_id>/names", repairs.NameGroups, "application-names"),
    ("folders/<str:folder_id>/survivor", applications.Survivor, "survivor"),
    ("verifications", findings.Verifications, "verifications"),
    ("verifications/<int:verification_id>", findings.OneVerification, "verification"),
    ("findings", findings.Findings, "findings"),
    ("checks", findings.Checks, "checks"),
    ("alerts", alerts.Alerts, "alerts"),
    ("alerts/<int:alert_id>", alerts.OneAlert, "alert"),
    ("alerts/<int:alert_id>/acknowledge", alerts.AcknowledgeAlert, "alert-acknowledge"),
    ("service/start", schedules.Start, "service-start"),
    ("service/stop", schedules.Stop, "service-stop"),
    ("service/adopt", schedules.Adopt, "service-adopt"),
    ("schedules", schedules.Schedules, "schedules"),
    ("schedules/<str:name>", schedules.OneSchedule, "schedule"),
    ("schedules/<str:name>/run", schedules.RunSchedule, "schedule-run"),
    ("scheduled-runs", schedules.ScheduledRuns, "scheduled-runs"),
    ("scheduled-runs/<int:scheduled_run_id>/approve", schedules.ApproveScheduledRun, "scheduled-run-approve"),
    ("scheduled-runs/<int:scheduled_run_id>/decline", schedules.DeclineScheduledRun, "scheduled-run-decline"),
    ("holds", holds.Holds, "holds"),
    ("holds/<str:application_id>", holds.OneHold, "hold"),
    ("tokens", tokens.Tokens, "tokens"),
    ("tokens/<str:token_id>", tokens.OneToken, "token"),
    ("schema", schema.Schema, "schema"),
    ("docs", schema.SwaggerPage, "docs"),
)


def patterns() -> Iterator[URLPattern]:
    """Yield the patterns, and finally one for all unknown paths."""
    for route, view, name in ROUTES:
        yield path(route, view.as_view(), name=name)
        yield path(f"{route}/", view.as_view())
    yield path("", schema.UnknownPath.as_view())
    yield path("<path:nowhere>", schema.UnknownPath.as_view())
