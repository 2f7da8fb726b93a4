"""What the app answers: the API, and what a monitoring system reads; include it at the root of a project."""

from django.urls import include, path

from cleanup.api import urls

urlpatterns = [
    path("api/cleanup/", include("cleanup.monitoring")),
    path("api/cleanup/", include((list(urls.patterns()), "cleanup-api"))),
]
