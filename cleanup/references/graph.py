"""Which columns change when a folder's key is replaced, and which of them have to change together.

Pure: foreign keys in, sites and their steps out. A site is columns of one table that copy columns of folders. Direct
sites are those of foreign keys to folders; where a site belongs to a key that another table references, the columns
there copy the folder too, and so on: derived sites.

Note [Steps]. A foreign key that is checked at the end of each statement binds the two sites that it connects: they
change in one statement. Sites that are connected at all share a step, unless one table would then have to change in
two ways; only then are the connections that the database can defer cut. Where that does not help, the run is refused.
A copy comes before what it copies: then ON UPDATE CASCADE finds nothing left to change behind our back.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from cleanup.backends.catalogue import ForeignKey, TableName
from cleanup.backends.conditions import Condition


@dataclass(frozen=True, slots=True)
class ReferenceSite:
    """Columns of a table that copy ``folder_columns`` of a folder, in the same order."""

    table: TableName
    columns: tuple[str, ...]
    folder_columns: tuple[str, ...] = field(compare=False)
    condition: Condition | None = None

    def __str__(self) -> str:
        return f"{self.table}.{'+'.join(self.columns)}"


@dataclass(frozen=True, slots=True)
class Connection:
    """A foreign key by which one site copies another; ``binding``: checked at the end of each statement."""

    key: ForeignKey
    site: ReferenceSite
    derived: ReferenceSite

    @property
    def binding(self) -> bool:
        """Return whether both sites have to change in one statement."""
        return self.key.enforced and not self.key.deferrable


@dataclass(frozen=True, slots=True)
class Unorderable:
    """A table that would have to change in two ways at once, and the foreign keys that ask for it."""

    sites: tuple[ReferenceSite, ...]
    keys: tuple[ForeignKey, ...]


@dataclass(frozen=True, slots=True)
class Unrestricted:
    """A key of a conditional site is referenced without the columns of its condition: copies cannot be told apart."""

    site: ReferenceSite
    key: ForeignKey


@dataclass(slots=True)
class Graph:
    """Sites and their connections."""

    sites: list[ReferenceSite]
    connections: list[Connection] = field(default_factory=list)
    unrestricted: list[Unrestricted] = field(default_factory=list)


def pair_columns(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split (column, folder column) pairs, ordered by column, so that equal sets give equal sites."""
    ordered = sorted(pairs)
    return tuple(own for own, _ in ordered), tuple(other for _, other in ordered)


def derive(
    direct: Iterable[ReferenceSite],
    keys: Sequence[ForeignKey],
    *,
    folders: TableName,
    unchanging: Collection[str],
    topmost: Callable[[TableName], TableName],
) -> Graph:
    """Follow the foreign keys from the direct sites on.

    ``unchanging`` are columns of folders that are the same for a removed folder and its survivor. Keys of folders
    themselves are not followed.
    """
    keys_to: dict[TableName, list[ForeignKey]] = {}
    for key in keys:
        keys_to.setdefault(topmost(key.target), []).append(key)
    graph = Graph(list(dict.fromkeys(direct)))
    known = set(graph.sites)
    for site in graph.sites:  # grows while it is walked
        if topmost(site.table) == topmost(folders):
            continue
        for key in keys_to.get(topmost(site.table), ()):
            derived = _derive(site, key, unchanging)
            if derived is None:
                continue
            if site.condition is not None and derived.condition is None:
                graph.unrestricted.append(Unrestricted(site, key))
            elif derived != site:
                graph.connections.append(Connection(key, site, derived))
                if derived not in known:
                    known.add(derived)
                    graph.sites.append(derived)
    return graph


def _derive(site: ReferenceSite, key: ForeignKey, unchanging: Collection[str]) -> ReferenceSite | None:
    copied = dict(zip(site.columns, site.folder_columns, strict=True))
    pairs = [
        (own, copied[other])
        for own, other in zip(key.columns, key.target_columns, strict=True)
        if other in copied and copied[other] not in unchanging
    ]
    if not pairs:
        return None
    copies = dict(zip(key.target_columns, key.columns, strict=True))
    condition = site.condition.renamed(copies) if site.condition else None
    columns, folder_columns = pair_columns(pairs)
    return ReferenceSite(key.table, columns, folder_columns, condition)


def steps(graph: Graph) -> tuple[list[list[ReferenceSite]], list[Unorderable]]:
    """Group the sites by step, in order, and name what cannot be ordered. See Note [Steps]."""
    unorderable: list[Unorderable] = []
    binding = [connection for connection in graph.connections if connection.binding]
    # Copies were found after what they copy.
    last_found_first = {site: -number for number, site in enumerate(graph.sites)}
    ordered: list[list[ReferenceSite]] = []
    for together in sorted(_components(graph.sites, graph.connections), key=_place):
        if not _changes_twice(together):
            ordered.append(sorted(together, key=last_found_first.__getitem__))
            continue
        parts = [sorted(part, key=last_found_first.__getitem__) for part in _components(together, binding)]
        ordered += sorted(parts, key=lambda part: (-_width(part), last_found_first[part[0]]))
        for part in parts:
            if twice := _changes_twice(part):
                concerned = [c.key for c in binding if c.site in part or c.derived in part]
                unorderable.append(Unorderable(twice, tuple(dict.fromkeys(concerned))))
    return ordered, unorderable


def _components(sites: Sequence[ReferenceSite], connections: Iterable[Connection]) -> list[list[ReferenceSite]]:
    leader = {site: site for site in sites}

    def find(site: ReferenceSite) -> ReferenceSite:
        while leader[site] != site:
            site = leader[site]
        return site

    for connection in connections:
        if connection.site in leader and connection.derived in leader:
            leader[find(connection.derived)] = find(connection.site)
    components: dict[ReferenceSite, list[ReferenceSite]] = {}
    for site in sites:
        components.setdefault(find(site), []).append(site)
    return list(components.values())


def _changes_twice(sites: Iterable[ReferenceSite]) -> tuple[ReferenceSite, ...]:
    by_table: dict[TableName, list[ReferenceSite]] = {}
    for site in sites:
        by_table.setdefault(site.table, []).append(site)
    return tuple(site for group in by_table.values() if len(group) > 1 for site in group)


def _width(sites: Iterable[ReferenceSite]) -> int:
    return max(len(site.columns) for site in sites)


def _place(sites: Sequence[ReferenceSite]) -> tuple[int, TableName, tuple[str, ...]]:
    """Order wider sites before narrower ones over the same column, else by name."""
    first = min(sites, key=lambda site: (-len(site.columns), site.table, site.columns))
    return -len(first.columns), first.table, first.columns
