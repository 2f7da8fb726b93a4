"""Read from models, settings and the database's catalogue what points at folders.

A constant number of statements, whatever the number of tables; nothing is written and no row of a mapped table is read,
except one query for how SQLite stores the keys.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from cleanup import backends, conf
from cleanup.backends.catalogue import Action, ForeignKey, Table, TableName
from cleanup.backends.pinning import pinning, together
from cleanup.backends.references import Reference
from cleanup.policies import HistoryPolicy
from cleanup.references import graph, installed_models, list_sites, problems, tree_hooks
from cleanup.references.collision_policies import Policy
from cleanup.references.described_sites import DescribedSites, is_enforced
from cleanup.references.description import ReferenceMap, Untold
from cleanup.references.direct_sites import DirectSites
from cleanup.references.graph import ReferenceSite
from cleanup.references.key_types import kind_of, looseness, padded_length
from cleanup.references.resolved_names import ResolvedNames
from cleanup.references.static_checks import problems_of
from cleanup.references.survey import Survey

#: From harmless to destructive; of several foreign keys on one column, the worst decides.
_SEVERITY: tuple[Action, ...] = ("no action", "restrict", "set default", "set null", "cascade")


def discover(*, using: str) -> ReferenceMap:
    """Return every reference to folders in a database, and what prevents moving them.

    Raises DatabaseUnusable if a mapped table or column is missing, and MisconfiguredSetting.
    """
    with pinning(using=using), together(using=using):
        return _Discovery(using).run()


class _Discovery:
    """One pass over one database."""

    def __init__(self, using: str) -> None:
        self.names = ResolvedNames(using=using)
        self.sites = DirectSites(self.names)
        self.described = DescribedSites(self.sites)

    def run(self) -> ReferenceMap:
        """Read, follow, order, describe, check."""
        self.names.require_columns()
        keys = [*self.names.catalogue.foreign_keys(), *self.sites.keys_of_models()]
        untold = self.sites.read(keys)
        described = self.described.describe(keys)
        derived = self.sites.derive(keys)
        if missing := {site.table for site in derived.sites} - set(described):
            described.update(self.names.catalogue.describe(missing))
        ordered, unorderable = graph.steps(derived)
        found = self._map(keys, described, derived, ordered)
        leaving = self.names.histories.with_policy(HistoryPolicy.LEAVE)
        hooks = tree_hooks.read(self._survey(found, described, keys))
        found = replace(found, tree_columns=hooks.columns, watched=hooks.watched)
        survey = self._survey(found, described, keys)
        return replace(
            found,
            ignored_columns=frozenset(column for table, column in survey.ignored() if table == self.names.folders),
            further_columns=survey.further_columns(),
            known=survey.known,
            linked=frozenset(survey.linked),
            words=self.names.words,
            untold=tuple(one for one in untold if not self._is_told(one, found, survey.known)),
            histories=frozenset(leaving),
            problems=(
                *self.sites.problems,
                *problems.of_graph(derived, unorderable),
                *hooks.problems,
                *list_sites.problems_of(found.lists, described),
                *problems_of(survey, hooks),
            ),
        )

    def _map(
        self,
        keys: Sequence[ForeignKey],
        described: Mapping[TableName, Table],
        derived: graph.Graph,
        ordered: Sequence[Sequence[ReferenceSite]],
    ) -> ReferenceMap:
        names = self.names
        lists = tuple(list_sites.lists_of(names, described))
        written = {*names.mapped_tables, *(site.table for site in derived.sites), *(one.table for one in lists)}
        files, key = described[names.files] if names.files else None, described[names.folders].column(names.key)
        return ReferenceMap(
            applications=described[names.applications],
            folders=described[names.folders],
            files=files,
            folder_key=key,
            loose_files=looseness(files.column(names.file_folder), key, names.tables.folder_key) if files else "",
            references=tuple(self._references(derived, ordered, described)),
            lists=lists,
            tables={name: table for name, table in described.items() if name in written},
            automatic_many_to_many=self._automatic_many_to_many() & written,
            inbound_keys=self._inbound(keys, written),
            policies=dict(self._policies(described, written)),
        )

    def _survey(self, found: ReferenceMap, described: Mapping[TableName, Table], keys: Sequence[ForeignKey]) -> Survey:
        names = self.names
        leaving = names.histories.with_policy(HistoryPolicy.LEAVE)
        return Survey(
            using=names.using,
            tables=names.tables,
            catalogue=names.catalogue,
            found=found,
            named=names.named,
            names=names.by_spelling,
            columns=names.columns,
            described=described,
            linked={(key.table, column) for key in keys for column in key.columns},
            own=names.own,
            candidates=[placed for placed in names.candidates if placed.table not in leaving],
            words=names.words,
            unmatched=names.unmatched,
        )

    def _references(
        self, derived: graph.Graph, ordered: Sequence[Sequence[ReferenceSite]], described: Mapping[TableName, Table]
    ) -> Iterator[Reference]:
        copies: dict[ReferenceSite, list[graph.Connection]] = {}
        for connection in derived.connections:
            copies.setdefault(connection.derived, []).append(connection)
        spelled = self._spelled(derived, described)
        for step, sites in enumerate(ordered, start=1):
            for site in sites:
                found = self.sites.direct.get(site)
                keys = [key for key in found.keys if key.name] if found else []
                worst = max(keys, key=lambda key: _SEVERITY.index(key.on_delete), default=None)
                following = next((c.key.name for c in copies.get(site, ()) if c.key.name), None)
                yield Reference(
                    table=site.table,
                    columns=site.columns,
                    folder_columns=site.folder_columns,
                    step=step,
                    source=found.source if found else "catalogue" if following else "model",
                    constraint=worst.name if worst else following,
                    on_delete=worst.on_delete if worst else None,
                    proven=found is not None and self.described.is_proven(site, found, described[site.table]),
                    enforced=found is not None and is_enforced(site, found, described[site.table]),
                    condition=site.condition,
                    spelled=site in spelled,
                )

    def _spelled(self, derived: graph.Graph, described: Mapping[TableName, Table]) -> set[ReferenceSite]:
        """Return the text sites over keys that may be spelled in several ways, unless a foreign key holds them to one.

        On PostgreSQL none does: a text cannot reference a UUID, and may reference char(n) padded or not.
        """
        by_class = backends.database(using=self.names.using).storage_classes
        key = described[self.names.folders].column(self.names.key)
        if not self.names.tables.folder_key.is_uuid and padded_length(key) is None:
            return set()
        texts = set()
        for site in derived.sites:
            column = described[site.table].column(site.columns[0])
            as_padded = padded_length(key) is not None and padded_length(column) is not None
            if site.folder_columns == (self.names.key,) and kind_of(column) in {"text", "any"} and not as_padded:
                texts.add(site)
        if not by_class:
            return texts
        spelled = {
            site for site in texts if site in self.sites.direct and self.sites.direct[site].source != "catalogue"
        }
        for connection in derived.connections:  # each comes after the one that it follows
            if (
                connection.site in spelled
                and connection.derived in texts
                and connection.derived not in self.sites.direct
            ):
                spelled.add(connection.derived)
        return spelled

    def _policies(
        self, described: Mapping[TableName, Table], written: Collection[TableName]
    ) -> Iterator[tuple[TableName, Policy]]:
        for name, value in conf.collisions().items():
            table = self.names.by_spelling.get(name)
            if table is not None and table in written:
                yield table, Policy.of(value, described[table])

    def _automatic_many_to_many(self) -> frozenset[TableName]:
        return frozenset(
            self.names.by_spelling[n] for n in installed_models.automatic_many_to_many() if n in self.names.by_spelling
        )

    def _inbound(
        self, keys: Iterable[ForeignKey], written: Iterable[TableName]
    ) -> dict[TableName, tuple[ForeignKey, ...]]:
        asked = {self.names.catalogue.topmost(table): table for table in written if table != self.names.folders}
        inbound: dict[TableName, dict[tuple[object, ...], ForeignKey]] = {}
        for key in keys:
            table = asked.get(self.names.catalogue.topmost(key.target))
            if table is not None:
                same = (key.table, key.columns, key.target_columns)
                inbound.setdefault(table, {}).setdefault(same, replace(key, target=table))
        return {table: tuple(found.values()) for table, found in inbound.items()}

    @staticmethod
    def _is_told(one: Untold, found: ReferenceMap, known: Collection[tuple[TableName, str]]) -> bool:
        if one.history:
            return any(r.table == one.table and one.column in r.columns for r in found.references)
        return (one.table, one.column) in known
