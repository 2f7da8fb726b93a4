"""Filters of lists, in the words that the rows use."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest


class WordedFilter(admin.SimpleListFilter):
    """Entries by a field's value."""

    field: ClassVar[str]
    words: ClassVar[Mapping[Any, Any]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the values in the words of the screens."""
        return list(self.words.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the entries with the chosen value."""
        return queryset.filter(**{self.field: self.value()}) if self.value() in self.words else queryset


def worded(field: str, title: Any, words: Mapping[Any, Any]) -> type[WordedFilter]:
    """Return a filter by a field, whose values are shown in words."""
    own = {"field": field, "parameter_name": f"{field}__exact", "title": title, "words": words}
    return type(f"{field.title()}Filter", (WordedFilter,), own)


class DatedFilter(admin.DateFieldListFilter):
    """Entries by a date, under a title of ours."""

    words: ClassVar[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = self.words


def dated(title: Any) -> type[DatedFilter]:
    """Return a filter by a date: today, the last seven days, this month, this year."""
    return type("OneDatedFilter", (DatedFilter,), {"words": title})
