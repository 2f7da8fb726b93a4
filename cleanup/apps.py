"""The app's configuration."""

from types import ModuleType

from django.apps import AppConfig
from django.conf import settings

from cleanup import conf


class CleanupConfig(AppConfig):
    """Repairs folder trees, reversibly."""

    name = "cleanup"
    verbose_name = "Folder cleanup"
    default_auto_field = "django.db.models.BigAutoField"

    def __init__(self, app_name: str, app_module: ModuleType) -> None:
        super().__init__(app_name, app_module)
        # Django reads the settings behind ``swappable`` by name, and has a default only for AUTH_USER_MODEL.
        for name, value in (
            ("CLEANUP_APPLICATION_MODEL", conf.application_model()),
            ("CLEANUP_FOLDER_MODEL", conf.folder_model()),
            ("CLEANUP_FILE_MODEL", conf.file_model()),
        ):
            if not hasattr(settings, name):
                setattr(settings, name, value)

    def ready(self) -> None:
        """Register the system checks."""
        from cleanup import checks  # noqa: F401, PLC0415  # it looks at models, which are there only now
