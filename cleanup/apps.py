"""The app's configuration."""

from django.apps import AppConfig


class CleanupConfig(AppConfig):
    """Repairs folder trees, reversibly."""

    name = "cleanup"
    verbose_name = "Folder cleanup"
    default_auto_field = "django.db.models.BigAutoField"
