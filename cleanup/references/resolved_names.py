"""The names in models and settings, as the database spells them."""

from functools import cached_property

from cleanup import backends, conf
from cleanup.backends.catalogue import PlacedColumn, TableName
from cleanup.exceptions import DatabaseUnusable
from cleanup.folder_tables import FolderTables, folder_tables
from cleanup.references import histories, installed_models, problems
from cleanup.references.configured_columns import NamedColumn, NamedColumns
from cleanup.references.graph import ReferenceSite
from cleanup.references.host_words import HostWords

_ADOPT = "Create or adopt the tables with: manage.py migrate cleanup --fake-initial"


class ResolvedNames:
    """The tables and columns of one database that models and settings name, read once."""

    def __init__(self, *, using: str) -> None:
        self.using = using
        self.tables: FolderTables = folder_tables()
        self.catalogue = backends.database(using=using).catalogue
        self.relations = list(installed_models.relations())
        self.generic_relations = list(installed_models.generic_relations())
        self.named = NamedColumns.read()
        self.by_spelling = self.catalogue.resolve_all(self._spelled_names())
        self.unmatched = self._expand_patterns()
        self.applications = self._mapped_table(self.tables.application_table)
        self.folders = self._mapped_table(self.tables.folder_table)
        self.files = self._mapped_table(self.tables.file.table) if self.tables.file else None
        self.columns = self.catalogue.column_names(set(self.by_spelling.values()))
        self.key = self._mapped_column(self.folders, self.tables.folder_key.column)
        self.parent = self._mapped_column(self.folders, self.tables.folder_parent)
        owner_columns = {self._mapped_column(self.folders, column) for column in self.tables.owner_columns}
        self.unchanging = owner_columns if not self.tables.inherits else set()
        """The columns of folders that are the same for a removed folder and its survivor."""
        self.file_folder = self._file_folder()

    def _spelled_names(self) -> set[str]:
        names = set(self.tables.tables)
        names |= {name for relation in self.relations for name in (relation.table, relation.target)}
        names |= {relation.table for relation in self.generic_relations}
        names |= installed_models.automatic_many_to_many()
        content_types = installed_models.content_type_table()
        return names | self.named.tables | ({content_types} if content_types else set())

    @property
    def mapped_tables(self) -> tuple[TableName, ...]:
        """The tables of the mapped models."""
        return (self.applications, self.folders, *((self.files,) if self.files else ()))

    @cached_property
    def mapped_sites(self) -> tuple[ReferenceSite, ...]:
        """The mapped columns that name folders."""
        parents = () if self.tables.flat else (ReferenceSite(self.folders, (self.parent,), (self.key,)),)
        return (*parents, *((ReferenceSite(self.files, (self.file_folder,), (self.key,)),) if self.files else ()))

    @cached_property
    def own(self) -> frozenset[str]:
        """The names of the product's own tables, which may be in several schemas."""
        return installed_models.own_table_names(self.tables)

    @cached_property
    def words(self) -> HostWords:
        """The host's words for folders."""
        of_files = [conf.file_fields()["folder"], self.file_folder] if self.files else []
        beside = {*self.tables.tables, *(relation.table for relation in self.relations)}
        return HostWords.read(self.tables, of_files, beside)

    @cached_property
    def candidates(self) -> list[PlacedColumn]:
        """Columns that may be named after folders, or by which a history is recognised."""
        found = self.catalogue.all_columns(containing={*self.words.hints, *histories.MARKS})
        return [placed for placed in found if placed.table.name not in self.own]

    @cached_property
    def histories(self) -> histories.Histories:
        """The history tables; a setting may name one that no name of a column tells."""
        return histories.Histories.among(
            placed
            for placed in (self.catalogue.all_columns() if conf.history_tables() else self.candidates)
            if placed.table.name not in self.own
        )

    def _expand_patterns(self) -> list[NamedColumn]:
        """Replace patterns by the columns that they match; return those that match none."""
        patterns = self.named.patterns
        if not patterns:
            return []
        placed = ((column.table, column.column.name) for column in self.catalogue.all_columns())
        self.named = self.named.expanded((table, column) for table, column in placed if table.name not in self.own)
        self.by_spelling |= self.catalogue.resolve_all(self.named.tables)
        entries = (*self.named.extra_references, *self.named.ignored_columns)
        covering = {(entry.setting, entry.spelling) for entry in entries}
        return [pattern for pattern in patterns if (pattern.setting, pattern.spelling) not in covering]

    def _mapped_table(self, name: str) -> TableName:
        try:
            return self.by_spelling[name]
        except KeyError:
            raise DatabaseUnusable(problem=f"there is no table {name}.", remedy=_ADOPT) from None

    def _mapped_column(self, table: TableName, name: str) -> str:
        column = self.column(table, name)
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

    def _file_folder(self) -> str:
        """Return the column by which files name their folder; empty if no files are mapped."""
        return self._mapped_column(self.files, self.tables.file.folder) if self.files and self.tables.file else ""

    def column(self, table: TableName, name: str) -> str | None:
        """Return the database's spelling of a column, or None if there is none."""
        return self.columns.get(table, {}).get(self.catalogue.column_spelling(name))

    def require_columns(self) -> None:
        """Raise DatabaseUnusable if a further mapped column is missing."""
        for table, name in (
            (self.applications, self.tables.application_key.column),
            (self.folders, self.tables.folder_name),
            (self.folders, self.tables.folder_created),
        ):
            if name is not None:
                self._mapped_column(table, name)
        if self.files and self.tables.file:
            for name in self.tables.file.columns:
                self._mapped_column(self.files, name)

    @cached_property
    def content_types(self) -> tuple[int, ...]:
        """The content types of the folder model."""
        return installed_models.content_types(self.tables.folder, using=self.using)
