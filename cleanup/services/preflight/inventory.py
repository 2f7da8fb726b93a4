"""The description of references and their tables as JSON, for people and programs that decide about a run."""

from collections.abc import Iterable

from cleanup.backends.catalogue import Catalogue, ForeignKey, Table
from cleanup.references import Reference, ReferenceMap
from cleanup.services.results import JSON

_READ_AND_CHANGE = frozenset({"select", "update"})
_ALL = frozenset({"select", "insert", "update", "delete"})


def tables_of(found: ReferenceMap) -> list[Table]:
    """Return every table that a run may write, by name."""
    return [table for _, table in sorted(found.tables.items())]


def foreign_keys(found: ReferenceMap, catalogue: Catalogue) -> list[JSON]:
    """Return the foreign keys of, and to, every table that a run may write."""
    keys: dict[ForeignKey, None] = dict.fromkeys(catalogue.foreign_keys_of(found.tables))
    keys |= dict.fromkeys(catalogue.foreign_keys_to(found.tables))
    return [
        {
            "name": key.name,
            "table": str(key.table),
            "columns": list(key.columns),
            "target": str(key.target),
            "target_columns": list(key.target_columns),
            "on_delete": key.on_delete,
            "deferrable": key.deferrable,
            "enforced": key.enforced,
        }
        for key in sorted(keys, key=lambda key: (key.table, key.name, key.columns))
    ]


def indexes(found: ReferenceMap) -> list[JSON]:
    """Return the columns of every index that a run can use, and the unique keys that moved rows must keep."""
    unique: list[JSON] = [
        {
            "table": str(table.name),
            "columns": list(key.columns),
            "unique": True,
            "name": key.name,
            "primary": key.primary,
            "predicate": key.predicate,
        }
        for table in tables_of(found)
        for key in table.uniques
    ]
    known = {(str(table.name), key.columns) for table in tables_of(found) for key in table.uniques}
    plain: list[JSON] = [
        {"table": str(table.name), "columns": list(columns), "unique": False}
        for table in tables_of(found)
        for columns in dict.fromkeys(table.indexes)
        if (str(table.name), columns) not in known
    ]
    return sorted([*unique, *plain], key=lambda entry: (entry["table"], entry["columns"]))


def references(found: ReferenceMap) -> list[JSON]:
    """Return every reference to folders, in the order in which they are moved."""
    return [_reference(reference, found.tables[reference.table]) for reference in found.references]


def _reference(reference: Reference, table: Table) -> JSON:
    return {
        "table": str(reference.table),
        "columns": list(reference.columns),
        "folder_columns": list(reference.folder_columns),
        "source": reference.source,
        "constraint": reference.constraint,
        "on_delete": reference.on_delete,
        "proven": reference.proven,
        "indexed": _is_indexed(reference, table),
        "row_key": list(table.row_key) if table.row_key else None,
        "kind": table.kind,
        "estimated_rows": table.estimated_rows,
        "step": reference.step,
    }


def _is_indexed(reference: Reference, table: Table) -> bool:
    if table.indexed_columns & set(reference.columns):
        return True
    kinds = reference.condition.columns if reference.condition else ()
    pairs = [{*reference.columns, kind} for kind in kinds]
    return any(set(index[: len(pair)]) == pair for index in table.indexes for pair in pairs)


def triggers(found: ReferenceMap) -> list[JSON]:
    """Return the host's triggers on every table that a run may write, whether a run would fire them or not."""
    return [
        {
            "name": trigger.name,
            "table": str(trigger.table),
            "events": sorted(trigger.events),
            "columns": sorted(trigger.columns),
        }
        for table in tables_of(found)
        for trigger in table.triggers
    ]


def grants(found: ReferenceMap, own: Iterable[Table]) -> list[JSON]:
    """Return what the current role must be allowed on each table, and what of it is missing."""
    needed = [(table, _needed(table, found)) for table in tables_of(found)]
    needed += [(table, _ALL) for table in sorted(own, key=lambda table: table.name)]
    return [
        {"table": str(table.name), "needed": sorted(privileges), "missing": sorted(privileges - table.privileges)}
        for table, privileges in needed
    ]


def _needed(table: Table, found: ReferenceMap) -> frozenset[str]:
    """Tell whether rows are only changed, or go and come back as well."""
    return _ALL if found.loses_rows(table.name) else _READ_AND_CHANGE
