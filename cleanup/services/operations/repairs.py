"""Repairs, in this process or by the clusters, and what they would do."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cleanup import queries
from cleanup.backends.pinning import pinned
from cleanup.exceptions import TooManyToWait
from cleanup.folder_tables import folder_tables
from cleanup.models import NameGroup, Run
from cleanup.references import schema_changes
from cleanup.references.readiness import ready_references
from cleanup.services import freeze
from cleanup.services.background import clusters, dispatch
from cleanup.services.merging.decisions import Inclusion
from cleanup.services.operations.foreground import work_through
from cleanup.services.repair import names, preview
from cleanup.services.repair.kinds import BETWEEN_APPLICATIONS, NAMES, refuse_unless_repairable
from cleanup.services.repair.worklist import Worklist
from cleanup.services.results import Progress, ProposedGroup, RepairReport
from cleanup.services.runs import lifecycle, reports
from cleanup.services.runs.lifecycle import Actor, Options
from cleanup.text_safety import stored_name


def dry_run(*, using: str, options: Options, all_results: bool = False) -> RepairReport:
    """Return the report that a repair would have.

    Raises NotRepairable, PreflightFailed, UnknownObject, InvalidKey and UsageError.
    """
    options = _validated(options, using=using)
    return preview.report(
        using=using,
        references=ready_references(using=using, probe="now"),
        code=options.repair,
        applications=options.applications,
        include=Inclusion(held=options.include_held, large=options.include_large),
        all_results=all_results,
    )


def repair(
    *,
    using: str,
    options: Options,
    actor: Actor,
    all_results: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> RepairReport:
    """Repair in this process. Raises Frozen, and as ``dry_run``."""
    options, worklist = _surveyed(using=using, options=options)
    references = schema_changes.ready(using=using, probe="lately")
    run = lifecycle.create_repair(using=using, options=options, actor=actor, worklist=worklist)
    work_through(run, references, using=using, batch_size=options.batch_size, progress=progress)
    return reports.repair_report(run, using=using, all_results=all_results)


@pinned
def start(*, using: str, options: Options, actor: Actor, in_background: bool = True, most: int | None = None) -> Run:
    """Write a repair run, and have the clusters process it; otherwise it waits for ``control.resume``.

    Raises NoCluster, TooManyToWait if it concerns more applications than ``most``, and as ``repair``.
    """
    refuse_unless_repairable(options.repair, folder_tables())
    if in_background:
        freeze.refuse_if_frozen(using=using)
        clusters.require_alive(using=using)
    options, worklist = _surveyed(using=using, options=options)
    if most is not None and len(worklist.sources) > most:
        raise TooManyToWait(count=len(worklist.sources), limit=most)
    begin = dispatch.start_repair if in_background else lifecycle.create_repair
    return begin(using=using, options=options, actor=actor, worklist=worklist)


def _validated(options: Options, *, using: str) -> Options:
    """Return the options with the ids of applications as text. Raises NotRepairable, and as ``lifecycle.validated``.

    An application of which rows are left need not exist.
    """
    tables = folder_tables()
    refuse_unless_repairable(options.repair, tables)
    named, left = options.applications, set[str]()
    if named is not None and options.repair in BETWEEN_APPLICATIONS:
        keys = {given: tables.application_key.text(given) for given in named}
        left = queries.applications_with_rows(using=using, keys=list(keys.values()))
        named = tuple(given for given, key in keys.items() if key not in left)
    # The plans that were confirmed are those of the applications that take rows in, which may be others.
    valid = lifecycle.validated(replace(options, applications=named, plan_hashes={}), using=using)
    applications = None if valid.applications is None else (*valid.applications, *sorted(left))
    return replace(valid, applications=applications, plan_hashes=options.plan_hashes)


@pinned
def name_groups(*, using: str, application_id: Any) -> list[ProposedGroup]:
    """Return an application's folders side by side whose names look the same, in groups.

    Raises PreflightFailed, UnknownObject and InvalidKey.
    """
    key = queries.existing_application(using=using, application_id=application_id)
    references = ready_references(using=using, probe="not")
    return names.proposed(using=using, references=references, application=key)


@pinned
def decide_names(
    *, using: str, application_id: Any, folder_id: Any, approve: bool, stays: bool, decided_by: str
) -> ProposedGroup:
    """Approve or dismiss the group of names that a folder is in.

    Raises NotRepairable if none can be merged, and as ``name_groups``.
    """
    if approve:
        refuse_unless_repairable(NAMES, folder_tables())
    return names.decide(
        using=using,
        references=ready_references(using=using, probe="not"),
        application=queries.existing_application(using=using, application_id=application_id),
        folder=folder_tables().folder_key.text(folder_id),
        decision=NameGroup.Decision.APPROVED if approve else NameGroup.Decision.DISMISSED,
        stays=stays,
        by=stored_name(decided_by),
    )


def _surveyed(*, using: str, options: Options) -> tuple[Options, Worklist]:
    options = _validated(options, using=using)
    freeze.refuse_if_frozen(using=using)
    references = ready_references(using=using, probe="now")
    worklist = preview.survey(
        using=using, references=references, code=options.repair, applications=options.applications
    )
    if options.plan_hashes:  # nothing but what was shown
        worklist.sources = {key: own for key, own in worklist.sources.items() if key in options.plan_hashes}
    return options, worklist
