"""References by which people may see folders: shares, permissions and the like. Pure.

A table is taken for one by its name, or because ``CLEANUP_GRANTS`` names it. Who is granted something stands in columns
that are named after people and groups, or else in those that refer to further tables.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cleanup.backends.catalogue import Table
from cleanup.backends.references import Reference
from cleanup.references.description import ReferenceMap
from cleanup.references.host_words import words_of

#: Parts of a table's name that say that it grants something.
_GRANTING = ("share", "sharing", "permission", "grant", "collaborat")
_GRANTING_WORDS = frozenset({"acl", "ace", "member", "membership"})

#: Words for those to whom something is granted.
_PEOPLE = frozenset(
    {"account", "contact", "department", "email", "employee", "grantee", "group", "member", "organisation"}
    | {"organization", "party", "people", "person", "principal", "recipient", "role", "subject", "team", "user"}
)


@dataclass(frozen=True, slots=True)
class Grant:
    """A reference of a table of grants, with the columns that say who is granted something."""

    reference: Reference
    who: tuple[str, ...]


def grants(references: ReferenceMap, *, named: Mapping[str, Sequence[str]], folder_key: str) -> Iterator[Grant]:
    """Yield what grants people access to folders.

    ``named`` are the tables of the setting, each with the columns that say who, if it gives them.
    """
    held = {table.name for table in references.holding}
    for reference in references.references:
        if reference.table in held or len(reference.columns) > 1 or reference.folder_columns != (folder_key,):
            continue
        table = references.tables[reference.table]
        given = next((named[name] for name in (str(table.name), table.name.name) if name in named), None)
        if given is None and not _grants(table):
            continue
        who = tuple(given or _people(table, reference) or _linked(table, reference, references))
        if who:
            yield Grant(reference, who)


def _grants(table: Table) -> bool:
    words = words_of(table.name.name)
    compact = "".join(words)
    return any(part in compact for part in _GRANTING) or bool(_GRANTING_WORDS.intersection(words))


def _people(table: Table, reference: Reference) -> list[str]:
    return [
        column.name
        for column in table.columns
        if column.name not in reference.columns
        and _PEOPLE.intersection(words_of(column.name))
        and words_of(column.name)[-1:] != ("by",)
    ]


def _linked(table: Table, reference: Reference, references: ReferenceMap) -> list[str]:
    return [
        column.name
        for column in table.columns
        if column.name not in reference.columns and (table.name, column.name) in references.linked
    ]
