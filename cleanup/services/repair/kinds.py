"""What can be repaired, by the code of its finding, and what cannot, and why."""

from cleanup.backends.finding_kinds import BY_CODE
from cleanup.exceptions import NotRepairable, UsageError
from cleanup.folder_tables import FolderTables, Ownership

#: Codes whose findings are of folders and files of one application, which takes in what has no other place.
IN_ITS_APPLICATION = (
    "missing_parent",
    "file_of_missing_folder",
    "file_in_other_application",
    "blank_name",
)
#: Codes whose findings lie between applications, one of which takes in what has no other place.
BETWEEN_APPLICATIONS = ("cycle", "foreign_parent", "folder_of_missing_application", "file_of_missing_application")

#: What tree hooks keep, which they compute again.
COMPUTED = "path_out_of_date"
LATE = "late_arrival"
NAMES = "names_alike"

REPAIRABLE = (*IN_ITS_APPLICATION, *BETWEEN_APPLICATIONS, COMPUTED, LATE, NAMES)

_TAKES_OWNERS = "A repair can only be made where every folder names its application; "
_WHO_NAMES_NONE = {
    Ownership.ROOT: 'with CLEANUP_APPLICATION_FROM = "root", only root folders do.',
    Ownership.SHARED: 'with CLEANUP_SHARED_FOLDERS = "merge", some belong to none.',
    Ownership.TREE: "without CLEANUP_APPLICATION_MODEL, there are no applications.",
}


def repairable(tables: FolderTables) -> tuple[str, ...]:
    """Return the codes that can be repaired under the present settings."""
    return REPAIRABLE if tables.ownership == Ownership.FOLDER else ()


def refuse_unless_repairable(code: str, tables: FolderTables) -> None:
    """Raise NotRepairable, with what helps instead, and UsageError for what is no code."""
    if code not in BY_CODE:
        raise UsageError(f"There is no finding {code!r}. Those that can be repaired are {', '.join(REPAIRABLE)}.")
    if code not in REPAIRABLE:
        raise NotRepairable(code_of_finding=code, remedy=BY_CODE[code].remedy)
    if code not in repairable(tables):
        raise NotRepairable(code_of_finding=code, remedy=_TAKES_OWNERS + _WHO_NAMES_NONE[tables.ownership])
