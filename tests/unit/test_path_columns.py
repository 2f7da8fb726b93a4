from itertools import pairwise

import pytest

from cleanup.backends.catalogue import Column, TableName
from cleanup.references.path_columns import (
    MOST_NUMBERS,
    Family,
    Sign,
    candidates,
    candidates_for_counts,
    counts,
    depths_among,
    named,
    problem,
    problem_of_flat,
    problem_of_key,
    telling,
)

PATHS = """
    path paths full_path fullpath folder_path tree_path treepath path_cache path_ids mpath ltree lineage ancestors
    ancestor_ids parent_path parentPath complete_name full_name fullName breadcrumbs ancestry tn_ancestors_pks
    tn_children_pks tn_siblings_pks tn_descendants_count tn_level tn_order numchild num_children
    children_count childCount has_children is_leaf url_path full_slug subfolder_count
"""
NO_PATHS = """
    file_path icon_path storage_path location name title description slug child_friendly order position level depth left
    children_allowed updated_at tn_priority image_path childcare file_count
"""
UUIDS = [f"0f000000-0000-4000-8000-{number:012}" for number in range(1000)]
ROOTS = 5


def columns(*names: str, kind: str = "integer") -> list[Column]:
    return [Column(name, kind) for name in names]


class TestNames:
    @pytest.mark.parametrize("name", PATHS.split())
    def test_that_repeat_the_place(self, name):
        assert named(columns(name, kind="text")) == {name}

    @pytest.mark.parametrize("name", NO_PATHS.split())
    def test_that_do_not(self, name):
        assert named(columns(name, kind="text")) == set()

    @pytest.mark.parametrize("kind", ["ltree", "public.ltree", "ltree[]"])
    def test_matter_less_than_the_type(self, kind):
        assert named(columns("spot", kind=kind)) == {"spot"}

    @pytest.mark.parametrize(
        "names",
        [
            "lft rght",
            "lft rgt tree_id depth",
            "left right",
            "nLeft nRight",
            "tree_left tree_right",
            "left_key right_key level",
            "lft level",
            "lft tree_id",
            "Lft Rgt",
            "lhs rhs",
            "path level",
        ],
    )
    def test_of_nested_numbers(self, names):
        assert named(columns(*names.split())) == set(names.split())

    @pytest.mark.parametrize(
        "names",
        ["margin_left margin_right", "left", "left level", "lft", "lft order", "depth position", "left_at right_at"],
    )
    def test_of_other_numbers(self, names):
        assert named(columns(*names.split())) == set()

    def test_of_nested_numbers_are_those_of_numbers(self):
        assert named(columns("lft", "rght", kind="text")) == set()

    def test_of_depths_are_named_beside_paths(self):
        others = columns("position", "node", "level_of_detail")
        path, text = columns("path", "depth", kind="text")
        assert named([path, text, *columns("level"), *others]) == {"path", "level"}
        assert named([text, *columns("level"), *others], nests=True) == {"level"}
        assert depths_among([path, text, *columns("level"), *others]) == ["level"]

    @pytest.mark.parametrize(
        ("name", "kind", "is_path"),
        [
            ("children", "text", True),
            ("ancestor_id", "uuid", True),
            ("child_id", "uuid", False),
        ],
    )
    def test_of_relatives_are_not_references(self, name, kind, is_path):
        assert bool(named(columns(name, kind=kind))) == is_path


class TestProblems:
    TABLE = TableName("public", "folder")

    def test_give_the_remedy_of_one_column(self):
        assert problem(self.TABLE, ["spot"], why="it holds keys").message == (
            "public.folder.spot looks like a path in the tree (it holds keys), which a merge would make wrong. Set "
            'CLEANUP_TREE_HOOK = "package.module.function", a function that computes it again, or add '
            '"public.folder.spot" to CLEANUP_IGNORED_COLUMNS if nothing depends on it.'
        )

    def test_give_the_remedy_of_two_columns(self):
        assert problem(self.TABLE, ["a", "b"], setting='CLEANUP_TREE_HOOK = "x"').message == (
            "public.folder.a and public.folder.b look like a path in the tree, which a merge would make wrong. Set "
            'CLEANUP_TREE_HOOK = "x" (see the manual\'s path columns), which keeps them, or add "public.folder.a" and '
            '"public.folder.b" to CLEANUP_IGNORED_COLUMNS if nothing depends on them.'
        )

    @pytest.mark.parametrize(("names", "verb"), [(["a"], "folder.a looks like"), (["a", "b"], "folder.b look like")])
    def test_of_flat_folders_name_the_columns(self, names, verb):
        found = problem_of_flat(self.TABLE, names)
        assert (found.code, found.column) == ("path_column", ", ".join(names))
        assert verb in found.message

    def test_of_keys_name_the_key(self):
        found = problem_of_key(self.TABLE, "code", why="it holds keys")
        assert (found.code, found.column) == ("path_column", "code")
        assert 'Add "public.folder.code" to CLEANUP_IGNORED_COLUMNS' in found.message


def families(value, *, keys=str, number: int = 45, fan: int = 3) -> list[Family]:
    """Return folders, each with its parent; ``value`` makes a column's text of key, ancestors' keys and name."""
    above: dict[int, list[int]] = {n: [] for n in range(ROOTS)}

    def text(folder: int) -> str | None:
        return value(keys(folder), [keys(n) for n in above[folder]], f"Name {folder}")

    found = []
    for folder in range(ROOTS, number):
        parent = (folder - ROOTS) // fan
        above[folder] = [*above[parent], parent]
        pair = (text(folder),), (text(parent),)
        found.append(Family(keys(folder), keys(parent), f"Name {folder}", f"Name {parent}", *pair))
    return found


def uuid(number: int) -> str:
    return UUIDS[number]


def word(number: int) -> str:
    return f"No {number:08}"


KINDS = {"uuid": uuid, "integer": lambda number: str(number + 1), "text": word}


class TestTexts:
    def tells(self, rows: list[Family], keys: str, kind: str = "text") -> bool:
        return bool(telling(columns("spot", kind=kind), rows, keys=keys, longest=1000))

    @pytest.mark.parametrize("keys", KINDS)
    @pytest.mark.parametrize(
        "value",
        [
            lambda key, above, name: "/" + "".join(f"{k}/" for k in above),
            lambda key, above, name: "".join(f"{k}/" for k in [*above, key]),
            lambda key, above, name: ".".join([*above, key]),
            lambda key, above, name: " < ".join([key, *reversed(above)]),
            lambda key, above, name: "[" + ", ".join(f'"{k}"' for k in above) + "]",
            lambda key, above, name: "{" + ",".join([*above, key]) + "}",
            lambda key, above, name: f"{name}; above: {','.join(above)}" if above else name,
        ],
        ids=["location", "parent_path", "dots", "reversed", "json", "array", "in a sentence"],
    )
    def test_of_ancestors_keys_tell(self, keys, value):
        assert self.tells(families(value, keys=KINDS[keys]), keys)

    @pytest.mark.parametrize(
        "value",
        [
            lambda key, above, name: "/".join([*(f"Name {k}" for k in above), name]),
            lambda key, above, name: " / ".join([*above, key]).replace("No ", "N."),
            lambda key, above, name: "".join(f"{int(k):04}" for k in [*above, key]),
            lambda key, above, name: ",".join(f"cn={k}" for k in [key, *reversed(above)]),
        ],
        ids=["names", "words", "steplen", "suffix"],
    )
    def test_that_hold_the_parents_value_tell(self, value):
        assert self.tells(families(value), "text" if "N." in str(value) else "uuid")

    @pytest.mark.parametrize("keys", KINDS)
    def test_of_childrens_keys_tell(self, keys):
        spell = KINDS[keys]
        rows = families(lambda key, above, name: None, keys=spell)
        below: dict[str, list[str]] = {}
        for family in rows:
            below.setdefault(family.parent, []).append(family.key)
        listed = {key: "[" + ", ".join(children) + "]" for key, children in below.items()}
        rows = [f._replace(own=(listed.get(f.key),), above=(listed.get(f.parent),)) for f in rows]
        assert self.tells(rows, keys)

    @pytest.mark.parametrize("keys", KINDS)
    def test_of_few_folders_tell(self, keys):
        path = lambda key, above, name: "/" + "".join(f"{k}/" for k in above)  # noqa: E731
        assert self.tells(families(path, keys=KINDS[keys], number=7), keys)

    def test_of_uuids_tell_where_most_are_empty(self):
        rows = families(lambda key, above, name: f"/{above[-1]}/" if key == UUIDS[40] else None, keys=uuid)
        assert self.tells(rows, "uuid")

    @pytest.mark.parametrize("keys", KINDS)
    @pytest.mark.parametrize(
        "value",
        [
            lambda key, above, name: f"Papers of 20{len(name)}, box 1, shelf 7",
            lambda key, above, name: name,
            lambda key, above, name: name.lower().replace(" ", "-"),
            lambda key, above, name: f"urn:folder:{key}",
            lambda key, above, name: f"folders/{key}/",
            lambda key, above, name: "grey",
            lambda key, above, name: "1.0",
            lambda key, above, name: "2021-01-01",
            lambda key, above, name: None,
            lambda key, above, name: above[-1] if above else None,
            lambda key, above, name: f"Room {len(above)}",
        ],
        ids=["sentence", "name", "slug", "urn", "own key", "same", "version", "day", "none", "reference", "room"],
    )
    @pytest.mark.parametrize("number", [6, 8, 45])
    def test_of_other_things_do_not(self, keys, value, number):
        assert not self.tells(families(value, keys=KINDS[keys], number=number), keys)

    def test_that_are_the_name_do_not_where_names_grow(self):
        rows = [Family(str(n + 2), "1", f"2020-{n:02}", "2020", (f"2020-{n:02}",), ("2020",)) for n in range(20)]
        assert not self.tells(rows, "integer")


class TestHowMany:
    """Folders must say the same."""

    def tells(self, rows: list[tuple[str, str | None]], *, keys: str = "uuid", longest: int = 1000) -> bool:
        """Rows are the text of a folder and of its parent: {own} and {parent} are the keys of both."""
        found = []
        for number, (own, above) in enumerate(rows):
            key, parent = KINDS[keys](number), KINDS[keys](500 + number)
            texts = [text and text.format(own=key, parent=parent)[:longest] for text in (own, above)]
            found.append(Family(key, parent, "Name", "Other", (texts[0],), (texts[1],)))
        return bool(telling(columns("spot", kind="text"), found, keys=keys, longest=longest))

    @pytest.mark.parametrize(("longer", "others", "tells"), [(3, 1, True), (2, 1, False), (2, 0, True), (1, 0, False)])
    def test_when_texts_extend_the_parents(self, longer, others, tells):
        assert self.tells([("a/b", "a")] * longer + [("x", "y")] * others) == tells

    def test_when_texts_are_cut_off(self):
        assert self.tells([("a/b", "a")] * 2 + [("x" * 99, "y")] * 9 + [("x", "y" * 99)] * 9, longest=10)

    @pytest.mark.parametrize(("others", "tells"), [(99, True), (100, False)])
    def test_when_they_hold_uuids(self, others, tells):
        assert self.tells([("in {parent}", None), *[("elsewhere", None)] * others]) == tells

    @pytest.mark.parametrize("keys", ["integer", "text"])
    @pytest.mark.parametrize("held", [False, True], ids=["the parent's", "a child's"])
    @pytest.mark.parametrize(("holding", "others", "tells"), [(9, 1, True), (8, 1, False), (1, 9, False)])
    def test_when_they_hold_other_keys(self, keys, held, holding, others, tells):
        rows = [("#{parent}#", None)] * holding + [("#", None)] * others
        assert (
            self.tells([(None, own.replace("parent", "own")) if held else (own, None) for own, _ in rows], keys=keys)
            == tells
        )

    @pytest.mark.parametrize("held", [False, True], ids=["the parent's", "a child's"])
    def test_when_texts_are_cut_off_before_the_key(self, held):
        rows = [("#{parent}#", None)] * 3 + [("#" * 20, None)] * 9 + [("#" * 14 + "{parent}", None)]
        if held:
            rows = [(None, own.replace("parent", "own")) for own, _ in rows]
        assert self.tells(rows, keys="integer", longest=17)


class TestKeysInTexts:
    def tells(self, keys: str, values: list[tuple[str, str, str]]) -> bool:
        """Values are of the folder with the first key, in that with the second."""
        rows = [Family(own, parent, "Name", "Other", (value,), (None,)) for own, parent, value in values]
        return bool(telling(columns("spot", kind="text"), rows, keys=keys, longest=1000))

    @pytest.mark.parametrize(
        ("value", "tells"),
        [
            ("7/100", True),
            ("100 < 7", True),
            ("/7/", True),
            ("[3, 7]", True),
            ("[7]", False),
            ("/7/8", False),
            ("8/7/", False),
            ("7-8", False),
            ("a 7/100", False),
        ],
    )
    def test_tell_in_one_folder_if_there_is_nothing_else(self, value, tells):
        assert self.tells("integer", [("100", "7", value)]) == tells

    @pytest.mark.parametrize(
        ("value", "tells"),
        [
            ("inbox/work", True),
            ("inbox.Work", True),
            ("/inbox/", True),
            ("inbox", False),
            ("inbox/other", False),
            ("inbox/7", False),
            ("inboxes/work", False),
            ("myinbox/work", False),
            ("myinbox/inbox/work", True),
            ("inbox_work", True),
        ],
    )
    def test_tell_in_one_folder_if_they_are_words(self, value, tells):
        assert self.tells("text", [("work", "inbox", value)]) == tells

    @pytest.mark.parametrize(("parents", "tells"), [(3, True), (2, False)])
    def test_tell_in_sentences_if_there_are_several(self, parents, tells):
        values = [(f"{100 + n}", f"{n % parents + 1}", f"{n}: lies in {n % parents + 1} now") for n in range(30, 40)]
        assert self.tells("integer", values) == tells

    def test_tell_less_in_a_value_that_is_always_the_same(self):
        assert not self.tells("integer", [(f"{100 + n}", f"{n}", "see 1, 2, 3 and 4") for n in range(1, 5)])
        assert not self.tells("text", [("a", "inbox", "/inbox/"), ("b", "other", "/inbox/")])


class TestCounts:
    def signs(self, *contents: tuple[int, int, str | None]) -> list[str]:
        found = counts(columns("tally"), [(folders, files, (value,)) for folders, files, value in contents])
        return [sign.why for sign in found]

    @pytest.mark.parametrize(
        ("others", "why"),
        [
            ([], "it is how many folders lie in it in 9 of 9 examined folders"),
            ([(1, 5, None)], "it is how many folders lie in it in 9 of 9 examined folders"),
            ([(1, 5, "2")], "it is how many folders lie in it in 9 of 10 examined folders"),
            ([(1, 5, "many")], "it is how many folders lie in it in 9 of 10 examined folders"),
            ([(1, 5, "2")] * 2, None),
            ([(1, 5, "many")] * 2, None),
        ],
    )
    def test_are_right_in_nearly_all_folders(self, others, why):
        assert self.signs(*[(n % 2, 7, str(n % 2)) for n in range(9)], *others) == ([why] if why else [])

    def test_are_not_right_in_eight_of_nine(self):
        assert self.signs(*[(n % 2, 7, str(n % 2)) for n in range(8)], (1, 7, "0")) == []

    @pytest.mark.parametrize(("some", "found"), [(3, 0), (4, 1)])
    def test_are_not_always_none(self, some, found):
        assert len(self.signs(*[(1, 7, "1")] * some, *[(0, 7, "0")] * 9)) == found

    def test_are_not_always_the_same(self):
        assert self.signs(*[(1, 7, "1")] * 9) == []

    def test_are_of_folders_or_files_or_both(self):
        assert self.signs(*[(7, n, str(n)) for n in range(9)]) == [
            "it is how many files lie in it in 9 of 9 examined folders"
        ]
        assert self.signs(*[(n, n, str(2 * n)) for n in range(9)]) == [
            "it is how many folders and files lie in it in 9 of 9 examined folders"
        ]

    def test_are_found_once_where_there_are_no_files(self):
        assert len(self.signs(*[(n, 0, str(n)) for n in range(9)])) == 1

    def test_are_numbers(self):
        number, texts, numbers = Column("a", "integer"), Column("b", "text"), Column("c", "integer[]")
        assert candidates_for_counts([number, texts, numbers]) == [number]


def numbered(*, spread: int = 1) -> dict[int, tuple[int, int]]:
    """Return nested numbers of the folders of ``families``."""
    found: dict[int, tuple[int, int]] = {}
    count = 0

    def walk(folder: int) -> None:
        nonlocal count
        count += spread
        low = count
        for child in range(folder * 3 + ROOTS, min(folder * 3 + ROOTS + 3, 45)):
            walk(child)
        count += spread
        found[folder] = (low, count)

    for root in range(ROOTS):
        walk(root)
    return found


class TestNumbers:
    def signs(self, numbers: dict[int, tuple[int, ...]]) -> list[Sign]:
        rows = families(lambda key, above, name: None)
        rows = [
            f._replace(own=tuple(map(str, numbers[int(f.key)])), above=tuple(map(str, numbers[int(f.parent)])))
            for f in rows
        ]
        return telling(columns("a", "b"), rows, keys="integer", longest=1000)

    @pytest.mark.parametrize("spread", [1, 10])
    def test_that_are_nested_tell(self, spread):
        (sign,) = self.signs(numbered(spread=spread))
        assert sign.columns == ("a", "b")

    @pytest.mark.parametrize(
        "numbers",
        [
            {n: (n, 2 * n) for n in range(45)},
            {n: (n, 1000 - n) for n in range(45)},
            {n: (n, n) for n in range(45)},
            dict.fromkeys(range(45), (1, 100)),
            {n: (n, 2000 - 40 * n) for n in range(45)},
        ],
        ids=["created and updated", "created and size", "equal", "constant", "cumulative size"],
    )
    def test_that_are_not_do_not(self, numbers):
        assert self.signs(numbers) == []

    def test_are_not_read_as_texts(self):
        codes = dict.fromkeys(range(ROOTS), "1")
        for n in range(ROOTS, 45):
            codes[n] = f"{codes[(n - ROOTS) // 3]}2"
        assert self.signs({n: (int(code), 0) for n, code in codes.items()}) == []


class TestIntervals:
    """Numbers of a folder and of its parent, and which folder that is."""

    def tells(self, *rows: tuple[tuple[float | None, float | None], tuple[float | None, float | None], str]) -> bool:
        found = []
        for number, (own, above, parent) in enumerate(rows):
            texts = [tuple(None if value is None else str(value) for value in pair) for pair in (own, above)]
            found.append(Family(str(1000 + number), parent, "Name", "Other", *texts))
        return bool(telling(columns("a", "b"), found, keys="integer", longest=1000))

    def chain(self, length: int, *, step: int = 1) -> list:
        """Return folders that lie one in another."""
        pairs = [(n * step, (2 * length + 1 - n) * step) for n in range(length + 1)]
        return [(own, above, str(n)) for n, (above, own) in enumerate(pairwise(pairs))]

    OUTSIDE = ((900, 901), (1, 2), "elsewhere")
    UNKNOWN = (((None, 5), (1, 9), "x"), ((4, None), (1, 9), "x"), ((4, 5), (None, 9), "x"), ((4, 5), (1, None), "x"))

    @pytest.mark.parametrize(("length", "tells"), [(2, False), (3, True)])
    def test_are_three_at_least(self, length, tells):
        assert self.tells(*self.chain(length)) == tells

    def test_may_be_unknown_in_other_folders(self):
        assert self.tells(*self.chain(3), *self.UNKNOWN)

    @pytest.mark.parametrize(("inside", "tells"), [(19, True), (18, False)])
    def test_lie_within_the_parents_nearly_always(self, inside, tells):
        assert self.tells(*self.chain(inside), self.OUTSIDE) == tells

    def test_may_lie_elsewhere_in_the_first_folders(self):
        assert self.tells(self.OUTSIDE, self.OUTSIDE, *self.chain(38))

    @pytest.mark.parametrize(("different", "tells"), [(9, True), (8, False)])
    def test_differ_nearly_always(self, different, tells):
        rows = self.chain(different)
        assert self.tells(*rows, rows[0]) == tells

    def test_with_gaps_tell_by_several_siblings(self):
        assert not self.tells(*self.chain(9, step=2))
        one, other = [
            [((4 * n, 4 * n + 2), (0, 100), p) for n in numbers] for p, numbers in (("p", (1, 2)), ("q", (3, 4)))
        ]
        assert not self.tells(*one, ((20, 22), (0, 100), "q"))
        assert self.tells(*one, *other)
        assert not self.tells(*one, *other, ((16, 20), (0, 100), "q"))

    def test_may_touch_each_other(self):
        halves = [((low, low + 0.5), (low - low % 1, low - low % 1 + 1), str(int(low))) for low in (0, 0.5, 1, 1.5)]
        assert self.tells(*halves)

    def test_may_be_of_the_leaves_within(self):
        leaves = [((n, n), (n - n % 2, n - n % 2 + 1), str(n // 2)) for n in range(8)]
        assert self.tells(*leaves)


class TestCandidates:
    def test_are_not_more_numbers_than_can_be_compared(self):
        numbers, text = [Column(f"a{n}", "integer") for n in range(MOST_NUMBERS + 1)], Column("z", "text")
        assert candidates([*numbers, text]) == [*numbers[:-1], text]

    @pytest.mark.parametrize(
        "kind",
        ["text", "character varying(20)", "jsonb", "uuid[]", "integer", "numeric(10,2)", "citext", "VARCHAR(30)", ""],
    )
    def test_are_texts_lists_and_numbers(self, kind):
        assert candidates(columns("a", kind=kind)) == columns("a", kind=kind)

    @pytest.mark.parametrize(
        "kind",
        ["boolean", "timestamp", "uuid", "bytea", "date", "BLOB", "char(32)", "bit(1)", "inet", "tsvector", "datetime"],
    )
    def test_are_not_what_holds_no_text(self, kind):
        assert candidates(columns("a", kind=kind)) == []
