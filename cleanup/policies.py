"""The values of settings that decide what becomes of something: one enumeration each. Pure."""

from enum import StrEnum


class ApplicationSource(StrEnum):
    """CLEANUP_APPLICATION_FROM: which folders tell the application that they belong to."""

    FOLDER = "folder"
    ROOT = "root"


class SharedFoldersPolicy(StrEnum):
    """CLEANUP_SHARED_FOLDERS: what becomes of folders without an application, if others have one."""

    LEAVE = "leave"
    MERGE = "merge"


class DifferentRootsPolicy(StrEnum):
    """CLEANUP_DIFFERENT_ROOTS: what becomes of an application's root folders of different names."""

    MERGE = "merge"
    NEST = "nest"
    REFUSE = "refuse"
    KEEP = "keep"


class SurvivorPolicy(StrEnum):
    """CLEANUP_SURVIVOR: which folder of a group stays, if the setting names neither a column nor a function."""

    OLDEST = "oldest"
    NEWEST = "newest"
    FULLEST = "fullest"


class DifferencePolicy(StrEnum):
    """CLEANUP_DIFFERING_COLUMNS: whether a removed folder may differ from its survivor in columns not mapped."""

    REPORT = "report"
    REFUSE = "refuse"


class WideningPolicy(StrEnum):
    """CLEANUP_WIDENING: whether a merge may let people see files that they could not see before."""

    REPORT = "report"
    REFUSE = "refuse"


class TriggerPolicy(StrEnum):
    """CLEANUP_TRIGGERS: what becomes of the host's triggers on tables that a run writes."""

    REFUSE = "refuse"
    FIRE = "fire"
    BYPASS = "bypass"


class HistoryPolicy(StrEnum):
    """CLEANUP_HISTORY_TABLES: what becomes of what a table that keeps versions or logs says of removed folders."""

    LEAVE = "leave"
    MOVE = "move"
    REFUSE = "refuse"


class CollisionPolicy(StrEnum):
    """CLEANUP_COLLISIONS: what becomes of the row that has to give way."""

    REFUSE = "refuse"
    KEEP_SURVIVOR = "keep_survivor"


class NewValuePolicy(StrEnum):
    """And in place of these, of what kind of column that row takes another value."""

    RENAME = "rename"
    RENUMBER = "renumber"
