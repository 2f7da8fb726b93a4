"""A host's app whose trees hold other things than files: topics, and what is filed under them."""

from django.apps import AppConfig


class TreeModelsConfig(AppConfig):
    name = "tests.treemodels"
    label = "library"
    default_auto_field = "django.db.models.BigAutoField"
