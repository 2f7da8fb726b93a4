import pytest

from cleanup.backends.catalogue import Column
from cleanup.references.path_columns import Family, Sign, candidates, named, telling

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
UUIDS = [f"0f000000-0000-4000-8000-{number:012}" for number in range(50)]
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

    @pytest.mark.parametrize("names", ["margin_left margin_right", "left", "depth position", "left_at right_at"])
    def test_of_other_numbers(self, names):
        assert named(columns(*names.split())) == set()


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


class TestCandidates:
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
