"""Every page that is not a register."""

from django.contrib import admin
from django.urls import URLPattern

from cleanup.admin.cleanup_views import CleaningPages
from cleanup.admin.dashboard import DashboardPages
from cleanup.admin.folder_search import FolderPages
from cleanup.admin.pending_decisions import DecisionPages
from cleanup.admin.rollback_views import UndoPages


def urls(site: admin.AdminSite) -> list[URLPattern]:
    """Return their addresses."""
    pages = (DashboardPages(site), CleaningPages(site), UndoPages(site), DecisionPages(site), FolderPages(site))
    return [url for group in pages for url in group.urls()]
