"""Short responses to requests."""

from dataclasses import dataclass, field
from uuid import UUID

from cleanup.services.results.document import OPTIONAL, Document, FolderId


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued(Document):
    """What was queued for the clusters: a run, a check or a verification."""

    status: str = "pending"
    run_id: UUID | None = field(default=None, metadata=OPTIONAL)
    kind: str | None = field(default=None, metadata=OPTIONAL)
    total_applications: int | None = field(default=None, metadata=OPTIONAL)
    check_id: int | None = field(default=None, metadata=OPTIONAL)
    verification_id: int | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class FreezeSwitch(Document):
    """Whether everything is stopped."""

    frozen: bool


@dataclass(frozen=True, slots=True)
class FolderSurvivor(Document):
    """Where a removed folder went."""

    folder_id: FolderId
    survivor_id: FolderId
    """The folder that it leads to now."""
