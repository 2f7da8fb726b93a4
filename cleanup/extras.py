"""The packages of the extras in ``pip install 'cleanup[...]'``, which a host may do without.

Code that uses one calls ``require`` first and imports it locally, so that nothing else needs it to be installed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from django.apps import apps

from cleanup.exceptions import MissingApp, MissingPackage


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """An extra by its name, its packages by the modules that are imported, and the app that it needs."""

    name: str
    packages: Mapping[str, str]
    app: str = ""

    def require(self, what: str) -> None:
        """Raise MissingPackage or MissingApp if ``what`` cannot be used without it."""
        missing = [package for module, package in self.packages.items() if find_spec(module) is None]
        if missing:
            command = f"pip install 'cleanup[{self.name}]'"
            raise MissingPackage(what=what, packages=" and ".join(missing), command=command)
        if self.app and not apps.is_installed(self.app):
            raise MissingApp(what=what, app=self.app)


API = Extra(name="api", packages={"knox": "django-rest-knox", "drf_spectacular": "drf-spectacular"}, app="knox")
ALERTS = Extra(name="alerts", packages={"apprise": "apprise"})
METRICS = Extra(name="metrics", packages={"prometheus_client": "prometheus-client"})
