"""How long to wait before something that failed for a moment is tried again."""

import random
import time


def back_off(attempt: int) -> None:
    """Sleep longer at each attempt, with jitter, so that two who collided do not collide again."""
    time.sleep(min(2.0, 0.05 * 2**attempt) * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
