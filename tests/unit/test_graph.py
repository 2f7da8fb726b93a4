from cleanup.backends.catalogue import ForeignKey, TableName
from cleanup.backends.conditions import Condition
from cleanup.references.graph import Graph, ReferenceSite, derive, steps


def table(name: str) -> TableName:
    return TableName("", name)


def key(own: str, other: str, *, deferrable: bool = False, enforced: bool = True) -> ForeignKey:
    """Make a foreign key from `table(column, column)` to another."""
    (name, columns), (target, target_columns) = (side.rstrip(")").split("(") for side in (own, other))
    return ForeignKey(
        name=f"{own}->{other}",
        table=table(name),
        columns=tuple(columns.split(", ")),
        target=table(target),
        target_columns=tuple(target_columns.split(", ")),
        on_delete="no action",
        on_update="no action",
        deferrable=deferrable,
        enforced=enforced,
    )


def site(
    name: str, *columns: str, folder_columns: tuple[str, ...] = ("id",), condition: Condition | None = None
) -> ReferenceSite:
    return ReferenceSite(table(name), columns, folder_columns, condition)


def derived(direct: list[ReferenceSite], *keys: ForeignKey) -> Graph:
    return derive(direct, keys, folders=table("folders"), unchanging={"application_id"}, topmost=lambda name: name)


def names(found: list[list[ReferenceSite]]) -> list[list[str]]:
    return [[str(one) for one in together] for together in found]


class TestDerive:
    def test_follows_keys_that_contain_the_folder(self):
        graph = derived([site("a", "f")], key("b(af, n)", "a(f, n)"), key("c(x)", "b(af)"))
        assert [str(one) for one in graph.sites] == ["a.f", "b.af", "c.x"]

    def test_does_not_follow_keys_without_the_folder(self):
        assert len(derived([site("a", "f")], key("b(n)", "a(n)")).sites) == 1

    def test_does_not_follow_what_never_changes(self):
        direct = site("a", "app", "f", folder_columns=("application_id", "id"))
        assert len(derived([direct], key("b(x)", "a(app)")).sites) == 1

    def test_does_not_follow_keys_of_folders_themselves(self):
        assert len(derived([site("folders", "parent")], key("b(x)", "folders(parent)")).sites) == 1

    def test_ends_in_a_circle(self):
        graph = derived([site("a", "f")], key("b(x)", "a(f)"), key("a(f)", "b(x)"))
        assert [str(one) for one in graph.sites] == ["a.f", "b.x"]

    def test_takes_a_self_reference_over_the_same_column_for_no_connection(self):
        assert derived([site("a", "f")], key("a(f, above)", "a(f, n)")).connections == []

    def test_carries_the_content_type_along(self):
        direct = site("a", "object", condition=Condition.of({"type": [7]}))
        graph = derived([direct], key("b(t, o)", "a(type, object)"))
        assert graph.sites[1].condition == Condition.of({"t": [7]})

    def test_reports_a_generic_key_that_is_referenced_without_its_content_type(self):
        direct = site("a", "object", condition=Condition.of({"type": [7]}))
        assert len(derived([direct], key("b(o)", "a(object)")).unrestricted) == 1


class TestSteps:
    def test_are_shared_by_copies_which_come_first(self):
        ordered, unorderable = steps(derived([site("a", "f")], key("b(af)", "a(f)"), key("c(x)", "b(af)")))
        assert (names(ordered), unorderable) == ([["c.x", "b.af", "a.f"]], [])

    def test_are_apart_for_what_is_not_connected(self):
        ordered, _ = steps(derived([site("b", "f"), site("a", "f")]))
        assert names(ordered) == [["a.f"], ["b.f"]]

    def test_put_wider_spots_first(self):
        ordered, _ = steps(derived([site("a", "f"), site("a", "f", "g", folder_columns=("id", "name"))]))
        assert names(ordered) == [["a.f+g"], ["a.f"]]

    def test_are_refused_where_one_table_would_change_in_two_ways(self):
        next_one = key("a(next)", "a(f)")
        _, (unorderable,) = steps(derived([site("a", "f")], next_one))
        assert ([str(one) for one in unorderable.sites], unorderable.keys) == (["a.next", "a.f"], (next_one,))

    def test_are_split_where_the_key_can_be_deferred(self):
        ordered, unorderable = steps(derived([site("a", "f")], key("a(next)", "a(f)", deferrable=True)))
        assert (names(ordered), unorderable) == ([["a.next"], ["a.f"]], [])

    def test_are_split_where_nothing_enforces_the_key(self):
        ordered, unorderable = steps(derived([site("a", "f")], key("a(next)", "a(f)", enforced=False)))
        assert (names(ordered), unorderable) == ([["a.next"], ["a.f"]], [])

    def test_are_split_no_further_than_needed(self):
        ordered, unorderable = steps(
            derived([site("a", "f")], key("a(next)", "a(f)", deferrable=True), key("b(af)", "a(f)"))
        )
        assert (names(ordered), unorderable) == ([["b.af", "a.f"], ["a.next"]], [])
