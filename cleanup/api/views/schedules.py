"""Schedules, and the service that fires them."""

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cleanup.api import input_serializers
from cleanup.api.base import Endpoint
from cleanup.api.model_serializers import ScheduledRunResource, ScheduleResource
from cleanup.api.output_serializers import serializer_of
from cleanup.api.pagination import Listing, Page, page_of
from cleanup.api.permissions import require_permission
from cleanup.api.schema import described, path_id
from cleanup.exceptions import UnknownObject
from cleanup.models import Schedule, ScheduledRun
from cleanup.permissions import RUNNING_SCHEDULES, Permission, to_adopt, to_change_schedule, to_run_schedule
from cleanup.services import origin
from cleanup.services.results import StatusReport

NAME = path_id("name", "A schedule.", form=None)


class ScheduleList(serializers.Serializer[Any]):
    """The schedules."""

    results = ScheduleResource(many=True)


class Schedules(Endpoint):
    """The schedules; there are only a few."""

    required_permissions = {"GET": (Permission.VIEW,)}

    @described("List schedules", {200: ScheduleList})
    def get(self, request: Request) -> Response:
        """List what runs automatically, how often, and within which limits; none before the service's first start."""
        rows = Schedule.objects.using(self.using).order_by("name")
        return Response({"results": ScheduleResource(rows, many=True).data})


class OneSchedule(Endpoint):
    """A schedule."""

    required_permissions = {"GET": (Permission.VIEW,), "PATCH": (Permission.MANAGE_SCHEDULES,)}

    @described("Get a schedule", {200: ScheduleResource}, parameters=[NAME], codes=["not_found"])
    def get(self, request: Request, name: str) -> Response:
        """Return how often it is done, within which limits, and when it is next due."""
        return Response(ScheduleResource(self.find(name)).data)

    @described(
        "Change a schedule",
        {200: ScheduleResource},
        body=input_serializers.ScheduleBody,
        parameters=[NAME],
        codes=["not_found", "usage"],
    )
    def patch(self, request: Request, name: str) -> Response:
        """Change what is given; the rest stays as it is."""
        body, found = self.body(input_serializers.ScheduleBody), self.find(name)
        for permissions in to_change_schedule(found.name, body, most=found.max_applications):
            require_permission(request, *permissions)
        changed = self.automation.update_schedule(found.name, changed_by=self.account, **body)
        return Response(ScheduleResource(changed).data)

    def find(self, name: str) -> Schedule:
        """Return the schedule. Raises UnknownObject."""
        known = name in Schedule.Name.values
        found = Schedule.objects.using(self.using).filter(pk=name).first() if known else None
        if found is None:
            raise UnknownObject(what="schedule", key=name)
        return found


class RunSchedule(OneSchedule):
    """The schedule, now."""

    required_permissions = {"POST": RUNNING_SCHEDULES}
    limits = {"POST": "clean"}
    http_method_names = ["post", "options"]

    @described(
        "Run a schedule now",
        {202: ScheduledRunResource},
        parameters=[NAME],
        codes=["not_found", "no_cluster"],
        limited=True,
    )
    def post(self, request: Request, name: str) -> Response:
        """Have a cluster run the schedule now; ``status`` may be ``skipped``, with the reason.

        Requires the permission of what it starts: to check, or to clean up as many applications as its limit.
        """
        found = self.find(name)
        require_permission(request, *to_run_schedule(found.name, most=found.max_applications))
        done = self.automation.run_schedule(found.name, started_by=self.account)
        return Response(ScheduledRunResource(done).data, status=202)


class ScheduledRunsQuery(Page):
    """Which of them."""

    status = serializers.ChoiceField(ScheduledRun.Status.choices, required=False)
    ordering = serializers.ChoiceField(["-scheduled_run_id", "scheduled_run_id"], default="-scheduled_run_id")


class ScheduledRuns(Listing):
    """The times that schedules were due."""

    required_permissions = {"GET": (Permission.VIEW,)}
    filters = ScheduledRunsQuery
    row = ScheduledRunResource
    orders = {"-scheduled_run_id": ("-id",), "scheduled_run_id": ("id",)}

    @described("List scheduled runs", {200: page_of(ScheduledRunResource, "ScheduledRun")}, query=ScheduledRunsQuery)
    def get(self, request: Request) -> Response:
        """List what schedules started, skipped, planned, or have waiting for approval, the newest first."""
        return self.answer(request)

    def rows(self, query: Mapping[str, Any], **path: Any) -> QuerySet[Any]:
        """Return the requested ones."""
        return ScheduledRun.objects.using(self.using).filter(**input_serializers.given(dict(query), "status"))


class _Decision(Endpoint):
    """A decision about a scheduled run that waits for approval."""

    required_permissions = {"POST": RUNNING_SCHEDULES}

    def decided(self, request: Request, decide: Callable[..., ScheduledRun], **by: str) -> Response:
        """Take the reason from the body, and answer with the row."""
        scheduled_run_id = self.kwargs["scheduled_run_id"]
        found = ScheduledRun.objects.using(self.using).select_related("schedule").filter(pk=scheduled_run_id).first()
        if found is None:
            raise UnknownObject(what="scheduled run", key=scheduled_run_id)
        body = self.body(input_serializers.ReasonBody)
        require_permission(request, *to_run_schedule(found.schedule_id, most=found.schedule.max_applications))
        return Response(ScheduledRunResource(decide(found.pk, **by, **body)).data)


class ApproveScheduledRun(_Decision):
    """The approval."""

    limits = {"POST": "clean"}

    @described(
        "Approve a scheduled run",
        {200: ScheduledRunResource},
        body=input_serializers.ReasonBody,
        codes=["not_found", "not_waiting", "busy", "frozen", "no_cluster", "preflight"],
        limited=True,
    )
    def post(self, request: Request, scheduled_run_id: int) -> Response:
        """Have a cluster begin the cleanup that waits. Requires the permission of what it starts."""
        return self.decided(request, self.automation.approve_scheduled_run, approved_by=self.account)


class DeclineScheduledRun(_Decision):
    """The refusal."""

    @described(
        "Decline a scheduled run",
        {200: ScheduledRunResource},
        body=input_serializers.ReasonBody,
        codes=["not_found", "not_waiting"],
    )
    def post(self, request: Request, scheduled_run_id: int) -> Response:
        """End the cleanup that waits without beginning it. Requires the permission of what it would start."""
        return self.decided(request, self.automation.decline_scheduled_run, declined_by=self.account)


class Start(Endpoint):
    """The start of the service."""

    required_permissions = {"POST": (Permission.MANAGE_SCHEDULES,)}

    @described("Start the service", {200: serializer_of(StatusReport)}, codes=["restored_copy"])
    def post(self, request: Request) -> Response:
        """Let the schedules fire from now on; if the service is started already, nothing changes."""
        return Response(self.automation.start_automated_service(started_by=self.account))


class Stop(Endpoint):
    """The stop of the service."""

    required_permissions = {"POST": (Permission.MANAGE_SCHEDULES,)}

    @described("Stop the service", {200: serializer_of(StatusReport)})
    def post(self, request: Request) -> Response:
        """Let no schedule fire any more; work that has begun is finished."""
        return Response(self.automation.stop_automated_service(stopped_by=self.account))


class Adopt(Endpoint):
    """The adoption of a restored copy."""

    required_permissions = {"POST": (Permission.MANAGE_SCHEDULES,)}

    @described("Adopt a restored copy", {200: serializer_of(StatusReport)})
    def post(self, request: Request) -> Response:
        """Let schedules, clusters and interrupted runs work in this database, although it is a copy of another one.

        Requires the permissions of what it starts: to change schedules, and to resume each of the interrupted runs.
        If the database is not a copy, nothing changes.
        """
        for permissions in to_adopt(origin.interrupted(using=self.using)):
            require_permission(request, *permissions)
        return Response(self.automation.adopt_database(adopted_by=self.account))
