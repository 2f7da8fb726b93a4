"""Predict which rows would break a rule of their table if everything in a batch were changed.

Note [Images]. A row that changes is judged by its image: the row as it will be, all its columns' changes together,
generated columns computed from it. Images are compared with each other and with the rows that stay, by the table's own
rules: parts and predicate of each unique key as the database spells them, with its operators and collations.

Note [Who is in the way]. Of rows that meet in a unique key, one keeps its place: a row that stays, otherwise the one of
the folder earlier in survivor order. A folder that is about to be removed does not move; where it is, it is in the way
of others until it goes, and when an undo brings it back before they leave: even if the rule is checked at the end.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cleanup.backends.catalogue import Check, Column, Table, UniqueKey
from cleanup.backends.changes import Cell, Target
from cleanup.backends.query import Query, block, joined, quote
from cleanup.backends.session import Room


@dataclass(frozen=True, slots=True)
class Change:
    """Rows that hold the target's old cells; ``columns`` take the first of its new cells."""

    target: Target
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckedTable:
    """A table whose rows change, and the rules that they may break."""

    table: Table
    key: tuple[str, ...]
    changes: tuple[Change, ...]
    """If a column of a row changes several times, the first change counts."""
    uniques: tuple[UniqueKey, ...] = ()
    exclusions: tuple[UniqueKey, ...] = ()
    checks: tuple[Check, ...] = ()
    spare: Sequence[Cell] = ()
    """Keys of rows that are about to be removed, and do not change before."""
    compared: tuple[str, ...] = ()
    """The columns of ``CollidingRow.body``."""
    told: tuple[str, ...] = ()
    """The columns of ``CollidingRow.cells``."""
    siblings: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """By unique key, by position: the parts that rows must share to be all reported if two meet."""

    @property
    def rules(self) -> tuple[UniqueKey | Check, ...]:
        """Every rule; ``CollidingRow.rule`` is the index."""
        return (*self.uniques, *self.exclusions, *self.checks)


class CollidingRow(NamedTuple):
    """A row that meets others in a rule, or breaks it alone, or shares siblings with such rows."""

    table: int
    rule: int
    alike: int
    """The same number: equal in the rule."""
    family: int
    """The same number: siblings."""
    place: int
    """Its position in the order in which rows keep their place, from 1; 0: it stays; -1: it is about to be removed."""
    rival: int | None
    """The position of the row that it conflicts with, if that is not a matter of equality."""
    point: int | None
    key: tuple[str, ...]
    moves: int
    """How many changes it would take part in."""
    body: object
    cells: tuple[Cell, ...]


class RuleSql(Room, ABC):
    """Where rows, as they would be (the CTE ``images``), break a rule of their table."""

    def _listed(self, name: str, several: Sequence[object]) -> str:
        return ", ".join(f"{name}{place}" for place in range(len(several)))

    def _same(self, table: str, rows: str, judged: CheckedTable) -> str:
        return " AND ".join(f"{table}.{quote(column)} = {rows}.__k{place}" for place, column in enumerate(judged.key))

    def _rule(self, judged: CheckedTable, number: int) -> Query:
        rule = judged.rules[number]
        if isinstance(rule, Check):
            return self._broken(judged, number, rule)
        if number < len(judged.uniques):
            return self._alike(judged, number, rule)
        return self._excluded(judged, number, rule)

    def _placed(self, judged: CheckedTable, unique: UniqueKey) -> Query:
        """Return the images that a unique key binds, with its parts."""
        return block(
            """
            SELECT CASE WHEN __gone = 1 THEN -1 ELSE __place END AS __place, __point, __key, __moves, __gone,
                   {told}, {parts}
              FROM images AS {alias}
             WHERE {bound}
            """,
            told=self._told(judged),
            parts=self._parts(unique),
            alias=self._alias(judged),
            bound=self._bound(unique),
        )

    def _staying(self, judged: CheckedTable, unique: UniqueKey, condition: str, *, join: str = "JOIN") -> Query:
        """Return the joins that find the rows that stay: those of the table that an image ``__i`` meets."""
        return block(
            """
            {join} {table} AS {alias}
                ON {condition} AND {bound}
               AND NOT EXISTS (SELECT 1 FROM images AS k WHERE k.__gone = 0 AND {same})
            """,
            join=join,
            table=self.relation(judged.table.name),
            alias=self._alias(judged),
            condition=condition,
            bound=self._bound(unique),
            same=self._same(self._alias(judged), "k", judged),
        )

    def _alike(self, judged: CheckedTable, number: int, unique: UniqueKey) -> Query:
        every = range(len(unique.parts))
        of_siblings = number in judged.siblings
        family = judged.siblings.get(number, tuple(every))
        meeting = " AND ".join(self._equal(unique, place) for place in family)
        return block(
            """
            SELECT {number} AS __rule, __alike, __family, __place, {no_rival} AS __rival, __point, __key, __moves,
                   __body, __cells
              FROM (
                SELECT __c.*, max(__number) OVER (PARTITION BY __family) AS __most
                  FROM (
                    SELECT __p.*, dense_rank() OVER (ORDER BY {alike}) AS __alike,
                           dense_rank() OVER (ORDER BY {related}) AS __family,
                           sum(1 - __gone) OVER (PARTITION BY {alike}) AS __number
                      FROM (
                        WITH placed AS MATERIALIZED (
                          {placed}
                        )
                        SELECT * FROM placed
                         UNION ALL
                        SELECT 0, NULL, {key}, 0, 0, {told}, {parts}
                          FROM (SELECT DISTINCT {keys} FROM placed) AS __i
                          {staying}
                           ) AS __p
                       ) AS __c
                   ) AS __m
             WHERE {wanted}
            """,
            number=number,
            no_rival=self._no_rival(),
            alike=", ".join(self._ordered(unique, place) for place in every),
            related=", ".join(self._ordered(unique, place) for place in family),
            placed=self._placed(judged, unique),
            key=self._cells([f"{self._alias(judged)}.{quote(column)}" for column in judged.key]),
            told=self._told(judged),
            parts=self._parts(unique),
            keys=", ".join(f"__u{place}" for place in family),
            staying=self._staying(judged, unique, meeting, join="JOIN" if of_siblings else self.session.nested_join),
            wanted="__most > 1" if of_siblings else "__number > 1 AND __gone = 0",
        )

    def _excluded(self, judged: CheckedTable, number: int, rule: UniqueKey) -> Query:
        parts = list(enumerate(zip(rule.parts, rule.operators, strict=True)))
        beside = " AND ".join(f"({_bare(part)}) {operator} __i.__u{place}" for place, (part, operator) in parts)
        return block(
            """
            SELECT {number}, 0, 0, __place, __rival, __point, __key, __moves, __body, __cells
              FROM (
                WITH placed AS MATERIALIZED (
                  {placed}
                )
                SELECT __i.__place, __o.__place AS __rival, __i.__point, __i.__key, __i.__moves, __i.__body, __i.__cells
                  FROM placed AS __i
                  JOIN placed AS __o ON __o.__place < __i.__place AND __o.__gone = 0 AND __i.__gone = 0 AND {among}
                 UNION ALL
                SELECT __i.__place, 0, __i.__point, __i.__key, __i.__moves, __i.__body, __i.__cells
                  FROM (SELECT __place, __point, __key, __moves, __body, __cells, {keys}
                          FROM placed
                         WHERE __gone = 0) AS __i
                  {staying}
                   ) AS __e
            """,
            number=number,
            placed=self._placed(judged, rule),
            among=" AND ".join(f"__i.__u{place} {operator} __o.__u{place}" for place, (_, operator) in parts),
            keys=self._listed("__u", rule.parts),
            staying=self._staying(judged, rule, beside),
        )

    def _broken(self, judged: CheckedTable, number: int, check: Check) -> Query:
        return block(
            """
            SELECT {number}, 0, 0, __place, 0, __point, __key, __moves, {told}
              FROM images AS {alias}
             WHERE __gone = 0 AND {within} AND NOT ({expression})
            """,
            number=number,
            told=self._told(judged),
            alias=self._alias(judged),
            within=f"({_bare(check.predicate)})" if check.predicate else "1 = 1",
            expression=_bare(check.expression),
        )

    # Fragments. Within them the columns of the table, or of its images, are known by their bare names.

    def _alias(self, judged: CheckedTable) -> str:
        """Return the table's own name: an expression may use it."""
        return quote(judged.table.name.name)

    def _told(self, judged: CheckedTable) -> str:
        alias = self._alias(judged)
        body, cells = (
            self._cells([f"{alias}.{quote(column)}" for column in columns])
            for columns in (judged.compared, judged.told)
        )
        return f"{body} AS __body, {cells} AS __cells"

    def _parts(self, unique: UniqueKey) -> str:
        return ", ".join(f"({_bare(part)}) AS __u{place}" for place, part in enumerate(unique.parts))

    def _bound(self, unique: UniqueKey) -> str:
        conditions = [f"({_bare(unique.predicate)})"] if unique.predicate else []
        if unique.nulls_distinct:
            conditions += [f"({_bare(part)}) IS NOT NULL" for part in unique.parts]
        return " AND ".join(conditions) or "1 = 1"

    def _equal(self, unique: UniqueKey, place: int) -> str:
        """Return the condition that a part of a row equals that of an image."""
        part = f"({_bare(unique.parts[place])})"
        equal = self._equals(unique, place, part, f"__i.__u{place}")
        if unique.nulls_distinct:
            return equal
        return f"({equal} OR ({part} IS NULL AND __i.__u{place} IS NULL))"

    @abstractmethod
    def _cells(self, expressions: Sequence[str]) -> str:
        """Return one value that holds the cells of several."""

    @abstractmethod
    def _equals(self, unique: UniqueKey, place: int, left: str, right: str) -> str:
        """Return the comparison that the unique key makes of a part."""

    @abstractmethod
    def _ordered(self, unique: UniqueKey, place: int) -> str:
        """Return a part for grouping equal values."""

    @abstractmethod
    def _no_rival(self) -> str:
        """Return null."""


class CollisionSql(RuleSql, ABC):
    """The statement for one database."""

    def met(self, judged: Sequence[CheckedTable]) -> Iterator[CollidingRow]:
        """Yield the rows that would meet, of all tables in one statement."""
        wanted = [(number, table) for number, table in enumerate(judged) if table.rules]
        rows = self.fetch_each(self._statement(table, number) for number, table in wanted)
        selected = self.cells.selected
        for number, rule, alike, family, place, rival, point, key, moves, body, cells in rows:
            table = wanted[number][0]
            yield CollidingRow(
                table, rule, alike, family, place, rival, point, selected(key), moves, selected(body), selected(cells)
            )

    def _statement(self, judged: CheckedTable, table: int) -> Query:
        ctes = [*self._changed(judged, table), self._touched(judged, table)]
        last = "stored"
        for number, layer in enumerate(self._generated(judged.table)):
            computed = ", ".join(f"({_bare(column.expression)}) AS {quote(column.name)}" for column in layer)
            ctes.append(Query(f"computed{number} AS (SELECT __s.*, {computed} FROM {last} AS __s)"))
            last = f"computed{number}"
        ctes.append(
            block(
                """
                images AS MATERIALIZED (
                  SELECT __s.*, row_number() OVER (ORDER BY __point, {ranks}, __key) AS __place
                    FROM {last} AS __s
                )
                """,
                ranks=self._listed("__r", judged.changes),
                last=last,
            )
        )
        rules = joined("\nUNION ALL\n", (self._rule(judged, number) for number in range(len(judged.rules))))
        return block("WITH {ctes}\n{rules}", ctes=joined(",\n", ctes), rules=rules)

    def _changed(self, judged: CheckedTable, table: int) -> Iterator[Query]:
        """Yield a CTE for each way in which rows of the table change."""
        for number, change in enumerate(judged.changes):
            yield block(
                """
                change{number} AS MATERIALIZED (
                  {rows}
                )
                """,
                number=number,
                rows=self._change(change, number=f"{table}_{number}"),
            )

    def _touched(self, judged: CheckedTable, table: int) -> Query:
        """Return the CTEs of the rows that stay out of it, of those that change, and of both with what is stored."""
        keys = self._listed("__k", judged.key)
        return block(
            """
            spared AS MATERIALIZED (
              {spared}
            ),
            touched AS MATERIALIZED (
              {touched}
            ),
            stored AS (
              {stored}
            )
            """,
            spared=self._spared(judged, number=table),
            touched=" UNION ".join(f"SELECT {keys} FROM change{number}" for number in range(len(judged.changes))),
            stored=self._stored(judged),
        )

    def _stored(self, judged: CheckedTable) -> Query:
        """Return the rows that change, as they will be; generated columns follow later."""
        table, changes = judged.table, judged.changes
        columns = [
            f"{self._greatest([f'c{number}.__point' for number in range(len(changes))])} AS __point",
            *(f"coalesce(c{number}.__rank, 0) AS __r{number}" for number in range(len(changes))),
            " + ".join(f"CASE WHEN c{n}.__point IS NULL THEN 0 ELSE 1 END" for n in range(len(changes)))
            + " AS __moves",
            f"{self._cells([f't.{quote(column)}' for column in judged.key])} AS __key",
            *(f"t.{quote(column)} AS __k{place}" for place, column in enumerate(judged.key)),
            f"CASE WHEN {self._is_spared('t', judged)} THEN 1 ELSE 0 END AS __gone",
        ]
        for column in table.columns:
            if column.expression:
                continue
            cases = [
                f"WHEN c{number}.__point IS NOT NULL THEN c{number}.__n{change.columns.index(column.name)}"
                for number, change in enumerate(changes)
                if column.name in change.columns
            ]
            now = f"t.{quote(column.name)}"
            columns.append(f"CASE {' '.join(cases)} ELSE {now} END AS {quote(column.name)}" if cases else now)
        joins = [f"LEFT JOIN change{n} AS c{n} ON {self._same('t', f'c{n}', judged)}" for n in range(len(changes))]
        return block(
            """
            SELECT {columns}
              FROM touched AS k
              JOIN {table} AS t ON {same}
              {changes}
            """,
            columns=joined(",\n       ", columns),
            table=self.relation(table.name),
            same=self._same("t", "k", judged),
            changes=joined("\n", joins),
        )

    def _is_spared(self, table: str, judged: CheckedTable) -> str:
        return f"EXISTS (SELECT 1 FROM spared AS s WHERE s.__s = {table}.{quote(judged.key[0])})"

    def _generated(self, table: Table) -> Iterator[list[Column]]:
        """Yield generated columns in layers: each is computed from columns of the layers before it."""
        left = [column for column in table.columns if column.expression]
        while left:
            names = {column.name for column in left}
            layer = [column for column in left if not column.computed_from & names] or left
            yield layer
            left = [column for column in left if column not in layer]

    # What differs between databases.

    @abstractmethod
    def _change(self, change: Change, *, number: int | str) -> Query:
        """Return the rows that change: ``__point``, ``__rank``, the key ``__k0`` ..., the new values ``__n0`` ..."""

    @abstractmethod
    def _spared(self, judged: CheckedTable, *, number: int) -> Query:
        """Return the keys ``__s`` of rows that are about to be removed."""

    @abstractmethod
    def _greatest(self, expressions: Sequence[str]) -> str:
        """Return the greatest of several that is not null."""


def _bare(expression: str) -> str:
    """Return the database's own SQL as part of a statement with parameters."""
    return expression.replace("%", "%%")
