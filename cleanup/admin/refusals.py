"""What a refusal or a failure means to people in the office, by its code, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.utils.translation import gettext_lazy

if TYPE_CHECKING:
    from cleanup.exceptions import CleanupError


class Advice(NamedTuple):
    """What happened, and the next step."""

    what: str
    next_step: str


_ADVICE: dict[str, tuple[Any, Any]] = {
    "busy": (gettext_lazy("Another cleanup is running."), gettext_lazy("Wait for it, or pause or cancel it.")),
    "frozen": (
        gettext_lazy("Everything is stopped."),
        gettext_lazy("First press “Resume everything” on the overview."),
    ),
    "held": (gettext_lazy("The application is on hold."), gettext_lazy("Remove the hold if it may be cleaned up.")),
    "no_cluster": (
        gettext_lazy("Nothing was started, because the background service is not running."),
        gettext_lazy("Please tell IT."),
    ),
    "stale_plan": (
        gettext_lazy("The folders have changed since you looked, so nothing was done."),
        gettext_lazy("Look at the new plan, then confirm it."),
    ),
    "not_repairable": (
        gettext_lazy("This kind of problem cannot be repaired in this database."),
        gettext_lazy("Ask IT what helps."),
    ),
    "already_rolled_back": (gettext_lazy("This was undone before."), gettext_lazy("There is nothing left to do.")),
    "expired": (
        gettext_lazy("The undo record has expired."),
        gettext_lazy("It can no longer be undone here; ask for a backup."),
    ),
    "superseded": (
        gettext_lazy("A later cleanup has changed the same things again."),
        gettext_lazy("Undo the later cleanup first."),
    ),
    "conflict": (
        gettext_lazy("People have changed some of it since, so nothing was undone."),
        gettext_lazy("Look at what they changed, then undo the rest and keep that."),
    ),
    "schema_changed": (
        gettext_lazy("Database tables were changed in the meantime, so nothing was done."),
        gettext_lazy("Try again; if that does not help, ask IT."),
    ),
    "would_detach": (
        gettext_lazy("Folders have been moved since, and would be left without a top folder."),
        gettext_lazy("Move them back first."),
    ),
    "would_misplace": (
        gettext_lazy(
            "Something has been assigned to another application since, and would lie in a folder of the wrong one."
        ),
        gettext_lazy("Assign them back first."),
    ),
    "guarded": (
        gettext_lazy("The database no longer allows duplicates, so these folders can only come back renamed."),
        gettext_lazy("Undo it as copies, or ask IT to allow duplicates for the time being."),
    ),
    "unscriptable": (gettext_lazy("This undo cannot be written as a script."), gettext_lazy("Undo it here instead.")),
    "not_resumable": (gettext_lazy("This run has ended."), gettext_lazy("Start a new one.")),
    "not_active": (gettext_lazy("This run has ended."), gettext_lazy("There is nothing to pause or cancel.")),
    "not_waiting": (
        gettext_lazy("This cleanup no longer waits for approval."),
        gettext_lazy("There is nothing to approve or decline."),
    ),
    "foreign_database": (
        gettext_lazy("This run was started on another database, of which this one is a copy."),
        gettext_lazy("To continue the work here, adopt the copy on the overview."),
    ),
    "restored_copy": (
        gettext_lazy("This database is a copy that was not adopted, so nothing is done here in the background."),
        gettext_lazy("To continue the work here, adopt the copy on the overview."),
    ),
    "preflight": (
        gettext_lazy("Not started: in the database there is something that the cleanup cannot deal with by itself."),
        gettext_lazy("IT has to decide."),
    ),
    "too_large_to_preview": (
        gettext_lazy("It is too large to preview on a page."),
        gettext_lazy("Ask IT for its plan; it can be cleaned up without one, outside office hours."),
    ),
    "too_many_together": (
        gettext_lazy("It has too many folders to be confirmed together with others."),
        gettext_lazy("Open its preview, and clean it up from there."),
    ),
    "too_large": (
        gettext_lazy("The application is very large."),
        gettext_lazy("Open its preview, and clean it up from there, outside office hours."),
    ),
    "different_roots": (
        gettext_lazy("Its top folders have different names."),
        gettext_lazy("Give them the same name, or leave it as it is."),
    ),
    "differing_columns": (
        gettext_lazy("Its duplicates differ in more than their location."),
        gettext_lazy("Compare them, then make them the same."),
    ),
    "widens": (
        gettext_lazy("More people would see files than do now."),
        gettext_lazy("Compare who may see its duplicates, then give the same people access to them."),
    ),
    "collision": (
        gettext_lazy("Some linked records would become identical, so it was left untouched."),
        gettext_lazy("Ask IT: one of the records has to be removed, or a rule made for them."),
    ),
    "unkeyed_rows": (
        gettext_lazy("Some linked records have no key to identify them by."),
        gettext_lazy("Ask for a primary key on that table."),
    ),
    "lease_lost": (gettext_lazy("Its worker disappeared."), gettext_lazy("Try again.")),
    "not_found": (gettext_lazy("This no longer exists."), gettext_lazy("Go back to the list and look again.")),
}


#: How codes begin by which a database refuses a change for good: constraints, triggers, values, rights.
_REFUSED_BY_DATABASE = ("22", "23", "42", "44", "P0", "SQLITE_CONSTRAINT", "integrity")


def advice(code: str) -> Advice:
    """Return what a code means to a person, and the next step."""
    otherwise = (
        gettext_lazy("It could not be done."),
        gettext_lazy("Try again; if the problem persists, ask for help."),
    )
    if code.startswith(_REFUSED_BY_DATABASE):
        otherwise = (
            gettext_lazy("The database does not allow this change, so it was left untouched."),
            gettext_lazy(
                "Ask IT: which error the database reported is in the details, under “For IT”. Then clean it up again."
            ),
        )
    what, next_step = _ADVICE.get(code, otherwise)
    return Advice(str(what), str(next_step))


TOO_LARGE_TO_LOOK_INTO = gettext_lazy(
    "It is too large to examine on a page. If people have changed something since, nothing is undone, and the "
    "page of the undo lists it."
)


def obstacle(code: str) -> str:
    """Describe what keeps an application from being cleaned up, and the next step."""
    found = advice(code)
    return f"{found.what} {found.next_step}"


def refusal(error: CleanupError) -> str:
    """Turn a refusal into what the screen says."""
    return obstacle(error.code)


#: What IT needs to act on a refusal; shown folded.
COMMANDS = {
    "no_cluster": "python manage.py qcluster",
    "preflight": "python manage.py database_cleanup --preflight",
}
