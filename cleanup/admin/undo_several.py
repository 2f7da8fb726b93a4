"""Undo several at once: ticks in the lists of results and of undo records, then a confirmation of what comes back.

Each is an undo of its own. One that people have changed something about since, or that cannot be undone, is left out
and can be looked at alone.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, ngettext

from cleanup.admin import access, names, obstacles, refusals, wording
from cleanup.admin.selection import Line, Question, SelectableAdmin
from cleanup.exceptions import CleanupError, TooLargeToPreview
from cleanup.models import RollbackPoint
from cleanup.permissions import Permission

#: Undo records that one confirmation examines.
MOST = 10


class UndoableAdmin(SelectableAdmin):
    """A register whose entries have undo records."""

    selection_button = gettext_lazy("Undo selected …")
    selection_permissions = (Permission.ROLL_BACK,)
    selection_of_all = False
    most_selected = MOST

    def point_of(self, row: Any) -> RollbackPoint | None:
        """Return the entry's undo record, if it can be undone from here."""
        raise NotImplementedError

    def is_selectable(self, row: Any) -> bool:
        """Return whether the entry can be undone."""
        point = self.point_of(row)
        return point is not None and point.status == RollbackPoint.Status.LIVE

    def question(self, request: HttpRequest, rows: Sequence[Any], *, number: int) -> Question:
        """Say of each what comes back; leave out what needs a decision of its own."""
        points = {row: point for row in rows if (point := self.point_of(row)) is not None}
        lines = {row.pk: self._line(point, row.application_label) for row, point in points.items()}
        left_out = frozenset(pk for pk, line in lines.items() if line.left_out)
        ahead = len(lines) - len(left_out)
        words = ngettext(
            "The cleanup of this application will be undone. Afterwards it is on hold, so that the next cleanup does "
            "not merge the folders again.",
            "The cleanups of these %(number)s applications will be undone. Afterwards they are on hold, so that the "
            "next cleanup does not merge the folders again.",
            ahead,
        )
        return Question(
            title=ngettext("Undo this cleanup?", "Undo these cleanups?", len(lines)),
            sentence=words % {"number": wording.number_text(ahead)}
            if ahead
            else _("None of these can be undone from here."),
            button=ngettext("Undo", "Undo all %(number)s", ahead) % {"number": wording.number_text(ahead)},
            lines=[*(line for line in lines.values() if not line.left_out), *(lines[pk] for pk in left_out)],
            left_out=left_out,
            asks_reason=True,
            in_the_way=obstacles.to_undos(request),
            possible=ahead > 0,
        )

    def _line(self, point: RollbackPoint, label: str) -> Line:
        from cleanup.services.operations import requests  # noqa: PLC0415  # starting must not cost what undoing needs

        name = names.name_of(point, label=label)
        alone = self.url("undo_record", point.pk)
        try:
            found = requests.preview_rollback(using=access.database(), rollback_id=point.uuid)
        except TooLargeToPreview:
            return Line(name, _("It is too large to examine on a page."), left_out=True, address=alone)
        except CleanupError as error:
            return Line(name, refusals.refusal(error), left_out=True, address=alone)
        changed = len(found.conflicts) + found.conflicts_left_out
        if changed:
            words = ngettext(
                "People have changed one thing since.", "People have changed %(number)s things since.", changed
            )
            note = words % {"number": wording.number_text(changed)}
            return Line(name, note, left_out=True, address=alone)
        return Line(
            name,
            wording.restored_text(
                found.folders_restored, found.files_restored, found.references_restored, found.folders_moved_back
            ),
        )

    def carry_out(self, request: HttpRequest, rows: Sequence[Any]) -> str:
        """Start an undo of each."""
        service, reason = access.service(), request.POST.get("reason", "")
        points = [point for row in rows if (point := self.point_of(row)) is not None]
        start = partial(service.start_rollback, reason=reason, **access.actor(request))
        runs = {point: access.attempt(request, partial(start, point.uuid)) for point in points}
        started = [point for point, run in runs.items() if run is not None]
        access.log_each(request, started, gettext_noop("Started the undo."))
        if not started:
            return self.back_to(request.POST)
        if len(points) == 1:
            messages.success(request, _("The undo has started. This page follows it."))
            return self.url("run_change", runs[points[0]].pk)
        words = ngettext(
            "The undo has started. It is the first in this list.",
            "%(number)s undos have started. They are the first in this list.",
            len(started),
        )
        messages.success(request, words % {"number": wording.number_text(len(started))})
        return self.url("run_changelist", kind__exact="rollback")
