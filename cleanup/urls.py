"""What the app answers: the API, and what a monitoring system reads; include it at the root of a project."""

from django.urls import include, path

from cleanup.api import routes

urlpatterns = [
    path("api/cleanup/", include("cleanup.monitoring")),
    path("api/cleanup/", include((list(routes.patterns()), "cleanup-api"))),
]
