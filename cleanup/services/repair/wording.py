"""Sentences about what a repair changes, and why it leaves something as it is."""

from collections.abc import Callable, Mapping

from django.utils.translation import gettext as _

from cleanup import conf
from cleanup.repairing import NEW_RECOVERED, Change, Left, Reason
from cleanup.services.results import NotRepaired
from cleanup.text_safety import safe


def change(one: Change, *, name: str, folders: Mapping[str, str]) -> str:
    """Describe one change; ``name`` is that of the row, ``folders`` are the names of folders by key."""
    told = {"name": safe(name), "new": safe(one.new)}
    if one.column == "name":
        return _("The folder “%(name)s” is named “%(new)s”.") % told
    if one.column == "application":
        if one.row == "folder":
            return _("The folder “%(name)s” is given to the application %(new)s.") % told
        return _("The file “%(name)s” is given to the application %(new)s.") % told
    place = conf.recovered_folder() if one.new == NEW_RECOVERED else folders.get(one.new, one.new)
    told["place"] = safe(place)
    if one.row == "folder":
        return _("The folder “%(name)s” goes into the folder “%(place)s”.") % told
    return _("The file “%(name)s” goes into the folder “%(place)s”.") % told


def left(one: Left) -> NotRepaired:
    """Describe a row that is left as it is, why, and what would help."""
    return NotRepaired(one.row, one.key, one.application, one.reason.value, _LEFT[one.row, one.reason]())


_LEFT: Mapping[tuple[str, Reason], Callable[[], str]] = {
    ("folder", Reason.NO_APPLICATION): lambda: _(
        "The folder belongs to no application, so nothing says where it should go."
    ),
    ("file", Reason.NO_APPLICATION): lambda: _(
        "The file belongs to no application, so nothing says where it should go."
    ),
    ("folder", Reason.MISSING_APPLICATION): lambda: _(
        "The application of the folder is missing. Repair that first, so that it is known where the folder should go."
    ),
    ("file", Reason.MISSING_APPLICATION): lambda: _(
        "The application of the file is missing. Repair that first, so that it is known where the file should go."
    ),
    ("folder", Reason.UNDECIDED): lambda: _(
        "Its files, and the folder it lies in, do not say which application the folder belongs to."
    ),
    ("file", Reason.UNDECIDED): lambda: _("The folder it lies in does not say which application the file belongs to."),
    ("folder", Reason.NOT_APPROVED): lambda: _(
        "In this folder, names look the same, but nobody has approved that these folders become one."
    ),
    ("folder", Reason.UNREACHABLE): lambda: _(
        "In this folder, names look the same, but no top folder of the application leads to it. "
        "Repair the folders above it first."
    ),
}
