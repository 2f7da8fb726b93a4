"""Random schemas around the folder table: tables of another program, with the keys, rules and columns that such have.

A schema is made from a seed, always the same; ``describe`` is its DDL. What each part is for stands beside it.
"""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import DatabaseError, transaction

from tests.support.trees import execute, fetch, is_postgresql, key_type, raw, tree

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Trees with duplicates, and without; names are spelled alike in all.
SHAPES = (
    "{one}:Loan/{{Docs(2), Photos(1)}}, {two}:Loan/{{Docs(1)/Old(1), Notes}}",
    "{one}:Loan/{{Docs(1)/Scans(1), Docs(2)/{{Scans(1), Plans}}, Mail}}",
    "{one}:Loan/Docs(1), {two}:Archive/Docs(2)/Deep(1), Loan",
    "{one}:Loan/{{Docs(1), Photos(2)}}",
    "{one}:Loan/Docs/Docs/Docs(1), {two}:Loan/Docs/Docs(1)/Docs(1)",
)


@dataclass(slots=True)
class Schema:
    """What was made, and the settings that go with it."""

    seed: int
    statements: list[str] = field(default_factory=list)
    settings: dict[str, object] = field(default_factory=dict)
    referrers: list[_Maker] = field(default_factory=list)

    def describe(self) -> str:
        """Return the DDL and the settings, to be pasted."""
        return ";\n".join([*self.statements, *(f"-- {name} = {value!r}" for name, value in self.settings.items())])


def random_schema(database: str, seed: int) -> Schema:
    """Make a schema in a migrated database."""
    made, rng, postgresql = Schema(seed), random.Random(seed), is_postgresql(database)
    _change_folders(made, rng, postgresql=postgresql)
    makers = [
        _Maker(rng, f"part{number}", key_type(database), postgresql=postgresql) for number in range(rng.randint(1, 3))
    ]
    made.referrers = makers
    made.statements += [statement for maker in makers for statement in maker.statements]
    made.settings["CLEANUP_EXTRA_REFERENCES"] = [column for maker in makers for column in maker.extra]
    made.settings["CLEANUP_COLLISIONS"] = {
        maker.name: rng.choice(["keep_survivor", {"renumber": "position"}]) for maker in makers if rng.random() < 0.5
    }
    for statement in made.statements:
        execute(database, statement)
    return made


def fill(database: str, made: Schema) -> None:
    """Fill the tables: some applications, and rows that refer to their folders as far as the rules allow.

    A row refers to folders of one application: of two, its collisions may show with either.
    """
    rng = random.Random(made.seed)
    for number in range(4):
        tree(database, rng.choice(SHAPES).format(one=f"a{number}", two=f"b{number}"))
    folders: dict[object, list[object]] = {}
    for key, application in fetch(database, "SELECT :folders.key, :folders.application FROM :folders ORDER BY 1"):
        folders.setdefault(application, []).append(key)
    for referrer in made.referrers:
        for number in range(rng.randint(0, 12)):
            some = rng.choice(list(folders.values()))
            cells = {column: raw(database, rng.choice(some)) for column in referrer.keys}
            _insert(database, referrer.name, cells | referrer.values(rng, number))


def _insert(database: str, table: str, cells: dict[str, object]) -> None:
    """Insert a row, unless a rule of the table forbids it."""
    places = ", ".join(["%s"] * len(cells))
    with suppress(DatabaseError), transaction.atomic(using=database):
        execute(database, f"INSERT INTO {table} ({', '.join(cells)}) VALUES ({places})", *cells.values())


# --- Columns of the folder table that no model maps

_FURTHER = (
    "colour text DEFAULT 'red'",
    "weight numeric(12, 3)",
    "letters integer GENERATED ALWAYS AS (length(:name)) %s",
)
_FURTHER_ON_POSTGRESQL = (
    "facts jsonb DEFAULT '{\"a\": 1}'",
    "marks integer[] DEFAULT '{1,2}'",
    "span tstzrange",
    "shown boolean",
)


def _change_folders(made: Schema, rng: random.Random, *, postgresql: bool) -> None:
    columns = _FURTHER + (_FURTHER_ON_POSTGRESQL if postgresql else ())
    for column in rng.sample(columns, rng.randint(0, 3)):
        text = column.replace(":name", ":folders.name").replace("%s", "STORED" if postgresql else "VIRTUAL")
        made.statements.append(f"ALTER TABLE :folders ADD COLUMN {text}")
    if rng.random() < 0.1:  # a number by which tables could refer to it
        made.statements.append("ALTER TABLE :folders ADD COLUMN number integer")
        made.statements.append("CREATE UNIQUE INDEX folders_number ON :folders (number)")
    if rng.random() < 0.1:
        columns = ":folders.application, :folders.key"
        made.statements.append(f"CREATE UNIQUE INDEX of_roots ON :folders ({columns}) WHERE :folders.parent IS NULL")


# --- Tables that refer to folders


class _Maker:
    """Makes one table that refers to folders."""

    def __init__(self, rng: random.Random, name: str, key: str, *, postgresql: bool) -> None:
        self.rng, self.name, self.postgresql = rng, name, postgresql
        self.kind = rng.choice(["number", "number", "pair", "link"])
        self.keys = ["folder_id", "other_folder_id"] if rng.random() < 0.25 else ["folder_id"]
        self.nullable = self.kind == "number" and rng.random() < 0.5
        self.partitioned = postgresql and self.kind == "pair" and len(self.keys) == 1 and rng.random() < 0.5
        self.columns = [f"{column} {key}{'' if self.nullable else ' NOT NULL'}" for column in self.keys]
        self.columns += ["position integer NOT NULL", "label varchar(20)"]
        self.rules = [*self._key(), *self._rules()]
        self.extra = [f"{name}.{column}" for column in self.keys if not self._refers(column)]
        self._compute()

    @property
    def statements(self) -> Iterator[str]:
        """Yield the DDL."""
        text = f"CREATE TABLE {self.name} ({', '.join([*self.columns, *self.rules])})"
        if self.partitioned:
            yield f"{text} PARTITION BY HASH (folder_id)"
            for number in range(2):
                part = f"CREATE TABLE {self.name}_{number} PARTITION OF {self.name}"
                yield f"{part} FOR VALUES WITH (MODULUS 2, REMAINDER {number})"
        else:
            yield text
            yield from self._indexes()
        if self._maybe(0.08):
            yield from self._trigger()

    def values(self, rng: random.Random, number: int) -> dict[str, object]:
        """Return the cells of the n-th row that hold no keys."""
        cells: dict[str, object] = {"position": rng.randint(1, 3), "label": rng.choice(["x", "y", None])}
        return {"id": number, **cells} if self.kind == "number" else cells

    def _maybe(self, chance: float) -> bool:
        return self.rng.random() < chance

    def _key(self) -> Iterator[str]:
        if self.kind == "number":
            self.columns.insert(0, "id integer PRIMARY KEY")
        elif self.kind == "pair":
            yield "PRIMARY KEY (folder_id, position)"
        else:
            yield f"PRIMARY KEY ({', '.join(self.keys)}, position)"

    def _rules(self) -> Iterator[str]:
        plain = self.kind == "number"
        if plain and self._maybe(0.35):
            yield f"UNIQUE ({self.rng.choice(self.keys)}, {self.rng.choice(['position', 'label'])})"
        if len(self.keys) > 1 and self._maybe(0.4):
            yield "CHECK (folder_id <> other_folder_id)"
        if plain and self.postgresql and self._maybe(0.15):
            yield "EXCLUDE USING hash (folder_id WITH =) WHERE (label = 'x')"

    def _refers(self, column: str) -> bool:
        """Add a foreign key, mostly."""
        if self._maybe(0.2):
            return False
        actions = ["", " ON DELETE CASCADE", " ON DELETE RESTRICT", *([" ON DELETE SET NULL"] if self.nullable else [])]
        modes = ["", "", " DEFERRABLE INITIALLY DEFERRED"]
        how = self.rng.choice(actions) + self.rng.choice(modes)
        self.rules.append(f"FOREIGN KEY ({column}) REFERENCES :folders{how}")
        return True

    def _compute(self) -> None:
        """Add a column that is computed from a folder's key, sometimes."""
        if self._maybe(0.2):
            stored = "STORED" if self.postgresql or self._maybe(0.5) else "VIRTUAL"
            value = "CAST(folder_id AS text) || '/' || CAST(position AS text)"
            self.columns.append(f"computed text GENERATED ALWAYS AS ({value}) {stored}")
            if not self.partitioned and self._maybe(0.3):
                self.rules.append("UNIQUE (computed)")

    def _indexes(self) -> Iterator[str]:
        column = self.rng.choice(self.keys)
        if self._maybe(0.2):
            yield f"CREATE UNIQUE INDEX {self.name}_first ON {self.name} ({column}) WHERE position = 1"
        if self._maybe(0.15):
            yield f"CREATE UNIQUE INDEX {self.name}_label ON {self.name} ({column}, lower(label))"
        if self._maybe(0.5):
            yield f"CREATE INDEX {self.name}_folder ON {self.name} ({column})"

    def _trigger(self) -> Iterator[str]:
        if self.postgresql:
            body = "RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
            yield f"CREATE FUNCTION {self.name}_seen() {body}"
            when = f"BEFORE UPDATE ON {self.name} FOR EACH ROW EXECUTE FUNCTION {self.name}_seen()"
            yield f"CREATE TRIGGER {self.name}_seen {when}"
        else:
            body = f"UPDATE {self.name} SET label = 'y' WHERE 0"
            yield f"CREATE TRIGGER {self.name}_seen AFTER UPDATE ON {self.name} BEGIN {body}; END"
