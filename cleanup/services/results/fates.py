"""What becomes of a folder, and why."""

from enum import StrEnum


class Fate(StrEnum):
    """What becomes of a folder."""

    SURVIVOR = "survivor"
    """Others merge into it; if ``parent_after`` differs from ``parent_id``, it moves as well."""
    MERGED = "merged"
    MOVED = "moved"
    KEPT = "kept"
    LEFT_ALONE = "left_alone"


class Reason(StrEnum):
    """Why that is its fate."""

    OLDEST = "oldest"
    LOWEST_KEY = "lowest_key"
    """The oldest where folders have no time."""
    NEWEST = "newest"
    FULLEST = "fullest"
    """Most rows point at it."""
    NAMED = "named"
    """The application names it as its root folder."""
    CHOSEN = "chosen"
    """The settings prefer it (``CLEANUP_SURVIVOR``)."""
    ALREADY_THERE = "already_there"
    """Not the oldest of its group, but the oldest that already lies in the surviving parent."""
    ANOTHER_ROOT = "another_root"
    SAME_NAME = "same_name"
    PARENT_MERGED = "parent_merged"
    NESTED = "nested"
    """A root folder with a different name, moved into the surviving root (``CLEANUP_DIFFERENT_ROOTS``)."""
    UNREACHABLE = "unreachable"
    """No root folder of the application leads to it."""
    NOT_LIVE = "not_live"
    """In the host's trash."""
