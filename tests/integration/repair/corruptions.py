"""One corruption for each finding that can be repaired, of the applications that the fixtures make."""

from collections.abc import Callable

from tests.support.model_roles import Application, File, Folder
from tests.support.trees import Tree, change, missing_key

NOWHERE, NOBODY = missing_key(Folder), missing_key(Application)

#: By code, what corrupts one thing.
CORRUPTIONS: dict[str, Callable[[str, Tree, Tree], None]] = {
    "missing_parent": lambda on, loan, _: change(on, Folder, loan["photos"], parent=NOWHERE),
    "cycle": lambda on, loan, _: change(on, Folder, loan["photos"], parent=loan["old"]),
    "foreign_parent": lambda on, loan, other: change(on, Folder, loan["photos"], parent=other["docs"]),
    "folder_of_missing_application": lambda on, loan, _: change(on, Folder, loan["old"], application=NOBODY),
    "file_of_missing_folder": lambda on, loan, _: change(on, File, loan["b.txt"], folder=NOWHERE),
    "file_in_other_application": lambda on, loan, other: change(on, File, loan["b.txt"], folder=other["docs"]),
    "file_of_missing_application": lambda on, loan, _: change(on, File, loan["b.txt"], application=NOBODY),
    "blank_name": lambda on, loan, _: change(on, Folder, loan["photos"], name=" "),
}
