"""The options of the ready hooks: which columns they write, as the package that keeps them names them, or as set.

What is not set is taken from the model's own attributes, if the package leaves any there, and otherwise from its
conventions. Names are those of columns, or of the model's fields.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models

from cleanup.backends.catalogue import Catalogue, Table
from cleanup.backends.tree_columns import (
    ClosureTable,
    LabelPath,
    NestedNumbers,
    SteppedPath,
    TreeColumns,
    WrittenPath,
)
from cleanup.exceptions import MisconfiguredSetting

SETTING = "CLEANUP_TREE_HOOK"

#: The alphabet of treebeard's steps, and their length.
_ALPHABET, _STEP = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", 4


def wrong(problem: str) -> MisconfiguredSetting:
    """Return the error of a wrong option."""
    return MisconfiguredSetting(setting=SETTING, problem=problem)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the columns are: the folder table and its model, or a table beside it."""

    model: type[models.Model]
    name: str
    """The column with a folder's name."""
    folders: Table
    catalogue: Catalogue

    def table(self, name: str) -> Table:
        """Return the table of a name. Raises MisconfiguredSetting."""
        found = self.catalogue.resolve(name)
        table = None if found is None else self.catalogue.describe([found]).get(found)
        if table is None or table.kind not in ("table", "partitioned"):
            raise wrong(f"there is no table {name}.")
        return table

    def column(self, name: str, option: str, *, of: Table | None = None) -> str:
        """Return the column of a name. Raises MisconfiguredSetting."""
        table = of or self.folders
        for candidate in (name, self._field(name) if of is None else f"{name}_id"):
            if any(column.name == candidate for column in table.columns):
                return candidate
        raise wrong(f'there is no column {table.name}.{name}. Give its name as "{option}".')

    def known(self, name: str) -> str | None:
        """Return the column of a name, or None if there is none."""
        return name if any(column.name == name for column in self.folders.columns) else None

    def optional(self, options: Mapping[str, Any], option: str, default: str | None = None) -> str | None:
        """Return the column that an option names; of the default only if it is there."""
        if option in options:
            return None if options[option] is None else self.column(options[option], option)
        return None if default is None else self.known(default)

    def _field(self, name: str) -> str:
        try:
            return str(getattr(self.model._meta.get_field(name), "column", name))
        except FieldDoesNotExist:
            return name


def check(options: Mapping[str, Any], kinds: Mapping[str, type | tuple[type, ...]], *, hook: str) -> None:
    """Refuse options that do not exist, or whose values are of the wrong kind. Raises MisconfiguredSetting."""
    for name, value in options.items():
        if name not in kinds:
            known = ", ".join(kinds)
            raise wrong(f"cleanup.hooks.{hook} has no option {name!r}; it has {known}.")
        kind = kinds[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int) or value == "":
            raise wrong(f"{name!r} of cleanup.hooks.{hook} cannot be {value!r}.")


_NAME, _NAME_OR_NONE = str, (str, type(None))

#: The options of each hook, and the kinds of their values.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "mptt": {"left": _NAME, "right": _NAME, "tree": _NAME, "level": _NAME_OR_NONE},
    "nested_set": {"left": _NAME, "right": _NAME, "tree": _NAME_OR_NONE, "level": _NAME_OR_NONE},
    "materialized_path": {
        "path": _NAME,
        "of": _NAME,
        "separator": _NAME,
        "leading": bool,
        "trailing": bool,
        "own": bool,
        "step": int,
        "alphabet": _NAME,
        "depth": _NAME_OR_NONE,
        "children": _NAME_OR_NONE,
    },
    "ltree": {"path": _NAME},
    "closure_table": {
        "table": _NAME,
        "ancestor": _NAME,
        "descendant": _NAME,
        "depth": _NAME_OR_NONE,
        "own": bool,
    },
}


def _mptt(options: Mapping[str, Any], place: Place) -> TreeColumns:
    meta = getattr(place.model, "_mptt_meta", None)

    def named(option: str, attribute: str, default: str) -> str:
        return place.column(options.get(option) or str(getattr(meta, attribute, default)), option)

    level = options.get("level", getattr(meta, "level_attr", "level"))
    return NestedNumbers(
        named("left", "left_attr", "lft"),
        named("right", "right_attr", "rght"),
        named("tree", "tree_id_attr", "tree_id"),
        None if level is None else place.column(str(level), "level"),
    )


def _nested_set(options: Mapping[str, Any], place: Place) -> TreeColumns:
    left = options.get("left") or place.known("lft") or "left"
    right = options.get("right") or place.known("rgt") or place.known("rght") or "right"
    return NestedNumbers(
        place.column(left, "left"),
        place.column(right, "right"),
        place.optional(options, "tree", "tree_id"),
        place.optional(options, "level", "level") or place.optional(options, "level", "depth"),
    )


def _materialized_path(options: Mapping[str, Any], place: Place) -> TreeColumns:
    written = {"of", "separator", "leading", "trailing", "own"} & options.keys()
    stepped = {"step", "alphabet"} & options.keys()
    if written and stepped:
        raise wrong(f"{sorted(written)[0]!r} and {sorted(stepped)[0]!r} are of different kinds of paths.")
    numbered = place.known("depth") and place.known("numchild")
    if stepped or (not written and "path" not in options and numbered):
        return SteppedPath(
            place.column(options.get("path", "path"), "path"),
            options.get("step") or getattr(place.model, "steplen", None) or _STEP,
            options.get("alphabet") or getattr(place.model, "alphabet", None) or _ALPHABET,
            place.optional(options, "depth", "depth"),
            place.optional(options, "children", "numchild"),
        )
    if not options and place.known("parent_path"):  # Odoo
        return WrittenPath("parent_path", "key", trailing=True)
    of = options.get("of", place.name)
    return WrittenPath(
        place.column(options.get("path", "path"), "path"),
        of if of in ("key", "hex") else place.column(of, "of"),
        options.get("separator", "/"),
        options.get("leading", False),
        options.get("trailing", False),
        options.get("own", True),
        place.optional(options, "depth"),
        place.optional(options, "children"),
    )


def _ltree(options: Mapping[str, Any], place: Place) -> TreeColumns:
    found = [column.name for column in place.folders.columns if column.stored_type.rpartition(".")[2] == "ltree"]
    path = place.column(options.get("path") or (found[0] if len(found) == 1 else "path"), "path")
    if path not in found:
        raise wrong(f"column {place.folders.name}.{path} is not an ltree.")
    return LabelPath(path)


def _closure_table(options: Mapping[str, Any], place: Place) -> TreeColumns:
    if "table" not in options:
        raise wrong('cleanup.hooks.closure_table needs the name of the table as "table".')
    table = place.table(options["table"])
    depth = options.get("depth", next((c.name for c in table.columns if c.name in ("depth", "distance")), None))
    return ClosureTable(
        table.name,
        place.column(options.get("ancestor", "ancestor"), "ancestor", of=table),
        place.column(options.get("descendant", "descendant"), "descendant", of=table),
        None if depth is None else place.column(depth, "depth", of=table),
        options.get("own", True),
    )


#: By the hook's name, what turns its options into columns. Each raises MisconfiguredSetting.
RESOLVERS: Mapping[str, Callable[[Mapping[str, Any], Place], TreeColumns]] = {
    "mptt": _mptt,
    "nested_set": _nested_set,
    "materialized_path": _materialized_path,
    "ltree": _ltree,
    "closure_table": _closure_table,
}
