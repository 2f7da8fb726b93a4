"""Read from models, settings and the database's catalogue what points at folders.

A constant number of statements, whatever the number of tables; nothing is written and no row of a mapped table is read,
but one look at how SQLite stores the keys.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from cleanup import backends, conf
from cleanup.backends.catalogue import Action, ForeignKey, PlacedColumn, Table, TableName
from cleanup.backends.conditions import Condition
from cleanup.backends.pinning import pinning
from cleanup.backends.references import Reference
from cleanup.exceptions import DatabaseUnusable
from cleanup.folder_tables import FolderTables, folder_tables
from cleanup.references import generated, graph, histories, installed_models, mapped_types, problems
from cleanup.references.configured_columns import NamedColumn, NamedColumns
from cleanup.references.description import Problem, ReferenceMap, Untold
from cleanup.references.graph import ReferenceSite
from cleanup.references.holders import holders
from cleanup.references.host_words import HostWords
from cleanup.references.key_types import can_hold, kind_of, looseness, padded_length
from cleanup.references.policies import Policy
from cleanup.references.static_checks import problems_of
from cleanup.references.survey import Survey

_ADOPT = "Create or adopt the tables with: manage.py migrate cleanup --fake-initial"

#: From harmless to destructive; of several foreign keys over one column the worst decides.
_SEVERITY: tuple[Action, ...] = ("no action", "restrict", "set default", "set null", "cascade")
_REFUSING: frozenset[Action] = frozenset({"no action", "restrict"})


def discover(*, using: str) -> ReferenceMap:
    """Return every reference to folders in a database, and what stands in the way of moving them.

    Raises DatabaseUnusable where a mapped table or column is missing, and MisconfiguredSetting.
    """
    with pinning(using=using):
        return _Discovery(using).run()


@dataclass(slots=True)
class _Found:
    """What is known of a direct site."""

    source: str
    keys: list[ForeignKey] = field(default_factory=list)


class _Discovery:
    """One pass over one database."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.tables: FolderTables = folder_tables()
        self.catalogue = backends.database(using=using).catalogue
        self.problems: list[Problem] = []
        self.relations = list(installed_models.relations())
        self.generic_relations = list(installed_models.generic_relations())
        self.named = NamedColumns.read()
        self.names = self.catalogue.resolve_all(self._spelled_names())
        self.unmatched = self._expand_patterns()
        self.applications = self._mapped_table(self.tables.application_table)
        self.folders = self._mapped_table(self.tables.folder_table)
        self.files = self._mapped_table(self.tables.file_table)
        self.columns = self.catalogue.column_names(set(self.names.values()))
        self.key = self._mapped_column(self.folders, self.tables.folder_key.column)
        self.parent = self._mapped_column(self.folders, self.tables.folder_parent)
        self.application = self._mapped_column(self.folders, self.tables.folder_application)
        self.file_folder = self._mapped_column(self.files, self.tables.file_folder)
        self.direct: dict[ReferenceSite, _Found] = {}
        self.to_folders: list[ForeignKey] = []

    def _spelled_names(self) -> set[str]:
        names = {self.tables.application_table, self.tables.folder_table, self.tables.file_table}
        names |= {name for relation in self.relations for name in (relation.table, relation.target)}
        names |= {relation.table for relation in self.generic_relations}
        names |= installed_models.automatic_many_to_many()
        content_types = installed_models.content_type_table()
        return names | self.named.tables | ({content_types} if content_types else set())

    @cached_property
    def own(self) -> frozenset[str]:
        """The names of the product's own tables, which may stand in several schemas."""
        return installed_models.own_table_names(self.tables)

    @cached_property
    def words(self) -> HostWords:
        """What the host calls its folders."""
        return HostWords.read(self.tables, [conf.file_fields()["folder"], self.file_folder])

    @cached_property
    def candidates(self) -> list[PlacedColumn]:
        """Columns whose names may be after folders, or by which a history is known."""
        found = self.catalogue.all_columns(containing={*self.words.hints, *histories.MARKS})
        return [placed for placed in found if placed.table.name not in self.own]

    @cached_property
    def histories(self) -> histories.Histories:
        """The history tables."""
        return histories.Histories.among(self.candidates)

    def _expand_patterns(self) -> list[NamedColumn]:
        """Replace patterns by the columns that they cover; return those that cover none."""
        patterns = self.named.patterns
        if not patterns:
            return []
        placed = ((column.table, column.column.name) for column in self.catalogue.all_columns())
        self.named = self.named.expanded((table, column) for table, column in placed if table.name not in self.own)
        self.names |= self.catalogue.resolve_all(self.named.tables)
        entries = (*self.named.extra_references, *self.named.ignored_columns)
        covering = {(entry.setting, entry.spelling) for entry in entries}
        return [pattern for pattern in patterns if (pattern.setting, pattern.spelling) not in covering]

    def _mapped_table(self, name: str) -> TableName:
        try:
            return self.names[name]
        except KeyError:
            raise DatabaseUnusable(problem=f"there is no table {name}.", remedy=_ADOPT) from None

    def _mapped_column(self, table: TableName, name: str) -> str:
        column = self._column(table, name)
        if column is None:
            described = self.catalogue.describe([table])[table]
            if described.kind not in problems.ORDINARY:
                raise DatabaseUnusable(
                    problem=f"table {table} is a {problems.described_kind(described)}.",
                    remedy="Name a model of the table behind it in CLEANUP_APPLICATION_MODEL, CLEANUP_FOLDER_MODEL or "
                    "CLEANUP_FILE_MODEL.",
                )
            raise DatabaseUnusable(
                problem=f"table {table} has no column {name}.",
                remedy=f"Name the right one in the settings CLEANUP_*_MODEL and CLEANUP_*_FIELDS. {_ADOPT}",
            )
        return column

    def _column(self, table: TableName, name: str) -> str | None:
        """Return the database's spelling of a column, or None where there is none."""
        return self.columns.get(table, {}).get(self.catalogue.column_spelling(name))

    def run(self) -> ReferenceMap:
        """Read, follow, order, describe, check."""
        self._require_columns()
        keys = [*self.catalogue.foreign_keys(), *self._keys_of_models()]
        self._add_mapped()
        self._add_foreign_keys(keys)
        self._add_generic()
        untold = self._histories(keys)
        self._leave_ignored()
        self._add_extra()
        described = self._describe()
        self._follow_copies(keys, described)
        self._leave_out(described)
        self._add_parts_with_nulls(described)
        derived = graph.derive(
            self.direct,
            keys,
            folders=self.folders,
            unchanging={self.application},
            topmost=self.catalogue.topmost,
        )
        if missing := {site.table for site in derived.sites} - set(described):
            described.update(self.catalogue.describe(missing))
        ordered, unorderable = graph.steps(derived)
        written = {self.applications, self.folders, self.files, *(site.table for site in derived.sites)}
        found = ReferenceMap(
            applications=described[self.applications],
            folders=described[self.folders],
            files=described[self.files],
            folder_key=described[self.folders].column(self.key),
            loose_files=looseness(
                described[self.files].column(self.file_folder),
                described[self.folders].column(self.key),
                self.tables.folder_key,
            ),
            references=tuple(self._references(derived, ordered, described)),
            tables={name: table for name, table in described.items() if name in written},
            automatic_many_to_many=self._automatic_many_to_many() & written,
            inbound_keys=self._inbound(keys, written),
            policies=dict(self._policies(described, written)),
        )
        leaving = self.histories.with_policy("leave")
        survey = Survey(
            using=self.using,
            tables=self.tables,
            catalogue=self.catalogue,
            found=found,
            named=self.named,
            names=self.names,
            columns=self.columns,
            described=described,
            linked={(key.table, column) for key in keys for column in key.columns},
            own=self.own,
            candidates=[placed for placed in self.candidates if placed.table not in leaving],
            words=self.words,
            unmatched=self.unmatched,
        )
        return replace(
            found,
            further_columns=survey.further_columns(),
            known=survey.known,
            words=self.words,
            untold=tuple(one for one in untold if not self._is_told(one, found, survey.known)),
            histories=frozenset(leaving),
            problems=(*self.problems, *problems.of_graph(derived, unorderable), *problems_of(survey)),
        )

    def _require_columns(self) -> None:
        for table, name in (
            (self.applications, self.tables.application_key.column),
            (self.folders, self.tables.folder_name),
            (self.folders, self.tables.folder_created),
            (self.files, self.tables.file_key.column),
            (self.files, self.tables.file_application),
            (self.files, self.tables.file_name),
        ):
            self._mapped_column(table, name)

    # Direct references, from each source.

    def _keys_of_models(self) -> list[ForeignKey]:
        """Return the models' relations as foreign keys that nothing enforces, where their tables and columns exist."""
        keys = []
        for relation in self.relations:
            table, target = self.names.get(relation.table), self.names.get(relation.target)
            if table is None or target is None:
                continue
            own = [self._column(table, column) for column in relation.columns]
            other = [self._column(target, column) for column in relation.target_columns]
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

    def _add(self, site: ReferenceSite, source: str, key: ForeignKey | None = None) -> None:
        found = self.direct.setdefault(site, _Found(source))
        if key is not None:
            found.keys.append(key)
            if key.name:
                found.source = "catalogue"

    def _add_mapped(self) -> None:
        self._add(ReferenceSite(self.folders, (self.parent,), (self.key,)), "model")
        self._add(ReferenceSite(self.files, (self.file_folder,), (self.key,)), "model")

    def _add_foreign_keys(self, keys: Sequence[ForeignKey]) -> None:
        root = self.catalogue.topmost(self.folders)
        self.to_folders = [key for key in keys if self.catalogue.topmost(key.target) == root]
        moving = {
            own
            for key in self.to_folders
            if key.table == self.folders
            for own, other in zip(key.columns, key.target_columns, strict=True)
            if other != self.application
        } | {self.parent}
        for key in self.to_folders:
            if moving & set(key.target_columns):
                self.problems.append(problems.moving_key(key, sorted(moving & set(key.target_columns))))
                continue
            # An application's folders stay in the application: its column is the same before and after.
            pairs = [
                (own, other)
                for own, other in zip(key.columns, key.target_columns, strict=True)
                if other != self.application
            ]
            if pairs:
                self._add(
                    ReferenceSite(key.table, *graph.pair_columns(pairs)), "catalogue" if key.name else "model", key
                )

    def _add_parts_with_nulls(self, described: Mapping[TableName, Table]) -> None:
        """Add the folder's key alone where a wider foreign key lets it go unchecked: beside a null."""
        for site, found in list(self.direct.items()):
            if len(site.columns) == 1 or self.key not in site.folder_columns or site.table not in described:
                continue
            column = site.columns[site.folder_columns.index(self.key)]
            if any(not _refuses_nulls(key, {column}, described[site.table]) for key in found.keys):
                self._add(ReferenceSite(site.table, (column,), (self.key,)), found.source)

    @cached_property
    def _content_types(self) -> tuple[int, ...]:
        return installed_models.content_types(self.tables.folder, using=self.using)

    def _add_generic(self) -> None:
        content_types = installed_models.content_type_table()
        if not self.generic_relations or content_types is None or content_types not in self.names:
            return
        types = self._content_types
        for relation in self.generic_relations if types else ():
            table = self.names.get(relation.table)
            type_column = self._column(table, relation.type_column) if table else None
            key_column = self._column(table, relation.key_column) if table else None
            if table and type_column and key_column:
                self._add(
                    ReferenceSite(table, (key_column,), (self.key,), Condition.of({type_column: types})), "generic"
                )

    def _histories(self, keys: Iterable[ForeignKey]) -> list[Untold]:
        """Do with history tables what is to become of them; return what names folders and is no reference."""
        untold = list(self._of_content_types(keys))
        leaving, refusing = self.histories.with_policy("leave"), self.histories.with_policy("refuse")
        for site, found in list(self.direct.items()):
            if site.table in leaving | refusing and found.source != "catalogue":
                kind = self.histories.kinds[site.table]
                untold += [Untold(site.table, column, site.condition, kind) for column in site.columns]
                del self.direct[site]
        self.problems += [histories.refused(one) for one in untold if one.table in refusing]
        for one in untold:
            if self.histories.policies.get(one.table) == "move":
                self._add(ReferenceSite(one.table, (one.column,), (self.key,), one.condition), "generic")
        return [one for one in untold if one.table not in refusing | self.histories.with_policy("move")]

    def _of_content_types(self, keys: Iterable[ForeignKey]) -> Iterator[Untold]:
        """Yield the columns beside a content type that no generic foreign key covers."""
        target = self.names.get(installed_models.content_type_table() or "")
        beside = {key.table: key.columns[0] for key in keys if key.target == target and len(key.columns) == 1}
        if target is None or not beside:
            return
        types = self._content_types
        placed: dict[TableName, list[PlacedColumn]] = {}
        for column in self.candidates:
            placed.setdefault(column.table, []).append(column)
        covered = {(site.table, column) for site in self.direct for column in site.columns}
        holding = {
            holder.place for holder in holders(self.candidates, self.tables.folder_key) if holder.form == "value"
        }
        for table, type_column in beside.items() if types else ():
            for name in histories.key_columns(placed.get(table, ()), type_column):
                if (table, name) not in covered and (table, name) in holding:
                    condition = Condition.of({type_column: types})
                    yield Untold(table, name, condition, self.histories.kinds.get(table, ""))

    @staticmethod
    def _is_told(one: Untold, found: ReferenceMap, known: Collection[tuple[TableName, str]]) -> bool:
        if one.history:
            return any(r.table == one.table and one.column in r.columns for r in found.references)
        return (one.table, one.column) in known

    def _add_extra(self) -> None:
        for entry in self.named.extra_references:
            table = self.names.get(entry.table)
            column = self._column(table, entry.column) if table else None
            if table is None or column is None:
                continue
            if entry.condition is None:
                self._add(ReferenceSite(table, (column,), (self.key,)), "setting")
            elif condition := entry.condition.renamed(self._columns_of(table, entry.condition)):
                # What the setting says of the rows holds, and not what a model says of them.
                self._forget(table, column)
                self._add(ReferenceSite(table, (column,), (self.key,), condition), "setting")

    def _columns_of(self, table: TableName, condition: Condition) -> dict[str, str]:
        return {name: column for name in condition.columns if (column := self._column(table, name)) is not None}

    def _forget(self, table: TableName, column: str) -> None:
        """Leave out what is known of a column, but for what the database enforces and what is mapped."""
        mapped = (ReferenceSite(self.folders, (self.parent,), ()), ReferenceSite(self.files, (self.file_folder,), ()))
        for site, found in list(self.direct.items()):
            if (site.table, site.columns) == (table, (column,)) and found.source != "catalogue" and site not in mapped:
                del self.direct[site]

    def _leave_ignored(self) -> None:
        for entry in self.named.ignored_columns:
            table = self.names.get(entry.table)
            column = self._column(table, entry.column) if table else None
            if table is not None and column is not None:
                self._forget(table, column)

    def _describe(self) -> dict[TableName, Table]:
        extra = {self.names[entry.table] for entry in self.named.extra_references if entry.table in self.names}
        wanted = {self.applications, self.folders, self.files, *extra, *(site.table for site in self.direct)}
        described = self.catalogue.describe(wanted)
        return described | {self.folders: _identified_by(self.key, described[self.folders])}

    def _follow_copies(self, keys: Sequence[ForeignKey], described: Mapping[TableName, Table]) -> None:
        """Put the column that a generated one copies in its place; report those that are computed otherwise."""
        for site, found in list(self.direct.items()):
            table = described.get(site.table)
            fixed = [column for column in site.columns if table is not None and table.column(column).generated]
            if table is None or not fixed:
                continue
            del self.direct[site]
            copies = {column: generated.copied_column(table, column) for column in fixed}
            if None in copies.values():
                self.problems += [generated.computed(table, column) for column, copied in copies.items() if not copied]
                continue
            own = {column: copies.get(column) or column for column in site.columns}
            copied = replace(site, columns=tuple(own.values()))
            self._add(copied, found.source)
            for key in found.keys:
                columns = tuple(own.get(column, column) for column in key.columns)
                self._add(copied, found.source, replace(key, columns=columns))
            self.to_folders = [
                replace(key, columns=tuple(own.get(column, column) for column in key.columns))
                if key.table == site.table
                else key
                for key in self.to_folders
            ]
            self.problems += [
                generated.referenced_copy(table, column, str(key.table))
                for column in fixed
                for key in keys
                if key.target == site.table and column in key.target_columns
            ]

    def _leave_out(self, described: Mapping[TableName, Table]) -> None:
        """Leave out what only shows rows of other tables, what cannot hold a key, and doubles of partitions."""
        mapped = {
            ReferenceSite(self.folders, (self.parent,), (self.key,)),
            ReferenceSite(self.files, (self.file_folder,), (self.key,)),
        }
        for site, found in list(self.direct.items()):
            whole = replace(site, table=self.catalogue.topmost(site.table))
            table = described.get(site.table)
            double = whole.table != site.table and whole in self.direct
            if table is None or double or (found.source != "catalogue" and not self._can_refer(site, table)):
                del self.direct[site]
                if table is not None and not double and found.source == "model" and site not in mapped:
                    self._report_unlike_key(site, table, described[self.folders])

    def _report_unlike_key(self, site: ReferenceSite, table: Table, folders: Table) -> None:
        """Report a model's reference whose column cannot hold what it refers to; ``MappedTypes`` reports the mapped."""
        if table.kind in {"table", "partitioned"}:
            column, key = table.column(site.columns[0]), folders.column(self.key)
            self.problems.append(mapped_types.cannot_hold(table, column, target=folders.name, key=key))

    def _can_refer(self, site: ReferenceSite, table: Table) -> bool:
        if table.kind == "foreign":
            self.problems.append(problems.not_a_table(table, site.columns[0]))
        if table.kind not in {"table", "partitioned"}:
            return False
        return site.folder_columns != (self.key,) or can_hold(table.column(site.columns[0]), self.tables.folder_key)

    # The description.

    def _references(
        self, derived: graph.Graph, ordered: Sequence[Sequence[ReferenceSite]], described: Mapping[TableName, Table]
    ) -> Iterator[Reference]:
        copies: dict[ReferenceSite, list[graph.Connection]] = {}
        for connection in derived.connections:
            copies.setdefault(connection.derived, []).append(connection)
        spelled = self._spelled(derived, described)
        for step, sites in enumerate(ordered, start=1):
            for site in sites:
                found = self.direct.get(site)
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
                    proven=found is not None and self._is_proven(site, found, described[site.table]),
                    condition=site.condition,
                    spelled=site in spelled,
                )

    def _is_proven(self, site: ReferenceSite, found: _Found, table: Table) -> bool:
        """Return whether the database refuses to delete a folder that these columns name, in whatever row."""
        if conf.triggers() == "bypass" or site.condition is not None:
            return False
        # A foreign key that acts on the rows may take them away before another one can refuse.
        acting = (
            key
            for key in self.to_folders
            if self.catalogue.topmost(key.table) == self.catalogue.topmost(site.table)
            and key.on_delete not in _REFUSING
            and set(key.columns) & set(site.columns)
        )
        refusing = (
            key
            for key in found.keys
            if key.enforced and key.on_delete in _REFUSING and _refuses_nulls(key, set(site.columns), table)
        )
        return any(refusing) and not any(acting)

    def _spelled(self, derived: graph.Graph, described: Mapping[TableName, Table]) -> set[ReferenceSite]:
        """Return the text sites over keys that may be spelled in several ways, unless a foreign key holds them to one.

        On PostgreSQL none does: a text cannot reference a UUID, and may reference char(n) padded or not.
        """
        by_class = backends.database(using=self.using).storage_classes
        key = described[self.folders].column(self.key)
        if not self.tables.folder_key.is_uuid and padded_length(key) is None:
            return set()
        texts = set()
        for site in derived.sites:
            column = described[site.table].column(site.columns[0])
            as_padded = padded_length(key) is not None and padded_length(column) is not None
            if site.folder_columns == (self.key,) and kind_of(column) in {"text", "any"} and not as_padded:
                texts.add(site)
        if not by_class:
            return texts
        spelled = {site for site in texts if site in self.direct and self.direct[site].source != "catalogue"}
        for connection in derived.connections:  # each comes after the one that it follows
            if connection.site in spelled and connection.derived in texts and connection.derived not in self.direct:
                spelled.add(connection.derived)
        return spelled

    def _policies(
        self, described: Mapping[TableName, Table], written: Collection[TableName]
    ) -> Iterator[tuple[TableName, Policy]]:
        for name, value in conf.collisions().items():
            table = self.names.get(name)
            if table is not None and table in written:
                yield table, Policy.of(value, described[table])

    def _automatic_many_to_many(self) -> frozenset[TableName]:
        return frozenset(self.names[n] for n in installed_models.automatic_many_to_many() if n in self.names)

    def _inbound(
        self, keys: Iterable[ForeignKey], written: Iterable[TableName]
    ) -> dict[TableName, tuple[ForeignKey, ...]]:
        asked = {self.catalogue.topmost(table): table for table in written if table != self.folders}
        inbound: dict[TableName, dict[tuple[object, ...], ForeignKey]] = {}
        for key in keys:
            table = asked.get(self.catalogue.topmost(key.target))
            if table is not None:
                same = (key.table, key.columns, key.target_columns)
                inbound.setdefault(table, {}).setdefault(same, replace(key, target=table))
        return {table: tuple(found.values()) for table, found in inbound.items()}


def _identified_by(key: str, folders: Table) -> Table:
    """Let the mapped key identify folders in the journal, also where the primary key is another column.

    Everything that refers to a folder names the mapped key, and so does all that is known of a folder anywhere.
    """
    is_key = any(unique.columns == (key,) and unique.simple for unique in folders.uniques)
    if folders.row_key == (key,) or not is_key or not folders.column(key).not_null:  # a null identifies no row
        return folders
    uniques = (replace(unique, primary=unique.columns == (key,) and unique.simple) for unique in folders.uniques)
    return replace(folders, uniques=tuple(uniques))


def _refuses_nulls(key: ForeignKey, columns: set[str], table: Table) -> bool:
    """Return whether the key is checked in every row in which ``columns`` are not null."""
    return key.match_full or all(table.column(column).not_null for column in set(key.columns) - columns)
