"""The tree hooks after an undo.

What a ready hook wrote after the merge has been restored by then, cell by cell, so nothing is left to do but for
folders that were made since: below a folder that went back to where it was, their columns are out of date. If there are
any, conflicts were skipped, or folders came back as copies, all is computed anew. Nothing of it is journaled.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from cleanup.backends.tree_columns import ClosureTable, FolderColumns
from cleanup.hooks import ready
from cleanup.hooks.ready import Change, Trees
from cleanup.models import SnapshotRow
from cleanup.services.rollback.groups import Group
from cleanup.services.rollback.outcome import PointOutcome
from cleanup.services.rollback.tables import CurrentTables


class HooksAfterUndo:
    """The tree hooks on one database; created once per run."""

    def __init__(self, tables: CurrentTables) -> None:
        self.tables = tables
        self.columns = tables.references.tree_columns
        self.hosts = ready.hosts()
        self._trees = Trees(database=tables.backend, tables=tables.mapped, folders=tables.references.folders)

    def call(
        self, groups: Sequence[Group], outcomes: Sequence[PointOutcome], *, applications: Sequence[str]
    ) -> list[PointOutcome]:
        """Leave the columns in agreement with the trees.

        Returns the outcomes, inexact if that changed what had come back.
        """
        changed: set[str] = set()
        for columns in self.columns:
            if isinstance(columns, ClosureTable):
                self._trees.rewrite(columns, applications)
            else:
                changed |= self._keep(columns, groups, outcomes, applications)
        if self.hosts:
            self.tables.backend.limit_lock_wait()
            for hook in self.hosts:
                hook(using=self.tables.using, application_ids=list(applications))
        return [
            replace(outcome, unproven=tuple(dict.fromkeys((*outcome.unproven, "hook"))))
            if outcome.point.application_key in changed
            else outcome
            for outcome in outcomes
        ]

    def _keep(
        self,
        columns: FolderColumns,
        groups: Sequence[Group],
        outcomes: Sequence[PointOutcome],
        applications: Sequence[str],
    ) -> set[str]:
        """Write what is out of date; return the applications in which that may have changed what came back."""
        changes = self._trees.changes(columns, applications)
        if not changes:
            return set()
        by_application: dict[str, list[Change]] = {}
        for change in changes:
            by_application.setdefault(change.application, []).append(change)
        restored = self._restored(columns, groups, outcomes)
        written: list[Change] = []
        touched = set()
        for application, own in by_application.items():
            keys = restored.get(application)
            if keys is not None and all(change.cell in keys for change in own):
                continue  # as it was: out of date before the merge, too
            if keys is None or any(change.cell in keys for change in own):
                touched.add(application)
            written += own
        self._trees.write(columns, written)
        return touched

    def _restored(
        self, columns: FolderColumns, groups: Sequence[Group], outcomes: Sequence[PointOutcome]
    ) -> Mapping[str, Collection[str]]:
        """Return the folders of which undoing restored these columns, by application.

        An application is missing if not all were: it had conflicts, or no such hook was called after its merge.
        """
        conflicting = {outcome.point.id for outcome in outcomes if outcome.conflicts or outcome.copies}
        folders = self.tables.references.folders.name
        found: dict[str, set[str]] = {}
        for group in groups:
            schema = group.reader.schema
            label = schema.label(folders)
            for point in group.points:
                if not schema.kept(columns.columns) or point.id in conflicting:
                    continue
                rows = SnapshotRow.objects.using(self.tables.using).filter(point=point.id, table=label)
                keys = found.setdefault(point.application_key, set())
                for row in rows.iterator(chunk_size=500):
                    keys.update(str(key[0]) for key in group.reader.row_keys(row))
        return found
