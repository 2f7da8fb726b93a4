"""What the commands share."""

from django.core.checks import Tags

from cleanup.management.base import ShellCommand


class TestSystemChecks:
    def test_are_of_the_models_of_the_apps_that_hold_the_folders(self, settings):
        settings.CLEANUP_APPLICATION_MODEL = "cleanup.Application"
        settings.CLEANUP_FOLDER_MODEL = "hostapp.Dossier"
        settings.CLEANUP_FILE_MODEL = "cleanup.File"
        checks = ShellCommand().get_check_kwargs({})
        assert [app.label for app in checks["app_configs"]] == ["hostapp"]
        assert Tags.models in checks["tags"]

    def test_look_at_no_database(self):
        assert ShellCommand().get_check_kwargs({})["databases"] == []
