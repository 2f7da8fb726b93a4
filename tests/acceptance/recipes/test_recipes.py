"""Programs that many people use: the settings that the manual gives for each clean their tables up, and back."""

import io
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest
from django.core.management import call_command

from tests.acceptance import hosts
from tests.acceptance.recipes.recipe import Recipe
from tests.support import databases
from tests.support.manual import section
from tests.support.trees import execute
from tests.test_project import ROOT

FILES = sorted(Path(__file__).parent.glob("[a-z]*.py"))
RECIPES = [
    import_module(f"tests.acceptance.recipes.{file.stem}").RECIPE
    for file in FILES
    if file.stem not in {"recipe", "test_recipes", "trial"}
]


def recipes(those: list[Recipe]):
    return pytest.mark.parametrize("recipe", those, ids=lambda recipe: recipe.program)


def make(directory: Path, recipe: Recipe, database: str) -> hosts.Host:
    """Fill the database, and write the project that the manual describes."""
    for statement in filter(str.strip, dedent(recipe.sql).split(";\n")):
        execute(database, statement.replace("%", "%%"))
    models = recipe.models
    if recipe.tables:
        call_command("inspectdb", *recipe.tables, database=database, stdout=(inspected := io.StringIO()))
        models = recipe.models_from(inspected.getvalue())
    for name in ("fill", "still"):
        if program := getattr(recipe, name):
            (directory / f"{name}.py").write_text(dedent(program), encoding="utf-8")
    apps = f"INSTALLED_APPS[0:0] = {list(recipe.apps)!r}\n"
    return hosts.make(
        directory,
        url=databases.url_of(database),
        base=hosts.PROJECT + apps,
        settings=recipe.settings,
        models=models,
    )


def tried(host: hosts.Host) -> dict:
    """Return what happened, from preflight to the undo."""
    environment = {
        **os.environ,
        "DATABASE_URL": host.url,
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTHONPATH": os.pathsep.join([str(host.directory), str(ROOT)]),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.acceptance.recipes.trial"],
        check=False,
        cwd=host.directory,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_works(recipe: Recipe, happened: dict) -> None:
    assert not happened["refusal"], happened["refusal"]
    assert happened["--preflight"]["ok"] is True
    assert happened["looking changed"] is False
    announced, cleaned = happened["--dry-run"], happened["--cleanup"]
    results = [report["results"] for report in (announced, cleaned)]
    for what in ("moved", "removed"):
        assert total(results[0], what) == total(results[1], what)
    assert happened["left"] == list(recipe.left)
    assert total(results[1], "moved") == dict(recipe.moved)
    assert total(results[1], "removed") == dict(recipe.merged_links)
    assert [finding["code"] for finding in happened["--verify"]["findings"]] == list(recipe.findings)
    assert happened["different"] == {}


def total(results: list[dict], what: str) -> dict[str, int]:
    """Add up what was done to each table."""
    sums: dict[str, int] = {}
    for result in results:
        for table, number in result["details"].get(what, {}).items():
            sums[table.removeprefix("public.")] = sums.get(table.removeprefix("public."), 0) + number
    return sums


@pytest.mark.only("sqlite")
@recipes([recipe for recipe in RECIPES if recipe.left and recipe.vendor == "sqlite"])
def test_clean_up_on_sqlite(tmp_path, blank_database, recipe):
    assert_works(recipe, tried(make(tmp_path, recipe, blank_database)))


@pytest.mark.only("postgresql")
@recipes([recipe for recipe in RECIPES if recipe.refusal])
def test_are_refused_in_a_sentence(tmp_path, blank_database, recipe):
    happened = tried(make(tmp_path, recipe, blank_database))
    assert recipe.refusal in happened["refusal"]
    assert "Traceback" not in happened["refusal"]


@pytest.mark.only("postgresql")
@recipes([recipe for recipe in RECIPES if recipe.left and recipe.vendor == "postgresql"])
def test_clean_up_on_postgresql(tmp_path, blank_database, recipe):
    assert_works(recipe, tried(make(tmp_path, recipe, blank_database)))


class TestManual:
    def rows(self) -> dict[str, tuple[str, str]]:
        return {
            row[0]: row[1:]
            for row in re.findall(r"^\| (.+?) \| (`.*?) \| ?(.*?) ?\|$", section("Recipes"), re.MULTILINE)
        }

    def test_has_the_settings_that_are_tried(self):
        known = {recipe.program: spans(recipe.settings.splitlines()) for recipe in RECIPES}
        assert {program: settings for program, (settings, _) in self.rows().items()} == known

    def test_has_the_foreign_keys_to_write_or_the_refusal(self):
        keys = {
            recipe.program: spans(f"{place}: {target}" for place, target in recipe.foreign_keys.items())
            if recipe.left
            else recipe.refusal
            for recipe in RECIPES
        }
        assert {program: last for program, (_, last) in self.rows().items()} == keys


def spans(lines) -> str:
    return "<br>".join(f"`{line.strip()}`" for line in lines if line.strip())
