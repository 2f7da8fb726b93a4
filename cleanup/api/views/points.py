"""Rollback points."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cleanup.api import input_serializers
from cleanup.api.base import Endpoint, Keyed
from cleanup.api.model_serializers import PointResource, SnapshotRowResource
from cleanup.api.output_serializers import StartedRollback, serializer_of
from cleanup.api.pagination import Listing, Page, page_of
from cleanup.api.schema import UNDOING, described, path_id
from cleanup.api.serializer_fields import Key, QueryUuid
from cleanup.api.views.operations import roll_back
from cleanup.exceptions import UnknownObject
from cleanup.models import RollbackPoint, SnapshotRow
from cleanup.permissions import CLEANING, Permission
from cleanup.services.operations import requests
from cleanup.services.results import RollbackResult

ROLLBACK_ID = path_id("rollback_id", "A rollback point.")


class PointEndpoint(Endpoint):
    """One point."""

    def find(self, rollback_id: str) -> RollbackPoint:
        """Return the point. Raises UnknownObject."""
        key = self.uuid(rollback_id, what="rollback point")
        point = RollbackPoint.objects.using(self.using).filter(uuid=key).first()
        if point is None:
            raise UnknownObject(what="rollback point", key=key)
        return point


class PointsQuery(Page):
    """Which points."""

    application_id = Key(of="application", required=False)
    run_id = QueryUuid(required=False)
    kind = serializers.ChoiceField(RollbackPoint.Kind.choices, required=False)
    status = serializers.ChoiceField(RollbackPoint.Status.choices, required=False)
    ordering = serializers.ChoiceField(["-created_at", "created_at"], default="-created_at")


class Points(Listing):
    """The rollback points."""

    required_permissions = {"GET": (Permission.VIEW,), "POST": CLEANING}
    filters = PointsQuery
    row = PointResource
    orders = {"-created_at": ("-id",), "created_at": ("id",)}

    @described("List rollback points", {200: page_of(PointResource, "RollbackPoint")}, query=PointsQuery)
    def get(self, request: Request) -> Response:
        """List rollback points, the newest first."""
        return self.answer(request)

    def rows(self, query: Mapping[str, Any], **path: Any) -> QuerySet[Any]:
        """Return the requested points."""
        found = RollbackPoint.objects.using(self.using)
        if "application_id" in query:
            found = found.filter(application_key=query["application_id"])
        return found.filter(**input_serializers.given(dict(query), "run_id", "kind", "status"))

    @described(
        "Take a rollback point",
        {201: PointResource},
        body=input_serializers.PointBody,
        codes=["not_found", "misconfigured"],
    )
    def post(self, request: Request) -> Response:
        """Store an application's whole folder structure; rolling it back undoes the cleanups since."""
        body = self.body(input_serializers.PointBody)
        key = self.service.create_rollback_point(
            body["application_id"], reason=body.get("reason", ""), created_by=self.account
        )
        point = RollbackPoint.objects.using(self.using).get(uuid=key)
        return Response(PointResource(point).data, status=201)


class OnePoint(PointEndpoint):
    """A rollback point."""

    required_permissions = {"GET": (Permission.VIEW,)}

    @described("Get a rollback point", {200: PointResource}, parameters=[ROLLBACK_ID], codes=["not_found"])
    def get(self, request: Request, rollback_id: str) -> Response:
        """Return which cleanup it undoes, until when it is kept, and what has become of it."""
        return Response(PointResource(self.find(rollback_id)).data)


class RowsOfPoint(Listing, PointEndpoint):
    """A point's snapshot rows."""

    required_permissions = {"GET": (Permission.VIEW,)}
    filters = Page
    row = SnapshotRowResource
    orders = {"snapshot_row_id": ("id",)}

    @described(
        "List a point's snapshot rows",
        {200: page_of(SnapshotRowResource, "SnapshotRow")},
        query=Page,
        parameters=[ROLLBACK_ID],
        codes=["not_found"],
    )
    def get(self, request: Request, rollback_id: str) -> Response:
        """List what was there before, in the order of writing."""
        return self.answer(request, point=self.find(rollback_id))

    def rows(self, query: Mapping[str, Any], **path: Any) -> QuerySet[Any]:
        """Return the rows of the point."""
        return SnapshotRow.objects.using(self.using).filter(point=path["point"])


class PreviewPoint(PointEndpoint):
    """What a rollback would do."""

    required_permissions = {"POST": (Permission.ROLL_BACK,)}
    limits = {"POST": "check"}

    @described(
        "Preview a rollback",
        {200: serializer_of(RollbackResult)},
        body=input_serializers.RollbackPreviewBody,
        parameters=[ROLLBACK_ID],
        codes=["not_found", "too_large_to_preview", *UNDOING],
        limited=True,
        keyed=Keyed.NOT,
    )
    def post(self, request: Request, rollback_id: str) -> Response:
        """Return what would be restored, and the conflicts.

        It is the rollback itself in a transaction that is rolled back: nothing stays changed, but locks are taken for a
        moment. Therefore it is a POST, and requires the permission to roll back.
        """
        body, point = self.body(input_serializers.RollbackPreviewBody), self.find(rollback_id)
        return Response(requests.preview_rollback(using=self.using, rollback_id=point.uuid, **body).as_json())


class RollbackPointNow(PointEndpoint):
    """The rollback of a point."""

    required_permissions = {"POST": (Permission.ROLL_BACK,)}
    limits = {"POST": "clean"}

    @described(
        "Roll back a point",
        {200: StartedRollback, 202: StartedRollback},
        query=input_serializers.RollbackQuery,
        body=input_serializers.RollbackBody,
        parameters=[ROLLBACK_ID],
        codes=[*UNDOING, "not_found", "no_cluster"],
        limited=True,
        keyed=Keyed.BY_VERB,
    )
    def post(self, request: Request, rollback_id: str) -> Response:
        """Restore what the point holds, in this request, or with ``wait=false`` by a cluster."""
        return roll_back(self, request, self.find(rollback_id).uuid)
