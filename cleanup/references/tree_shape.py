"""Whether a cleanup can handle the folder tree as a whole: live folders, roots, applications, names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import DataError, ProgrammingError

from cleanup import backends, conf
from cleanup.backends.query import quoted
from cleanup.backends.server import contained
from cleanup.backends.shapes import ShapeSql
from cleanup.folder_tables import Ownership, folder_tables
from cleanup.policies import SurvivorPolicy
from cleanup.references.problem import Problem
from cleanup.text_safety import safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cleanup.backends.catalogue import Table
    from cleanup.folder_tables import FolderTables

#: Folders without an application that are counted.
_COUNTED = 100_000

_EXAMPLES = 3
_NAMES, _LONGEST_NAME = 4, 60


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the tree as a whole: a code that findings share, a sentence, and a query that shows it."""

    code: str
    message: str
    query: str


def faults_of_shape(*, using: str, folders: Table | None = None) -> list[Fault]:
    """Return why no folder, or no root, would ever be found although there are folders."""
    return list(TreeShape.of(using=using, folders=folders).faults())


@dataclass(frozen=True, slots=True)
class TreeShape:
    """One examination of the folder table of a database."""

    tables: FolderTables
    sql: ShapeSql
    folders: Table | None

    @classmethod
    def of(cls, *, using: str, folders: Table | None = None) -> TreeShape:
        """Return the examination of a database's folder table, with its description if known."""
        tables = folder_tables()
        return cls(tables, ShapeSql(backends.database(using=using).folders(tables), folders), folders)

    @property
    def _name(self) -> str:
        return self.tables.folder_table if self.folders is None else str(self.folders.name)

    # What stops a run.

    def problems(self) -> Iterator[Problem]:
        """Report a table in which a cleanup would see no folder, or no root."""
        try:
            with contained(self.sql.sql.session.connection):
                faults = list(self.faults())
        except (DataError, ProgrammingError) as error:
            if self.tables.live is None or getattr(error.__cause__, "sqlstate", "")[:2] not in {"22", "42"}:
                raise
            if getattr(error.__cause__, "sqlstate", "") == "42501":  # a privilege, not a value
                raise
            yield Problem(
                "misconfigured",
                self._name,
                ", ".join(self.tables.live),
                f"CLEANUP_FOLDER_LIVE = {self._live_setting} cannot be compared with {self._live_columns}. "
                f"Name values of the columns' types.",
            )
            return
        for fault in faults:
            column = self._live_columns if fault.code == "no_live_folder" else self.tables.folder_parent
            yield Problem(fault.code, self._name, column, fault.message)

    def faults(self) -> Iterator[Fault]:
        """Yield what is wrong with the tree as a whole."""
        never = self._never_live()
        any_, live, root = self.sql.standing()
        if never or (any_ and not live):
            why = (
                f"{', '.join(never)} is never null"
                if never
                else f"no folder of {self._name} is live, and there are some"
            )
            yield Fault(
                "no_live_folder",
                f"Under CLEANUP_FOLDER_LIVE = {self._live_setting} {why}: nothing would be found, merged or guarded. "
                f"Name the value that live folders hold, or set CLEANUP_FOLDER_LIVE = None if all are live. "
                f"See the values with: {self.sql.list_marks()}",
                self.sql.list_marks(),
            )
        if any_ and not root:
            yield Fault("no_root_folder", self._without_roots(), self.sql.list_parents())

    @property
    def _live_setting(self) -> str:
        return repr(dict(self.tables.live or {}))

    @property
    def _live_columns(self) -> str:
        return ", ".join(f"{self._name}.{column}" for column in self.tables.live or {})

    def _never_live(self) -> list[str]:
        """Return the columns that would have to be null and cannot be."""
        fixed = {column.name for column in self.folders.columns if column.not_null} if self.folders else set()
        return [column for column, value in (self.tables.live or {}).items() if value is None and column in fixed]

    def _without_roots(self) -> str:
        column = f"{self._name}.{self.tables.folder_parent}"
        marks = {mark: number for mark, number in self.sql.roots().items() if mark != "null"}
        none = f"No folder of {self._name} has a null {self.tables.folder_parent}"
        if self.tables.root_parent is not None:
            none += f" or what {self.sql.setting(self.tables.root_parent)} says"
        if not marks:
            return (
                f"{none}, by which a root folder is known, and the values do not show another sign of roots. "
                f"See them with: {self.sql.list_parents()}"
            )
        return (
            f"{none}, by which a root folder is known; {self._told(marks)}. If these are the roots, set "
            f"{self.sql.setting(max(marks, key=marks.__getitem__))}; or, if your program takes null "
            f"as well, {self._remedy(column, marks)}"
        )

    def _told(self, marks: dict[str, int]) -> str:
        return " and ".join(
            f"{number:,} {'point' if number > 1 else 'points'} to "
            f"{('themselves' if number > 1 else 'itself') if mark == 'self' else f'{mark!r}, which is not a folder'}"
            for mark, number in marks.items()
        )

    def _remedy(self, column: str, marks: dict[str, int]) -> str:
        statements = [self.sql.make_roots(mark) for mark in marks]
        if self._parent_is_required():
            if not self.sql.sql.session.alters_columns:
                return f"make the table again with a {column} that may be null, then: {' '.join(statements)}"
            parent = quoted(self.tables.folder_parent)
            statements.insert(0, f"ALTER TABLE {self.sql.folders} ALTER COLUMN {parent} DROP NOT NULL;")
        return f"make them so: {' '.join(statements)}"

    def _parent_is_required(self) -> bool:
        return self.folders is not None and any(
            column.not_null for column in self.folders.columns if column.name == self.tables.folder_parent
        )

    # What an operator should know.

    def warnings(self) -> Iterator[Problem]:
        """Yield properties of the tree as a whole that may be surprising."""
        marks = self.sql.roots()
        yield from self._mixed_roots(dict(marks))
        if self.tables.ownership in (Ownership.TREE, Ownership.SHARED):
            yield from self._slow_trees(marks)
            yield from self._renamed_trees()
        if not self.tables.inherits:
            yield from self._heirs()
        if self.tables.ownership != Ownership.TREE:
            yield from self._differently_named()

    def _slow_trees(self, marks: dict[str, int]) -> Iterator[Problem]:
        """Warn of many roots whose names no index finds: the roots of each tree are looked up by their name."""
        number = sum(marks.get(mark, 0) for mark in {"null", self.tables.root_parent or "null"})
        if self.folders is None or number <= conf.large_table():
            return
        if any(index[0] == self.tables.folder_name for index in self.folders.indexes):
            return
        name = quoted(self.tables.folder_name)
        concurrent = backends.database(using=self.sql.sql.session.connection.alias).builds_concurrently
        index = "CONCURRENTLY" if concurrent else quoted(f"{self.tables.folder_table}_name")
        yield Problem(
            "unindexed_names",
            self._name,
            self.tables.folder_name,
            f"{self._name} has {number:,} root folders, and no index begins with {self.tables.folder_name}, by which "
            f"the roots of a tree are found: every batch reads them all. "
            f"CREATE INDEX {index} ON {self.folders.name.quoted} ({name});",
        )

    def _renamed_trees(self) -> Iterator[Problem]:
        if conf.survivor() != SurvivorPolicy.OLDEST:
            yield Problem(
                "renamed_trees",
                self._name,
                self.tables.folder_key.column,
                f"A tree is named by its oldest root folder, which CLEANUP_SURVIVOR = {conf.survivor()!r} may remove. "
                f"After such a merge the tree has another key: results, points and holds from before have the old one, "
                f"and an undo gives it back.",
            )

    def _mixed_roots(self, marks: dict[str, int]) -> Iterator[Problem]:
        mark = self.tables.root_parent
        roots, marked = marks.pop("null", 0), mark is not None
        if mark is not None:
            roots += marks.pop(mark, 0)
        if not roots or not marks:
            return
        yield Problem(
            "mixed_roots",
            self._name,
            self.tables.folder_parent,
            f"{roots:,} {'folder' if roots == 1 else 'folders'} of {self._name} "
            f"{'as CLEANUP_ROOT_PARENT says, or ' if marked else ''}with a null "
            f"{self.tables.folder_parent} {'is a root folder' if roots == 1 else 'are root folders'}; "
            f"{self._told(marks)}, and are left alone with all that is below them. If they are roots, "
            f"{'' if marked else f'set {self.sql.setting(max(marks, key=marks.__getitem__))}, or '}"
            f"{self._remedy(f'{self._name}.{self.tables.folder_parent}', marks)}",
        )

    def _heirs(self) -> Iterator[Problem]:
        number, example = self.sql.heirs(most=_COUNTED)
        if not number:
            return
        more = "or more " if number == _COUNTED else ""
        yield Problem(
            "application_of_root",
            self._name,
            self.tables.owner_columns[0],
            f"{number:,} {more}{'folder' if number == 1 else 'folders'} of {self._name} without an application "
            f"{'lies' if number == 1 else 'lie'} below one that has one (for example {example}). They are left alone: "
            f'same-named ones stay side by side. Set CLEANUP_APPLICATION_FROM = "root" if folders belong to the '
            f"application of their root folder, or give them that of the folder above with: "
            f"{self.sql.give_applications()}",
        )

    def _differently_named(self) -> Iterator[Problem]:
        number, applications = self.sql.differently_named_roots(examples=_EXAMPLES)
        if not number:
            return
        names = self.sql.names_of_roots(applications, most=_NAMES, longest=_LONGEST_NAME)
        examples = "; ".join(
            f"{safe(application)}: {', '.join(f'“{safe(name)}”' for name in names[application])}"
            for application in applications
        )
        yield Problem(
            "different_roots",
            self._name,
            self.tables.folder_name,
            f"{number:,} {'application has' if number == 1 else 'applications have'} root folders of different names "
            f"({examples}). CLEANUP_DIFFERENT_ROOTS decides what becomes of them; it is "
            f"{conf.different_roots().value!r}.",
        )
