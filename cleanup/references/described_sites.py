"""Compare direct sites with their tables: what cannot hold a key, or only copies one, is left out or reported."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cleanup import conf
from cleanup.backends.catalogue import Action, ForeignKey, Table, TableName
from cleanup.policies import TriggerPolicy
from cleanup.references import generated, mapped_types, problems
from cleanup.references.direct_sites import DirectSites, Found
from cleanup.references.graph import ReferenceSite
from cleanup.references.key_types import can_hold

_REFUSING: frozenset[Action] = frozenset({"no action", "restrict"})


class DescribedSites:
    """The direct sites of one database, and their tables as the catalogue describes them."""

    def __init__(self, sites: DirectSites) -> None:
        self.sites = sites
        self.names = sites.names

    def describe(self, keys: Sequence[ForeignKey]) -> dict[TableName, Table]:
        """Describe the tables, and decide from that what is a site; return them."""
        described = self._describe(keys)
        self._follow_copies(keys, described)
        self._leave_out(described)
        self._add_parts_with_nulls(described)
        return described

    def _describe(self, keys: Sequence[ForeignKey]) -> dict[TableName, Table]:
        """Describe the tables at once that are known to have sites; describing is what takes longest."""
        extra = {
            self.names.by_spelling[entry.table]
            for entry in self.names.named.extra_references
            if entry.table in self.names.by_spelling
        }
        wanted = {
            *self.names.mapped_tables,
            *extra,
            *(site.table for site in self.sites.derive(keys).sites),
        }
        described = self.names.catalogue.describe(wanted)
        return described | {self.names.folders: _identified_by(self.names.key, described[self.names.folders])}

    def _follow_copies(self, keys: Sequence[ForeignKey], described: Mapping[TableName, Table]) -> None:
        """Replace a generated column by the column that it copies; report those that are computed in another way."""
        for site, found in list(self.sites.direct.items()):
            table = described.get(site.table)
            fixed = [column for column in site.columns if table is not None and table.column(column).generated]
            if table is None or not fixed:
                continue
            del self.sites.direct[site]
            copies = {column: generated.copied_column(table, column) for column in fixed}
            if None in copies.values():
                self.sites.problems += [
                    generated.computed(table, column) for column, copied in copies.items() if not copied
                ]
                continue
            own = {column: copies.get(column) or column for column in site.columns}
            copied = replace(site, columns=tuple(own.values()))
            self.sites.add(copied, found.source)
            for key in found.keys:
                columns = tuple(own.get(column, column) for column in key.columns)
                self.sites.add(copied, found.source, replace(key, columns=columns))
            self.sites.to_folders = [
                replace(key, columns=tuple(own.get(column, column) for column in key.columns))
                if key.table == site.table
                else key
                for key in self.sites.to_folders
            ]
            self.sites.problems += [
                generated.referenced_copy(table, column, str(key.table))
                for column in fixed
                for key in keys
                if key.target == site.table and column in key.target_columns
            ]

    def _leave_out(self, described: Mapping[TableName, Table]) -> None:
        """Leave out what only shows rows of other tables, what cannot hold a key, and duplicates of partitions."""
        for site, found in list(self.sites.direct.items()):
            whole = replace(site, table=self.names.catalogue.topmost(site.table))
            table = described.get(site.table)
            double = whole.table != site.table and whole in self.sites.direct
            if table is None or double or (found.source != "catalogue" and not self._can_refer(site, table)):
                del self.sites.direct[site]
                if table is not None and not double and found.source == "model" and site not in self.names.mapped_sites:
                    self._report_unlike_key(site, table, described[self.names.folders])

    def _report_unlike_key(self, site: ReferenceSite, table: Table, folders: Table) -> None:
        """Report a model's reference whose column cannot hold what it refers to; ``MappedTypes`` reports the mapped."""
        if table.kind in {"table", "partitioned"}:
            column, key = table.column(site.columns[0]), folders.column(self.names.key)
            self.sites.problems.append(mapped_types.cannot_hold(table, column, target=folders.name, key=key))

    def _can_refer(self, site: ReferenceSite, table: Table) -> bool:
        if table.kind == "foreign":
            self.sites.problems.append(problems.not_a_table(table, site.columns[0]))
        if table.kind not in {"table", "partitioned"}:
            return False
        return site.folder_columns != (self.names.key,) or can_hold(
            table.column(site.columns[0]), self.names.tables.folder_key
        )

    def _add_parts_with_nulls(self, described: Mapping[TableName, Table]) -> None:
        """Add the folder's key alone if a wider foreign key does not check it: beside a null."""
        for site, found in list(self.sites.direct.items()):
            if len(site.columns) == 1 or self.names.key not in site.folder_columns or site.table not in described:
                continue
            column = site.columns[site.folder_columns.index(self.names.key)]
            if any(not _refuses_nulls(key, {column}, described[site.table]) for key in found.keys):
                self.sites.add(ReferenceSite(site.table, (column,), (self.names.key,)), found.source)

    def is_proven(self, site: ReferenceSite, found: Found, table: Table) -> bool:
        """Return whether the database refuses to delete a folder that these columns name, in whatever row."""
        if conf.triggers() == TriggerPolicy.BYPASS or site.condition is not None:
            return False
        # A foreign key that acts on the rows may remove them before another one can refuse.
        acting = (
            key
            for key in self.sites.to_folders
            if self.names.catalogue.topmost(key.table) == self.names.catalogue.topmost(site.table)
            and key.on_delete not in _REFUSING
            and set(key.columns) & set(site.columns)
        )
        refusing = (
            key
            for key in found.keys
            if key.enforced and key.on_delete in _REFUSING and _refuses_nulls(key, set(site.columns), table)
        )
        return any(refusing) and not any(acting)


def is_enforced(site: ReferenceSite, found: Found, table: Table) -> bool:
    """Return whether a foreign key checks these columns in every row, whatever happens on delete."""
    keys = [key for key in found.keys if key.enforced and _refuses_nulls(key, set(site.columns), table)]
    return bool(keys) and site.condition is None


def _identified_by(key: str, folders: Table) -> Table:
    """Let the mapped key identify folders in the journal, even if the primary key is another column.

    Everything that refers to a folder names the mapped key, and so does everything stored about a folder. One that is
    unique together with another column alone will do: see Note [Shared keys] in ``key_checks``.
    """
    is_key = any(key in unique.columns and (unique.simple or unique.primary) for unique in folders.uniques)
    if not is_key or not folders.column(key).not_null:  # a null identifies no row
        return folders
    return replace(folders, identified_by=key)


def _refuses_nulls(key: ForeignKey, columns: set[str], table: Table) -> bool:
    """Return whether the key is checked in every row in which ``columns`` are not null."""
    return key.match_full or all(table.column(column).not_null for column in set(key.columns) - columns)
