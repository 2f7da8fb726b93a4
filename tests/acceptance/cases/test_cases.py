"""Databases of other programs: each is merged as announced and undone to the byte, or refused by name.

A case is two files: what the program adds, in plain SQL, and what is to be expected, in words and in terms that are
compared. Most add to ``base.sql``; ``tables = "own"`` begins with an empty database, which is then adopted.

    words     the case, as a user would tell it
    only      the one database that has such a thing
    trials    with these settings, this happens:
      when      the settings in words
      settings  as they stand in a settings module
      stops     the answer is no, in these words, and nothing is changed
      warns     the answer is yes, with these words
      merges    the applications that are cleaned up, by the last digits of their keys
      refuses   the applications that are left as they are, and the words that say why
      never     queries that return nothing after the merge: what would be wrong
      finds     what verification still has to say, beside missing guards
      between   SQL: what people or a deploy do between the cleanup and its undo
      keeps     the undo of 01 is refused, in these words, until that is taken back
      back      SQL that takes it back, before an undo that was refused, else after it: then every row is as it was

``host`` in place of trials: another program's own models, written by ``inspectdb``, from the command line.
"""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.db import connections

from cleanup.exceptions import CleanupError
from cleanup.services import CleanupReport, DatabaseCleanupService
from tests.acceptance.recipes import test_recipes as recipes
from tests.acceptance.recipes.recipe import Recipe
from tests.support import databases, promises
from tests.support.trees import dump, fetch

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What happens with some settings."""

    when: str = "as it is"
    settings: str = ""
    adopts: str = ""
    """How its tables are refused before they are adopted."""
    stops: tuple[str, ...] = ()
    warns: tuple[str, ...] = ()
    merges: tuple[str, ...] = ("01", "03")
    refuses: dict[str, list[str]] = field(default_factory=dict)
    never: tuple[str, ...] = ()
    finds: tuple[str, ...] = ()
    between: str = ""
    keeps: tuple[str, ...] = ()
    back: str = ""


def cases(part: str, vendor: str) -> list:
    """Return the cases that have the part, for one database, as parameters of a test."""
    found = []
    for file in sorted(HERE.glob("*.toml")):
        case = tomllib.loads(file.read_text(encoding="utf-8"))
        if case.get("only", vendor) != vendor:
            continue
        found += [
            pytest.param(file.with_suffix(".sql"), case.get("tables", ""), piece, id=f"{file.stem}-{number}")
            for number, piece in enumerate(case.get(part, []), start=1)
        ]
    return found


def carry_out(database: str, script: str) -> None:
    """Carry out SQL, as psql or sqlite3 would; ``:key`` is the type of keys."""
    postgresql = connections[database].vendor == "postgresql"
    with connections[database].cursor() as cursor:
        run = cursor.execute if postgresql else cursor.executescript
        run(script.replace(":key", "uuid" if postgresql else "char(32)"))


def adopt(database: str) -> None:
    """Adopt the tables by the one command."""
    call_command("migrate", "cleanup", database=database, fake_initial=True, verbosity=0, skip_checks=False)


def try_out(database: str, file: Path, tables: str, trial: Trial, settings: Any) -> None:
    """Make the database, and see that all comes as expected."""
    exec(trial.settings, {}, wanted := {})
    for name, value in wanted.items():
        setattr(settings, name, value)
    with databases.blank(database) if tables == "own" else databases.scratch_copy(database):
        if tables != "own":
            carry_out(database, (HERE / "base.sql").read_text(encoding="utf-8"))
        carry_out(database, file.read_text(encoding="utf-8"))
        if trial.adopts:
            with pytest.raises((CommandError, SystemCheckError), match=trial.adopts):
                adopt(database)
            return
        if tables == "own":
            adopt(database)
        assert_kept(database, trial)


def assert_kept(database: str, trial: Trial) -> None:
    report = DatabaseCleanupService(using=database).preflight()
    assert_said(trial.stops, report["problems"])
    assert_said(trial.warns, report["warnings"])
    kept = promises.keep(
        database,
        merged=lambda done: assert_merged(database, trial, done),
        meanwhile=lambda done: meanwhile(database, trial, done),
    )
    if trial.stops:
        assert kept.refusal is not None
        said = {problem.message for problem in kept.refusal.data["problems"]}
        assert said <= {problem["message"] for problem in report["problems"]}
    else:
        assert kept.refusal is None, kept.refusal


@contextmanager
def meanwhile(database: str, trial: Trial, done: CleanupReport) -> Iterator[None]:
    """Let the step between happen, and take it back."""
    if not trial.between:
        yield
        return
    carry_out(database, trial.between)
    if trial.keeps:
        (point,) = (result.rollback_id for result in done.results if result.application_id[-2:] == "01")
        assert_undo_refused(database, trial, point)
        carry_out(database, trial.back)
    yield
    if not trial.keeps:
        carry_out(database, trial.back)


def assert_undo_refused(database: str, trial: Trial, point: UUID | None) -> None:
    """Check that preview and undo say the same against it, and that nothing is changed."""
    service, before = DatabaseCleanupService(using=database), dump(database)
    with pytest.raises(CleanupError) as refused:
        service.rollback_cleanup(point)
    assert dump(database) == before
    foreseen = ""
    try:
        conflicts = service.preview_rollback(point).conflicts
    except CleanupError as error:
        foreseen, conflicts = str(error), ()
    assert foreseen in {"", str(refused.value)}
    assert set(conflicts) == set(getattr(refused.value, "conflicts", ()))
    named = [" ".join((one.code, one.table, one.key, one.column or one.constraint)) for one in conflicts]
    assert_said(trial.keeps, [{"message": sentence} for sentence in (str(refused.value), *named)])


def assert_said(words: tuple[str, ...], documents: list[dict]) -> None:
    said = "\n".join(document["message"] for document in documents)
    assert [word for word in words if word not in said] == [], said


def assert_merged(database: str, trial: Trial, done: CleanupReport) -> None:
    results = {result.application_id[-2:]: result for result in done.results}
    assert {key for key, result in results.items() if result.status == "completed"} == set(trial.merges)
    assert {key for key, result in results.items() if result.status != "completed"} == set(trial.refuses)
    for key, words in trial.refuses.items():
        assert_said(tuple(words), [{"message": results[key].error_message}])
    for query in trial.never:
        assert fetch(database, query.replace("%", "%%")) == []
    findings = DatabaseCleanupService(using=database).verify_cleanup_integrity()["findings"]
    left = [finding for finding in findings if (finding["application_id"] or "")[-2:] not in trial.refuses]
    assert {finding["code"] for finding in left} - {"guards_missing"} == set(trial.finds), left


@pytest.mark.mapped_models("the cases add to the mapped tables")
class TestCases:
    @pytest.mark.only("postgresql")
    @pytest.mark.parametrize(("file", "tables", "trial"), cases("trials", "postgresql"))
    def test_on_postgresql(self, database, settings, file, tables, trial):
        try_out(database, file, tables, Trial(**trial), settings)

    @pytest.mark.only("sqlite")
    @pytest.mark.parametrize(("file", "tables", "trial"), cases("trials", "sqlite"))
    def test_on_sqlite(self, database, settings, file, tables, trial):
        try_out(database, file, tables, Trial(**trial), settings)

    @pytest.mark.only("postgresql")
    @pytest.mark.parametrize(("file", "tables", "host"), cases("host", "postgresql"))
    def test_from_the_command_line(self, tmp_path, blank_database, file, tables, host):
        recipe = Recipe(program=file.stem, sql=file.read_text(encoding="utf-8"), **host)
        happened = recipes.tried(recipes.make(tmp_path, recipe, blank_database))
        if recipe.refusal:
            assert recipe.refusal in happened["refusal"]
        else:
            recipes.assert_works(recipe, happened)
