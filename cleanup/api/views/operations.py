"""Status, check, verification, preflight, cleanup, rollback and the freeze switch."""

from typing import Any

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response

from cleanup.api import input_serializers
from cleanup.api.base import Endpoint, Keyed
from cleanup.api.output_serializers import StartedCleanup, StartedRollback, serializer_of
from cleanup.api.permissions import require_permission
from cleanup.api.run_responses import run_response
from cleanup.api.schema import STARTING, UNDOING, described, path_id
from cleanup.permissions import CLEANING, Permission, to_clean_up, to_plan
from cleanup.services.operations import requests
from cleanup.services.results import CheckReport, FreezeSwitch, PreflightReport, StatusReport, VerificationReport
from cleanup.services.runs.lifecycle import Options

#: Of a script: what generated clients take as text.
SQL = "text/plain"


class Status(Endpoint):
    """What the service is doing."""

    required_permissions = {"GET": (Permission.VIEW,)}

    @described("Get the service's status", {200: serializer_of(StatusReport)})
    def get(self, request: Request) -> Response:
        """Return whether the service runs, what is scheduled, the statistics, and the active run."""
        return Response(self.service.status())


class Check(Endpoint):
    """The consistency check."""

    required_permissions = {"POST": (Permission.CHECK,)}
    limits = {"POST": "check"}

    @described("Run a consistency check", {200: serializer_of(CheckReport)}, limited=True, keyed=Keyed.CLAIMED)
    def post(self, request: Request) -> Response:
        """Find the applications with duplicates, and store the check.

        Changes nothing but rows that were filed into removed folders: these are re-pointed. If the latest verification
        of the whole database is older than a day, it is repeated, which takes a while.
        """
        return Response(self.automation.run_consistency_check(started_by=self.account, started_how="api"))


class Verify(Endpoint):
    """The integrity verification."""

    required_permissions = {"POST": (Permission.CHECK,)}
    limits = {"POST": "check"}

    @described(
        "Verify the database's integrity",
        {200: serializer_of(VerificationReport)},
        query=input_serializers.VerifyQuery,
        codes=["not_found"],
        limited=True,
        keyed=Keyed.CLAIMED,
    )
    def post(self, request: Request) -> Response:
        """Verify one application, or the whole database, whose findings are stored; changes nothing."""
        query = self.query(input_serializers.VerifyQuery)
        return Response(self.service.verify_cleanup_integrity(query.get("application_id"), started_by=self.account))


class Preflight(Endpoint):
    """The question whether a cleanup can run."""

    required_permissions = {"POST": (Permission.CHECK,)}
    limits = {"POST": "check"}

    @described("Ask whether a cleanup can run", {200: serializer_of(PreflightReport)}, limited=True, keyed=Keyed.NOT)
    def post(self, request: Request) -> Response:
        """Return whether a cleanup could run, the reasons for the answer, and an estimate; changes nothing."""
        return Response(self.service.preflight())


class Cleanup(Endpoint):
    """The cleanup."""

    required_permissions = {"POST": (*CLEANING, Permission.CHECK)}
    limits = {"POST": "clean"}

    @described(
        "Clean up",
        {200: StartedCleanup, 202: StartedCleanup},
        query=input_serializers.CleanupQuery,
        body=input_serializers.CleanupBody,
        codes=[*STARTING, "not_found", "too_many_to_wait"],
        limited=True,
        keyed=Keyed.BY_VERB,
        examples=[
            OpenApiExample("Everything that is affected", {}, request_only=True),
            OpenApiExample("The ten worst", {"max_applications": 10, "reason": "first try"}, request_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        """Merge duplicate folders, reversibly.

        Answers 202 with the run, which a cluster works on; ``Location`` is where its progress can be read. Answers 200
        with the report of a dry run, which requires the permission to check, and with ``wait=true``. Named
        applications, and up to ten of the worst, require the permission to clean up selected applications; more
        require the permission to clean up everything.
        """
        query, body = self.query(input_serializers.CleanupQuery), self.body(input_serializers.CleanupBody)
        require_permission(request, *self._permissions(query, body))
        options, once = self._options(body), self.once(run_response)
        if query["dry_run"]:
            return run_response(requests.dry_run(using=self.using, options=options, once=once))
        return run_response(
            requests.clean_up(using=self.using, options=options, actor=self.actor(body), wait=query["wait"], once=once)
        )

    def _options(self, body: dict[str, Any]) -> Options:
        named = tuple(body["applications"]) if "applications" in body else None
        names = ("max_applications", "batch_size", "include_held", "include_large")
        return Options(named, **input_serializers.given(body, *names))

    def _permissions(self, query: dict[str, Any], body: dict[str, Any]) -> tuple[Permission, ...]:
        ask = to_plan if query["dry_run"] else to_clean_up
        return ask(named="applications" in body, most=body.get("max_applications"))


class Rollback(Endpoint):
    """The rollback of a rollback point or a run."""

    required_permissions = {"POST": (Permission.ROLL_BACK,)}
    limits = {"POST": "clean"}

    @described(
        "Roll back",
        {200: StartedRollback, 202: StartedRollback},
        query=input_serializers.RollbackQuery,
        body=input_serializers.RollbackBody,
        parameters=[path_id("rollback_id", "A rollback point, or a run.")],
        codes=[*UNDOING, "not_found", "refused", "no_cluster", "too_many_to_wait"],
        limited=True,
        keyed=Keyed.BY_VERB,
    )
    def post(self, request: Request, rollback_id: str) -> Response:
        """Restore what was there before.

        A rollback point is rolled back in this request (200), a run by a cluster (202). If people have since changed
        what would be restored, nothing is restored and the conflicts are listed (409).
        """
        return roll_back(self, request, self.uuid(rollback_id, what="rollback point or cleanup run"))


class UndoScript(Endpoint):
    """The undo of a rollback point or a run as a script."""

    required_permissions = {"GET": (Permission.ROLL_BACK,)}
    limits = {"GET": "check"}

    @described(
        "Write an undo as a script",
        {(200, SQL): OpenApiTypes.STR},
        parameters=[path_id("rollback_id", "A rollback point, or a run.")],
        codes=[*UNDOING, "not_found", "refused", "too_large_to_preview", "unscriptable"],
        limited=True,
    )
    def get(self, request: Request, rollback_id: str) -> FileResponse:
        """Return an SQL script that undoes it with psql, or with SQLite's shell, alone.

        The undo is tried in a transaction that is rolled back, so that what would be refused is refused now.
        """
        key = self.uuid(rollback_id, what="rollback point or cleanup run")
        file = requests.undo_script(using=self.using, rollback_id=key)
        return FileResponse(file, as_attachment=True, filename=f"undo-{key}.sql", content_type=SQL)


def roll_back(view: Endpoint, request: Request, key: Any) -> Response:
    """Roll back a point or a run, as the request's query and body say."""
    query, body = view.query(input_serializers.RollbackQuery), view.body(input_serializers.RollbackBody)
    return run_response(
        requests.roll_back(
            using=view.using,
            rollback_id=key,
            options=Options(**input_serializers.given(body, "skip_conflicts", "as_copies")),
            actor=view.actor(body),
            wait=query.get("wait"),
            once=view.once(run_response),
        )
    )


class Freeze(Endpoint):
    """The switch that stops everything."""

    required_permissions = {"POST": (Permission.FREEZE,)}

    @described("Stop everything", {200: serializer_of(FreezeSwitch)}, body=input_serializers.FreezeBody)
    def post(self, request: Request) -> Response:
        """Stop all claiming, enqueueing and inline merging until unfrozen; batches in progress are finished."""
        self.service.freeze(reason=self.body(input_serializers.FreezeBody)["reason"], changed_by=self.account)
        return Response(FreezeSwitch(frozen=True).as_json())


class Unfreeze(Endpoint):
    """The end of the freeze."""

    required_permissions = {"POST": (Permission.FREEZE,)}

    @described("Allow cleaning again", {200: serializer_of(FreezeSwitch)})
    def post(self, request: Request) -> Response:
        """Allow cleaning again."""
        self.service.unfreeze(changed_by=self.account)
        return Response(FreezeSwitch(frozen=False).as_json())
