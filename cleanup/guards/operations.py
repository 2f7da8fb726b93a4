"""The migration operations of the guards. Frozen: migrations import them.

They change no model state, and never use the schema editor to change tables, which on SQLite rebuilds a table. What
they do is resolved from the settings when they run.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db import router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from cleanup.backends.pinning import pinning
from cleanup.exceptions import CleanupError
from cleanup.guard_names import VALIDATED_BY, Guard
from cleanup.guards.guard_ddl import Enforcement, enforcement


@contextmanager
def _as_command_error() -> Iterator[None]:
    """Let ``migrate`` report a refusal as a sentence, not as a traceback."""
    try:
        yield
    except CleanupError as error:
        raise CommandError(str(error), returncode=error.exit_status) from error


class _GuardOperation(Operation):
    """Changes constraints of the mapped tables, but nothing in Django's state."""

    reduces_to_sql = True
    reversible = True

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change nothing."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,  # noqa: ARG002
        to_state: ProjectState,  # noqa: ARG002
    ) -> None:
        """Put the constraint in place. Raises CommandError if the data or another session does not allow it."""
        self._perform(app_label, schema_editor, backwards=False)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,  # noqa: ARG002
        to_state: ProjectState,  # noqa: ARG002
    ) -> None:
        """Remove what is ours."""
        self._perform(app_label, schema_editor, backwards=True)

    def _perform(self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, *, backwards: bool) -> None:
        using = schema_editor.connection.alias
        if not router.allow_migrate(using, app_label):
            return
        with _as_command_error(), pinning(using=using):
            work = enforcement(using=using)
            if schema_editor.collect_sql:
                for statement in self.statements(work, backwards=backwards):
                    schema_editor.execute(statement, params=None)
            elif backwards:
                self.undo(work)
            else:
                self.do(work)

    def statements(self, work: Enforcement, *, backwards: bool) -> list[str]:
        """Return what would be executed if nothing, or everything, is in place."""
        raise NotImplementedError

    def do(self, work: Enforcement) -> None:
        """Put in place."""
        raise NotImplementedError

    def undo(self, work: Enforcement) -> None:
        """Take away."""
        raise NotImplementedError


class MakeSupportingIndexes(_GuardOperation):
    """Create the missing indexes that the guards and the cleanup need; no data forbids them."""

    migration_name_fragment = "supporting_indexes"

    def statements(self, work: Enforcement, *, backwards: bool) -> list[str]:
        """Return the CREATE or DROP INDEX statements."""
        return work.supporting_statements(backwards=backwards)

    def do(self, work: Enforcement) -> None:
        """Create those that are missing."""
        work.make_supporting()

    def undo(self, work: Enforcement) -> None:
        """Drop those with our names."""
        work.drop_supporting()

    def describe(self) -> str:
        """Describe the operation."""
        return "Create the indexes that the guards rely on"


class _OneGuard(_GuardOperation):
    """Changes one guard."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard

    def is_wanted(self, work: Enforcement) -> bool:
        """Return whether the settings ask for this guard."""
        return self.guard in work.sql.guards


class PutGuard(_OneGuard):
    """Put one guard in place; on PostgreSQL foreign keys are left to be validated."""

    @property
    def migration_name_fragment(self) -> str:
        """Name the guard."""
        return self.guard.removeprefix("cleanup_")

    @property
    def validated_later(self) -> bool:
        """Return whether a later migration validates the existing rows."""
        return self.guard in VALIDATED_BY

    def statements(self, work: Enforcement, *, backwards: bool) -> list[str]:
        """Return the guard's DDL."""
        shown = self.guard in work.sql.possible_guards if backwards else self.is_wanted(work)
        return work.statements(self.guard, backwards=backwards) if shown else []

    def do(self, work: Enforcement) -> None:
        """Put it in place, or, if the settings leave it out, see that it is not."""
        if self.is_wanted(work):
            work.put(self.guard)
        else:
            work.lift(self.guard)

    def undo(self, work: Enforcement) -> None:
        """Lift it."""
        work.lift(self.guard)

    def describe(self) -> str:
        """Describe the operation."""
        return f"Put guard {self.guard} in place"


class ValidateGuard(_OneGuard):
    """Make a guard hold for the rows that existed before it, too. Reversing leaves it validated."""

    @property
    def migration_name_fragment(self) -> str:
        """Name the guard."""
        return f"validate_{self.guard.removeprefix('cleanup_')}"

    def statements(self, work: Enforcement, *, backwards: bool) -> list[str]:
        """Return the guard's validation."""
        return [] if backwards or not self.is_wanted(work) else work.validation_statements(self.guard)

    def do(self, work: Enforcement) -> None:
        """Validate it, unless the settings leave it out."""
        if self.is_wanted(work):
            work.validate(self.guard)

    def undo(self, work: Enforcement) -> None:
        """Change nothing."""

    def describe(self) -> str:
        """Describe the operation."""
        return f"Validate guard {self.guard}"
