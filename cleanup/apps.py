"""The app's configuration."""

from types import ModuleType
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import Tags, register
from django.db import connections, router
from django.db.migrations.loader import MigrationLoader
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.translation import gettext_lazy

from cleanup import conf


class CleanupConfig(AppConfig):
    """Repairs folder trees, reversibly."""

    name = "cleanup"
    verbose_name = gettext_lazy("Folder cleanup")
    default_auto_field = "django.db.models.BigAutoField"

    def __init__(self, app_name: str, app_module: ModuleType) -> None:
        super().__init__(app_name, app_module)
        # Django reads the settings of ``swappable`` by name, has a default only for AUTH_USER_MODEL, and takes None
        # for that default; so no model of ours is there where the host has none for the part.
        for name, value in (
            ("CLEANUP_APPLICATION_MODEL", conf.application_model()),
            ("CLEANUP_FOLDER_MODEL", conf.folder_model()),
            ("CLEANUP_FILE_MODEL", conf.file_model()),
        ):
            if getattr(settings, name, None) is None:
                setattr(settings, name, value or conf.NoModel(conf.folder_model()))

    def ready(self) -> None:
        """Register the system checks, let migrate work on tables of others, and install the schedules after it."""
        from cleanup import checks  # noqa: F401, PLC0415  # they use models, which are loaded now

        register(_check_databases, Tags.database)
        if apps.is_installed("django_q"):
            from cleanup.services.background import cluster_shutdown  # noqa: PLC0415  # as above

            cluster_shutdown.connect()
        pre_migrate.connect(_tolerate_dangling_rows, sender=self)
        post_migrate.connect(_tolerate_them_no_more, sender=self)
        post_migrate.connect(_install, sender=self)
        if apps.is_installed("django.contrib.auth"):
            from cleanup import groups  # noqa: PLC0415  # as above

            post_migrate.connect(groups.create, sender=self)


def _check_databases(**options: Any) -> Any:
    from cleanup.database_checks import check_databases  # noqa: PLC0415  # only migrate and a few commands run them

    return check_databases(**options)


def _tolerate_dangling_rows(**options: Any) -> None:
    from cleanup.backends.sqlite import dangling_rows  # noqa: PLC0415  # only migrate needs it

    dangling_rows.tolerate(**options)


def _tolerate_them_no_more(**options: Any) -> None:
    from cleanup.backends.sqlite import dangling_rows  # noqa: PLC0415  # as above

    dangling_rows.tolerate_no_more(**options)


def _install(*, using: str, **_: Any) -> None:
    """Install the schedules in a database that has their tables in the form of the current models."""
    from cleanup.models import Schedule  # noqa: PLC0415  # as above
    from cleanup.services.automation import switch  # noqa: PLC0415

    is_here = router.allow_migrate_model(using, Schedule)
    if is_here and _is_migrated(using) and Schedule._meta.db_table in connections[using].introspection.table_names():
        switch.install(using=using)


def _is_migrated(using: str) -> bool:
    """Return whether every migration of this app is applied, and not only those up to a requested one."""
    loader = MigrationLoader(connections[using], ignore_no_migrations=True)
    return set(loader.graph.leaf_nodes("cleanup")) <= set(loader.applied_migrations)
