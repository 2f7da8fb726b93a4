"""The admin: see it, decide, undo. Django's own, extended; its pages hang below the register of ``FreezeSwitch``."""

from django.apps import apps
from django.contrib import admin

from cleanup.admin import accounts, automation, findings, holds, overview, results, rollback_points, runs, schedules

__all__ = ["automation", "findings", "holds", "overview", "register", "results", "rollback_points", "runs", "schedules"]


def register(site: admin.AdminSite) -> None:
    """Register all of this in another admin site as well; its links stay there."""
    for model in apps.get_app_config("cleanup").get_models():
        if admin.site.is_registered(model):
            site.register(model, type(admin.site.get_model_admin(model)))
    accounts.translate_permissions(site)


accounts.translate_permissions(admin.site)
