"""The app of the scenario's models; its tables are made without migrations."""

from django.apps import AppConfig


class PeersConfig(AppConfig):
    name = "tests.peers"
    label = "peers"
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        """Take the models from where the whole scenario stands."""
        from tests.peers import scenario

        super().import_models()
        self.models_module = scenario
