"""The URL of the database that a command works on, with the password masked."""

from urllib.parse import quote

from django.db import connections

from cleanup.text_safety import safe

_SCHEMES = {"postgresql": "postgresql", "sqlite": "sqlite"}


def location(*, using: str) -> str:
    """Return the database behind an alias in the form of a URL, without connecting to it."""
    parameters = connections[using].settings_dict
    vendor = connections[using].vendor
    alias = "" if using == "default" else f" (alias {using})"
    if vendor == "sqlite":
        return safe(f"sqlite:///{parameters['NAME']}{alias}")
    options = parameters.get("OPTIONS") or {}
    user = quote(str(parameters["USER"] or ""), safe="")
    password = ":***" if parameters["PASSWORD"] else ""
    elsewhere = "" if options.get("service") else "localhost"
    host = quote(str(parameters["HOST"] or elsewhere), safe="[]:,/")
    port = f":{parameters['PORT']}" if parameters["PORT"] else ""
    name = parameters["NAME"] or options.get("dbname") or f"?service={options.get('service', '')}"
    role = f" as {options['assume_role']}" if options.get("assume_role") else ""
    return safe(
        f"{_SCHEMES.get(vendor, vendor)}://{user}{password}{'@' if user else ''}{host}{port}/{name}{role}{alias}"
    )
