"""How the views describe themselves: the problems that each may answer with, examples, and the schema's settings."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar, cast

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cleanup import exceptions
from cleanup.api.base import Endpoint, Keyed, Takes
from cleanup.api.exception_handler import TYPE, ProblemRenderer, status_of
from cleanup.api.idempotency_keys import HEADER
from cleanup.api.pagination import Page
from cleanup.api.parsers import BodyTooLarge

F = TypeVar("F", bound=Callable[..., Any])

#: The framework's own problems: status and detail.
_OF_FRAMEWORK: Mapping[str, tuple[HTTPStatus, str]] = {
    "parse_error": (HTTPStatus.BAD_REQUEST, "JSON parse error - Expecting value: line 1 column 1 (char 0)"),
    "not_authenticated": (HTTPStatus.UNAUTHORIZED, "Authentication credentials were not provided."),
    "authentication_failed": (HTTPStatus.UNAUTHORIZED, "The token is unknown or has expired."),
    "permission_denied": (HTTPStatus.FORBIDDEN, "This requires the permission cleanup.view."),
    "unsupported_media_type": (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, 'Unsupported media type "text/plain" in request.'),
    "body_too_large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, BodyTooLarge.default_detail),
    "invalid": (HTTPStatus.UNPROCESSABLE_ENTITY, "Something in the request is not allowed."),
    "throttled": (HTTPStatus.TOO_MANY_REQUESTS, "Request was throttled. Expected available in 12 seconds."),
    "try_again": (HTTPStatus.SERVICE_UNAVAILABLE, "The database refused (LockNotAvailable, SQLSTATE 55P03)."),
    "session_needed": (HTTPStatus.FORBIDDEN, "Log in by a browser, or send a token that lives longer."),
}

_OF_PRODUCT: Mapping[str, type[exceptions.CleanupError]] = {
    kind.code: kind
    for kind in reversed(list(vars(exceptions).values()))  # the first of a code says it best
    if inspect.isclass(kind) and issubclass(kind, exceptions.CleanupError)
}

ALWAYS = (
    "not_authenticated",
    "authentication_failed",
    "permission_denied",
    "parse_error",
    "body_too_large",
    "unsupported_media_type",
    "invalid",
    "try_again",
)
#: What keeps a run from starting.
STARTING = ("busy", "frozen", "preflight", "no_cluster")
#: What keeps a rollback from being done.
UNDOING = (
    "frozen",
    "preflight",
    "already_rolled_back",
    "expired",
    "superseded",
    "conflict",
    "would_detach",
    "would_misplace",
    "schema_changed",
    "guarded",
    "unreadable_journal",
)


class FieldProblem(serializers.Serializer[Any]):
    """What is wrong with one field."""

    field = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemDetails(serializers.Serializer[Any]):
    """An error, as RFC 9457 has it; ``code`` is for programs, ``detail`` for people."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    errors = FieldProblem(many=True, required=False)  # type: ignore[assignment]  # a field of that name, as in the RFC
    permission = serializers.CharField(required=False)
    run_id = serializers.CharField(required=False)
    conflicts = serializers.ListField(required=False)
    problems = serializers.ListField(required=False)
    plan_hash = serializers.CharField(required=False)
    plan = serializers.DictField(required=False)
    rollback_id = serializers.CharField(required=False)
    later_id = serializers.CharField(required=False)
    application_id = serializers.CharField(required=False)
    count = serializers.IntegerField(required=False)
    limit = serializers.IntegerField(required=False)
    guard = serializers.CharField(required=False)
    command = serializers.CharField(required=False)
    at = serializers.CharField(required=False)


def example_of(code: str) -> dict[str, Any]:
    """Return a problem of a code, as an example."""
    status, detail = _status_and_detail(code)
    return {"type": f"{TYPE}{code}", "title": status.phrase, "status": int(status), "detail": detail, "code": code}


def _status_and_detail(code: str) -> tuple[HTTPStatus, str]:
    if code in _OF_FRAMEWORK:
        return _OF_FRAMEWORK[code]
    kind = _OF_PRODUCT[code]
    return status_of(kind), " ".join((kind.__doc__ or "").split())


def problems(codes: Iterable[str]) -> dict[Any, OpenApiResponse]:
    """Return the responses that tell of these codes, by status, each with an example."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(int(_status_and_detail(code)[0]), []).append(code)
    return {
        (status, ProblemRenderer.media_type): OpenApiResponse(
            ProblemDetails,
            description=", ".join(found),
            examples=[
                OpenApiExample(code, example_of(code), media_type=ProblemRenderer.media_type, status_codes=[status])
                for code in found
            ],
        )
        for status, found in sorted(by_status.items())
    }


def described(
    summary: str,
    answers: Mapping[Any, Any],
    *,
    codes: Iterable[str] = (),
    query: type[serializers.Serializer[Any]] | None = None,
    body: type[serializers.Serializer[Any]] | None = None,
    parameters: Sequence[OpenApiParameter] = (),
    examples: Sequence[OpenApiExample] = (),
    limited: bool = False,
    keyed: Keyed | None = None,
    secrets: Sequence[str] = (),
    **more: Any,
) -> Callable[[F], F]:
    """Describe a method of a view: what it takes, what it answers by status (and type), and every problem.

    An idempotency key holds on every method but GET, at once unless ``keyed`` says otherwise; ``secrets`` names the
    fields of the answer that are not kept with it.
    """
    found = [*ALWAYS, *codes]
    found += ("not_found",) if query and issubclass(query, Page) else ()
    found += ("throttled",) if limited else ()
    found += ("restored_copy",) if "no_cluster" in found else ()  # where clusters do nothing, either

    def describe(method: F) -> F:
        how = keyed or (Keyed.NOT if method.__name__ == "get" else Keyed.AT_ONCE)
        holds = how is not Keyed.NOT
        extend = extend_schema(
            summary=summary,
            operation_id=summary.lower().replace(" ", "_").replace("'", ""),
            request=body,
            parameters=[*parameters, *([query] if query else []), *([IDEMPOTENCY_KEY] if holds else [])],
            responses={**answers, **problems([*found, *(("key_reused", "in_progress") if holds else ())])},
            examples=list(examples),
            **more,
        )
        view = _keyed(method, how, secrets)
        view.takes = Takes(query, body)  # type: ignore[attr-defined]  # it is a function
        view.schema = AutoSchema  # type: ignore[attr-defined]  # else it is taken from the host's settings
        return extend(view)

    return describe


def _keyed(method: F, how: Keyed, secrets: Sequence[str]) -> F:
    """Have a method do once what is sent twice with one key, if its verb does not see to it."""
    if how in (Keyed.NOT, Keyed.BY_VERB):
        return method

    @wraps(method)
    def once(self: Endpoint, request: Request, *args: Any, **kwargs: Any) -> Response:
        def act() -> Response:
            answer: Response = method(self, request, *args, **kwargs)
            return answer

        return self.claimed(act) if how is Keyed.CLAIMED else self.at_once(act, secrets=secrets)

    return cast("F", once)


def path_id(
    name: str, what: str, *, form: str | None = "uuid", choices: Sequence[str] | None = None
) -> OpenApiParameter:
    """Describe an id in the path, perhaps one of some choices."""
    schema = {"type": "string", **({"format": form} if form else {}), **({"enum": choices} if choices else {})}
    return OpenApiParameter(name, schema, OpenApiParameter.PATH, required=True, description=what)


IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!-~]{1,255}$"},
    OpenApiParameter.HEADER,
    description="A random text. The same request with the same key is done once, and gets the first answer again.",
)


def without_twins(endpoints: Iterable[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Leave out the routes with a trailing slash, which are there beside those without."""
    return [endpoint for endpoint in endpoints if not endpoint[0].endswith("/")]
