"""What the commands share: consoles, exit statuses, and the handling of failures, interrupts and closed pipes.

Exit statuses: 0 done; 1 something was found or failed; 2 wrong usage or no database; 3 busy or refused; and, as in
shells, 130 for an interrupt and 141 for a closed pipe.
"""

import gc
import getpass
import os
import signal
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property
from typing import Any, NoReturn

from django.apps import apps
from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db import DEFAULT_DB_ALIAS, connections
from django.db import Error as DatabaseFailure
from django.utils import translation
from rich.text import Text

from cleanup import conf, services
from cleanup.backends.pinning import pinning
from cleanup.exceptions import CleanupError, Declined, MisconfiguredSetting, UsageError
from cleanup.management.database_url import location
from cleanup.management.errors import Failure, failure_of, interrupted_run
from cleanup.management.log_lines import kept_off_terminals
from cleanup.management.terminal import RunProgress, console, say
from cleanup.manual import path_of, reference_to
from cleanup.services.errors import RUN_AT_WORK
from cleanup.text_safety import safe

DONE, FOUND, REFUSED = 0, 1, 3
#: The verbosity that has log lines on a terminal, too.
WITH_LOG = 2
ERRORS_KEPT_BACK = (
    "Errors were logged. To see log lines on the terminal, add --verbosity 2; "
    f"for a log file, see the manual ({path_of('operations')})."
)

INTERRUPTED, PIPE_CLOSED = 128 + signal.SIGINT, 128 + signal.SIGPIPE


class ShellCommand(BaseCommand):
    """A command that writes its report to standard output and everything else to standard error."""

    requires_migrations_checks = False
    # What a command depends on. Checking admin and URLs would load them, which takes longer than a small command.
    requires_system_checks = ("cleanup", Tags.models)

    def get_check_kwargs(self, options: dict[str, Any]) -> Any:
        """Run the checks without a database: if it cannot be used, the command says so in a sentence.

        Of models, those of the host's apps that hold the folders: the others are no matter of the command, and ours
        are the same wherever it runs.
        """
        given: Any = super().get_check_kwargs(options)
        models = (conf.application_model(), conf.folder_model(), conf.file_model())
        mapped = {str(model).partition(".")[0] for model in models}
        hosts = [app for app in apps.get_app_configs() if app.label in mapped - {"cleanup"}]
        return {**given, "databases": [], "app_configs": hosts}

    def run_from_argv(self, argv: list[str]) -> None:
        """Run the command in a process of its own."""
        # What is loaded now stays. Collecting garbage in it again and again takes a seventh of Python's time.
        gc.freeze()
        if sys.stdout is None:  # closed by the caller, as some job runners do; the exit status is what they read
            self.stdout = OutputWrapper(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  # to the end
        super().run_from_argv(argv)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Keep usage to one line, and allow no abbreviations: half a word is not consent."""
        usage = f"{os.path.basename(prog_name)} {subcommand} [OPTION ...]"  # noqa: PTH119  # a name, not a path
        return super().create_parser(prog_name, subcommand, usage=usage, allow_abbrev=False, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options of every command."""
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS", help="the database to use")

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Speak English, whatever LANGUAGE_CODE is, and keep log lines off a terminal unless they are asked for."""
        with translation.override(None):
            return self._execute(*args, **options)

    def _execute(self, *args: Any, **options: Any) -> str | None:
        if options["verbosity"] >= WITH_LOG or _log_belongs_on_the_terminal():
            return super().execute(*args, **options)
        with kept_off_terminals() as kept_back:
            try:
                return super().execute(*args, **options)
            finally:
                if kept_back.held_errors:
                    with suppress(OSError):
                        self.stderr.write(ERRORS_KEPT_BACK, style_func=str)

    def handle(self, **options: Any) -> None:
        """Run the command; ends with SystemExit or CommandError if its status is not 0."""
        color = True if options["force_color"] else False if options["no_color"] else None
        self.options = options
        self.out = console(self.stdout, color=color)
        self.err = console(self.stderr, color=color)
        self.progress: RunProgress | None = None
        try:
            with self._pinning():
                status = self.perform()
            self.stdout.flush()
        except (CleanupError, DatabaseFailure) as error:
            self._fail(self._failure_of(error), cause=error)
        except OSError as error:
            self._end_unread(error)
        except KeyboardInterrupt as interrupt:
            run = vars(interrupt).get(RUN_AT_WORK)
            more = f"What is finished stays finished. {self.how_to_resume(run.pk)}" if run else "Nothing was changed."
            raise CommandError(f"Interrupted. {more}", returncode=INTERRUPTED) from interrupt
        if status:
            sys.exit(status)

    def _pinning(self) -> AbstractContextManager[None]:
        alias = self.options["database"]
        return pinning(using=alias) if alias in connections else nullcontext()

    def perform(self) -> int:
        """Do the work and return the exit status. Raises CleanupError."""
        raise NotImplementedError

    def tell_failure(self, failure: Failure, *, cause: Exception) -> None:
        """Report a failure on standard output if there is more to it than the sentence."""

    def connect(self) -> None:
        """Print the database's URL. Raises UsageError."""
        alias = self.options["database"]
        if alias not in connections:
            raise UsageError(f"There is no database {alias!r} in DATABASES; use one of: {', '.join(connections)}.")
        say(self.err, f"Database: {location(using=alias)}")

    @property
    def using(self) -> str:
        """Return the alias of the database."""
        return str(self.options["database"])

    @cached_property
    def service(self) -> "services.DatabaseCleanupService":
        """Return its service, which is imported only by what needs it."""
        return services.DatabaseCleanupService(using=self.using)

    def reporting(self, title: str) -> RunProgress:
        """Return what shows the progress of a run."""
        self.progress = RunProgress(self.err, title=title, quiet=self.options["verbosity"] == 0)
        return self.progress

    def waiting(self, title: str) -> AbstractContextManager[object]:
        """Return a context that shows a person that something is running."""
        if self.options["verbosity"] == 0 or not self.err.is_terminal:
            return nullcontext()
        return self.err.status(Text(title))

    def how_to_resume(self, run: object) -> str:
        """Return the sentence with the command that resumes a run."""
        alias = self.options["database"]
        on = "" if alias == DEFAULT_DB_ALIAS else f" --database {alias}"
        return f"Resume it with: manage.py database_cleanup --resume {run}{on}"

    def _failure_of(self, error: CleanupError | DatabaseFailure) -> Failure:
        run = vars(error).get(RUN_AT_WORK)
        if isinstance(error, CleanupError) or run is None:
            return failure_of(error)
        done = self.progress.done if self.progress else 0
        return interrupted_run(
            error,
            run_id=run.pk,
            done=max(done, run.done_applications),
            total=run.total_applications,
            how_to_resume=self.how_to_resume(run.pk),
        )

    def _fail(self, failure: Failure, *, cause: Exception) -> NoReturn:
        try:
            self.tell_failure(failure, cause=cause)
            self.stdout.flush()
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                self._leave_quietly()
            self._close_output()
        message = "\n".join(map(safe, failure.message.splitlines()))
        if isinstance(cause, Declined):  # which is not an error
            say(self.err, message)
            sys.exit(failure.exit_status)
        # A message that ends with a command has a line of its own, so that the command can be copied.
        between = " " if message.endswith(".") else "\n"
        raise CommandError(
            f"{message}{between}{reference_to(failure.code)}".rstrip(), returncode=failure.exit_status
        ) from cause

    def _end_unread(self, error: OSError) -> NoReturn:
        """End when the report could not be written: a closed pipe, a full disk. Say where to find what a run did."""
        run = self.progress.run_id if self.progress else None
        if run is not None:
            with suppress(OSError):
                say(
                    self.err,
                    f"Run {run} did its work, but its report could not be written to standard output "
                    f"({os.strerror(error.errno or 0)}). See what it did with: manage.py database_cleanup --status",
                )
        if isinstance(error, BrokenPipeError):
            self._leave_quietly()
        self._close_output()
        if run is not None:
            sys.exit(FOUND)
        raise CommandError(f"Cannot write to standard output: {os.strerror(error.errno or 0)}.", returncode=FOUND)

    def _leave_quietly(self) -> NoReturn:
        """Exit as if by SIGPIPE."""
        self._close_output()
        sys.exit(PIPE_CLOSED)

    def _close_output(self) -> None:
        """Keep the interpreter's own flush at exit from meeting the same error again."""
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _log_belongs_on_the_terminal() -> bool:
    try:
        return conf.log_on_terminal()
    except MisconfiguredSetting:  # the checks, which come next, say so
        return False


def operator() -> str:
    """Return the name of the operating system's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"
