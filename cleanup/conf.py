"""The settings, one function each, read at call time; each default is beside its setting.

A wrong value raises MisconfiguredSetting, which names the setting and the remedy.
"""

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar, cast

from django.apps import apps
from django.conf import settings
from django.db import router
from django.utils.module_loading import import_string

from cleanup.exceptions import MisconfiguredSetting, UnknownModel, UnusableHook
from cleanup.guard_names import Guard
from cleanup.policies import (
    ApplicationSource,
    CollisionPolicy,
    DifferencePolicy,
    DifferentRootsPolicy,
    HistoryPolicy,
    NewValuePolicy,
    SharedFoldersPolicy,
    SurvivorPolicy,
    TriggerPolicy,
    WideningPolicy,
)
from cleanup.text_safety import fault_of_name

E = TypeVar("E", bound=StrEnum)

_MISSING = object()

_TOKEN_LENGTH = 16


def _get(name: str, default: Any) -> Any:
    return getattr(settings, name, default)


def _choice(name: str, default: E) -> E:
    """Return the choice, of those of the default's enumeration."""
    value, choices = _get(name, default), type(default)
    try:
        return choices(value)
    except ValueError:
        problem = f"{value!r} is not one of {', '.join(choices)}."
        raise MisconfiguredSetting(setting=name, problem=problem) from None


def _flag(name: str, *, default: bool) -> bool:
    value = _get(name, default)
    if not isinstance(value, bool):
        raise MisconfiguredSetting(setting=name, problem=f"{value!r} is not True or False.")
    return value


def _positive_number(name: str, default: int | float) -> int | float:
    value = _get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise MisconfiguredSetting(setting=name, problem=f"{value!r} is not a number above zero.")
    return value


def _positive_integer(name: str, default: int) -> int:
    value = _positive_number(name, default)
    if not isinstance(value, int):
        raise MisconfiguredSetting(setting=name, problem=f"{value!r} is not a whole number above zero.")
    return value


def _names(name: str) -> tuple[str, ...]:
    value = _get(name, ())
    is_list = isinstance(value, Collection) and not isinstance(value, str)
    if not is_list or not all(isinstance(entry, str) and "." in entry for entry in value):
        raise MisconfiguredSetting(
            setting=name, problem='it must be a list of "table.column" or "schema.table.column".'
        )
    return tuple(value)


class NoModel(str):
    """What Django finds in a setting of ``swappable`` that is None, which it would take for the default.

    It is the label of a model that exists, as ``migrate --fake-initial`` looks for the table.
    """

    __slots__ = ()


def _label(name: str, default: str) -> str:
    value = _get(name, default)
    if not isinstance(value, str) or value.count(".") != 1:
        raise UnknownModel(setting=name, problem=f'{value!r} does not name a model as "app.Model".', value=value)
    return value


def _label_or_none(name: str, default: str) -> str | None:
    value = _get(name, default)
    return None if value is None or isinstance(value, NoModel) else _label(name, default)


def _function(name: str, path: Any) -> Callable[..., Any]:
    try:
        function = import_string(path)
    except (ImportError, TypeError, AttributeError):
        function = None
    if not callable(function):
        raise UnusableHook(setting=name, problem=f"{path!r} is not the dotted path of a function.")
    return cast("Callable[..., Any]", function)


# Which models and columns are mapped.

#: The product's own model of what owns folder trees; its own folders and files refer to it even if nothing owns them.
OWN_APPLICATION = "cleanup.Application"


def application_model() -> str | None:
    """Label of the model that owns folder trees; None: nothing owns them."""
    return _label_or_none("CLEANUP_APPLICATION_MODEL", OWN_APPLICATION)


def application_from() -> ApplicationSource:
    """Whether every folder tells its application, or root folders alone."""
    return _choice("CLEANUP_APPLICATION_FROM", ApplicationSource.FOLDER)


def shared_folders() -> SharedFoldersPolicy:
    """What becomes of folders without an application, if others have one."""
    return _choice("CLEANUP_SHARED_FOLDERS", SharedFoldersPolicy.LEAVE)


def folder_model() -> str:
    """Label of the folder model."""
    return _label("CLEANUP_FOLDER_MODEL", "cleanup.Folder")


def file_model() -> str | None:
    """Label of the file model; None: no table of files is mapped."""
    return _label_or_none("CLEANUP_FILE_MODEL", "cleanup.File")


def has_files() -> bool:
    """Return whether a model of files is mapped, so that texts may speak of files."""
    return file_model() is not None


#: Parts that no field need play.
OPTIONAL_FOLDER_FIELDS = frozenset({"parent", "created"})
OPTIONAL_FILE_FIELDS = frozenset({"application", "name"})


def folder_fields() -> Mapping[str, Any]:
    """Names of the folder model's fields for parent, application, name and created; the first and last may be None."""
    return _fields(
        "CLEANUP_FOLDER_FIELDS",
        {"parent": "parent", "application": "application", "name": "name", "created": "created_at"},
        optional=OPTIONAL_FOLDER_FIELDS,
    )


def file_fields() -> Mapping[str, Any]:
    """Names of the file model's fields for folder, application and name; the last two may be None."""
    return _fields(
        "CLEANUP_FILE_FIELDS",
        {"folder": "folder", "application": "application", "name": "filename"},
        optional=OPTIONAL_FILE_FIELDS,
    )


def _fields(name: str, default: dict[str, str], *, optional: Collection[str]) -> Mapping[str, Any]:
    value = _get(name, {})
    if not isinstance(value, Mapping) or not set(value) <= set(default):
        raise MisconfiguredSetting(setting=name, problem=f"it must map some of {', '.join(default)} to field names.")
    for part, named in value.items():
        if named is None and part not in optional:
            may_be = " and ".join(sorted(optional))
            raise MisconfiguredSetting(
                setting=name, problem=f"{part} is needed and must name a field; only {may_be} may be None."
            )
        if not isinstance(named, str) and not (named is None and part in optional):
            raise MisconfiguredSetting(setting=name, problem=f"{named!r} of {part} is not the name of a field.")
    return {**default, **value}


def folder_live() -> Mapping[str, Any] | None:
    """Column values that mark a live folder, e.g. ``{"deleted_at": None}``; None: every folder is live.

    Raises MisconfiguredSetting. ``folder_live_is_set`` returns whether it was set at all.
    """
    value = _get("CLEANUP_FOLDER_LIVE", None)
    if value is not None and not (isinstance(value, Mapping) and value and all(isinstance(key, str) for key in value)):
        raise MisconfiguredSetting(
            setting="CLEANUP_FOLDER_LIVE", problem="it must map columns to the value of a live folder, or be None."
        )
    return cast("Mapping[str, Any] | None", value)


def root_parent() -> Any:
    """What the parent column of a root folder holds if it is not null: ``"self"`` for its own key, or a value.

    ``folder_tables`` reads the value as a key. None: it is always null.
    """
    return _get("CLEANUP_ROOT_PARENT", None)


def application_label() -> tuple[str, ...]:
    """Fields of the application model that make its readable label, and that people search by; none by default."""
    value = _get("CLEANUP_APPLICATION_LABEL", ())
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name for name in names):
        raise MisconfiguredSetting(
            setting="CLEANUP_APPLICATION_LABEL", problem="it must be the name of a field, or a list of names."
        )
    return tuple(names)


def folder_live_is_set() -> bool:
    """Return whether the host decided about soft deletion, even if by an explicit None."""
    return _get("CLEANUP_FOLDER_LIVE", _MISSING) is not _MISSING


# The merge.


def different_roots() -> DifferentRootsPolicy:
    """What becomes of an application's root folders of different names."""
    return _choice("CLEANUP_DIFFERENT_ROOTS", DifferentRootsPolicy.MERGE)


def survivor() -> str:
    """Which folder of a group stays: a ``SurvivorPolicy``, a column of applications, or the dotted path of a function.

    Raises MisconfiguredSetting.
    """
    value = _get("CLEANUP_SURVIVOR", SurvivorPolicy.OLDEST)
    choices = ", ".join(SurvivorPolicy)
    if not isinstance(value, str) or not value.strip():
        problem = f"{value!r} is none of {choices}, a column of applications, or the dotted path of a function."
        raise MisconfiguredSetting(setting="CLEANUP_SURVIVOR", problem=problem)
    if "." in value:
        _function("CLEANUP_SURVIVOR", value)
    elif value not in list(SurvivorPolicy) and application_model() is None:
        problem = f"{value!r} is none of {choices}, and without applications there is no column that names their root."
        raise MisconfiguredSetting(setting="CLEANUP_SURVIVOR", problem=problem)
    return value


def survivor_column() -> str | None:
    """The column of applications that names the root folder which stays; None if another rule holds."""
    value = survivor()
    return None if value in list(SurvivorPolicy) or "." in value else value


def survivor_function() -> Callable[..., Any] | None:
    """The function that puts folders in order of preference; None if another rule holds.

    It is called once for each batch of applications, as ``hook(using=alias, folder_ids=[...])`` with ids as text, and
    returns these ids, those that should rather stay before others; the ones it leaves out come last, the oldest first.
    """
    value = survivor()
    return _function("CLEANUP_SURVIVOR", value) if "." in value else None


def differing_columns() -> DifferencePolicy:
    """Whether a removed folder may differ from its survivor in columns that are not mapped."""
    return _choice("CLEANUP_DIFFERING_COLUMNS", DifferencePolicy.REPORT)


def triggers() -> TriggerPolicy:
    """What becomes of the host's triggers on tables that a run writes."""
    return _choice("CLEANUP_TRIGGERS", TriggerPolicy.REFUSE)


def widening() -> WideningPolicy:
    """Whether a merge may let people see files that they could not see before."""
    return _choice("CLEANUP_WIDENING", WideningPolicy.REPORT)


def grants() -> Mapping[str, Sequence[str]]:
    """Return the tables (``table`` or ``schema.table``) that grant access to folders, beside those recognised.

    Each with the columns that say who is granted it; none: those that are named after people and groups.
    """
    value = _get("CLEANUP_GRANTS", {})
    found = value if isinstance(value, Mapping) else None
    if found is None and isinstance(value, Collection) and not isinstance(value, str):
        found = dict.fromkeys(value, ())
    if found is None or not all(
        isinstance(table, str)
        and isinstance(columns, Collection)
        and not isinstance(columns, str)
        and all(isinstance(column, str) for column in columns)
        for table, columns in found.items()
    ):
        problem = 'it must be a list of tables, or map each to the columns that say who, as in {"shares": ["user_id"]}.'
        raise MisconfiguredSetting(setting="CLEANUP_GRANTS", problem=problem)
    return {table: tuple(columns) for table, columns in found.items()}


def collisions() -> Mapping[str, str | Mapping[str, str]]:
    """Policy by table (``table`` or ``schema.table``): ``refuse`` (the default), ``keep_survivor``,

    or a mapping of ``rename`` and ``renumber`` to the column that takes another value.
    """
    value = _get("CLEANUP_COLLISIONS", {})
    if not isinstance(value, Mapping):
        raise MisconfiguredSetting(setting="CLEANUP_COLLISIONS", problem="it must map table names to policies.")
    for table, policy in value.items():
        if not isinstance(table, str) or not _is_collision_policy(policy):
            raise MisconfiguredSetting(
                setting="CLEANUP_COLLISIONS",
                problem=f'{policy!r} of {table!r} is not a policy; use "refuse", "keep_survivor", '
                f'{{"rename": "column"}} or {{"renumber": "column"}}.',
            )
    return value


def _is_collision_policy(policy: Any) -> bool:
    if isinstance(policy, Mapping):
        named = all(isinstance(column, str) and column for column in policy.values())
        return bool(policy) and set(policy) <= set(NewValuePolicy) and named
    return isinstance(policy, str) and policy in set(CollisionPolicy)


def extra_references() -> Mapping[str, Mapping[str, tuple[str | int | None, ...]]]:
    """Columns, as ``table.column`` or a pattern, that hold folder keys without a foreign key.

    Each with the condition under which a row is about a folder: values by column, all of which must match; if empty,
    every row is. Raises MisconfiguredSetting.
    """
    value = _get("CLEANUP_EXTRA_REFERENCES", ())
    entries = [value] if isinstance(value, Mapping) else value
    if not isinstance(entries, Collection) or isinstance(entries, str):
        raise _no_references()
    found: dict[str, Mapping[str, tuple[str | int | None, ...]]] = {}
    for entry in entries:
        for name, condition in entry.items() if isinstance(entry, Mapping) else [(entry, {})]:
            if not isinstance(name, str) or "." not in name or name in found:
                raise _no_references()
            found[name] = {column: _values(allowed) for column, allowed in _pairs(condition)}
    return found


def _pairs(condition: Any) -> Collection[tuple[str, Any]]:
    if condition is None:
        return ()
    if not isinstance(condition, Mapping) or not all(isinstance(column, str) for column in condition):
        raise _no_references()
    return condition.items()


def _values(allowed: Any) -> tuple[str | int | None, ...]:
    values = tuple(allowed) if isinstance(allowed, list | tuple | set | frozenset) else (allowed,)
    if not values or not all(value is None or isinstance(value, str | int) for value in values):
        raise _no_references()
    return values


def _no_references() -> MisconfiguredSetting:
    return MisconfiguredSetting(
        setting="CLEANUP_EXTRA_REFERENCES",
        problem='it must be a list of "table.column" or "schema.table.column", each once, or map them to conditions '
        'such as {"kind": "folder"}: values, or lists of them, by column.',
    )


def ignored_columns() -> tuple[str, ...]:
    """Columns, as ``table.column`` or a pattern, that look like folder references but are not."""
    return _names("CLEANUP_IGNORED_COLUMNS")


def history_tables() -> Mapping[str, HistoryPolicy]:
    """What becomes of tables of versions or logs, by ``table``, ``schema.table`` or pattern; by default ``leave``."""
    value = _get("CLEANUP_HISTORY_TABLES", {})
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise MisconfiguredSetting(setting="CLEANUP_HISTORY_TABLES", problem="it must map names of tables to policies.")
    if not all(policy in list(HistoryPolicy) for policy in value.values()):
        raise MisconfiguredSetting(
            setting="CLEANUP_HISTORY_TABLES", problem='it must map names of tables to "leave", "move" or "refuse".'
        )
    return {name: HistoryPolicy(policy) for name, policy in value.items()}


@dataclass(frozen=True, slots=True)
class TreeHook:
    """What recomputes the columns that repeat a folder's place in the tree, and with which options."""

    path: str
    function: Callable[..., None]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def entry(self) -> Any:
        """The hook as the setting names it."""
        return {"hook": self.path, **self.options} if self.options else self.path

    def __call__(self, *, using: str, application_ids: Sequence[str]) -> None:
        """Leave the columns in agreement with the current trees of the applications."""
        self.function(using=using, application_ids=list(application_ids), **self.options)


def tree_hooks() -> tuple[TreeHook, ...]:
    """Functions that recompute path columns (ltree, nested sets), each set by dotted path, or with options.

    A function of the host is called inside the transaction, after a merge and after a rollback, as
    ``hook(using=alias, application_ids=[...], **options)``, and must leave the columns in agreement with the current
    tree; for those that come along see ``cleanup.hooks``. Raises MisconfiguredSetting.
    """
    value = _get("CLEANUP_TREE_HOOK", None)
    entries = () if value is None else value if isinstance(value, list | tuple) else (value,)
    return tuple(map(_tree_hook, entries))


def _tree_hook(entry: Any) -> TreeHook:
    options = dict(entry) if isinstance(entry, Mapping) else {"hook": entry}
    if not all(isinstance(name, str) for name in options):
        raise MisconfiguredSetting(setting="CLEANUP_TREE_HOOK", problem="the names of options must be texts.")
    path = options.pop("hook", None)
    function = _function("CLEANUP_TREE_HOOK", path)
    if (check := getattr(function, "check", None)) is not None:
        check(options)
    return TreeHook(path, function, options)


# Folders that are created.


def root_folder() -> str:
    """Name of a root folder that is created."""
    return _folder_name("CLEANUP_ROOT_FOLDER", "Application")


def recovered_folder() -> str:
    """Name of the folder, in an application's root folder, that takes in what a repair finds no other place for."""
    return _folder_name("CLEANUP_RECOVERED_FOLDER", "Recovered")


def unnamed_folder() -> str:
    """Name that a repair gives to a folder without one."""
    return _folder_name("CLEANUP_UNNAMED_FOLDER", "Unnamed")


def _folder_name(setting: str, default: str) -> str:
    value = _get(setting, default)
    if fault := fault_of_name(value):
        raise MisconfiguredSetting(setting=setting, problem=f"{fault}.")
    return cast(str, value)


def standard_folders() -> tuple[str, ...]:
    """Names of the folders that every application has in its root folder."""
    value = _get(
        "CLEANUP_STANDARD_FOLDERS", ("Borrower", "Guarantor", "Collateral", "Business", "Supporting Documents")
    )
    if not isinstance(value, list | tuple):
        raise MisconfiguredSetting(setting="CLEANUP_STANDARD_FOLDERS", problem="it must be a list of names.")
    for position, name in enumerate(value, start=1):
        if fault := fault_of_name(name):
            raise MisconfiguredSetting(setting="CLEANUP_STANDARD_FOLDERS", problem=f"of name {position}, {fault}.")
    if len(set(value)) != len(value):
        raise MisconfiguredSetting(setting="CLEANUP_STANDARD_FOLDERS", problem="it contains a name twice.")
    return tuple(value)


def folder_defaults() -> Mapping[str, Any] | Callable[..., Mapping[str, Any]]:
    """Further field values of folders that are created, or a function, set by dotted path, that returns them.

    It is called as ``hook(using=alias, application_id=..., name=..., parent_id=...)``, ids as text, the parent None for
    a root folder, which it may give another name. Raises MisconfiguredSetting.
    """
    value = _get("CLEANUP_FOLDER_DEFAULTS", {})
    if isinstance(value, Mapping):
        return value
    return _function("CLEANUP_FOLDER_DEFAULTS", value)


# Runs.


def target_transaction_ms() -> int:
    """Target duration of one batch's transaction, in milliseconds."""
    return _positive_integer("CLEANUP_TARGET_TRANSACTION_MS", 250)


def batch_size() -> int:
    """Most applications in one transaction."""
    return _positive_integer("CLEANUP_BATCH_SIZE", 100)


def max_attempts() -> int:
    """Attempts at one application before it is failed and set aside."""
    return _positive_integer("CLEANUP_MAX_ATTEMPTS", 3)


def lease() -> timedelta:
    """How long a claim holds without a sign of life."""
    return timedelta(seconds=_positive_number("CLEANUP_LEASE_SECONDS", 120))


def approval_factor() -> int | float:
    """Times the usual number of applications with duplicates beyond which a scheduled cleanup waits for approval."""
    return _positive_number("CLEANUP_APPROVAL_FACTOR", 3)


def approval_folders() -> int:
    """Folders to remove beyond which a scheduled cleanup waits for approval."""
    return _positive_integer("CLEANUP_APPROVAL_FOLDERS", 5_000)


def large_application() -> int:
    """Folders beyond which an application is set aside, unless it is asked for by name."""
    return _positive_integer("CLEANUP_LARGE_APPLICATION", 20_000)


def large_table() -> int:
    """Rows beyond which a referencing column without an index stops a run."""
    return _positive_integer("CLEANUP_LARGE_TABLE", 100_000)


def lock_timeout_ms() -> int:
    """Time to wait for a lock, in milliseconds; keep it under two thirds of the server's ``deadlock_timeout``."""
    return _positive_integer("CLEANUP_LOCK_TIMEOUT_MS", 500)


def statement_timeout_ms() -> int:
    """Longest statement, in milliseconds."""
    return _positive_integer("CLEANUP_STATEMENT_TIMEOUT_MS", 60_000)


def failure_window() -> int:
    """Number of latest applications over which the failure ratio is taken; the run stops if more than half failed."""
    return _positive_integer("CLEANUP_FAILURE_WINDOW", 50)


# The API.


def database() -> str:
    """Alias of the database that the API, admin, metrics and health check use; commands take ``--database``.

    By default, the one to which the project's routers write the product's own tables.
    """
    value = _get("CLEANUP_DATABASE", None)
    if value is None:
        return router.db_for_write(apps.get_model("cleanup", "Run"))
    if value not in settings.DATABASES:
        raise MisconfiguredSetting(setting="CLEANUP_DATABASE", problem=f"{value!r} is not an alias in DATABASES.")
    return cast(str, value)


def api_rates() -> Mapping[str, str | None]:
    """Calls that an account may make, by kind: ``30/min`` (s, min, hour, day), or None for no limit.

    ``wrong_tokens`` counts by address.
    """
    return _rates(
        "CLEANUP_API_RATES", {"check": "30/min", "clean": "60/min", "tokens": "10/min", "wrong_tokens": "30/min"}
    )


def login_rates() -> Mapping[str, str | None]:
    """Failed logins after which no more are tried until the minute, or other period of the rate, is over."""
    return _rates("CLEANUP_LOGIN_RATES", {"account_and_address": "5/min", "address": "30/min", "account": "30/min"})


def proxies() -> int:
    """Proxies in front of the web server, each of which appends its caller to ``X-Forwarded-For``."""
    value = _get("CLEANUP_PROXIES", 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MisconfiguredSetting(setting="CLEANUP_PROXIES", problem=f"{value!r} is not a number of proxies.")
    return value


def _rates(name: str, default: Mapping[str, str]) -> Mapping[str, str | None]:
    value = _get(name, {})
    if not isinstance(value, Mapping) or not set(value) <= set(default):
        raise MisconfiguredSetting(setting=name, problem=f"it must map some of {', '.join(default)} to rates.")
    for rate in value.values():
        if rate is not None and not re.fullmatch(r"[1-9]\d*/(s|sec|m|min|h|hour|d|day)", str(rate)):
            problem = f"{rate!r} is not a valid rate; use a value such as '30/min'."
            raise MisconfiguredSetting(setting=name, problem=problem)
    return {**default, **value}


def api_wait_applications() -> int:
    """Applications beyond which ``wait=true`` is refused: a long run does not belong in a request."""
    return _positive_integer("CLEANUP_API_WAIT_APPLICATIONS", 100)


def api_token_hours() -> int:
    """Longest life of a token of the API, in hours."""
    return _positive_integer("CLEANUP_API_TOKEN_HOURS", 2160)


# Throttling.

_LIMITS: Mapping[str, float] = {
    "lock_waiters": 5,
    "active_connections": 50,
    "connections_percent": 90,
    "replica_lag_seconds": 30,
    "replica_lag_mb": 1024,
    "retained_wal_mb": 10_240,
    "free_disk_mb": 100,
}


def throttle_limits() -> Mapping[str, float | None]:
    """Load on the database beyond which a run waits; None: not checked."""
    value = _get("CLEANUP_THROTTLE_LIMITS", {})
    if not isinstance(value, Mapping) or not set(value) <= set(_LIMITS) or not all(map(_is_limit, value.values())):
        raise MisconfiguredSetting(
            setting="CLEANUP_THROTTLE_LIMITS", problem=f"it must map some of {', '.join(_LIMITS)} to numbers or None."
        )
    return {**_LIMITS, **value}


def _is_limit(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value >= 0)


def throttle() -> Callable[..., str | None] | None:
    """Function, set by dotted path, that returns why a run has to wait, or None.

    It is called between batches as ``hook(using=alias, run_id=...)``. Raises MisconfiguredSetting.
    """
    path = _get("CLEANUP_THROTTLE", None)
    return None if path is None else _function("CLEANUP_THROTTLE", path)


def throttle_interval() -> timedelta:
    """Minimum time between two checks of the database's load."""
    return timedelta(seconds=_positive_number("CLEANUP_THROTTLE_SECONDS", 2))


def throttle_patience() -> timedelta:
    """How long a run waits before it is paused."""
    return timedelta(seconds=_positive_number("CLEANUP_THROTTLE_PATIENCE_SECONDS", 3600))


def duty_cycle() -> float:
    """Share of the time that a worker works; it leaves the rest to others."""
    value = _positive_number("CLEANUP_DUTY_CYCLE", 1)
    if value > 1:
        raise MisconfiguredSetting(
            setting="CLEANUP_DUTY_CYCLE", problem=f"{value!r} is more than 1, which means always."
        )
    return float(value)


# On the command line.


def log_on_terminal() -> bool:
    """Whether a command shows log lines on a terminal, among its own output."""
    return _flag("CLEANUP_LOG_ON_TERMINAL", default=False)


# In the background.


def tick() -> timedelta:
    """How long a cluster's task works on a run before it queues the next one; keep it well under the tasks' timeout."""
    return timedelta(seconds=_positive_number("CLEANUP_TICK_SECONDS", 20))


def background_workers() -> int:
    """Tasks that work on one run at the same time, over all clusters; SQLite has one."""
    return _positive_integer("CLEANUP_BACKGROUND_WORKERS", 2)


def heartbeat_patience() -> timedelta:
    """Age of the last heartbeat beyond which a cluster counts as dead."""
    return timedelta(seconds=_positive_number("CLEANUP_HEARTBEAT_SECONDS", 180))


def overdue_after() -> timedelta:
    """Delay beyond which a schedule counts as overdue."""
    return timedelta(seconds=_positive_number("CLEANUP_OVERDUE_SECONDS", 600))


# Guards.


def guards() -> tuple[Guard, ...]:
    """The guards that are put in place, of those that the mapped tables can have; by default all."""
    value = _get("CLEANUP_GUARDS", tuple(Guard))
    if not isinstance(value, list | tuple | set | frozenset):
        raise MisconfiguredSetting(setting="CLEANUP_GUARDS", problem="it must be a list of names of guards.")
    for name in value:
        if name not in list(Guard):
            raise MisconfiguredSetting(
                setting="CLEANUP_GUARDS", problem=f"{name!r} is not a guard; use some of {', '.join(Guard)}."
            )
    return tuple(guard for guard in Guard if guard in value)


def guard_wait() -> timedelta:
    """How long the migration of a guard waits for old transactions and for a lock before it gives up."""
    return timedelta(seconds=_positive_number("CLEANUP_GUARD_WAIT_SECONDS", 30))


# Undo and history.


def history_days() -> int:
    """Days until runs, checks, verifications and resolved alerts are purged, if no live rollback point needs them."""
    return _positive_integer("CLEANUP_HISTORY_DAYS", 365)


def rollback_days() -> int:
    """Days until a rollback point expires."""
    return _positive_integer("CLEANUP_ROLLBACK_DAYS", 90)


def list_limit() -> int:
    """Entries of a list in JSON output, beyond which the rest is only counted in ``..._left_out``."""
    return 100


def finding_limit() -> int:
    """Findings stored per code by a verification of the whole database."""
    return _positive_integer("CLEANUP_FINDING_LIMIT", 1000)


def alert_threshold() -> int:
    """Applications with duplicates beyond which a check raises the alert flag."""
    return _positive_integer("CLEANUP_ALERT_THRESHOLD", 5)


# Alerts.


def alert_repeat() -> timedelta:
    """How long an alert stays silent before it is sent again."""
    return timedelta(hours=_positive_number("CLEANUP_ALERT_REPEAT_HOURS", 24))


def alert_escalation() -> timedelta:
    """How long a warning may persist before it becomes critical."""
    return timedelta(hours=_positive_number("CLEANUP_ALERT_ESCALATION_HOURS", 48))


def alert_emails() -> tuple[str, ...]:
    """Addresses that notifications are sent to."""
    value = _get("CLEANUP_ALERT_EMAILS", ())
    if not isinstance(value, list | tuple) or not all(isinstance(entry, str) and "@" in entry for entry in value):
        raise MisconfiguredSetting(setting="CLEANUP_ALERT_EMAILS", problem="it must be a list of addresses.")
    return tuple(value)


def alert_private_addresses() -> bool:
    """Whether notifications may be sent to addresses inside the network."""
    return _flag("CLEANUP_ALERT_PRIVATE_ADDRESSES", default=False)


def alert_urls() -> tuple[str, ...]:
    """Apprise URLs, separated by spaces, from the environment only, because they hold secrets."""
    if hasattr(settings, "CLEANUP_ALERT_URLS"):
        raise MisconfiguredSetting(
            setting="CLEANUP_ALERT_URLS",
            problem="it is read from the environment only, so do not set it in the settings.",
        )
    return tuple(os.environ.get("CLEANUP_ALERT_URLS", "").split())


def metrics_token() -> str:
    """Bearer token for reading the metrics, from the environment; empty: none."""
    if hasattr(settings, "CLEANUP_METRICS_TOKEN"):
        raise MisconfiguredSetting(
            setting="CLEANUP_METRICS_TOKEN",
            problem="it is read from the environment only, so do not set it in the settings.",
        )
    token = os.environ.get("CLEANUP_METRICS_TOKEN", "").strip()
    if token and len(token) < _TOKEN_LENGTH:
        raise MisconfiguredSetting(
            setting="CLEANUP_METRICS_TOKEN", problem=f"it must have at least {_TOKEN_LENGTH} characters."
        )
    return token


#: All of them, with the functions above, each of which raises MisconfiguredSetting if its setting is wrong.
SETTINGS: Mapping[str, Callable[[], Any]] = {
    "CLEANUP_APPLICATION_MODEL": application_model,
    "CLEANUP_APPLICATION_FROM": application_from,
    "CLEANUP_SHARED_FOLDERS": shared_folders,
    "CLEANUP_FOLDER_MODEL": folder_model,
    "CLEANUP_FILE_MODEL": file_model,
    "CLEANUP_FOLDER_FIELDS": folder_fields,
    "CLEANUP_FILE_FIELDS": file_fields,
    "CLEANUP_FOLDER_LIVE": folder_live,
    "CLEANUP_ROOT_PARENT": root_parent,
    "CLEANUP_APPLICATION_LABEL": application_label,
    "CLEANUP_DIFFERENT_ROOTS": different_roots,
    "CLEANUP_SURVIVOR": survivor,
    "CLEANUP_DIFFERING_COLUMNS": differing_columns,
    "CLEANUP_WIDENING": widening,
    "CLEANUP_GRANTS": grants,
    "CLEANUP_TRIGGERS": triggers,
    "CLEANUP_COLLISIONS": collisions,
    "CLEANUP_EXTRA_REFERENCES": extra_references,
    "CLEANUP_IGNORED_COLUMNS": ignored_columns,
    "CLEANUP_HISTORY_TABLES": history_tables,
    "CLEANUP_TREE_HOOK": tree_hooks,
    "CLEANUP_ROOT_FOLDER": root_folder,
    "CLEANUP_RECOVERED_FOLDER": recovered_folder,
    "CLEANUP_UNNAMED_FOLDER": unnamed_folder,
    "CLEANUP_STANDARD_FOLDERS": standard_folders,
    "CLEANUP_FOLDER_DEFAULTS": folder_defaults,
    "CLEANUP_TARGET_TRANSACTION_MS": target_transaction_ms,
    "CLEANUP_BATCH_SIZE": batch_size,
    "CLEANUP_MAX_ATTEMPTS": max_attempts,
    "CLEANUP_LEASE_SECONDS": lease,
    "CLEANUP_LARGE_APPLICATION": large_application,
    "CLEANUP_LARGE_TABLE": large_table,
    "CLEANUP_LOCK_TIMEOUT_MS": lock_timeout_ms,
    "CLEANUP_STATEMENT_TIMEOUT_MS": statement_timeout_ms,
    "CLEANUP_FAILURE_WINDOW": failure_window,
    "CLEANUP_DATABASE": database,
    "CLEANUP_API_RATES": api_rates,
    "CLEANUP_LOGIN_RATES": login_rates,
    "CLEANUP_PROXIES": proxies,
    "CLEANUP_API_WAIT_APPLICATIONS": api_wait_applications,
    "CLEANUP_API_TOKEN_HOURS": api_token_hours,
    "CLEANUP_THROTTLE_LIMITS": throttle_limits,
    "CLEANUP_THROTTLE": throttle,
    "CLEANUP_THROTTLE_SECONDS": throttle_interval,
    "CLEANUP_THROTTLE_PATIENCE_SECONDS": throttle_patience,
    "CLEANUP_DUTY_CYCLE": duty_cycle,
    "CLEANUP_LOG_ON_TERMINAL": log_on_terminal,
    "CLEANUP_TICK_SECONDS": tick,
    "CLEANUP_BACKGROUND_WORKERS": background_workers,
    "CLEANUP_HEARTBEAT_SECONDS": heartbeat_patience,
    "CLEANUP_OVERDUE_SECONDS": overdue_after,
    "CLEANUP_APPROVAL_FACTOR": approval_factor,
    "CLEANUP_APPROVAL_FOLDERS": approval_folders,
    "CLEANUP_GUARDS": guards,
    "CLEANUP_GUARD_WAIT_SECONDS": guard_wait,
    "CLEANUP_ROLLBACK_DAYS": rollback_days,
    "CLEANUP_HISTORY_DAYS": history_days,
    "CLEANUP_FINDING_LIMIT": finding_limit,
    "CLEANUP_ALERT_THRESHOLD": alert_threshold,
    "CLEANUP_ALERT_REPEAT_HOURS": alert_repeat,
    "CLEANUP_ALERT_ESCALATION_HOURS": alert_escalation,
    "CLEANUP_ALERT_EMAILS": alert_emails,
    "CLEANUP_ALERT_PRIVATE_ADDRESSES": alert_private_addresses,
    "CLEANUP_ALERT_URLS": alert_urls,
    "CLEANUP_METRICS_TOKEN": metrics_token,
}
