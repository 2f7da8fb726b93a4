"""Every failure that the product anticipates, one class each.

A class's docstring is its message; ``{fields}`` in it are filled from the keyword arguments, which callers can read
as attributes. No class carries names of folders, files or people: identifiers and counts only.
"""

from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured

from cleanup.phrases import in_sentence


class CleanupError(Exception):
    """The cleanup could not do what was asked."""

    #: Machine-readable code, the same on the command line, in the API and in stored rows.
    code: ClassVar[str] = "error"
    #: What the command line exits with.
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str | None = None, **data: Any) -> None:
        self.data = data
        fields = {name: value if name == "value" else in_sentence(value) for name, value in data.items()}
        super().__init__(message or " ".join((type(self).__doc__ or "").split()).format(**fields))

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["data"][name]
        except KeyError:
            raise AttributeError(name) from None


# Wrong usage: nothing was tried.


class UsageError(CleanupError):
    """The request cannot be understood."""

    code = "usage"
    exit_status = 2


class InvalidArgument(UsageError, TypeError):
    """{argument} must be {expected}, not {given}."""


class InvalidKey(UsageError):
    """{value!r} is not a valid id of {what}."""

    code = "invalid_key"


class UnknownObject(UsageError):
    """There is no {what} {key}."""

    code = "not_found"


class MisconfiguredSetting(UsageError):
    """{setting} is wrong: {problem}"""

    code = "misconfigured"


class UnknownModel(MisconfiguredSetting):
    """{setting} is wrong: {problem}"""


class UnknownField(MisconfiguredSetting):
    """{setting} is wrong: {problem}"""


class UnsupportedKey(MisconfiguredSetting):
    """{setting} is wrong: {problem}"""


class InheritedModel(MisconfiguredSetting):
    """{setting} is wrong: {problem}"""


class UnusableHook(MisconfiguredSetting):
    """{setting} is wrong: {problem}"""


class InvalidName(UsageError):
    """The name of the folder cannot be used: {problem}."""

    code = "invalid_name"


class ForeignParent(UsageError):
    """Folder {folder_id} is not a live folder of application {application_id}."""

    code = "foreign_parent"


class NoStructures(UsageError):
    """Folders are made only if each names its application, and its parent (CLEANUP_APPLICATION_MODEL, _FROM)."""

    code = "no_structures"


class NotRepairable(UsageError):
    """{code_of_finding} cannot be repaired. {remedy}"""

    code = "not_repairable"


class MissingPackage(UsageError, ImproperlyConfigured):
    """{what} cannot be used without {packages}. Run: {command}"""

    code = "not_installed"


class MissingApp(UsageError, ImproperlyConfigured):
    """{what} cannot be used without "{app}" in INSTALLED_APPS."""

    code = "not_installed"


class DatabaseUnusable(UsageError):
    """The database cannot be used: {problem} {remedy}"""

    code = "database"


# Refused: the request was understood, but something prevents it.


class Refused(CleanupError):
    """The request was refused."""

    code = "refused"
    exit_status = 3


class Declined(Refused):
    """Cancelled. Nothing was changed."""


class Busy(Refused):
    """Run {run_id} is active on this database. Wait for it, or resume, pause or cancel it by that id."""

    code = "busy"


class Frozen(Refused):
    """All cleaning is frozen{because}. Allow it again with: manage.py database_cleanup --unfreeze"""

    code = "frozen"


class Held(Refused):
    """Application {application_id} is on hold ({reason}). Include it anyway with --include-held."""

    code = "held"


class NoCluster(Refused):
    """No cluster is running to do this in the background. Start one with: manage.py qcluster"""

    code = "no_cluster"


class TooManyToWait(UsageError):
    """There are {count} applications to clean up, and a request waits for at most {limit}. Leave out wait=true."""

    code = "too_many_to_wait"


class TooLargeToPreview(Refused):
    """It has more than {limit} folders, too many to examine in a request. Use this command: {command}"""

    code = "too_large_to_preview"


class KeyReused(Refused):
    """This Idempotency-Key was already used for a different request. Use a new key for each request."""

    code = "key_reused"


class InProgress(Refused):
    """The first request with this Idempotency-Key is still running. Send it again later; it will not run twice."""

    code = "in_progress"


class PreflightFailed(Refused):
    """The run was stopped before it started:
    {problems}"""

    code = "preflight"

    def __init__(self, problems: list[Any]) -> None:
        self.data = {"problems": problems}
        Exception.__init__(
            self, "The run was stopped before it started:\n" + "\n".join(f"  {problem}" for problem in problems)
        )


class ChannelFailed(CleanupError):
    """Notifications cannot be sent by {channel}: {problem}."""

    code = "channel_failed"


class StalePlan(Refused):
    """The folders of application {application_id} have changed since the preview. Review the new plan first."""

    code = "stale_plan"


class SchemaChanged(Refused):
    """Tables were changed while the cleanup was using them. Nothing was written. Try again."""

    code = "schema_changed"


class AlreadyRolledBack(Refused):
    """Rollback point {rollback_id} was already rolled back, at {at}. A point can be rolled back only once."""

    code = "already_rolled_back"


class PointExpired(Refused):
    """Rollback point {rollback_id} has expired and its snapshot rows were purged at {at}."""

    code = "expired"


class Superseded(Refused):
    """Application {application_id} was cleaned again later. Roll back {later_id} first."""

    code = "superseded"


class SharedRows(Superseded):
    """{count} rows of {table} were changed again by the later cleanup of application {application_id}. Roll back
    {later_id} first, or the whole run."""


class RollbackConflict(Refused):
    """{count} values were changed since and would be overwritten; nothing was restored. Restore the rest with
    --skip-conflicts."""

    code = "conflict"


class WouldDetach(Refused):
    """Rolling back would leave {count} folders of application {application_id} without a path to a root folder, folder
    {folder_id} among them, because folders have been moved since. Nothing was restored. Move them back first."""

    code = "would_detach"


class WouldMisplace(Refused):
    """Rolling back would {problem} among them, because they have been assigned to another application since. Nothing
    was restored. Assign them back first."""

    code = "would_misplace"


class Guarded(Refused):
    """Guard {guard} forbids the duplicates that rolling back would restore. Nothing was restored. Restore them under
    other names with --as-copies, or lift the guard with: {command}"""

    code = "guarded"


class GuardForbidden(Refused):
    """Guard {guard} cannot be put in place: {problem} Nothing was changed."""

    code = "guard_forbidden"


class GuardBlocked(Refused):
    """Guard {guard} has to wait for other sessions, and gave up after {seconds} seconds: {sessions}. Let them finish
    their transactions, or end these sessions, then run the same command again."""

    code = "guard_blocked"


class UnreadableJournal(Refused):
    """Rollback point {rollback_id} cannot be restored: {problem}"""

    code = "unreadable_journal"


class Unscriptable(Refused):
    """This undo cannot be written as a script: {problem} Roll it back with --rollback instead."""

    code = "unscriptable"


class NotResumable(Refused):
    """Run {run_id} is {status} and cannot be resumed."""

    code = "not_resumable"


class NotWaiting(Refused):
    """Scheduled run {scheduled_run_id} is {status}: there is nothing to approve or decline."""

    code = "not_waiting"


class NotPausable(Refused):
    """Run {run_id} is {status}: there is nothing to pause or cancel."""

    code = "not_active"


class ForeignDatabase(Refused):
    """Run {run_id} was started on another database, of which this one is a copy. Adopt the copy to resume everything
    in it: manage.py database_cleanup --adopt. Or resume only this run: manage.py database_cleanup
    --resume {run_id} --adopt"""

    code = "foreign_database"


class RestoredCopy(Refused):
    """Nothing is done here in the background, because this database is a copy that was not adopted: {difference}. Adopt
    it with: manage.py database_cleanup --adopt"""

    code = "restored_copy"


class FolderNotCreated(Refused):
    """A folder of application {application_id} could not be created. {problem}"""

    code = "folder_not_created"


# What can go wrong with one application while the others continue.


class ApplicationError(CleanupError):
    """The application could not be cleaned."""

    code = "application"


class DifferentRoots(ApplicationError):
    """Its root folders have different names, and CLEANUP_DIFFERENT_ROOTS is "refuse"."""

    code = "different_roots"


class DifferingColumns(ApplicationError):
    """Removed folders differ from their survivors in {columns}, and CLEANUP_DIFFERING_COLUMNS is "refuse"."""

    code = "differing_columns"


class Widens(ApplicationError):
    """There are people or groups who would newly see files ({count}, by {tables}); CLEANUP_WIDENING is "refuse"."""

    code = "widens"


class Collision(ApplicationError):
    """{count} rows of {table} would collide in {constraint}. Set CLEANUP_COLLISIONS for the table, or change them."""

    code = "collision"


class TooLarge(ApplicationError):
    """It has {folders} folders, over the limit of {limit}. Ask for it by name with --include-large."""

    code = "too_large"


class UnkeyedRows(ApplicationError):
    """{count} rows of {table} would have to move, but have no key to journal them by. Add a primary key."""

    code = "unkeyed_rows"


class ProofFailed(ApplicationError):
    """{count} rows of {table} still point at folders that were to be removed; the merge was undone."""

    code = "proof_failed"


class CountMismatch(ApplicationError):
    """{moved} rows of {table} were changed, but {journaled} are journaled; the transaction was undone.

    A trigger or a rule of the table may have kept rows as they were.
    """

    code = "count_mismatch"


class LeaseLost(ApplicationError):
    """The lease ran out and another worker has taken over."""

    code = "lease_lost"
