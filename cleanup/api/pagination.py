"""Lists in pages, by key: every page costs the same, and nothing is counted.

A cursor names the last row of a page by the unique column that ends the order. It is signed, so that it comes back as
it was sent.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

from django.core import signing
from django.db.models import Q, QuerySet, Subquery
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cleanup.api.base import Endpoint
from cleanup.api.serializer_fields import Input, QueryNumber
from cleanup.exceptions import UnknownObject

_SALT = "cleanup.api.pagination"

MOST = 500


class Page(Input):
    """The parameters of every list."""

    limit = QueryNumber(min_value=1, max_value=MOST, default=50, help_text="Rows on a page.")
    cursor = serializers.CharField(
        required=False, trim_whitespace=False, max_length=2000, help_text="From ``next`` of the previous page."
    )


@cache
def page_of(row: type[serializers.Serializer[Any]], name: str) -> type[serializers.Serializer[Any]]:
    """Return the serializer that describes a page of such rows."""
    fields = {
        "next": serializers.CharField(allow_null=True, help_text="URL of the next page; null on the last."),
        "results": row(many=True),
    }
    return type(f"{name}Page", (serializers.Serializer,), fields)


def encode_cursor(values: Sequence[Any]) -> str:
    """Return the cursor of a row."""
    return signing.dumps([str(value) for value in values], salt=_SALT, compress=False)


def decode_cursor(cursor: str, *, parts: int) -> list[str]:
    """Return the values of a cursor. Raises UnknownObject."""
    try:
        values = signing.loads(cursor, salt=_SALT)
    except signing.BadSignature:
        values = []
    if len(values) != parts:
        raise UnknownObject(what="page", key=cursor)
    return [str(value) for value in values]


def next_url(request: Request, cursor: str | None) -> str | None:
    """Return the URL of the page that begins after a row."""
    if cursor is None:
        return None
    query = request.query_params.copy()
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


class Listing(Endpoint):
    """A list of rows of the product's own tables."""

    filters: ClassVar[type[Page]]
    row: ClassVar[type[serializers.Serializer[Any]]]
    orders: ClassVar[Mapping[str, tuple[str, ...]]]
    """The columns by the values of ``ordering``; the last column is unique. The first order is the default."""

    def rows(self, query: Mapping[str, Any], **path: Any) -> QuerySet[Any]:
        """Return the requested rows, unordered."""
        raise NotImplementedError

    def answer(self, request: Request, **path: Any) -> Response:
        """Return one page."""
        query = self.query(self.filters)
        order = self.orders[query.get("ordering", next(iter(self.orders)))]
        found = self.rows(query, **path).order_by(*order)
        if "cursor" in query:
            found = found.filter(self._behind(order, decode_cursor(query["cursor"], parts=2)))
        rows = list(found[: query["limit"] + 1])
        more = len(rows) > query["limit"]
        rows = rows[: query["limit"]]
        cursor = encode_cursor([self._name(order), getattr(rows[-1], order[-1].lstrip("-"))]) if more else None
        results = self.row(rows, many=True, context={"using": self.using}).data
        return Response({"next": next_url(request, cursor), "results": results})

    def _name(self, order: Sequence[str]) -> str:
        """Return the name of the list and order that a cursor belongs to."""
        return ",".join([type(self).__name__, *order])

    def _behind(self, order: Sequence[str], sealed: Sequence[str]) -> Q:
        """Return the condition of rows after the one that a cursor names. Raises UnknownObject."""
        if sealed[0] != self._name(order):
            raise UnknownObject("The cursor does not belong to this list and order.", what="page", key="")
        *before, last = [column.lstrip("-") for column in order]
        side = "lt" if order[-1].startswith("-") else "gt"
        model = self.row.Meta.model  # type: ignore[attr-defined]  # rows are rendered by model serializers
        value = model._meta.get_field(last).to_python(sealed[1])
        if not before:
            return Q(**{f"{last}__{side}": value})
        # The database compares stored values: on SQLite, a time that went through Python is spelled differently.
        named = model._base_manager.using(self.using).filter(**{last: value})
        if not named.exists():
            raise UnknownObject(what="row any more where this page begins:", key=value)
        first = Subquery(named.values(before[0]))
        # The first condition is what an index can start from.
        behind = Q(**{f"{before[0]}__{side}": first}) | Q(**{f"{last}__{side}": value})
        return Q(**{f"{before[0]}__{side}e": first}) & behind
