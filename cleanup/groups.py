"""The groups that come along: made once, with the migration that introduces them, and never touched again."""

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import connections, router, transaction
from django.utils import translation

from cleanup.permissions import GROUPS

INTRODUCED_BY = ("cleanup", "0032_own_permissions_alone")


def create(sender: AppConfig, *, using: str, plan: Any = (), **_: Any) -> None:
    """Create the groups in the database of accounts; a group of that name, whatever it may, stays as people made it.

    Their names are in the site's language, because people manage them with their own groups.

    A receiver of ``post_migrate``, whose ``plan`` holds what was applied.
    """
    forwards = [migration for migration, backwards in plan if not backwards]
    applied = {key for one in forwards for key in ((one.app_label, one.name), *one.replaces)}
    accounts = using if router.allow_migrate_model(using, Group) else router.db_for_write(Group)
    if INTRODUCED_BY not in applied or Group._meta.db_table not in connections[accounts].introspection.table_names():
        return
    create_permissions(sender, verbosity=0, using=accounts)  # Django's own receiver may run after this one
    known = Permission.objects.using(accounts).filter(content_type__app_label="cleanup")
    with transaction.atomic(using=accounts):
        for name, permissions in GROUPS.items():
            with translation.override(settings.LANGUAGE_CODE):
                own = translation.gettext(name)
            group, created = Group.objects.using(accounts).get_or_create(name=own)
            if created:
                group.permissions.set(known.filter(codename__in=[one.codename for one in permissions]))
