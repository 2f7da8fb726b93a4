"""The demonstration: an empty database, a mess, and the whole story of cleaning it up and undoing it."""

import os
import secrets
import sys
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandParser
from django.db import connections, router
from django.db.migrations.executor import MigrationExecutor

from cleanup import conf
from cleanup.backends.pinning import unpinned
from cleanup.exceptions import Refused, UsageError
from cleanup.guard_names import APP_LABEL
from cleanup.management import rendering
from cleanup.management.base import DONE, FOUND, REFUSED, ShellCommand, operator
from cleanup.management.demo_data import Filled, fill, messes
from cleanup.management.terminal import Rows, counted, say
from cleanup.management.tree_output import content, folder_tree
from cleanup.manual import path_of
from cleanup.models import Application, File, Folder, RollbackPoint, Run
from cleanup.services import CleanupReport
from cleanup.text_safety import safe

#: Who signs in to the admin of a demonstration.
ACCOUNT = "demo"


class Command(ShellCommand):
    """Fill an empty database with duplicate folders, then clean it up, step by step."""

    help = "Fill an empty database with a realistic mess of folders, and clean it up step by step."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the size and the seed."""
        super().add_arguments(parser)
        parser.add_argument("--applications", type=int, default=300, metavar="N", help="how many to make (default 300)")
        parser.add_argument("--seed", type=int, default=1, metavar="N", help="each number makes another mess")

    def perform(self) -> int:
        """Walk through the story; each step is what an operator would do."""
        if self.options["applications"] < 1:
            raise UsageError(f"--applications must be at least 1, not {self.options['applications']}.")
        self.step = 0
        self.connect()
        self._refuse_foreign_models()
        self._refuse_filled_database()
        self._make_tables()
        filled = self._fill()
        self._check()
        before = content(using=self.using, application_id=filled.example)
        self._show_tree(f"Look at one application: {filled.example}", filled.example)
        self._dry_run()
        report = self._clean()
        if report.status != Run.Status.COMPLETED:
            say(self.err, f"Run {report.run_id} is {report.status}. {self.how_to_resume(report.run_id)}")
            return REFUSED
        self._show_tree("The same application now", filled.example)
        passed = self._verify()
        is_exact = self._roll_back(filled.example, report, before)
        self._what_next(filled.example, report)
        return DONE if passed and is_exact else FOUND

    # Only on a database in which nothing can be harmed.

    def _refuse_foreign_models(self) -> None:
        models = (conf.application_model(), conf.folder_model(), conf.file_model())
        if models != ("cleanup.Application", "cleanup.Folder", "cleanup.File"):
            raise Refused("The demonstration works on the product's own tables, and this project has set up others.")

    def _refuse_filled_database(self) -> None:
        tables = connections[self.using].introspection.table_names()
        for model in (Application, Folder, File):
            if model._meta.db_table in tables and model._base_manager.using(self.using).exists():
                raise Refused(
                    f"This database already holds {model._meta.verbose_name_plural}, so the demonstration does not "
                    f"touch it. Use an empty one, as in DATABASE_URL=sqlite:////tmp/demo.sqlite3"
                )

    # The steps.

    def _heading(self, title: str, *explanation: str) -> None:
        self.step += 1
        self.out.print()
        say(self.out, f"{self.step}. {title}", style="bold")
        say(self.out, *explanation)

    def _make_tables(self) -> None:
        executor = MigrationExecutor(connections[self.using])
        if any(label == APP_LABEL for label, _ in executor.loader.applied_migrations):
            self._heading("Lift the guards", f"$ manage.py migrate {APP_LABEL} zero", "They would prevent the mess.")
            self._migrate(APP_LABEL, "zero")
        others = [node for node in executor.loader.graph.leaf_nodes() if node[0] != APP_LABEL]
        if executor.migration_plan(others):
            self._heading(
                "Make the tables", "As manage.py migrate does, but without the guards, which would prevent the mess."
            )
            for label, _ in others:
                self._migrate(label)

    def _migrate(self, *target: str) -> None:
        with unpinned(using=self.using):  # it builds indexes outside of transactions
            call_command("migrate", *target, database=self.using, verbosity=0, interactive=False)

    def _fill(self) -> Filled:
        self._heading(
            "Fill them with a mess",
            "Requests that raced for the first folder of an application, imports, and no constraints to stop them.",
        )
        filled = fill(messes(applications=self.options["applications"], seed=self.options["seed"]), using=self.using)
        rows = Rows("#Applications", "#Folders", "#Files")
        rows.add(filled.applications, filled.folders, filled.files)
        rows.show(self.out)
        return filled

    def _check(self) -> None:
        self._heading("Check", "$ manage.py database_cleanup --check")
        check = self.service.check()
        rows = Rows("Question", "Answer")
        rows.add("applications with duplicate folders", check["duplicate_applications_found"])
        for code, number in check["integrity_verification"]["counts"].items():
            rows.add(f"finding: {code.replace('_', ' ')}", number)
        rows.add("needs cleanup", "yes" if check["needs_cleanup"] else "no")
        rows.show(self.out)

    def _show_tree(self, title: str, application: str) -> None:
        self._heading(title)
        self.out.print(folder_tree(using=self.using, application_id=application))

    def _dry_run(self) -> None:
        self._heading("Dry run: what would a cleanup do?", "$ manage.py database_cleanup --dry-run")
        with self.reporting("Dry run") as progress:
            report = self.service.cleanup_all_duplicate_folders(dry_run=True, progress=progress)
        self._show_totals(report)
        say(self.out, "Nothing was changed.")

    def _clean(self) -> CleanupReport:
        self._heading("Clean up, with an undo record for every application", "$ manage.py database_cleanup --cleanup")
        with self.reporting("Cleanup") as progress:
            report = self.service.cleanup_all_duplicate_folders(
                reason="demonstration", started_by=operator(), started_how="shell", progress=progress
            )
        self._show_totals(report)
        return report

    def _show_totals(self, report: CleanupReport) -> None:
        rows = Rows("#Applications", "#Folders removed", "#Of them child folders", "#Files moved", "#Failed")
        rows.add(
            report.total_applications,
            report.total_folders_removed,
            report.total_child_folders_merged,
            report.total_files_moved,
            report.failed_cleanups,
        )
        rows.show(self.out)

    def _verify(self) -> bool:
        self._heading("Verify that everything is consistent", "$ manage.py database_cleanup --verify")
        verification = self.service.verify_cleanup_integrity(started_by=operator())
        files = File._base_manager.using(self.using).filter(folder__isnull=False).count()
        for code, number in verification["counts"].items():
            say(self.out, f"{number:,} x {code.replace('_', ' ')}")
        passed = bool(verification["verification_passed"])
        verdict = "passed: no errors" if passed else "found errors"
        say(self.out, f"The verification {verdict}. {counted(files, 'file')}, each in a folder.")
        return passed

    def _roll_back(self, application: str, report: CleanupReport, before: list[list[dict[str, object]]]) -> bool:
        point = RollbackPoint.objects.using(self.using).get(run_id=str(report.run_id), application_key=application)
        self._heading("Undo one application", f"$ manage.py database_cleanup --rollback {point.uuid}")
        result = self.service.rollback_cleanup(point.uuid, reason="demonstration", started_by=operator())
        rendering.show_rollback(self.out, result)
        after = content(using=self.using, application_id=application)
        is_exact = after == before
        folders, files = counted(len(before[0]), "folder"), counted(len(before[1]), "file")
        verdict = "every value is as it was" if is_exact else "they DIFFER from what they were"
        say(self.out, f"Compared {folders} and {files} of it, column by column: {verdict}.")
        return is_exact

    def _what_next(self, application: str, report: CleanupReport) -> None:
        self._heading("What to try next")
        self._invite_to_the_admin()
        prefix = f"{_runnable()} database_cleanup"
        alias = "" if self.using == "default" else f" --database {self.using}"
        for what, arguments in (
            ("what was done so far, and until when it can be undone", "--runs"),
            ("the application that was undone has its duplicates again", "--check"),
            (
                "it is on hold, so that the next cleanup leaves it alone, unless told otherwise",
                "--dry-run --include-held",
            ),
            ("merge it again", f"--cleanup --include-held --application {application}"),
            ("what undoing the whole run would restore", f"--rollback {report.run_id} --preview"),
            ("could a cleanup run, and how much would it be", "--preflight"),
            ("all actions and options", "--help"),
        ):
            say(self.out, f"  # {what}", style="dim")
            say(self.out, f"  {prefix} {arguments}{alias}")
        say(
            self.out,
            "",
            f"The manual explains the rest; begin with {path_of('adopting')}. {self._how_to_start_again()}",
        )

    def _invite_to_the_admin(self) -> None:
        """Make an account for the admin, unless there are people already, and say where to click."""
        if not apps.is_installed("django.contrib.admin") or settings.AUTH_USER_MODEL != "auth.User":
            return
        user = apps.get_model("auth", "User")
        people = user.objects.db_manager(self.using)
        if router.db_for_write(user) != self.using or people.exists():
            return
        password = secrets.token_urlsafe(9)
        people.create_superuser(ACCOUNT, password=password)
        say(
            self.out,
            "  # look at it in a browser, as the people in the office would",
            f"  {_runnable()} runserver",
            "  # in another terminal: the background service, without which pages can only show things",
            f"  {_runnable()} qcluster",
            f"  # open http://127.0.0.1:8000/admin/ and sign in as {ACCOUNT} with the password {password}",
            "  # click Folder cleanup, then Duplicates: one application is on hold, because its cleanup was undone",
            "",
        )

    def _how_to_start_again(self) -> str:
        connection = connections[self.using]
        name = safe(connection.settings_dict["NAME"])
        if connection.vendor != "sqlite":
            return f"To start again, drop the database {name} and create it again."
        path = _short(Path(name))
        return f"To start again: rm -f {path} {path}-wal {path}-shm"


def _runnable() -> str:
    """Return how this very interpreter runs manage.py, as short as can be."""
    script = sys.argv[0] if Path(sys.argv[0]).name == "manage.py" else "manage.py"
    return f"{_short(Path(sys.executable))} {script}"


def _short(path: Path) -> str:
    """Return the path from here, if it is below."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
