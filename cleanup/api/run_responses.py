"""The answer of the views that start runs."""

from http import HTTPStatus

from rest_framework.response import Response

from cleanup.api.model_serializers import url_of_run
from cleanup.models import Run
from cleanup.services.results import JSON


def run_response(document: JSON) -> Response:
    """Answer with a report: 202 while its run is active, else 200; in either case with the URL of the run."""
    if document["run_id"] is None:
        return Response(document)
    status = HTTPStatus.OK if Run(status=document["status"]).is_over else HTTPStatus.ACCEPTED
    url = url_of_run(document["run_id"])
    return Response({**document, "url": url}, status=int(status), headers={"Location": url})
