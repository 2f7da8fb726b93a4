"""What every page counts, and what keeps everything from being started at present."""

from django.http import HttpRequest
from django.utils.translation import gettext as _

from cleanup.admin import access, names
from cleanup.models import Run
from cleanup.services import monitoring


def to_cleanups(request: HttpRequest) -> dict[str, str]:
    """Return why no cleanup can be started at present, with a link to what is in the way; nothing if one can."""
    found = numbers(request)
    run = monitoring.dashboard.exclusive_cleanup(using=access.database()) if found.busy else None
    return in_the_way(access.site_of(request), frozen=found.frozen, run=run)


def to_undos(request: HttpRequest) -> dict[str, str]:
    """Return why no undo can be started at present; it starts beside a cleanup."""
    return in_the_way(access.site_of(request), frozen=numbers(request).frozen)


def numbers(request: HttpRequest) -> "monitoring.dashboard.Numbers":
    """Return what every page shows, read once a request."""
    found: monitoring.dashboard.Numbers | None = getattr(request, "_cleanup_numbers", None)
    if found is None:
        found = monitoring.dashboard.numbers(using=access.database())
        request._cleanup_numbers = found  # type: ignore[attr-defined]
    return found


def in_the_way(site: str, *, frozen: bool, run: Run | None = None, cluster_alive: bool = True) -> dict[str, str]:
    """Return why nothing can be started at present, with a link to the run that is in the way; nothing if it can."""
    if frozen:
        return {
            "words": _("Not possible while everything is stopped."),
            "address": access.address(site, access.OVERVIEW),
        }
    if not cluster_alive:
        return {
            "words": _("Not possible while the background service is not running."),
            "address": access.address(site, access.OVERVIEW),
        }
    if run is not None:
        return {
            "words": _("Not possible while another cleanup is not finished:"),
            "address": access.address(site, "run_change", run.pk),
            "run": names.name_of(run),
        }
    return {}
