"""Where the app answers; a host includes this at its root."""

from django.urls import include, path

urlpatterns = [
    path("api/cleanup/", include("cleanup.monitoring")),
]
