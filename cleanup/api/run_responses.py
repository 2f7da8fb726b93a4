"""What the views that start runs have in common: the work that a request waits for, and the answer."""

from http import HTTPStatus

from rest_framework.response import Response

from cleanup.api.model_serializers import url_of_run
from cleanup.models import Run
from cleanup.services import DatabaseCleanupService
from cleanup.services.results import JSON


def accepted(run: Run, document: JSON) -> Response:
    """Answer with a run's document: 200 when it is over, else 202; in either case with where to look."""
    status = HTTPStatus.OK if run.is_over else HTTPStatus.ACCEPTED
    url = url_of_run(run)
    return Response({**document, "status": run.status, "url": url}, status=int(status), headers={"Location": url})


def work_through(run: Run, *, service: DatabaseCleanupService) -> None:
    """Work at a run in this request, from where an earlier one was cut off; not if somebody has paused it."""
    broken_off = run.status == Run.Status.PAUSED and run.paused_by_error
    if broken_off or run.is_claimable:
        service.resume(run.pk)
        run.refresh_from_db(using=service.using)
