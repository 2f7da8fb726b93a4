"""Where the manual, whose chapters are installed with the app, explains what the product refuses."""

from pathlib import Path

_CHAPTERS = Path(__file__).parent / "docs"

_REFUSALS = ("references", "references-and-refusals")
_RUNS = ("safety", "how-a-run-is-safe")
_GUARDS = ("safety", "guards")
_COPIES = ("operations", "backups-and-copies")

#: By code of an error or a failure, the chapter and the anchor of the section that says more about it.
SECTIONS = {
    "already_rolled_back": _RUNS,
    "busy": _RUNS,
    "collision": ("references", "collisions"),
    "conflict": _RUNS,
    "different_roots": ("safety", "roots-of-different-names"),
    "differing_columns": ("settings", "the-merge"),
    "expired": _RUNS,
    "foreign_database": _COPIES,
    "guard_blocked": _GUARDS,
    "guard_forbidden": _GUARDS,
    "guarded": _GUARDS,
    "misconfigured": ("settings", "settings"),
    "no_cluster": ("operations", "automation"),
    "not_repairable": ("safety", "repairs"),
    "not_waiting": ("operations", "approval"),
    "preflight": _REFUSALS,
    "restored_copy": _COPIES,
    "schema_changed": _RUNS,
    "superseded": _RUNS,
    "unkeyed_rows": _REFUSALS,
    "unreadable_journal": _RUNS,
    "unscriptable": ("safety", "undo-without-this-program"),
    "widens": ("references", "who-may-see-files"),
    "would_detach": _RUNS,
    "would_misplace": _RUNS,
}


def reference_to(code: str) -> str:
    """Return the sentence that points to what the manual says about an error; empty if it says no more."""
    if code not in SECTIONS:
        return ""
    chapter, anchor = SECTIONS[code]
    return f"See the manual ({path_of(chapter)}#{anchor})."


def path_of(chapter: str) -> str:
    """Return where a chapter is: in full, unless it is below the current directory."""
    file = _CHAPTERS / f"{chapter}.md"
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)
