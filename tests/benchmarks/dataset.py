"""A database of applications of which three in ten have two, three or four folder trees instead of one.

Made inside the database by set-based statements. A tree has a root, five named children, two batches below one of them
and a batch with scans below another: ten folders of four files each. Rows stand in the order of their creation, as a
race leaves them: the trees of an application side by side. All keys are digests of the row's number, so that key order
says nothing about place, and every server gets the same rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

FILES_PER_FOLDER = 4

#: Place in the tree, place of the parent, name.
TREE = (
    (1, None, "Documents"),
    (2, 1, "Borrower"),
    (3, 1, "Guarantor"),
    (4, 1, "Collateral"),
    (5, 1, "Business"),
    (6, 1, "Supporting Documents"),
    (7, 4, "Batch 1"),
    (8, 4, "Batch 2"),
    (9, 5, "Batch 1"),
    (10, 9, "Scans"),
)

#: As small as the trees of a program with very many applications: a file in each folder.
SMALL_TREE = ((1, None, "Documents"), (2, 1, "Scans"))

Tree = Sequence[tuple[int, int | None, str]]

_FOLDERS = """
CREATE TEMPORARY TABLE bench_folder AS
SELECT n, s.name,
       md5(concat_ws('/', n, tree, s.place))::uuid AS id,
       CASE WHEN s.parent IS NOT NULL THEN md5(concat_ws('/', n, tree, s.parent))::uuid END AS parent_id,
       md5(n::text)::uuid AS application_id,
       timestamptz '2024-01-01' + n * interval '1 minute' + tree * interval '1 second' + s.place * interval '1 ms' AS at
  FROM generate_series(1, {applications}) AS n,
       generate_series(1, {trees}) AS tree,
       (VALUES {tree}) AS s(place, parent, name)
 ORDER BY n, tree, s.place
"""

#: Three in ten have duplicates.
_TREES = "CASE WHEN n % 10 < 3 THEN 2 + (n / 10) % 3 ELSE 1 END"

_FILL = (
    "INSERT INTO customer_applications (id) SELECT md5(n::text)::uuid FROM generate_series(1, {applications}) AS n",
    """
    INSERT INTO folders (id, name, parent_id, application_id, created_at, updated_at)
    SELECT id, name, parent_id, application_id, at, at FROM bench_folder
    """,
    """
    INSERT INTO files (id, filename, original_filename, display_name, file_path, file_size, mime_type, uploaded_by,
                       application_id, folder_id, created_at)
    SELECT md5(f.id::text || k)::uuid, 'scan-' || k || '.pdf', 'Scan ' || k || '.pdf', NULL,
           'applications/' || n || '/' || f.id || '/scan-' || k || '.pdf', 1000 * n + k, 'application/pdf', NULL,
           f.application_id, f.id, f.at + k * interval '1 minute'
      FROM (SELECT *, generate_series(1, {files}) AS k FROM bench_folder) AS f
    """,
    "DROP TABLE bench_folder",
)

#: Equal for equal rows, in whatever order they stand.
_CHECKSUM = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM {table} AS t"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a dataset holds, and what a cleanup does to it."""

    applications: int
    affected: int
    folders: int
    files: int
    folders_removed: int
    files_moved: int


def expected(applications: int, *, tree: Tree = TREE, files: int = FILES_PER_FOLDER) -> Expected:
    """Return the figures of a dataset."""
    trees = [2 + (n // 10) % 3 if n % 10 < 3 else 1 for n in range(1, applications + 1)]
    folders, removed = sum(trees) * len(tree), sum(count - 1 for count in trees) * len(tree)
    return Expected(
        applications=applications,
        affected=sum(count > 1 for count in trees),
        folders=folders,
        files=folders * files,
        folders_removed=removed,
        files_moved=removed * files,
    )


def fill(
    cursor: Any, *, applications: int, tree: Tree = TREE, files: int = FILES_PER_FOLDER, clean: bool = False
) -> None:
    """Fill the migrated, empty mapped tables; a superuser's connection, for foreign keys need not be checked here.

    A folder has so many files. A clean database has no duplicates.
    """
    values = {
        "applications": int(applications),
        "trees": "1" if clean else _TREES,
        "tree": ", ".join(f"({place}, {parent or 'NULL::int'}, '{name}')" for place, parent, name in tree),
        "files": int(files),
    }
    cursor.execute("SET session_replication_role = replica")
    for statement in (_FOLDERS, *_FILL):
        cursor.execute(statement.format_map(values))
    cursor.execute("SET session_replication_role = origin")


#: One application whose younger root has very many files, and one with very many folders, two of each name.
_EXTREMES = (
    "CREATE TEMPORARY TABLE extreme AS SELECT k, gen_random_uuid() AS id FROM generate_series(1, 2) AS k",
    "INSERT INTO customer_applications (id) SELECT id FROM extreme",
    """
    CREATE TEMPORARY TABLE extreme_root AS
    SELECT k, n, gen_random_uuid() AS id, e.id AS application_id FROM extreme AS e, generate_series(1, 3 - k) AS n
    """,
    """
    INSERT INTO folders (id, name, application_id, created_at)
    SELECT id, 'Documents', application_id, timestamptz '2024-01-01' + n * interval '1 day' FROM extreme_root
    """,
    """
    INSERT INTO folders (id, name, parent_id, application_id, created_at)
    SELECT gen_random_uuid(), 'Folder ' || n / 2, id, application_id, timestamptz '2024-01-01'
      FROM (SELECT id, application_id FROM extreme_root WHERE k = 2) AS root, generate_series(1, {folders}) AS n
    """,
    """
    INSERT INTO files (id, filename, original_filename, file_path, file_size, mime_type, application_id, folder_id)
    SELECT gen_random_uuid(), n || '.pdf', n || '.pdf', n || '.pdf', n, 'application/pdf', application_id, id
      FROM (SELECT id, application_id FROM extreme_root WHERE (k, extreme_root.n) = (1, 2)) AS root,
           generate_series(1, {files}) AS n
    """,
    "DROP TABLE extreme, extreme_root",
)


def add_extremes(cursor: Any, *, files: int, folders: int) -> None:
    """Add an application with a folder of so many files, and one of so many folders, of which half are duplicates."""
    for statement in _EXTREMES:
        cursor.execute(statement.format(files=files, folders=folders))
    cursor.execute("ANALYZE folders, files")


def checksum(cursor: Any, *, tables: Iterable[str] = ("folders", "files")) -> tuple[int, ...]:
    """Return numbers that are equal exactly when the tables are equal, row for row, column for column."""
    numbers: list[int] = []
    for table in tables:
        cursor.execute(_CHECKSUM.format(table=table))
        numbers += map(int, cursor.fetchone())
    return tuple(numbers)
