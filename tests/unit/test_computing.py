"""What the ready tree hooks compute, on trees of any shape."""

import pytest

from cleanup.backends.tree_columns import LabelPath, NestedNumbers, SteppedPath, WrittenPath
from cleanup.hooks.closure import pairs_of
from cleanup.hooks.computing import Forest, Node, StepsExhausted, compute, differing

TREES = NestedNumbers("lft", "rght", "tree", "level")
COUNT = NestedNumbers("lft", "rgt")
STEPS = SteppedPath("path", 2, "012", "depth", "children")


def node(key: str, parent: str | None = None, **values: str | None) -> Node:
    known = dict.fromkeys(("lft", "rght", "rgt", "tree", "level", "path", "name", "depth", "children"))
    return Node(key, parent, known | values)


def computed(columns, *nodes: Node, first: int = 100) -> dict:
    free = [first]

    def take(count: int) -> int:
        free.append(free[-1] + count)
        return free[-2]

    return compute(columns, Forest.of(nodes), take=take)


class TestNestedNumbers:
    def test_follow_the_order_that_is_there_and_put_last_what_came(self):
        found = computed(
            TREES,
            node("root", lft="1", rght="6", tree="7", level="0"),
            node("later", "root", lft="4", rght="5", tree="7"),
            node("first", "root", lft="2", rght="3", tree="7"),
            node("came", "root", lft="2", rght="3", tree="3"),
            node("was a root", "root", lft="1", rght="2", tree="7"),
            node("was outside", "root", lft="6", rght="7", tree="7"),
        )
        assert found == {
            "root": (1, 12, 7, 0),
            "first": (2, 3, 7, 1),
            "later": (4, 5, 7, 1),
            "came": (6, 7, 7, 1),
            "was a root": (8, 9, 7, 1),
            "was outside": (10, 11, 7, 1),
        }

    def test_begin_where_they_began(self):
        found = computed(
            TREES,
            node("a", lft="1", rght="2", tree="1"),
            node("b", lft="3", rght="4", tree="2"),
            node("c", lft="0", rght="0", tree="3"),
            node("d", tree="4"),
        )
        assert found == {"a": (1, 2, 1, 0), "b": (3, 4, 2, 0), "c": (1, 2, 3, 0), "d": (1, 2, 4, 0)}

    def test_stay_where_the_tree_fits(self):
        found = computed(COUNT, node("root", lft="11", rgt="18"), node("child", "root", lft="14", rgt="15"))
        assert found == {"root": (11, 14), "child": (12, 13)}

    def test_stay_as_they_are_where_they_are_right(self):
        nodes = [node("root", lft="0", rgt="3"), node("child", "root", lft="1", rgt="2"), node("x", lft="4", rgt="5")]
        assert computed(COUNT, *nodes) == {"root": (0, 3), "child": (1, 2), "x": (4, 5)}

    @pytest.mark.parametrize("right", ["12", "13"])
    def test_go_to_the_end_of_the_count_where_it_does_not(self, right):
        found = computed(COUNT, node("root", lft="11", rgt=right), node("child", "root", lft="40", rgt="41"))
        assert found == {"root": (100, 103), "child": (101, 102)}

    @pytest.mark.parametrize(("left", "found"), [("3", (100, 101)), ("4", (100, 101)), ("5", (5, 6))])
    def test_go_to_the_end_of_the_count_where_another_tree_has_them(self, left, found):
        inside = node("became a root", lft=left, rgt=str(int(left) + 1))
        nodes = computed(COUNT, node("root", lft="1", rgt="6"), node("child", "root", lft="2", rgt="5"), inside)
        assert nodes == {"root": (1, 4), "child": (2, 3), "became a root": found}

    def test_take_another_tree_where_two_roots_share_one(self):
        found = computed(TREES, *(node(key, lft="1", rght="2", tree="7") for key in "abc"))
        assert found == {"a": (1, 2, 7, 0), "b": (1, 2, 100, 0), "c": (1, 2, 101, 0)}

    def test_reach_ten_thousand_levels(self):
        chain = [node("0"), *(node(str(level), str(level - 1)) for level in range(1, 10_000))]
        found = computed(COUNT, *chain, first=1)
        assert (found["0"], found["9999"]) == ((1, 20_000), (10_000, 10_001))


class TestPaths:
    def test_of_names_have_what_is_asked_around_them(self):
        forest = (node("1", name="Loan"), node("2", "1", name="Docs"))
        both = WrittenPath("path", "name", " > ", leading=True, trailing=True)
        assert computed(both, *forest) == {"1": (" > Loan > ",), "2": (" > Loan > Docs > ",)}

    @pytest.mark.parametrize(("depth", "below"), [("1", 2), (None, 1)])
    def test_of_names_have_a_depth_counted_from_the_root(self, depth, below):
        found = computed(WrittenPath("path", "name", depth="depth"), node("1", depth=depth, name="A"), node("2", "1"))
        assert found == {"1": ("A", below - 1), "2": ("A/", below)}

    def test_of_ancestors_leave_the_roots_as_they_are(self):
        forest = (node("1", path="/"), node("2", "1"), node("3", "2"), node("9"))
        found = computed(WrittenPath("path", "key", own=False), *forest)
        assert found == {"1": ("/",), "2": ("1",), "3": ("1/2",), "9": (None,)}

    def test_of_steps_keep_the_steps_below_the_same_parent(self):
        found = computed(
            STEPS,
            node("root", path="01"),
            node("kept", "root", path="0102"),
            node("came", "root", path="0201"),
            node("below", "came", path="020111"),
        )
        assert found == {
            "root": ("01", 1, 2),
            "kept": ("0102", 2, 0),
            "came": ("0110", 2, 1),
            "below": ("011011", 3, 0),
        }

    @pytest.mark.parametrize(("held", "steps"), [((None, None), ["0101", "0102"]), (("0100", None), ["0100", "0101"])])
    def test_of_steps_begin_with_the_first_that_is_free(self, held, steps):
        nodes = [node(str(number), "root", path=path) for number, path in enumerate(held)]
        found = computed(STEPS, node("root", path="01"), *nodes)
        assert sorted(path for path, *_ in found.values()) == ["01", *steps]

    @pytest.mark.parametrize("path", [None, "", "011"])
    def test_of_steps_are_left_where_the_root_has_none(self, path):
        nodes = [node("root", path=path), node("child", "root", path="0101")]
        assert computed(STEPS, *nodes) == {}
        assert list(differing(STEPS, Forest.of(nodes), take=lambda count: count)) == []

    def test_of_steps_that_are_used_up_are_an_error(self):
        full = [node("last", "root", path="0122"), node("one more", "root")]
        with pytest.raises(StepsExhausted):
            computed(STEPS, node("root", path="01"), *full)

    def test_of_labels_take_the_key_where_there_is_none(self):
        found = computed(LabelPath("path"), node("a", path="top.a"), node("b", "a", path="other.bee"), node("c-1", "b"))
        assert found == {"a": ("top.a",), "b": ("top.a.bee",), "c-1": ("top.a.bee.c_1",)}


class TestDiffering:
    def test_names_only_what_holds_something_else(self):
        forest = Forest.of([node("1", name="A", path="A"), node("2", "1", name="B", path="B")])
        found = list(differing(WrittenPath("path", "name"), forest, take=lambda count: count))
        assert [(one.key, values) for one, values in found] == [("2", ("A/B",))]


class TestPairsOf:
    def test_are_the_ancestors_with_their_distance(self):
        forest = Forest.of([node("1"), node("2", "1"), node("3", "2")])
        assert set(pairs_of(forest, own=False)) == {("1", "2", 1), ("2", "3", 1), ("1", "3", 2)}
        assert set(pairs_of(forest, own=True)) >= {("1", "1", 0), ("3", "3", 0)}
