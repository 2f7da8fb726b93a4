"""Whether a cleanup can run, and what it rests on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cleanup.references.problem import Problem
from cleanup.services.results.document import UNKNOWN, Document, Unknown


@dataclass(frozen=True, slots=True)
class LargestApplication(Document):
    """The application with the most folders."""

    application_id: str
    folders: int
    too_large: bool
    """It has more than ``CLEANUP_LARGE_APPLICATION``."""


@dataclass(frozen=True, slots=True)
class Estimate(Document):
    """What a cleanup of all affected applications would do."""

    basis: str
    """``exact`` (every affected application was planned) or ``sample`` (of ``sampled_applications``, scaled)."""
    sampled_applications: int
    applications: int
    """All that are affected, exactly."""
    applications_set_aside: int
    colliding_applications: int
    """Of those that were planned."""
    colliding_tables: tuple[str, ...]
    collision_policies: Mapping[str, Any]
    duplicates: int
    """Folders beyond the first of each current group: exact, and a lower bound of what is removed."""
    folders_to_remove: int
    child_folders_to_merge: int
    files_to_move: int
    rows_by_table: Mapping[str, int]
    journal_bytes: int
    wal_bytes: int | None
    seconds: float
    largest_application: LargestApplication | None
    too_large_applications: int
    """Affected applications that a run would set aside because of their size, exactly."""
    free_bytes: int | Unknown = UNKNOWN
    """On the database's disk."""


@dataclass(frozen=True, slots=True)
class ForeignKeyFacts(Document):
    """A foreign key of, or to, a table that a run may write."""

    name: str
    table: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    on_delete: str
    deferrable: bool
    enforced: bool


@dataclass(frozen=True, slots=True)
class IndexFacts(Document):
    """An index that a run can use."""

    table: str
    columns: tuple[str, ...]
    unique: bool


@dataclass(frozen=True, slots=True)
class UniqueKeyFacts(IndexFacts):
    """A unique key that moved rows must keep."""

    name: str
    primary: bool
    predicate: str | None


@dataclass(frozen=True, slots=True)
class ReferenceFacts(Document):
    """A reference to folders."""

    table: str
    columns: tuple[str, ...]
    folder_columns: tuple[str, ...]
    source: str
    constraint: str | None
    on_delete: str | None
    proven: bool
    indexed: bool
    row_key: tuple[str, ...] | None
    kind: str
    estimated_rows: int
    step: int


@dataclass(frozen=True, slots=True)
class Grant(Document):
    """The privileges that the current role needs on a table, and which of them are missing."""

    table: str
    needed: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trigger(Document):
    """A trigger of your own on a table that a run may write."""

    name: str
    table: str
    events: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TriggerFacts(Document):
    """Your own triggers, and what a run does about them."""

    policy: str
    may_bypass: bool | Unknown
    found: tuple[Trigger, ...]


@dataclass(frozen=True, slots=True)
class SuspectedColumn(Document):
    """A column that may name folders."""

    table: str
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightReport(Document):
    """Whether a cleanup can run, and what the answer is based on: ``unknown`` for what the role may not read."""

    ok: bool
    problems: tuple[Problem, ...]
    """Why not."""
    warnings: tuple[Problem, ...]
    identity: Mapping[str, Any]
    """Server, database, and the server's settings."""
    role: Mapping[str, Any]
    """The current role and its grants."""
    foreign_keys: tuple[ForeignKeyFacts, ...] | Unknown = UNKNOWN
    indexes: tuple[IndexFacts | UniqueKeyFacts, ...] | Unknown = UNKNOWN
    references: tuple[ReferenceFacts, ...] | Unknown = UNKNOWN
    triggers: TriggerFacts | Unknown = UNKNOWN
    row_security: tuple[str, ...] | Unknown = UNKNOWN
    """Tables that hide rows from some roles."""
    collations: tuple[Mapping[str, Any], ...] | Unknown = UNKNOWN
    suspected: tuple[SuspectedColumn, ...] | Unknown = UNKNOWN
    """Columns that may name folders and are not declared."""
    settings: Mapping[str, Any]
    """The settings in force, without secrets."""
    estimate: Estimate | Unknown = UNKNOWN
