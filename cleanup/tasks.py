"""The tasks that clusters run: thin, and safe to deliver any number of times."""

from cleanup.backends.pinning import pinning
from cleanup.services.automation import handlers
from cleanup.services.automation import heartbeat as heartbeats
from cleanup.services.background import clusters


def tick(using: str, lease_id: int, token: str) -> None:
    """Work for a while on what the lease is for."""
    with pinning(using=using):
        handlers.handle(using=using, lease_id=lease_id, token=token)


def heartbeat(using: str) -> None:
    """Give a sign of life, and start what is due or was left behind."""
    with pinning(using=using):
        heartbeats.heartbeat(using=using)


def sign_of_life(using: str, *asked: str | int) -> None:
    """Give a sign of life, and have other clusters give theirs; ``asked`` ends with the number of forwards left.

    Tasks of earlier versions, which may still be in the queue, name a cluster before that.
    """
    with pinning(using=using):
        clusters.handle_ping(using=using, forwards=int(asked[-1]))
