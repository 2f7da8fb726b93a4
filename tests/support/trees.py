"""The verbs of the engine's tests: make an application's folders from compact text, compare them, and dump a database.

    tree(database, "old:Loan/{Docs(2), Docs(a.txt)@-}, Loan@5/Docs*3")

Roots are parted by commas. ``A/B`` is a child, ``A/{B, C}`` are several. In parentheses stand files, by number or by
name. ``*3`` makes the folder three times, with all that is in and below it. Each folder is a minute younger than the
one before it in the text, unless ``@5`` gives the minute or ``@-`` no time at all; keys ascend in the text's order.
``old:`` is a label, by which the tree that is returned knows the folder's key. Odd names stand in double quotes.
"""

import itertools
import re
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from django.db import connections, models, transaction

from cleanup.folder_tables import KeyColumn, folder_tables
from tests.support.model_roles import Application, File, Folder, Part, own

START = datetime(2020, 1, 1, tzinfo=UTC)

TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[,/(){}*@:]|[^,/(){}*@:"]+)')

_numbers = itertools.count(1)


def new_key(part: Part = Folder) -> uuid.UUID | int | str:
    """Return a key of the part, greater than all before it."""
    number, field = next(_numbers), part.model._meta.pk
    if isinstance(field, models.UUIDField):
        return uuid.UUID(int=0xF01DE50A_1B2C_4D3E_8F00_000000000000 + number)
    return number if isinstance(field, models.IntegerField) else f"No {number:08}"


def missing_key(part: Part) -> str:
    """Return a key that no row has."""
    field = part.model._meta.pk
    if isinstance(field, models.UUIDField):
        return "99999999-9999-4999-8999-999999999999"
    return "999999999" if isinstance(field, models.IntegerField) else "No way"


@dataclass(slots=True)
class Node:
    """One folder of a text."""

    name: str
    label: str = ""
    files: tuple[str, ...] = ()
    file_count: int = 0
    created: str = ""
    children: list["Node"] = field(default_factory=list)

    def text(self, *, file_names: bool) -> str:
        """Write the folder and all below it in one canonical way."""
        label = f"{self.label}:" if self.label else ""
        files = ", ".join(sorted(self.files)) if file_names else str(self.file_count or "")
        below = forest_text(self.children, file_names=file_names)
        return f"{label}{self.name!r}{f'({files})' if files else ''}{f'/{{{below}}}' if below else ''}"

    def all(self) -> Iterator["Node"]:
        """Yield the folder and all below it."""
        yield self
        for child in self.children:
            yield from child.all()


def forest_text(nodes: list[Node], *, file_names: bool) -> str:
    """Write folders that stand side by side."""
    return ", ".join(sorted(node.text(file_names=file_names) for node in nodes))


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = [token.strip() or token for token in TOKEN.findall(text)]
        assert "".join("".join(self.tokens).split()) == "".join(text.split()), f"not understood: {text}"
        self.place = 0

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1]

    def took(self, token: str) -> bool:
        if self.peek() != token:
            return False
        self.place += 1
        return True

    def word(self) -> str:
        token = self.take()
        assert token not in set(",/(){}*@:"), f"a name is missing before {token!r}"
        return re.sub(r"\\(.)", r"\1", token[1:-1]) if token.startswith('"') else token

    def forest(self) -> list[Node]:
        nodes = self.node()
        while self.took(","):
            nodes += self.node()
        return nodes

    def node(self) -> list[Node]:
        node = Node(self.word())
        if self.took(":"):
            node = Node(self.word(), label=node.name)
        times = 1
        while True:
            if self.took("("):
                node.files, node.file_count = self.files()
            elif self.took("@"):
                node.created = self.word()
            elif self.took("*"):
                times = int(self.word())
            else:
                break
        if self.took("/"):
            if self.took("{"):
                node.children = self.forest()
                assert self.took("}"), "a closing brace is missing"
            else:
                node.children = self.node()
        return [node, *(_copied(node) for _ in range(times - 1))]

    def files(self) -> tuple[tuple[str, ...], int]:
        names = [self.word()]
        while self.took(","):
            names.append(self.word())
        assert self.took(")"), "a closing parenthesis is missing"
        if len(names) == 1 and names[0].isdigit():
            return (), int(names[0])
        return tuple(names), len(names)


def _copied(node: Node) -> Node:
    return replace(node, children=[_copied(child) for child in node.children])


def parsed(text: str) -> list[Node]:
    """Read a text."""
    if not text:
        return []
    parser = _Parser(text)
    nodes = parser.forest()
    assert not parser.peek(), f"not understood from {parser.peek()!r} on: {text}"
    return nodes


# --- Making trees


@dataclass(frozen=True, slots=True)
class Tree:
    """One application that was made: its key, and the keys of labelled folders and of named files."""

    database: str
    application: str
    keys: dict[str, str]

    def __getitem__(self, label: str) -> str:
        return self.keys[label]

    @property
    def folders(self) -> int:
        """Count the folders it has now."""
        return Folder.objects.using(self.database).filter(application=self.application).count()


def tree(database: str, text: str, *, application: str | None = None) -> Tree:
    """Make folders and files of a new application, or further ones of a given one."""
    if application is None:
        application = str(Application.objects.using(database).create(id=new_key(Application)).pk)
    keys: dict[str, str] = {}
    folders: list[models.Model] = []
    files: list[models.Model] = []
    for root in parsed(text):
        _collect(root, None, application=application, keys=keys, folders=folders, files=files)
    Folder.objects.using(database).bulk_create(folders)
    File.objects.using(database).bulk_create(files)
    return Tree(database, application, keys)


def _collect(
    node: Node,
    parent: models.Model | None,
    *,
    application: str,
    keys: dict[str, str],
    folders: list[models.Model],
    files: list[models.Model],
) -> None:
    minute = node.created or str(len(folders) + 1)
    folder = Folder(
        id=new_key(),
        name=node.name,
        parent=parent,
        application_id=application,
        created_at=None if minute == "-" else START + timedelta(minutes=int(minute)),
    )
    folders.append(folder)
    if node.label:
        assert node.label not in keys, f"two labels {node.label}"
        keys[node.label] = str(folder.pk)
    for name in node.files or [f"file {len(files) + number}.pdf" for number in range(node.file_count)]:
        file = File(
            id=new_key(File),
            filename=name,
            original_filename=name,
            file_path=f"/files/{name}",
            file_size=len(files),
            mime_type="application/pdf",
            application_id=application,
            folder=folder,
        )
        files.append(file)
        keys.setdefault(name, str(file.pk))
    for child in node.children:
        _collect(child, folder, application=application, keys=keys, folders=folders, files=files)


# --- Looking at trees


def assert_tree(database: str, application: Tree | str, text: str) -> None:
    """Compare an application's trees, in any order, with the text.

    A label says that this very folder stands there. Files are compared by name if the text names any. Times and
    multiples are as in ``tree``; times are not compared.
    """
    expected = parsed(text)
    labels = {node.label for root in expected for node in root.all() if node.label}
    file_names = any(node.files for root in expected for node in root.all())
    keys = application.keys if isinstance(application, Tree) else {}
    key = application.application if isinstance(application, Tree) else application
    known = {folder: label for label, folder in keys.items() if label in labels}
    assert len(known) == len(labels), f"unknown labels in {text}"
    actual = _read(database, key, known)
    assert forest_text(actual, file_names=file_names) == forest_text(expected, file_names=file_names)


def _read(database: str, application: str, labels: dict[str, str]) -> list[Node]:
    rows = Folder.objects.using(database).filter(application=application).values_list("pk", "parent", "name")
    nodes = {key: Node(name, label=labels.get(str(key), "")) for key, _, name in rows}
    named = File.objects.using(database).filter(folder__in=list(nodes)).values_list("folder", "filename")
    for folder, name in named:
        nodes[folder].files += (name,)
        nodes[folder].file_count += 1
    roots = []
    for key, held, _ in rows:
        parent = None if folder_tables().parent_of(str(key), held and str(held)) is None else held
        if parent is None:
            roots.append(nodes[key])
        elif parent in nodes:
            nodes[parent].children.append(nodes[key])
    return roots


# --- Whole databases


def dump(database: str, *, own: bool = False) -> dict[str, list[str]]:
    """Return every table's rows as exact text, sorted, by table; the product's own tables and queue only if asked.

    On PostgreSQL all schemas, on SQLite value and storage class. Reads what is committed.
    """
    tables = _dumped_on_postgresql(database) if is_postgresql(database) else _dumped_on_sqlite(database)
    return {name: rows for name, rows in tables.items() if own or not name.startswith(("cleanup_", "django_q_"))}


def is_postgresql(database: str) -> bool:
    """Return which of the two it is."""
    return connections[database].vendor == "postgresql"


def _dumped_on_postgresql(database: str) -> dict[str, list[str]]:
    with connections[database].cursor() as cursor:
        cursor.execute(
            "SELECT nspname, relname, format('%I.%I', nspname, relname) FROM pg_class"
            " JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND nspname <> 'information_schema' AND NOT starts_with(nspname, 'pg_')"
        )
        rows = {}
        for schema, name, quoted in cursor.fetchall():
            cursor.execute(f"SELECT t::text FROM {quoted} AS t")
            rows[name if schema == "public" else f"{schema}.{name}"] = sorted(text for (text,) in cursor.fetchall())
        return rows


def _dumped_on_sqlite(database: str) -> dict[str, list[str]]:
    # A connection of its own: Django's would convert values.
    with closing(sqlite3.connect(connections[database].settings_dict["NAME"])) as connection:
        connection.text_factory = bytes
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
        )
        return {
            name: sorted(repr(row) for row in connection.execute(f'SELECT * FROM "{name}"'))
            for name in [name.decode() for (name,) in names]
        }


@contextmanager
def unchecked(database: str) -> Iterator[None]:
    """Let rows be written that no constraint would admit: a missing parent, a file of no application."""
    connection = connections[database]
    if is_postgresql(database):
        with transaction.atomic(using=database):
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL session_replication_role = replica")
            yield
    else:
        with connection.constraint_checks_disabled():
            yield


def change(database: str, model, key: str, **values) -> None:
    """Change one row, whatever the constraints say."""
    with unchecked(database):
        model.objects.using(database).filter(pk=key).update(**values)


# --- SQL about tables of any name


_NAMED = re.compile(r"(?<!:):(applications|folders|files)(?:\.(\w+))?\b")


def _column(model: type[models.Model], word: str) -> str:
    name = own(model, word)
    return (model._meta.pk if name == "pk" else model._meta.get_field(name)).column


def named(text: str, quote: Callable[[str], str] = str) -> str:
    """Put in the names of tables and columns, as psql puts in variables.

    ``:folders`` is a table, ``:folders.parent`` its column (without the table); the parts of columns are key, parent,
    application, name, created, and of files folder.
    """

    def name(found: re.Match) -> str:
        tables, part, column = folder_tables(), found[1].removesuffix("s"), found[2] or "table"
        if part == "file":
            meta = File.model._meta
            return quote(meta.db_table if column == "table" else _column(File.model, column))
        known = getattr(tables, f"{part}_{column}")
        return quote(known.column if isinstance(known, KeyColumn) else known)

    return _NAMED.sub(name, text)


def sql(database: str, text: str) -> str:
    """Put in the names as ``named`` does, quoted."""
    return named(text, connections[database].ops.quote_name)


def execute(database: str, statement: str, *params: object) -> None:
    """Execute one statement."""
    with connections[database].cursor() as cursor:
        cursor.execute(sql(database, statement), params)


def fetch(database: str, query: str, *params: object) -> list[tuple]:
    """Execute one SELECT."""
    with connections[database].cursor() as cursor:
        cursor.execute(sql(database, query), params)
        return cursor.fetchall()


def raw(database: str, key: object, part: Part = Folder) -> str:
    """Spell a key as SQL sees it stored."""
    return KeyColumn(part.model._meta.pk, "a key").raw(key, connection=connections[database])


def spellings(key: str) -> tuple[str, ...]:
    """Return the ways to spell a folder's key in a text column."""
    return folder_tables().folder_key.spellings(key)


def key_type(database: str, part: Part = Folder) -> str:
    """Return the column type of foreign keys to the part."""
    return part.model._meta.pk.rel_db_type(connections[database])


def label(database: str, table: str) -> str:
    """Return a table's name as reports spell it."""
    return f"public.{named(table)}" if is_postgresql(database) else named(table)


def drop_foreign_keys(database: str) -> None:
    """Make the mapped tables as another program might have: with no foreign key."""
    if is_postgresql(database):
        for table in (":files", ":folders"):
            keys = "SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid = %s::regclass"
            for (name,) in fetch(database, keys, sql(database, table)):
                execute(database, f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        return
    with connections[database].constraint_checks_disabled():
        for table in (":files", ":folders"):
            made = fetch(database, "SELECT sql FROM sqlite_master WHERE tbl_name = %s AND sql <> ''", named(table))
            execute(database, f"DROP TABLE {table}")
            for (statement,) in made:
                execute(
                    database, re.sub(r' REFERENCES "[^"]+" \("[^"]+"\) DEFERRABLE INITIALLY DEFERRED', "", statement)
                )
