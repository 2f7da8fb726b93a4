"""What has changed between two readings of the catalogue, in words for people. Pure."""

from collections.abc import Iterator, Mapping

from cleanup.backends.catalogue import Table
from cleanup.references.description import ReferenceMap


def facts(references: ReferenceMap) -> dict[str, str]:
    """Return what a run depends on, described by what it is about: references, columns, keys and triggers."""
    found = _references(references)
    for table in references.tables.values():
        found.update(_facts(table))
    return found


def changes(before: ReferenceMap, after: ReferenceMap) -> list[str]:
    """Name the references, tables, columns, keys and triggers that are new, gone or different, in order."""
    found = changed_facts(_references(before), _references(after))
    old, new = ({f"table {name}": "" for name in references.tables} for references in (before, after))
    found += changed_facts(old, new)
    for name in sorted(before.tables.keys() & after.tables.keys()):
        found += changed_facts(dict(_facts(before.tables[name])), dict(_facts(after.tables[name])))
    return found


def changed_facts(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Name what is new, gone or different, in order."""
    found = []
    for about in sorted(old.keys() | new.keys()):
        if about not in old:
            found.append(f"{about}{f' ({new[about]})' if new[about] else ''} is new")
        elif about not in new:
            found.append(f"{about} is gone")
        elif old[about] != new[about]:
            found.append(f"{about} is {new[about]} and was {old[about]}")
    return found


def _references(references: ReferenceMap) -> dict[str, str]:
    return {
        f"reference {reference}": f"on delete {reference.on_delete}" if reference.on_delete else "not enforced"
        for reference in references.references
    } | {f"reference {one}": "in arrays" for one in references.lists}


def _facts(table: Table) -> Iterator[tuple[str, str]]:
    yield f"table {table.name}", "with row level security" if table.row_security else "without row level security"
    for child in table.inheritance_children:
        yield f"child {child} of table {table.name}", ""
    for column in table.columns:
        marks = {"not null": column.not_null, "generated": column.generated, "identity": column.identity}
        described = [column.type, *(mark for mark, is_set in marks.items() if is_set)]
        yield f"column {table.name}.{column.name}", " ".join(described)
    for unique in table.uniques:
        where = f" where {unique.predicate}" if unique.predicate else ""
        yield f"unique key {unique.name} of {table.name}", f"({', '.join(unique.parts)}){where}"
    for trigger in table.triggers:
        yield f"trigger {trigger.name} on {trigger.table}", " or ".join(sorted(trigger.events))
    for privilege in sorted(table.privileges):
        yield f"privilege {privilege} on {table.name}", ""
