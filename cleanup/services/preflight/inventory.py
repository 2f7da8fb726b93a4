"""The description of references and their tables, for people and programs that decide about a run."""

from collections.abc import Iterable

from cleanup.backends.catalogue import Catalogue, ForeignKey, Table
from cleanup.backends.references import Reference
from cleanup.references import ReferenceMap
from cleanup.services.results import ForeignKeyFacts, Grant, IndexFacts, ReferenceFacts, Trigger, UniqueKeyFacts

_READ_AND_CHANGE = frozenset({"select", "update"})
_ALL = frozenset({"select", "insert", "update", "delete"})


def tables_of(found: ReferenceMap) -> list[Table]:
    """Return every table that a run may write, by name."""
    return [table for _, table in sorted(found.tables.items())]


def foreign_keys(found: ReferenceMap, catalogue: Catalogue) -> tuple[ForeignKeyFacts, ...]:
    """Return the foreign keys of, and to, every table that a run may write."""
    keys: dict[ForeignKey, None] = dict.fromkeys(catalogue.foreign_keys_of(found.tables))
    keys |= dict.fromkeys(catalogue.foreign_keys_to(found.tables))
    return tuple(
        ForeignKeyFacts(
            name=key.name,
            table=str(key.table),
            columns=key.columns,
            target=str(key.target),
            target_columns=key.target_columns,
            on_delete=key.on_delete,
            deferrable=key.deferrable,
            enforced=key.enforced,
        )
        for key in sorted(keys, key=lambda key: (key.table, key.name, key.columns))
    )


def indexes(found: ReferenceMap) -> tuple[IndexFacts, ...]:
    """Return the columns of every index that a run can use, and the unique keys that moved rows must keep."""
    unique = [
        UniqueKeyFacts(
            table=str(table.name),
            columns=key.columns,
            unique=True,
            name=key.name,
            primary=key.primary,
            predicate=key.predicate,
        )
        for table in tables_of(found)
        for key in table.uniques
    ]
    known = {(key.table, key.columns) for key in unique}
    plain = [
        IndexFacts(table=str(table.name), columns=columns, unique=False)
        for table in tables_of(found)
        for columns in dict.fromkeys(table.indexes)
        if (str(table.name), columns) not in known
    ]
    return tuple(sorted([*unique, *plain], key=lambda index: (index.table, index.columns)))


def references(found: ReferenceMap) -> tuple[ReferenceFacts, ...]:
    """Return every reference to folders, in the order in which they are moved."""
    return tuple(_reference(reference, found.tables[reference.table]) for reference in found.references)


def _reference(reference: Reference, table: Table) -> ReferenceFacts:
    return ReferenceFacts(
        table=str(reference.table),
        columns=reference.columns,
        folder_columns=reference.folder_columns,
        source=reference.source,
        constraint=reference.constraint,
        on_delete=reference.on_delete,
        proven=reference.proven,
        indexed=_is_indexed(reference, table),
        row_key=table.row_key or None,
        kind=table.kind,
        estimated_rows=table.estimated_rows,
        step=reference.step,
    )


def _is_indexed(reference: Reference, table: Table) -> bool:
    if table.indexed_columns & set(reference.columns):
        return True
    kinds = reference.condition.columns if reference.condition else ()
    pairs = [{*reference.columns, kind} for kind in kinds]
    return any(set(index[: len(pair)]) == pair for index in table.indexes for pair in pairs)


def triggers(found: ReferenceMap) -> tuple[Trigger, ...]:
    """Return the host's triggers on every table that a run may write, whether or not a run would fire them."""
    return tuple(
        Trigger(
            name=trigger.name,
            table=str(trigger.table),
            events=tuple(sorted(trigger.events)),
            columns=tuple(sorted(trigger.columns)),
        )
        for table in tables_of(found)
        for trigger in table.triggers
    )


def grants(found: ReferenceMap, own: Iterable[Table]) -> tuple[Grant, ...]:
    """Return which privileges the current role needs on each table, and which of them are missing."""
    needed = [(table, _needed(table, found)) for table in tables_of(found)]
    needed += [(table, _ALL) for table in sorted(own, key=lambda table: table.name)]
    return tuple(
        Grant(
            table=str(table.name),
            needed=tuple(sorted(privileges)),
            missing=tuple(sorted(privileges - table.privileges)),
        )
        for table, privileges in needed
    )


def _needed(table: Table, found: ReferenceMap) -> frozenset[str]:
    """Return the privileges needed if rows are only changed, or also deleted and restored."""
    return _ALL if found.loses_rows(table.name) else _READ_AND_CHANGE
