"""Idempotency keys: what makes two requests the same, and how the answer is kept. See ``services.idempotency``."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from cleanup.api.exception_handler import Invalid
from cleanup.services.results import JSON
from cleanup.services.runs.idempotency import Asked

T = TypeVar("T")

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[!-~]{1,255}")
_KEPT_HEADERS = ("Location",)


def asked(request: Request, *, secrets: Iterable[str] = ()) -> Asked[Response] | None:
    """Return the request with its key, for an answer that is a response; None without a key. Raises Invalid.

    ``secrets`` names the fields of the answer that are not kept: when it is sent again, they are null.
    """
    return _asked(request, write=lambda response: _written(response, secrets), read=_read)


def asked_for_document(request: Request, respond: Callable[[JSON], Response]) -> Asked[JSON] | None:
    """Return the request with its key, for an answer that is a document, kept as the response made from it."""
    return _asked(request, write=lambda document: _written(respond(document)), read=lambda kept: _read(kept).data)


def _asked(request: Request, *, write: Callable[[T], str], read: Callable[[str], T]) -> Asked[T] | None:
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise Invalid({HEADER: "It must be 1 to 255 visible ASCII characters."})
    what = [request.method, request.path_info.rstrip("/"), request.query_params.dict(), dict(request.data)]
    return Asked(
        account=str(request.user.pk),
        key=key,
        digest=hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest(),
        write=write,
        read=read,
    )


def _written(response: Response, secrets: Iterable[str] = ()) -> str:
    data = response.data
    if isinstance(data, dict):
        data = {**data, **dict.fromkeys(secrets)}
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    answer = {"status": response.status_code, "headers": headers, "data": data}
    return JSONRenderer().render(answer).decode()


def _read(answer: str) -> Response:
    kept = json.loads(answer)
    return Response(kept["data"], status=kept["status"], headers=kept["headers"])
