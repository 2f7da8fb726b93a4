"""The tools that are compared: each merges all duplicate folders of the database. Ours can undo it as well."""

import io
from collections.abc import Callable

from cleanup.services import cleanup_service
from tests.peers.scenario import Section

Merge = Callable[[Section, list[Section]], None]


def _drive(merge: Merge) -> None:
    """Merge level by level until no two folders of one name stand side by side: what the tools leave to their user."""
    level: list[int | None] = [None]
    while level:
        groups: dict[tuple, list[Section]] = {}
        for section in Section.objects.filter(inside__in=[key for key in level if key]).order_by("opened", "pk"):
            groups.setdefault((section.inside_id, section.title), []).append(section)
        if level == [None]:
            for section in Section.objects.filter(inside=None).order_by("opened", "pk"):
                groups.setdefault((section.case_id,), []).append(section)
        for primary, *others in groups.values():
            if others:
                merge(primary, others)
        level = [primary.pk for primary, *_ in groups.values()]


def with_django_extensions() -> None:
    """Merge with the function of django-extensions' command of that name."""
    from django_extensions.management.commands.merge_model_instances import Command

    command = Command(stdout=io.StringIO())
    _drive(command.merge_model_instances)


def with_super_deduper() -> None:
    """Merge with django-super-deduper; it keeps the duplicates unless told otherwise."""
    from django_super_deduper.merge import MergedModelInstance

    _drive(lambda primary, others: MergedModelInstance.create(primary, others, keep_old=False))


def with_cleanup() -> None:
    """Merge with ours.

    Raises:
        RuntimeError: an application was not merged.

    """
    report = cleanup_service.cleanup_all_duplicate_folders()
    failed = [result.error_message for result in report.results if result.error_message]
    if failed:
        raise RuntimeError("; ".join(failed))


TOOLS = {
    "cleanup": with_cleanup,
    "django-extensions": with_django_extensions,
    "django-super-deduper": with_super_deduper,
}
