"""What happens around ``migrate``: guards that the data forbids do not stop other apps, and SQLite's guards survive.

Note [Looking ahead]. Migrations run in the order of their apps' names, and one that fails stops all later ones. So
before a migrate that includes other apps, the data is checked; from the first guard on that it forbids, the guards are
taken out of the plan, and the command ends with the refusal once everything else is done. All of them are taken out if
sessions of other programs hold the tables and do not release them in time. An operation that still meets forbidden data
or such a session refuses by itself, and then the apps after it in the alphabet wait for the next migrate.

Note [Rebuilt tables]. Altering a table on SQLite rebuilds it, and what Django's models do not know is lost: our
triggers and indexes. It is even impossible while the triggers of another table mention that one. So the triggers are
lifted before a migrate of other apps; after it, what is recorded as applied is created again if the data allows it.
"""

import sys
from typing import Any

from django.apps import AppConfig, apps
from django.core.management.base import CommandError
from django.db import DatabaseError, router
from django.db.migrations import Migration

from cleanup import backends
from cleanup.exceptions import CleanupError, GuardBlocked, GuardForbidden
from cleanup.guard_names import APP_LABEL, MADE_BY, Guard, putting
from cleanup.guards.differences import DifferenceKind, guard_differences
from cleanup.guards.guard_ddl import applied_migrations, enforcement, installed, standings
from cleanup.guards.operations import PutGuard, ValidateGuard
from cleanup.guards.violations import incomparable, obstacle, points_bound_by, told_points

_MADE_IN: dict[str, str] = {migration: guard for guard, migration in MADE_BY.items()}

#: By database: what a running migrate has to report at its end.
_refusals: dict[str, GuardForbidden | GuardBlocked] = {}


def look_ahead(sender: AppConfig, using: str, plan: list[tuple[Migration, bool]], **kwargs: Any) -> None:
    """Take the guards that the data forbids out of the plan, if there is anything else in it."""
    if sender.label != "cleanup":  # once per migrate
        return
    _refusals.pop(using, None)
    if _rebuilds_tables(using=using) and any(migration.app_label != APP_LABEL for migration, _ in plan):
        _make_way(using=using)
    ours = [migration for migration, backwards in plan if migration.app_label == APP_LABEL and not backwards]
    if not ours or not router.allow_migrate(using, APP_LABEL):
        return
    place: int
    refusal: GuardForbidden | GuardBlocked | None
    try:
        if not installed(using=using):
            return
        place, refusal = _first_forbidden(ours, using=using, told=_teller(kwargs))
        if place and len(ours) < len(plan):
            enforcement(using=using).refuse_blocked(_MADE_IN.get(ours[0].name, "supporting indexes"))
    except (GuardForbidden, GuardBlocked) as unsuitable:
        place, refusal = 0, unsuitable
    except (
        CleanupError,
        DatabaseError,
    ):  # a table that earlier migrations will still change: the operations will find out
        return
    if refusal is not None and len(ours) < len(plan):
        _refusals[using] = refusal
        forbidden = ours[place:]
        plan[:] = [(migration, backwards) for migration, backwards in plan if migration not in forbidden]


def _make_way(*, using: str) -> None:
    """Lift the triggers that would prevent a table from being rebuilt. See Note [Rebuilt tables]."""
    if applied_migrations(using=using) and installed(using=using):
        enforcement(using=using).lift(Guard.FILE_APPLICATION)


def _first_forbidden(ours: list[Migration], *, using: str, told: Any) -> tuple[int, GuardForbidden | None]:
    """Return the position of the first migration that is refused, and why. Raises GuardForbidden if none can run."""
    work = enforcement(using=using)
    work.refuse_unsuitable_tables("supporting indexes")
    sql = work.sql
    there = standings(sql, applied=applied_migrations(using=using))
    for place, migration in enumerate(ours):
        for operation in migration.operations:
            if not isinstance(operation, PutGuard | ValidateGuard) or not operation.is_wanted(work):
                continue
            standing = there.get(operation.guard)
            if standing is not None and standing.whole:
                continue
            sentence = told_points(points_bound_by(sql, operation.guard))
            later = isinstance(operation, PutGuard) and operation.validated_later
            if later and incomparable(sql, operation.guard) is None:
                continue
            found = obstacle(sql, operation.guard, there=there)
            if found is not None:
                problem = f"{found} {sentence}".strip()
                return place, GuardForbidden(
                    guard=operation.guard, problem=problem, count=found.number, examples=found.examples
                )
            if sentence:
                told(f"Guard {operation.guard}: {sentence}")
    return len(ours), None


def _teller(kwargs: dict[str, Any]) -> Any:
    if kwargs.get("verbosity", 1) < 1:
        return lambda _: None
    stdout = kwargs.get("stdout") or sys.stdout
    return lambda sentence: stdout.write(f"{sentence}\n")


def _rebuilds_tables(*, using: str) -> bool:
    """Return whether Django rebuilds a table to change it, and loses what it does not know."""
    return backends.supports(using=using) and not backends.database(using=using).alters_columns


def complete(sender: AppConfig, using: str, **_kwargs: Any) -> None:
    """Restore what a rebuilt table has lost; at the very end, report the refusal. Raises CommandError."""
    if sender.label == "cleanup" and _rebuilds_tables(using=using) and router.allow_migrate(using, APP_LABEL):
        _restore_lost(using=using)
    if sender is _last_sender() and (refusal := _refusals.pop(using, None)) is not None:
        raise CommandError(
            f"{refusal} All other apps are migrated. When that is fixed, run: {putting(using=using)}",
            returncode=refusal.exit_status,
        )


def _last_sender() -> AppConfig:
    return [config for config in apps.get_app_configs() if config.models_module is not None][-1]


def _restore_lost(*, using: str) -> None:
    if not applied_migrations(using=using) or not installed(using=using):
        return
    work = enforcement(using=using)
    work.make_supporting()
    for one in guard_differences(using=using):
        if one.migrated and one.kind != DifferenceKind.UNWANTED:
            try:
                work.put(one.guard)
            except CleanupError:  # the system check reports it
                continue
