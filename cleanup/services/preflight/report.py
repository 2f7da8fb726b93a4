"""Determine whether a cleanup can run, before anything is risked, and report everything that the answer is based on.

Invariants: nothing is written and no row is locked; if the role may not read something, it is "unknown" instead of a
failure; after a yes, only another run or the freeze switch (both are warnings) prevents a run from starting.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any, TypeVar

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

from cleanup import backends, conf
from cleanup.backends.catalogue import Table, TableName
from cleanup.backends.pinning import pinning
from cleanup.backends.query import quoted
from cleanup.backends.server import Collation, contained
from cleanup.folder_tables import folder_tables
from cleanup.guard_names import putting
from cleanup.guards.differences import DifferenceKind, guard_differences
from cleanup.models import FreezeSwitch, Run
from cleanup.policies import TriggerPolicy
from cleanup.references import (
    Problem,
    ReferenceMap,
    blocking_rows,
    discover,
    mapped_types,
    publication_problems,
    row_problems,
    row_warnings,
)
from cleanup.references.installed_models import own_tables
from cleanup.references.probing import probe
from cleanup.services import freeze
from cleanup.services.merging.suggested_policies import setting_of
from cleanup.services.preflight import inventory
from cleanup.services.preflight.estimate import estimate
from cleanup.services.preflight.shown_settings import shown_settings
from cleanup.services.results import (
    JSON,
    UNKNOWN,
    Estimate,
    Grant,
    PreflightReport,
    SuspectedColumn,
    TriggerFacts,
    Unknown,
)
from cleanup.services.runs import lifecycle

#: What a run on SQLite needs in addition to its journal: the write-ahead log, pages that are split.
_SPARE_BYTES = 50 * 1024 * 1024

_PERMISSION_DENIED = "42501"
_DENIED_TABLE = re.compile(r"permission denied for (?:table|view|relation) (.+)")

#: Problems about missing privileges. What the role may not read cannot be estimated.
_LACKS = frozenset({"privilege", "row_security"})

T = TypeVar("T")


def preflight(*, using: str) -> PreflightReport:
    """Return whether a cleanup can run, and what the answer is based on.

    Raises DatabaseUnusable if a mapped table or column is missing, and MisconfiguredSetting.
    """
    with pinning(using=using):
        return _Preflight(using).answer()


class _Preflight:
    """One examination of one database."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.connection = connections[using]
        self.database = backends.database(using=using)
        self.catalogue = self.database.catalogue
        self.server = self.database.server
        self.identity = self.server.identity()
        self.role = self.server.role()
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def answer(self) -> PreflightReport:
        """Gather everything, then decide."""
        found = self._allowed(lambda: discover(using=self.using))
        self.problems += self._server_problems()
        self.problems += self._allowed(lambda: list(_migration_problems(self.connection))) or []
        of_references = {} if found is None else self._of_references(found)
        grants = of_references.pop("grants", UNKNOWN)
        return PreflightReport(
            ok=not self.problems,
            problems=tuple(self.problems),
            warnings=tuple(self.warnings),
            identity=self._identity(),
            role={**self._told(asdict(self.role)), "grants": grants},
            settings=shown_settings(),
            **of_references,
        )

    def _allowed(self, ask: Callable[[], T]) -> T | None:
        """Query; if the role may not, return None and report that, unless a missing privilege is already reported."""
        try:
            with contained(self.connection):
                return ask()
        except DatabaseError as error:
            if getattr(error.__cause__, "sqlstate", None) != _PERMISSION_DENIED:
                raise
            if not any(problem.code in _LACKS for problem in self.problems):
                self.problems.append(self._denied(error))
            return None

    def _denied(self, error: DatabaseError) -> Problem:
        told = str(getattr(getattr(error.__cause__, "diag", None), "message_primary", "permission denied"))
        table = _DENIED_TABLE.search(told)
        remedy = f"GRANT SELECT ON {quoted(table[1])} TO {self._role_quoted};" if table else "See the manual's grants."
        return Problem(
            "privilege",
            table[1] if table else "",
            "",
            f"The current role may not look at all that a run needs ({told}). Grant it: {remedy}",
        )

    @property
    def _role_quoted(self) -> str:
        return quoted(self.role.name or "CURRENT_USER")

    def _told(self, facts: Mapping[str, Any]) -> JSON:
        """Return what the server reports; what it does not reveal is unknown, what SQLite does not have is null."""
        silence = UNKNOWN if self.database.has_roles else None
        return {name: silence if value is None else value for name, value in facts.items()}

    # The server.

    def _identity(self) -> JSON:
        return {
            "vendor": self.database.vendor,
            **self._told(asdict(self.identity)),
            "settings": self._told(self.server.settings()),
        }

    def _server_problems(self) -> Iterator[Problem]:
        if self.server.version() < self.server.minimum:
            oldest = ".".join(str(part) for part in self.server.minimum)
            yield _about_server(
                "server_version",
                f"The server is {self.connection.display_name} {self.identity.version}; {oldest} or newer is needed. "
                f"Upgrade it.",
            )
        if self.identity.key is None:
            yield _about_server(
                "identity",
                "The current role may not read what distinguishes this database from a copy of it. Grant it: "
                f"GRANT EXECUTE ON FUNCTION pg_control_system() TO {self._role_quoted};",
            )
        if self.identity.read_only or self.identity.in_recovery:
            why = "is a standby in recovery" if self.identity.in_recovery else "is read-only for the current role"
            yield _about_server("read_only", f"The database {why}: nothing can be written. Connect to the primary.")
        yield from self._lock_timeout_problems()
        yield from self._pooling_problems()

    def _pooling_problems(self) -> Iterator[Problem]:
        changes = list(_bound_to_sessions(self.connection.settings_dict))
        pooling = self.server.pooling() if changes else "none"
        if pooling == "none":
            return
        advice = f'In DATABASES["{self.using}"], {", and ".join(changes)}.'
        if pooling == "transaction":
            yield _about_server(
                "pooling",
                "The connection goes through a proxy that pools by transaction (as PgBouncer does), where nothing may "
                f"be kept on a session. {advice}",
            )
        else:
            self.warnings.append(
                _about_server("pooling", f"The connection goes through a proxy. If it pools by transaction: {advice}")
            )

    def _lock_timeout_problems(self) -> Iterator[Problem]:
        deadlock, ours = self.server.deadlock_timeout_ms(), conf.lock_timeout_ms()
        if deadlock is None:
            self.warnings.append(
                _about_server(
                    "lock_timeout",
                    "The server's deadlock_timeout cannot be read. "
                    f"CLEANUP_LOCK_TIMEOUT_MS ({ours}) must be under two thirds of it.",
                )
            )
        elif 0 < deadlock * 2 <= ours * 3:  # see Note [Who yields] in backends.postgresql
            yield _about_server(
                "lock_timeout",
                f"CLEANUP_LOCK_TIMEOUT_MS is {ours} and the server's deadlock_timeout {deadlock} ms: in a "
                f"conflict, the host would lose instead of the cleanup. Set CLEANUP_LOCK_TIMEOUT_MS under two "
                f"thirds of it.",
            )

    # What points at folders.

    def _look_for_problems(self, found: ReferenceMap) -> None:
        self.problems[:0] = found.problems
        self.problems += publication_problems(using=self.using, references=found)
        self.problems += self._allowed(lambda: blocking_rows(using=self.using, references=found)) or []
        self.problems += self._allowed(lambda: row_problems(using=self.using, references=found)) or []
        self.warnings += self._allowed(lambda: row_warnings(using=self.using, references=found)) or []
        probed = None
        if not mapped_types.are_unlike(found):
            probed = self._allowed(lambda: probe(using=self.using, references=found, reported=self.problems))
        if probed is not None:
            self.problems += probed.problems
            self.warnings += probed.warnings

    def _of_references(self, found: ReferenceMap) -> JSON:
        self._look_for_problems(found)
        own = self._own_tables()
        grants = inventory.grants(found, own.values())
        self.problems += self._own_grant_problems(grants, own)
        collation = self.server.collation(found.folders.name, folder_tables().folder_name)
        self._warn_of_collation(found, collation)
        self._warn_of_references(found)
        self._warn_of_control(own)
        self._warn_of_guards()
        foreseen = self._estimate(found)
        return {
            "grants": grants,
            "foreign_keys": inventory.foreign_keys(found, self.catalogue),
            "indexes": inventory.indexes(found),
            "references": inventory.references(found),
            "triggers": TriggerFacts(
                policy=conf.triggers(),
                may_bypass=self._may_bypass_triggers(),
                found=inventory.triggers(found),
            ),
            "row_security": tuple(str(table.name) for table in inventory.tables_of(found) if table.row_security),
            "collations": (
                {
                    "table": str(found.folders.name),
                    "column": folder_tables().folder_name,
                    **self._told(asdict(collation)),
                },
            ),
            "suspected": tuple(
                SuspectedColumn(table=problem.table, column=problem.column)
                for problem in self.problems
                if problem.code == "suspected"
            ),
            "estimate": foreseen,
        }

    def _may_bypass_triggers(self) -> bool | Unknown:
        try:
            with contained(self.connection):
                return self.catalogue.may_bypass_triggers()
        except DatabaseError:
            return UNKNOWN

    def _own_tables(self) -> dict[TableName, Table]:
        names = own_tables(folder_tables())
        return self.catalogue.describe(set(self.catalogue.resolve_all(names).values()))

    def _own_grant_problems(self, grants: Iterable[Grant], own: Mapping[TableName, Table]) -> Iterator[Problem]:
        labels = {str(name): name for name in own}
        for grant in grants:
            if grant.missing and grant.table in labels:
                missing = ", ".join(privilege.upper() for privilege in grant.missing)
                yield Problem(
                    "privilege",
                    grant.table,
                    "",
                    f"The current role may not {' or '.join(grant.missing)} on {grant.table}. Grant it: "
                    f"GRANT {missing} ON {labels[grant.table].quoted} TO {self._role_quoted};",
                )

    def _warn_of_collation(self, found: ReferenceMap, collation: Collation) -> None:
        if collation.deterministic is False or collation.ignores_case:
            self.warnings.append(
                Problem(
                    "collation",
                    str(found.folders.name),
                    folder_tables().folder_name,
                    f"The collation {collation.collation} of {found.folders.name}.{folder_tables().folder_name} treats "
                    f"different names as equal. The cleanup does not: names are compared by code point, so that Docs "
                    f"and docs stay two folders.",
                )
            )

    def _warn_of_references(self, found: ReferenceMap) -> None:
        for reference in found.references:
            enforced = reference.constraint is not None
            if not enforced and reference.source != "generic":
                self.warnings.append(
                    Problem(
                        "no_foreign_key",
                        str(reference.table),
                        ", ".join(reference.columns),
                        f"{reference} has no foreign key: a program that writes during the run may name a "
                        f"folder that is removed. The run's last step, and the hourly check, move such rows along.",
                    )
                )
        for view in self.catalogue.materialized_views(table.name for table in found.written):
            self.warnings.append(
                Problem(
                    "materialized_view",
                    str(view),
                    "",
                    f"{view} is computed from tables that a cleanup changes, and keeps what it was computed from. "
                    f"Compute it again after the cleanup, and after an undo: REFRESH MATERIALIZED VIEW {view.quoted};",
                )
            )
        if conf.triggers() == TriggerPolicy.FIRE and found.has_triggers:
            self.warnings.append(
                _about_server(
                    "triggers_fire",
                    'CLEANUP_TRIGGERS is "fire": there is no promise to undo what the host\'s triggers write.',
                )
            )

    def _warn_of_control(self, own: Mapping[TableName, Table]) -> None:
        """Warn about what prevents a run from starting at this moment: the freeze switch, or another run."""
        readable = {name.name for name, table in own.items() if "select" in table.privileges}
        if not {FreezeSwitch._meta.db_table, Run._meta.db_table} <= readable:
            return
        if freeze.is_frozen(using=self.using):
            self.warnings.append(
                _about_server("frozen", "All cleaning is frozen. Lift it with: manage.py database_cleanup --unfreeze")
            )
        active = lifecycle.active_cleanup(using=self.using)
        if active is not None:
            self.warnings.append(
                _about_server("active_run", f"Run {active.pk} is active: resume, pause or cancel it by that id.")
            )

    def _warn_of_guards(self) -> None:
        differences = self._allowed(lambda: guard_differences(using=self.using)) or []
        missing = [one.guard for one in differences if one.kind == DifferenceKind.MISSING and not one.migrated]
        if missing:
            self.warnings.append(
                _about_server(
                    "guards",
                    f"Nothing keeps duplicates from coming back ({', '.join(missing)}). After the cleanup: "
                    f"{putting(using=self.using)}",
                )
            )
        for one in differences:
            if one.guard not in missing:
                self.warnings.append(_about_server("guards", f"{one} After the cleanup: {one.command}"))

    # How much it would do.

    def _hides_rows(self, problem: Problem, found: ReferenceMap) -> bool:
        """Return whether folders cannot be counted: a privilege, our tables, a valid setting or a key is missing."""
        of_folders = problem.code in {"misconfigured", "unkeyed"} and problem.table == str(found.folders.name)
        return problem.code in {*_LACKS, "migrations", mapped_types.CODE} or of_folders

    def _estimate(self, found: ReferenceMap) -> Estimate | Unknown:
        if any(self._hides_rows(problem, found) for problem in self.problems):
            return UNKNOWN
        foreseen = self._allowed(lambda: estimate(using=self.using, references=found))
        if foreseen is None:
            return UNKNOWN
        free = self.server.free_bytes()
        needed = foreseen.journal_bytes + (foreseen.wal_bytes or 0) + _SPARE_BYTES
        if free is not None and free < needed:
            self.problems.append(
                _about_server(
                    "disk",
                    f"The disk has {free:,} bytes free and the cleanup may need {needed:,}. Free space, or clean up a "
                    f"part with --max-applications.",
                )
            )
        if foreseen.colliding_applications:
            self._warn_of_collisions(foreseen)
        if foreseen.too_large_applications:
            self.warnings.append(
                _about_server(
                    "too_large",
                    f"{foreseen.too_large_applications} affected applications have more than "
                    f"{conf.large_application()} folders and will be set aside. Include them with --include-large.",
                )
            )
        return foreseen if free is None else replace(foreseen, free_bytes=free)

    def _warn_of_collisions(self, foreseen: Estimate) -> None:
        setting = setting_of(foreseen.collision_policies)
        remedy = f"Set {setting}, or correct the rows" if setting else "Correct the rows"
        tables = ", ".join(foreseen.colliding_tables)
        self.warnings.append(
            Problem(
                "collision",
                tables,
                "",
                f"{foreseen.colliding_applications} of {foreseen.sampled_applications} applications that were "
                f"planned would be refused, because rows of {tables} would collide. {remedy}; a dry run names them.",
            )
        )


def _migration_problems(connection: BaseDatabaseWrapper) -> Iterator[Problem]:
    loader = MigrationLoader(connection, ignore_no_migrations=True)  # the check E010 reports those
    missing = sorted(
        name
        for label, name in loader.graph.nodes
        if label == "cleanup" and (label, name) not in loader.applied_migrations
    )
    if missing:
        yield _about_server(
            "migrations",
            f"Migrations of cleanup are not applied ({', '.join(missing)}). "
            f"Apply them with: manage.py migrate cleanup --fake-initial",
        )


def _bound_to_sessions(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield what to change in a database's entry if each transaction may get another session of the server."""
    options = settings.get("OPTIONS", {})
    if not settings.get("DISABLE_SERVER_SIDE_CURSORS"):
        yield 'set "DISABLE_SERVER_SIDE_CURSORS": True'
    if options.get("prepare_threshold") is not None:
        yield 'remove "prepare_threshold" from "OPTIONS"'
    if options.get("assume_role"):
        yield 'remove "assume_role" from "OPTIONS" and log in as that role'


def _about_server(code: str, message: str) -> Problem:
    return Problem(code, "", "", message)
