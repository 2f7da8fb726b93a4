"""What clusters call: thin, and safe to be delivered any number of times."""

from cleanup.backends.pinning import pinning
from cleanup.services import clusters, errands
from cleanup.services import heartbeat as heartbeats


def tick(using: str, tick_id: int, token: str) -> None:
    """Work for a while at what the tick is for."""
    with pinning(using=using):
        errands.work(using=using, tick_id=tick_id, token=token)


def heartbeat(using: str) -> None:
    """Give a sign of life, and see to what is due or was left behind."""
    with pinning(using=using):
        heartbeats.heartbeat(using=using)


def sign_of_life(using: str, cluster: str, hops: int) -> None:
    """Give a sign of life, if this is the cluster that was asked for one."""
    with pinning(using=using):
        clusters.answer(using=using, cluster=cluster, hops=hops)
