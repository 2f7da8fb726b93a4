"""Decide what becomes of rows that would collide when folders are replaced.

``forecast`` reads the rows that would meet in a rule of their table (``cleanup.backends.collisions``), decides which
rows keep their places, and finds names and numbers for those that may take another. Nothing is written. Its decision is
what a dry run announces and what a cleanup does.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from cleanup.backends import Database
from cleanup.backends.catalogue import PARTITIONS, Check, Column, TableName, UniqueKey, mentions
from cleanup.backends.changes import Cell, Keys, Replaced, Target, ValueChanges
from cleanup.backends.collisions import Change, CheckedTable, CollidingRow
from cleanup.folder_tables import FolderTables
from cleanup.policies import CollisionPolicy, NewValuePolicy
from cleanup.references import Policy, ReferenceMap
from cleanup.references.host_words import says_id
from cleanup.references.key_types import kind_of
from cleanup.references.kind_columns import stem_of_kind
from cleanup.services.merging.free_values import FreeValues, Renumbered

#: In place of a rule's name, if rows cannot give way because others reference them.
ITS_KEYS = "its keys"


class GivingWay(NamedTuple):
    """A row that is removed into the snapshot."""

    table: TableName
    key: tuple[str, ...]
    moves: int
    """How many references of it would have moved."""


@dataclass(slots=True)
class CollidingRows:
    """Rows of one application that collide in one rule, and what could be done."""

    table: TableName
    rule: UniqueKey | Check
    rows: list[tuple[CollidingRow, CollidingRow | None]] = field(default_factory=list)
    """Each with the row that is in its way, if known."""
    policy: Any = None
    """The setting for the table that lets the application be cleaned up, if there is one."""
    numbered: bool = False
    """Another name or number was tried."""
    referenced: bool = False
    """Rows of other tables reference them, so that they cannot give way."""


@dataclass(slots=True)
class CollisionForecast:
    """What becomes of the colliding rows of one application."""

    giving_way: list[GivingWay] = field(default_factory=list)
    renumbered: list[Renumbered] = field(default_factory=list)
    colliding: dict[tuple[TableName, str], CollidingRows] = field(default_factory=dict)

    def add(self, other: "CollisionForecast") -> None:
        """Add what becomes of further rows."""
        self.giving_way += other.giving_way
        self.renumbered += other.renumbered
        for which, colliding in other.colliding.items():
            known = self.colliding.setdefault(which, colliding)
            if known is not colliding:
                known.rows += colliding.rows
                known.policy = known.policy and colliding.policy

    def rows_of(self, table: TableName, rule: UniqueKey | Check) -> CollidingRows:
        """Return the rows that collide in a rule."""
        return self.colliding.setdefault((table, rule.name), CollidingRows(table, rule))


class Collisions:
    """Forecasts collisions on one database; created once per run."""

    def __init__(self, *, references: ReferenceMap, backend: Database, tables: FolderTables) -> None:
        self.references = references
        self.backend = backend
        self.tables = tables
        self.sql = backend.collisions
        self._kept = {table.name for table in references.holding}
        self.ruled = tuple(dict.fromkeys(r.table for r in references.references if references.ruled(r.table)))
        """The tables whose rows may collide."""

    def forecast(
        self, changes: Mapping[TableName, Sequence[Change]], *, spare: Sequence[Cell]
    ) -> dict[int, CollisionForecast]:
        """Return what becomes of colliding rows, by point; ``spare`` are folders that are about to be removed."""
        forecasts: defaultdict[int, CollisionForecast] = defaultdict(CollisionForecast)
        judged = [self._judged(table, changes[table], spare) for table in self.ruled if changes.get(table)]
        for table, met in self._met(judged):
            self._settle(table, met, forecasts)
        self._verify(judged, forecasts)
        self._refuse_referenced(forecasts)
        for forecast in forecasts.values():
            for colliding in forecast.colliding.values():
                colliding.policy = self._remedy(colliding)
        return dict(forecasts)

    def _met(self, judged: Sequence[CheckedTable]) -> Iterator[tuple[CheckedTable, list[CollidingRow]]]:
        by_table: defaultdict[int, list[CollidingRow]] = defaultdict(list)
        for met in self.sql.met(judged):
            by_table[met.table].append(met)
        for number, rows in sorted(by_table.items()):
            yield judged[number], rows

    # What to query.

    def _judged(self, name: TableName, changes: Sequence[Change], spare: Sequence[Cell]) -> CheckedTable:
        table, policy = self.references.tables[name], self._policy(name)
        key = table.row_key or ()
        changed = table.dependent(column for change in changes for column in change.columns)
        uniques = tuple(unique for unique in table.uniques if changed & set(unique.columns))
        compared: tuple[str, ...] = ()
        if self.references.links(name):
            surrogate = set() if set(key) & changed else set(key)
            compared = tuple(column.name for column in table.columns if column.name not in surrogate)
        told = [column for _, column in policy.changes]
        if name == self.references.folders.name:
            told += self.tables.owner_columns
        siblings = {}
        for number, unique in enumerate(uniques):
            way = self._way(name, unique)
            shared = way and tuple(
                place for place, part in enumerate(unique.parts) if not self._depends(name, part, way[1])
            )
            if shared:
                siblings[number] = shared
        return CheckedTable(
            table=table,
            key=key,
            changes=tuple(changes),
            uniques=uniques,
            exclusions=tuple(rule for rule in table.exclusions if changed & set(rule.columns)),
            checks=tuple(check for check in table.checks if check.binds(changed)),
            spare=spare if name == self.references.folders.name else (),
            compared=compared,
            told=tuple(told),
            siblings=siblings,
        )

    def _policy(self, table: TableName) -> Policy:
        return self.references.policies.get(table, Policy())

    def _way(self, table: TableName, rule: UniqueKey | Check) -> tuple[NewValuePolicy, str] | None:
        """Return which column's new value would avoid a collision, according to the policy."""
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

    # Which rows keep their places.

    def _settle(
        self, judged: CheckedTable, met: Sequence[CollidingRow], forecasts: defaultdict[int, CollisionForecast]
    ) -> None:
        name, policy = judged.table.name, self._policy(judged.table.name)
        gives_way = policy.keep_survivor and name not in self._kept
        numbers = FreeValues(self.backend.cells, judged, met)
        for row, meetings in Places(met).losing():
            forecast = forecasts[row.point or 0]
            ways = [self._way(name, judged.rules[mine.rule]) for mine, _ in meetings]
            twin = any(other is not None and other.body == mine.body for mine, other in meetings)
            # A row that no partition takes meets no other row, which it could give way to.
            homeless = any(judged.rules[mine.rule].name == PARTITIONS for mine, _ in meetings)
            if (judged.compared and twin) or (gives_way and not homeless):
                forecast.giving_way.append(GivingWay(name, row.key, row.moves))
                continue
            if all(ways):
                renumbered = [numbers.find(row, way) for way in dict.fromkeys(way for way in ways if way)]
                if all(renumbered):
                    forecast.renumbered += [one for one in renumbered if one]
                    continue
            for (mine, other), way in zip(meetings, ways, strict=True):
                colliding = forecast.rows_of(name, judged.rules[mine.rule])
                colliding.rows.append((mine, other))
                colliding.numbered |= way is not None

    def _verify(self, judged: Sequence[CheckedTable], forecasts: defaultdict[int, CollisionForecast]) -> None:
        """Check the images again with the names and numbers that were found: they must break no rule."""
        given: defaultdict[TableName, list[Renumbered]] = defaultdict(list)
        leaving = {(one.table, one.key) for forecast in forecasts.values() for one in forecast.giving_way}
        for forecast in forecasts.values():
            for one in forecast.renumbered:
                given[one.table].append(one)
        again = [self._with_numbers(table, given[table.table.name]) for table in judged if table.table.name in given]
        for table, met in self._met(again):
            name = table.table.name
            staying = [row for row in met if (name, row.key) not in leaving]
            for row, meetings in Places(staying).losing():
                refused = forecasts[row.point or 0]
                if refused.colliding:
                    continue
                for mine, other in meetings:
                    colliding = refused.rows_of(name, table.rules[mine.rule])
                    colliding.rows.append((mine, other))
                    colliding.numbered = True

    def _with_numbers(self, judged: CheckedTable, given: Sequence[Renumbered]) -> CheckedTable:
        """Return the rows with their new names or numbers, to check all rules that these touch again."""
        by_column: defaultdict[str, list[Replaced]] = defaultdict(list)
        for one in given:
            by_column[one.column].append(one.row)
        changes = [*judged.changes]
        for column, rows in by_column.items():
            width = range(len(judged.key))
            pairs = ValueChanges(
                [row.point for row in rows],
                tuple([row.key[place] for row in rows] for place in width),
                tuple([row.news[0] if not place else None for row in rows] for place in width),
                [0] * len(rows),
            )
            changes.append(Change(Target(judged.table, judged.key, judged.key, pairs), (column,)))
        return replace(self._judged(judged.table.name, changes, judged.spare), siblings={})

    # What is impossible.

    def _refuse_referenced(self, forecasts: Mapping[int, CollisionForecast]) -> None:
        """Refuse to remove rows that others reference."""
        leaving: defaultdict[TableName, list[tuple[int, tuple[str, ...]]]] = defaultdict(list)
        for point, forecast in forecasts.items():
            for one in forecast.giving_way:
                leaving[one.table].append((point, one.key))
            for colliding in forecast.colliding.values():
                leaving[colliding.table] += [(point, mine.key) for mine, _ in colliding.rows]
        for table, rows in leaving.items():
            if table in self._kept:  # no row of it would be removed
                continue
            described, inbound = self.references.tables[table], self.references.inbound_keys.get(table, ())
            counts = self.backend.reading.rows_referencing(described, described.row_key or (), Keys.of(rows), inbound)
            for point in counts:
                forecast = forecasts[point]
                ours = [colliding for colliding in forecast.colliding.values() if colliding.table == table]
                if not ours:
                    rule = UniqueKey(ITS_KEYS, (), ())
                    ours = [forecast.rows_of(table, rule)]
                for colliding in ours:
                    colliding.referenced = True

    def _remedy(self, colliding: CollidingRows) -> Any:
        """Return the policy that would let the application be cleaned up; empty if there is none."""
        if colliding.numbered or colliding.rule.name == PARTITIONS:
            return {}
        ways = self._ways_out(colliding.table, colliding.rule)
        stays = colliding.referenced or colliding.table in self._kept
        return ways if ways or stays else CollisionPolicy.KEEP_SURVIVOR.value

    def _ways_out(self, table: TableName, rule: UniqueKey | Check) -> dict[str, str]:
        """Return the columns of a rule that could take another name or number."""
        if isinstance(rule, Check):
            return {}
        described, changing = self.references.tables[table], self.references.changing(table)
        fixed = {*changing, *(described.row_key or ()), *self.references.deciding(table)}
        if table == self.references.folders.name:
            fixed.update(self.tables.owner_columns)
        names = {
            self.references.folders.name: self.tables.folder_name,
            self.references.file_table: self.tables.file.name if self.tables.file else None,
        }
        ways: dict[str, str] = {}
        for column in described.columns:
            if column.name in fixed or column.generated or not described.dependent([column.name]) & set(rule.columns):
                continue
            if kind_of(column) == "integer" and not column.identity and not self._is_told(table, column):
                ways.setdefault(NewValuePolicy.RENUMBER.value, column.name)
            elif column.name == names.get(table):
                ways[NewValuePolicy.RENAME.value] = column.name
        if NewValuePolicy.RENUMBER.value in ways:  # one is enough, and a number is simpler than a name
            ways.pop(NewValuePolicy.RENAME.value, None)
        return ways

    def _is_told(self, table: TableName, column: Column) -> bool:
        """Return whether a number is the key of a row of another table, or says what the row is, and so no position."""
        linked = (table, column.name) in self.references.linked
        return linked or says_id(column.name) or stem_of_kind(column.name) is not None


class Places:
    """The rows that meet, in the order in which they keep their places."""

    def __init__(self, met: Iterable[CollidingRow]) -> None:
        self.occupied: dict[tuple[int, int], CollidingRow] = {}
        self.by_place: defaultdict[int, list[CollidingRow]] = defaultdict(list)
        for row in met:
            if row.place >= 0:  # those that stay come first, and meet none
                self.by_place[row.place].append(row)

    def losing(self) -> Iterator[tuple[CollidingRow, list[tuple[CollidingRow, CollidingRow | None]]]]:
        """Yield each row that has no place, with the rules in which it has none and the row that is there, if known."""
        lost: set[int] = set()
        for place, rows in sorted(self.by_place.items()):
            meetings: list[tuple[CollidingRow, CollidingRow | None]] = []
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
