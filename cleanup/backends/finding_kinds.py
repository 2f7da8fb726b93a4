"""Every kind of finding in one entry: its code, severity, condition, hint, sentence and remedy.

A kind that concerns a single folder or file needs only its entry: the passes over folders and files check the
conditions given here (``owned_rows``). The others have a statement of their own: ``findings``, ``cycles``, ``shapes``,
and the guards' catalogue.
"""

from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext_noop


class Severity(StrEnum):
    """An error makes a verification fail."""

    ERROR = "error"
    WARNING = "warning"


_ERROR, _WARNING = Severity.ERROR, Severity.WARNING

#: Conditions on the CTE ``traced`` that rows of both tables share.
MISSING_TARGET = "target IS NOT NULL AND found IS NULL AND survivor IS NULL"
NO_APPLICATION = "application IS NULL"
MISSING_APPLICATION = "application IS NOT NULL AND no_application = 1"
_OTHER_APPLICATION = "application <> target_application AND no_application = 0"
_LATE = "survivor IS NOT NULL"


@dataclass(frozen=True, slots=True)
class FindingKind:
    """One kind of finding."""

    code: str
    severity: Severity
    sentence: str
    """The sentence for people, in English; screens translate it."""
    of_folder: str = ""
    """The condition on a folder, in the CTE ``traced``."""
    of_file: str = ""
    """The condition on a file."""
    about_a_folder: bool = False
    """Its detail names the folder that a row points at, and the column."""
    listing: str = ""
    """The query that lists the rows, if the mapped tables alone explain it; the slots are those of ``hints``."""
    command: str = ""
    """The command that fixes it, for the application in question."""
    remedy: str = ""
    """What helps instead, if no repair takes it away."""

    @property
    def only_of_files(self) -> bool:
        """Return whether nothing but a file can have it."""
        return bool(self.of_file) and not self.of_folder


_MERGED = gettext_noop("A cleanup merges duplicates: manage.py database_cleanup --cleanup.")
_BY_SETTINGS = gettext_noop(
    "The settings decide which folders are top folders and live: manage.py check explains them."
)
_MERGE = "manage.py database_cleanup --cleanup --application {application}"

#: In the order in which they are listed: errors, then warnings.
KINDS = (
    FindingKind(
        "several_roots",
        _ERROR,
        gettext_noop("An application has duplicate top folders"),
        command=_MERGE,
        remedy=_MERGED,
    ),
    FindingKind(
        "same_named_siblings",
        _ERROR,
        gettext_noop("Same-named folders next to each other"),
        command=_MERGE,
        remedy=_MERGED,
    ),
    FindingKind(
        "missing_parent",
        _ERROR,
        gettext_noop("The folder that a folder lies in is missing"),
        of_folder=MISSING_TARGET,
        about_a_folder=True,
        listing="""
        SELECT f.* FROM {folders} AS f
         WHERE f.{parent} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {folders} AS p WHERE p.{folder_key} = f.{parent});
        """,
    ),
    FindingKind(
        "cycle",
        _ERROR,
        gettext_noop("Folders contain each other"),
        listing="""
        WITH RECURSIVE climb(start, at) AS (
        SELECT f.{folder_key}, f.{parent} FROM {folders} AS f WHERE f.{parent} IS NOT NULL
         UNION
        SELECT c.start, f.{parent} FROM climb AS c JOIN {folders} AS f ON f.{folder_key} = c.at
         WHERE f.{parent} IS NOT NULL)
        SELECT f.* FROM {folders} AS f JOIN climb AS c ON c.start = f.{folder_key} AND c.at = c.start;
        """,
    ),
    FindingKind(
        "foreign_parent",
        _ERROR,
        gettext_noop("A folder lies in a folder of another application"),
        of_folder=_OTHER_APPLICATION,
        about_a_folder=True,
        listing="""
        SELECT f.* FROM {folders} AS f
         WHERE EXISTS (SELECT 1 FROM {folders} AS p WHERE p.{folder_key} = f.{parent} AND p.{owner} <> f.{owner});
        """,
    ),
    FindingKind(
        "folder_of_missing_application",
        _ERROR,
        gettext_noop("The application of a folder is missing"),
        of_folder=MISSING_APPLICATION,
        listing="""
        SELECT f.* FROM {folders} AS f
         WHERE f.{owner} IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM {applications} AS a WHERE a.{application_key} = f.{owner});
        """,
    ),
    FindingKind(
        "file_of_missing_application",
        _ERROR,
        gettext_noop("The application of a file is missing"),
        of_file=MISSING_APPLICATION,
        listing="""
        SELECT f.* FROM {files} AS f
         WHERE f.{file_owner} IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM {applications} AS a WHERE a.{application_key} = f.{file_owner});
        """,
    ),
    FindingKind(
        "file_of_missing_folder",
        _ERROR,
        gettext_noop("The folder of a file is missing"),
        of_file=MISSING_TARGET,
        about_a_folder=True,
        listing="""
        SELECT f.* FROM {files} AS f
         WHERE f.{file_folder} IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM {folders} AS p WHERE p.{folder_key} = {folder_of_file});
        """,
    ),
    FindingKind(
        "file_in_other_application",
        _ERROR,
        gettext_noop("A file lies in a folder of another application"),
        of_file=_OTHER_APPLICATION,
        about_a_folder=True,
        listing="""
        SELECT f.* FROM {files} AS f
         WHERE EXISTS (SELECT 1 FROM {folders} AS p
                        WHERE p.{folder_key} = {folder_of_file} AND p.{owner} <> f.{file_owner});
        """,
    ),
    FindingKind(
        "dangling_reference",
        _ERROR,
        gettext_noop("The folder of a linked record is missing"),
        about_a_folder=True,
        remedy=gettext_noop(
            "Only the program that owns the records knows where they belong. The finding's hint lists them."
        ),
    ),
    FindingKind(
        "path_out_of_date",
        _ERROR,
        gettext_noop("A folder's place is recorded wrongly"),
    ),
    FindingKind(
        "no_live_folder",
        _ERROR,
        gettext_noop("According to the settings, every folder is in the trash"),
        remedy=_BY_SETTINGS,
    ),
    FindingKind("no_root_folder", _ERROR, gettext_noop("No folder is a top folder"), remedy=_BY_SETTINGS),
    FindingKind(
        "late_arrival",
        _WARNING,
        gettext_noop("Something was filed into a folder while it was being merged"),
        of_folder=_LATE,
        of_file=_LATE,
        about_a_folder=True,
    ),
    FindingKind(
        "folder_without_application",
        _WARNING,
        gettext_noop("A folder belongs to no application"),
        of_folder=NO_APPLICATION,
        remedy=gettext_noop("It may be meant to be shared. The finding's hint says how to give it to an application."),
        listing="""
        SELECT f.* FROM {folders} AS f
         WHERE f.{owner} IS NULL; -- Those below a folder with an application are given it by: {give_applications}
        """,
    ),
    FindingKind(
        "file_without_folder",
        _WARNING,
        gettext_noop("A file lies in no folder"),
        of_file="application IS NOT NULL AND target IS NULL",
        remedy=gettext_noop("A file may lie in no folder on purpose. File it where it belongs."),
        listing="""
        SELECT f.* FROM {files} AS f WHERE f.{file_folder} IS NULL AND f.{file_owner} IS NOT NULL;
        """,
    ),
    FindingKind("names_alike", _WARNING, gettext_noop("Names differ only in capitals, accents or spaces")),
    FindingKind(
        "blank_name",
        _WARNING,
        gettext_noop("A folder has no name"),
        of_folder="blank = 1",
        listing="SELECT f.* FROM {folders} AS f WHERE {bare_name} = '';",
    ),
    FindingKind(
        "guards_missing",
        _WARNING,
        gettext_noop("The database does not prevent new duplicates as the settings ask"),
        remedy=gettext_noop("Migrations put the guards: manage.py migrate cleanup_guards."),
    ),
    FindingKind(
        "not_checked",
        _WARNING,
        gettext_noop("Something could not be checked"),
        remedy=gettext_noop("The role needs a privilege; the finding's hint grants it."),
    ),
)

BY_CODE = {kind.code: kind for kind in KINDS}
CODES = tuple(BY_CODE)
ERRORS = tuple(kind.code for kind in KINDS if kind.severity == _ERROR)
#: Errors that a cleanup takes away.
DUPLICATES = tuple(kind.code for kind in KINDS if kind.remedy == _MERGED)
