"""Runs and their results."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cleanup.api import input_serializers, output_serializers
from cleanup.api.base import Endpoint, Keyed
from cleanup.api.model_serializers import ResultResource, RunDetail, RunResource
from cleanup.api.pagination import Listing, Page, page_of
from cleanup.api.permissions import require_permission
from cleanup.api.schema import UNDOING, described, path_id
from cleanup.api.serializer_fields import Key, QueryMoment
from cleanup.api.views.operations import roll_back
from cleanup.exceptions import UnknownObject
from cleanup.models import Result, Run
from cleanup.permissions import CONTROLLING, Permission, to_control
from cleanup.services.monitoring.run_list import of_application

RUN_ID = path_id("run_id", "A run.")


class RunsQuery(Page):
    """Which runs."""

    application_id = Key(of="application", required=False)
    since = QueryMoment(required=False, help_text="Only those created since then.")
    kind = serializers.ChoiceField(Run.Kind.choices, required=False)
    status = serializers.ChoiceField(Run.Status.choices, required=False)
    started_how = serializers.ChoiceField(["shell", "service", "api", "admin", "schedule"], required=False)
    ordering = serializers.ChoiceField(["-created_at", "created_at"], default="-created_at")


class Runs(Listing):
    """The runs."""

    required_permissions = {"GET": (Permission.VIEW,)}
    filters = RunsQuery
    row = RunResource
    orders = {"-created_at": ("-created_at", "-id"), "created_at": ("created_at", "id")}

    @described("List runs", {200: page_of(RunResource, "Run")}, query=RunsQuery)
    def get(self, request: Request) -> Response:
        """List cleanups and rollbacks, the newest first."""
        return self.answer(request)

    def rows(self, query: Mapping[str, Any], **path: Any) -> QuerySet[Any]:
        """Return the requested runs."""
        runs = Run.objects.using(self.using).with_undoable_until()
        if "application_id" in query:
            runs = of_application(runs, query["application_id"])
        if "since" in query:
            runs = runs.filter(created_at__gte=query["since"])
        return runs.filter(**input_serializers.given(dict(query), "kind", "status", "started_how"))


class RunEndpoint(Endpoint):
    """One run."""

    def find(self, run_id: str) -> Run:
        """Return the run. Raises UnknownObject."""
        key = self.uuid(run_id, what="run")
        run = Run.objects.using(self.using).with_undoable_until().filter(pk=key).first()
        if run is None:
            raise UnknownObject(what="run", key=key)
        return run

    def may_control(self, run: Run) -> None:
        """Require the permission that starting such a run requires. Raises Denied."""
        require_permission(self.request, *to_control(run))

    def detail(self, run: Run, *, status: int = 200) -> Response:
        """Return the run as it is now."""
        return Response(RunDetail(self.find(str(run.pk))).data, status=status)


class OneRun(RunEndpoint):
    """A run."""

    required_permissions = {"GET": (Permission.VIEW,)}

    @described("Get a run", {200: RunDetail}, parameters=[RUN_ID], codes=["not_found"])
    def get(self, request: Request, run_id: str) -> Response:
        """Return how far it has come, and under which settings it was started."""
        return Response(RunDetail(self.find(run_id)).data)


class PauseRun(RunEndpoint):
    """The pause of a run."""

    required_permissions = {"POST": CONTROLLING}

    @described(
        "Pause a run",
        {200: RunDetail},
        body=input_serializers.ReasonBody,
        parameters=[RUN_ID],
        codes=["not_found", "not_active"],
    )
    def post(self, request: Request, run_id: str) -> Response:
        """Ask its workers to stop after their batch; it can be resumed."""
        body, run = self.body(input_serializers.ReasonBody), self.find(run_id)
        self.may_control(run)
        self.service.pause(run.pk, reason=body.get("reason", ""), by=self.account)
        return self.detail(run)


class CancelRun(RunEndpoint):
    """The end of a run."""

    required_permissions = {"POST": CONTROLLING}

    @described(
        "Cancel a run",
        {200: RunDetail},
        body=input_serializers.ReasonBody,
        parameters=[RUN_ID],
        codes=["not_found", "not_active"],
    )
    def post(self, request: Request, run_id: str) -> Response:
        """End it for good; what it has done stays done, and can be rolled back."""
        body, run = self.body(input_serializers.ReasonBody), self.find(run_id)
        self.may_control(run)
        self.service.cancel(run.pk, reason=body.get("reason", ""), by=self.account)
        return self.detail(run)


class ResumeRun(RunEndpoint):
    """The resumption of a run."""

    required_permissions = {"POST": CONTROLLING}
    limits = {"POST": "clean"}

    @described(
        "Resume a run",
        {202: RunDetail},
        body=input_serializers.ResumeBody,
        parameters=[RUN_ID],
        codes=["not_found", "not_resumable", "foreign_database", "busy", "frozen", "preflight", "no_cluster"],
        limited=True,
    )
    def post(self, request: Request, run_id: str) -> Response:
        """Have a cluster resume a run that was paused or stopped."""
        body, run = self.body(input_serializers.ResumeBody), self.find(run_id)
        self.may_control(run)
        self.service.start_resume(run.pk, retry_failed=body["retry_failed"], started_by=self.account)
        return self.detail(run, status=202)


class RollbackRun(RunEndpoint):
    """The rollback of a run."""

    required_permissions = {"POST": (Permission.ROLL_BACK,)}
    limits = {"POST": "clean"}

    @described(
        "Roll back a run",
        {200: output_serializers.StartedRollback, 202: output_serializers.StartedRollback},
        query=input_serializers.RollbackQuery,
        body=input_serializers.RollbackBody,
        parameters=[RUN_ID],
        codes=[*UNDOING, "not_found", "refused", "no_cluster", "too_many_to_wait"],
        limited=True,
        keyed=Keyed.BY_VERB,
    )
    def post(self, request: Request, run_id: str) -> Response:
        """Undo every application of the run that has not been rolled back yet, as a run of its own."""
        return roll_back(self, request, self.find(run_id).pk)


class ResultsQuery(Page):
    """Which results."""

    status = serializers.ChoiceField(Result.Status.choices, required=False)


class ResultsOfRun(Listing, RunEndpoint):
    """A run's results."""

    required_permissions = {"GET": (Permission.VIEW,)}
    filters = ResultsQuery
    row = ResultResource
    orders = {"application_id": ("application_key",)}

    @described(
        "List a run's results",
        {200: page_of(ResultResource, "Result")},
        query=ResultsQuery,
        parameters=[RUN_ID],
        codes=["not_found"],
    )
    def get(self, request: Request, run_id: str) -> Response:
        """List the run's applications, by id, with their outcomes."""
        return self.answer(request, run=self.find(run_id))

    def rows(self, query: Mapping[str, Any], **path: Any) -> QuerySet[Any]:
        """Return the results of the run."""
        found = Result.objects.using(self.using).select_related("point").filter(run=path["run"])
        return found.filter(**input_serializers.given(dict(query), "status"))


class AllResultsQuery(ResultsQuery):
    """Which results."""

    application_id = Key(of="application", required=False)
    ordering = serializers.ChoiceField(["-result_id", "result_id"], default="-result_id")


class Results(Listing):
    """Results of all runs."""

    required_permissions = {"GET": (Permission.VIEW,)}
    filters = AllResultsQuery
    row = ResultResource
    orders = {"-result_id": ("-id",), "result_id": ("id",)}

    @described("List results", {200: page_of(ResultResource, "Result")}, query=AllResultsQuery)
    def get(self, request: Request) -> Response:
        """List the outcomes for applications, over all runs, the newest first."""
        return self.answer(request)

    def rows(self, query: Mapping[str, Any], **path: Any) -> QuerySet[Any]:
        """Return the requested results."""
        found = Result.objects.using(self.using).select_related("point")
        if "application_id" in query:
            found = found.filter(application_key=query["application_id"])
        return found.filter(**input_serializers.given(dict(query), "status"))
