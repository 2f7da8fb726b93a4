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
           LATERAL (SELECT c."from"->>0 AS old_folder, c."to"->>0 AS new_folder OFFSET 0) AS cells,
           ROWS FROM (json_array_elements_text(c.keys->0), json_array_elements_text(c.keys->1)) AS keys(key_folder, key_name)
     WHERE s.kind = 'moved' AND s."table" = %(table_0)s
       AND s.point_id = ANY(%(points)s)
       AND s.step = %(step_0)s
    -- Has the planner expect as many as the journal counts; with one more, so that too many show.
    LIMIT 2
), restored0 AS (
    -- Each column holds its new value or its old one, and not all are old yet. Compared here, since READ
    -- COMMITTED evaluates this very WHERE again on the newest version of a row that was changed since.
    UPDATE "public"."labels" AS t
       SET "folder" = j.old_folder::uuid
      FROM journaled0 AS j
     WHERE t."folder" = j.new_folder::uuid AND t."name" = j.key_name::text
       AND (t."folder"::text IS NOT DISTINCT FROM j.new_folder OR t."folder"::text IS NOT DISTINCT FROM j.old_folder)
       AND (t."folder"::text) IS DISTINCT FROM (j.old_folder)
    RETURNING j.point, j.number
), not_restored0 AS (
    -- Why each other row was not, by the statement's snapshot: what the UPDATE should have changed by it
    -- was changed since by others. A key is NOT NULL, so a null one is not a row. EXCEPT, since an
    -- anti-join compares each with each if the planner expects that the UPDATE returns few; and first.
    SELECT j.*,
           CASE WHEN t."folder" IS NULL THEN CASE WHEN EXISTS (SELECT
                               FROM "public"."labels" AS t
                              WHERE t."folder" = j.key_folder::uuid AND t."name" = j.key_name::text
                                AND (t."folder"::text) IS NOT DISTINCT FROM (j.old_folder)) THEN 'same' ELSE 'row_missing' END
                WHEN (t."folder"::text) IS NOT DISTINCT FROM (j.old_folder) THEN 'same'
                WHEN (t."folder"::text IS NOT DISTINCT FROM j.new_folder OR t."folder"::text IS NOT DISTINCT FROM j.old_folder) THEN 'lost_race'
                ELSE 'changed' END AS verdict
      FROM (SELECT j.*
              FROM (SELECT number FROM journaled0
                    EXCEPT ALL
                    SELECT number FROM restored0) AS others
              JOIN journaled0 AS j USING (number)
            OFFSET 0) AS j
      LEFT JOIN "public"."labels" AS t ON t."folder" = j.new_folder::uuid AND t."name" = j.key_name::text
)
SELECT 0 AS target, 'restored' AS verdict, point, count(*) AS row_count,
       NULL::text[] AS key, NULL::text[] AS new
  FROM restored0
 GROUP BY point
UNION ALL
SELECT 0, verdict, point, 1, ARRAY[key_folder, key_name], ARRAY[new_folder] FROM not_restored0 WHERE verdict <> 'same'
UNION ALL
SELECT 0, 'journaled', NULL, count(*), NULL, NULL FROM journaled0;
