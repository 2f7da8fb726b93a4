"""How a time looks: short, with the year, the zone and all the rest where one points at it."""

from datetime import datetime

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cleanup.admin import wording


def show(moment: datetime | None, *, otherwise: str = "—") -> SafeString | str:
    """Show a time in the person's zone."""
    if moment is None:
        return otherwise
    short, full = wording.short_moment(moment), wording.moment_text(moment)
    exact = timezone.localtime(moment).isoformat(timespec="seconds")
    return format_html('<time datetime="{}" title="{}">{}</time>', exact, full, short)
