"""The operator's command: one verb, one call of the service, one report.

Standard output holds the report, or with --json one JSON document; everything else (which database it is, questions,
progress, failures) goes to standard error.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.management.base import CommandParser
from rich.console import Console

from cleanup import queries
from cleanup.exceptions import Declined, UsageError
from cleanup.management import rendering
from cleanup.management.base import DONE, FOUND, REFUSED, ShellCommand, operator
from cleanup.management.errors import Failure
from cleanup.management.terminal import asks_a_person, confirm, counted, say
from cleanup.models import Run
from cleanup.phrases import with_reason
from cleanup.services import CleanupReport, RollbackResult, origin
from cleanup.services.automation import switch
from cleanup.services.monitoring.status import status as status_of
from cleanup.services.operations import checks, control
from cleanup.services.preflight.report import preflight
from cleanup.services.results import JSON, Document, Enqueued
from cleanup.services.retention import purge

VERBS = (
    "preflight",
    "check",
    "dry_run",
    "cleanup",
    "verify",
    "status",
    "rollback",
    "resume",
    "pause",
    "cancel",
    "freeze",
    "unfreeze",
    "purge",
    "start",
    "stop",
    "adopt",
)

#: Which verbs an option can be used with; an option that is not here can be used with all.
WORKS_WITH = {
    "applications": ("dry_run", "cleanup", "verify"),
    "max_applications": ("dry_run", "cleanup"),
    "batch_size": ("dry_run", "cleanup", "resume"),
    "workers": ("dry_run", "cleanup", "rollback", "resume"),
    "include_held": ("dry_run", "cleanup"),
    "include_large": ("dry_run", "cleanup"),
    "reason": ("dry_run", "cleanup", "rollback", "pause", "cancel", "freeze"),
    "all_results": ("dry_run", "cleanup", "resume"),
    "retry_failed": ("resume",),
    "adopt": ("adopt", "resume"),
    "skip_conflicts": ("rollback",),
    "as_copies": ("rollback",),
    "background": ("cleanup", "rollback", "resume", "verify", "check"),
    "preview": ("rollback", "purge"),
}

FLAGS = {"applications": "--application"}


def flag(name: str) -> str:
    """Spell an option as it is typed."""
    return FLAGS.get(name, "--" + name.replace("_", "-"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a verb came to, how to show it, what to exit with, and a last word for standard error."""

    document: Document
    show: Callable[[Console], None]
    exit_status: int = DONE
    last_word: str = ""


class Command(ShellCommand):
    """Find, merge, undo and verify."""

    help = "Find, merge, undo and verify duplicate folders. Give exactly one action; README.md explains each."

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
        verbs.add_argument("--status", action="store_true", help="show what is running and what was done")
        verbs.add_argument("--rollback", metavar="ID", help="undo a rollback point, or a whole run")
        verbs.add_argument("--resume", metavar="RUN", help="resume an interrupted run")
        verbs.add_argument("--pause", nargs="?", const=True, metavar="RUN", help="pause the active or given run")
        verbs.add_argument("--cancel", nargs="?", const=True, metavar="RUN", help="cancel the active or given run")
        verbs.add_argument("--freeze", action="store_true", help="stop all cleaning until unfrozen")
        verbs.add_argument("--unfreeze", action="store_true", help="allow cleaning again")
        verbs.add_argument("--purge", action="store_true", help="remove expired rollback points and old history")
        verbs.add_argument("--start", action="store_true", help="start the automated service, so that schedules fire")
        verbs.add_argument("--stop", action="store_true", help="stop the automated service, so that no schedule fires")
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
        act: Callable[[], Outcome] = getattr(self, f"_{verb}")
        outcome = act()
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

    def _ask(self, question: str) -> None:
        """Continue only if a person agrees. Raises Declined."""
        if not confirm(self.stderr, question):
            raise Declined

    def _asks(self) -> bool:
        """Return whether to ask. Raises UsageError if there is no one to ask."""
        if not self.options["interactive"]:
            return False
        if not asks_a_person():
            raise UsageError("There is no terminal to ask on. Add --no-input to proceed without being asked.")
        return True

    # The verbs.

    def _preflight(self) -> Outcome:
        with self.waiting("Looking at the database"):
            answer = preflight(using=self.service.using)
        return Outcome(answer, lambda to: rendering.show_preflight(to, answer), DONE if answer.ok else REFUSED)

    def _check(self) -> Outcome:
        if self.options["background"]:
            check = self.service.start_check(**self._actor())
            return self._enqueued(Enqueued(check_id=check.pk), "Check", check.pk)
        with self.waiting("Checking"):
            answer = checks.check(using=self.service.using)
        status = FOUND if answer.needs_cleanup else DONE
        return Outcome(answer, lambda to: rendering.show_check(to, answer), status)

    def _verify(self) -> Outcome:
        (application,) = self.options["applications"] or (None,)
        if self.options["background"]:
            verification = self.service.start_verification(started_by=operator())
            return self._enqueued(Enqueued(verification_id=verification.pk), "Verification", verification.pk)
        with self.waiting("Verifying"):
            answer = checks.verify(using=self.service.using, application_id=application, started_by=operator())
        status = DONE if answer.verification_passed else FOUND
        return Outcome(answer, lambda to: rendering.show_verification(to, answer), status)

    def _status(self) -> Outcome:
        answer = status_of(using=self.service.using)
        return Outcome(answer, lambda to: rendering.show_status(to, answer))

    def _dry_run(self) -> Outcome:
        with self.reporting("Dry run") as progress:
            report = self.service.cleanup_all_duplicate_folders(dry_run=True, **self._scope(), progress=progress)
        return self._run_outcome(report)

    def _cleanup(self) -> Outcome:
        if self._asks():
            number = self._applications_to_clean()
            if number:
                self._ask(f"Merge the duplicate folders of {counted(number, 'application')}?")
        if self.options["background"]:
            scope = {name: value for name, value in self._scope().items() if name not in ("workers", "all_results")}
            run = self.service.start_cleanup(**scope, **self._actor(), reason=self.options["reason"])
            return self._enqueued_run(run)
        with self.reporting("Cleanup") as progress:
            report = self.service.cleanup_all_duplicate_folders(
                **self._scope(), **self._actor(), reason=self.options["reason"], progress=progress
            )
        return self._run_outcome(report)

    def _applications_to_clean(self) -> int:
        if self.options["applications"]:
            return len(set(self.options["applications"]))
        affected = queries.count_affected(using=self.options["database"])
        return min(affected, self.options["max_applications"] or affected)

    def _rollback(self) -> Outcome:
        rollback_id = self.options["rollback"]
        as_copies = self.options["as_copies"]
        if self.options["preview"]:
            preview = self.service.preview_rollback(rollback_id, as_copies=as_copies)
            status = FOUND if preview.expired else DONE
            return Outcome(preview, lambda to: rendering.show_rollback(to, preview), status)
        if self._asks():
            rendering.show_rollback(self.err, self.service.preview_rollback(rollback_id, as_copies=as_copies))
            self._ask("Roll back?")
        if self.options["background"]:
            run = self.service.start_rollback(
                rollback_id,
                skip_conflicts=self.options["skip_conflicts"],
                as_copies=as_copies,
                reason=self.options["reason"],
                **self._actor(),
            )
            return self._enqueued_run(run)
        with self.reporting("Rollback") as progress:
            result = self.service.rollback_cleanup(
                rollback_id,
                skip_conflicts=self.options["skip_conflicts"],
                as_copies=as_copies,
                workers=self.options["workers"] or 1,
                reason=self.options["reason"],
                **self._actor(),
                progress=progress,
            )
        return self._rollback_outcome(result)

    def _resume(self) -> Outcome:
        if self.options["background"]:
            run = self.service.start_resume(
                self.options["resume"],
                retry_failed=self.options["retry_failed"],
                adopt=self.options["adopt"],
                started_by=operator(),
            )
            return self._enqueued_run(run)
        with self.reporting("Resumed run") as progress:
            report = self.service.resume(
                self.options["resume"],
                retry_failed=self.options["retry_failed"],
                adopt=self.options["adopt"],
                batch_size=self.options["batch_size"],
                workers=self.options["workers"] or 1,
                all_results=self.options["all_results"],
                progress=progress,
            )
        return self._run_outcome(report) if isinstance(report, CleanupReport) else self._rollback_outcome(report)

    def _pause(self) -> Outcome:
        run = control.pause(
            using=self.service.using, run_id=self._named("pause"), reason=self.options["reason"], paused_by=operator()
        )
        return Outcome(run, lambda to: rendering.show_run(to, run))

    def _cancel(self) -> Outcome:
        run = control.cancel(
            using=self.service.using,
            run_id=self._named("cancel"),
            reason=self.options["reason"],
            cancelled_by=operator(),
        )
        return Outcome(run, lambda to: rendering.show_run(to, run))

    def _named(self, verb: str) -> str | None:
        named: str | bool = self.options[verb]
        return None if named is True else str(named)

    def _freeze(self) -> Outcome:
        self.service.freeze(reason=self.options["reason"], changed_by=operator())
        return self._status()

    def _unfreeze(self) -> Outcome:
        self.service.unfreeze(changed_by=operator())
        return self._status()

    def _purge(self) -> Outcome:
        preview = self.options["preview"]
        if not preview and self._asks():
            coming = purge.purge(using=self.service.using, preview=True)
            rendering.show_purge(self.err, coming)
            if coming.points or (coming.history and any(coming.history.rows.values())):
                self._ask("Purge?")
        answer = purge.purge(using=self.service.using, preview=preview)
        return Outcome(answer, lambda to: rendering.show_purge(to, answer))

    def _start(self) -> Outcome:
        switch.start(using=self.service.using, started_by=operator())
        return self._service()

    def _stop(self) -> Outcome:
        switch.stop(using=self.service.using, stopped_by=operator())
        return self._service()

    def _adopt(self) -> Outcome:
        if self._asks():
            found = origin.copied(using=self.options["database"])
            if found is not None:
                number = len(origin.interrupted(using=self.options["database"]))
                say(self.err, found.sentence)
                self._ask(
                    f"Adopt it? Its schedules fire, if they are on, and {counted(number, 'run')} will be resumed."
                )
        switch.adopt(using=self.service.using, adopted_by=operator())
        return self._service()

    def _service(self) -> Outcome:
        answer = status_of(using=self.service.using)
        return Outcome(answer, lambda to: rendering.show_service(to, answer))

    # What runs share.

    def _enqueued_run(self, run: Run) -> Outcome:
        document = Enqueued(status=run.status, run_id=run.pk, kind=run.kind, total_applications=run.total_applications)
        return self._enqueued(document, "Run", run.pk)

    def _enqueued(self, document: Enqueued, what: str, key: object) -> Outcome:
        queued = f"{what} {key} was queued. Follow it with: manage.py database_cleanup --status"
        return Outcome(document, lambda to: say(to, queued))

    def _scope(self) -> dict[str, Any]:
        names = ("applications", "max_applications", "batch_size", "include_held", "include_large", "all_results")
        return {name: self.options[name] for name in names} | {"workers": self.options["workers"] or 1}

    def _actor(self) -> dict[str, Any]:
        return {"started_by": operator(), "started_how": "shell"}

    def _run_outcome(self, report: CleanupReport) -> Outcome:
        # An application that was asked for by name and set aside was refused; of many, it waits for a person.
        refused = report.failed_cleanups or (self.options["applications"] and report.set_aside)
        status, word = self._end_of(report.run_id, report.status, report.status_reason)
        return Outcome(
            report,
            lambda to: rendering.show_cleanup(to, report, verbose=self.options["verbosity"] > 1),
            status or (FOUND if refused else DONE),
            word,
        )

    def _rollback_outcome(self, result: RollbackResult) -> Outcome:
        status, word = DONE, ""
        if result.run_id is not None:
            run = Run.objects.using(self.service.using).get(pk=result.run_id)
            status, word = self._end_of(run.pk, result.status, run.status_reason)
        return Outcome(
            result,
            lambda to: rendering.show_rollback(to, result),
            status or (DONE if result and not result.expired else FOUND),
            word,
        )

    def _end_of(self, run: object, status: str, reason: str) -> tuple[int, str]:
        """Return exit status and last word, which say how to resume a run that did not finish."""
        if status == Run.Status.COMPLETED:
            return DONE, ""
        how = "" if status == Run.Status.CANCELLED else f" {self.how_to_resume(run)}"
        return REFUSED, f"{with_reason(f'Run {run} is {status}', reason)}{how}"


def chosen_verb(options: Mapping[str, Any]) -> str:
    """Return the one verb that was given. Raises UsageError."""
    verbs = [verb for verb in VERBS if options[verb] is not None and options[verb] is not False]
    if verbs == ["resume", "adopt"]:
        return "resume"
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
    if options["background"]:
        refuse_beside_background(verb, options)
    if verb == "verify" and len(options["applications"] or ()) > 1:
        raise UsageError("--verify takes one --application, or none to verify the whole database.")


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


_NUMBERS = ("max_applications", "batch_size", "workers")
