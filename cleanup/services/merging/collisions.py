"""Decide what becomes of rows that would collide when folders are replaced.

``foresee`` reads the rows that would meet in a rule of their table (``cleanup.backends.collisions``), settles who keeps
a place, and finds names and numbers for those that may take another. Nothing is written. What it decides is what a dry
run announces and what a cleanup does.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from cleanup import conf
from cleanup.backends import Database
from cleanup.backends.catalogue import PARTITIONS, Check, TableName, UniqueKey, mentions
from cleanup.backends.changes import Cell, Keys, Pairs, Replaced, Target
from cleanup.backends.collisions import Change, Judged, Met
from cleanup.exceptions import Collision, InvalidKey
from cleanup.folder_tables import FolderTables
from cleanup.numbering import free_name, free_number, loose
from cleanup.references import Policy, ReferenceMap
from cleanup.references.key_types import kind_of
from cleanup.references.policies import Way

#: Rows that a message names.
_SHOWN = 3

_LENGTH = re.compile(r"char[^(]*\((\d+)\)", re.IGNORECASE)

_LARGEST = {"smallint": 2**15 - 1, "int2": 2**15 - 1, "integer": 2**31 - 1, "int4": 2**31 - 1}


class GivingWay(NamedTuple):
    """A row that is removed into the snapshot."""

    table: TableName
    key: tuple[str, ...]
    moves: int
    """How many references of it would have moved."""


class Renumbered(NamedTuple):
    """A row that takes another name or number."""

    table: TableName
    way: Way
    column: str
    row: Replaced


@dataclass(slots=True)
class Obstacle:
    """Rows of one application that collide in one rule, and what could be done."""

    table: TableName
    rule: UniqueKey | Check
    rows: list[tuple[Met, Met | None]] = field(default_factory=list)
    """Each with the row that is in its way, where it is known."""
    policy: Any = None
    """The setting for the table that lets the application be cleaned up, where there is one."""
    numbered: bool = False
    """Another name or number was tried."""


@dataclass(slots=True)
class Foreseen:
    """What becomes of the colliding rows of one application."""

    giving_way: list[GivingWay] = field(default_factory=list)
    renumbered: list[Renumbered] = field(default_factory=list)
    obstacles: dict[tuple[TableName, str], Obstacle] = field(default_factory=dict)

    def obstacle(self, table: TableName, rule: UniqueKey | Check) -> Obstacle:
        """Return the obstacle of a rule."""
        return self.obstacles.setdefault((table, rule.name), Obstacle(table, rule))


class Collisions:
    """Foresees collisions on one database; made once per run."""

    def __init__(self, *, references: ReferenceMap, backend: Database, tables: FolderTables) -> None:
        self.references = references
        self.backend = backend
        self.tables = tables
        self.sql = backend.collisions
        self._kept = {references.folders.name, references.files.name}
        self.ruled = tuple(dict.fromkeys(r.table for r in references.references if references.ruled(r.table)))
        """The tables of which rows may collide."""

    def foresee(self, changes: Mapping[TableName, Sequence[Change]], *, spare: Sequence[Cell]) -> dict[int, Foreseen]:
        """Return what becomes of colliding rows, by point; ``spare`` are folders that are about to be removed."""
        found: defaultdict[int, Foreseen] = defaultdict(Foreseen)
        judged = [self._judged(table, changes[table], spare) for table in self.ruled if changes.get(table)]
        for table, met in self._met(judged):
            self._settle(table, met, found)
        self._verify(judged, found)
        self._refuse_referenced(found)
        for foreseen in found.values():
            for obstacle in foreseen.obstacles.values():
                obstacle.policy = self._remedy(obstacle) if obstacle.policy is None else obstacle.policy
        return dict(found)

    def _met(self, judged: Sequence[Judged]) -> Iterator[tuple[Judged, list[Met]]]:
        by_table: defaultdict[int, list[Met]] = defaultdict(list)
        for met in self.sql.met(judged):
            by_table[met.table].append(met)
        for number, rows in sorted(by_table.items()):
            yield judged[number], rows

    # What to ask.

    def _judged(self, name: TableName, changes: Sequence[Change], spare: Sequence[Cell]) -> Judged:
        table, policy = self.references.tables[name], self._policy(name)
        key = table.row_key or ()
        changed = table.dependent(column for change in changes for column in change.columns)
        uniques = tuple(unique for unique in table.uniques if changed & set(unique.columns))
        stored = tuple(column.name for column in table.columns if not column.generated)
        compared: tuple[str, ...] = ()
        if self.references.links(name):
            surrogate = set() if set(key) & changed else set(key)
            compared = tuple(column for column in stored if column not in surrogate)
        told = [column for _, column in policy.changes]
        if name == self.references.folders.name:
            told.append(self.tables.folder_application)
        siblings = {}
        for number, unique in enumerate(uniques):
            way = self._way(name, unique)
            shared = way and tuple(
                place for place, part in enumerate(unique.parts) if not self._depends(name, part, way[1])
            )
            if shared:
                siblings[number] = shared
        return Judged(
            table=table,
            key=key,
            changes=tuple(changes),
            uniques=uniques,
            exclusions=tuple(rule for rule in table.exclusions if changed & set(rule.columns)),
            checks=tuple(rule for rule in table.checks if changed & set(rule.columns)),
            spare=spare if name == self.references.folders.name else (),
            compared=compared,
            told=tuple(told),
            siblings=siblings,
        )

    def _policy(self, table: TableName) -> Policy:
        return self.references.policies.get(table, Policy())

    def _way(self, table: TableName, rule: UniqueKey | Check) -> tuple[Way, str] | None:
        """Return which column's other value would take a row out of the others' way, as the policy says."""
        if isinstance(rule, Check):
            return None
        described = self.references.tables[table]
        for way, column in self._policy(table).changes:
            if described.dependent([column]) & set(rule.columns):
                return way, column
        return None

    def _depends(self, table: TableName, part: str, column: str) -> bool:
        dependent = self.references.tables[table].dependent([column])
        return any(mentions(part, name) for name in dependent)

    # Who keeps a place.

    def _settle(self, judged: Judged, met: Sequence[Met], found: defaultdict[int, Foreseen]) -> None:
        name, policy = judged.table.name, self._policy(judged.table.name)
        giving_way = policy.keep_survivor and name not in self._kept
        numbers = _Numbers(self, judged, met)
        for row, meetings in Places(met).losing():
            foreseen = found[row.point or 0]
            ways = [self._way(name, judged.rules[mine.rule]) for mine, _ in meetings]
            twin = any(other is not None and other.body == mine.body for mine, other in meetings)
            if (judged.compared and twin) or giving_way:
                foreseen.giving_way.append(GivingWay(name, row.key, row.moves))
                continue
            if all(ways):
                renumbered = [numbers.find(row, way) for way in dict.fromkeys(way for way in ways if way)]
                if all(renumbered):
                    foreseen.renumbered += [one for one in renumbered if one]
                    continue
            for (mine, other), way in zip(meetings, ways, strict=True):
                obstacle = foreseen.obstacle(name, judged.rules[mine.rule])
                obstacle.rows.append((mine, other))
                obstacle.numbered |= way is not None

    def _verify(self, judged: Sequence[Judged], found: defaultdict[int, Foreseen]) -> None:
        """Look at the images again with the names and numbers that were found: no rule may be broken by them."""
        given: defaultdict[TableName, list[Renumbered]] = defaultdict(list)
        leaving = {(one.table, one.key) for foreseen in found.values() for one in foreseen.giving_way}
        for foreseen in found.values():
            for one in foreseen.renumbered:
                given[one.table].append(one)
        again = [self._with_numbers(table, given[table.table.name]) for table in judged if table.table.name in given]
        for table, met in self._met(again):
            name = table.table.name
            staying = [row for row in met if (name, row.key) not in leaving]
            for row, meetings in Places(staying).losing():
                refused = found[row.point or 0]
                if refused.obstacles:
                    continue
                for mine, other in meetings:
                    obstacle = refused.obstacle(name, table.rules[mine.rule])
                    obstacle.rows.append((mine, other))
                    obstacle.numbered = True

    def _with_numbers(self, judged: Judged, given: Sequence[Renumbered]) -> Judged:
        """Return what to ask when rows take other names or numbers; all rules that these touch are asked again."""
        by_column: defaultdict[str, list[Replaced]] = defaultdict(list)
        for one in given:
            by_column[one.column].append(one.row)
        changes = [*judged.changes]
        for column, rows in by_column.items():
            width = range(len(judged.key))
            pairs = Pairs(
                [row.point for row in rows],
                tuple([row.key[place] for row in rows] for place in width),
                tuple([row.new if not place else None for row in rows] for place in width),
                [0] * len(rows),
            )
            changes.append(Change(Target(judged.table, judged.key, judged.key, pairs), (column,)))
        return replace(self._judged(judged.table.name, changes, judged.spare), siblings={})

    # What cannot be.

    def _refuse_referenced(self, found: Mapping[int, Foreseen]) -> None:
        """Refuse to remove rows that others reference, and do not offer it."""
        leaving: defaultdict[TableName, list[tuple[int, tuple[str, ...]]]] = defaultdict(list)
        for point, foreseen in found.items():
            for one in foreseen.giving_way:
                leaving[one.table].append((point, one.key))
            for obstacle in foreseen.obstacles.values():
                leaving[obstacle.table] += [(point, mine.key) for mine, _ in obstacle.rows]
        for table, rows in leaving.items():
            inbound = self.references.inbound_keys.get(table, ())
            if table in self._kept or not inbound:
                continue
            described = self.references.tables[table]
            keys = Keys([point for point, _ in rows], tuple(zip(*(key for _, key in rows), strict=True)))
            counts = self.backend.reading.rows_referencing(described, described.row_key or (), keys, inbound)
            for point in counts:
                foreseen = found[point]
                ours = [obstacle for obstacle in foreseen.obstacles.values() if obstacle.table == table]
                if not ours:
                    rule = UniqueKey("its keys", (), ())
                    ours = [foreseen.obstacle(table, rule)]
                for obstacle in ours:
                    obstacle.policy = self._ways_out(table, obstacle.rule) or {}

    def _remedy(self, obstacle: Obstacle) -> Any:
        """Return the policy that would let the application be cleaned up; empty where there is none."""
        ways = self._ways_out(obstacle.table, obstacle.rule)
        if obstacle.numbered:
            return {}
        return ways if ways or obstacle.table in self._kept else "keep_survivor"

    def _ways_out(self, table: TableName, rule: UniqueKey | Check) -> dict[str, str]:
        """Return the columns of a rule that could take another name or number."""
        if isinstance(rule, Check):
            return {}
        described, changing = self.references.tables[table], self.references.changing(table)
        fixed = {*changing, *(described.row_key or ())}
        if table == self.references.folders.name:
            fixed.add(self.tables.folder_application)
        names = {
            self.references.files.name: self.tables.file_name,
            self.references.folders.name: self.tables.folder_name,
        }
        ways: dict[str, str] = {}
        for column in described.columns:
            if column.name in fixed or column.generated or not described.dependent([column.name]) & set(rule.columns):
                continue
            if kind_of(column) == "integer" and not column.identity:
                ways.setdefault("renumber", column.name)
            elif column.name == names.get(table):
                ways["rename"] = column.name
        # One is enough, and a number is less to look at than a name.
        return dict(list(ways.items())[:1]) if "renumber" not in ways else {"renumber": ways["renumber"]}

    # In words.

    def told(self, renumbered: Sequence[Renumbered]) -> dict[str, Any]:
        """Return what a result says of rows that take another name or number: how many by table, and which."""
        limit = conf.list_limit()
        return {
            **counts_of(renumbered),
            "changes": [
                {
                    "table": str(one.table),
                    "key": ",".join(self.backend.cells.cell_text(cell) for cell in one.row.key),
                    "column": one.column,
                    "from": self.backend.cells.cell_text(one.row.old),
                    "to": self.backend.cells.cell_text(one.row.new),
                }
                for one in renumbered[:limit]
            ],
            "changes_left_out": max(0, len(renumbered) - limit),
        }

    def error(self, foreseen: Foreseen, application: str) -> Collision:
        """Return the error of an application that is refused."""
        parts = [self._sentence(obstacle, application) for obstacle in foreseen.obstacles.values()]
        policies = setting_of(with_those_in_force(policies_of(reported(foreseen))))
        if policies:
            parts.append(f"Set {policies}, or mend the rows.")
        return Collision(" ".join(parts))

    def _sentence(self, obstacle: Obstacle, application: str) -> str:
        number, table = len({mine.key for mine, _ in obstacle.rows}), obstacle.table
        rows = "row" if number == 1 else "rows"
        if obstacle.rule.name == "its keys":
            return (
                f"Rows of {table} would give way to others, but rows of other tables reference them. "
                f"Mend them by hand first."
            )
        if obstacle.rule.name == PARTITIONS:
            return f"{number} {rows} of {table} would belong to no partition. {self._missing_partition(obstacle)}"
        if isinstance(obstacle.rule, Check):
            told = f"{number} {rows} of {table} would break the check {obstacle.rule.name}."
        else:
            told = f"{number} {rows} of {table} would collide in {obstacle.rule.name}."
        if obstacle.numbered:
            told += " No other name or number makes them fit."
        if table == self.references.folders.name:
            shown = [self._why(obstacle, mine, other, application) for mine, other in obstacle.rows[:_SHOWN]]
            return " ".join([told, *shown])
        if not obstacle.policy:
            told += f" {self._by_hand(obstacle)}"
        return told

    def _missing_partition(self, obstacle: Obstacle) -> str:
        if isinstance(obstacle.rule, Check) and "satisfies_hash_partition" in obstacle.rule.expression:
            return "Create the partition of the remainder that is missing."
        rest = TableName(obstacle.table.schema, f"{obstacle.table.name}_rest")
        return f"Create one: CREATE TABLE {rest.quoted} PARTITION OF {obstacle.table.quoted} DEFAULT;"

    def _by_hand(self, obstacle: Obstacle) -> str:
        return f"Change or remove one of the rows, or lift {obstacle.rule.name}."

    def _why(self, obstacle: Obstacle, mine: Met, other: Met | None, application: str) -> str:
        """Say which folder cannot move, why it is not merged, and what to do."""
        folder = self._folder(mine)
        if other is None:
            return f"Folder {folder} is one. {self._by_hand(obstacle)}"
        beside = f"it cannot stand beside folder {self._folder(other)}"
        for row, which in ((mine, folder), (other, self._folder(other))):
            owner = self._owner(row)
            if owner is None:
                return (
                    f"Folder {which} belongs to no application, so it is not merged: folder {folder} would move, and "
                    f"{beside}. Give folder {which} its application, rename it, or lift the constraint."
                )
            if owner != application:
                return (
                    f"Folder {which} belongs to application {owner}, so it is not merged: folder {folder} would move, "
                    f"and {beside}. Move folder {which} elsewhere, rename it, or lift the constraint."
                )
        if self.tables.folder_name in obstacle.rule.columns:
            return (
                f"Folder {folder} would move, and {beside}: the constraint takes their names for equal, which are not "
                f"equal letter by letter, or one of them is not live. Rename one of them, or lift the constraint."
            )
        shared = ", ".join(obstacle.rule.columns)
        return f"Folder {folder} would move, and {beside}: they would be equal in {shared}."

    def _folder(self, row: Met) -> str:
        return self._key(row.key[0], self.tables.folder_key)

    def _owner(self, row: Met) -> str | None:
        cell = row.cells[-1]
        return None if cell is None else self._key(cell, self.tables.application_key)

    def _key(self, cell: Cell, key: Any) -> str:
        text = self.backend.cells.cell_text(cell)
        with suppress(InvalidKey):
            text = key.text(text)
        return str(text)


def reported(foreseen: Foreseen) -> list[dict[str, Any]]:
    """Return what a result says of an application's collisions, each with the policy that would settle it, or None."""
    return [
        {
            "table": str(obstacle.table),
            "constraint": obstacle.rule.name,
            "rows": len({mine.key for mine, _ in obstacle.rows}),
            "policy": obstacle.policy or None,
        }
        for obstacle in foreseen.obstacles.values()
    ]


def policies_of(collisions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the policies by table, of what ``reported`` said, that let an application be cleaned up.

    Empty if there is none for one of its collisions, or if two ask for different things.
    """
    found: dict[str, Any] = {}
    for collision in collisions:
        if not collision["policy"] or not _add(found, collision["table"], collision["policy"]):
            return {}
    return found


def _add(found: dict[str, Any], table: str, policy: Any) -> bool:
    before = found.get(table, policy)
    if isinstance(before, Mapping) and isinstance(policy, Mapping):
        found[table] = {**before, **policy}
        return bool(found[table].items() >= before.items())
    found[table] = policy
    return bool(before == policy)


def add_policies(found: dict[str, Any], details: Mapping[str, Any]) -> None:
    """Add the policies that a refused application needs to those of others."""
    for table, policy in policies_of(details.get("collisions", ())).items():
        _add(found, table, policy)


def with_those_in_force(policies: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole setting: what is set already, with the policies that are missing."""
    if not policies:
        return {}
    found = {
        name: dict(policy) if isinstance(policy, Mapping) else policy for name, policy in conf.collisions().items()
    }
    for table, policy in policies.items():
        name = next((name for name in found if name in {table, table.partition(".")[2]}), table)
        _add(found, name, policy)
    return found


def setting_of(policies: Mapping[str, Any]) -> str:
    """Return the setting as Python, to be pasted; empty where there is nothing to set."""
    if not policies:
        return ""
    entries = ", ".join(f"{_python(table)}: {_python(policies[table])}" for table in sorted(policies))
    return f"CLEANUP_COLLISIONS = {{{entries}}}"


def _python(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_python(key)}: {_python(entry)}" for key, entry in value.items()) + "}"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


class Places:
    """The rows that meet, in the order in which they keep their places."""

    def __init__(self, met: Iterable[Met]) -> None:
        self.occupied: dict[tuple[int, int], Met] = {}
        self.by_place: defaultdict[int, list[Met]] = defaultdict(list)
        for row in met:
            if row.place > 0:
                self.by_place[row.place].append(row)
            elif row.place == 0:
                self.occupied.setdefault((row.rule, row.alike), row)

    def losing(self) -> Iterator[tuple[Met, list[tuple[Met, Met | None]]]]:
        """Yield each row that has no place, with the rules in which it has none and who is there, where it is known."""
        lost: set[int] = set()
        for place, rows in sorted(self.by_place.items()):
            meetings: list[tuple[Met, Met | None]] = []
            for row in rows:
                if row.rival is not None:
                    if row.rival not in lost:
                        meetings.append((row, None))
                elif (row.rule, row.alike) in self.occupied:
                    meetings.append((row, self.occupied[row.rule, row.alike]))
            if meetings:
                lost.add(place)
                yield rows[0], meetings
                continue
            for row in rows:
                if row.rival is None:
                    self.occupied[row.rule, row.alike] = row


class _Numbers:
    """Names and numbers that are taken among siblings, and the next free ones."""

    def __init__(self, collisions: Collisions, judged: Judged, met: Sequence[Met]) -> None:
        self.backend = collisions.backend
        self.judged = judged
        self.columns = {column: place for place, column in enumerate(judged.told)}
        self.families: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
        """Of each row that moves, by its place: the siblings that it is among."""
        self.cells: defaultdict[tuple[int, int], set[tuple[Cell, ...]]] = defaultdict(set)
        for row in met:
            if row.rival is None:
                self.cells[row.rule, row.family].add(row.cells)
                if row.place > 0:
                    self.families[row.place].add((row.rule, row.family))
        self.taken: dict[tuple[str, tuple[int, int]], set[Any]] = {}

    def find(self, row: Met, way: tuple[Way, str]) -> Renumbered | None:
        """Return another name or number for a row, or None where there is none."""
        kind, column = way
        cell = row.cells[self.columns[column]]
        families = [self._taken(kind, column, family) for family in self.families[row.place]]
        taken = set().union(*families)
        new: str
        mark: str | int
        if kind == "rename":
            if cell is None:
                return None
            length = _LENGTH.search(self.judged.table.column(column).type)
            name = free_name(
                self.backend.cells.cell_text(cell), taken=taken, longest=int(length[1]) if length else None
            )
            new, mark = self.backend.cells.text_cell(name), loose(name)
        else:
            before = _number(self.backend.cells.cell_text(cell))
            if cell is None or before is None:
                return None
            number = free_number(before, taken=taken)
            if number > _LARGEST.get(self.judged.table.column(column).type.lower(), 2**63 - 1):
                return None
            new, mark = self.backend.cells.number_cell(number), number
        for family in families:
            family.add(mark)
        return Renumbered(self.judged.table.name, kind, column, Replaced(row.point or 0, row.key, cell, new))

    def _taken(self, kind: Way, column: str, family: tuple[int, int]) -> set[Any]:
        if (column, family) not in self.taken:
            cells = [cells[self.columns[column]] for cells in self.cells[family]]
            texts = [self.backend.cells.cell_text(cell) for cell in cells if cell is not None]
            marks = map(loose, texts) if kind == "rename" else map(_number, texts)
            self.taken[column, family] = set(marks)
        return self.taken[column, family]


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def counts_of(renumbered: Iterable[Renumbered]) -> dict[str, dict[str, int]]:
    """Return how many rows take another name or number, by way and table."""
    counts: dict[str, Counter[str]] = {"renamed": Counter(), "renumbered": Counter()}
    for one in renumbered:
        counts["renamed" if one.way == "rename" else "renumbered"][str(one.table)] += 1
    return {way: dict(sorted(tables.items())) for way, tables in counts.items() if tables}
