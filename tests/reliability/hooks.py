"""What happens in the midst of a merge, in the clusters of a test: a CLEANUP_TREE_HOOK, inside the transaction."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path


def slow(*, using: str, application_ids: Sequence[str]) -> None:
    """Take some time, so that there is a midst; kill this process where that is wanted.

    CLEANUP_TEST_CRASH_APPLICATION names an application that kills each process that merges it;
    CLEANUP_TEST_CRASH_ONCE_FILE a file that kills the first process that finds it, and is gone then.
    """
    time.sleep(0.04 * len(application_ids))
    crash_once_file = os.environ.get("CLEANUP_TEST_CRASH_ONCE_FILE")
    if os.environ.get("CLEANUP_TEST_CRASH_APPLICATION") in application_ids:
        os.kill(os.getpid(), signal.SIGKILL)
    if crash_once_file and Path(crash_once_file).exists():
        Path(crash_once_file).unlink()
        os.kill(os.getpid(), signal.SIGKILL)
