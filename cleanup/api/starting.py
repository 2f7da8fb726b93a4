"""What the views that start runs have in common: the key that makes a repeated request harmless, and the answer."""

import re
from collections.abc import Callable
from http import HTTPStatus

from rest_framework.request import Request
from rest_framework.response import Response

from cleanup.api.problems import Invalid
from cleanup.api.resources import url_of_run
from cleanup.models import Run
from cleanup.services.idempotency import once
from cleanup.services.reports import JSON

_KEY = re.compile(r"[!-~]{1,255}")


def key_of(request: Request) -> str:
    """Return the request's Idempotency-Key, or nothing. Raises Invalid."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise Invalid({"Idempotency-Key": "It is 1 to 255 visible ASCII characters."})
    return key or ""


def started(request: Request, *, using: str, asked: JSON, start: Callable[[], Run]) -> tuple[Run, bool]:
    """Start a run, or return the one that the same request has started; tell whether it is new.

    Raises Invalid, KeyReused, and what ``start`` raises.
    """
    asked = {"method": request.method, "path": request.path.rstrip("/"), **asked}
    return once(using=using, account=str(request.user.pk), key=key_of(request), request=asked, start=start)


def accepted(run: Run, document: JSON) -> Response:
    """Answer with a run's document: 200 when it is over, else 202; in either case with where to look."""
    over = run.status not in Run.RESUMABLE
    status = HTTPStatus.OK if over else HTTPStatus.ACCEPTED
    url = url_of_run(run)
    return Response({**document, "status": run.status, "url": url}, status=int(status), headers={"Location": url})
