"""What ``manage.py check`` reports about the settings, without a query; preflight reports on the database.

An id, once assigned, keeps its meaning. A hint is the setting or the command to use.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, register
from django.db import connections, models, router
from django.utils.module_loading import import_string

from cleanup import conf
from cleanup.exceptions import (
    InheritedModel,
    MisconfiguredSetting,
    MissingPackage,
    UnknownField,
    UnknownModel,
    UnsupportedKey,
    UnusableHook,
)
from cleanup.extras import ALERTS, METRICS
from cleanup.folder_tables import FolderTables, fields_to_provide, folder_tables, misconfigurations
from cleanup.models import Run
from cleanup.references import soft_deletion

TAG = "cleanup"

_IDS: dict[type[MisconfiguredSetting], str] = {
    MisconfiguredSetting: "cleanup.E001",
    UnknownModel: "cleanup.E002",
    UnknownField: "cleanup.E003",
    UnsupportedKey: "cleanup.E004",
    UnusableHook: "cleanup.E005",
    InheritedModel: "cleanup.E003",
}


@register(TAG)
def check_values(**_: Any) -> list[CheckMessage]:
    """Report each setting whose value cannot be understood: E001, E002 and E005."""
    found = []
    for read in conf.SETTINGS.values():
        try:
            read()
        except MisconfiguredSetting as error:
            found.append(_as_message(error))
    return found


@register(TAG)
def check_models(**_: Any) -> list[CheckMessage]:
    """Report models, fields and keys that cannot be used: E002, E003 and E004."""
    unread = {message.msg for message in check_values()}
    messages = [_as_message(error) for error in misconfigurations()]
    return [message for message in messages if message.msg not in unread]


@register(TAG)
def check_tables(**_: Any) -> list[CheckMessage]:
    """Report what is still undecided for models that can be used: E006, E007 and W003."""
    try:
        tables = folder_tables()
        return [*_soft_deletion(tables), *_databases(tables), *_required_fields(tables)]
    except MisconfiguredSetting:  # reported by the others
        return []


@register(TAG)
def check_names(**_: Any) -> list[CheckMessage]:
    """Report settings that do not exist: W001."""
    return [
        checks.Warning(
            f"There is no setting {name}.",
            hint=_nearest(name, conf.SETTINGS, "Did you mean {}?") or "Remove it.",
            obj=name,
            id="cleanup.W001",
        )
        for name in sorted(dir(settings))
        if name.startswith("CLEANUP_") and name not in conf.SETTINGS
    ]


@register(TAG)
def check_requests(**_: Any) -> list[CheckMessage]:
    """Report databases on which each request is one transaction: W002."""
    return [
        checks.Warning(
            f"Each request is one transaction on database {alias!r}: a cleanup in a request would hold its locks "
            f"until the response, and be rolled back with it.",
            hint=f'Set DATABASES["{alias}"]["ATOMIC_REQUESTS"] = False, and use transaction.atomic() where it matters.',
            obj=alias,
            id="cleanup.W002",
        )
        for alias in connections
        if connections[alias].settings_dict["ATOMIC_REQUESTS"]
    ]


@register(TAG)
def check_clusters(**_: Any) -> list[CheckMessage]:
    """Report settings of django-q2 with which background work goes wrong: W004 to W007, and W009."""
    if not apps.is_installed("django_q"):
        return []
    conf_of_clusters = import_string("django_q.conf.Conf")
    return list(_clusters(conf_of_clusters))


def _clusters(clusters: Any) -> Iterator[CheckMessage]:
    timeout, retry, tick = clusters.TIMEOUT, clusters.RETRY, _tick_seconds()
    if not timeout or retry <= timeout:
        yield checks.Warning(
            f"django-q2 delivers a task again after {retry} s, but lets it run "
            f"{f'for {timeout} s' if timeout else 'without limit'}: it could run twice at the same time.",
            hint='Set "timeout" in Q_CLUSTER, and "retry" to more than that.',
            obj="Q_CLUSTER",
            id="cleanup.W004",
        )
    if timeout and timeout < 2 * tick:
        yield checks.Warning(
            f"django-q2 ends a task after {timeout} s, but a task works on a run for "
            f"CLEANUP_TICK_SECONDS = {tick:g} s, and for one batch longer.",
            hint=f"Set CLEANUP_TICK_SECONDS = {max(1, timeout // 4)}, or a longer timeout in Q_CLUSTER.",
            obj="Q_CLUSTER",
            id="cleanup.W005",
        )
    if not clusters.ACK_FAILURES and not clusters.MAX_ATTEMPTS:
        yield checks.Warning(
            "django-q2 delivers a task that fails again and again, forever.",
            hint='Set "ack_failures": True or "max_attempts": 1 in Q_CLUSTER. Tasks of the cleanup set their own.',
            obj="Q_CLUSTER",
            id="cleanup.W006",
        )
    if clusters.SYNC:
        yield checks.Warning(
            "django-q2 runs tasks at once, in the process that queues them: nothing runs in the background.",
            hint='Remove "sync" from Q_CLUSTER, except in tests.',
            obj="Q_CLUSTER",
            id="cleanup.W007",
        )
    brokers = (clusters.ORM, clusters.BROKER_CLASS, clusters.IRON_MQ, clusters.SQS, clusters.MONGO)
    if not any(brokers) and find_spec("redis") is None:
        yield checks.Warning(
            "django-q2 has no queue: Q_CLUSTER names none, and Redis, which is used then, is not installed.",
            hint='Set "orm": "default" in Q_CLUSTER: the queue is then a table of the database.',
            obj="Q_CLUSTER",
            id="cleanup.W009",
        )


@register(TAG)
def check_extras(**_: Any) -> list[CheckMessage]:
    """Report settings for which a package is missing: W008.

    A warning, so that nothing else is stopped by a missing package, an undo least of all.
    """
    found: list[CheckMessage] = []
    for setting, extra in (("CLEANUP_ALERT_URLS", ALERTS), ("CLEANUP_METRICS_TOKEN", METRICS)):
        try:
            if conf.SETTINGS[setting]():
                extra.require(setting)
        except MissingPackage as error:
            hint = f"Run: {error.command}"
            found.append(checks.Warning(str(error), hint=hint, obj=setting, id="cleanup.W008"))
        except MisconfiguredSetting:  # reported by another
            pass
    return found


def _tick_seconds() -> float:
    try:
        return conf.tick().total_seconds()
    except MisconfiguredSetting:  # reported by another
        return 0


def _as_message(error: MisconfiguredSetting) -> CheckMessage:
    return checks.Error(str(error), hint=_hint(error), obj=error.setting, id=_IDS[type(error)])


def _hint(error: MisconfiguredSetting) -> str:
    if isinstance(error, UnknownModel):
        labels = [model._meta.label for model in apps.get_models()]
        nearest = _nearest(str(error.value), labels, f'Set {error.setting} = "{{}}".')
        return nearest or f'Set {error.setting} = "app.Model", and add that app to INSTALLED_APPS.'
    if isinstance(error, UnknownField):
        fields = [field.name for field in error.model._meta.concrete_fields]
        return f"Name one of {', '.join(fields)} in {error.setting}.{_none_instead(error)}"
    if isinstance(error, InheritedModel):
        return f"Name a model in {error.setting} whose own table has the key and all these columns."
    if isinstance(error, UnsupportedKey):
        return f"Name another model in {error.setting}, or give this one a UUID, integer or text key."
    if isinstance(error, UnusableHook):
        return f'Set {error.setting} = "package.module.function".'
    return f"Set {error.setting} as the manual describes, or remove it to use the default."


def _none_instead(error: UnknownField) -> str:
    """Name the part that the field was to play, if no field need play it."""
    mapped: Mapping[str, Any] = {}
    if error.setting == "CLEANUP_FOLDER_FIELDS":
        mapped, optional = conf.folder_fields(), conf.OPTIONAL_FOLDER_FIELDS
    elif error.setting == "CLEANUP_FILE_FIELDS":
        mapped, optional = conf.file_fields(), conf.OPTIONAL_FILE_FIELDS
    parts = [part for part, field in mapped.items() if field == error.value and part in optional]
    return f' If there is none, use {{"{parts[0]}": None}}.' if parts else ""


def _nearest(name: str, known: Iterable[str], sentence: str) -> str | None:
    lower = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(name.lower(), lower, n=1)
    return sentence.format(lower[close[0]]) if close else None


def _soft_deletion(tables: FolderTables) -> Iterator[CheckMessage]:
    if conf.folder_live_is_set():
        return
    ignored = {name.rpartition(".")[2] for name in conf.ignored_columns() if _table_of(name) == tables.folder_table}
    parts = set(tables.folder_columns)
    for field in tables.folder._meta.concrete_fields:
        column = str(field.column)
        flag = isinstance(field, models.BooleanField | models.IntegerField)
        if column not in ignored | parts and soft_deletion.marks_deleted(column, table=tables.folder_table, flag=flag):
            yield checks.Error(
                f"{tables.folder._meta.label}.{field.name} looks like it marks deleted folders.",
                hint=_live_hint(column, field),
                obj=tables.folder,
                id="cleanup.E006",
            )


def _live_hint(column: str, field: "models.Field[Any, Any]") -> str:
    """Return the setting to decide with: the value that a new folder holds, as far as the field defines it."""
    if isinstance(field.default, bool | int | str):
        return soft_deletion.live_setting(column, field.default)
    if field.null:
        return soft_deletion.live_setting(column, None)
    if isinstance(field, models.BooleanField):
        return soft_deletion.live_setting(column, soft_deletion.is_reversed(column))
    if isinstance(field, models.IntegerField):
        return soft_deletion.live_setting(column, 0)
    return (
        f"Set CLEANUP_FOLDER_LIVE to what {column} holds in live folders, as in "
        f'CLEANUP_FOLDER_LIVE = {{"{column}": "..."}}, or set CLEANUP_FOLDER_LIVE = None if all are live.'
    )


def _table_of(name: str) -> str:
    return name.rpartition(".")[0].rpartition(".")[2]


def _databases(tables: FolderTables) -> Iterator[CheckMessage]:
    own = router.db_for_write(Run)
    for model in tables.models:
        alias = router.db_for_write(model)
        if alias != own:
            yield checks.Error(
                f"{model._meta.label} is written to database {alias!r}, and the cleanup's own tables to {own!r}: one "
                f"transaction cannot cover both.",
                hint=f'Make db_for_write() of the router return "{alias}" for the app "cleanup".',
                obj=model,
                id="cleanup.E007",
            )


def _required_fields(tables: FolderTables) -> Iterator[CheckMessage]:
    defaults = conf.folder_defaults()
    if callable(defaults) or not tables.takes_structures:
        return
    for name in fields_to_provide():
        if name not in defaults and f"{name}_id" not in defaults:
            yield checks.Warning(
                f"{tables.folder._meta.label}.{name} is required and has no default, so "
                f"get_or_create_folder_structure cannot create folders.",
                hint=f'Set CLEANUP_FOLDER_DEFAULTS = {{"{name}": ...}}, or to the dotted path of a function.',
                obj=tables.folder,
                id="cleanup.W003",
            )
