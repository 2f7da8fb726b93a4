"""A host's app whose models play the parts by settings, and share no name with the mapped ones."""

from django.apps import AppConfig


class OtherModelsConfig(AppConfig):
    name = "tests.othermodels"
    label = "archive"
    default_auto_field = "django.db.models.BigAutoField"
