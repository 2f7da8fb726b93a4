"""Request bodies, parsed strictly: JSON as in RFC 8259, in UTF-8, each field once, of a bounded size and depth."""

import json
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError, UnsupportedMediaType
from rest_framework.parsers import JSONParser

#: Maximum bytes of a body, unless the project allows fewer.
MOST_BYTES = 2_621_440
#: Maximum nesting of lists and objects; the API's input has two levels.
MOST_LEVELS = 20


class BodyTooLarge(APIException):
    """The body has more bytes than are allowed."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "body_too_large"
    default_detail = "The body is too large."


class StrictParser(JSONParser):
    """Parse a body, or refuse it; no content makes the parser fail in any other way."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:  # of the base class
        """Return what the body holds. Raises ParseError, UnsupportedMediaType and BodyTooLarge."""
        _refuse_charset(media_type or "")
        try:
            found = json.loads(_read(stream).decode(), object_pairs_hook=_once, parse_constant=_refuse_constant)
        except RecursionError:
            raise ParseError(_TOO_DEEP) from None
        except ValueError as error:
            detail = f"JSON parse error - {error}"
            raise ParseError(detail) from None
        _refuse_depth(found)
        return found


_TOO_DEEP = f"JSON parse error - more than {MOST_LEVELS} levels of lists and objects."


def _refuse_charset(media_type: str) -> None:
    for parameter in media_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower().startswith("charset") and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType(media_type, detail="JSON must be encoded in UTF-8.")


def _read(stream: Any) -> bytes:
    most = min(MOST_BYTES, settings.DATA_UPLOAD_MAX_MEMORY_SIZE or MOST_BYTES)
    body: bytes = stream.read(most + 1)
    if len(body) > most:
        raise BodyTooLarge
    return body


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        repeated = [name for name, count in counts.items() if count > 1]
        message = f"repeated: {', '.join(repeated[:5])}"
        raise ValueError(message)
    return found


def _refuse_constant(name: str) -> None:
    message = f"{name} is not valid JSON"
    raise ValueError(message)


def _refuse_depth(found: Any) -> None:
    level = [found]
    for _ in range(MOST_LEVELS + 1):
        inside = [entry for entry in level if isinstance(entry, list | dict)]
        level = [below for entry in inside for below in (entry.values() if isinstance(entry, dict) else entry)]
        if not inside:
            return
    raise ParseError(_TOO_DEEP)
