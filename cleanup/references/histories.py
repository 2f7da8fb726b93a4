"""Tables that keep versions of rows, or a log about them: which they are, and what becomes of their folder keys.

What happened to a removed folder happened to that folder, so by default history is left as it is: it is neither moved
nor searched, and mentions of removed folders in it are not findings. Pure.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from cleanup import conf
from cleanup.backends.catalogue import PlacedColumn, TableName
from cleanup.policies import HistoryPolicy
from cleanup.references.configured_columns import entry_of, pasted
from cleanup.references.description import Untold
from cleanup.references.problem import Problem

#: Columns by which such a table is recognised, whatever its name.
_SHAPES: Mapping[str, frozenset[str]] = {
    "django-simple-history": frozenset({"history_id", "history_date", "history_type"}),
    "django-reversion": frozenset({"content_type_id", "object_id", "revision_id", "serialized_data"}),
    "django-auditlog": frozenset({"content_type_id", "object_pk", "action", "changes"}),
    "the admin's log": frozenset({"content_type_id", "object_id", "action_flag", "change_message"}),
    "django-easy-audit": frozenset({"content_type_id", "object_id", "event_type", "object_json_repr"}),
    "django-pghistory": frozenset({"pgh_id", "pgh_created_at", "pgh_label"}),
    "Envers": frozenset({"rev", "revtype"}),
}

#: Names of columns with a key of a row of the content type beside them.
_KEY_NAMES = frozenset({"object_id", "object_pk", "object_key", "object_uuid", "target_id", "entity_id"})

#: Letters that occur in every name that is searched for here.
MARKS: Collection[str] = _KEY_NAMES | frozenset().union(*_SHAPES.values())


@dataclass(frozen=True, slots=True)
class Histories:
    """The history tables of one database, with their kinds and policies."""

    kinds: Mapping[TableName, str]
    policies: Mapping[TableName, HistoryPolicy]

    @classmethod
    def among(cls, columns: Iterable[PlacedColumn]) -> "Histories":
        """Recognise them by their columns, or by the setting. Raises MisconfiguredSetting."""
        names: dict[TableName, set[str]] = defaultdict(set)
        for placed in columns:
            names[placed.table].add(placed.column.name.lower())
        setting = conf.history_tables()
        kinds, policies = {}, {}
        for table, found in names.items():
            kind = next((kind for kind, shape in _SHAPES.items() if shape <= found), "")
            policy = next((policy for name, policy in setting.items() if _names(name, table)), None)
            if kind or policy:
                kinds[table] = kind or "CLEANUP_HISTORY_TABLES"
                policies[table] = policy or HistoryPolicy.LEAVE
        return cls(kinds, policies)

    def with_policy(self, policy: HistoryPolicy) -> set[TableName]:
        """Return the tables with this policy."""
        return {table for table, own in self.policies.items() if own == policy}


def key_columns(columns: Iterable[PlacedColumn], type_column: str) -> Iterator[str]:
    """Yield the columns of a table that hold keys of the content type in ``type_column``."""
    stem = type_column.lower().removesuffix("_id").removesuffix("type").rstrip("_")
    alike = {f"{stem}_id", f"{stem}_pk"} if stem not in {"", "content"} else set()
    for placed in columns:
        if placed.column.name.lower() in _KEY_NAMES | alike:
            yield placed.column.name


def refused(untold: Untold) -> Problem:
    """Report a history table that names folders and that a setting refuses."""
    return Problem(
        "history",
        str(untold.table),
        untold.column,
        f"{untold.table} is a history table ({untold.history}) whose rows name folders ({untold.column}), and "
        f'CLEANUP_HISTORY_TABLES says "refuse". Set {{{_entry(untold.table)}: "leave"}}, or "move".',
    )


def left(untold: Untold) -> Problem:
    """Report a history table that is left as it is."""
    return Problem(
        "history",
        str(untold.table),
        untold.column,
        f"{untold.table} is a history table ({untold.history}) and is left as it is: {untold.column} still names "
        f"removed folders, and resolve_folder() returns where those went. To move its rows along, set "
        f'CLEANUP_HISTORY_TABLES = {{{_entry(untold.table)}: "move"}}.',
    )


def unclaimed(untold: Untold) -> Problem:
    """Report rows that name folders by content type without a generic relation."""
    (test,) = untold.condition.tests if untold.condition else ()
    values = ", ".join(str(value) for value in test.values)
    entry = pasted(entry_of(untold.table, untold.column))
    return Problem(
        "suspected",
        str(untold.table),
        untold.column,
        f"{untold.table}.{untold.column} names folders by content type ({test.column}), without a generic relation. "
        f'Add {{{entry}: {{"{test.column}": [{values}]}}}} to CLEANUP_EXTRA_REFERENCES if they are to move, or '
        f"{entry} to CLEANUP_IGNORED_COLUMNS; or, if it is a history, {_entry(untold.table)} to "
        f"CLEANUP_HISTORY_TABLES.",
    )


def _entry(table: TableName) -> str:
    return pasted(str(table))


def _names(name: str, table: TableName) -> bool:
    return fnmatchcase(str(table), name) or fnmatchcase(table.name, name)
