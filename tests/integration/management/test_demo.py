import io
import itertools
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections

from cleanup.management.demo_data import Mess, messes
from cleanup.models import Application, File, Folder, Hold, Run
from tests import ROOT
from tests.support import databases
from tests.support.trees import dump, execute, tree


def demo(database: str, *arguments: str) -> str:
    """Run the demonstration in this process and return what it says."""
    out = io.StringIO()
    call_command("cleanup_demo", *arguments, database=database, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def refused(database: str, *arguments: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        demo(database, *arguments)
    return caught.value


class TestStory:
    STEPS = ("Fill them", "Check", "Look at one", "Dry run", "Clean up", "now", "Verify", "Undo", "What to try next")

    def test_is_told_in_order_and_ends_well(self, database):
        out = demo(database, "--applications", "20")
        headings = [line for line in out.splitlines() if line[:1].isdigit() and ". " in line[:4]]
        assert len(headings) == len(self.STEPS)
        assert [step for step, heading in zip(self.STEPS, headings, strict=True) if step not in heading] == []
        assert "The verification passed: no errors." in out
        assert "every value is as it was" in out

    @pytest.mark.only("sqlite")  # where accounts are read from: the database "default"
    def test_makes_an_account_to_look_at_it_with(self, database):
        out = demo(database, "--applications", "5")
        (account, password), *_ = re.findall(r"sign in as (\w+) with the password (\S+)", out)
        assert out.index("qcluster") > out.index("runserver")
        user = User.objects.using(database).get(username=account)
        assert user.is_superuser
        assert user.check_password(password)

    def test_makes_no_account_beside_those_of_people(self, database):
        User.objects.db_manager(database).create_user("root")
        assert "sign in as" not in demo(database, "--applications", "5")

    def test_shows_one_application_before_and_after_in_plain_text(self, database):
        out = demo(database, "--applications", "5")
        before, after = out.split("The same application now")
        assert (before.count("─ Loan 2023-"), after.count("─ Loan 2023-")) == (3, 1)
        assert "\x1b" not in out
        assert [line for line in out.splitlines() if line != line.rstrip()] == []
        run = Run.objects.using(database).get(kind="cleanup")
        assert (run.status, Hold.objects.using(database).count()) == ("completed", 1)

    @pytest.mark.parametrize("seed", ["2", "3"])
    def test_ends_well_even_with_a_single_application(self, database, seed):
        assert "every value is as it was" in demo(database, "--applications", "1", "--seed", seed)


class TestFromNothing:
    def test_lifts_the_guards_of_a_database_that_was_migrated(self, scratch_database):
        call_command("migrate", database=scratch_database, verbosity=0)
        out = demo(scratch_database, "--applications", "5")
        assert "1. Lift the guards" in out
        assert "every value is as it was" in out

    def test_is_one_command_that_makes_the_tables_and_says_how_to_start_again(self, blank_database):
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DATABASE_URL": databases.url_of(blank_database),
        }
        done = subprocess.run(
            [sys.executable, "manage.py", "cleanup_demo", "--applications", "5"],
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.splitlines()[0].startswith("Database: ")
        assert f"{Path(sys.executable).name} manage.py database_cleanup --runs" in done.stdout
        out = done.stdout
        assert "1. Make the tables" in out
        assert Application.objects.using(blank_database).count() == 5
        name = connections[blank_database].settings_dict["NAME"]
        assert f"To start again, drop the database {name}" in out or f"rm -f {name} {name}-wal {name}-shm" in out


class TestRefusal:
    def test_of_a_database_that_holds_folders(self, database):
        tree(database, "Loan*2")
        before = dump(database, own=True)
        error = refused(database)
        assert (error.returncode, "already holds applications" in str(error)) == (3, True)
        assert dump(database, own=True) == before

    def test_of_a_second_demonstration(self, database):
        demo(database, "--applications", "2")
        assert refused(database).returncode == 3

    def test_of_the_tables_of_another_program(self, blank_database):
        execute(blank_database, "CREATE TABLE folders (id integer, name text)")
        execute(blank_database, "INSERT INTO folders VALUES (1, 'x')")
        assert refused(blank_database).returncode == 3

    def test_of_empty_tables_of_another_program_names_the_command(self, blank_database):
        execute(blank_database, "CREATE TABLE folders (id integer, name text)")
        error = refused(blank_database)
        assert (error.returncode, "migrate cleanup --fake-initial" in str(error)) == (2, True)

    def test_of_a_project_with_folders_of_its_own(self, database, settings):
        settings.CLEANUP_FOLDER_MODEL = "auth.Group"
        assert refused(database).returncode == 3

    def test_of_no_applications(self, database):
        assert refused(database, "--applications", "0").returncode == 2


@pytest.fixture(scope="module")
def made() -> list[Mess]:
    return list(messes(applications=300, seed=1))


class TestMess:
    def test_is_the_same_for_the_same_seed(self):
        keys = [[mess.application.pk for mess in messes(applications=3, seed=seed)] for seed in (7, 7, 8)]
        assert (keys[0] == keys[1], keys[0] == keys[2]) == (True, False)

    def test_has_one_to_four_roots(self, made):
        counts = Counter(mess.roots for mess in made)
        assert set(counts) == {1, 2, 3, 4}
        assert 90 <= 300 - counts[1] <= 180

    def test_has_thousands_of_folders_and_files(self, made):
        folders, files = (
            sum(len(rows) for rows in group) for group in zip(*((m.folders, m.files) for m in made), strict=True)
        )
        assert (folders > 3000, files > 5000) == (True, True)

    def test_has_folders_without_a_date(self, made):
        assert any(folder.created_at is None for mess in made for folder in mess.folders)

    def test_has_same_named_siblings(self, made):
        assert any(
            number > 1
            for mess in made
            for number in Counter((f.parent_id, f.name) for f in mess.folders if f.parent_id).values()
        )

    def test_has_two_files_of_one_name_in_a_folder(self, made):
        twice = sum(
            number > 1 for mess in made for number in Counter((f.folder_id, f.filename) for f in mess.files).values()
        )
        assert 0 < twice < 500

    def test_puts_a_folder_after_the_one_that_it_is_in(self, made):
        for mess in itertools.islice(made, 20):
            seen = {None}
            for folder in mess.folders:
                assert folder.parent_id in seen
                seen.add(folder.pk)

    def test_belongs_to_its_application_throughout(self, made):
        owners = {(mess.application.pk, row.application_id) for mess in made for row in (*mess.folders, *mess.files)}
        assert all(owner == application for owner, application in owners)

    def test_is_written_whole(self, database):
        demo(database, "--applications", "3")
        made = list(messes(applications=3, seed=1))
        assert File.objects.using(database).count() == sum(len(mess.files) for mess in made)
        assert Folder.objects.using(database).count() < sum(len(mess.folders) for mess in made)
