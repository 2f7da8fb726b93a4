"""Signals that hosts receive after the commit, for their search indexes and caches.

Receivers get ``using``, ``application_id``, ``rollback_id`` and ``removed_to_survivor``, ids as text; the sender is the
folder model. Events are computed and kept for one transaction, and only if there are receivers; an exception in a
receiver is logged, and affects neither the cleanup nor other receivers.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.dispatch import Signal

#: Folders of one application were merged: each removed folder is now its survivor.
folders_merged = Signal()

#: A merge was rolled back: the folders that it had removed exist again, and have no survivor.
merge_undone = Signal()


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to one application."""

    application_id: str
    rollback_id: UUID
    removed_to_survivor: Mapping[str, str]


def has_receivers(sender: type[Any]) -> bool:
    """Return whether any receiver listens for merges, or for their rollback."""
    return folders_merged.has_listeners(sender) or merge_undone.has_listeners(sender)


def send_after_commit(
    signal: Signal,
    events: Iterable[Event],
    *,
    sender: type[Any],
    using: str,
    within: Callable[..., AbstractContextManager[None]],
) -> None:
    """Send the events once the transaction, the caller's included, has committed; never if it does not.

    ``events`` is not iterated over without receivers; ``within`` is the context for receivers, code of the host.
    """
    if signal.has_listeners(sender) and (happened := list(events)):
        send = partial(_send, signal, happened, sender=sender, using=using, within=within)
        transaction.on_commit(send, using=using, robust=True)


def _send(
    signal: Signal,
    events: list[Event],
    *,
    sender: type[Any],
    using: str,
    within: Callable[..., AbstractContextManager[None]],
) -> None:
    with within(using=using):
        for event in events:
            # Not ``asdict``, which would copy what was removed. Logs what receivers raise.
            values = {field.name: getattr(event, field.name) for field in fields(event)}
            signal.send_robust(sender, using=using, **values)
