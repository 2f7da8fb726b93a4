"""A host's app: models that point at folders in every way that Django knows."""

from django.apps import AppConfig


class HostappConfig(AppConfig):
    name = "tests.hostapp"
    label = "hostapp"
    default_auto_field = "django.db.models.BigAutoField"
