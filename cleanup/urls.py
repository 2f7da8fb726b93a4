"""The app's URLs: the API, and what a monitoring system reads; include them at the root of a project."""

from django.urls import URLResolver, include, path

from cleanup.extras import API


def _patterns() -> list[URLResolver]:
    """Return the patterns. Raises MissingPackage and MissingApp."""
    API.require("The REST API")
    from cleanup.api import urls  # noqa: PLC0415  # needs what may be missing

    return [
        path("api/cleanup/", include("cleanup.monitoring")),
        path("api/cleanup/", include((list(urls.patterns()), "cleanup-api"))),
    ]


urlpatterns = _patterns()
