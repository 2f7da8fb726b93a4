"""Where the manual, whose chapters are installed with the app, explains what the product refuses."""

#: Sections that explain more than one code.
_REFUSALS = "references.md#references-and-refusals"
_RUNS = "safety.md#how-a-run-is-safe"
_GUARDS = "safety.md#guards"

#: By code of an error, the chapter and the anchor of its section.
SECTIONS = {
    "already_rolled_back": _RUNS,
    "collision": "references.md#collisions",
    "conflict": _RUNS,
    "different_roots": "safety.md#roots-of-different-names",
    "differing_columns": "settings.md#the-merge",
    "expired": _RUNS,
    "foreign_database": "operations.md#backups-and-copies",
    "guard_blocked": _GUARDS,
    "guard_forbidden": _GUARDS,
    "guarded": _GUARDS,
    "misconfigured": "settings.md#settings",
    "no_cluster": "operations.md#automation",
    "not_repairable": "safety.md#repairs",
    "not_waiting": "operations.md#approval",
    "preflight": _REFUSALS,
    "restored_copy": "operations.md#backups-and-copies",
    "schema_changed": _RUNS,
    "superseded": _RUNS,
    "unreadable_journal": _RUNS,
    "unscriptable": "safety.md#undo-without-this-program",
    "widens": "references.md#who-may-see-files",
    "would_detach": _RUNS,
    "would_misplace": _RUNS,
}


def reference_to(code: str) -> str:
    """Return the sentence that points to what the manual says about an error; empty if it says no more."""
    section = SECTIONS.get(code)
    return f"See the manual (cleanup/docs/{section})." if section else ""
