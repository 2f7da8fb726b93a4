"""Which of the ready tree hooks keeps a column, by its name and by its values: the setting to paste. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cleanup.backends.catalogue import Column
from cleanup.references.path_columns import Family, depths_among, nested_pairs

_TREES = ("tree_id", "treeid", "tree")
_SEPARATORS = ("/", ".", " / ", " > ", ">", ",", "|", ":", "-", "\\", ";", " ")


def fitting(columns: Sequence[Column], families: Sequence[Family]) -> dict[str, Any]:
    """Return the entry of ``CLEANUP_TREE_HOOK`` that keeps a column, by column; columns without one are missing.

    ``families`` has the values of these columns, in their order.
    """
    found: dict[str, Any] = dict(_nested(columns))
    names = {column.name for column in columns}
    stepped = ("path", "depth", "numchild")
    if names.issuperset(stepped) and found.keys().isdisjoint(stepped):
        found |= dict.fromkeys(stepped, "cleanup.hooks.materialized_path")
    labels = [column.name for column in columns if column.type.rpartition(".")[2].strip('"') == "ltree"]
    for name in labels:
        found[name] = "cleanup.hooks.ltree" if len(labels) == 1 else {"hook": "cleanup.hooks.ltree", "path": name}
    for place, column in enumerate(columns):
        if column.name not in found and (entry := _written(column.name, place, families)) is not None:
            found[column.name] = entry
    return found


def counting(columns: tuple[str, ...], places: tuple[int, ...], families: Sequence[Family]) -> Any:
    """Return the entry for two numbers whose intervals are nested, if they count without gaps; otherwise None."""
    left, right = places
    spans = [(family.own[left], family.own[right]) for family in families]
    if all(low and high and low.isdigit() and high.isdigit() and (int(high) - int(low)) % 2 for low, high in spans):
        return {"hook": "cleanup.hooks.nested_set", "left": columns[0], "right": columns[1]}
    return None


def setting(entries: Sequence[Any]) -> str:
    """Return the setting that has these entries, as Python source."""
    distinct = [entry for place, entry in enumerate(entries) if entry not in entries[:place]]
    shown = [_source(entry) for entry in distinct]
    listed = ", ".join(shown)
    return f"CLEANUP_TREE_HOOK = {listed if len(shown) == 1 else f'[{listed}]'}"


def _source(entry: Any) -> str:
    if isinstance(entry, Mapping):
        return "{" + ", ".join(f"{_source(name)}: {_source(value)}" for name, value in entry.items()) + "}"
    return '"{}"'.format(entry.replace("\\", "\\\\")) if isinstance(entry, str) and '"' not in entry else repr(entry)


def _nested(columns: Sequence[Column]) -> Iterator[tuple[str, Any]]:
    names = [column.name for column in columns]
    for left, right in nested_pairs(columns):
        tree = next((name for name in _TREES if name in names), None)
        level = next(iter(depths_among(columns)), None)
        kept = [name for name in (left, right, tree, level) if name is not None]
        entry: Any = {"hook": "cleanup.hooks.nested_set", "left": left, "right": right}
        entry |= {"tree": tree} if tree else {}
        entry |= {"level": level} if level else {}
        if kept == ["lft", "rght", "tree_id", "level"]:
            entry = "cleanup.hooks.mptt"
        yield from ((name, entry) for name in kept)
        return


def _written(column: str, place: int, families: Sequence[Family]) -> Any:
    """Return the entry of a text that is what the sample shows, or None."""
    rows = [(family, family.own[place] or "", family.above[place] or "") for family in families]
    if not rows:
        return "cleanup.hooks.materialized_path" if column == "parent_path" else None
    for of in ("key", "hex", "name"):
        for separator in _SEPARATORS:
            for own in (True, False):
                for trailing in (True, False):
                    if all(_fits(row, of, separator, own=own, trailing=trailing) for row in rows):
                        leading = all(value.startswith(separator) for _, value, _ in rows)
                        return _entry(column, of, separator, leading=leading, trailing=trailing, own=own)
    return None


def _fits(row: tuple[Family, str, str], of: str, separator: str, *, own: bool, trailing: bool) -> bool:
    family, value, above = row
    element = {
        "key": family.key if own else family.parent,
        "hex": (family.key if own else family.parent).replace("-", ""),
        "name": family.name if own else family.parent_name,
    }[of]
    if not own and above in ("", separator):  # the parent is a root
        return (
            value in (element + separator, separator + element + separator)
            if trailing
            else value
            in (
                element,
                separator + element,
            )
        )
    return bool(above) and value == (above + element + separator if trailing else above + separator + element)


def _entry(column: str, of: str, separator: str, *, leading: bool, trailing: bool, own: bool) -> Any:
    if (column, of, separator, leading, trailing, own) == ("parent_path", "key", "/", False, True, True):
        return "cleanup.hooks.materialized_path"
    entry: dict[str, Any] = {"hook": "cleanup.hooks.materialized_path", "path": column}
    entry |= {"of": of} if of != "name" else {}
    entry |= {"separator": separator} if separator != "/" else {}
    entry |= {"leading": True} if leading else {}
    entry |= {"trailing": True} if trailing else {}
    return entry if own else entry | {"own": False}
