"""Alerts."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cleanup.api import input_serializers
from cleanup.api.base import Endpoint
from cleanup.api.model_serializers import AlertResource
from cleanup.api.pagination import Listing, Page, page_of
from cleanup.api.schema import described
from cleanup.exceptions import UnknownObject
from cleanup.models import Alert
from cleanup.permissions import Permission
from cleanup.services.alerting import alerts


class AlertsQuery(Page):
    """Which alerts."""

    state = serializers.ChoiceField(Alert.State.choices, required=False)
    severity = serializers.ChoiceField(Alert.Severity.choices, required=False)
    ordering = serializers.ChoiceField(["-alert_id", "alert_id"], default="-alert_id")


class Alerts(Listing):
    """The alerts."""

    required_permissions = {"GET": (Permission.VIEW,)}
    filters = AlertsQuery
    row = AlertResource
    orders = {"-alert_id": ("-id",), "alert_id": ("id",)}

    @described("List alerts", {200: page_of(AlertResource, "Alert")}, query=AlertsQuery)
    def get(self, request: Request) -> Response:
        """List alerts, the newest first."""
        return self.answer(request)

    def rows(self, query: Mapping[str, Any], **path: Any) -> QuerySet[Any]:
        """Return the requested alerts."""
        return Alert.objects.using(self.using).filter(**input_serializers.given(dict(query), "state", "severity"))


class OneAlert(Endpoint):
    """An alert."""

    required_permissions = {"GET": (Permission.VIEW,)}

    @described("Get an alert", {200: AlertResource}, codes=["not_found"])
    def get(self, request: Request, alert_id: int) -> Response:
        """Return what is wrong, since when, and who has acknowledged it."""
        found = Alert.objects.using(self.using).filter(pk=alert_id).first()
        if found is None:
            raise UnknownObject(what="alert", key=alert_id)
        return Response(AlertResource(found).data)


class AcknowledgeAlert(Endpoint):
    """The acknowledgement of an alert."""

    required_permissions = {"POST": (Permission.MANAGE_SCHEDULES,)}

    @described("Acknowledge an alert", {200: AlertResource}, codes=["not_found"])
    def post(self, request: Request, alert_id: int) -> Response:
        """Acknowledge the alert: it is not repeated unless things get worse."""
        return Response(AlertResource(alerts.acknowledge(using=self.using, alert_id=alert_id, by=self.account)).data)
