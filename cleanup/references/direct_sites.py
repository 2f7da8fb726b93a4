"""What names a folder directly: mapped columns, foreign keys, generic relations, histories, settings."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cleanup.backends.catalogue import ForeignKey, PlacedColumn, TableName
from cleanup.backends.conditions import Condition
from cleanup.policies import HistoryPolicy
from cleanup.references import graph, histories, installed_models, problems
from cleanup.references.description import Untold
from cleanup.references.graph import ReferenceSite
from cleanup.references.holders import holders
from cleanup.references.resolved_names import ResolvedNames

if TYPE_CHECKING:
    from cleanup.references.problem import Problem


@dataclass(slots=True)
class Found:
    """What is known about a direct site."""

    source: str
    keys: list[ForeignKey] = field(default_factory=list)


class DirectSites:
    """The direct reference sites of one database, by source, with their problems."""

    def __init__(self, names: ResolvedNames) -> None:
        self.names = names
        self.direct: dict[ReferenceSite, Found] = {}
        self.problems: list[Problem] = []
        self.to_folders: list[ForeignKey] = []

    def read(self, keys: Sequence[ForeignKey]) -> list[Untold]:
        """Gather the sites of every source; return what names folders but is not a reference."""
        for site in self.names.mapped_sites:
            self.add(site, "model")
        self._add_foreign_keys(keys)
        self._add_generic()
        untold = self._histories(keys)
        self._leave_ignored()
        self._add_extra()
        return untold

    def keys_of_models(self) -> list[ForeignKey]:
        """Return the models' relations as unenforced foreign keys, if their tables and columns exist."""
        keys = []
        for relation in self.names.relations:
            table, target = self.names.by_spelling.get(relation.table), self.names.by_spelling.get(relation.target)
            if table is None or target is None:
                continue
            own = [self.names.column(table, column) for column in relation.columns]
            other = [self.names.column(target, column) for column in relation.target_columns]
            if None in own or None in other:
                continue
            keys.append(
                ForeignKey(
                    name="",
                    table=table,
                    columns=tuple(column for column in own if column),
                    target=target,
                    target_columns=tuple(column for column in other if column),
                    on_delete="no action",
                    on_update="no action",
                    deferrable=True,
                    enforced=False,
                )
            )
        return keys

    def derive(self, keys: Sequence[ForeignKey]) -> graph.Graph:
        """Follow the foreign keys from the direct sites on."""
        return graph.derive(
            self.direct,
            keys,
            folders=self.names.folders,
            unchanging=self.names.unchanging,
            topmost=self.names.catalogue.topmost,
        )

    def add(self, site: ReferenceSite, source: str, key: ForeignKey | None = None) -> None:
        """Add a site; what the catalogue says about it takes precedence."""
        found = self.direct.setdefault(site, Found(source))
        if key is not None:
            found.keys.append(key)
            if key.name:
                found.source = "catalogue"

    def _add_foreign_keys(self, keys: Sequence[ForeignKey]) -> None:
        root = self.names.catalogue.topmost(self.names.folders)
        self.to_folders = [key for key in keys if self.names.catalogue.topmost(key.target) == root]
        moving = {
            own
            for key in self.to_folders
            if key.table == self.names.folders
            for own, other in zip(key.columns, key.target_columns, strict=True)
            if other not in self.names.unchanging
        } | ({self.names.parent} - {self.names.key})
        for key in self.to_folders:
            if moving & set(key.target_columns):
                self.problems.append(problems.moving_key(key, sorted(moving & set(key.target_columns))))
                continue
            # An application's folders stay in the application: its column is the same before and after.
            pairs = [
                (own, other)
                for own, other in zip(key.columns, key.target_columns, strict=True)
                if other not in self.names.unchanging
            ]
            if pairs:
                self.add(
                    ReferenceSite(key.table, *graph.pair_columns(pairs)), "catalogue" if key.name else "model", key
                )

    def _add_generic(self) -> None:
        content_types = installed_models.content_type_table()
        if not self.names.generic_relations or content_types is None or content_types not in self.names.by_spelling:
            return
        types = self.names.content_types
        for relation in self.names.generic_relations if types else ():
            table = self.names.by_spelling.get(relation.table)
            type_column = self.names.column(table, relation.type_column) if table else None
            key_column = self.names.column(table, relation.key_column) if table else None
            if table and type_column and key_column:
                self.add(
                    ReferenceSite(table, (key_column,), (self.names.key,), Condition.of({type_column: types})),
                    "generic",
                )

    def _histories(self, keys: Iterable[ForeignKey]) -> list[Untold]:
        """Apply the policies to history tables; return what names folders but is not a reference."""
        untold = list(self._of_content_types(keys))
        leaving, refusing = (
            self.names.histories.with_policy(HistoryPolicy.LEAVE),
            self.names.histories.with_policy(HistoryPolicy.REFUSE),
        )
        for site, found in list(self.direct.items()):
            if site.table in leaving | refusing and found.source != "catalogue":
                kind = self.names.histories.kinds[site.table]
                untold += [Untold(site.table, column, site.condition, kind) for column in site.columns]
                del self.direct[site]
        self.problems += [histories.refused(one) for one in untold if one.table in refusing]
        for one in untold:
            if self.names.histories.policies.get(one.table) == HistoryPolicy.MOVE:
                self.add(ReferenceSite(one.table, (one.column,), (self.names.key,), one.condition), "generic")
        return [
            one for one in untold if one.table not in refusing | self.names.histories.with_policy(HistoryPolicy.MOVE)
        ]

    def _of_content_types(self, keys: Iterable[ForeignKey]) -> Iterator[Untold]:
        """Yield the columns beside a content type that no generic foreign key covers."""
        target = self.names.by_spelling.get(installed_models.content_type_table() or "")
        beside = {key.table: key.columns[0] for key in keys if key.target == target and len(key.columns) == 1}
        if target is None or not beside:
            return
        types = self.names.content_types
        placed: dict[TableName, list[PlacedColumn]] = {}
        for column in self.names.candidates:
            placed.setdefault(column.table, []).append(column)
        covered = {(site.table, column) for site in self.direct for column in site.columns}
        holding = {
            holder.place
            for holder in holders(self.names.candidates, self.names.tables.folder_key)
            if holder.form == "value"
        }
        for table, type_column in beside.items() if types else ():
            for name in histories.key_columns(placed.get(table, ()), type_column):
                if (table, name) not in covered and (table, name) in holding:
                    condition = Condition.of({type_column: types})
                    yield Untold(table, name, condition, self.names.histories.kinds.get(table, ""))

    def _add_extra(self) -> None:
        for entry in self.names.named.extra_references:
            table = self.names.by_spelling.get(entry.table)
            column = self.names.column(table, entry.column) if table else None
            if table is None or column is None:
                continue
            if entry.condition is None:
                self.add(ReferenceSite(table, (column,), (self.names.key,)), "setting")
            elif condition := entry.condition.renamed(self._columns_of(table, entry.condition)):
                # The setting's condition on the rows applies, not the model's.
                self._forget(table, column)
                self.add(ReferenceSite(table, (column,), (self.names.key,), condition), "setting")

    def _columns_of(self, table: TableName, condition: Condition) -> dict[str, str]:
        return {name: column for name in condition.columns if (column := self.names.column(table, name)) is not None}

    def _forget(self, table: TableName, column: str) -> None:
        """Forget what is known about a column, except what the database enforces and what is mapped."""
        mapped = self.names.mapped_sites
        for site, found in list(self.direct.items()):
            if (site.table, site.columns) == (table, (column,)) and found.source != "catalogue" and site not in mapped:
                del self.direct[site]

    def _leave_ignored(self) -> None:
        for entry in self.names.named.ignored_columns:
            table = self.names.by_spelling.get(entry.table)
            column = self.names.column(table, entry.column) if table else None
            if table is not None and column is not None:
                self._forget(table, column)
