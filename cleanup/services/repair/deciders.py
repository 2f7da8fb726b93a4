"""What decides about each kind of finding."""

from cleanup.references import ReferenceMap
from cleanup.services.repair.decisions import Decider
from cleanup.services.repair.kinds import LATE, NAMES
from cleanup.services.repair.late import LateDecider
from cleanup.services.repair.names import NamesDecider


def decider_of(code: str, *, using: str, references: ReferenceMap) -> Decider | NamesDecider:
    """Return what decides about findings of a code."""
    if code == NAMES:
        return NamesDecider(using=using, references=references)
    kind = LateDecider if code == LATE else Decider
    return kind(using=using, references=references, code=code)
