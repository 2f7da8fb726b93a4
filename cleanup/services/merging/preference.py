"""Which folder of a group is preferred to stay, if the database's order of folders cannot tell.

Reads only. Folders are ranked before the plan is made, so that the planner stays a pure function of their ranks; a dry
run and the run that follows it rank alike as long as the rows are the same.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cleanup import conf
from cleanup.exceptions import MisconfiguredSetting
from cleanup.planning import FolderRow
from cleanup.policies import SurvivorPolicy
from cleanup.services.merging.targets import Targets

Forest = tuple[str, list[FolderRow]]
"""An application with its folders."""


def ranks_folders() -> bool:
    """Return whether the setting asks for more than the database's order."""
    return conf.survivor() == SurvivorPolicy.FULLEST or conf.survivor_function() is not None


def ranked(forests: Iterable[Forest], targets: Targets) -> Iterable[Forest]:
    """Return applications with their folders ranked as CLEANUP_SURVIVOR asks, equals by the rank that they have.

    If more than the database's order is asked for, all of them are held at once. Only live folders that share their
    name with another of their application, and root folders, are asked about. Raises MisconfiguredSetting for a
    function that returns no list.
    """
    if not ranks_folders():
        return forests
    several = list(forests)
    candidates = [row for _, rows in several for row in _candidates(rows)]
    function = conf.survivor_function()
    if not candidates:
        return several
    if function is None:
        places = {key: -count for key, count in _counts(candidates, targets).items()}
        others = 0
    else:
        places = _places(function(using=targets.using, folder_ids=sorted(row.key for row in candidates)))
        others = len(places)
    return [(application, _in_order(rows, places, others=others)) for application, rows in several]


def _places(answer: Any) -> dict[str, int]:
    if not isinstance(answer, Iterable) or isinstance(answer, str | bytes):
        problem = f"the function returned {type(answer).__name__} and not a list of ids."
        raise MisconfiguredSetting(setting="CLEANUP_SURVIVOR", problem=problem)
    return {key: place for place, key in enumerate(dict.fromkeys(map(str, answer)))}


def _candidates(rows: Sequence[FolderRow]) -> list[FolderRow]:
    names = Counter(row.name for row in rows if row.live)
    return [row for row in rows if row.live and (names[row.name] > 1 or row.parent is None)]


def _counts(folders: Sequence[FolderRow], targets: Targets) -> Mapping[str, int]:
    """Count the rows that point at each folder, folders inside it included."""
    references = targets.references.references
    rows = targets.rows_by_folder({row.key: row for row in folders}, references)
    return {key: counts.total() for key, counts in rows.items()}


def _in_order(rows: Sequence[FolderRow], places: Mapping[str, int], *, others: int) -> list[FolderRow]:
    preferred = sorted(rows, key=lambda row: (places.get(row.key, others), row.age))
    return [row._replace(age=rank) for rank, row in enumerate(preferred)]
