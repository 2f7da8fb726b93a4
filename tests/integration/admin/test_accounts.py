"""The forms of groups and users describe our permissions in the person's language."""

import pytest
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.urls import reverse

from cleanup.admin.accounts import TranslatedPermissions, translate_permissions
from tests.integration.admin.test_pages import person, using

__all__ = ["using"]


@pytest.fixture
def boss(using):
    return person(is_superuser=True)


@pytest.mark.parametrize("model", ["group", "user"])
def test_in_german(boss, model):
    account = Group.objects.create(name="Büro") if model == "group" else User.objects.create(username="anna")
    address = reverse(f"admin:auth_{model}_change", args=[account.pk])
    page = boss.get(address, headers={"accept-language": "de"}).content.decode()
    assert "Darf " in page
    assert "Can clean up everything" not in page


def test_in_english(boss):
    page = boss.get(reverse("admin:auth_group_add")).content.decode()
    assert "Can clean up everything" in page
    assert "Can add user" in page


def test_leaves_forms_of_the_project_alone():
    site = admin.AdminSite("own")
    own = type("OwnGroupAdmin", (GroupAdmin,), {})
    site.register(Group, own)
    site.register(User, UserAdmin)
    translate_permissions(site)
    assert type(site.get_model_admin(Group)) is own
    assert isinstance(site.get_model_admin(User), TranslatedPermissions)
