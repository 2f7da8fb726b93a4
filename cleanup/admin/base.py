"""Registers: read-only lists of history.

Invariant: no register counts or sorts a table of millions of rows. Lists are ordered by an indexed key, and a page
count stops at a cap; further entries are found with a filter or the search.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import models
from django.db.models import QuerySet
from django.forms import Media
from django.http import Http404, HttpRequest
from django.urls import URLPattern
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cleanup.admin import access, errors, names, timestamps, titles, wording
from cleanup.permissions import Permission
from cleanup.services import folders
from cleanup.text_safety import safe

#: Entries that a list can be paged through.
MOST_LISTED = 5_000


if TYPE_CHECKING:
    ReadOnlyAdminBase = admin.ModelAdmin[Any]
    PaginatorBase = Paginator[Any]
else:
    ReadOnlyAdminBase, PaginatorBase = admin.ModelAdmin, Paginator


class CappedPaginator(PaginatorBase):
    """Counts no further than can be paged, so that a list of millions costs no more than one of thousands."""

    @cached_property
    def count(self) -> int:
        """Return the number of entries, or the cap."""
        entries = cast("QuerySet[Any]", self.object_list)
        return entries.order_by()[:MOST_LISTED].values("pk").count()


class ReadOnlyAdmin(access.OnSite, ReadOnlyAdminBase):
    """A read-only list of one model, for people who may look."""

    list_per_page = 50
    show_full_result_count = False
    paginator = CappedPaginator
    actions = None
    show_facets = admin.ShowFacets.NEVER
    #: None of the admin's own scripts: nothing here needs them.
    media = Media()
    empty: Any = gettext_lazy("There is nothing here yet.")
    """What a list without entries says."""
    not_found: Any = gettext_lazy("Nothing matches.")
    """What the search says if it finds nothing."""
    application_field = ""
    """The field that holds an application's key; the search matches the application's name or id."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the person may look."""
        return access.may(request, Permission.VIEW)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the person may look."""
        return access.may(request, Permission.VIEW)

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        """Keep the registers out of the admin's own lists: one navigation leads to them."""
        return {}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """History is not added by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """History is not changed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """History is not deleted."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of the database that all pages of ours show."""
        return super().get_queryset(request).using(access.database())

    def get_search_fields(self, request: HttpRequest) -> Any:
        """Offer the search if there is something to search by."""
        return self.search_fields or ((self.application_field,) if self.application_field else ())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by the application's name or id, if the list is about applications; uses the index on its key."""
        if not self.application_field or not search_term:
            return super().get_search_results(request, queryset, search_term)
        keys = folders.applications.find(using=access.database(), text=search_term)
        return queryset.filter(**{f"{self.application_field}__in": keys}), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Show the list, with our pages one click away."""
        context = {**self.context(request), "title": self.list_title, **(extra_context or {})}
        access.require_permission(request, (Permission.VIEW,))
        response = super().changelist_view(request, context)
        changelist = getattr(response, "context_data", {}).get("cl")
        if changelist is not None:
            self.name_applications(changelist.result_list)
        return response

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return an entry with the name of the application that it is about, read once to be shown."""
        known: dict[str, Any] = request.__dict__.setdefault("_cleanup_entries", {})
        if request.method != "GET" or object_id not in known:
            entry = super().get_object(request, object_id, from_field)
            self.name_applications([] if entry is None else [entry])
            known[object_id] = entry
        return known[object_id]

    def application_of(self, row: Any) -> str:
        """Return the key of the application that an entry is about; empty if it is about none."""
        return getattr(row, self.application_field) if self.application_field else ""

    def name_applications(self, rows: Iterable[Any]) -> None:
        """Find the names of the applications that entries are about, in one query."""
        keys = {row: self.application_of(row) for row in rows}
        labels = folders.applications.labels(using=access.database(), application_ids=filter(None, keys.values()))
        for row, key in keys.items():
            row.application_label = labels.get(key, "")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show one entry, with our pages one click away."""
        context = {**self.context(request), "title": self.title(request, object_id), "subtitle": None}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Show what people have done to one entry."""
        title = _("History: %s") % self.title(request, object_id)
        return super().history_view(
            request, object_id, {**self.context(request), "title": title, **(extra_context or {})}
        )

    def get_urls(self) -> list[URLPattern]:
        """Answer what is forbidden or not there in the admin's frame."""
        urls = super().get_urls()
        for url in urls:
            url.callback = errors.answered(self.admin_site)(url.callback)
        return urls

    def title(self, request: HttpRequest, object_id: str) -> str:
        """Return what a single entry's page is called. Raises PermissionDenied and Http404."""
        access.require_permission(request, (Permission.VIEW,))
        entry = self.get_object(request, admin.utils.unquote(object_id))
        if entry is None:
            raise Http404
        return names.name_of(entry, label=getattr(entry, "application_label", ""))

    @property
    def list_title(self) -> str:
        """Return what the list is called."""
        name = f"{self.opts.model_name}_changelist"
        return str(titles.PAGES.get(name) or wording.capitalized(str(self.opts.verbose_name_plural)))

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what every page of ours shows."""
        return {
            "may": access.permissions_of(request),
            "section": self.opts.model_name,
            "list_title": self.list_title,
            "most_listed": MOST_LISTED,
            "empty": self.empty,
            "not_found": self.not_found,
        }

    def time(self, moment: datetime | None) -> str:
        """Show a time in the person's zone, short, in full where one points at it."""
        return timestamps.show(moment)

    def application(self, row: Any, key: str) -> SafeString | str:
        """Show an application by its label, its id small beneath, as a link to its folders."""
        if not key:
            return "—"
        label = getattr(row, "application_label", "") or ""
        address = self.url("preview", admin.utils.quote(key))
        if not label:
            return format_html('<a href="{}"><bdi>{}</bdi></a>', address, safe(key))
        return format_html(
            '<a href="{}"><bdi>{}</bdi></a><br><small class="quiet">{}</small>', address, safe(label), safe(key)
        )

    def link(self, target: models.Model | None, text: str = "") -> SafeString | str:
        """Show a link to another register's entry."""
        if target is None:
            return "—"
        address = self.url(f"{target._meta.model_name}_change", target.pk)
        return format_html('<a href="{}">{}</a>', address, text or names.name_of(target))

    def list_link(self, model: type[models.Model], text: str, **filters: Any) -> SafeString:
        """Show a link to another register, filtered."""
        return list_link(self.admin_site.name, model, text, **filters)


def for_it(*fields: str) -> tuple[Any, Any]:
    """Return a folded part of a page: what only IT needs."""
    return gettext_lazy("For IT"), {"classes": ["collapse"], "fields": list(fields)}


def plain(field: str, words: Any) -> Any:
    """Return a method that shows a field as it is under words that are translated, as its own name is not."""

    def show(_admin: ReadOnlyAdmin, row: models.Model) -> str:
        return safe(getattr(row, field)) or "—"

    return admin.display(description=words)(show)


def list_link(site: str, model: type[models.Model], text: str, **filters: Any) -> SafeString:
    """Show a link to another register, filtered."""
    url = access.address(site, f"{model._meta.model_name}_changelist", **filters)
    return format_html('<a href="{}">{}</a>', url, text)
