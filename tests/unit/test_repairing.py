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
    fitted,
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
        assert plan.mended == ("x",)

    def test_get_a_place_in_the_root(self):
        found = repairs({"A": rows(("r", None, "R"), ("x", "nowhere", "X"))})
        found.missing_parents([Found("x", "A", "nowhere")])
        assert (found.plans()["A"].makes, found.plans()["A"].root) == ((NEW_RECOVERED,), "r")

    def test_get_a_root_if_there_is_none(self):
        found = repairs({"A": rows(("x", "nowhere", "X"))})
        found.missing_parents([Found("x", "A", "nowhere")])
        assert (found.plans()["A"].makes, found.plans()["A"].root) == ((NEW_ROOT, NEW_RECOVERED), None)

    def test_get_the_next_name_that_no_one_there_has(self):
        orphans = [("x", "nowhere", "X"), ("y", "nowhere", "x")]
        found = repairs({"A": rows(("r", None, "R"), ("c", "r", "Recovered"), ("there", "c", "X"), *orphans)})
        found.missing_parents([Found(key, "A", "nowhere") for key, *_ in orphans])
        names = {change.key: change.new for change in found.plans()["A"].changes if change.column == "name"}
        assert names == {"x": "X (2)", "y": "x (3)"}

    def test_are_none_of_an_application_where_the_folder_is_gone_meanwhile(self):
        found = repairs({"A": rows(("r", None, "R"))})
        found.missing_parents([Found("x", "A", "nowhere")])
        assert (found.plans(), found.left) == ({}, [])

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
        assert plan.mended == ("f",)

    def test_take_a_name_below_them_that_no_one_there_has(self):
        there = rows(("q", None, "Q"), ("p", "q", "P"), ("k", "f", "G"))
        found = repairs(self.FOLDERS | {"B": there}, owners={"p": "B"}, file_owners={"f": {"B"}})
        found.foreign_parents([Found("f", "A", "p")])
        (name,) = (change for change in found.plans()["B"].changes if change.column == "name")
        assert (name.key, name.new) == ("g", "G (2)")

    def test_are_left_where_no_application_takes_them_in(self):
        found = repairs({"B": self.FOLDERS["B"], "gone": self.FOLDERS["A"]}, owners={"p": "B"})
        found.foreign_parents([Found("f", "gone", "p"), Found("x", None, "p"), Found("y", "gone", "p")])
        assert found.plans() == {}
        assert [(left.key, left.reason) for left in found.left] == [("f", Reason.MISSING_APPLICATION)]


class TestFoldersOfMissingApplications:
    FOLDERS = {"gone": rows(("z", "y", "Z"), ("y", "x", "Y"), ("x", None, "X")), "A": rows(("r", None, "R"))}
    FOUND = [Found("z", "gone", "y"), Found("y", "gone", "x"), Found("x", "gone", None)]

    def test_go_together_where_their_files_say(self):
        found = repairs(self.FOLDERS, file_owners={"z": {"A", "gone"}})
        found.missing_applications(self.FOUND)
        plan = found.plans()["A"]
        assert (plan.mended, plan.makes) == (("x", "y", "z"), (NEW_RECOVERED,))
        assert {change.key for change in plan.changes if change.column == "application"} == {"x", "y", "z"}
        assert [change.key for change in plan.changes if change.column == "parent"] == ["x"]

    def test_stay_below_a_parent_whose_application_takes_them_in(self):
        found = repairs({**self.FOLDERS, "gone": rows(("x", "r", "X"))}, owners={"r": "A"})
        found.missing_applications([Found("x", "gone", "r")])
        assert found.plans()["A"].changes == (Change("folder", "x", "application", "gone", "A"),)

    def test_are_taken_out_of_a_cycle(self):
        found = repairs({**self.FOLDERS, "gone": rows(("x", "y", "X"), ("y", "x", "Y"))}, file_owners={"y": {"A"}})
        found.missing_applications([Found("y", "gone", "x"), Found("x", "gone", "y")])
        plan = found.plans()["A"]
        assert (plan.mended, plan.changes[0]) == (("x", "y"), Change("folder", "x", "parent", "y", NEW_RECOVERED))

    @pytest.mark.parametrize("files", [{}, {"z": {"A", "B"}}, {"z": {"gone"}}])
    def test_are_left_where_nothing_says_whose_they_are(self, files):
        found = repairs({**self.FOLDERS, "B": []}, owners={"x": "gone"}, file_owners=files)
        found.missing_applications([*self.FOUND[:2], Found("x", "gone", "x")])
        assert found.plans() == {}
        assert {(left.key, left.reason) for left in found.left} == {(key, Reason.UNDECIDED) for key in "xyz"}


class TestBlankNames:
    def test_become_names_that_no_sibling_has(self):
        found = repairs({"A": rows(("r", None, "R"), ("u", "r", "Unnamed"), ("b", "r", " "), ("a", "r", ""))})
        found.blank_names([Found("a", "A", "r"), Found("b", "A", "r")])
        plan = found.plans()["A"]
        assert [(change.key, change.new) for change in plan.changes] == [("b", "Unnamed (2)"), ("a", "Unnamed (3)")]
        assert plan.mended == ("b", "a")


class TestComputedColumns:
    def test_are_no_changes_of_the_plan(self):
        found = repairs({"A": rows(("r", None, "R"))})
        found.computed([Found("y", "A", None), Found("r", "A", None), Found("x", "gone", None)])
        plan = found.plans()["A"]
        assert (plan.changes, plan.mended, len(found.left)) == ((), ("r", "y"), 1)


class TestFiles:
    FOLDERS = {"A": rows(("r", None, "R"), ("d", "r", "Docs")), "B": rows(("q", None, "Q"))}

    def test_in_a_missing_folder_go_among_the_recovered(self):
        found = repairs(self.FOLDERS)
        found.files_without_folder([Found("y", "A", "nowhere"), Found("x", "A", "nowhere"), Found("z", None, None)])
        plan = found.plans()["A"]
        assert plan.changes[0] == Change("file", "x", "folder", "nowhere", NEW_RECOVERED)
        assert (plan.mended, [left.row for left in found.left]) == (("x", "y"), ["file"])

    @pytest.mark.parametrize(
        ("path", "place"),
        [(["Q", "Docs"], "d"), (["Q"], "r"), (["Q", "Docs", "X"], NEW_RECOVERED), ([], NEW_RECOVERED)],
    )
    def test_in_another_application_go_to_the_same_path(self, path, place):
        found = repairs(self.FOLDERS, paths={"there": path})
        found.foreign_files([Found("y", "A", "there"), Found("x", "A", "there"), Found("z", "gone", "there")])
        plan = found.plans()["A"]
        assert [(change.key, change.new) for change in plan.changes] == [("x", place), ("y", place)]
        assert [left.reason for left in found.left] == [Reason.MISSING_APPLICATION]

    def test_of_a_missing_application_go_to_that_of_their_folder(self):
        found = repairs(self.FOLDERS, owners={"d": "A", "e": "gone"})
        found.files_of_missing_applications([Found("y", "gone", "d"), Found("x", "gone", "d"), Found("z", "gone", "e")])
        ((application, plan),) = found.plans().items()
        assert (application, plan.changes[0]) == ("A", Change("file", "x", "application", "gone", "A"))
        assert (plan.mended, found.sources["A"]) == (("x", "y"), {"gone"})
        assert [(left.key, left.reason) for left in found.left] == [("z", Reason.UNDECIDED)]


@pytest.mark.parametrize("verb", [Repairs.missing_parents, Repairs.foreign_parents])
def test_the_order_of_the_findings_does_not_matter(verb):
    orphans = [(f"x{number}", "nowhere", f"Name {number % 3}") for number in range(9)]
    folders = rows(("r", None, "R"), *orphans)
    several = [Found(key, "A", "nowhere") for key, *_ in orphans]
    digests = set()
    for seed in range(5):
        random.Random(seed).shuffle(several)
        found = repairs({"A": folders})
        verb(found, several)
        digests.add(found.plans()["A"].digest)
    assert [len(digest) for digest in digests] == [64]


def test_a_name_with_a_number_is_not_longer_than_it_may_be():
    assert [fitted("Documents", " (2)", longest) for longest in (None, 9, 4)] == ["Documents (2)", "Docum (2)", " (2)"]


def test_names_that_look_the_same_are_merged_with_what_is_below_and_nothing_else():
    folders = rows(
        *(("r", None, "R"), ("s", None, "R")),
        *(("a", "r", "Docs"), ("b", "r", "DOCS"), ("x", "r", "X"), ("y", "r", "X")),
        *(("a1", "a", "Old"), ("b1", "b", "Old"), ("b2", "b", "New"), ("a2", "a1", "Tax"), ("b3", "b1", "Tax")),
    )
    plan = plan_alike(folders, [Alike("r", ("a", "b"), "b")])
    assert (plan.removed, list(plan.moves)) == ({"a": "b", "a1": "b1", "a2": "b3"}, [])


def test_names_that_look_the_same_in_a_cycle_are_left():
    folders = rows(("a", "b", "Docs"), ("b", "a", "Docs"), ("c", "a", "DOCS"))
    assert plan_alike(folders, [Alike("a", ("b", "c"), "b")]).empty
