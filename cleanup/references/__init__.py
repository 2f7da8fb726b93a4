"""Everything that points at a folder: one description that preflight, merge, journal, undo and verification share.

Discovered from the models and from the database's catalogue, never listed by hand. It fails closed: what cannot be
moved, or cannot be journaled, is a Problem, and a run with problems does not start. ``discovery`` reads, ``graph``
finds what has to change together, ``problems`` describes what prevents a run, ``description`` is the result. Each is
imported when it is first used: what only looks reads no references.
"""

from typing import TYPE_CHECKING

from cleanup.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from cleanup.references.collision_policies import Policy
    from cleanup.references.comparison import changes
    from cleanup.references.description import ReferenceMap
    from cleanup.references.discovery import discover
    from cleanup.references.missing_keys import blocking_rows
    from cleanup.references.observed import row_problems, row_warnings
    from cleanup.references.problem import Problem
    from cleanup.references.publications import publication_problems
    from cleanup.references.tree_shape import Fault, faults_of_shape
else:
    __getattr__ = lazy_exports(
        __name__,
        collision_policies=("Policy",),
        comparison=("changes",),
        description=("ReferenceMap",),
        discovery=("discover",),
        missing_keys=("blocking_rows",),
        observed=("row_problems", "row_warnings"),
        problem=("Problem",),
        publications=("publication_problems",),
        tree_shape=("Fault", "faults_of_shape"),
    )

__all__ = [
    "Fault",
    "Policy",
    "Problem",
    "ReferenceMap",
    "blocking_rows",
    "changes",
    "discover",
    "faults_of_shape",
    "publication_problems",
    "row_problems",
    "row_warnings",
]
