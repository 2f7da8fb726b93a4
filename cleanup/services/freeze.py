"""The freeze switch: while it is on, nothing is claimed, queued or merged inline."""

from django.utils import timezone

from cleanup.exceptions import Frozen
from cleanup.models import FreezeSwitch
from cleanup.phrases import as_reason
from cleanup.text_safety import storable, stored_name


def freeze(*, using: str, reason: str, changed_by: str = "") -> None:
    """Stop everything until ``unfreeze``; batches in progress are finished."""
    _set(using=using, frozen=True, reason=reason, changed_by=changed_by)


def unfreeze(*, using: str, changed_by: str = "") -> None:
    """Allow cleaning again."""
    _set(using=using, frozen=False, reason="", changed_by=changed_by)


def is_frozen(*, using: str) -> bool:
    """Return whether the switch is on."""
    return FreezeSwitch.objects.using(using).frozen().exists()


def refuse_if_frozen(*, using: str) -> None:
    """Raise Frozen while the switch is on."""
    switch = FreezeSwitch.objects.using(using).frozen().first()
    if switch is not None:
        reason = as_reason(switch.reason)
        raise Frozen(reason=reason, because=f" ({reason})" if reason else "")


def _set(*, using: str, frozen: bool, reason: str, changed_by: str) -> None:
    values = {
        "frozen": frozen,
        "reason": storable(reason),
        "changed_by": stored_name(changed_by),
        "changed_at": timezone.now(),
    }
    FreezeSwitch.objects.using(using).update_or_create(pk=1, defaults=values)
