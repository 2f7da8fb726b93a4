"""The settings as they may be shown: the one place that knows which of them hold secrets, and what is shown of those.

Invariants: of a URL, no more than scheme and host; of a token, that there is one; of addresses, how many; of values
that the host fills in, their names. Whatever is read only from the environment is a secret.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from cleanup import conf
from cleanup.conf import TreeHook
from cleanup.services.alerting.channels import labels
from cleanup.services.results import plain

#: The placeholder for a value that is never shown.
HIDDEN = "(set)"


def _names(values: Any) -> Any:
    return {str(name): HIDDEN for name in values} if isinstance(values, Mapping) else values


#: Settings whose values are not for everyone's eyes, and what is shown in their place.
CONFIDENTIAL: Mapping[str, Callable[[Any], Any]] = {
    "CLEANUP_ALERT_URLS": labels,
    "CLEANUP_METRICS_TOKEN": lambda token: HIDDEN if token else "",
    "CLEANUP_ALERT_EMAILS": lambda addresses: [HIDDEN for _ in addresses],
    "CLEANUP_FOLDER_DEFAULTS": _names,
}


def _as_set(hooks: Sequence[TreeHook]) -> Any:
    entries = [hook.entry for hook in hooks]
    return entries[0] if len(entries) == 1 else entries or None


def shown_settings() -> dict[str, Any]:
    """Return every setting by name, in JSON form, without secrets. Raises MisconfiguredSetting."""
    return {name: shown(name, read()) for name, read in conf.SETTINGS.items()}


def shown(name: str, value: Any) -> Any:
    """Return what may be shown of a setting's value; a duration in the unit that the setting is named after."""
    if name in CONFIDENTIAL:
        value = CONFIDENTIAL[name](value)
    if name == "CLEANUP_TREE_HOOK":
        value = _as_set(value)
    if isinstance(value, timedelta):
        return value / (timedelta(hours=1) if name.endswith("_HOURS") else timedelta(seconds=1))
    return plain(value)
