"""What happens in the midst of a merge, in the clusters of a test: a CLEANUP_TREE_HOOK, inside the transaction."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path


def slow(*, using: str, application_ids: Sequence[str]) -> None:
    """Take some time, so that there is a midst; kill this process where that is wanted.

    CLEANUP_TEST_POISON names an application that kills whoever merges it; CLEANUP_TEST_GRENADE a file that kills the
    one who finds it, and is gone then.
    """
    time.sleep(0.04 * len(application_ids))
    grenade = os.environ.get("CLEANUP_TEST_GRENADE")
    if os.environ.get("CLEANUP_TEST_POISON") in application_ids:
        os.kill(os.getpid(), signal.SIGKILL)
    if grenade and Path(grenade).exists():
        Path(grenade).unlink()
        os.kill(os.getpid(), signal.SIGKILL)
