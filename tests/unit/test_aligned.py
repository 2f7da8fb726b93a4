"""The trees before and after as one."""

from dataclasses import replace
from datetime import UTC, datetime

from cleanup.admin.aligned import Aligned, aligned
from cleanup.services.results import Fate, Line, Preview
from tests.unit.test_preview_wording import folder, merging


def drawn(folders, after, groups=()) -> Aligned:
    """Align folders, given in the order before, with lines after, as (folder, depth), and groups as (one, others)."""
    found = Preview(
        application_id="a",
        plan_hash="",
        made_at=datetime(2026, 1, 1, tzinfo=UTC),
        obstacles=(),
        folders_removed=0,
        child_folders_merged=0,
        folders_moved=0,
        files_moved=0,
        references_moved={},
        rows_removed={},
        widening={},
        groups=tuple(merging(survivor_id=one, removed=tuple(others)) for one, others in groups),
        folders=tuple(folders),
        before=(),
        after=tuple(Line(key, depth) for key, depth in after),
    )
    return aligned(found)


GONE = {"fate": Fate.MERGED, "parent_after": None}


def test_a_folder_that_merges_stands_below_the_one_that_stays():
    found = drawn([folder("one"), folder("two", **GONE)], [("one", 0)], [("one", ["two"])])
    (top,) = found.tops
    assert [gone.folder_id for gone in top.merging] == ["two"]


def test_a_folder_stands_where_it_will_be_and_tells_where_it_is():
    folders = [folder("one"), folder("two", **GONE), folder("in", parent="two", parent_after="one", fate=Fate.MOVED)]
    found = drawn(folders, [("one", 0), ("in", 1)], [("one", ["two"])])
    inside = found.nodes["in"]
    assert (inside.depth, inside.origin(inside.folder), found.tops[0].is_numbered) == (1, 2, True)


def test_a_branch_is_changed_where_something_in_it_is():
    folders = [folder("top"), folder("kept"), folder("deep"), replace(folder("new"), fate=Fate.MOVED)]
    found = drawn(folders, [("top", 0), ("kept", 1), ("deep", 1), ("new", 2)])
    assert {key: node.changed for key, node in found.nodes.items()} == {
        "top": True,
        "kept": False,
        "deep": True,
        "new": True,
    }


def test_a_very_deep_tree_is_drawn():
    found = drawn([folder(str(n)) for n in range(10_000)], [(str(n), n) for n in range(10_000)])
    assert found.tops[0].below == 9_999
