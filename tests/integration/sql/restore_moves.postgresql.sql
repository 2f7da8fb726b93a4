WITH journaled0 AS MATERIALIZED (
    -- What moved, by the key that the row had; old and new are read once a change, not once a row.
    SELECT s.point_id AS point, row_number() OVER () AS number, v.*, k.*
      FROM cleanup_snapshotrow AS s,
           json_to_recordset(s.changes::json) AS c("from" json, "to" json, keys json),
           LATERAL (SELECT c."from"->>0 AS o0, c."to"->>0 AS n0 OFFSET 0) AS v,
           ROWS FROM (json_array_elements_text(c.keys->0)) AS k(k0)
     WHERE s.kind = 'moved' AND s.step = %(step)s
       AND s."table" = %(table_0)s AND s.point_id = ANY(%(points)s)
    LIMIT 3
), restored0 AS (
    -- Compared in the UPDATE itself: after a concurrent change, PostgreSQL looks at the newer row.
    UPDATE "public"."files" AS t
       SET "folder_id" = j.o0::uuid
      FROM journaled0 AS j
     WHERE t."id" = j.k0::uuid
       AND (t."folder_id"::text IS NOT DISTINCT FROM j.n0 OR t."folder_id"::text IS NOT DISTINCT FROM j.o0)
       AND NOT (t."folder_id"::text IS NOT DISTINCT FROM j.o0)
    RETURNING j.point, j.number
), left0 AS (
    -- Why the others were not, by the rows as they were before. The key of a row that is there is never
    -- null, so that a null key says that the row is gone.
    SELECT j.*,
           CASE WHEN t."id" IS NULL THEN 'row_missing'
                WHEN t."folder_id"::text IS NOT DISTINCT FROM j.o0 THEN 'same'
                WHEN (t."folder_id"::text IS NOT DISTINCT FROM j.n0 OR t."folder_id"::text IS NOT DISTINCT FROM j.o0) THEN 'restore'
                ELSE 'changed' END AS verdict
      FROM (SELECT *
              FROM journaled0 AS j
             WHERE NOT EXISTS (SELECT FROM restored0 AS u WHERE u.number = j.number)) AS j
      LEFT JOIN "public"."files" AS t ON t."id" = j.k0::uuid
)
SELECT 0, 'restored', point, count(*), NULL::text[], NULL::text[]
  FROM restored0
 GROUP BY 3
UNION ALL
SELECT 0, verdict, point, 1, ARRAY[k0], ARRAY[n0] FROM left0 WHERE verdict <> 'same'
UNION ALL
SELECT 0, 'journaled', NULL, count(*), NULL, NULL FROM journaled0;
