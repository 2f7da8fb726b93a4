-- Give rows their old values back, if they hold the new ones, in one statement.
--
-- Returns, by number of the table: point and rows ``restored``; a line for each row that was not, with the
-- reason, its key and the new cells (those that hold the old values already are left out); and, without a point,
-- rows ``journaled``.

WITH journaled0 AS MATERIALIZED (
    -- One line for each row that moved: its key before the move, the old and the new cells. OFFSET 0 has
    -- the cells of a change read once, not once a row.
    SELECT s.point_id AS point, row_number() OVER () AS number, cells.*, keys.*
      FROM cleanup_snapshotrow AS s,
           json_to_recordset(s.changes::json) AS c("from" json, "to" json, keys json),
           LATERAL (SELECT c."from"->>0 AS old_folder_id, c."to"->>0 AS new_folder_id OFFSET 0) AS cells,
           ROWS FROM (json_array_elements_text(c.keys->0)) AS keys(key_id)
     WHERE s.kind = 'moved' AND s."table" = %(table_0)s
       AND s.point_id = ANY(%(points)s)
       AND s.step = %(step_0)s
    -- Has the planner expect as many as the journal counts; with one more, so that too many show.
    LIMIT 3
), restored0 AS (
    -- Each column holds its new value or its old one, and not all are old yet. Compared here, since READ
    -- COMMITTED evaluates this very WHERE again on the newest version of a row that was changed since.
    UPDATE "public"."files" AS t
       SET "folder_id" = j.old_folder_id::uuid
      FROM journaled0 AS j
     WHERE t."id" = j.key_id::uuid
       AND (t."folder_id"::text IS NOT DISTINCT FROM j.new_folder_id OR t."folder_id"::text IS NOT DISTINCT FROM j.old_folder_id)
       AND (t."folder_id"::text) IS DISTINCT FROM (j.old_folder_id)
    RETURNING j.point, j.number
), not_restored0 AS (
    -- Why each other row was not, by the statement's snapshot: what the UPDATE should have changed by it
    -- was changed since by others. A key is NOT NULL, so a null one is not a row. EXCEPT, since an
    -- anti-join compares each with each if the planner expects that the UPDATE returns few; and first.
    SELECT j.*,
           CASE WHEN t."id" IS NULL THEN 'row_missing'
                WHEN (t."folder_id"::text) IS NOT DISTINCT FROM (j.old_folder_id) THEN 'same'
                WHEN (t."folder_id"::text IS NOT DISTINCT FROM j.new_folder_id OR t."folder_id"::text IS NOT DISTINCT FROM j.old_folder_id) THEN 'lost_race'
                ELSE 'changed' END AS verdict
      FROM (SELECT j.*
              FROM (SELECT number FROM journaled0
                    EXCEPT ALL
                    SELECT number FROM restored0) AS others
              JOIN journaled0 AS j USING (number)
            OFFSET 0) AS j
      LEFT JOIN "public"."files" AS t ON t."id" = j.key_id::uuid
)
SELECT 0 AS target, 'restored' AS verdict, point, count(*) AS row_count,
       NULL::text[] AS key, NULL::text[] AS new
  FROM restored0
 GROUP BY point
UNION ALL
SELECT 0, verdict, point, 1, ARRAY[key_id], ARRAY[new_folder_id] FROM not_restored0 WHERE verdict <> 'same'
UNION ALL
SELECT 0, 'journaled', NULL, count(*), NULL, NULL FROM journaled0;
