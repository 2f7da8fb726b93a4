"""What clusters call: thin, and safe to be delivered any number of times."""

from cleanup.services import errands
from cleanup.services import heartbeat as heartbeats


def tick(using: str, tick_id: int, token: str) -> None:
    """Work for a while at what the tick is for."""
    errands.work(using=using, tick_id=tick_id, token=token)


def heartbeat(using: str) -> None:
    """Give a sign of life, and see to what is due or was left behind."""
    heartbeats.heartbeat(using=using)
