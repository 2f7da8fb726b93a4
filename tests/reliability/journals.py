"""Journals as files: the rows that a version wrote, and the tables before and after, to be undone by later versions."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import connections

from cleanup.models import RemovedFolder, RollbackPoint, SnapshotRow, SnapshotSchema
from cleanup.services import DatabaseCleanupService
from tests.hostapp.models import Bookmark, Tag
from tests.support.model_roles import Folder
from tests.support.trees import tree

FOLDER = Path(__file__).with_name("journals")
#: In an order in which foreign keys allow them to be written.
TABLES = ("customer_applications", "folders", "files", "hostapp_bookmark", "hostapp_tag", "hostapp_tag_folders")
TREE = "stays:A(1)/{B(1), moved:C@9(1)}, gone:A(2)/{B(1)/{D, E(1)}, C@7(1)}"
FAR = datetime(2100, 1, 1, tzinfo=UTC)


def path(version: int, using: str) -> Path:
    """Name the file of a format on a kind of database."""
    return FOLDER / f"format{version}.{connections[using].vendor}.json"


def write(version: int, using: str) -> None:
    """Merge a tree with rows of every kind, and write down what there was, what there is, and the journal."""
    made = tree(using, TREE)
    for label in ("stays", "gone"):
        Bookmark._base_manager.using(using).create(folder_id=made[label])
    Tag.objects.using(using).create(label="both").folders.set([made["stays"], made["gone"]])
    Tag.objects.using(using).create(label="one").folders.set([made["gone"]])
    before = tables(using)
    rollback_id = DatabaseCleanupService(using=using).consolidate_duplicate_folders(made.application).rollback_id
    _write(version, using, before, RollbackPoint.objects.using(using).get(uuid=rollback_id))


def write_repair(version: int, using: str) -> None:
    """Repair a folder that lies in another application, and write down the same."""
    made, other = tree(using, TREE), tree(using, "Case")
    root = Folder.objects.using(using).get(application=other.application)
    Folder.objects.using(using).filter(pk=made["moved"]).update(parent=root)
    before = tables(using)
    DatabaseCleanupService(using=using).repair("foreign_parent")
    _write(version, using, before, RollbackPoint.objects.using(using).get())


def _write(version: int, using: str, before: dict[str, Any], point: RollbackPoint) -> None:
    text = {
        "application": point.application_key,
        "before": before,
        "after": tables(using),
        "schema": SnapshotSchema.objects.using(using).values("digest", "format_version", "document").get(),
        "point": {"uuid": str(point.uuid), "kind": point.kind},
        "rows": list(
            SnapshotRow.objects.using(using)
            .order_by("id")
            .values("kind", "step", "table", "row_count", "changes", "keys", "images")
        ),
        "removed": list(RemovedFolder.objects.using(using).order_by("id").values("folder_key", "survivor_key")),
    }
    FOLDER.mkdir(exist_ok=True)
    path(version, using).write_text(json.dumps(text, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def tables(using: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the tables, by column, as the database spells them."""
    found = {}
    with connections[using].cursor() as cursor:
        for table in TABLES:
            if connections[using].vendor == "postgresql":
                cursor.execute(f'SELECT to_jsonb(t)::text FROM "{table}" AS t ORDER BY id')
                found[table] = [json.loads(row) for (row,) in cursor.fetchall()]
            else:
                cursor.execute(f'SELECT * FROM "{table}" ORDER BY id')
                columns = [column[0] for column in cursor.description]
                found[table] = [dict(zip(columns, map(_plain, row), strict=True)) for row in cursor.fetchall()]
    return found


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, datetime) else value


def load(version: int, using: str) -> dict[str, Any]:
    """Put the tables and the journal of a file into an empty database and return the file's content."""
    text = json.loads(path(version, using).read_text(encoding="utf-8"))
    with connections[using].cursor() as cursor:
        for table in TABLES:
            for row in _parents_first(text["after"][table]):
                columns = ", ".join(f'"{column}"' for column in row)
                cursor.execute(
                    f'INSERT INTO "{table}" ({columns}) VALUES ({", ".join(["%s"] * len(row))})', list(row.values())
                )
    schema = SnapshotSchema.objects.using(using).create(**text["schema"])
    point = RollbackPoint.objects.using(using).create(
        **text["point"], application_key=text["application"], schema=schema, expires_at=FAR
    )
    SnapshotRow.objects.using(using).bulk_create(SnapshotRow(point=point, **row) for row in text["rows"])
    RemovedFolder.objects.using(using).bulk_create(RemovedFolder(point=point, **row) for row in text["removed"])
    return text


def _parents_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort folders for a table whose foreign key to itself is looked at once."""
    ordered: list[dict[str, Any]] = []
    while len(ordered) < len(rows):
        written = {row["id"] for row in ordered} | {None}
        ordered += [row for row in rows if row not in ordered and row.get("parent_id") in written]
    return ordered
