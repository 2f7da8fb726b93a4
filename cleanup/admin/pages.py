"""Every page that is not a register."""

from django.contrib import admin
from django.urls import URLPattern

from cleanup.admin.approvals import ApprovalPages
from cleanup.admin.cleanup_views import CleaningPages
from cleanup.admin.dashboard import DashboardPages
from cleanup.admin.folder_search import FolderPages
from cleanup.admin.manual import ManualPages
from cleanup.admin.pending_decisions import DecisionPages
from cleanup.admin.preview_views import PreviewPages
from cleanup.admin.repair_views import RepairPages
from cleanup.admin.rollback_views import UndoPages


def urls(site: admin.AdminSite) -> list[URLPattern]:
    """Return their addresses."""
    groups = (
        DashboardPages,
        CleaningPages,
        PreviewPages,
        RepairPages,
        UndoPages,
        DecisionPages,
        ApprovalPages,
        FolderPages,
        ManualPages,
    )
    return [url for group in groups for url in group(site).urls()]
