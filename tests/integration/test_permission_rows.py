"""The rows behind the permissions: seven, two groups, and what an upgrade does to what people have."""

from collections.abc import Iterator

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.auth.models import Permission as Row
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connections

from cleanup.permissions import GROUPS, Permission
from tests.support import databases

SEVEN = {permission.codename for permission in Permission}


def held(group: Group) -> set[str]:
    return set(group.permissions.values_list("codename", flat=True))


class TestAFreshDatabase:
    def test_has_seven_permissions(self, database):
        rows = Row.objects.using(database).filter(content_type__app_label="cleanup")
        assert sorted(rows.values_list("codename", flat=True)) == sorted(SEVEN)

    @pytest.mark.parametrize("name", GROUPS)
    def test_has_the_groups(self, database, name):
        expected = {permission.codename for permission in GROUPS[name]}
        assert held(Group.objects.using(database).get(name=name)) == expected

    def test_gets_a_removed_group_back_by_no_later_migrate(self, scratch_database):
        Group.objects.using(scratch_database).get(name="Cleanup viewers").delete()
        call_command("migrate", database=scratch_database, verbosity=0)
        assert not Group.objects.using(scratch_database).filter(name="Cleanup viewers").exists()

    def test_stops_everything_by_the_statement_that_runbooks_hold(self, database):
        with connections[database].cursor() as cursor:
            cursor.execute("UPDATE cleanup_control SET frozen = true")
            assert cursor.rowcount == 1


@pytest.fixture
def older(database) -> Iterator[str]:
    """Yield the alias of a database for this test alone, as the version before this one left it."""
    with databases.prepared(database, make_older, start=databases.scratch_copy):
        yield database


def make_older(using: str) -> None:
    migrate(using, "0030")
    Group.objects.using(using).all().delete()


def migrate(using: str, *target: str) -> None:
    call_command("migrate", "cleanup", *target, database=using, verbosity=0)
    ContentType.objects.clear_cache()


def row(using: str, codename: str, model: str) -> Row:
    kind, _ = ContentType.objects.using(using).get_or_create(app_label="cleanup", model=model)
    found, _ = Row.objects.using(using).get_or_create(content_type=kind, codename=codename, defaults={"name": codename})
    return found


class TestAnUpgrade:
    def test_keeps_what_people_have(self, older):
        ann = User.objects.db_manager(older).create_user("ann")
        ann.user_permissions.add(row(older, "freeze", "control"))
        migrate(older)
        (kept,) = ann.user_permissions.all()
        assert (kept.content_type.model, kept.name) == ("freezeswitch", "Can stop everything and resume it")

    def test_keeps_it_where_both_content_types_are_there(self, older):
        ann = User.objects.db_manager(older).create_user("ann")
        ann.user_permissions.add(row(older, "freeze", "control"))
        made = row(older, "freeze", "freezeswitch")
        migrate(older)
        assert list(ann.user_permissions.all()) == [made]

    def test_keeps_the_history(self, older):
        ann = User.objects.db_manager(older).create_user("ann")
        of_control = ContentType.objects.using(older).get(app_label="cleanup", model="control")
        entry = LogEntry(user_id=ann.pk, content_type_id=of_control.pk, object_id="1", action_flag=CHANGE)
        entry.save(using=older)
        migrate(older)
        entry.refresh_from_db()
        assert entry.content_type.model == "freezeswitch"

    def test_removes_what_never_meant_anything(self, older):
        Group.objects.using(older).create(name="office").permissions.add(row(older, "change_run", "run"))
        migrate(older)
        rows = Row.objects.using(older).filter(content_type__app_label="cleanup")
        assert set(rows.values_list("codename", flat=True)) == SEVEN

    def test_leaves_what_a_host_may_ask_for(self, older):
        ann = User.objects.db_manager(older).create_user("ann")
        ann.user_permissions.add(row(older, "change_folder", "folder"))
        migrate(older)
        assert ann.user_permissions.filter(codename="change_folder").exists()

    def test_overwrites_no_group(self, older):
        group = Group.objects.using(older).create(name="Cleanup operators")
        group.permissions.add(row(older, "view", "control"))
        migrate(older)
        assert held(group) == {"view"}
        assert held(Group.objects.using(older).get(name="Cleanup viewers")) == {"view"}

    def test_can_be_reversed(self, older):
        ann = User.objects.db_manager(older).create_user("ann")
        ann.user_permissions.add(row(older, "freeze", "control"))
        migrate(older)
        migrate(older, "0030")
        assert ann.user_permissions.get().content_type.model == "control"
