"""Random schemas of other programs: refused by name before anything changes, or cleaned up as announced, and undone.

As many on each database as ``CLEANUP_TEST_SCHEMAS`` says; a test's id is its first seed.
"""

import os
import random
from collections import Counter
from dataclasses import dataclass

import pytest
from django.db import connections

from cleanup.exceptions import PreflightFailed
from cleanup.services import DatabaseCleanupService
from cleanup.services.results import Progress
from tests.support import databases, promises
from tests.support.schemas import Schema, fill, random_schema
from tests.support.trees import dump, execute, fetch, is_postgresql, key_type

pytestmark = pytest.mark.slow

SCHEMAS = int(os.environ.get("CLEANUP_TEST_SCHEMAS", "100"))
#: Schemas of one test: many, since each has a database of its own, and few, so that several processes share them.
PER_TEST = 10


@pytest.mark.mapped_models("tables are made around the mapped ones, which have keys of one type")
@pytest.mark.parametrize("first", range(0, SCHEMAS, PER_TEST))
def test_are_refused_by_name_or_merged_and_undone(database, settings, first):
    ends: Counter[str] = Counter()
    for seed in range(first, min(first + PER_TEST, SCHEMAS)):
        with databases.scratch_copy(database):
            made = random_schema(database, seed)
            for name, value in made.settings.items():
                setattr(settings, name, value)
            fill(database, made)
            try:
                ends[keeps_promises(database, made)] += 1
            except Exception as error:
                error.add_note(f"-- seed {seed}\n{made.describe()}")
                raise
        for name in made.settings:
            delattr(settings, name)
    assert ends["merged"] >= PER_TEST // 2, ends


def keeps_promises(database: str, made: Schema) -> str:
    """Try it, and return how it ended: refused, or merged and undone."""
    kept = promises.keep(database)
    if kept.refusal is None:
        return "merged"
    named = {problem.table.rpartition(".")[2] for problem in kept.refusal.data["problems"]}
    assert named <= {part.name for part in made.referrers}
    return "refused"


# --- With deploys in between


@pytest.mark.mapped_models("tables are made around the mapped ones, which have keys of one type")
@pytest.mark.parametrize("first", range(0, SCHEMAS, 10 * PER_TEST))
def test_survive_deploys_between_batches(database, settings, first):
    """Tables, columns, indexes and triggers come while a run is at work: nothing is lost, or it stops and says why."""
    for seed in range(first, min(first + PER_TEST, SCHEMAS)):
        with databases.scratch_copy(database):
            made = random_schema(database, seed)
            for name, value in made.settings.items():
                setattr(settings, name, value)
            fill(database, made)
            try:
                survives_deploys(database, made, random.Random(seed))
            except Exception as error:
                error.add_note(f"-- seed {seed}\n{made.describe()}")
                raise
        for name in made.settings:
            delattr(settings, name)


def survives_deploys(database: str, made: Schema, rng: random.Random) -> None:
    service = DatabaseCleanupService(using=database)
    before = picture(database, columns_of(database))
    deploys = [Deploy(database, made, rng, number) for number in range(2)]
    coming = dict(enumerate(deploys, start=1))

    def progress(state: Progress) -> None:
        if deploy := coming.pop(state.done, None):
            deploy.come()

    try:
        report = service.cleanup_all_duplicate_folders(batch_size=1, progress=progress)
    except PreflightFailed:
        return
    while report.status == "paused":
        stopping = [deploy for deploy in deploys if deploy.stops and deploy.name in report.status_reason]
        assert stopping, report.status_reason
        for deploy in stopping:
            deploy.take_back()
        report = service.resume(report.run_id, progress=progress)
    assert report.status == "completed"
    undone = service.rollback_cleanup(report.run_id)
    assert undone.exact, undone
    assert picture(database, before.columns) == before
    for deploy in deploys:
        assert picture(database, deploy.after.columns) == deploy.after


@dataclass(frozen=True, slots=True)
class Picture:
    """Rows of some tables, in some columns."""

    columns: dict[str, list[str]]
    rows: dict[str, list[tuple]]


def columns_of(database: str, *tables: str) -> dict[str, list[str]]:
    """Return the columns of tables, by default of all but the product's own."""
    found = {}
    with connections[database].cursor() as cursor:
        for table in tables or dump(database):
            cursor.execute(f"SELECT * FROM {table} LIMIT 0")
            found[table] = [column[0] for column in cursor.description]
    return found


def picture(database: str, columns: dict[str, list[str]]) -> Picture:
    """Read the columns."""
    return Picture(
        columns,
        {
            table: sorted(fetch(database, f"SELECT {', '.join(names)} FROM {table}"), key=repr)
            for table, names in columns.items()
        },
    )


class Deploy:
    """A change of the host's tables."""

    def __init__(self, database: str, made: Schema, rng: random.Random, number: int) -> None:
        self.database, self.name, self.stops = database, f"new{number}", rng.random() < 0.2
        self.after = Picture({}, {})
        part = rng.choice([":folders", ":files", *(part.name for part in made.referrers)])
        action = rng.choice(["", "ON DELETE CASCADE", "ON DELETE RESTRICT"])
        key = key_type(database)
        columns = f"id integer PRIMARY KEY, folder {key} REFERENCES :folders {action}, word text"
        rows = "SELECT row_number() OVER (ORDER BY :folders.key), :folders.key, 'important' FROM :folders"
        table = [f"CREATE TABLE {self.name} ({columns})", f"INSERT INTO {self.name} {rows}"]
        column = [f"ALTER TABLE {part} ADD COLUMN {self.name} varchar(20) DEFAULT 'x'"]
        index = [f"CREATE INDEX {self.name} ON :folders (:folders.name)"]
        self.statements = self._trigger() if self.stops else rng.choice([table, table, column, index])
        self.makes_table = self.statements is table

    def come(self) -> None:
        """Deploy, and remember what is in a new table."""
        for statement in self.statements:
            execute(self.database, statement)
        if self.makes_table:
            self.after = picture(self.database, columns_of(self.database, self.name))

    def take_back(self) -> None:
        """Remove what stops the run."""
        self.stops = False
        execute(self.database, f"DROP TRIGGER {self.name}{' ON :files' if is_postgresql(self.database) else ''}")

    def _trigger(self) -> list[str]:
        if is_postgresql(self.database):
            return [
                f"CREATE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
                f"CREATE TRIGGER {self.name} BEFORE UPDATE ON :files FOR EACH ROW EXECUTE FUNCTION {self.name}()",
            ]
        body = "UPDATE :files SET :files.name = 'seen' WHERE 0"
        return [f"CREATE TRIGGER {self.name} AFTER UPDATE ON :files BEGIN {body}; END"]
