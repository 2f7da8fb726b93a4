"""Where the app answers; a host includes this at its root."""

from django.urls import include, path

from cleanup.api import routes

urlpatterns = [
    path("api/cleanup/", include("cleanup.monitoring")),
    path("api/cleanup/", include((list(routes.patterns()), "cleanup-api"))),
]
