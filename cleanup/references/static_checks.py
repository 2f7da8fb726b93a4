"""What prevents a run, judged by catalogue, models and settings; only ``key_storage`` searches for one row."""

from collections.abc import Iterator

from cleanup.references.column_checks import ColumnChecks
from cleanup.references.key_checks import KeyChecks
from cleanup.references.problem import Problem
from cleanup.references.setting_checks import SettingChecks
from cleanup.references.survey import Survey
from cleanup.references.table_checks import TableChecks
from cleanup.references.tree_hooks import TreeHooks


def problems_of(survey: Survey, hooks: TreeHooks) -> Iterator[Problem]:
    """Yield every problem of a database."""
    settings, keys = SettingChecks(survey), KeyChecks(survey)
    columns, tables = ColumnChecks(survey, hooks), TableChecks(survey)
    for check in (
        settings.misconfigured,
        keys.mapped_kind,
        keys.mapped_types,
        keys.folder_key,
        columns.suspected,
        tables.privilege,
        tables.row_security,
        tables.inheritance,
        columns.path_column,
        columns.soft_delete,
        tables.trigger,
        tables.unindexed,
        keys.key_storage,
        keys.spellings,
    ):
        yield from check()
