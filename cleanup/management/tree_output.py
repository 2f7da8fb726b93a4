"""An application's folders as a tree, and all their values for an exact comparison."""

from collections import Counter, defaultdict
from typing import Any

from rich.text import Text
from rich.tree import Tree

from cleanup.folder_tables import FolderTables, folder_tables
from cleanup.management.terminal import counted
from cleanup.text_safety import safe

# Enough for a screen; the rest is counted.
MOST_FOLDERS = 200


def folder_tree(*, using: str, application_id: str) -> Tree:
    """Return the tree of an application, each folder with the number of its files."""
    tables = folder_tables()
    rows = list(_rows(tables.folder, tables.owner_columns[0], application_id, using=using))
    files = _files(tables, application_id, using=using)
    held = Counter(row[tables.file.folder] for row in files if tables.file)
    key = tables.folder_key.column
    children = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row[tables.folder_name], str(row[key]))):
        children[row[tables.folder_parent]].append(row)
    top = Tree(Text(f"Application {safe(application_id)}"))
    queue = [(top, row) for row in reversed(children[None])]
    shown = 0
    while queue and shown < MOST_FOLDERS:
        parent, row = queue.pop()
        shown += 1
        files = f"  ({counted(held[row[key]], 'file')})" if held[row[key]] else ""
        branch = parent.add(Text(f"{safe(row[tables.folder_name])}{files}"))
        queue.extend((branch, child) for child in reversed(children[row[key]]))
    if shown < len(rows):
        top.add(Text(f"... and {counted(len(rows) - shown, 'more folder')}"))
    return top


def content(*, using: str, application_id: str) -> list[list[dict[str, Any]]]:
    """Return every mapped column of every folder and file of an application, in key order."""
    tables = folder_tables()
    return [
        list(_rows(tables.folder, tables.owner_columns[0], application_id, using=using)),
        list(_files(tables, application_id, using=using)),
    ]


def _files(tables: FolderTables, application_id: str, *, using: str) -> Any:
    file = tables.file
    return _rows(file.model, file.application, application_id, using=using) if file and file.application else ()


def _rows(model: Any, column: str, application_id: str, *, using: str) -> Any:
    """Yield rows as mappings from columns to values."""
    fields = {field.column: field.attname for field in model._meta.concrete_fields}
    found = model._base_manager.using(using).filter(**{fields[column]: application_id}).order_by("pk")
    for row in found.values(*fields.values()).iterator():
        yield {column: row[attname] for column, attname in fields.items()}
