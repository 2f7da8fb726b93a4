WITH RECURSIVE candidates AS MATERIALIZED (
    -- Rows that may be in a finding, nearly none; ``o`` is their folder, if that is in their application.
    SELECT f."id" AS object, f."application_id" AS application, f."parent_id" AS target, CASE WHEN btrim(f."name"::text, %(blanks)s) = '' THEN 1 ELSE 0 END AS blank,
           CASE WHEN a."id" IS NULL THEN 1 ELSE 0 END AS no_application
      FROM "folders" AS f
      LEFT JOIN "folders" AS o
        ON o."id" = f."parent_id"
       AND (o."application_id" = f."application_id" OR o."application_id" IS NULL OR f."application_id" IS NULL)
      LEFT JOIN "customer_applications" AS a
        ON a."id" = f."application_id"
     WHERE 1 = 1
       AND (btrim(f."name"::text, %(blanks)s) = '' OR a."id" IS NULL OR (f."parent_id" IS NOT NULL AND o."id" IS NULL))
), looked_up AS MATERIALIZED (
    -- Scalar subqueries, since the planner never turns these into a join with the whole table.
    SELECT c.*,
           (SELECT 1 FROM "folders" AS t WHERE t."id" = c.target) AS found,
           (SELECT t."application_id" FROM "folders" AS t WHERE t."id" = c.target) AS target_application
      FROM candidates AS c
), traced AS MATERIALIZED (
    -- Whether a cleanup removed the folder that is missing, and where it went.
    SELECT l.*,
           CASE WHEN l.target IS NOT NULL AND l.found IS NULL THEN (
             SELECT r.survivor_key
               FROM cleanup_removedfolder AS r
               JOIN cleanup_rollbackpoint AS p ON p.id = r.point_id
              WHERE r.folder_key = l.target::text AND p.status = 'live'
              ORDER BY r.id DESC
              LIMIT 1
           ) END AS survivor,
           CASE WHEN l.target IS NOT NULL AND l.found IS NULL THEN (
             SELECT p.application_key
               FROM cleanup_removedfolder AS r
               JOIN cleanup_rollbackpoint AS p ON p.id = r.point_id
              WHERE r.folder_key = l.target::text AND p.status = 'live'
              ORDER BY r.id DESC
              LIMIT 1
           ) END AS merged_application
      FROM looked_up AS l
), flagged(code, object, application, target, survivor, name, folders) AS MATERIALIZED (
    SELECT 'missing_parent', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE target IS NOT NULL AND found IS NULL AND survivor IS NULL
    UNION ALL
    SELECT 'foreign_parent', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE application <> target_application AND no_application = 0
    UNION ALL
    SELECT 'folder_of_missing_application', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE application IS NOT NULL AND no_application = 1
    UNION ALL
    SELECT 'late_arrival', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE survivor IS NOT NULL
    UNION ALL
    SELECT 'folder_without_application', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE application IS NULL
    UNION ALL
    SELECT 'blank_name', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE blank = 1
    UNION ALL
    SELECT 'orphan_twice', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE target IS NOT NULL AND found IS NULL AND survivor IS NULL AND application IS NOT NULL AND no_application = 1
)
SELECT object, application, target
  FROM flagged
 WHERE code = %(code)s;

SELECT DISTINCT f."folder_id"::text, f."application_id"::text
  FROM "files" AS f
 WHERE f."application_id" IS NOT NULL AND f."folder_id" = ANY(%(keys)s::text[]::uuid[]);

INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, images)
SELECT point, 'inserted', %(step)s, %(table)s, count(*), json_agg(image)::text
  FROM (SELECT point, image, (row_number() OVER (PARTITION BY point) - 1) / 1000 AS chunk
          FROM (SELECT given.point, to_json(ARRAY[t."id"::text, t."name"::text, t."parent_id"::text, t."application_id"::text, t."created_at"::text, t."updated_at"::text]) AS image
             FROM unnest(%(point)s::bigint[], %(key_id)s::text[])
               AS given(point, key_id)
             JOIN "public"."folders" AS t ON t."id" = given.key_id::uuid) AS made) AS numbered
 GROUP BY point, chunk
RETURNING point_id, row_count;
