"""Insert many rows of the product's own tables at once, with mostly the same values."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connections, models

from cleanup import backends
from cleanup.backends.query import Query, block, quote


def insert_each(
    model: type[models.Model], listed: Query, given: Sequence[str], alike: Mapping[str, Any], *, using: str
) -> int:
    """Insert one row for each row of a query, in one statement, and return their number.

    ``listed`` is the query, ``given`` the columns that it gives; the others are the same in all
    rows: ``alike`` by the field's name, or the field's default in Python.
    """
    return backends.database(using=using).execute(_insertion(model, listed, given, alike, using=using))


def insert_each_returning(
    model: type[models.Model],
    listed: Query,
    given: Sequence[str],
    alike: Mapping[str, Any],
    *,
    using: str,
    returning: Sequence[str],
) -> list[tuple[Any, ...]]:
    """Insert as ``insert_each`` does, and return the requested columns of each row."""
    insertion = _insertion(model, listed, given, alike, using=using)
    returned = block("{insertion}\nRETURNING {columns}", insertion=insertion, columns=", ".join(map(quote, returning)))
    return backends.database(using=using).fetch(returned)


def _insertion(
    model: type[models.Model], listed: Query, given: Sequence[str], alike: Mapping[str, Any], *, using: str
) -> Query:
    connection = connections[using]
    constants = {
        str(field.column): field.get_db_prep_save(alike.get(field.name, field.get_default()), connection)
        for field in model._meta.concrete_fields
        if not field.primary_key and field.column not in given
    }
    return block(
        """
        INSERT INTO {table} ({columns})
        SELECT {values}
          FROM (
            {listed}
          ) AS listed
        """,
        table=quote(model._meta.db_table),
        columns=", ".join(map(quote, (*given, *constants))),
        values=", ".join([*map(quote, given), *(f"%(alike_{place})s" for place in range(len(constants)))]),
        listed=listed,
    ).bind(**{f"alike_{place}": value for place, value in enumerate(constants.values())})
