"""One tool on one database in a process of its own: ``python -m tests.peers.child TOOL (losses | speed CASES)``.

Prints JSON. ``losses``: by feature, how many rows there were, and what became of them. ``speed``: folders a second.
"""

import json
import sys
import time

import django
from django.core.management import call_command
from django.db import connection


def losses(tool: str) -> dict[str, dict[str, object]]:
    """Merge the scenario and report what became of each feature's rows."""
    from tests.peers.scenario import CHOSEN, FEATURES, duplicates, fill, seen
    from tests.peers.tools import TOOLS

    features = tuple(feature for feature in FEATURES if CHOSEN in (None, feature.name))
    fill(features)
    before = {feature.name: seen(feature) for feature in features}
    failure = ""
    try:
        TOOLS[tool]()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is reported
        failure = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    told = {}
    for feature in features:
        after = seen(feature)
        told[feature.name] = {
            "rows": len(before[feature.name]),
            "lost": len({row for row, _ in before[feature.name]} - {row for row, _ in after}),
            "dangling": sum(title is None for _, title in after),
            "failure": failure,
            "duplicates": duplicates(),
        }
    if tool == "cleanup" and not failure:
        _undo()
        for feature in features:
            told[feature.name]["undone"] = seen(feature) == before[feature.name]
    return told


def _undo() -> None:
    from cleanup.models import Run
    from cleanup.services import cleanup_service

    run = Run.objects.filter(kind=Run.Kind.CLEANUP).latest("created_at")
    cleanup_service.rollback_cleanup(run.pk)


def speed(tool: str, cases: str) -> float:
    """Measure on folders and files alone."""
    from tests.peers.scenario import duplicates, fill_for_speed
    from tests.peers.tools import TOOLS

    folders = fill_for_speed(int(cases))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    started = time.perf_counter()
    TOOLS[tool]()
    seconds = time.perf_counter() - started
    if duplicates():
        raise AssertionError("not all were merged, so the figure means nothing")
    return folders / seconds


def main(tool: str, measure: str, *arguments: str) -> None:
    """Make the tables, measure and print."""
    django.setup()
    call_command("migrate", "contenttypes", verbosity=0)  # tables without migrations are made before all others
    call_command("migrate", run_syncdb=True, verbosity=0)
    print(json.dumps({"losses": losses, "speed": speed}[measure](tool, *arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])
