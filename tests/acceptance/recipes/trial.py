"""Try a recipe from the first command to the undo, in a process with its settings, and print what happened as JSON."""

import io
import json
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db.models import CharField, Value

OWN = ("cleanup_", "django_", "auth_permission", "sqlite_")


class Trial:
    """Carries out commands until one is refused; the checks before one stand for those before the next."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.refusal = ""

    def command(self, *words: str, checked: bool = True) -> bool:
        """Carry out a command, and keep its document."""
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command(*words, stdout=out, stderr=err, skip_checks=not checked)
        except SystemExit:
            self.refusal = told(json.loads(out.getvalue()))
        except CommandError as error:
            self.refusal = f"{error}\n{out.getvalue()}"
        if "--json" in words and not self.refusal:
            self.documents[words[1]] = json.loads(out.getvalue())
        return not self.refusal

    def database_cleanup(self, *words: str, checked: bool = True) -> bool:
        """Carry out a verb."""
        return self.command("database_cleanup", *words, "--json", checked=checked)

    def look(self) -> bool:
        """Ask whether it can be done, and what would be."""
        before = rows()
        able = self.database_cleanup("--preflight") and self.database_cleanup("--dry-run", checked=False)
        self.documents["looking changed"] = before != rows()
        return able

    def clean_and_undo(self) -> bool:
        """Merge, verify, guard, lift the guards, undo."""
        before = rows()
        if not self.database_cleanup("--cleanup", "--no-input"):
            return False
        self.documents["left"] = paths()
        carry_out("still.py")
        run = self.documents["--cleanup"]["run_id"]
        return (
            self.command("migrate", "cleanup_guards", "--verbosity", "0")
            and self.database_cleanup("--verify")
            and self.command("migrate", "cleanup_guards", "zero", "--verbosity", "0", checked=False)
            and self.database_cleanup("--rollback", run, "--no-input", checked=False)
            and self._compare(before)
        )

    def _compare(self, before: dict[str, list[str]]) -> bool:
        after = rows()
        self.documents["different"] = {
            table: [before.get(table), after.get(table)]
            for table in sorted({*before, *after})
            if before.get(table) != after.get(table)
        }
        return True


def carry_out(name: str) -> None:
    """Carry out a program of the recipe, if it has it."""
    if Path(name).exists():
        exec(Path(name).read_text(encoding="utf-8"), {})


def told(document: dict[str, Any]) -> str:
    """Return what a document says against going on."""
    results = [result.get("error_message", "") for result in document.get("results", ())]
    return "\n".join([problem["message"] for problem in document.get("problems", ())] + results)


def rows() -> dict[str, list[str]]:
    """Return every row of every table but ours."""
    from tests.support import databases

    found = databases.rows("default")
    return {table: sorted(map(repr, found[table])) for table in found if not table.startswith(OWN)}


def paths() -> list[str]:
    """Return the folders as paths."""
    from cleanup import conf

    model = apps.get_model(conf.folder_model())
    above, called = (conf.folder_fields()[part] for part in ("parent", "name"))
    folders = model._base_manager.values_list("pk", above or Value(None, output_field=CharField()), called)
    known = {key: (parent, name) for key, parent, name in folders}

    def path(key: object) -> str:
        parent, name = known[key]
        return name if parent not in known else f"{path(parent)}/{name}"

    return sorted(map(path, known))


def main() -> None:
    """Try it."""
    django.setup()
    trial = Trial()
    if Path("fill.py").exists():
        call_command("migrate", run_syncdb=True, verbosity=0)
        call_command("migrate", "cleanup_guards", "zero", verbosity=0)
        carry_out("fill.py")
    able = trial.command("migrate", "cleanup", "--verbosity", "0") and trial.look()
    if able:
        trial.clean_and_undo()
    print(json.dumps({**trial.documents, "refusal": trial.refusal}))


if __name__ == "__main__":
    main()
