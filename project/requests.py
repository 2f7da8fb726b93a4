"""Requests that Django can make of anything that comes in.

Django reads charset and query string while it makes a request, before anything of it could answer: a charset that is
none of text ("zlib", "undefined") would end as a server's bare 500. Here, such a Content-Type is put aside, so that
views that expect a body refuse its type.
"""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest

UNREADABLE = "application/unreadable"

#: What Django raises; too many parameters is what it takes some of these for.
UNMADE = (LookupError, ValueError, SuspiciousOperation, BadRequest)


class TolerantWSGIRequest(WSGIRequest):
    """A request of WSGI, whatever its Content-Type."""

    def __init__(self, environ: dict[str, Any]) -> None:
        try:
            super().__init__(environ)
        except UNMADE:
            self.__dict__.clear()
            super().__init__({**environ, "CONTENT_TYPE": UNREADABLE})


class TolerantASGIRequest(ASGIRequest):
    """A request of ASGI, whatever its Content-Type."""

    def __init__(self, scope: Mapping[str, Any], body_file: Any) -> None:
        try:
            super().__init__(scope, body_file)
        except UNMADE:
            self.__dict__.clear()
            others = [(name, value) for name, value in scope["headers"] if name.lower() != b"content-type"]
            headers = [*others, (b"content-type", UNREADABLE.encode())]
            super().__init__({**scope, "headers": headers}, body_file)


class TolerantWSGIHandler(WSGIHandler):
    """Django's application, with such requests."""

    request_class = TolerantWSGIRequest


class TolerantASGIHandler(ASGIHandler):
    """Django's application, with such requests."""

    request_class = TolerantASGIRequest
