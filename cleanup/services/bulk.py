"""Rows of the product's own tables, many at once, of which most columns are alike."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connections, models

from cleanup.backends import backend_for


def insert_each(
    model: type[models.Model],
    listed: tuple[str, Sequence[Any]],
    given: Sequence[str],
    alike: Mapping[str, Any],
    *,
    using: str,
    returning: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """Insert one row for each row of a query, in one statement, and return what is asked for of each.

    ``listed`` is the query with its parameters, ``given`` the columns that it gives; the others are the same in all
    rows: ``alike`` by the field's name, or the field's default in Python.
    """
    backend, connection = backend_for(using=using), connections[using]
    constants = {
        str(field.column): field.get_db_prep_save(alike.get(field.name, field.get_default()), connection)
        for field in model._meta.concrete_fields
        if not field.primary_key and field.column not in given
    }
    columns = ", ".join(backend.quote(column) for column in (*given, *constants))
    values = ", ".join([*map(backend.quote, given), *["%s"] * len(constants)])
    sql, params = listed
    insert = f"INSERT INTO {backend.quote(model._meta.db_table)} ({columns}) SELECT {values} FROM ({sql}) AS listed"
    if not returning:
        backend.execute(insert, [*constants.values(), *params])
        return []
    wanted = ", ".join(map(backend.quote, returning))
    return backend.fetch(f"{insert} RETURNING {wanted}", [*constants.values(), *params])
