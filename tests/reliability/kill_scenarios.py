"""What an operator starts, each from a small dirty database, to be struck down at any statement and gone on with."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from django.core.management import call_command
from django.db.models import Count
from django.db.models.functions import Now

from cleanup import hooks
from cleanup.guard_names import Guard
from cleanup.guards.guard_ddl import applied_migrations, guard_sql_of, standings
from cleanup.models import Finding, RemovedFolder, RollbackPoint, Run, SnapshotRow, Verification
from cleanup.services import DatabaseCleanupService
from cleanup.services.integrity.verification import latest_verification
from tests.support import databases, dirty_database
from tests.support.forked_processes import Child, Fault, ForkedProcesses
from tests.support.invariants import assert_whole, go_on, let_sessions_end
from tests.support.model_roles import File, Folder
from tests.support.trees import dump, execute, missing_key, unchecked

APPLICATIONS = 3
#: Two batches.
SETTINGS = {"CLEANUP_BATCH_SIZE": 2}


class Scenario:
    """Something that a process does to the database behind an alias."""

    #: Moments that CI samples on each database.
    moments = 2
    constants: dict[str, Any] = {}
    settings: dict[str, Any] = {}

    def __init__(self, using: str) -> None:
        self.using = using
        self.service = DatabaseCleanupService(using=using)

    @property
    def order(self) -> tuple[Any, ...]:
        """The verb and its arguments."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Bring the database to where the scenario begins."""
        dirty_database.make(self.using, applications=APPLICATIONS)

    def note_the_end(self) -> None:
        """Remember how it ends when no one is killed."""

    def assert_whole(self) -> None:
        """See that nothing is torn."""
        raise NotImplementedError

    def carry_on(self) -> None:
        """Do what an operator would do next, and see that it ends as if nothing had happened."""
        raise NotImplementedError


class Merging(Scenario):
    """A scenario that takes applications from one of two states to the other."""

    def prepare(self) -> None:
        super().prepare()
        self.before = dirty_database.picture(self.using)

    def clean(self) -> Run:
        self.run = Run.objects.using(self.using).get(pk=self.service.cleanup_all_duplicate_folders().run_id)
        self.after = dirty_database.picture(self.using)
        return self.run

    def assert_whole(self) -> None:
        assert_whole(self.using, before=self.before, after=self.after)


class Cleanup(Merging):
    moments = 3
    order = ("cleanup_all_duplicate_folders",)

    def note_the_end(self) -> None:
        self.after = dirty_database.picture(self.using)

    def carry_on(self) -> None:
        go_on(self.using, Run.Kind.CLEANUP, self.service.cleanup_all_duplicate_folders, applications=APPLICATIONS)
        assert dirty_database.picture(self.using) == self.after != self.before


class RollbackOfARun(Merging):
    moments = 3

    @property
    def order(self) -> tuple[Any, ...]:
        return ("rollback_cleanup", self.run.pk)

    def prepare(self) -> None:
        super().prepare()
        self.clean()

    def carry_on(self) -> None:
        def again() -> None:
            self.service.rollback_cleanup(self.run.pk)

        go_on(self.using, Run.Kind.ROLLBACK, again, applications=APPLICATIONS)
        assert dirty_database.picture(self.using) == self.before


class RollbackOfAPoint(Merging):
    moments = 2

    @property
    def order(self) -> tuple[Any, ...]:
        return ("rollback_cleanup", self.point.uuid)

    def prepare(self) -> None:
        super().prepare()
        self.clean()
        self.point = RollbackPoint.objects.using(self.using).earliest("id")

    def carry_on(self) -> None:
        self.point.refresh_from_db(using=self.using)
        if self.point.status == RollbackPoint.Status.LIVE:
            self.service.rollback_cleanup(self.point.uuid)
        undone = self.point.application_key
        assert dirty_database.picture(self.using) == {**self.after, undone: self.before[undone]}


class Repair(Merging):
    """Of folders that lie in another application, whose place among what was recovered is there."""

    order = ("repair", "foreign_parent")

    def prepare(self) -> None:
        dirty_database.make_clean(self.using, applications=APPLICATIONS)
        roots = list(Folder.objects.using(self.using).filter(parent=None).order_by("pk"))
        for number, (root, other) in enumerate(zip(roots, roots[1:] + roots[:1], strict=True)):
            Folder.objects.using(self.using).create(
                id=uuid.UUID(int=number + 1), name="Recovered", parent=root, application=root.application
            )
            own = Folder.objects.using(self.using).filter(parent=root, application=root.application)
            child = own.exclude(name="Recovered").earliest("pk")
            Folder.objects.using(self.using).filter(pk=child.pk).update(parent=other)
        self.before = dirty_database.picture(self.using)

    def note_the_end(self) -> None:
        self.after = dirty_database.picture(self.using)

    def carry_on(self) -> None:
        def again() -> None:
            self.service.repair("foreign_parent")

        go_on(self.using, Run.Kind.REPAIR, again, applications=APPLICATIONS)
        assert dirty_database.picture(self.using) == self.after != self.before
        assert "foreign_parent" not in self.service.verify_cleanup_integrity()["counts"]


class RepairMakingFolders(Repair):
    """Of folders that name no parent that exists, whose applications get a root folder and one for what is recovered.

    The keys of these are not the same each time.
    """

    order = ("repair", "missing_parent")

    def prepare(self) -> None:
        _, *lost = dirty_database.make_clean(self.using, applications=1 + APPLICATIONS)
        roots = Folder.objects.using(self.using).filter(parent=None, application__in=lost)
        with unchecked(self.using):
            roots.update(parent=missing_key(Folder))
        self.before = dirty_database.picture(self.using)

    def note_the_end(self) -> None:
        pass

    def assert_whole(self) -> None:
        live = RollbackPoint.objects.using(self.using).filter(status=RollbackPoint.Status.LIVE)
        repaired = set(live.values_list("application_key", flat=True))
        now = dirty_database.picture(self.using)
        assert {key for key in now if now[key] != self.before[key]} == repaired
        assert {key: len(now[key]) - len(self.before[key]) for key in repaired} == dict.fromkeys(repaired, 2)
        found = self.service.verify_cleanup_integrity()["counts"]
        assert found.get("missing_parent", 0) == APPLICATIONS - len(repaired)

    def carry_on(self) -> None:
        def again() -> None:
            self.service.repair("missing_parent")

        run = go_on(self.using, Run.Kind.REPAIR, again, applications=APPLICATIONS)
        assert "missing_parent" not in self.service.verify_cleanup_integrity()["counts"]
        assert self.service.rollback_cleanup(run.pk).exact
        assert dirty_database.picture(self.using) == self.before


class RollbackOfARepair(RepairMakingFolders):
    """With the folders that it made, which go again."""

    @property
    def order(self) -> tuple[Any, ...]:
        return ("rollback_cleanup", self.run.pk)

    def prepare(self) -> None:
        super().prepare()
        self.run = Run.objects.using(self.using).get(pk=self.service.repair("missing_parent").run_id)
        self.after = dirty_database.picture(self.using)

    def assert_whole(self) -> None:
        assert_whole(self.using, before=self.before, after=self.after)

    def carry_on(self) -> None:
        def again() -> None:
            self.service.rollback_cleanup(self.run.pk)

        go_on(self.using, Run.Kind.ROLLBACK, again, applications=APPLICATIONS)
        assert dirty_database.picture(self.using) == self.before


class IntegrityVerification(Merging):
    """Of a clean database with a warning, so that points are stamped and findings are stored."""

    moments = 2
    order = ("verify_cleanup_integrity",)

    def prepare(self) -> None:
        super().prepare()
        self.clean()
        File.objects.using(self.using).filter(pk=File.objects.using(self.using).first().pk).update(folder=None)
        self.after = dirty_database.picture(self.using)

    def assert_whole(self) -> None:
        assert dirty_database.picture(self.using) == self.after
        ended = Verification.objects.using(self.using).exclude(ended_at=None)
        for verification in ended:
            findings = Finding.objects.using(self.using).filter(verification=verification)
            assert findings.count() == sum(verification.counts.values()) == 1 + len(Guard)
        points = RollbackPoint.objects.using(self.using)
        assert ended.exists() or not points.exclude(verified_at=None).exists()

    def carry_on(self) -> None:
        assert self.service.verify_cleanup_integrity()["verification_passed"]
        self.assert_whole()
        assert latest_verification(using=self.using) is not None
        assert not RollbackPoint.objects.using(self.using).filter(verified_at=None).exists()


class Purge(Scenario):
    """Of points that have all expired, each in a transaction of its own."""

    moments = 2
    order = ("purge",)
    constants = {"cleanup.services.retention.points.ROWS_PER_TRANSACTION": 1}

    def prepare(self) -> None:
        super().prepare()
        self.service.cleanup_all_duplicate_folders()
        self.service.verify_cleanup_integrity()
        RollbackPoint.objects.using(self.using).update(expires_at=Now() - timedelta(days=1))
        self.mapped = dump(self.using)
        self.rows = self._rows()
        self.removed = RemovedFolder.objects.using(self.using).count()

    def _rows(self) -> dict[int, int]:
        return dict(SnapshotRow.objects.using(self.using).values_list("point").annotate(rows=Count("pk")))

    def assert_whole(self) -> None:
        assert dump(self.using) == self.mapped
        live = RollbackPoint.objects.using(self.using).filter(status=RollbackPoint.Status.LIVE)
        point_ids = set(live.values_list("pk", flat=True))
        assert self._rows() == {point: rows for point, rows in self.rows.items() if point in point_ids}

    def carry_on(self) -> None:
        self.service.purge()
        self.assert_whole()
        statuses = RollbackPoint.objects.using(self.using).values_list("status", flat=True)
        assert list(statuses) == [RollbackPoint.Status.PURGED] * APPLICATIONS
        assert RemovedFolder.objects.using(self.using).count() == self.removed


class Guards(Scenario):
    """Of a clean database; the rows stay what they are."""

    target = ()

    @property
    def order(self) -> tuple[Any, ...]:
        return ("migrate", "cleanup_guards", *self.target)

    def prepare(self) -> None:
        dirty_database.make_clean(self.using, applications=APPLICATIONS)
        self.mapped = self._rows()
        self.migrate("zero")
        self.bare = databases.schema(self.using)
        self.reset()

    def _rows(self) -> dict[str, list[str]]:
        return {table: rows for table, rows in dump(self.using).items() if table != "django_migrations"}

    def reset(self) -> None:
        """Bring the schema to where the scenario begins."""
        raise NotImplementedError

    def migrate(self, *target: str) -> None:
        call_command("migrate", "cleanup_guards", *target, database=self.using, verbosity=0)

    def standing(self) -> set[str]:
        there = standings(guard_sql_of(using=self.using), applied=applied_migrations(using=self.using))
        return {guard for guard, found in there.items() if found.whole}

    def assert_whole(self) -> None:
        assert self._rows() == self.mapped

    def carry_on(self) -> None:
        self.migrate(*self.target)
        self.assert_end()


class GuardsPut(Guards):
    moments = 2

    def reset(self) -> None:
        self.migrate("zero")

    def note_the_end(self) -> None:
        self.guarded = databases.schema(self.using)

    def assert_end(self) -> None:
        assert self.standing() == set(Guard)
        assert databases.schema(self.using) == self.guarded


class GuardsLifted(Guards):
    moments = 2
    target = ("zero",)

    def reset(self) -> None:
        self.migrate()

    def assert_end(self) -> None:
        assert self.standing() == set()
        assert databases.schema(self.using) == self.bare


HOOKS = {
    "CLEANUP_TREE_HOOK": ["cleanup.hooks.nested_set", {"hook": "cleanup.hooks.materialized_path", "path": "full_path"}]
}


class Hooked:
    """With columns that tree hooks keep; on a database of its own."""

    settings = HOOKS
    using: str

    def add_columns(self) -> None:
        for column in ("lft integer", "rgt integer", "full_path text"):
            execute(self.using, f"ALTER TABLE :folders ADD COLUMN {column}")


class HookedCleanup(Hooked, Cleanup):
    def prepare(self) -> None:
        self.add_columns()
        Scenario.prepare(self)
        hooks.recompute(using=self.using)
        self.before = dirty_database.picture(self.using)


class HookedRollback(Hooked, RollbackOfARun):
    def prepare(self) -> None:
        self.add_columns()
        Scenario.prepare(self)
        hooks.recompute(using=self.using)
        self.before = dirty_database.picture(self.using)
        self.clean()


SCENARIOS = (Cleanup, RollbackOfARun, RollbackOfAPoint, Repair, IntegrityVerification, Purge)
#: On a database without foreign keys.
LOOSE_SCENARIOS = (RepairMakingFolders, RollbackOfARepair)


@dataclass(slots=True)
class Scene:
    """A scenario, its processes, and the rows with which it begins."""

    scenario: Scenario
    processes: ForkedProcesses
    rows: databases.Rows

    @classmethod
    def of(cls, scenario: Scenario, processes: ForkedProcesses) -> "Scene":
        """Set the scene."""
        scenario.prepare()
        return cls(scenario, processes, databases.rows(scenario.using))

    def set_up(self) -> None:
        """Bring the database to where the scenario begins."""
        databases.wipe(self.scenario.using, to=self.rows)
        if isinstance(self.scenario, Guards):
            self.scenario.reset()

    def start(self, fault: Fault | None = None) -> Child:
        """Have a process do the scenario."""
        return self.processes.start(
            *self.scenario.order, fault=fault, constants=self.scenario.constants, **SETTINGS, **self.scenario.settings
        )

    def count_statements(self) -> int:
        """Have the scenario done undisturbed."""
        child = self.start()
        assert child.wait() == 0, self.processes.errors.read_text()
        let_sessions_end(self.scenario.using)
        self.scenario.note_the_end()
        return child.statements


def moments(statements: int, *, most: int | None, how: Literal["kill", "halt"] = "kill") -> list[Fault]:
    """Return all moments before and after statements, or so many of them, evenly."""
    every = [Fault(at, after=after, how=how) for at in range(1, statements + 1) for after in (False, True)]
    if most is None or most >= len(every):
        return every
    return [every[(2 * number + 1) * len(every) // (2 * most)] for number in range(most)]
