"""The plans of repairs, as pure functions of rows."""

import random

import pytest

from cleanup.analysis import Edge, normalized
from cleanup.planning import FolderRow
from cleanup.repairing import (
    NEW_RECOVERED,
    NEW_ROOT,
    Alike,
    Change,
    Found,
    Names,
    Reason,
    Repairs,
    Surroundings,
    plan_alike,
)

NAMES = Names(recovered="Recovered", root="Application", unnamed="Unnamed", longest=12)


def rows(*several: tuple[str, str | None, str]) -> list[FolderRow]:
    """Return folders of (key, parent, name), the oldest first."""
    return [FolderRow(key, parent, name, age) for age, (key, parent, name) in enumerate(several)]


def repairs(folders: dict[str, list[FolderRow]], **around: object) -> Repairs:
    existing = {application for application in folders if application != "gone"}
    return Repairs(Surroundings(folders, existing, around.pop("owners", {}), **around), NAMES)  # type: ignore[arg-type]


class TestMissingParents:
    def test_go_where_others_were_put_before(self):
        found = repairs({"A": rows(("r", None, "R"), ("c", "r", "Recovered"), ("x", "nowhere", "X"))})
        found.missing_parents([Found("x", "A", "nowhere")])
        plan = found.plans()["A"]
        assert (plan.makes, plan.changes) == ((), (Change("folder", "x", "parent", "nowhere", "c"),))

    def test_get_a_root_if_there_is_none(self):
        found = repairs({"A": rows(("x", "nowhere", "X"))})
        found.missing_parents([Found("x", "A", "nowhere")])
        assert found.plans()["A"].makes == (NEW_ROOT, NEW_RECOVERED)

    def test_never_get_a_name_that_looks_like_another(self):
        orphans = [(f"x{number}", "nowhere", name) for number, name in enumerate(["Documentation", "DOCUMENTATION "])]
        found = repairs({"A": rows(("r", None, "R"), *orphans)})
        found.missing_parents([Found(key, "A", "nowhere") for key, *_ in orphans])
        changes = found.plans()["A"].changes
        names = [change.new for change in changes if change.column == "name"]
        assert names == ["Document (2)"] or [len(name) for name in names] == [12]
        assert len({normalized(name) for name in ("Documentation", *names)}) == 2

    def test_get_a_name_if_they_are_blank_like_what_is_there(self):
        orphans = [("x", "nowhere", " "), ("y", "nowhere", " ")]
        found = repairs({"A": rows(("r", None, "R"), *orphans)})
        found.missing_parents([Found(key, "A", "nowhere") for key, *_ in orphans])
        names = {change.key: change.new for change in found.plans()["A"].changes if change.column == "name"}
        assert names == {"y": "Unnamed"}

    def test_are_left_where_no_application_takes_them_in(self):
        found = repairs({"A": [], "gone": rows(("x", "nowhere", "X"))})
        found.missing_parents([Found("x", "gone", "nowhere"), Found("y", None, "nowhere")])
        assert found.plans() == {}
        assert [left.reason for left in found.left] == [Reason.MISSING_APPLICATION, Reason.NO_APPLICATION]


class TestCycles:
    def test_lose_one_edge_each(self):
        folders = rows(("r", None, "R"), ("a", "b", "A"), ("b", "a", "B"), ("s", "s", "S"))
        found = repairs({"A": folders})
        found.cycles([Edge("a", "b", "A"), Edge("b", "a", "A"), Edge("s", "s", "A")])
        plan = found.plans()["A"]
        assert sorted(plan.mended) == ["a", "b", "s"]
        assert [change.key for change in plan.changes] == ["a", "s"]

    def test_are_broken_once_if_they_lead_through_several_applications(self):
        folders = {"A": rows(("r", None, "R"), ("a", "b", "A")), "B": rows(("b", "c", "B")), "gone": rows()}
        found = repairs(folders)
        found.cycles([Edge("b", "c", "B"), Edge("a", "b", "A"), Edge("c", "d", "gone"), Edge("d", "a", None)])
        ((application, plan),) = found.plans().items()
        assert (application, [change.key for change in plan.changes]) == ("A", ["a"])
        assert (sorted(plan.mended), found.left) == (["a", "b", "c"], [])
        assert found.sources["A"] == {"A", "B", "gone"}

    def test_are_left_where_no_application_takes_them_in(self):
        found = repairs({})
        found.cycles([Edge("a", "b", "gone"), Edge("b", "a", None)])
        assert (found.plans(), sorted(left.key for left in found.left)) == ({}, ["a", "b"])


class TestForeignParents:
    FOLDERS = {
        "A": rows(("r", None, "R"), ("f", "p", "F"), ("g", "f", "G")),
        "B": rows(("q", None, "Q"), ("p", "q", "P")),
    }

    @pytest.mark.parametrize(
        ("files", "target", "columns"),
        [
            ({}, "A", ["parent"]),
            ({"f": {"A"}}, "A", ["parent"]),
            ({"f": {"B"}, "g": {"B"}}, "B", ["application", "application"]),
            ({"f": {"A"}, "g": {"B"}}, "A", ["parent"]),
        ],
    )
    def test_go_where_their_files_say(self, files, target, columns):
        found = repairs(self.FOLDERS, owners={"p": "B"}, file_owners=files)
        found.foreign_parents([Found("f", "A", "p")])
        ((application, plan),) = found.plans().items()
        assert (application, [change.column for change in plan.changes]) == (target, columns)
        assert found.sources[target] == {"A"}


def test_the_order_of_the_findings_does_not_matter():
    orphans = [(f"x{number}", "nowhere", f"Name {number % 3}") for number in range(9)]
    folders = rows(("r", None, "R"), *orphans)
    several = [Found(key, "A", "nowhere") for key, *_ in orphans]
    digests = set()
    for seed in range(5):
        random.Random(seed).shuffle(several)
        found = repairs({"A": folders})
        found.missing_parents(several)
        digests.add(found.plans()["A"].digest)
    assert len(digests) == 1


def test_names_that_look_the_same_are_merged_with_what_is_below_and_nothing_else():
    folders = rows(
        *(("r", None, "R"), ("s", None, "R")),
        *(("a", "r", "Docs"), ("b", "r", "DOCS"), ("x", "r", "X"), ("y", "r", "X")),
        *(("a1", "a", "Old"), ("b1", "b", "Old"), ("b2", "b", "New")),
    )
    plan = plan_alike(folders, [Alike("r", ("a", "b"), "b")])
    assert (plan.removed, [(move.folder, move.new_parent) for move in plan.moves]) == ({"a": "b", "a1": "b1"}, [])
