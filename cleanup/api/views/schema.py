"""The API's own description: the OpenAPI schema, and a page to read and try it, which needs no other server."""

from typing import Any

from django.contrib.auth.mixins import LoginRequiredMixin, PermissionRequiredMixin
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.generic import TemplateView
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.views import SpectacularAPIView
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from cleanup.api.base import Endpoint, Takes
from cleanup.api.schema import described
from cleanup.api.schema_settings import SETTINGS
from cleanup.api.serializer_fields import Input
from cleanup.permissions import Permission


class SchemaQuery(Input):
    """In which form."""

    format = serializers.ChoiceField(
        ["yaml", "json"], required=False, help_text="By default, as the Accept header asks."
    )


class Schema(SpectacularAPIView, Endpoint):
    """The OpenAPI schema."""

    authentication_classes = Endpoint.authentication_classes
    permission_classes = Endpoint.permission_classes
    renderer_classes = SpectacularAPIView.renderer_classes  # type: ignore[assignment]  # the right ones
    content_negotiation_class = DefaultContentNegotiation  # type: ignore[assignment]  # YAML or JSON, as is asked for
    custom_settings = dict(SETTINGS)
    serve_public = True
    required_permissions = {"GET": (Permission.VIEW,)}

    @described("Get this schema", {200: OpenApiTypes.OBJECT}, query=SchemaQuery)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return the schema, as YAML, or as JSON if that is asked for."""
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        return response


class UnknownPath(Endpoint):
    """All unknown paths."""

    schema = None  # type: ignore[assignment]  # DRF's way to leave a view out

    def refuse_unknown(self, request: Request, takes: Takes) -> None:
        """Accept anything: the path is what is wrong."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer authorized clients in the common format. Raises NotFound."""
        super().initial(request, *args, **kwargs)
        raise NotFound("There is no such path.")


class SwaggerPage(LoginRequiredMixin, PermissionRequiredMixin, TemplateView):
    """The page, for people who have logged in; a POST from it carries their session's CSRF token."""

    template_name = "cleanup/api/try_it.html"
    permission_required = str(Permission.VIEW)
    http_method_names = ["get", "head", "options"]

    #: Nothing from other servers. The page sets styles on elements, and draws its icons from data URLs.
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )

    def handle_no_permission(self) -> Any:
        """Redirect anonymous visitors to the login, and refuse others."""
        self.raise_exception = self.request.user.is_authenticated
        return super().handle_no_permission()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Add the policy."""
        response = super().dispatch(request, *args, **kwargs)
        if request.user.is_authenticated and request.GET:
            response = HttpResponse("The page takes no parameters.", status=422, content_type="text/plain")
        response.headers["Content-Security-Policy"] = self.policy
        response.headers["Cache-Control"] = "no-store"
        return response
