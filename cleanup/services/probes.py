"""When rows are looked at for references that nothing else reveals: at the start of what merges, and not at each page.

A look that found nothing holds for a few minutes, as long as settings and tables are the same.
"""

import time

from django.conf import settings
from django.db import connections

from cleanup.references import Problem, ReferenceMap
from cleanup.references.probing import probe

#: For so long a look that found nothing will do for a preview, and for the merge of a single application.
SECONDS = 300

#: When the last look at a database found nothing, and what was known of it.
_clean: dict[str, tuple[float, str]] = {}


def circumstances(using: str) -> str:
    """Return what tells the database behind an alias, and the settings it is looked at with, from others."""
    connection = connections[using].settings_dict
    ours = {name: getattr(settings, name) for name in dir(settings) if name.startswith("CLEANUP_")}
    return repr(([connection[name] for name in ("HOST", "PORT", "NAME", "USER", "OPTIONS")], ours))


def problems(*, using: str, references: ReferenceMap, lately: bool) -> list[Problem]:
    """Return what the rows say against a merge; ``lately``: a look of a moment ago will do."""
    now, known = time.monotonic(), f"{circumstances(using)} {sorted(references.known)}"
    at, before = _clean.get(using, (0.0, ""))
    if lately and before == known and now - at < SECONDS:
        return []
    found = probe(using=using, references=references).problems
    if found:
        _clean.pop(using, None)
    else:
        _clean[using] = now, known
    return found
