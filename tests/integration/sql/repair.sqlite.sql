WITH RECURSIVE candidates AS MATERIALIZED (
    -- Rows that may be in a finding, nearly none; ``o`` is their folder, if that is in their application.
    SELECT f."id" AS object, f."application_id" AS application, f."parent_id" AS target, CASE WHEN trim(f."name", %(blanks)s) = '' THEN 1 ELSE 0 END AS blank,
           CASE WHEN a."id" IS NULL THEN 1 ELSE 0 END AS no_application
      FROM "folders" AS f
      LEFT JOIN "folders" AS o
        ON o."id" = f."parent_id"
       AND (o."application_id" = f."application_id" OR o."application_id" IS NULL OR f."application_id" IS NULL)
      LEFT JOIN "customer_applications" AS a
        ON a."id" = f."application_id"
     WHERE 1 = 1
       AND (trim(f."name", %(blanks)s) = '' OR a."id" IS NULL OR (f."parent_id" IS NOT NULL AND o."id" IS NULL))
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
              WHERE r.folder_key = CASE WHEN length(l.target) = 32 THEN substr(l.target, 1, 8) || '-' || substr(l.target, 9, 4) || '-' || substr(l.target, 13, 4) || '-' || substr(l.target, 17, 4) || '-' || substr(l.target, 21, 12) ELSE l.target END AND p.status = 'live'
              ORDER BY r.id DESC
              LIMIT 1
           ) END AS survivor,
           CASE WHEN l.target IS NOT NULL AND l.found IS NULL THEN (
             SELECT p.application_key
               FROM cleanup_removedfolder AS r
               JOIN cleanup_rollbackpoint AS p ON p.id = r.point_id
              WHERE r.folder_key = CASE WHEN length(l.target) = 32 THEN substr(l.target, 1, 8) || '-' || substr(l.target, 9, 4) || '-' || substr(l.target, 13, 4) || '-' || substr(l.target, 17, 4) || '-' || substr(l.target, 21, 12) ELSE l.target END AND p.status = 'live'
              ORDER BY r.id DESC
              LIMIT 1
           ) END AS merged_application
      FROM looked_up AS l
), flagged(code, object, application, target, survivor, name, folders) AS MATERIALIZED (
    SELECT 'missing_parent', CASE WHEN length(l.object) = 32 THEN substr(l.object, 1, 8) || '-' || substr(l.object, 9, 4) || '-' || substr(l.object, 13, 4) || '-' || substr(l.object, 17, 4) || '-' || substr(l.object, 21, 12) ELSE l.object END, coalesce(CASE WHEN length(l.application) = 32 THEN substr(l.application, 1, 8) || '-' || substr(l.application, 9, 4) || '-' || substr(l.application, 13, 4) || '-' || substr(l.application, 17, 4) || '-' || substr(l.application, 21, 12) ELSE l.application END, l.merged_application), CASE WHEN length(l.target) = 32 THEN substr(l.target, 1, 8) || '-' || substr(l.target, 9, 4) || '-' || substr(l.target, 13, 4) || '-' || substr(l.target, 17, 4) || '-' || substr(l.target, 21, 12) ELSE l.target END, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE target IS NOT NULL AND found IS NULL AND survivor IS NULL
    UNION ALL
    SELECT 'foreign_parent', CASE WHEN length(l.object) = 32 THEN substr(l.object, 1, 8) || '-' || substr(l.object, 9, 4) || '-' || substr(l.object, 13, 4) || '-' || substr(l.object, 17, 4) || '-' || substr(l.object, 21, 12) ELSE l.object END, coalesce(CASE WHEN length(l.application) = 32 THEN substr(l.application, 1, 8) || '-' || substr(l.application, 9, 4) || '-' || substr(l.application, 13, 4) || '-' || substr(l.application, 17, 4) || '-' || substr(l.application, 21, 12) ELSE l.application END, l.merged_application), CASE WHEN length(l.target) = 32 THEN substr(l.target, 1, 8) || '-' || substr(l.target, 9, 4) || '-' || substr(l.target, 13, 4) || '-' || substr(l.target, 17, 4) || '-' || substr(l.target, 21, 12) ELSE l.target END, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE application <> target_application AND no_application = 0
    UNION ALL
    SELECT 'folder_of_missing_application', CASE WHEN length(l.object) = 32 THEN substr(l.object, 1, 8) || '-' || substr(l.object, 9, 4) || '-' || substr(l.object, 13, 4) || '-' || substr(l.object, 17, 4) || '-' || substr(l.object, 21, 12) ELSE l.object END, coalesce(CASE WHEN length(l.application) = 32 THEN substr(l.application, 1, 8) || '-' || substr(l.application, 9, 4) || '-' || substr(l.application, 13, 4) || '-' || substr(l.application, 17, 4) || '-' || substr(l.application, 21, 12) ELSE l.application END, l.merged_application), CASE WHEN length(l.target) = 32 THEN substr(l.target, 1, 8) || '-' || substr(l.target, 9, 4) || '-' || substr(l.target, 13, 4) || '-' || substr(l.target, 17, 4) || '-' || substr(l.target, 21, 12) ELSE l.target END, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE application IS NOT NULL AND no_application = 1
    UNION ALL
    SELECT 'late_arrival', CASE WHEN length(l.object) = 32 THEN substr(l.object, 1, 8) || '-' || substr(l.object, 9, 4) || '-' || substr(l.object, 13, 4) || '-' || substr(l.object, 17, 4) || '-' || substr(l.object, 21, 12) ELSE l.object END, coalesce(CASE WHEN length(l.application) = 32 THEN substr(l.application, 1, 8) || '-' || substr(l.application, 9, 4) || '-' || substr(l.application, 13, 4) || '-' || substr(l.application, 17, 4) || '-' || substr(l.application, 21, 12) ELSE l.application END, l.merged_application), CASE WHEN length(l.target) = 32 THEN substr(l.target, 1, 8) || '-' || substr(l.target, 9, 4) || '-' || substr(l.target, 13, 4) || '-' || substr(l.target, 17, 4) || '-' || substr(l.target, 21, 12) ELSE l.target END, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE survivor IS NOT NULL
    UNION ALL
    SELECT 'folder_without_application', CASE WHEN length(l.object) = 32 THEN substr(l.object, 1, 8) || '-' || substr(l.object, 9, 4) || '-' || substr(l.object, 13, 4) || '-' || substr(l.object, 17, 4) || '-' || substr(l.object, 21, 12) ELSE l.object END, coalesce(CASE WHEN length(l.application) = 32 THEN substr(l.application, 1, 8) || '-' || substr(l.application, 9, 4) || '-' || substr(l.application, 13, 4) || '-' || substr(l.application, 17, 4) || '-' || substr(l.application, 21, 12) ELSE l.application END, l.merged_application), CASE WHEN length(l.target) = 32 THEN substr(l.target, 1, 8) || '-' || substr(l.target, 9, 4) || '-' || substr(l.target, 13, 4) || '-' || substr(l.target, 17, 4) || '-' || substr(l.target, 21, 12) ELSE l.target END, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE application IS NULL
    UNION ALL
    SELECT 'blank_name', CASE WHEN length(l.object) = 32 THEN substr(l.object, 1, 8) || '-' || substr(l.object, 9, 4) || '-' || substr(l.object, 13, 4) || '-' || substr(l.object, 17, 4) || '-' || substr(l.object, 21, 12) ELSE l.object END, coalesce(CASE WHEN length(l.application) = 32 THEN substr(l.application, 1, 8) || '-' || substr(l.application, 9, 4) || '-' || substr(l.application, 13, 4) || '-' || substr(l.application, 17, 4) || '-' || substr(l.application, 21, 12) ELSE l.application END, l.merged_application), CASE WHEN length(l.target) = 32 THEN substr(l.target, 1, 8) || '-' || substr(l.target, 9, 4) || '-' || substr(l.target, 13, 4) || '-' || substr(l.target, 17, 4) || '-' || substr(l.target, 21, 12) ELSE l.target END, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE blank = 1
    UNION ALL
    SELECT 'orphan_twice', CASE WHEN length(l.object) = 32 THEN substr(l.object, 1, 8) || '-' || substr(l.object, 9, 4) || '-' || substr(l.object, 13, 4) || '-' || substr(l.object, 17, 4) || '-' || substr(l.object, 21, 12) ELSE l.object END, coalesce(CASE WHEN length(l.application) = 32 THEN substr(l.application, 1, 8) || '-' || substr(l.application, 9, 4) || '-' || substr(l.application, 13, 4) || '-' || substr(l.application, 17, 4) || '-' || substr(l.application, 21, 12) ELSE l.application END, l.merged_application), CASE WHEN length(l.target) = 32 THEN substr(l.target, 1, 8) || '-' || substr(l.target, 9, 4) || '-' || substr(l.target, 13, 4) || '-' || substr(l.target, 17, 4) || '-' || substr(l.target, 21, 12) ELSE l.target END, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE target IS NOT NULL AND found IS NULL AND survivor IS NULL AND application IS NOT NULL AND no_application = 1
)
SELECT object, application, target
  FROM flagged
 WHERE code = %(code)s;

SELECT DISTINCT CASE WHEN length(f."folder_id") = 32 THEN substr(f."folder_id", 1, 8) || '-' || substr(f."folder_id", 9, 4) || '-' || substr(f."folder_id", 13, 4) || '-' || substr(f."folder_id", 17, 4) || '-' || substr(f."folder_id", 21, 12) ELSE f."folder_id" END, CASE WHEN length(f."application_id") = 32 THEN substr(f."application_id", 1, 8) || '-' || substr(f."application_id", 9, 4) || '-' || substr(f."application_id", 13, 4) || '-' || substr(f."application_id", 17, 4) || '-' || substr(f."application_id", 21, 12) ELSE f."application_id" END
  FROM "files" AS f
 WHERE f."application_id" IS NOT NULL AND f."folder_id" IN (SELECT replace(k.value, '-', '') FROM json_each(%(keys)s) AS k);

INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, images)
SELECT point, 'inserted', %(step)s, %(table)s, count(*), json_group_array(json(image))
  FROM (SELECT point, image, (row_number() OVER (PARTITION BY point) - 1) / 1000 AS chunk
          FROM (
            WITH given AS MATERIALIZED (
              SELECT json_extract(value, '$[0]') AS point,
                     CASE substr(json_extract(value, '$[1]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(value, '$[1]')) AS TEXT) ELSE cleanup_decode(json_extract(value, '$[1]')) END AS raw_id
                FROM json_each(%(rows)s)
            )
            SELECT given.point AS point,
                   json_array(cleanup_encode(typeof(t."id"), CASE typeof(t."id") WHEN 'text' THEN CAST(t."id" AS BLOB) ELSE t."id" END), cleanup_encode(typeof(t."name"), CASE typeof(t."name") WHEN 'text' THEN CAST(t."name" AS BLOB) ELSE t."name" END), cleanup_encode(typeof(t."parent_id"), CASE typeof(t."parent_id") WHEN 'text' THEN CAST(t."parent_id" AS BLOB) ELSE t."parent_id" END), cleanup_encode(typeof(t."application_id"), CASE typeof(t."application_id") WHEN 'text' THEN CAST(t."application_id" AS BLOB) ELSE t."application_id" END), cleanup_encode(typeof(t."created_at"), CASE typeof(t."created_at") WHEN 'text' THEN CAST(t."created_at" AS BLOB) ELSE t."created_at" END), cleanup_encode(typeof(t."updated_at"), CASE typeof(t."updated_at") WHEN 'text' THEN CAST(t."updated_at" AS BLOB) ELSE t."updated_at" END)) AS image
              FROM given
             CROSS JOIN "main"."folders" AS t ON t."id" = given.raw_id
          ) AS removed) AS numbered
 GROUP BY point, chunk
RETURNING point_id, row_count;
