"""What a person would type into psql: the bare SQL that the product is compared with.

None of it keeps an undo, checks what it did, lets anybody in between, or can be interrupted. It is right for the
dataset of this package, not for every tree that there is.
"""

from typing import Any

#: Folders of affected applications with the path of names that leads to them, and who survives.
_TREE = """
affected AS (
    SELECT application_id FROM folders WHERE parent_id IS NULL GROUP BY application_id HAVING count(*) > 1
), tree AS (
    SELECT f.id, f.application_id, '' AS path, f.created_at
      FROM affected AS a JOIN folders AS f ON f.application_id = a.application_id AND f.parent_id IS NULL
    UNION ALL
    SELECT f.id, f.application_id, t.path || '/' || f.name, f.created_at
      FROM tree AS t JOIN folders AS f ON f.parent_id = t.id
), ranked AS (
    SELECT id, application_id, first_value(id) OVER w AS survivor
      FROM tree WINDOW w AS (PARTITION BY application_id, path ORDER BY created_at, id)
)
"""

_MERGED = f"""
    CREATE TEMPORARY TABLE merged ON COMMIT DROP AS
    WITH RECURSIVE {_TREE} SELECT id AS removed, survivor FROM ranked WHERE id <> survivor
    """


def cleanup(further_moves: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the statements of one transaction."""
    return (
        _MERGED,
        "ANALYZE merged",
        "UPDATE files AS f SET folder_id = m.survivor FROM merged AS m WHERE f.folder_id = m.removed",
        *further_moves,
        "DELETE FROM folders AS f USING merged AS m WHERE f.id = m.removed",
    )


#: Folders that would be removed and files that would move, by application.
DRY_RUN = (
    f"""
    WITH RECURSIVE {_TREE}, removed AS (SELECT id, application_id FROM ranked WHERE id <> survivor)
    SELECT r.application_id, count(DISTINCT r.id), count(f.id)
      FROM removed AS r LEFT JOIN files AS f ON f.folder_id = r.id
     GROUP BY r.application_id
    """,
)

#: Applications with several roots; same-named siblings.
CHECK = (
    """
    SELECT application_id, count(*) FROM folders
     WHERE parent_id IS NULL AND application_id IS NOT NULL
     GROUP BY application_id HAVING count(*) > 1
    """,
    """
    SELECT application_id, parent_id, name COLLATE "C", count(*) FROM folders
     WHERE parent_id IS NOT NULL AND application_id IS NOT NULL
     GROUP BY application_id, parent_id, name COLLATE "C" HAVING count(*) > 1
    """,
)

#: One statement for each thing that can be wrong with a folder or a file.
VERIFICATION = (
    *CHECK,
    # Folders: missing parent, parent of another application, missing application, no application.
    """
    SELECT count(*) FROM folders AS f
     WHERE f.parent_id IS NOT NULL AND NOT EXISTS (SELECT FROM folders AS p WHERE p.id = f.parent_id)
    """,
    """
    SELECT count(*) FROM folders AS f JOIN folders AS p ON p.id = f.parent_id
     WHERE p.application_id <> f.application_id
    """,
    """
    SELECT count(*) FROM folders AS f
     WHERE f.application_id IS NOT NULL
       AND NOT EXISTS (SELECT FROM customer_applications AS a WHERE a.id = f.application_id)
    """,
    "SELECT count(*) FROM folders WHERE application_id IS NULL",
    # Cycles: what no root leads to.
    """
    WITH RECURSIVE reached AS (
        SELECT id FROM folders WHERE parent_id IS NULL
        UNION ALL
        SELECT f.id FROM reached AS r JOIN folders AS f ON f.parent_id = r.id
    ) SELECT (SELECT count(*) FROM folders) - (SELECT count(*) FROM reached)
    """,
    # Names: blank ones, and siblings whose names differ only in case or blanks.
    "SELECT count(*) FROM folders WHERE btrim(name) = ''",
    """
    SELECT application_id, parent_id, lower(btrim(name)) FROM folders
     GROUP BY application_id, parent_id, lower(btrim(name)) HAVING count(DISTINCT name) > 1
    """,
    # Files: missing folder, folder of another application, missing application, no folder.
    """
    SELECT count(*) FROM files AS f
     WHERE f.folder_id IS NOT NULL AND NOT EXISTS (SELECT FROM folders AS d WHERE d.id = f.folder_id)
    """,
    """
    SELECT count(*) FROM files AS f JOIN folders AS d ON d.id = f.folder_id
     WHERE d.application_id <> f.application_id
    """,
    """
    SELECT count(*) FROM files AS f
     WHERE f.application_id IS NOT NULL
       AND NOT EXISTS (SELECT FROM customer_applications AS a WHERE a.id = f.application_id)
    """,
    "SELECT count(*) FROM files WHERE application_id IS NOT NULL AND folder_id IS NULL",
)


def run(cursor: Any, statements: tuple[str, ...]) -> None:
    """Execute the statements in the caller's transaction and fetch what they answer."""
    for statement in statements:
        cursor.execute(statement)
        if cursor.description is not None:
            cursor.fetchall()
