"""Which columns change when a folder's key is replaced, and which of them have to change together.

Pure: foreign keys in, spots and their steps out. A spot is columns of one table that copy columns of folders. Direct
spots are those of foreign keys to folders; where a spot belongs to a key that another table references, the columns
there copy the folder too, and so on: derived spots.

Note [Steps]. A foreign key that is checked at the end of each statement binds the two spots that it connects: they
change in one statement. Spots that are connected at all share a step, unless one table would then have to change in
two ways; only then are the connections that the database can defer cut. Where that does not help, the run is refused.
A copy comes before what it copies: then ON UPDATE CASCADE finds nothing left to change behind our back.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from cleanup.backends.catalogue import ForeignKey, TableName
from cleanup.backends.conditions import Condition


@dataclass(frozen=True, slots=True)
class Spot:
    """Columns of a table that copy ``folder_columns`` of a folder, in the same order."""

    table: TableName
    columns: tuple[str, ...]
    folder_columns: tuple[str, ...] = field(compare=False)
    condition: Condition | None = None

    def __str__(self) -> str:
        return f"{self.table}.{'+'.join(self.columns)}"


@dataclass(frozen=True, slots=True)
class Connection:
    """A foreign key by which one spot copies another; ``binding``: checked at the end of each statement."""

    key: ForeignKey
    spot: Spot
    derived: Spot

    @property
    def binding(self) -> bool:
        """Return whether both spots have to change in one statement."""
        return self.key.enforced and not self.key.deferrable


@dataclass(frozen=True, slots=True)
class Torn:
    """A table that would have to change in two ways at once, and the foreign keys that ask for it."""

    spots: tuple[Spot, ...]
    keys: tuple[ForeignKey, ...]


@dataclass(frozen=True, slots=True)
class Unrestricted:
    """A key of a conditional spot is referenced without the columns of its condition: copies cannot be told apart."""

    spot: Spot
    key: ForeignKey


@dataclass(slots=True)
class Graph:
    """Spots and their connections."""

    spots: list[Spot]
    connections: list[Connection] = field(default_factory=list)
    unrestricted: list[Unrestricted] = field(default_factory=list)


def pair_columns(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split (column, folder column) pairs, ordered by column, so that equal sets give equal spots."""
    ordered = sorted(pairs)
    return tuple(own for own, _ in ordered), tuple(other for _, other in ordered)


def derive(
    direct: Iterable[Spot],
    keys: Sequence[ForeignKey],
    *,
    folders: TableName,
    unchanging: Collection[str],
    topmost: Callable[[TableName], TableName],
) -> Graph:
    """Follow the foreign keys from the direct spots on.

    ``unchanging`` are columns of folders that are the same for a removed folder and its survivor. Keys of folders
    themselves are not followed.
    """
    keys_to: dict[TableName, list[ForeignKey]] = {}
    for key in keys:
        keys_to.setdefault(topmost(key.target), []).append(key)
    graph = Graph(list(dict.fromkeys(direct)))
    known = set(graph.spots)
    for spot in graph.spots:  # grows while it is walked
        if topmost(spot.table) == topmost(folders):
            continue
        for key in keys_to.get(topmost(spot.table), ()):
            derived = _derive(spot, key, unchanging)
            if derived is None:
                continue
            if spot.condition is not None and derived.condition is None:
                graph.unrestricted.append(Unrestricted(spot, key))
            elif derived != spot:
                graph.connections.append(Connection(key, spot, derived))
                if derived not in known:
                    known.add(derived)
                    graph.spots.append(derived)
    return graph


def _derive(spot: Spot, key: ForeignKey, unchanging: Collection[str]) -> Spot | None:
    copied = dict(zip(spot.columns, spot.folder_columns, strict=True))
    pairs = [
        (own, copied[other])
        for own, other in zip(key.columns, key.target_columns, strict=True)
        if other in copied and copied[other] not in unchanging
    ]
    if not pairs:
        return None
    copies = dict(zip(key.target_columns, key.columns, strict=True))
    condition = spot.condition.renamed(copies) if spot.condition else None
    columns, folder_columns = pair_columns(pairs)
    return Spot(key.table, columns, folder_columns, condition)


def steps(graph: Graph) -> tuple[list[list[Spot]], list[Torn]]:
    """Group the spots by step, in order, and name what cannot be ordered. See Note [Steps]."""
    torn: list[Torn] = []
    binding = [connection for connection in graph.connections if connection.binding]
    # Copies were found after what they copy.
    last_found_first = {spot: -number for number, spot in enumerate(graph.spots)}
    ordered: list[list[Spot]] = []
    for together in sorted(_components(graph.spots, graph.connections), key=_place):
        if not _changes_twice(together):
            ordered.append(sorted(together, key=last_found_first.__getitem__))
            continue
        parts = [sorted(part, key=last_found_first.__getitem__) for part in _components(together, binding)]
        ordered += sorted(parts, key=lambda part: (-_width(part), last_found_first[part[0]]))
        for part in parts:
            if twice := _changes_twice(part):
                concerned = [c.key for c in binding if c.spot in part or c.derived in part]
                torn.append(Torn(twice, tuple(dict.fromkeys(concerned))))
    return ordered, torn


def _components(spots: Sequence[Spot], connections: Iterable[Connection]) -> list[list[Spot]]:
    leader = {spot: spot for spot in spots}

    def find(spot: Spot) -> Spot:
        while leader[spot] != spot:
            spot = leader[spot]
        return spot

    for connection in connections:
        if connection.spot in leader and connection.derived in leader:
            leader[find(connection.derived)] = find(connection.spot)
    components: dict[Spot, list[Spot]] = {}
    for spot in spots:
        components.setdefault(find(spot), []).append(spot)
    return list(components.values())


def _changes_twice(spots: Iterable[Spot]) -> tuple[Spot, ...]:
    by_table: dict[TableName, list[Spot]] = {}
    for spot in spots:
        by_table.setdefault(spot.table, []).append(spot)
    return tuple(spot for group in by_table.values() if len(group) > 1 for spot in group)


def _width(spots: Iterable[Spot]) -> int:
    return max(len(spot.columns) for spot in spots)


def _place(spots: Sequence[Spot]) -> tuple[int, TableName, tuple[str, ...]]:
    """Order wider spots before narrower ones over the same column, else by name."""
    first = min(spots, key=lambda spot: (-len(spot.columns), spot.table, spot.columns))
    return -len(first.columns), first.table, first.columns
