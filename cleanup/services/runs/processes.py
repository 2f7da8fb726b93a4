"""Whether processes of this machine are alive."""

import os
import platform


def worker_is_gone(worker: str) -> bool:
    """Return whether a worker, named as ``host:pid...``, was a process of this machine that has ended."""
    host, _, rest = worker.partition(":")
    process = rest.partition(":")[0]
    return host == platform.node() and process.isdigit() and not _is_alive(int(process))


def _is_alive(process: int) -> bool:
    if process == os.getpid():
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
