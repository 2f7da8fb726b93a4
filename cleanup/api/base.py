"""The one base of all views: permissions, rates, input and the form of errors.

A view parses, checks the permission, calls one service, and renders. It depends on none of the host's settings of
Django REST framework.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cleanup import conf
from cleanup.api import idempotency_keys
from cleanup.api.authentication import AUTHENTICATION
from cleanup.api.exception_handler import Invalid, ProblemRenderer, answer
from cleanup.api.parsers import StrictParser
from cleanup.api.permissions import HasCleanupPermission
from cleanup.api.serializer_fields import UUID_FORM, Input, key_text
from cleanup.api.throttles import KindRateThrottle
from cleanup.exceptions import InvalidKey, UnknownObject
from cleanup.folder_tables import folder_tables
from cleanup.permissions import Permission
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService
from cleanup.services.results import JSON
from cleanup.services.runs import idempotency
from cleanup.services.runs.idempotency import Asked
from cleanup.services.runs.lifecycle import Actor


class Keyed(Enum):
    """How a method applies an idempotency key."""

    NOT = auto()
    """It changes nothing."""
    AT_ONCE = auto()
    """Key, changes and answer are one transaction."""
    CLAIMED = auto()
    """It takes longer: the key is claimed first."""
    BY_VERB = auto()
    """The service handles the key; it is passed ``once``."""


@dataclass(frozen=True, slots=True)
class Takes:
    """What a method takes in query and body; ``described`` notes it on the method."""

    query: type[serializers.Serializer[Any]] | None = None
    body: type[serializers.Serializer[Any]] | None = None


NOTHING = Takes()


class Negotiation(DefaultContentNegotiation):
    """Always JSON, whatever is asked for: an error must not hide another one."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        """Take the first renderer."""
        return renderers[0], renderers[0].media_type


class Endpoint(APIView):
    """One route."""

    authentication_classes = AUTHENTICATION
    permission_classes = (HasCleanupPermission,)
    throttle_classes = (KindRateThrottle,)
    parser_classes = (StrictParser,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = Negotiation
    schema = AutoSchema()

    required_permissions: ClassVar[Mapping[str, tuple[Permission, ...]]] = {}
    """By method, the permissions of which any one is needed."""
    limits: ClassVar[Mapping[str, str]] = {}
    """By method, the key of ``CLEANUP_API_RATES`` that it counts under."""

    @property
    def using(self) -> str:
        """Return the alias of the database that the API works on."""
        return conf.database()

    @property
    def service(self) -> DatabaseCleanupService:
        """Return the service of that database."""
        return DatabaseCleanupService(using=self.using)

    @property
    def automation(self) -> AutomatedCleanupService:
        """Return the automated service of that database."""
        return AutomatedCleanupService(using=self.using)

    @property
    def account(self) -> str:
        """Return the name of who asks, for the history."""
        return str(self.request.user.get_username())

    def actor(self, body: Mapping[str, Any]) -> Actor:
        """Return who starts something, and why, for the history."""
        return Actor(self.account, "api", body.get("reason", ""))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer in English, whatever language the client's browser asks for: programs read it, and logs keep it."""
        with translation.override("en"):
            response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        response.headers["Content-Language"] = "en"
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse, before anything is done, what the method does not accept. Raises Invalid, and what DRF raises."""
        super().initial(request, *args, **kwargs)
        handler = getattr(self, (request.method or "").lower(), None)
        if handler is not None:
            self.refuse_unknown(request, getattr(handler, "takes", NOTHING))

    def refuse_unknown(self, request: Request, takes: "Takes") -> None:
        """Refuse parameters and fields that the method does not declare, and repeated ones. Raises ValidationError."""
        repeated = [name for name, values in request.query_params.lists() if len(values) > 1]
        if repeated:
            raise Invalid(dict.fromkeys(repeated, "It may be given only once."))
        self.query(takes.query or Input)
        self.body(takes.body or Input)

    # A request that is sent twice with one Idempotency-Key is carried out once.

    def at_once(self, act: Callable[[], Response], *, secrets: Iterable[str] = ()) -> Response:
        """Carry out a short action. Raises KeyReused, and what ``act`` raises."""
        return idempotency.at_once(idempotency_keys.asked(self.request, secrets=secrets), act, using=self.using)

    def claimed(self, act: Callable[[], Response]) -> Response:
        """Carry out a longer action that writes no run. Raises KeyReused, InProgress, and what ``act`` raises."""
        return idempotency.claimed(idempotency_keys.asked(self.request), act, using=self.using)

    def once(self, respond: Callable[[JSON], Response] = Response) -> Asked[JSON] | None:
        """Return the request with its key, for a verb whose answer ``respond`` makes a response. Raises Invalid."""
        return idempotency_keys.asked_for_document(self.request, respond)

    def get_exception_handler(self) -> Any:
        """Return the handler that formats errors, whatever the host's settings say."""
        return answer

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Forbid caching of what is current only for a moment, and only for one account."""
        final = super().finalize_response(request, response, *args, **kwargs)
        if getattr(response, "content_type", None) == ProblemRenderer.media_type:
            response.accepted_renderer = ProblemRenderer()
            response.accepted_media_type = ProblemRenderer.media_type
        final.headers.setdefault("Cache-Control", "no-store")
        return final

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]  # as DRF does
        """Return the methods that are allowed."""
        return Response(status=204, headers={"Allow": ", ".join(self.allowed_methods)})

    def uuid(self, value: str, *, what: str) -> UUID:
        """Return an id from the path. Raises UnknownObject, also for a malformed id, which cannot match anything."""
        if UUID_FORM.fullmatch(value) is None:
            raise UnknownObject(what=what, key=value)
        return UUID(value)

    def key(self, value: str, *, of: str) -> str:
        """Return an application's or a folder's key from the path. Raises UnknownObject."""
        tables = folder_tables()
        column = {"application": tables.application_key, "folder": tables.folder_key}[of]
        try:
            return key_text(column, value)
        except InvalidKey:
            raise UnknownObject(what=of, key=value) from None

    def query(self, kind: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """Return the query parameters. Raises ValidationError, also for unknown ones such as ``dryrun=true``."""
        return self._checked(kind, self.request.query_params.dict())

    def body(self, kind: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """Return the fields of the body; an empty body has none. Raises ValidationError."""
        return self._checked(kind, self.request.data)

    def _checked(self, kind: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
        # A form's empty data, which is what an empty body is read as, is not a dict.
        serializer = kind(data=data if data or not hasattr(data, "lists") else {})
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)
