"""The descriptions of our permissions in the language of the person who grants them.

Django stores them in English, and shows them so. The forms of groups and users are replaced only if they are Django's
own; a project that has others adds ``TranslatedPermissions`` to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission
from django.forms import ModelMultipleChoiceField
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from django.contrib import admin
    from django.db.models import ManyToManyField
    from django.http import HttpRequest


class PermissionsField(ModelMultipleChoiceField):  # type: ignore[type-arg]  # Django's is not generic
    """A choice of permissions."""

    def label_from_instance(self, obj: Any) -> str:
        """Return what a permission is called, ours translated."""
        if isinstance(obj, Permission) and obj.content_type.app_label == "cleanup":
            return f"{obj.content_type} | {_(obj.name)}"
        return super().label_from_instance(obj)


class TranslatedPermissions:
    """Mix into the admin of groups or users."""

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest | None = None, **kwargs: Any
    ) -> Any:
        """Offer permissions in the person's language."""
        if db_field.remote_field.model is Permission:
            kwargs.setdefault("form_class", PermissionsField)
        return super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]


def translate_permissions(site: admin.AdminSite) -> None:
    """Replace Django's own forms of groups and users in an admin site by such that translate our permissions."""
    for model, original in ((Group, GroupAdmin), (get_user_model(), UserAdmin)):
        if site.is_registered(model) and type(site.get_model_admin(model)) is original:
            site.unregister(model)
            site.register(model, type(original.__name__, (TranslatedPermissions, original), {}))
