"""Endpoints for machines: metrics for Prometheus, and the health check. Thin: authenticate, one call, render.

Both authenticate as the API does, use its database, and refuse in its format. Metrics also accept the token of
``CLEANUP_METRICS_TOKEN``. Anyone may ask for the health, which is one word; the reasons are for those who may look. It
answers within two seconds, whatever the database does.
"""

from typing import Any

from django.http import HttpResponse, JsonResponse
from django.urls import re_path
from django.utils.crypto import constant_time_compare
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from cleanup import conf
from cleanup.api.base import Endpoint
from cleanup.extras import METRICS
from cleanup.permissions import Permission
from cleanup.services.concurrency.deadline import NoAnswer, within
from cleanup.services.monitoring.health import health
from cleanup.services.results import HealthVerdict

#: Seconds that the database has to report its health, and to authenticate the client.
PATIENCE = 1.2


def _has_token(request: Request) -> bool:
    token = conf.metrics_token()
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return bool(token) and scheme.lower() == "bearer" and constant_time_compare(given.strip(), token)


class Metrics(Endpoint):
    """``GET /api/cleanup/metrics``."""

    schema = None  # type: ignore[assignment]  # they have a format of their own
    required_permissions = {"GET": (Permission.VIEW,)}

    def get_authenticators(self) -> list[Any]:
        """Leave our own token to no other authenticator."""
        return [] if _has_token(self.request) else super().get_authenticators()

    def get_permissions(self) -> list[Any]:
        """Let our own token in."""
        return [] if _has_token(self.request) else list(super().get_permissions())

    def get(self, request: Request) -> HttpResponse:
        """Answer in the form that the scraper prefers. Raises MissingPackage."""
        METRICS.require("The metrics")
        from prometheus_client.exposition import choose_encoder  # noqa: PLC0415  # need not be there

        from cleanup.metrics import registry  # noqa: PLC0415  # as above

        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return HttpResponse(encode(registry(using=self.using)), content_type=content_type)


class Health(Endpoint):
    """``GET /api/cleanup/health``: 200 or 503."""

    schema = None  # type: ignore[assignment]  # it is for monitors
    permission_classes = ()  # type: ignore[assignment]  # anyone may ask

    def perform_authentication(self, request: Request) -> None:
        """Do not query the database about the client before it is known to answer."""

    def get(self, request: Request) -> HttpResponse:
        """Explain why to those who are allowed to look."""
        using = self.using
        try:
            found, may_view = within(PATIENCE, lambda: self._look(request, using=using))
        except NoAnswer:
            found, may_view = HealthVerdict(ok=False, database=""), False
        told = found.as_json() if may_view else {}
        answer = {"status": "ok" if found.ok else "not ok"} | {name: told[name] for name in told if name != "ok"}
        return JsonResponse(answer, status=200 if answer["status"] == "ok" else 503)

    def _look(self, request: Request, *, using: str) -> tuple[HealthVerdict, bool]:
        found = health(using=using)
        return found, found.database == "ok" and _may_view(request)


def _may_view(request: Request) -> bool:
    try:
        return bool(request.user and request.user.has_perm(Permission.VIEW))
    except APIException:  # unknown credentials, or too many of them
        return False


urlpatterns = [
    re_path(r"^metrics/?$", Metrics.as_view(), name="cleanup-metrics"),
    re_path(r"^health/?$", Health.as_view(), name="cleanup-health"),
]
