"""The operator's command: one verb, one call of the service, one report.

Standard output holds the report, or with --json one JSON document; everything else (which database it is, questions,
progress, failures) goes to standard error.
"""

import json
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser, DjangoHelpFormatter
from django.utils.module_loading import import_string

from cleanup.exceptions import Declined, UsageError
from cleanup.management import rendering
from cleanup.management.base import ShellCommand
from cleanup.management.errors import Failure
from cleanup.management.terminal import asks_a_person, confirm, say
from cleanup.manual import path_of
from cleanup.models import Run
from cleanup.services.results import JSON

if TYPE_CHECKING:
    from cleanup.management.outcome import Outcome

#: The actions, and the module of ``cleanup.management.verbs`` that each is in.
VERBS = {
    "preflight": "preflight",
    "check": "checking",
    "dry_run": "cleaning",
    "cleanup": "cleaning",
    "verify": "checking",
    "status": "status",
    "runs": "status",
    "repair": "repairing",
    "names": "repairing",
    "approve_names": "repairing",
    "dismiss_names": "repairing",
    "rollback": "cleaning",
    "export_undo": "exporting",
    "resume": "cleaning",
    "pause": "switching",
    "cancel": "switching",
    "freeze": "switching",
    "unfreeze": "switching",
    "purge": "switching",
    "start": "switching",
    "stop": "switching",
    "adopt": "switching",
    "approve": "switching",
    "decline": "switching",
}

#: Which verbs an option can be used with; an option that is not here can be used with all.
WORKS_WITH = {
    "applications": ("dry_run", "cleanup", "verify", "repair", "names", "approve_names", "dismiss_names", "runs"),
    "max_applications": ("dry_run", "cleanup"),
    "batch_size": ("dry_run", "cleanup", "repair", "resume"),
    "workers": ("dry_run", "cleanup", "rollback", "resume"),
    "include_held": ("dry_run", "cleanup", "repair"),
    "include_large": ("dry_run", "cleanup", "repair"),
    "reason": ("dry_run", "cleanup", "repair", "rollback", "pause", "cancel", "freeze", "approve", "decline"),
    "all_results": ("dry_run", "cleanup", "repair", "resume"),
    "retry_failed": ("resume",),
    "adopt": ("adopt", "resume"),
    "skip_conflicts": ("rollback",),
    "as_copies": ("rollback",),
    "background": ("cleanup", "repair", "rollback", "resume", "verify", "check"),
    "preview": ("rollback", "purge"),
    "output": ("export_undo",),
    "stays": ("approve_names",),
    "state": ("runs",),
    "since": ("runs",),
    "limit": ("runs",),
}

FLAGS = {"applications": "--application"}

EXAMPLES = """\
examples:
  manage.py database_cleanup --preflight                                   can a cleanup run, and how long?
  manage.py database_cleanup --dry-run --max-applications 5                what would happen to the worst five?
  manage.py database_cleanup --cleanup --application ID --reason "ticket"  clean up one application
  manage.py database_cleanup --cleanup --workers 2 --no-input              clean up everything, without asking
  manage.py database_cleanup --runs --since 2026-11-01                     what was done, and can it be undone?
  manage.py database_cleanup --rollback RUN --preview                      what would undoing a run restore?

exit status: 0 done, nothing wrong; 1 something was found or failed; 2 wrong usage, or no database; 3 busy or refused
"""


class _ExamplesFormatter(RawDescriptionHelpFormatter, DjangoHelpFormatter):
    """Leave the lines of the examples as they are, and put this command's own options first."""


def flag(name: str) -> str:
    """Spell an option as it is typed."""
    return FLAGS.get(name, "--" + name.replace("_", "-"))


class Command(ShellCommand):
    """Find, merge, undo and verify."""

    help = (
        "Find, merge, undo and verify duplicate folders.\n"
        f"Give exactly one action; the manual explains each ({path_of('command')})."
    )

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """Show examples, one a line, at the end of the help."""
        return super().create_parser(
            prog_name, subcommand, epilog=EXAMPLES, formatter_class=_ExamplesFormatter, **options
        )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare verbs and options."""
        super().add_arguments(parser)
        self._add_verbs(parser)
        work = parser.add_argument_group("options of actions")
        work.add_argument(
            "--application",
            dest="applications",
            action="append",
            metavar="ID",
            help="only this one; may be repeated",
        )
        work.add_argument(
            "--max-applications", type=int, metavar="N", help="the N applications with the most duplicates"
        )
        work.add_argument("--batch-size", type=int, metavar="N", help="at most N applications in one transaction")
        work.add_argument("--workers", type=int, metavar="N", help="use N connections (PostgreSQL; default 1)")
        work.add_argument("--background", action="store_true", help="run it in the background and return")
        work.add_argument(
            "--retry-failed", action="store_true", help="with --resume: retry failed applications as well"
        )
        work.add_argument("--skip-conflicts", action="store_true", help="with --rollback: restore everything else")
        work.add_argument("--as-copies", action="store_true", help="with --rollback: rename would-be duplicates")
        work.add_argument("--include-held", action="store_true", help="include applications on hold")
        work.add_argument("--include-large", action="store_true", help="include applications over the size limit")
        work.add_argument("--preview", action="store_true", help="with --rollback or --purge: only look")
        work.add_argument("--output", metavar="FILE", help="with --export-undo: where to write it, not standard output")
        work.add_argument("--stays", action="store_true", help="with --approve-names: the others go into this folder")
        work.add_argument(
            "--state",
            choices=Run.Status.values,
            metavar="STATE",
            help=f"with --runs: only those in this state ({', '.join(Run.Status.values)})",
        )
        work.add_argument(
            "--since",
            type=moment,
            metavar="WHEN",
            help="with --runs: only those created since then, as 2026-11-01 or 2026-11-01T08:00 (UTC)",
        )
        work.add_argument("--limit", type=int, metavar="N", help="with --runs: at most N, not 100")
        work.add_argument("--reason", default="", metavar="TEXT", help="a reason to record")
        work.add_argument(
            "--no-input",
            "--noinput",
            "--force",
            dest="interactive",
            action="store_false",
            help="do not ask to confirm",
        )
        work.add_argument("--json", action="store_true", help="print one JSON document on standard output")
        work.add_argument("--all-results", action="store_true", help="list all results, not the first 100")

    def _add_verbs(self, parser: CommandParser) -> None:
        verbs = parser.add_argument_group("actions (exactly one)")
        verbs.add_argument("--preflight", action="store_true", help="show whether a cleanup can run, and how long")
        verbs.add_argument("--check", action="store_true", help="show which applications have duplicates")
        verbs.add_argument("--dry-run", action="store_true", help="show what a cleanup would do; changes nothing")
        verbs.add_argument("--cleanup", action="store_true", help="merge duplicates")
        verbs.add_argument("--verify", action="store_true", help="verify integrity")
        verbs.add_argument(
            "--repair", metavar="CODE", help="take away what --verify finds by this code; with --dry-run, only look"
        )
        verbs.add_argument(
            "--names", action="store_true", help="list folders of an application whose names look the same"
        )
        verbs.add_argument(
            "--approve-names", metavar="FOLDER", help="let --repair names_alike merge the group that this folder is in"
        )
        verbs.add_argument(
            "--dismiss-names",
            metavar="FOLDER",
            help="keep the names in this folder's group, which is no longer found",
        )
        verbs.add_argument("--status", action="store_true", help="show what is running and what was done")
        verbs.add_argument(
            "--runs", action="store_true", help="list the runs with their ids, and until when each can be undone"
        )
        verbs.add_argument("--rollback", metavar="ID", help="undo a rollback point, or a whole run")
        verbs.add_argument(
            "--export-undo", metavar="ID", help="write an SQL script that undoes a rollback point or run by itself"
        )
        verbs.add_argument("--resume", metavar="RUN", help="resume an interrupted run")
        verbs.add_argument("--pause", nargs="?", const=True, metavar="RUN", help="pause the active or given run")
        verbs.add_argument("--cancel", nargs="?", const=True, metavar="RUN", help="cancel the active or given run")
        verbs.add_argument("--freeze", action="store_true", help="stop all cleaning until unfrozen")
        verbs.add_argument("--unfreeze", action="store_true", help="allow cleaning again")
        verbs.add_argument("--purge", action="store_true", help="remove expired rollback points and old history")
        verbs.add_argument("--start", action="store_true", help="start the automated service, so that schedules fire")
        verbs.add_argument("--stop", action="store_true", help="stop the automated service, so that no schedule fires")
        verbs.add_argument(
            "--approve", type=int, metavar="ID", help="begin a scheduled cleanup that waits for approval"
        )
        verbs.add_argument("--decline", type=int, metavar="ID", help="do not begin a scheduled cleanup that waits")
        verbs.add_argument(
            "--adopt",
            action="store_true",
            help="allow work in this restored copy as in its original; with --resume: on that run only",
        )

    def perform(self) -> int:
        """Carry out the verb."""
        verb = chosen_verb(self.options)
        refuse_contradictions(verb, self.options)
        self.connect()
        act: Callable[[Command], Outcome] = import_string(f"cleanup.management.verbs.{VERBS[verb]}.{verb}")
        outcome = act(self)
        if self.options["json"]:
            self._write_json(outcome.document.as_json())
        else:
            outcome.show(self.out)
        self.stdout.flush()
        if outcome.last_word:
            say(self.err, outcome.last_word)
        return outcome.exit_status

    # Output.

    def _write_json(self, document: JSON) -> None:
        # ASCII only: control and direction characters in names are escaped by that, too.
        self.stdout.write(json.dumps(document, indent=2, default=str))

    def tell_failure(self, failure: Failure, *, cause: Exception) -> None:
        """Write the failure's JSON, or list the conflicts."""
        if self.options["json"]:
            self._write_json(failure.as_json())
        elif conflicts := getattr(cause, "conflicts", ()):
            rendering.show_conflicts(self.out, conflicts)

    def ask(self, question: str) -> None:
        """Continue only if a person agrees. Raises Declined."""
        if not confirm(self.stderr, question):
            raise Declined

    def asks(self) -> bool:
        """Return whether to ask. Raises UsageError if there is no one to ask."""
        if not self.options["interactive"]:
            return False
        if not asks_a_person():
            raise UsageError("There is no terminal to ask on. Add --no-input to proceed without being asked.")
        return True


def chosen_verb(options: Mapping[str, Any]) -> str:
    """Return the one verb that was given. Raises UsageError."""
    verbs = [verb for verb in VERBS if options[verb] is not None and options[verb] is not False]
    if verbs in (["resume", "adopt"], ["dry_run", "repair"]):
        return "resume" if "resume" in verbs else "repair"
    if len(verbs) == 1:
        return verbs[0]
    if not verbs:
        raise UsageError(f"Give one action: {', '.join(map(flag, VERBS))}.")
    raise UsageError(f"{_listed(map(flag, verbs))} cannot be used together; give one action.")


def refuse_contradictions(verb: str, options: Mapping[str, Any]) -> None:
    """Refuse options that cannot be used with the verb, or together. Raises UsageError."""
    given = [name for name in WORKS_WITH if options[name]] + [name for name in _NUMBERS if options[name] == 0]
    for name in given:
        if verb not in WORKS_WITH[name]:
            verbs = _listed(map(flag, WORKS_WITH[name]))
            raise UsageError(f"{flag(name)} cannot be used with {flag(verb)}; it works with {verbs}.")
    for name in _NUMBERS:
        if options[name] is not None and options[name] < 1:
            raise UsageError(f"{flag(name)} must be at least 1, not {options[name]}.")
    if options["applications"] and options["max_applications"]:
        raise UsageError("--application and --max-applications cannot be used together; give one of them.")
    if verb == "repair" and options["dry_run"] and options["background"]:
        raise UsageError("--background cannot be used with --dry-run.")
    if options["background"]:
        refuse_beside_background(verb, options)
    if verb == "export_undo" and options["json"] and not options["output"]:
        raise UsageError("--export-undo --json needs --output, because standard output can hold only one of the two.")
    refuse_number_of_applications(verb, len(options["applications"] or ()))


def refuse_number_of_applications(verb: str, number: int) -> None:
    """Refuse more or fewer applications than the verb takes. Raises UsageError."""
    if verb == "verify" and number > 1:
        raise UsageError("--verify takes one --application, or none to verify the whole database.")
    if verb == "runs" and number > 1:
        raise UsageError("--runs takes one --application, or none to list the runs of all.")
    if verb in ("names", "approve_names", "dismiss_names") and number != 1:
        raise UsageError(f"{flag(verb)} needs one --application.")


def refuse_beside_background(verb: str, options: Mapping[str, Any]) -> None:
    """Refuse options that the clusters decide, or cannot do. Raises UsageError."""
    if options["workers"] or options["all_results"] or options["preview"]:
        names = [flag(name) for name in ("workers", "all_results", "preview") if options[name]]
        raise UsageError(f"{_listed(names)} cannot be used with --background.")
    if verb == "verify" and options["applications"]:
        raise UsageError("--background cannot be used with --verify --application, only with --verify alone.")
    if verb == "resume" and options["batch_size"]:
        raise UsageError("--batch-size cannot be used with --resume --background.")


def _listed(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def moment(text: str) -> datetime:
    """Read a day or a time, in UTC unless it has an offset. Raises ArgumentTypeError."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"{text!r} is neither a day nor a time; use a value such as 2026-11-01") from None


_NUMBERS = ("max_applications", "batch_size", "workers", "limit")
