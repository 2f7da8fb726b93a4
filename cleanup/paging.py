"""Long lists of rows, read a page at a time, by the values of a key.

A cursor would have to stay open meanwhile; and where the server keeps none, as behind a proxy, ``iterator`` first
fetches all rows.
"""

from collections.abc import Iterator
from typing import TypeVar

from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)


def in_pages(rows: QuerySet[M], *, by: str = "pk", size: int = 1000) -> Iterator[list[M]]:
    """Yield all rows, at most ``size`` at a time, in the order of a unique column; a minus before it: descending.

    Rows have the column as an attribute: they are models, or ``values_list(..., named=True)``.
    """
    name = by.removeprefix("-")
    beyond = f"{name}__{'gt' if name == by else 'lt'}"
    left = rows.order_by(by)
    page = list(left[:size])
    while page:
        yield page
        page = list(left.filter(**{beyond: getattr(page[-1], name)})[:size])
