"""The input of the operations, in query and body."""

from typing import Any

from rest_framework import serializers

from cleanup import conf
from cleanup.api.serializer_fields import Flag, Input, Key, Number, QueryFlag, Text
from cleanup.models import NameGroup, Schedule

#: Applications that can be named in one request.
MOST_NAMED = 1000

_REASON = {"required": False, "allow_blank": True, "max_length": 2000, "help_text": "Kept in the history."}


class VerifyQuery(Input):
    """Of what."""

    application_id = Key(of="application", required=False, help_text="Only this application.")


class CleanupQuery(Input):
    """How."""

    dry_run = QueryFlag(required=False, default=False, help_text="Only plan: nothing is written.")
    wait = QueryFlag(required=False, default=False, help_text="Work in this request; for small databases.")


class CleanupBody(Input):
    """Which applications."""

    applications = serializers.ListField(
        child=Key(of="application"),
        required=False,
        min_length=1,
        max_length=MOST_NAMED,
        help_text="These applications; by default, all that are affected.",
    )
    max_applications = Number(required=False, min_value=1, max_value=2**31 - 1, help_text="The worst ones.")
    batch_size = Number(required=False, min_value=1, max_value=10_000)
    include_held = Flag(required=False, default=False)
    include_large = Flag(required=False, default=False)
    reason = Text(**_REASON)


class RepairBody(Input):
    """Which applications."""

    applications = serializers.ListField(
        child=Key(of="application"),
        required=False,
        min_length=1,
        max_length=MOST_NAMED,
        help_text="What concerns these applications; by default, everything that is found.",
    )
    batch_size = Number(required=False, min_value=1, max_value=10_000)
    include_held = Flag(required=False, default=False)
    include_large = Flag(required=False, default=False)
    reason = Text(**_REASON)


class NamesBody(Input):
    """What becomes of a group."""

    folder_id = Key(of="folder", help_text="A folder of the group.")
    decision = serializers.ChoiceField(NameGroup.Decision.choices)
    stays = Flag(required=False, default=False, help_text="The others go into this folder.")


class RollbackQuery(Input):
    """Where."""

    wait = QueryFlag(
        required=False,
        help_text="Work in this request. By default, yes for a rollback point and no for a run.",
    )


class RollbackBody(Input):
    """How."""

    skip_conflicts = Flag(required=False, default=False, help_text="Restore the rest, and record what was skipped.")
    as_copies = Flag(required=False, default=False, help_text="Bring folders back under the survivor, as copies.")
    reason = Text(**_REASON)


class RollbackPreviewBody(Input):
    """How."""

    as_copies = Flag(required=False, default=False, help_text="Report what would come back as copies.")


class ResumeBody(Input):
    """How."""

    retry_failed = Flag(required=False, default=False)


class ReasonBody(Input):
    """Why."""

    reason = Text(**_REASON)


class FreezeBody(Input):
    """Why."""

    reason = Text(max_length=2000)


class ScheduleBody(Input):
    """What of a schedule changes."""

    enabled = Flag(required=False)
    schedule_type = serializers.ChoiceField(Schedule.Cadence.choices, required=False)
    weekday = Number(required=False, min_value=0, max_value=6, help_text="Monday is 0; of a weekly schedule.")
    hour = Number(required=False, min_value=0, max_value=23, help_text="UTC; of a daily or weekly schedule.")
    minute = Number(required=False, min_value=0, max_value=59)
    max_applications = Number(required=False, min_value=1, max_value=2**31 - 1, allow_null=True)
    alert_threshold = Number(required=False, min_value=0, max_value=2**31 - 1)
    dry_run_first = Flag(required=False, help_text="The next run only plans.")


class PointBody(Input):
    """Of which application."""

    application_id = Key(of="application")
    reason = Text(**_REASON)


class ConsolidateBody(Input):
    """What was confirmed."""

    plan_hash = Text(required=False, max_length=64, help_text="Of the plan that was reviewed.")
    include_held = Flag(required=False, default=False)
    include_large = Flag(required=False, default=False)
    reason = Text(**_REASON)


class TokenBody(Input):
    """For how long."""

    def get_fields(self) -> dict[str, Any]:
        """Return the one field, within what the setting allows at this moment."""
        most = conf.api_token_hours()
        return {
            "hours": Number(
                required=False, default=min(24, most), min_value=1, max_value=most, help_text="Until it expires."
            )
        }


def given(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the values that were given."""
    return {name: values[name] for name in names if name in values}
