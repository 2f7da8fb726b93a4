"""Whether everything that refers to folders can be moved: what every run, dry run and preview asks before it starts.

The catalogue is read each time. Rows are examined, for what nothing else reveals, before a merge but not for each page:
an examination that found nothing is valid for a few minutes, as long as settings and tables are the same.
"""

import time
from typing import Literal

from django.conf import settings
from django.db import connections

from cleanup.exceptions import PreflightFailed
from cleanup.references.description import ReferenceMap
from cleanup.references.discovery import discover
from cleanup.references.missing_keys import blocking_rows
from cleanup.references.observed import row_problems
from cleanup.references.probing import probe as probe_rows
from cleanup.references.problem import Problem
from cleanup.references.publications import publication_problems

#: Whether rows are looked at, for further references and for what a merge would make wrong: what merges must know; what
#: undoes need not. ``lately``: a look of a moment ago will do.
Probe = Literal["now", "lately", "not"]

#: How long an examination that found nothing is valid for a preview, and for the merge of a single application.
SECONDS = 300

#: When the last examination of a database found nothing, and what was known about it.
_clean: dict[str, tuple[float, str]] = {}


def ready_references(*, using: str, probe: Probe) -> ReferenceMap:
    """Discover all references, for reading. Raises PreflightFailed if something could not be moved.

    Code that writes uses ``schema_changes.ready``.
    """
    references = discover(using=using)
    problems = problems_of(references, using=using, probe=probe)
    if problems:
        raise PreflightFailed(problems)
    return references


def problems_of(references: ReferenceMap, *, using: str, probe: Probe) -> list[Problem]:
    """Return what prevents a run from moving the references."""
    problems = [
        *references.problems,
        *publication_problems(using=using, references=references),
        *blocking_rows(using=using, references=references),
    ]
    if probe != "not":
        problems += row_problems(using=using, references=references)
    if not problems and probe != "not":
        problems = _found_in_rows(using=using, references=references, lately=probe == "lately")
    return problems


def circumstances(using: str) -> str:
    """Return what identifies the database behind an alias, and the settings it is examined with."""
    connection = connections[using].settings_dict
    ours = {name: getattr(settings, name) for name in dir(settings) if name.startswith("CLEANUP_")}
    return repr(([connection[name] for name in ("HOST", "PORT", "NAME", "USER", "OPTIONS")], ours))


def _found_in_rows(*, using: str, references: ReferenceMap, lately: bool) -> list[Problem]:
    now, known = time.monotonic(), f"{circumstances(using)} {sorted(references.known)}"
    at, before = _clean.get(using, (0.0, ""))
    if lately and before == known and now - at < SECONDS:
        return []
    found = probe_rows(using=using, references=references).problems
    if found:
        _clean.pop(using, None)
    else:
        _clean[using] = now, known
    return found
