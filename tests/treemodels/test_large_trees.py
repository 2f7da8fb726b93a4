"""A tree that is too large to be held whole is read packed and merged in parts, and comes out as any other."""

import json
import random
import tracemalloc
from uuid import UUID

import pytest

from cleanup import packing
from cleanup.exceptions import RollbackConflict
from cleanup.models import Result, SnapshotRow
from cleanup.services import DatabaseCleanupService
from cleanup.services.merging import apply, examine, targets
from tests.support.trees import change, dump, unchecked
from tests.treemodels.models import Appearance, Desk, Entry, Item, Placement, Topic


@pytest.fixture
def small_parts(monkeypatch) -> list[int]:
    """Make parts of one group each, and return how many there were each time."""
    for module in (examine, apply):
        monkeypatch.setattr(module, "MOST_COMPARED", 0)
    monkeypatch.setattr(targets, "MOST_REMOVED", 1)
    numbers: list[int] = []
    parts = targets.Removals.parts

    def noting(self):
        several = list(parts(self))
        numbers.append(len(several))
        return iter(several)

    monkeypatch.setattr(targets.Removals, "parts", noting)
    return numbers


def service(database: str) -> DatabaseCleanupService:
    return DatabaseCleanupService(using=database)


def mess(database: str, seed: int) -> None:
    """Make a tree of few names, so that much of it is removed, with rows that refer to its topics in several ways."""
    rng = random.Random(seed)
    desk = Desk.objects.using(database).create()
    rows = [
        Topic(pk=n, desk=desk, heading=rng.choice("ab"), above_id=rng.randrange(1, n) if n > 3 else None)
        for n in range(1, 41)
    ]
    with unchecked(database):
        Topic.objects.using(database).bulk_create(rows)
    Entry.objects.using(database).bulk_create(Entry(title="e", topic=rng.choice(rows)) for _ in range(60))
    for _ in range(20):
        item = Item.objects.using(database).create(title="i")
        Placement.objects.using(database).create(topic=rng.choice(rows), item=item)
        item.topics.add(rng.choice(rows))


def outcome(database: str, **options) -> list[tuple]:
    report = service(database).cleanup_all_duplicate_folders(all_results=True, include_held=True, **options)
    return [
        (r.application_id, r.status, r.folders_removed, r.child_folders_merged, r.references_moved, done(r.details))
        for r in report.results
    ]


def done(details: dict) -> dict:
    """Return what a cleanup tells, too, and not a dry run alone."""
    return {name: value for name, value in details.items() if name != "differing_columns"}


class TestALargeTree:
    @pytest.mark.parametrize("seed", [0])
    def test_is_merged_as_a_small_one_would_be(self, database, seed, request):
        mess(database, seed)
        before = dump(database)
        whole = outcome(database)
        after = dump(database)
        undo_all(database)
        assert dump(database) == before
        numbers = request.getfixturevalue("small_parts")
        assert outcome(database, dry_run=True) == whole
        assert outcome(database) == whole
        assert max(numbers) > 2
        assert dump(database) == after
        undo_all(database)
        assert dump(database) == before

    def test_is_still_refused_for_rows_that_collide(self, database, small_parts):
        mess(database, 0)
        twins = topics_that_merge(database)
        item = Item.objects.using(database).create(title="both")
        for number, topic in enumerate(twins):
            Appearance.objects.using(database).create(topic=topic, item=item, note=str(number))
        refused = outcome(database, dry_run=True)
        assert outcome(database) == refused
        assert Result.Status.FAILED in {status for _, status, *_ in refused}

    def test_is_whole_when_it_fails_between_its_parts(self, database, small_parts, monkeypatch):
        mess(database, 0)
        before = dump(database)
        remove, calls = apply.Merger._remove_folders, []

        def failing(self, step, batch):
            calls.append(batch)
            if len(calls) > 2:
                raise ZeroDivisionError
            remove(self, step, batch)

        monkeypatch.setattr(apply.Merger, "_remove_folders", failing)
        assert {status for _, status, *_ in outcome(database)} == {Result.Status.FAILED}
        assert dump(database) == before


def undo_all(database: str) -> None:
    run = Result.objects.using(database).filter(run__kind="cleanup").latest("run__created_at").run
    service(database).rollback_cleanup(run.pk)


def topics_that_merge(database: str) -> list[Topic]:
    """Return two topics that become one: the first roots of one name."""
    roots = list(Topic.objects.using(database).filter(above=None).order_by("pk"))
    return next([one, other] for one in roots for other in roots if one.pk < other.pk and one.heading == other.heading)


class TestUndoingALargeTree:
    @pytest.fixture(autouse=True)
    def parts_of_fewer_folders(self, monkeypatch) -> None:
        monkeypatch.setattr(targets, "MOST_REMOVED", 2_000)

    def test_with_a_conflict_in_the_last_part_changes_nothing(self, database, monkeypatch):
        monkeypatch.setattr(targets, "MOST_REMOVED", 500)
        before, point = merged(database)
        last = SnapshotRow.objects.using(database).filter(kind="moved", table__endswith="entry").latest("pk")
        entry = Entry.objects.using(database).get(pk=json.loads(last.changes)[-1]["keys"][0][-1].removeprefix("i:"))
        left = entry.topic_id
        change(database, Entry, entry.pk, topic=None)
        changed = dump(database)

        with pytest.raises(RollbackConflict) as refusal:
            service(database).rollback_cleanup(point)
        assert [conflict.key for conflict in refusal.value.conflicts] == [str(entry.pk)]
        assert dump(database) == changed

        change(database, Entry, entry.pk, topic=left)
        service(database).rollback_cleanup(point)
        assert dump(database) == before

    def test_holds_no_object_for_each_folder(self, database, monkeypatch):
        monkeypatch.setattr(packing, "MANY", 100)
        _, point = merged(database)
        service(database).preview_rollback(point)  # whatever is made once has been made

        tracemalloc.start()
        try:
            service(database).rollback_cleanup(point)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 150 * Topic.objects.using(database).count()


def merged(database: str) -> tuple[dict[str, list[str]], UUID]:
    """Merge two roots with more folders of the same names than one part takes; return what was there, and the point."""
    number = targets.MOST_REMOVED + 100
    desk = Desk.objects.using(database).create()
    roots = [Topic(pk=root, desk=desk, heading="root") for root in (1, 2)]
    twins = [
        Topic(pk=root.pk * 100_000 + n, desk=desk, heading=f"t{n}", above=root) for root in roots for n in range(number)
    ]
    inside = [Topic(pk=300_000 + n, desk=desk, heading="in", above_id=200_000 + n) for n in range(0, number, 10)]
    Topic.objects.using(database).bulk_create([*roots, *twins, *inside])
    Entry.objects.using(database).bulk_create(Entry(title="e", topic_id=200_000 + n) for n in range(0, number, 2))
    before = dump(database)
    (result,) = service(database).cleanup_all_duplicate_folders(all_results=True, include_large=True).results
    assert (result.status, result.folders_removed) == (Result.Status.COMPLETED, number + 1)
    return before, result.rollback_id
