"""The references that the workers of a process use, and how they change when the tables do."""

import threading

from cleanup import backends, journal
from cleanup.exceptions import CleanupError, SchemaChanged
from cleanup.folder_tables import folder_tables
from cleanup.models import Run, SnapshotSchema
from cleanup.references import ReferenceMap, schema_changes
from cleanup.retry_limits import SCHEMA_READS
from cleanup.services.concurrency.pipeline import Pipeline


class CurrentReferences:
    """The reference map that all workers of a process share. See Note [A deploy during a run]."""

    def __init__(self, *, using: str, run: Run, references: ReferenceMap) -> None:
        self.using = using
        self.run = run
        self.map = references
        self._pipeline: Pipeline | None = None
        self._reading = threading.Lock()
        self._read_again = 0
        """Times in a row that the references were read again without a batch being done with them."""

    def make_pipeline(self) -> Pipeline | None:
        """Return a pipeline, if batches may overlap; when the references change, it stops overlapping if necessary."""
        if self._allow_overlap():
            self._pipeline = Pipeline()
        return self._pipeline

    def note_batch(self) -> None:
        """Record that a batch was done with them."""
        self._read_again = 0

    def read_again(self, *, instead_of: ReferenceMap) -> None:
        """Read the current references, unless another worker has.

        Raises SchemaChanged, saying what has changed, if the run cannot continue with them.
        """
        with self._reading:
            if self.map is not instead_of:
                return
            if self._read_again == SCHEMA_READS:
                raise SchemaChanged("tables are changed over and over")
            try:
                # An undo need not know the rows of changed tables.
                references, problems = schema_changes.examine(
                    using=self.using, probe="not" if self.run.kind == Run.Kind.ROLLBACK else "now"
                )
            except CleanupError as error:
                raise SchemaChanged(f"tables were changed in the meantime: {error}") from error
            self._read_again += 1
            changed = schema_changes.log_changes(self.map, references)
            if problems:
                found = [f"{changed}." if changed else "", *map(str, problems)]
                raise SchemaChanged(f"tables were changed in the meantime: {' '.join(filter(None, found))}")
            self.map = references
            if self._pipeline is not None and not self._allow_overlap():
                self._pipeline.overlapping = False

    def _allow_overlap(self) -> bool:
        """Return whether no batch needs what another one, which may not be committed, does or undoes."""
        if not self.map.applications_are_independent:
            return False
        if self.run.kind != Run.Kind.ROLLBACK:
            return self.run.kind == Run.Kind.CLEANUP  # a repair may write to several applications
        backend, mapped = backends.database(using=self.using), folder_tables()
        now = journal.schema_digest(backend=backend, references=self.map, mapped=mapped)
        return not SnapshotSchema.objects.using(self.using).exclude(digest=now).exists()  # of the current references
