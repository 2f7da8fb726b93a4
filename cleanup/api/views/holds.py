"""Holds: applications that are left alone."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from cleanup.api import input_serializers
from cleanup.api.base import Endpoint
from cleanup.api.log_entries import add_log_entry
from cleanup.api.model_serializers import HoldResource
from cleanup.api.pagination import Listing, Page, page_of
from cleanup.api.schema import described, path_id
from cleanup.exceptions import UnknownObject
from cleanup.models import Hold
from cleanup.permissions import CLEANING, Permission

APPLICATION_ID = path_id("application_id", "An application.", form=None)


class Holds(Listing):
    """The holds."""

    required_permissions = {"GET": (Permission.VIEW,)}
    filters = Page
    row = HoldResource
    orders = {"application_id": ("application_key",)}

    @described("List holds", {200: page_of(HoldResource, "Hold")}, query=Page)
    def get(self, request: Request) -> Response:
        """List the applications that are left alone, by id."""
        return self.answer(request)

    def rows(self, query: Mapping[str, Any], **path: Any) -> QuerySet[Any]:
        """Return the holds."""
        return Hold.objects.using(self.using).all()


class OneHold(Endpoint):
    """The hold of an application."""

    required_permissions = {"GET": (Permission.VIEW,), "PUT": CLEANING, "DELETE": CLEANING}

    @described("Get a hold", {200: HoldResource}, parameters=[APPLICATION_ID], codes=["not_found"])
    def get(self, request: Request, application_id: str) -> Response:
        """Return since when and why the application is on hold; 404 if it is not."""
        return Response(HoldResource(self._find(self.key(application_id, of="application"))).data)

    @described(
        "Hold an application",
        {200: HoldResource},
        body=input_serializers.ReasonBody,
        parameters=[APPLICATION_ID],
        codes=["not_found"],
    )
    def put(self, request: Request, application_id: str) -> Response:
        """Leave the application alone from now on."""
        body, key = self.body(input_serializers.ReasonBody), self.key(application_id, of="application")
        self.service.hold(key, reason=body.get("reason", ""), created_by=self.account)
        return Response(HoldResource(self._find(key)).data)

    @described("Release an application", {204: None}, parameters=[APPLICATION_ID], codes=["not_found"])
    def delete(self, request: Request, application_id: str) -> Response:
        """End the hold."""
        hold = self._find(self.key(application_id, of="application"))
        self.service.release(hold.application_key)
        add_log_entry(self.request, hold, "Released the application.")
        return Response(status=204)

    def _find(self, key: str) -> Hold:
        hold = Hold.objects.using(self.using).filter(application_key=key).first()
        if hold is None:
            raise UnknownObject(what="hold of application", key=key)
        return hold
