"""The settings, one function each, read at call time; the default stands beside its setting.

A wrong value raises MisconfiguredSetting, which names the setting and the remedy.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Literal, cast

from django.conf import settings
from django.utils.module_loading import import_string

from cleanup.exceptions import MisconfiguredSetting

_MISSING = object()


def _get(name: str, default: Any) -> Any:
    return getattr(settings, name, default)


def _choice(name: str, default: str, choices: tuple[str, ...]) -> Any:
    value = _get(name, default)
    if value not in choices:
        raise MisconfiguredSetting(setting=name, problem=f"{value!r} is none of {', '.join(choices)}.")
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
    if isinstance(value, str) or not all(isinstance(entry, str) and "." in entry for entry in value):
        raise MisconfiguredSetting(setting=name, problem='it is a list of "table.column" or "schema.table.column".')
    return tuple(value)


# Which models and columns play the parts.


def application_model() -> str:
    """Label of the model that owns folder trees."""
    return cast(str, _get("CLEANUP_APPLICATION_MODEL", "cleanup.Application"))


def folder_model() -> str:
    """Label of the folder model."""
    return cast(str, _get("CLEANUP_FOLDER_MODEL", "cleanup.Folder"))


def file_model() -> str:
    """Label of the file model."""
    return cast(str, _get("CLEANUP_FILE_MODEL", "cleanup.File"))


def folder_fields() -> Mapping[str, str]:
    """Names of the folder model's fields for parent, application, name and created."""
    return _fields(
        "CLEANUP_FOLDER_FIELDS",
        {"parent": "parent", "application": "application", "name": "name", "created": "created_at"},
    )


def file_fields() -> Mapping[str, str]:
    """Names of the file model's fields for folder, application and name."""
    return _fields("CLEANUP_FILE_FIELDS", {"folder": "folder", "application": "application", "name": "filename"})


def _fields(name: str, default: dict[str, str]) -> Mapping[str, str]:
    value = _get(name, {})
    if not isinstance(value, Mapping) or not set(value) <= set(default):
        raise MisconfiguredSetting(setting=name, problem=f"it maps some of {', '.join(default)} to field names.")
    return {**default, **value}


def folder_live() -> Mapping[str, Any] | None:
    """Column values that mark a live folder, e.g. ``{"deleted_at": None}``; None: every folder is live.

    Raises MisconfiguredSetting. Whether it was set at all is told by ``folder_live_is_set``.
    """
    value = _get("CLEANUP_FOLDER_LIVE", None)
    if value is not None and not (isinstance(value, Mapping) and value and all(isinstance(key, str) for key in value)):
        raise MisconfiguredSetting(
            setting="CLEANUP_FOLDER_LIVE", problem="it maps columns to the value of a live folder, or is None."
        )
    return cast("Mapping[str, Any] | None", value)


def folder_live_is_set() -> bool:
    """Tell whether the host decided about soft deletion, even if by an explicit None."""
    return _get("CLEANUP_FOLDER_LIVE", _MISSING) is not _MISSING


# The merge.


def different_roots() -> Literal["merge", "nest", "refuse"]:
    """What becomes of an application's root folders of different names."""
    return _choice("CLEANUP_DIFFERENT_ROOTS", "merge", ("merge", "nest", "refuse"))  # type: ignore[no-any-return]  # one of the choices


def differing_columns() -> Literal["report", "refuse"]:
    """Whether a removed folder may differ from its survivor in columns that are not mapped."""
    return _choice("CLEANUP_DIFFERING_COLUMNS", "report", ("report", "refuse"))  # type: ignore[no-any-return]  # one of the choices


def triggers() -> Literal["refuse", "fire", "bypass"]:
    """What becomes of the host's triggers on tables that a run writes."""
    return _choice("CLEANUP_TRIGGERS", "refuse", ("refuse", "fire", "bypass"))  # type: ignore[no-any-return]  # one of the choices


def collisions() -> Mapping[str, str]:
    """Policy by table (``table`` or ``schema.table``): ``refuse`` (the default) or ``keep_survivor``."""
    value = _get("CLEANUP_COLLISIONS", {})
    if not isinstance(value, Mapping) or not set(value.values()) <= {"refuse", "keep_survivor"}:
        raise MisconfiguredSetting(
            setting="CLEANUP_COLLISIONS", problem='it maps table names to "refuse" or "keep_survivor".'
        )
    return value


def extra_references() -> tuple[str, ...]:
    """Columns, as ``table.column``, that hold folder keys without a foreign key."""
    return _names("CLEANUP_EXTRA_REFERENCES")


def ignored_columns() -> tuple[str, ...]:
    """Columns, as ``table.column``, that look like folder references and are none."""
    return _names("CLEANUP_IGNORED_COLUMNS")


def tree_hook() -> Callable[..., None] | None:
    """Function, set by dotted path, that computes path columns (ltree, nested sets) anew.

    It is called inside the transaction, after a merge and after a rollback, as ``hook(using=alias,
    application_ids=[...])``, and must leave the columns as they belong to the tree that is there. Raises
    MisconfiguredSetting.
    """
    path = _get("CLEANUP_TREE_HOOK", None)
    if path is None:
        return None
    try:
        hook = import_string(path)
    except (ImportError, TypeError, AttributeError):
        hook = None
    if not callable(hook):
        raise MisconfiguredSetting(setting="CLEANUP_TREE_HOOK", problem=f"{path!r} is no dotted path of a function.")
    return cast("Callable[..., None]", hook)


# Runs.


def target_transaction_ms() -> int:
    """Time that one batch's transaction aims at, in milliseconds."""
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


def large_application() -> int:
    """Folders beyond which an application is set aside, to be asked for by name."""
    return _positive_integer("CLEANUP_LARGE_APPLICATION", 20_000)


def large_table() -> int:
    """Rows beyond which a referencing column without an index stops a run."""
    return _positive_integer("CLEANUP_LARGE_TABLE", 100_000)


def lock_timeout_ms() -> int:
    """Time to wait for a lock, in milliseconds; keep it under the server's ``deadlock_timeout``."""
    return _positive_integer("CLEANUP_LOCK_TIMEOUT_MS", 500)


def statement_timeout_ms() -> int:
    """Longest statement, in milliseconds."""
    return _positive_integer("CLEANUP_STATEMENT_TIMEOUT_MS", 60_000)


def failure_window() -> int:
    """Number of last applications over which the failure ratio is taken; more than half failed stops the run."""
    return _positive_integer("CLEANUP_FAILURE_WINDOW", 50)


# Guards.


def guard_wait() -> timedelta:
    """How long the migration of a guard waits for old transactions and for a lock before it gives up."""
    return timedelta(seconds=_positive_number("CLEANUP_GUARD_WAIT_SECONDS", 30))


# Undo and history.


def rollback_days() -> int:
    """Days until a rollback point expires."""
    return _positive_integer("CLEANUP_ROLLBACK_DAYS", 90)


def list_limit() -> int:
    """Entries of a list in JSON output before the rest is counted in ``..._left_out``."""
    return 100


def finding_limit() -> int:
    """Findings stored per code by a whole verification."""
    return _positive_integer("CLEANUP_FINDING_LIMIT", 1000)


def alert_threshold() -> int:
    """Applications with duplicates beyond which a check raises the alert flag."""
    return _positive_integer("CLEANUP_ALERT_THRESHOLD", 5)
