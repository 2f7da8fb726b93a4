"""The findings of one kind among some applications, and what is around them: read only, within a transaction."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from cleanup import backends, queries
from cleanup.analysis import Edge
from cleanup.backends import cycles, owned_rows, tree_findings
from cleanup.backends.finding_kinds import BY_CODE
from cleanup.backends.forest import Scope
from cleanup.backends.query import Query
from cleanup.folder_tables import folder_tables
from cleanup.planning import FolderRow
from cleanup.references import ReferenceMap
from cleanup.repairing import Found, parts_of


class Findings:
    """The reads on one database; created once per run, because the references are read once."""

    def __init__(self, *, using: str, references: ReferenceMap) -> None:
        self.using = using
        self.references = references
        self.tables = folder_tables()
        self.reading = backends.database(using=using).reading
        self.sql = backends.database(using=using).findings(self.tables, loose_files=references.loose_files)
        self.unicode, _ = self.sql.abilities()

    # What is wrong.

    def found(self, code: str, scope: Scope) -> list[Found]:
        """Return the rows of a scope that have a finding, but for cycles."""
        return [
            Found(str(key), None if application is None else str(application), None if target is None else str(target))
            for parts in self._passes(code, scope)
            for key, application, target in self.sql.fetch(self.sql.listed(parts, code))
        ]

    def _passes(self, code: str, scope: Scope) -> list[list[Query]]:
        if code == tree_findings.CODE:
            if scope.without_application:
                return []
            return [tree_findings.of_tree(self.sql, columns, scope) for columns in self.references.tree_columns]
        return [self._pass(code, scope)]

    def _pass(self, code: str, scope: Scope) -> list[Query]:
        if not BY_CODE[code].only_of_files:
            return owned_rows.of_folders(self.sql, scope, unicode=self.unicode)
        assert self.tables.file is not None  # noqa: S101  # or there would be no such finding
        return owned_rows.of_files(self.sql, self.tables.file, scope)

    def cycles(self, scope: Scope | None = None) -> list[Edge]:
        """Return the folders of cycles that lead through a folder of a scope, or of all."""
        return cycles.whole(self.sql) if scope is None else cycles.around(self.sql, scope)

    def counts(self, applications: Collection[str]) -> Counter[str]:
        """Count the findings of applications, by code: those of folders, files and what tree hooks keep.

        Same-named folders count even if no root leads to them: a repair does not make them, it lets them be found.
        """
        scope = Scope(keys=tuple(sorted(applications)))
        passes = [
            self.sql.duplicates(scope, anywhere=True),
            owned_rows.of_folders(self.sql, scope, unicode=self.unicode),
        ]
        if self.tables.file is not None:
            passes.append(owned_rows.of_files(self.sql, self.tables.file, scope))
        passes += [tree_findings.of_tree(self.sql, columns, scope) for columns in self.references.tree_columns]
        counts: Counter[str] = Counter(cycle=len(cycles.within(self.sql, scope)))
        for parts in passes:
            for _, code, number, *_ in self.sql.fetch(self.sql.answer(parts, examples=0)):
                counts[code] += number if code in BY_CODE else 0
        return counts

    # What is around.

    def existing(self, applications: Iterable[str]) -> set[str]:
        """Return those of the applications that exist."""
        keys = sorted(set(applications))
        return {str(key) for (key,) in self.sql.fetch(self.sql.existing_among(keys))} if keys else set()

    def owners(self, several: Iterable[Found]) -> dict[str, str]:
        """Return the applications of the folders that findings name, by key."""
        return queries.applications_of(using=self.using, folders=sorted({one.target for one in several if one.target}))

    def file_owners(
        self, several: Sequence[Found], folders: dict[str, Sequence[FolderRow]]
    ) -> dict[str, Collection[str]]:
        """Return the applications that the files in and below folders with findings tell, by folder."""
        keys = sorted({row.key for _, part in parts_of(several, folders) for row in part})
        owners: dict[str, set[str]] = {}
        if keys and self.sql.file_owner:
            for folder, application in self.sql.fetch(self.sql.owners_of_files(keys)):
                owners.setdefault(str(folder), set()).add(str(application))
        return dict(owners)

    def paths(self, several: Iterable[Found]) -> dict[str, tuple[str, ...]]:
        """Return the names from the root down to the folders that files lie in."""
        return queries.paths_of(using=self.using, folders=sorted({one.target for one in several if one.target}))
