"""Do the tests notice a fault? ``python -m tests.reliability.mutation planning`` (journal, sqlite, postgresql, or all).

The tests are collected and the databases made once, and it is noted which functions each test calls; then each mutant
is put into a fork of the process, which runs the tests that call its function, the fastest first, until one fails. A
mutant that none notices is a survivor: it needs a test, or a line in `survivors.txt` that says why it makes no
difference. Exits with 1 for a survivor without such a line, and for a line without such a survivor.
"""

import argparse
import importlib
import os
import signal
import sys
import threading
import time
import types
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from pathlib import Path

import pytest

from tests import ROOT
from tests.reliability.mutants import Mutant, mutants_of

EXPLAINED = Path(__file__).with_name("survivors.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is mutated, and the tests that must notice."""

    module: str
    functions: tuple[str, ...] = ()
    """Qualified names; none: all."""
    tests: tuple[str, ...]
    keyword: str = ""
    settings: str = "tests.settings"


_UNDO = (
    "tests/integration/test_journal.py",
    "tests/integration/rollback/test_undo.py",
    "tests/integration/rollback/test_copies.py",
    "tests/reliability/test_old_journals.py",
    "tests/reliability/test_later_events.py",
)

_STATEMENTS = ("tests/integration/backends/test_statements.py", *_UNDO)

_PLANNING = ("tests/unit/test_planning.py",)

_COLLISIONS = ("tests/integration/merging/test_collisions.py",)

SUBJECTS = {
    "planning": Subject(module="cleanup.planning", tests=_PLANNING, keyword="not Large"),
    "forests": Subject(module="cleanup.forests", tests=_PLANNING, keyword="not Large"),
    "packing": Subject(module="cleanup.packing", tests=("tests/unit/test_packing.py",)),
    "repairing": Subject(module="cleanup.repairing", tests=("tests/unit/test_repairing.py",)),
    "computing": Subject(module="cleanup.hooks.computing", tests=("tests/unit/test_computing.py",)),
    "retyping": Subject(module="cleanup.backends.retyping", tests=("tests/unit/test_retyping.py",)),
    "numbering": Subject(module="cleanup.numbering", tests=_COLLISIONS, keyword="Numbering"),
    "collisions": Subject(module="cleanup.backends.collisions", tests=_COLLISIONS, keyword="not Numbering"),
    "giving_way": Subject(
        module="cleanup.services.merging.collisions",
        tests=(*_COLLISIONS, "tests/integration/merging/test_consolidation.py::TestCollision"),
        keyword="(sqlite or only) and not Numbering",
    ),
    "merging": Subject(module="cleanup.backends.merging", tests=("tests/integration/backends/test_statements.py",)),
    "moving": Subject(
        module="cleanup.backends.postgresql.merging",
        tests=("tests/integration/backends/test_statements.py",),
        keyword="postgresql",
    ),
    "folders": Subject(
        module="cleanup.backends.folders",
        functions=(
            "live_condition",
            *(
                f"FolderSql.{name}"
                for name in (
                    "within",
                    "preference",
                    "folder_belongs",
                    "file_belongs",
                    "lies_in",
                    "live_roots",
                    "same_named_anywhere",
                    "_sibling_groups",
                    "_siblings_by_owners",
                    "owners_of",
                    "owners_of_files",
                    "existing_among",
                    "told_by_rows",
                    "paths_of",
                    "restored_without_root",
                    "existing",
                    "_siblings_by_roots",
                    "affected",
                    "worst",
                    "_large",
                    "set_aside",
                    "largest",
                    "several_roots",
                    "next_units",
                    "range_end",
                    "files_of",
                )
            ),
        ),
        tests=(
            "tests/integration/backends/test_folders.py",
            "tests/integration/references/test_observed.py::TestPathColumns::test_are_known_by_what_they_count",
            "tests/integration/test_queries.py",
            "tests/integration/folders",
            "tests/integration/integrity/test_verification.py",
            "tests/integration/merging/test_preference.py",
            "tests/integration/merging/test_shared_folders.py",
            "tests/integration/merging/test_applications_from_roots.py",
            "tests/integration/repair/test_repairs.py::TestRepair",
        ),
        keyword="sqlite or InAText or what_they_count",
    ),
    "findings": Subject(
        module="cleanup.backends.findings",
        tests=(
            "tests/integration/integrity/test_verification.py",
            "tests/integration/merging/test_marked_roots.py",
            "tests/integration/references/test_arrays.py",
            "tests/integration/references/test_labels.py",
            "tests/integration/references/test_two_keys.py",
            "tests/integration/references/test_keys.py",
            "tests/integration/hooks/test_late_arrivals.py",
            "tests/integration/repair/test_names.py",
            "tests/integration/repair/test_repairs.py",
        ),
        keyword="sqlite or test_arrays",
    ),
    "tally": Subject(
        module="cleanup.services.integrity.findings",
        tests=("tests/integration/integrity/test_verification.py",),
        keyword="sqlite",
    ),
    "owned_rows": Subject(
        module="cleanup.backends.owned_rows",
        tests=(
            "tests/integration/integrity/test_verification.py",
            "tests/integration/merging/test_applications_from_roots.py",
            "tests/integration/merging/test_marked_roots.py",
            "tests/integration/merging/test_shared_folders.py",
            "tests/integration/references/test_key_types.py",
            "tests/integration/repair/test_repairs.py",
            "tests/integration/test_files_of_no_application.py",
        ),
        keyword="sqlite",
    ),
    "repairs": Subject(
        module="cleanup.services.repair.decisions",
        tests=("tests/integration/repair/test_repairs.py",),
    ),
    "path_columns": Subject(module="cleanup.references.path_columns", tests=("tests/unit/test_path_columns.py",)),
    "worklist": Subject(module="cleanup.backends.worklist", tests=("tests/integration/backends/test_worklist.py",)),
    "journal": Subject(
        module="cleanup.journal",
        functions=("steps_of", "JournaledSchema.refuse_altered", "Reader.changes", "Reader.row_keys"),
        tests=_UNDO,
        keyword="sqlite",
    ),
    "reverting": Subject(
        module="cleanup.services.rollback.revert",
        functions=tuple(f"Reverter.{name}" for name in ("revert", "_return_rows", "_needs", "_undo_moves", "_target")),
        tests=_UNDO,
        keyword="sqlite",
    ),
    "undoing": Subject(
        module="cleanup.backends.undoing",
        functions=tuple(
            f"Undoing.{name}"
            for name in ("_found", "_unique_taken", "_target_missing", "image_links", "structure_differences")
        ),
        tests=_STATEMENTS,
    ),
    "sqlite": Subject(
        module="cleanup.backends.sqlite.undoing",
        functions=tuple(
            f"Undoing.{name}"
            for name in ("restore_moved", "_judged", "_changes", "_verdicts", "_missing_target", "restore_images")
        ),
        tests=_STATEMENTS,
        keyword="sqlite",
    ),
    "postgresql": Subject(
        module="cleanup.backends.postgresql.undoing",
        functions=(
            "Undoing._move_back",
            "Undoing._restored",
            "Undoing._not_restored",
            "Undoing.restore_images",
            "_restoration",
        ),
        tests=_STATEMENTS,
        keyword="postgresql",
    ),
}


#: For the code of each function, the tests that call it, with the seconds that they take: the fastest first.
Tests = dict[types.CodeType, list[tuple[float, pytest.Item]]]


@dataclass(slots=True, eq=False)
class Mutation:
    """A pytest plugin: instead of running the tests once, runs them against each mutant until one fails."""

    subject: Subject
    every: int = 1
    named: Sequence[str] = ()
    """Only the mutants whose names contain one of these, if there are any."""
    survivors: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    failed: bool = False

    def pytest_sessionstart(self) -> None:
        """Have properties stop at the first counterexample: no one reads it."""
        import hypothesis

        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile(
            "mutation",
            hypothesis.settings.get_profile("few"),
            phases=phases,
            report_multiple_bugs=False,
        )
        hypothesis.settings.load_profile("mutation")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notice a failure."""
        self.failed = self.failed or report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run all tests as they are, then the mutants."""
        module = importlib.import_module(self.subject.module)
        mutants = list(mutants_of(module, only=self.subject.functions))[:: self.every]
        mutants = [m for m in mutants if not self.named or any(text in m.name for text in self.named)]
        tests = self._tests(session, module)
        if self.failed:
            raise session.Failed("the tests fail as it is")
        for number, mutant in enumerate(mutants, 1):
            chosen = tests.get(mutant.code, [])
            survived = not chosen or self._survives(session, mutant, chosen)
            self.tried.append(mutant.name)
            if survived:
                self.survivors.append(mutant.name)
            state = f"SURVIVED {len(chosen)} tests" if survived else "noticed"
            print(f"{number}/{len(mutants)} {state}: {mutant.name}", file=sys.stderr, flush=True)
        return True

    def _tests(self, session: pytest.Session, module: types.ModuleType) -> Tests:
        """Run all tests; return those that call each function of a module."""
        called: set[types.CodeType] = set()
        calling: defaultdict[types.CodeType, list[tuple[float, pytest.Item]]] = defaultdict(list)

        def note(frame: types.FrameType, event: str, _argument: object) -> None:
            if event == "call" and frame.f_code.co_filename == module.__file__:
                called.add(frame.f_code)

        for number, item in enumerate(session.items):
            called.clear()
            started = time.monotonic()
            threading.setprofile(note)
            sys.setprofile(note)
            # The last test is told of another one to come, so that what the session has made stays.
            following = session.items[(number + 1) % len(session.items)]
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            sys.setprofile(None)
            threading.setprofile(None)
            seconds = time.monotonic() - started
            for code in called:
                calling[code].append((seconds, item))
        for tests in calling.values():
            tests.sort(key=itemgetter(0))
        return calling

    def _survives(self, session: pytest.Session, mutant: Mutant, tests: list[tuple[float, pytest.Item]]) -> bool:
        from django.db import connections

        connections.close_all()  # the fork makes its own
        child = os.fork()
        if child == 0:
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.dup2(1, 2)
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                mutant.apply()
                for (seconds, item), (_, following) in pairwise([*tests, tests[0]]):
                    signal.alarm(int(60 + 10 * seconds))  # a mutant that never ends is noticed
                    session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                    if self.failed:
                        break
            except BaseException:  # noqa: BLE001 - whatever it is, it was noticed
                self.failed = True
            finally:
                os._exit(self.failed)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status) and any(item.get_closest_marker("django_db") for item in session.items):
            self._clear(session)
        return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0

    def _clear(self, session: pytest.Session) -> None:
        """Remove what a test left that was cut off."""
        from pytest_django.plugin import blocking_manager_key

        from tests.support import databases

        parameters = (getattr(item, "callspec", None) for item in session.items)
        used = {value for one in parameters if one for value in one.params.values() if isinstance(value, str)}
        with session.config.stash[blocking_manager_key].unblock():
            for alias in used.intersection(databases.ALIASES.values()):  # the others were never made
                databases.wipe(alias)


def explained() -> dict[str, str]:
    """Return the survivors that make no difference, with the reasons why."""
    lines = EXPLAINED.read_text(encoding="utf-8").splitlines()
    found = [line.partition(" -- ") for line in lines if line and not line.startswith("# ")]
    return {name: reason for name, _, reason in found}


def mutate(subject: str, *, every: int = 1, named: Sequence[str] = ()) -> Mutation:
    """Try every mutant of a subject, or each so-manieth, or those whose names contain one of some texts."""
    chosen = SUBJECTS[subject]
    mutation = Mutation(chosen, every, named)
    # No one reads how a test failed, and to say it well takes longer than to notice.
    options = ["-n", "0", "-q", "-s", "--tb=no", "--assert=plain"]
    options += [f"--ds={chosen.settings}", "-p", "no:cacheprovider", "-o", "timeout=0", "--rootdir", str(ROOT)]
    keyword = ["-k", chosen.keyword] if chosen.keyword else []
    pytest.main([*options, *keyword, *(str(ROOT / test) for test in chosen.tests)], plugins=[mutation])
    if not mutation.tried:
        raise RuntimeError("no mutant was tried: see above")
    return mutation


def faults(mutation: Mutation) -> list[str]:
    """Return what is wrong: survivors that no one has explained, and explanations of what was noticed after all."""
    known = explained()
    wrong = [f"survived: {name}" for name in mutation.survivors if name not in known]
    noticed = set(mutation.tried) - set(mutation.survivors)
    return wrong + [f"explained, but noticed: {name}" for name in known if name in noticed]


def main(arguments: Sequence[str] | None = None) -> None:
    """Try the mutants of the named subjects."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.mutation", description=__doc__.splitlines()[0])
    parser.add_argument("subject", choices=[*SUBJECTS, "all"])
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each so-manieth only")
    parser.add_argument("--named", nargs="+", default=[], metavar="TEXT", help="those only whose names contain one")
    options = parser.parse_args(arguments)
    if options.subject == "all":  # each in a process of its own: pytest runs once in one
        same = ["--every", str(options.every), *(["--named", *options.named] if options.named else [])]
        command = [sys.executable, "-m", __spec__.name]
        codes = [os.spawnv(os.P_WAIT, sys.executable, [*command, name, *same]) for name in SUBJECTS]
        sys.exit(max(codes))
    mutation = mutate(options.subject, every=options.every, named=options.named)
    wrong = faults(mutation)
    survivors = len(mutation.survivors)
    print(f"{options.subject}: {len(mutation.tried)} mutants, {survivors} survived, {len(wrong)} unexplained")
    print("\n".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
