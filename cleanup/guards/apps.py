"""The app's configuration."""

from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.translation import gettext_lazy


class GuardsConfig(AppConfig):
    """Keeps folder trees in order."""

    name = "cleanup.guards"
    label = "cleanup_guards"
    verbose_name = gettext_lazy("Folder cleanup: guards")

    def ready(self) -> None:
        """Examine the data in checks and before migrations, and restore what a rebuilt table has lost."""
        checks.register(_check, checks.Tags.database)
        pre_migrate.connect(_before, dispatch_uid="cleanup_guards.look_ahead")
        post_migrate.connect(_after, dispatch_uid="cleanup_guards.complete")


# What examines guards is imported when it does: it needs the models, and few commands need it.


def _check(**options: Any) -> Any:
    from cleanup.guards.checks import check_guards  # noqa: PLC0415

    return check_guards(**options)


def _before(**signal: Any) -> None:
    from cleanup.guards.migrate_signals import look_ahead  # noqa: PLC0415

    look_ahead(**signal)


def _after(**signal: Any) -> None:
    from cleanup.guards.migrate_signals import complete  # noqa: PLC0415

    complete(**signal)
