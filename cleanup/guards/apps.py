"""The app's configuration."""

from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_migrate, pre_migrate


class GuardsConfig(AppConfig):
    """Keeps folder trees in order."""

    name = "cleanup.guards"
    label = "cleanup_guards"
    verbose_name = "Folder cleanup: guards"

    def ready(self) -> None:
        """Examine the data in checks and before migrations, and restore what a rebuilt table has lost."""
        # They import models, which are not loaded before now.
        from cleanup.guards.checks import check_guards  # noqa: PLC0415
        from cleanup.guards.migrate_signals import complete, look_ahead  # noqa: PLC0415

        checks.register(check_guards, checks.Tags.database)
        pre_migrate.connect(look_ahead, dispatch_uid="cleanup_guards.look_ahead")
        post_migrate.connect(complete, dispatch_uid="cleanup_guards.complete")
