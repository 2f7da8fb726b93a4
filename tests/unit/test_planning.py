import copy
import pickle
import random
from collections.abc import Iterable
from operator import attrgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanup import planning
from cleanup.forests import Forest, ForestMaker, Group, Hierarchy, Move, Survivors
from cleanup.packing import PackedTexts, Texts
from cleanup.planning import FolderRow, Plan, plan_merge
from cleanup.policies import DifferentRootsPolicy
from tests.support.forests import apply_plan, forests, merge_by_model, random_forest

# A busy machine is not a failure of a law.
unhurried = settings(deadline=None)

POLICIES = st.sampled_from(list(DifferentRootsPolicy))


def rows_of(*specifications: str) -> list[FolderRow]:
    """Make rows of "key parent name" in age order; parent "-" is a root, a key with a "~" before it is not live."""
    rows = []
    for age, specification in enumerate(specifications):
        key, parent, name = specification.split()
        rows.append(FolderRow(key.lstrip("~"), None if parent == "-" else parent, name, age, not key.startswith("~")))
    return rows


def reachable(rows: list[FolderRow]) -> list[FolderRow]:
    left_alone = plan_merge(rows).left_alone
    return [row for row in rows if row.key not in left_alone]


def names_of_live_roots(rows: list[FolderRow]) -> set[str]:
    return {row.name for row in rows if row.parent is None and row.live}


class TestEveryPlan:
    @unhurried
    @given(forests(), POLICIES)
    def test_gives_the_tree_of_the_recursive_model(self, rows: list[FolderRow], policy: DifferentRootsPolicy) -> None:
        plan = plan_merge(rows, different_roots=policy)

        expected = merge_by_model(rows, different_roots=policy)
        assert {row.key: row.parent for row in apply_plan(rows, plan)} == expected.parents
        assert plan.removed == expected.removed
        assert set(plan.left_alone) == expected.left_alone

    @pytest.mark.parametrize("seed", range(100))
    def test_gives_the_tree_of_the_recursive_model_for_seeded_forests(self, seed: int) -> None:
        rows = random_forest(random.Random(seed))

        plan = plan_merge(rows)

        expected = merge_by_model(rows)
        assert {row.key: row.parent for row in apply_plan(rows, plan)} == expected.parents
        assert plan.removed == expected.removed

    @unhurried
    @given(forests(), st.sampled_from(["merge", "nest"]))
    def test_leaves_one_live_root_and_no_twin_siblings(
        self, rows: list[FolderRow], policy: DifferentRootsPolicy
    ) -> None:
        after = apply_plan(rows, plan_merge(rows, different_roots=policy))

        live = [row for row in reachable(after) if row.live]
        places = [(row.parent, row.name if row.parent is not None else "") for row in live]
        assert len(places) == len(set(places))

    @unhurried
    @given(forests(), POLICIES)
    def test_is_empty_once_carried_out(self, rows: list[FolderRow], policy: DifferentRootsPolicy) -> None:
        after = apply_plan(rows, plan_merge(rows, different_roots=policy))

        assert plan_merge(after, different_roots=policy).empty

    @unhurried
    @given(forests(), POLICIES, st.randoms(use_true_random=False))
    def test_does_not_depend_on_the_order_of_the_input(
        self, rows: list[FolderRow], policy: DifferentRootsPolicy, rng: random.Random
    ) -> None:
        shuffled = rng.sample(rows, len(rows))

        assert plan_merge(shuffled, different_roots=policy) == plan_merge(rows, different_roots=policy)

    @unhurried
    @given(forests(), st.randoms(use_true_random=False))
    def test_does_not_depend_on_the_order_of_the_input_when_ages_repeat(
        self, rows: list[FolderRow], rng: random.Random
    ) -> None:
        same_age = [FolderRow(row.key, row.parent, row.name, 0, row.live) for row in rows]

        assert plan_merge(rng.sample(same_age, len(same_age))) == plan_merge(same_age)

    @unhurried
    @given(forests(), POLICIES)
    def test_maps_removed_folders_to_live_folders_that_stay(
        self, rows: list[FolderRow], policy: DifferentRootsPolicy
    ) -> None:
        plan = plan_merge(rows, different_roots=policy)

        staying = {row.key for row in rows if row.live} - set(plan.removed)
        assert set(plan.removed.values()) <= staying

    @unhurried
    @given(forests(), POLICIES)
    def test_never_removes_what_is_not_live_or_is_left_alone(
        self, rows: list[FolderRow], policy: DifferentRootsPolicy
    ) -> None:
        plan = plan_merge(rows, different_roots=policy)

        touched = {row.key for row in rows if not row.live} | set(plan.left_alone)
        assert touched.isdisjoint(plan.removed)

    @unhurried
    @given(forests(), POLICIES)
    def test_moves_a_folder_once_and_from_where_it_is(
        self, rows: list[FolderRow], policy: DifferentRootsPolicy
    ) -> None:
        plan = plan_merge(rows, different_roots=policy)

        parents = {row.key: row.parent for row in rows}
        assert len({move.folder for move in plan.moves}) == len(plan.moves)
        assert all(move.old_parent == parents[move.folder] != move.new_parent for move in plan.moves)

    @unhurried
    @given(forests(), POLICIES)
    def test_puts_a_folder_into_one_group_at_most(self, rows: list[FolderRow], policy: DifferentRootsPolicy) -> None:
        plan = plan_merge(rows, different_roots=policy)

        members = [key for group in plan.groups for key in (group.survivor, *group.removed)]
        assert len(members) == len(set(members))

    @unhurried
    @given(forests(), st.sampled_from(["merge", "nest"]))
    def test_names_groups_by_their_final_parent_and_parents_first(
        self, rows: list[FolderRow], policy: DifferentRootsPolicy
    ) -> None:
        plan = plan_merge(rows, different_roots=policy)

        parents = {row.key: row.parent for row in apply_plan(rows, plan)}
        place = {group.survivor: number for number, group in enumerate(plan.groups)}
        for number, group in enumerate(plan.groups):
            assert group.parent == parents[group.survivor]
            assert group.roots == (group.parent is None)
            assert group.parent is None or place.get(group.parent, -1) < number

    @unhurried
    @given(forests(), POLICIES)
    def test_counts_what_it_removes(self, rows: list[FolderRow], policy: DifferentRootsPolicy) -> None:
        plan = plan_merge(rows, different_roots=policy)

        assert plan.folders_removed == len(rows) - len(apply_plan(rows, plan))
        removed = [row for row in rows if row.key in plan.removed]
        assert plan.child_folders_merged == sum(row.parent is not None for row in removed)
        assert plan.inside_removed == sum(row.parent in plan.removed for row in removed)

    @unhurried
    @given(forests(), forests())
    def test_has_a_digest_that_differs_when_the_changes_do(
        self, rows: list[FolderRow], others: list[FolderRow]
    ) -> None:
        plan, other = plan_merge(rows), plan_merge(others)

        assert (plan.digest == other.digest) == ((plan.groups, plan.moves) == (other.groups, other.moves))


class TestRoots:
    def test_of_one_application_become_the_oldest(self) -> None:
        plan = plan_merge(rows_of("old - Root", "mid - Root", "new - Root"))

        assert plan == Plan((Group("old", ("mid", "new"), True, None),), (), roots_removed=2)

    def test_of_different_names_are_merged_unless_told_otherwise(self) -> None:
        plan = plan_merge(rows_of("old - Root", "new - Other"))

        assert plan.removed == {"new": "old"}
        assert plan.different_roots

    def test_of_one_name_are_no_different_roots(self) -> None:
        assert not plan_merge(rows_of("old - Root", "new - Root")).different_roots

    def test_of_a_single_root_application_are_left_and_same_named_siblings_merged(self) -> None:
        plan = plan_merge(rows_of("root - Root", "a root Docs", "b root Docs"))

        assert plan.groups == (Group("a", ("b",), False, "root"),)

    def test_that_are_single_and_clean_give_an_empty_plan(self) -> None:
        plan = plan_merge(rows_of("root - Root", "a root A", "b root B"))

        assert plan.empty
        assert (plan, plan.roots) == (Plan((), ()), ())

    def test_may_be_missing_altogether(self) -> None:
        assert plan_merge([]).empty


class TestNesting:
    def test_moves_a_root_of_another_name_under_the_oldest(self) -> None:
        plan = plan_merge(rows_of("old - Root", "new - Other"), different_roots="nest")

        assert plan == Plan((), (Move("new", None, "old"),), different_roots=True)
        assert not plan.empty

    def test_is_told_apart_from_other_moves(self) -> None:
        plan = plan_merge(rows_of("old - Root", "x - X", "new - Root", "a new A"), different_roots="nest")

        for one in (plan, Plan(tuple(plan.groups), tuple(plan.moves))):
            assert (list(one.nested()), len(one.moves)) == ([("x", "old")], 2)

    def test_merges_roots_of_the_name_of_the_oldest(self) -> None:
        plan = plan_merge(rows_of("old - Root", "other - Other", "new - Root"), different_roots="nest")

        assert plan.groups == (Group("old", ("new",), True, None),)
        assert plan.moves == (Move("other", None, "old"),)

    def test_merges_nested_roots_of_one_name_with_each_other(self) -> None:
        plan = plan_merge(rows_of("old - Root", "x - Other", "y - Other"), different_roots="nest")

        assert plan.groups == (Group("x", ("y",), False, "old"),)
        assert plan.moves == (Move("x", None, "old"),)

    def test_prefers_a_folder_already_under_the_oldest_root(self) -> None:
        plan = plan_merge(rows_of("old - Root", "other - Docs", "docs old Docs"), different_roots="nest")

        assert plan.groups == (Group("docs", ("other",), False, "old"),)

    def test_counts_a_nested_root_that_is_merged_as_a_root(self) -> None:
        plan = plan_merge(rows_of("old - Root", "other - Docs", "docs old Docs"), different_roots="nest")

        assert (plan.folders_removed, plan.child_folders_merged) == (1, 0)

    def test_leaves_the_oldest_as_the_root(self) -> None:
        plan = plan_merge(rows_of("old - Root", "other - Docs", "docs old Docs", "~bin - Bin"), different_roots="nest")

        assert plan.roots == ("old",)

    def test_carries_the_children_of_a_nested_root_along(self) -> None:
        plan = plan_merge(rows_of("old - Root", "other - Docs", "docs old Docs", "a other A"), different_roots="nest")

        assert plan.moves == (Move("a", "other", "docs"),)

    def test_orders_nested_roots_and_moved_children_by_age(self) -> None:
        rows = rows_of("old - Root", "new - Root", "nested - Docs", "child new Docs")

        plan = plan_merge(rows, different_roots="nest")

        assert plan.removed == {"new": "old", "child": "nested"}


class TestKeeping:
    @unhurried
    @given(forests())
    def test_leaves_one_live_root_of_each_name_and_no_twin_siblings(self, rows: list[FolderRow]) -> None:
        after = apply_plan(rows, plan_merge(rows, different_roots=DifferentRootsPolicy.KEEP))

        places = [(row.parent, row.name) for row in reachable(after) if row.live]
        assert len(places) == len(set(places))

    @unhurried
    @given(forests())
    def test_keeps_a_root_of_every_name(self, rows: list[FolderRow]) -> None:
        after = apply_plan(rows, plan_merge(rows, different_roots=DifferentRootsPolicy.KEEP))

        assert names_of_live_roots(after) == names_of_live_roots(rows)

    def test_leaves_roots_of_other_names_side_by_side(self) -> None:
        plan = plan_merge(rows_of("a - A", "b - B", "x a X", "y b X"), different_roots="keep")

        assert plan == Plan((), (), different_roots=True)

    def test_merges_the_roots_of_each_name_into_the_oldest_of_it(self) -> None:
        rows = rows_of("b1 - B", "a1 - A", "~b0 - B", "a2 - A", "b2 - B", "x a2 X", "y b2 X")

        plan = plan_merge(rows, different_roots="keep")

        assert plan.groups == (Group("b1", ("b2",), True, None), Group("a1", ("a2",), True, None))
        assert plan.moves == (Move("y", "b2", "b1"), Move("x", "a2", "a1"))
        assert (plan.roots, plan.roots_removed, plan.child_folders_merged) == (("b1", "a1"), 2, 0)

    def test_merges_below_each_surviving_root_by_the_ordinary_rule(self) -> None:
        rows = rows_of("a1 - A", "b - B", "a2 - A", "x2 a2 X", "x1 a1 X", "y1 b X", "y2 b X", "c x2 C")

        plan = plan_merge(rows, different_roots="keep")

        assert plan.removed == {"a2": "a1", "x2": "x1", "y2": "y1"}
        assert plan.moves == (Move("c", "x2", "x1"),)

    def test_of_roots_of_one_name_is_the_ordinary_merge(self) -> None:
        rows = rows_of("old - Root", "new - Root", "a old A", "b new A", "c new C")

        assert plan_merge(rows, different_roots="keep") == plan_merge(rows)

    def test_of_a_hundred_thousand_names_is_no_problem(self) -> None:
        rows = [FolderRow(str(number), None, str(number % 60_000), number) for number in range(100_000)]

        plan = plan_merge(rows, different_roots="keep")

        assert (plan.folders_removed, len(plan.roots)) == (40_000, 40_000)


class TestRefusing:
    def test_gives_an_empty_plan_that_says_so(self) -> None:
        rows = rows_of("old - Root", "new - Other", "a old Docs", "b old Docs", "lost gone Docs")

        plan = plan_merge(rows, different_roots="refuse")

        assert plan == Plan((), (), ("lost",), different_roots=True, refused=True)
        assert plan.empty

    def test_does_not_concern_roots_of_one_name(self) -> None:
        plan = plan_merge(rows_of("old - Root", "new - Root"), different_roots="refuse")

        assert plan.removed == {"new": "old"}
        assert not plan.refused

    def test_does_not_concern_roots_that_are_not_live(self) -> None:
        assert not plan_merge(rows_of("old - Root", "~new - Other"), different_roots="refuse").refused


class TestChildren:
    def test_of_a_new_name_are_moved_to_the_survivor(self) -> None:
        plan = plan_merge(rows_of("old - Root", "new - Root", "a new A"))

        assert plan.moves == (Move("a", "new", "old"),)

    def test_of_one_name_are_merged_to_any_depth(self) -> None:
        rows = rows_of("r1 - R", "r2 - R", "a1 r1 A", "a2 r2 A", "b1 a1 B", "b2 a2 B", "c2 b2 C")

        plan = plan_merge(rows)

        assert plan.removed == {"r2": "r1", "a2": "a1", "b2": "b1"}
        assert plan.moves == (Move("c2", "b2", "b1"),)

    def test_already_under_the_surviving_parent_go_before_older_ones(self) -> None:
        plan = plan_merge(rows_of("old - R", "new - R", "older new A", "newer old A", "newest old A"))

        assert plan.groups[1] == Group("newer", ("newest", "older"), False, "old")

    def test_that_survive_under_a_removed_parent_are_moved(self) -> None:
        plan = plan_merge(rows_of("r1 - R", "r2 - R", "r3 - R", "a2 r2 A", "a3 r3 A"))

        assert plan.groups[1] == Group("a2", ("a3",), False, "r1")
        assert plan.moves == (Move("a2", "r2", "r1"),)

    def test_follow_a_survivor_that_is_moved_itself(self) -> None:
        plan = plan_merge(rows_of("r1 - R", "r2 - R", "a2 r2 A", "b2 a2 B", "b3 a2 B"))

        assert plan.moves == (Move("a2", "r2", "r1"),)
        assert plan.groups[1] == Group("b2", ("b3",), False, "a2")

    def test_are_merged_by_exact_name_only(self) -> None:
        names = ["Caf\u00e9", "Cafe\u0301", "caf\u00e9", "Caf\u00e9 ", "", " "]
        rows = [FolderRow("root", None, "R", 0)]
        rows += [FolderRow(str(age), "root", name, age) for age, name in enumerate(names, 1)]

        assert plan_merge(rows).empty

    def test_of_blank_name_are_merged_too(self) -> None:
        rows = [FolderRow("root", None, "R", 0), FolderRow("a", "root", "", 1), FolderRow("b", "root", "", 2)]

        assert plan_merge(rows).removed == {"b": "a"}


class TestFoldersThatAreNotLive:
    def test_never_join_a_group(self) -> None:
        assert plan_merge(rows_of("root - R", "~a root A", "b root A", "~c root A", "~other - R")).empty

    def test_move_when_their_parent_is_removed(self) -> None:
        plan = plan_merge(rows_of("r1 - R", "r2 - R", "a1 r1 A", "~a2 r2 A"))

        assert plan.moves == (Move("a2", "r2", "r1"),)
        assert plan.removed == {"r2": "r1"}

    def test_hold_duplicates_that_are_merged(self) -> None:
        plan = plan_merge(rows_of("root - R", "~bin root Bin", "a bin A", "b bin A"))

        assert plan.groups == (Group("a", ("b",), False, "bin"),)

    def test_hold_duplicates_that_are_merged_below_a_root_that_is_not_live(self) -> None:
        plan = plan_merge(rows_of("~bin - R", "root - R", "a bin A", "b bin A"))

        assert plan.groups == (Group("a", ("b",), False, "bin"),)
        assert plan.left_alone == ()

    def test_do_not_survive_even_as_the_oldest_root(self) -> None:
        assert plan_merge(rows_of("~r0 - R", "r1 - R", "r2 - R")).removed == {"r2": "r1"}

    def test_do_not_become_children_by_nesting(self) -> None:
        assert plan_merge(rows_of("r1 - R", "~r2 - S"), different_roots="nest").empty


class TestFoldersLeftAlone:
    def test_are_those_below_a_missing_parent(self) -> None:
        plan = plan_merge(rows_of("root - R", "x gone A", "y gone A", "z x B", "zz x B"))

        assert plan == Plan((), (), ("x", "y", "z", "zz"))

    def test_are_those_in_a_cycle_and_below(self) -> None:
        plan = plan_merge(rows_of("root - R", "x y A", "y x A", "z x B", "zz x B", "self self S"))

        assert plan == Plan((), (), ("self", "x", "y", "z", "zz"))

    def test_do_not_keep_others_from_being_merged(self) -> None:
        plan = plan_merge(rows_of("r1 - R", "r2 - R", "x gone R"))

        assert plan.removed == {"r2": "r1"}
        assert plan.left_alone == ("x",)


class TestDetachedFolders:
    """Asked after a rollback: what no root leads to."""

    def test_are_none_in_a_tree(self):
        assert detached([("a", None), ("b", "a"), ("c", "b")]) == set()

    def test_lie_below_a_parent_that_is_not_there(self):
        assert detached([("a", None), ("b", "gone"), ("c", "b")]) == {"b", "c"}

    def test_go_round_in_a_circle_or_lie_below_it(self):
        assert detached([("b", "c"), ("a", None), ("c", "b"), ("d", "c")]) == {"b", "c", "d"}

    def test_are_found_in_any_order(self):
        assert detached([("c", "b"), ("b", "a"), ("a", None)]) == set()

    def test_are_found_ten_thousand_levels_down(self):
        chain = [(str(level), str(level - 1) if level else None) for level in range(10_000)]

        assert detached(reversed(chain)) == set()
        assert len(detached(chain[1:])) == 9_999

    @unhurried
    @given(st.dictionaries(st.integers(0, 9), st.none() | st.integers(0, 11)))
    def test_are_those_from_which_one_cannot_climb_to_a_root(self, parents: dict[int, int | None]) -> None:
        expected = set()
        for folder in parents:
            above: int | None = folder
            for _ in range(len(parents)):
                above = parents.get(above) if above in parents else above
            if above is not None:
                expected.add(str(folder))

        assert detached((str(folder), None if up is None else str(up)) for folder, up in parents.items()) == expected


def detached(parents: Iterable[tuple[str, str | None]]) -> set[str]:
    hierarchy = Hierarchy(Texts())
    for folder, parent in parents:
        hierarchy.add(folder, parent)
    return set(hierarchy.detached())


class TestADigest:
    def test_stays_the_same_from_release_to_release(self) -> None:
        plan = plan_merge(rows_of("r1 - R", "r2 - R", "a r2 A"))

        assert plan.digest == "9a0baada68a38959a702c4513f6181e5c93fc4887deb43d1be6452cab3b040de"

    def test_tells_a_change_of_survivor(self) -> None:
        first = Plan((Group("a", ("b",), True, None),), ())
        second = Plan((Group("b", ("a",), True, None),), ())

        assert first.digest != second.digest

    def test_tells_a_move_from_no_move(self) -> None:
        assert Plan((), (Move("a", "b", "c"),)).digest != Plan((), ()).digest

    def test_tells_keys_apart_that_look_alike_when_joined(self) -> None:
        first = Plan((Group("a", ("b", "c"), True, None),), ())
        second = Plan((Group("a", ('b","c',), True, None),), ())

        assert first.digest != second.digest

    def test_does_not_change_with_folders_that_stay_as_they_are(self) -> None:
        rows = rows_of("r1 - R", "r2 - R", "a r1 A")

        assert plan_merge(rows).digest == plan_merge(rows[:2]).digest

    @pytest.mark.parametrize("key", ["\u00e9", "\U0001f4c1", "\ud800", "\x00"])
    def test_takes_any_text_as_a_key(self, key: str) -> None:
        assert len(Plan((), (Move(key, None, "a"),)).digest) == 64


class TestAPlan:
    def test_survives_copying_and_pickling(self) -> None:
        plan = plan_merge(rows_of("r1 - R", "r2 - R"))

        restored = pickle.loads(pickle.dumps(copy.deepcopy(plan)))

        assert (restored, restored.removed) == (plan, {"r2": "r1"})

    @unhurried
    @given(forests())
    def test_yields_its_groups_in_either_order(self, rows: list[FolderRow]) -> None:
        plan = plan_merge(rows)
        groups = [(group.survivor, list(group.removed)) for group in plan.groups]

        for one in (plan, Plan(tuple(plan.groups), ())):
            assert [(survivor, list(removed)) for survivor, removed in one.merged()] == groups
            assert [(survivor, list(removed)) for survivor, removed in one.merged(deepest_first=True)] == groups[::-1]
            assert list(one.pairs()) == [(folder, survivor) for survivor, removed in groups for folder in removed]

    def test_holds_groups_that_pass_for_a_tuple(self) -> None:
        groups = plan_merge(rows_of("r1 - R", "r2 - R")).groups

        assert ({groups, tuple(groups)}, repr(groups)) == ({groups}, repr(tuple(groups)))


class TestBadInput:
    def test_with_a_key_twice_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="twice"):
            plan_merge(rows_of("a - R", "a - R"))

    def test_with_an_unknown_policy_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="merge, nest, refuse"):
            plan_merge([], different_roots="ask")  # type: ignore[arg-type]


class TestLargeForests:
    def test_of_ten_thousand_levels_are_merged(self) -> None:
        rows = [
            FolderRow(f"{level}.{side}", f"{level - 1}.{side}" if level else None, "same", 2 * level + side)
            for level in range(10_000)
            for side in range(2)
        ]

        plan = plan_merge(rows)

        assert (plan.folders_removed, len(plan.moves)) == (10_000, 0)

    def test_of_ten_thousand_levels_in_one_chain_are_clean(self) -> None:
        rows = [FolderRow(str(level), str(level - 1) if level else None, "same", level) for level in range(10_000)]

        assert plan_merge(rows).empty

    def test_of_a_hundred_thousand_twin_siblings_are_merged(self) -> None:
        rows = [FolderRow("root", None, "R", 0)]
        rows += [FolderRow(str(age), "root", "same", age) for age in range(1, 100_001)]

        assert plan_merge(rows).folders_removed == 99_999

    def test_of_a_hundred_thousand_siblings_over_two_roots_are_merged(self) -> None:
        rows = [FolderRow("old", None, "R", 0), FolderRow("new", None, "R", 1)]
        rows += [FolderRow(f"{n}", "old" if n % 4 else "new", f"{n // 3}", n + 2) for n in range(100_000)]

        plan = plan_merge(rows)

        assert plan.folders_removed == 1 + 100_000 - 33_334
        assert all(move.old_parent == "new" for move in plan.moves)

    def test_of_a_cycle_of_ten_thousand_are_left_alone(self) -> None:
        rows = [FolderRow(str(n), str((n + 1) % 10_000), "same", n) for n in range(10_000)]

        assert len(plan_merge(rows).left_alone) == 10_000


def packed(rows: list[FolderRow]) -> Forest:
    """Return the rows as they are read of a very large application, in which ages begin with 0."""
    maker = ForestMaker(PackedTexts())
    for row in rows:
        maker.add(row.key, row.parent, row.name, row.age, live=row.live)
    return maker.forest()


class TestAPackedForest:
    @unhurried
    @given(forests(), POLICIES, st.randoms(use_true_random=False))
    def test_has_the_same_plan(self, rows: list[FolderRow], policy: DifferentRootsPolicy, rng: random.Random) -> None:
        plan = plan_merge(packed(rng.sample(rows, len(rows))), different_roots=policy)

        expected = plan_merge(rows, different_roots=policy)
        assert plan == expected
        assert (plan.removed, plan.roots, plan.inside_removed) == (
            expected.removed,
            expected.roots,
            expected.inside_removed,
        )

    @unhurried
    @given(forests())
    def test_takes_folders_without_ages_as_they_come(self, rows: list[FolderRow]) -> None:
        maker = ForestMaker(PackedTexts())
        rows.sort(key=attrgetter("age"))
        for row in rows:
            maker.add(row.key, row.parent, row.name, live=row.live)

        assert plan_merge(maker.forest()) == plan_merge(rows)

    def test_merges_what_comes_from_many_folders_by_age(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = random_forest(random.Random(1), size=400, roots=3, broken=0, dead=0)
        expected = plan_merge(rows)
        monkeypatch.setattr(planning, "_MANY", 0)

        assert plan_merge(packed(rows)) == expected

    def test_takes_a_key_once(self) -> None:
        with pytest.raises(ValueError, match="twice"):
            packed(rows_of("a - R", "a - R"))


class TestWhatStays:
    @unhurried
    @given(forests(), POLICIES)
    def test_is_seen_where_the_plan_leaves_it(self, rows: list[FolderRow], policy: DifferentRootsPolicy) -> None:
        plan = plan_merge(rows, different_roots=policy)
        staying = plan.staying()
        after = apply_plan(rows, plan)

        if not plan.refused:
            assert all(staying.tick_off(row.key, row.parent) for row in after)
            assert not staying

    def test_is_not_seen_twice_nor_elsewhere(self) -> None:
        staying = plan_merge(rows_of("r1 - R", "r2 - R", "a r2 A")).staying()

        assert len(staying) == 2
        assert staying.tick_off("r1", None)
        assert not staying.tick_off("r1", None)
        assert not staying.tick_off("r2", None)
        assert not staying.tick_off("a", "r2")
        assert not staying.tick_off("b", "r1")
        assert not staying


class TestSurvivors:
    def test_are_a_mapping(self) -> None:
        survivors = Survivors(Texts())
        for removed, stays in (("a", "s"), ("b", "s"), ("c", "a")):
            survivors.add(removed, stays)

        assert survivors == {"a": "s", "b": "s", "c": "a"}
        assert (len(survivors), "s" in survivors, "x" in survivors) == (3, False, False)


class TestTwins:
    """Asked before a rollback: what a guard would forbid."""

    def test_are_live_folders_of_one_name_in_one_parent(self) -> None:
        maker = ForestMaker(Texts())
        for row in rows_of("r - R", "s - S", "a r A", "b r A", "c s A", "~d s A", "e r A"):
            maker.add(row.key, row.parent, row.name, live=row.live)
        forest = maker.forest()

        assert len([forest.keys[folder] for folder in forest.twins()]) == 2
        assert forest.live_roots == 2

    def test_may_be_roots_and_come_about_by_moves(self) -> None:
        maker = ForestMaker(Texts())
        for row in rows_of("r - R", "a r R"):
            maker.add(row.key, row.parent, row.name)
        assert not list(maker.forest().twins())

        maker.move("a", None)
        assert len(list(maker.forest().twins())) == 1

    def test_are_none_below_a_parent_that_is_not_there(self) -> None:
        maker = ForestMaker(Texts())
        maker.add("a", None, "A")

        maker.move("a", "gone")

        assert ("a" in maker, "gone" in maker, "A" in maker) == (True, False, False)
        assert not list(maker.forest().twins())
