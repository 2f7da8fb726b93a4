"""Errors in one format, RFC 9457's, with the product's codes: one table maps codes to HTTP statuses.

A problem has ``type``, ``title``, ``status``, ``detail`` and ``code``, and what the error carries: ``run_id``,
``conflicts``, ``problems``, ``errors``. A database's own message is never part of it.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError, InterfaceError
from django.http import Http404, HttpRequest, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.views import defaults
from rest_framework import exceptions as drf
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from cleanup.api.parsers import BodyTooLarge
from cleanup.exceptions import ApplicationError, CleanupError, Refused, UsageError
from cleanup.services.errors import classify
from cleanup.services.results import plain

logger = logging.getLogger(__name__)

#: Codes whose status differs from that of their kind of error.
STATUS: Mapping[str, HTTPStatus] = {
    "not_found": HTTPStatus.NOT_FOUND,
    "no_cluster": HTTPStatus.SERVICE_UNAVAILABLE,
    "database": HTTPStatus.SERVICE_UNAVAILABLE,
    "misconfigured": HTTPStatus.INTERNAL_SERVER_ERROR,
    "not_installed": HTTPStatus.NOT_IMPLEMENTED,
}

#: By kind of error, the more specific first.
_STATUS_OF_KIND: Sequence[tuple[type[CleanupError], HTTPStatus]] = (
    (UsageError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Refused, HTTPStatus.CONFLICT),
    (ApplicationError, HTTPStatus.CONFLICT),
    (CleanupError, HTTPStatus.INTERNAL_SERVER_ERROR),
)

#: What an error may carry to a client; everything else stays here.
_CLIENT_FIELDS = (
    "run_id",
    "rollback_id",
    "later_id",
    "application_id",
    "count",
    "guard",
    "command",
    "at",
    "plan_hash",
    "plan",
    "limit",
    "conflicts",
    "problems",
)

#: Seconds to wait before it is worth trying again.
RETRY_AFTER = 5
_TEMPORARY = ("no_cluster", "in_progress")

TYPE = "urn:cleanup:problem:"


class ProblemRenderer(JSONRenderer):
    """JSON under the media type of problems."""

    media_type = "application/problem+json"
    format = "problem"


class Invalid(drf.ValidationError):
    """The request is well-formed, and something in it is not allowed."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY


def status_of(error: type[CleanupError]) -> HTTPStatus:
    """Return the HTTP status of one of the product's errors."""
    return STATUS.get(error.code) or next(status for kind, status in _STATUS_OF_KIND if issubclass(error, kind))


def answer(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Return the problem document of an error; None for an unexpected one, which is a 500."""
    if isinstance(error, CleanupError):
        response = _problem(status_of(type(error)), error.code, str(error), **_fields_for_client(error))
        if error.code in _TEMPORARY:
            response["Retry-After"] = str(RETRY_AFTER)
        return response
    if isinstance(error, DatabaseError | InterfaceError):
        return _of_database(error)
    if isinstance(error, Http404):
        error = drf.NotFound()
    if isinstance(error, RequestDataTooBig):
        error = BodyTooLarge()
    if isinstance(error, SuspiciousOperation | UnreadablePostError | MultiPartParserError):
        error = drf.ParseError("The request cannot be read.")
    if isinstance(error, PermissionDenied):
        error = drf.PermissionDenied()
    if isinstance(error, drf.APIException):
        return _of_framework(error)
    return None


def _of_database(error: DatabaseError | InterfaceError) -> Response | None:
    """Return a 503 for locks and lost connections, which pass; anything else is a fault of ours."""
    classified = classify(error)
    if classified.kind != "transient":
        return None
    logger.warning("answered with 503: %s", classified.message)
    response = _problem(HTTPStatus.SERVICE_UNAVAILABLE, "try_again", classified.message)
    response["Retry-After"] = str(RETRY_AFTER)
    return response


def _of_framework(error: drf.APIException) -> Response:
    extra: dict[str, Any] = {}
    if isinstance(error, drf.ValidationError):
        code, detail = "invalid", "Something in the request is not allowed."
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        extra["errors"] = list(_errors(error.detail))
    else:
        codes = error.get_codes()
        code = codes if isinstance(codes, str) else "error"
        detail, status = str(error.detail), HTTPStatus(error.status_code)
        extra.update(getattr(error, "told", {}))
    response = _problem(status, code, detail, **extra)
    if header := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = str(max(1, round(wait)))
    return response


def _errors(detail: Any, path: str = "") -> "list[dict[str, str]]":
    """List the errors by field; nested fields are separated by dots."""
    if isinstance(detail, Mapping):
        return [error for name, below in detail.items() for error in _errors(below, f"{path}.{name}".lstrip("."))]
    if isinstance(detail, list):
        return [error for below in detail for error in _errors(below, path)]
    return [{"field": path, "code": getattr(detail, "code", "invalid"), "detail": str(detail)}]


def _fields_for_client(error: CleanupError) -> dict[str, Any]:
    return {name: plain(error.data[name]) for name in _CLIENT_FIELDS if name in error.data}


def _well_formed(value: Any) -> Any:
    """Escape halves of surrogate pairs, which JSON can express but no encoding can write."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_well_formed(name): _well_formed(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_well_formed(entry) for entry in value]
    return value


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer requests that Django itself refuses; for use as a project's ``handler400``."""
    if not _is_of_api(request):
        return defaults.bad_request(request, exception)
    return _plain_problem(HTTPStatus.BAD_REQUEST, "parse_error", "The request cannot be read.")


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer for an unexpected failure; for use as a project's ``handler500``."""
    if not _is_of_api(request):
        return defaults.server_error(request)
    return _plain_problem(HTTPStatus.INTERNAL_SERVER_ERROR, "error", "The server failed. The reason is in its log.")


def _is_of_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/cleanup/")


def _plain_problem(status: HTTPStatus, code: str, detail: str) -> HttpResponseBase:
    document = _problem(status, code, detail).data
    return JsonResponse(document, status=int(status), content_type=ProblemRenderer.media_type)


def _problem(status: HTTPStatus, code: str, detail: str, **extra: Any) -> Response:
    document = {
        "type": f"{TYPE}{code}",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
        **extra,
    }
    document = _well_formed(document)
    return Response(document, status=int(status), content_type=ProblemRenderer.media_type)
