"""What in the data violates a guard: counted, with examples and the command that fixes it.

Reads only. Shows keys and numbers, never names.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import F

from cleanup import backends
from cleanup.backends.catalogue import TableName
from cleanup.backends.guards import LONGEST_NAME_BYTES, GuardSql, InstalledGuard
from cleanup.backends.query import Query, block, quoted
from cleanup.folder_tables import Ownership
from cleanup.guard_names import APP_LABEL, INDEXES, MADE_BY, Guard, on, putting
from cleanup.models import Result, RollbackPoint
from cleanup.references import Fault, faults_of_shape

EXAMPLES = 3

#: What is counted for a unique index, of one and of several, and what is wrong with it.
_APPLICATION = ("application has", "applications have")
_TREE = ("tree has", "trees have")
_EITHER = ("application or tree has", "applications or trees have")
_FOLDER = ("folder has same-named folders in it", "folders have same-named folders in them")

#: Of one, of several.
_PROBLEMS = {
    Guard.PARENT_APPLICATION: (
        "folder has a parent that is missing or of another application",
        "folders have a parent that is missing or of another application",
    ),
    Guard.FILE_APPLICATION: (
        "file is in a folder that is missing or of another application",
        "files are in a folder that is missing or of another application",
    ),
    Guard.OWN_PARENT: ("folder is its own parent", "folders are their own parents"),
    Guard.BLANK_NAME: ("folder has a blank name", "folders have blank names"),
}

#: The faults of the folder table with which a guard would be in place but guard nothing.
_EMPTY_UNDER = {
    Guard.ONE_ROOT: frozenset({"no_live_folder", "no_root_folder"}),
    Guard.ONE_NAME: frozenset({"no_live_folder"}),
}

_CLEAN_UP = "manage.py database_cleanup --cleanup{alias}"
_VERIFY = "manage.py database_cleanup --verify{alias}"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a guard cannot be put in place."""

    guard: str
    problem: str
    number: int
    examples: tuple[str, ...]
    command: str
    advice: str
    of_all: str = ""
    """What is wrong with the folder table as a whole; in that case nothing is counted."""

    def __str__(self) -> str:
        if self.of_all:
            return self.of_all
        some = "for example " if self.number > len(self.examples) else ""
        return f"{self.number:,} {self.problem} ({some}{', '.join(self.examples)}). {self.advice}"


def taken(sql: GuardSql, name: str, table: TableName) -> Obstacle | None:
    """Return which object of the host has the name of a guard, or supporting index, that is not in place yet."""
    others = tuple(sql.others_of_name(name, table))
    if not others:
        return None
    advice = "Rename it: it is left as it is, and a name cannot be used twice."
    problem = "other object has its name" if len(others) == 1 else "other objects have its name"
    return Obstacle(name, problem, len(others), others, putting(using=sql.session.connection.alias), advice)


def incomparable(sql: GuardSql, guard: Guard) -> Obstacle | None:
    """Return the column that no foreign key can compare with its key; SQLite's triggers compare anything."""
    if guard != Guard.FILE_APPLICATION or sql.triggers:
        return None
    if sql.tables.file is None or sql.file_table is None or sql.loose_files not in {"uuid", "integer"}:
        return None
    alias = on(sql.session.connection.alias)
    column, kind = sql.tables.file.folder, {"uuid": "uuid", "integer": "bigint"}[sql.loose_files]
    change = f"ALTER COLUMN {quoted(column)} TYPE {kind} USING {quoted(column)}::{kind};"
    return Obstacle(
        guard,
        f"column names folders by text, but their keys are of type {kind}",
        1,
        (f"{sql.file_table}.{column}",),
        f"manage.py migrate {APP_LABEL} {int(MADE_BY[guard][:4]) - 1:04}{alias}",
        f"Change its type: ALTER TABLE {sql.file_table.quoted} {change} "
        f"Or leave this guard and those after it out: "
        f"manage.py migrate {APP_LABEL} {int(MADE_BY[guard][:4]) - 1:04}{alias} .",
    )


def obstacle(sql: GuardSql, guard: Guard, *, there: Mapping[Guard, InstalledGuard] | None = None) -> Obstacle | None:
    """Return what prevents a guard that is not in place: the data, or an object of its name; None if nothing.

    ``there`` are the guards in place, if they have just been read.
    """
    found = incomparable(sql, guard)
    if found is not None:
        return found
    alias = on(sql.session.connection.alias)
    standing = (sql.standing() if there is None else there).get(guard)
    if (standing is None or not standing.ours) and (occupied := taken(sql, guard, sql.table_of(guard))):
        return occupied
    fault = _fault(sql, guard)
    if fault is not None:
        command = f"manage.py database_cleanup --preflight{alias}"
        return Obstacle(guard, fault.code, 0, (), command, "", of_all=fault.message)
    number, examples = _count(sql, sql.offenders(guard))
    if number:
        problem = _problem(sql, guard, several=number != 1)
        if guard in INDEXES:
            command = _CLEAN_UP.format(alias=alias)
            advice = f"Merge them with: {command} ({_VERIFY.format(alias=alias)} lists what it leaves alone)."
        else:
            command = _VERIFY.format(alias=alias)
            advice = f"This lists all, and the repair: {command} ."
        return Obstacle(guard, problem, number, examples, command, advice)
    too_long = sql.too_long_names(guard)
    if too_long is not None:
        number, examples = _count(sql, too_long)
        if number:
            problem = f"{'folder has a name' if number == 1 else 'folders have names'} of over {LONGEST_NAME_BYTES:,}"
            advice = "No index in PostgreSQL can hold these: shorten them, or leave out this guard and those after it."
            return Obstacle(guard, f"{problem} bytes", number, examples, _VERIFY.format(alias=alias), advice)
    return None


def _problem(sql: GuardSql, guard: Guard, *, several: bool) -> str:
    """Return what is wrong with one, or several, of what is counted for a guard."""
    if guard not in INDEXES:
        return _PROBLEMS[guard][several]
    ownership = sql.tables.ownership
    if guard == Guard.ONE_NAME:
        if ownership != Ownership.FOLDER:  # what is counted are the parents
            return _FOLDER[several]
        return f"{_APPLICATION[several]} same-named folders side by side"
    owner = {Ownership.TREE: _TREE, Ownership.SHARED: _EITHER}.get(ownership, _APPLICATION)
    alike = " with the same name" if sql.roots_by_name and ownership != Ownership.TREE else ""
    return f"{owner[several]} several root folders{alike}"


def _fault(sql: GuardSql, guard: Guard) -> Fault | None:
    """Return why a unique index would apply to no folder at all."""
    if guard not in _EMPTY_UNDER:
        return None
    using = sql.session.connection.alias
    described = backends.database(using=using).catalogue.describe_columns([sql.folder_table])
    faults = faults_of_shape(using=using, folders=described.get(sql.folder_table))
    return next((fault for fault in faults if fault.code in _EMPTY_UNDER[guard]), None)


def _count(sql: GuardSql, offenders: Query) -> tuple[int, tuple[str, ...]]:
    """Return the number of offenders and the first of them."""
    ((number,),) = sql.fetch(block("SELECT count(*) FROM ({offenders}) AS o", offenders=offenders))
    if not number:
        return 0, ()
    some = sql.fetch(
        block("SELECT offender FROM ({offenders}) AS o ORDER BY 1 LIMIT {most}", offenders=offenders, most=EXAMPLES)
    )
    return number, tuple(str(key) for (key,) in some)


def points_bound_by(sql: GuardSql, guard: Guard) -> int:
    """Count the live rollback points whose undoing the guard forbids, or of same-named folders may forbid."""
    connection = sql.session.connection
    if RollbackPoint._meta.db_table not in connection.introspection.table_names():  # before the first migrate
        return 0
    merged = Result.objects.using(connection.alias).filter(
        point__status=RollbackPoint.Status.LIVE, point__kind=RollbackPoint.Kind.CLEANUP
    )
    if guard == Guard.ONE_ROOT:
        return merged.filter(folders_removed__gt=F("child_folders_merged")).count()
    if guard == Guard.ONE_NAME:
        return merged.filter(child_folders_merged__gt=0).count()
    return 0


def told_points(number: int) -> str:
    """Describe what becomes of rollback points, in a sentence; empty if there are none."""
    if not number:
        return ""
    points = "1 live rollback point" if number == 1 else f"{number:,} live rollback points"
    return f"With the guard, {points} can be undone only as copies, or after lifting it."
