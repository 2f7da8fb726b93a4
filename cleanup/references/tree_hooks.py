"""The tree hooks of the settings, and what they write: by ready hooks, and by programs of the host."""

from collections.abc import Iterator
from dataclasses import dataclass

from cleanup import backends
from cleanup.backends.catalogue import Column, Table, TableName
from cleanup.backends.tree_columns import ClosureTable, TreeColumns
from cleanup.exceptions import MisconfiguredSetting
from cleanup.hooks import ready
from cleanup.hooks.options import wrong
from cleanup.references import path_columns
from cleanup.references.problem import Problem
from cleanup.references.survey import Survey

_NONE = Table(TableName("", ""), ())


@dataclass(frozen=True, slots=True)
class TreeHooks:
    """What the tree hooks of the settings write."""

    columns: tuple[TreeColumns, ...] = ()
    """What the ready hooks keep."""
    watched: tuple[str, ...] = ()
    """The columns of the folder table that are compared before and after a hook of the host's own."""
    problems: tuple[Problem, ...] = ()

    @property
    def written(self) -> frozenset[str]:
        """The columns of the folder table that ready hooks keep."""
        return frozenset(
            column for kept in self.columns if not isinstance(kept, ClosureTable) for column in kept.columns
        )


def read(survey: Survey) -> TreeHooks:
    """Return what the hooks of the settings write. Raises MisconfiguredSetting if one is no hook at all."""
    columns, problems = [], []
    place = ready.place_of(backends.database(using=survey.using), survey.tables, survey.found.folders)
    for hook, options in ready.configured():
        try:
            kept = hook.resolve(options, place)
            if isinstance(kept, ClosureTable) and not survey.found.tables.get(kept.table, _NONE).row_key:
                raise wrong(
                    f"{kept.table} must have a primary key and refer to folders, by foreign keys or by entries of "
                    f"CLEANUP_EXTRA_REFERENCES for {kept.ancestor} and {kept.descendant}."
                )
            columns.append(kept)
        except MisconfiguredSetting as error:
            problems.append(Problem("misconfigured", str(survey.found.folders.name), "", str(error)))
    watched = tuple(column.name for column in _watched(survey)) if ready.hosts() else ()
    return TreeHooks(tuple(columns), watched, tuple(problems))


def _watched(survey: Survey) -> Iterator[Column]:
    """Yield the columns that a hook of the host may keep: those that could repeat the place in the tree."""
    folders = survey.found.folders
    mapped = {column for table, column in survey.mapped_columns() if table == folders.name}
    own = [column for column in folders.columns if column.name not in mapped and not column.generated]
    named = path_columns.named(own)
    candidates = {column.name for column in path_columns.candidates(own)}
    referring = {column for reference in survey.references_of(folders.name) for column in reference.columns}
    for column in own:
        if column.name in named | candidates and column.name not in referring:
            yield column
