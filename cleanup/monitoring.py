"""What machines ask: metrics for Prometheus, and whether all is well. Thin: authenticate, one call, render.

Strangers are told "ok" or "not ok" and nothing else. Metrics want the permission to look, or the token of
``CLEANUP_METRICS_TOKEN``, which Prometheus sends as a bearer token.
"""

from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.http import HttpResponse, JsonResponse
from django.urls import re_path
from django.utils.crypto import constant_time_compare
from prometheus_client.exposition import choose_encoder
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from cleanup import conf
from cleanup.metrics import registry
from cleanup.permissions import Permission
from cleanup.services.health import health


class UnknownParameter(APIException):
    """There are none."""

    status_code = 422
    default_code = "invalid"
    default_detail = "There is no such parameter."


class _Answer(APIView):
    """Answers in its own form, whatever the project's renderers are, and has no page in the API's description."""

    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse parameters, as the API does. Raises UnknownParameter."""
        super().initial(request, *args, **kwargs)
        if request.query_params:
            raise UnknownParameter

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:  # noqa: ARG002, FBT001, FBT002  # of the base class
        """Refuse no Accept header."""
        return JSONRenderer(), "application/json"


def _has_token(request: Request) -> bool:
    token = conf.metrics_token()
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return bool(token) and scheme.lower() == "bearer" and constant_time_compare(given.strip(), token)


class MayScrape(BasePermission):
    """The token for metrics, or the permission to look."""

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002  # of the base class
        """Tell whether the request may."""
        return _has_token(request) or bool(request.user and request.user.has_perm(Permission.LOOK))


class Metrics(_Answer):
    """``GET /api/cleanup/metrics``."""

    permission_classes = [MayScrape]

    def get_authenticators(self) -> list[Any]:
        """Ask nobody else about our own token."""
        return [] if _has_token(self.request) else super().get_authenticators()

    def get(self, request: Request) -> HttpResponse:
        """Answer in the form that the scraper prefers."""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return HttpResponse(encode(registry(using=DEFAULT_DB_ALIAS)), content_type=content_type)


class Health(_Answer):
    """``GET /api/cleanup/health``: 200 or 503."""

    permission_classes = []

    def perform_authentication(self, request: Request) -> None:
        """Ask no database about the caller before it is known that there is one."""

    def get(self, request: Request) -> HttpResponse:
        """Tell those who may look why."""
        found = health(using=DEFAULT_DB_ALIAS)
        answer: dict[str, Any] = {"status": "ok" if found.pop("ok") else "not ok"}
        if found["database"] == "ok" and self._may_look(request):
            answer |= found
        response = JsonResponse(answer, status=200 if answer["status"] == "ok" else 503)
        response.headers["Cache-Control"] = "no-store"
        return response

    def _may_look(self, request: Request) -> bool:
        try:
            return bool(request.user and request.user.has_perm(Permission.LOOK))
        except AuthenticationFailed:
            return False


urlpatterns = [
    re_path(r"^metrics/?$", Metrics.as_view(), name="cleanup-metrics"),
    re_path(r"^health/?$", Health.as_view(), name="cleanup-health"),
]
