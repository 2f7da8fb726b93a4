"""System checks: each by its id, with the hint that is the way out."""

import re
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections
from django_q.conf import Conf

from cleanup import checks, conf, database_checks
from cleanup.models import Folder
from tests.hostapp.models import OWN_MODELS

ERRORS = [f"cleanup.E{number:03}" for number in range(1, 13)]
WARNINGS = [f"cleanup.W{number:03}" for number in range(1, 10)]
IDS = {*ERRORS, *WARNINGS}


def found() -> list:
    return [message for message in run_checks(tags=[checks.TAG]) if message.id.startswith("cleanup.")]


def only() -> tuple[str, str, str]:
    """Return id, message and hint of the one thing that is found."""
    (message,) = found()
    return message.id, message.msg, message.hint


class TestSettings:
    def test_that_are_right_are_silent(self):
        assert found() == []

    def test_of_a_host_with_models_of_its_own_are_silent(self, settings):
        for name, value in OWN_MODELS.items():
            setattr(settings, name, value)
        assert found() == []

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("CLEANUP_DIFFERENT_ROOTS", "keep_all"),
            ("CLEANUP_DIFFERING_COLUMNS", None),
            ("CLEANUP_GUARDS", "cleanup_name_not_blank"),
            ("CLEANUP_GUARDS", ["one_root"]),
            ("CLEANUP_GUARDS", None),
            ("CLEANUP_SURVIVOR", None),
            ("CLEANUP_SURVIVOR", " "),
            ("CLEANUP_ROOT_PARENT", "none"),
            ("CLEANUP_TRIGGERS", "disable"),
            ("CLEANUP_COLLISIONS", {"files": "drop"}),
            ("CLEANUP_COLLISIONS", {"files": []}),
            ("CLEANUP_COLLISIONS", "refuse"),
            ("CLEANUP_HISTORY_TABLES", {"versions": "drop"}),
            ("CLEANUP_HISTORY_TABLES", ["versions"]),
            ("CLEANUP_EXTRA_REFERENCES", {"notes.folder": "kind"}),
            ("CLEANUP_EXTRA_REFERENCES", [{"notes.folder": {"kind": []}}]),
            ("CLEANUP_EXTRA_REFERENCES", "notes.folder"),
            ("CLEANUP_IGNORED_COLUMNS", ["folder"]),
            ("CLEANUP_IGNORED_COLUMNS", 7),
            ("CLEANUP_FOLDER_LIVE", "deleted_at"),
            ("CLEANUP_FOLDER_FIELDS", {"above": "parent"}),
            ("CLEANUP_FOLDER_FIELDS", {"name": None}),
            ("CLEANUP_FILE_FIELDS", {"folder": None}),
            ("CLEANUP_BATCH_SIZE", 0),
            ("CLEANUP_BATCH_SIZE", 2.5),
            ("CLEANUP_LEASE_SECONDS", "120"),
            ("CLEANUP_ROOT_FOLDER", " "),
            ("CLEANUP_STANDARD_FOLDERS", "Borrower"),
            ("CLEANUP_STANDARD_FOLDERS", ["Borrower", ""]),
            ("CLEANUP_STANDARD_FOLDERS", ["Borrower", "Borrower"]),
        ],
    )
    def test_with_a_value_that_means_nothing_are_e001(self, settings, setting, value):
        setattr(settings, setting, value)
        code, message, hint = only()
        assert code == "cleanup.E001"
        assert message.startswith(setting)
        assert setting in hint

    def test_that_name_no_model_are_e002(self, settings):
        settings.CLEANUP_FOLDER_MODEL = "hostapp.Sektion"
        code, message, hint = only()
        assert (code, hint) == ("cleanup.E002", 'Set CLEANUP_FOLDER_MODEL = "hostapp.Section".')
        assert "hostapp.Sektion" in message

    def test_that_name_a_model_of_no_installed_app_are_e002(self, settings):
        settings.CLEANUP_FILE_MODEL = "warehouse.Pallet"
        code, _, hint = only()
        assert code == "cleanup.E002"
        assert "INSTALLED_APPS" in hint

    @pytest.mark.parametrize("value", ["Section", "tests.hostapp.models.Section", None])
    def test_that_name_a_model_in_another_way_are_e002(self, settings, value, monkeypatch):
        # Django itself reads the setting wherever models are looked at, and fails on such a value.
        monkeypatch.setattr(conf, "folder_model", lambda: conf._label("CLEANUP_ANY_MODEL", ""))
        settings.CLEANUP_ANY_MODEL = value
        assert "cleanup.E002" in {message.id for message in checks.check_models()}

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("CLEANUP_FOLDER_FIELDS", {"created": "created"}),
            ("CLEANUP_FOLDER_FIELDS", {"parent": "children"}),
            ("CLEANUP_FILE_FIELDS", {"folder": "directory"}),
            ("CLEANUP_FOLDER_DEFAULTS", {"colour": "blue"}),
        ],
    )
    def test_that_name_no_field_are_e003(self, settings, setting, value):
        setattr(settings, setting, value)
        code, message, hint = only()
        assert code == "cleanup.E003"
        assert message.startswith(setting)
        assert re.match(r"Name one of id, \w+, ", hint)

    @pytest.mark.parametrize(
        ("setting", "part"),
        [("CLEANUP_FOLDER_FIELDS", "created"), ("CLEANUP_FILE_FIELDS", "application"), ("CLEANUP_FILE_FIELDS", "name")],
    )
    def test_that_name_no_field_for_an_optional_part_say_so(self, settings, setting, part):
        setattr(settings, setting, {part: "missing"})
        _, _, hint = only()
        assert hint.endswith(f'in {setting}. If there is none, use {{"{part}": None}}.')
        setattr(settings, setting, {part: None})
        assert found() == []

    def test_that_file_by_a_link_table_say_that_no_model_of_files_is_needed(self, settings):
        settings.CLEANUP_FILE_MODEL, settings.CLEANUP_FILE_FIELDS = (
            "hostapp.Tag",
            {"folder": "folders", "name": "label"},
        )
        settings.CLEANUP_FILE_FIELDS |= {"application": None}
        code, message, _ = only()
        assert code == "cleanup.E003"
        assert "If a link table files them, set CLEANUP_FILE_MODEL = None" in message

    def test_that_name_two_wrong_fields_are_told_at_once(self, settings):
        settings.CLEANUP_FOLDER_FIELDS = {"created": "made", "name": "title"}
        assert [message.id for message in found()] == ["cleanup.E003"] * 2

    def test_that_name_a_model_with_another_kind_of_key_are_e004(self, settings, monkeypatch):
        monkeypatch.setattr(Folder._meta, "pk", Folder._meta.get_field("created_at"))
        code, message, _ = only()
        assert code == "cleanup.E004"
        assert "DateTimeField" in message

    @pytest.mark.parametrize("setting", ["CLEANUP_TREE_HOOK", "CLEANUP_FOLDER_DEFAULTS"])
    @pytest.mark.parametrize("value", ["no.such.hook", "tests.hostapp.paths", "tests.hostapp.models.OWN_MODELS", 7])
    def test_that_name_no_function_are_e005(self, settings, setting, value):
        setattr(settings, setting, value)
        code, _, hint = only()
        assert (code, hint) == ("cleanup.E005", f'Set {setting} = "package.module.function".')


class TestFolderModel:
    @pytest.fixture
    def archived(self, monkeypatch):
        monkeypatch.setattr(Folder._meta.get_field("updated_at"), "column", "archived_at")

    def test_with_a_mark_of_deleted_folders_is_e006(self, archived):
        code, _, hint = only()
        assert code == "cleanup.E006"
        assert 'CLEANUP_FOLDER_LIVE = {"archived_at": None}' in hint

    def test_is_silent_once_the_host_has_decided(self, archived, settings):
        settings.CLEANUP_FOLDER_LIVE = None
        assert found() == []

    def test_is_silent_where_the_column_is_ignored(self, archived, settings):
        settings.CLEANUP_IGNORED_COLUMNS = ["folders.archived_at"]
        assert found() == []

    def test_in_another_database_than_the_own_tables_is_e007(self, settings):
        settings.DATABASE_ROUTERS = ["tests.integration.test_checks.Apart"]
        messages = found()
        assert {message.id for message in messages} == {"cleanup.E007"}
        assert 'return "postgresql" for the app "cleanup"' in messages[0].hint

    def test_with_a_required_field_is_w003(self, settings, monkeypatch):
        field = Folder._meta.get_field("updated_at")
        monkeypatch.setattr(field, "null", False)
        monkeypatch.setattr(field, "blank", False)
        code, _, hint = only()
        assert code == "cleanup.W003"
        assert hint.startswith('Set CLEANUP_FOLDER_DEFAULTS = {"updated_at": ...}')
        settings.CLEANUP_FOLDER_DEFAULTS = {"updated_at": None}
        assert found() == []


class Apart:
    """A router that parts the mapped models from the others."""

    def db_for_write(self, model, **_):
        return "postgresql" if model is Folder else None


class TestProject:
    @pytest.mark.parametrize(
        ("name", "meant"),
        [("CLEANUP_DIFERENT_ROOTS", "CLEANUP_DIFFERENT_ROOTS"), ("CLEANUP_LOCK_TIMEOUT", "CLEANUP_LOCK_TIMEOUT_MS")],
    )
    def test_with_a_misspelt_setting_is_w001(self, settings, name, meant):
        setattr(settings, name, 1)
        assert only() == ("cleanup.W001", f"There is no setting {name}.", f"Did you mean {meant}?")

    def test_with_a_setting_like_no_other_is_w001(self, settings):
        settings.CLEANUP_XYZZYXYZZYXYZZY = 1
        assert only()[::2] == ("cleanup.W001", "Remove it.")

    def test_with_a_transaction_for_each_request_is_w002(self, monkeypatch):
        monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)
        code, _, hint = only()
        assert code == "cleanup.W002"
        assert 'DATABASES["default"]["ATOMIC_REQUESTS"] = False' in hint

    def test_is_told_by_the_command(self, database, settings):
        settings.CLEANUP_TRIGGERS = "disable"
        with pytest.raises(SystemCheckError, match=r"cleanup\.E001"):
            call_command("check")


class TestIds:
    def test_are_these(self):
        files = (checks.__file__, database_checks.__file__)
        source = "".join(Path(file).read_text(encoding="utf-8") for file in files)
        assert set(re.findall(r'"(cleanup\.[EW]\d+)"', source)) == IDS


class TestClusters:
    @pytest.mark.parametrize(
        ("values", "check", "hint"),
        [
            ({"TIMEOUT": 60, "RETRY": 60}, "W004", "retry"),
            ({"TIMEOUT": None, "RETRY": 60}, "W004", "timeout"),
            ({"TIMEOUT": 30, "RETRY": 60}, "W005", "CLEANUP_TICK_SECONDS = 7"),
            ({"ACK_FAILURES": False, "MAX_ATTEMPTS": 0}, "W006", "ack_failures"),
            ({"SYNC": True}, "W007", "sync"),
            ({"ORM": None}, "W009", '"orm": "default"'),
        ],
    )
    def test_under_which_background_work_goes_wrong_are_warned_of(self, monkeypatch, values, check, hint):
        for name, value in values.items():
            monkeypatch.setattr(Conf, name, value)
        identity, _, said = only()
        assert (identity, hint in said) == (f"cleanup.{check}", True)
