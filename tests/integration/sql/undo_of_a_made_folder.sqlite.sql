WITH images AS MATERIALIZED (
    -- The rows as they were. What begins with underscores is not theirs.
    SELECT cells.*,
           CASE substr(json_extract(cells.__image, '$[0]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[0]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[0]')) END AS "id",
           CASE substr(json_extract(cells.__image, '$[1]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[1]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[1]')) END AS "name",
           CASE substr(json_extract(cells.__image, '$[2]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[2]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[2]')) END AS "parent_id",
           CASE substr(json_extract(cells.__image, '$[3]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[3]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[3]')) END AS "application_id",
           CASE substr(json_extract(cells.__image, '$[4]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[4]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[4]')) END AS "created_at",
           CASE substr(json_extract(cells.__image, '$[5]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[5]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[5]')) END AS "updated_at"
      FROM (SELECT s.point_id AS __point, e.value AS __image, json_array(json_extract(e.value, '$[0]')) AS __key
              FROM cleanup_snapshotrow AS s, json_each(s.images) AS e
             WHERE s.kind = 'inserted' AND s."table" = %(table)s
               AND s.point_id IN (SELECT value FROM json_each(%(points)s))
               AND s.step = %(step)s
           ) AS cells
), compared AS (
    SELECT i.__point AS point, i.__key AS row_key, (cleanup_encode(typeof(t."id"), CASE typeof(t."id") WHEN 'text' THEN CAST(t."id" AS BLOB) ELSE t."id" END) IS NOT json_extract(i.__image, '$[0]')
      OR cleanup_encode(typeof(t."name"), CASE typeof(t."name") WHEN 'text' THEN CAST(t."name" AS BLOB) ELSE t."name" END) IS NOT json_extract(i.__image, '$[1]')
      OR cleanup_encode(typeof(t."parent_id"), CASE typeof(t."parent_id") WHEN 'text' THEN CAST(t."parent_id" AS BLOB) ELSE t."parent_id" END) IS NOT json_extract(i.__image, '$[2]')
      OR cleanup_encode(typeof(t."application_id"), CASE typeof(t."application_id") WHEN 'text' THEN CAST(t."application_id" AS BLOB) ELSE t."application_id" END) IS NOT json_extract(i.__image, '$[3]')
      OR cleanup_encode(typeof(t."created_at"), CASE typeof(t."created_at") WHEN 'text' THEN CAST(t."created_at" AS BLOB) ELSE t."created_at" END) IS NOT json_extract(i.__image, '$[4]')
      OR cleanup_encode(typeof(t."updated_at"), CASE typeof(t."updated_at") WHEN 'text' THEN CAST(t."updated_at" AS BLOB) ELSE t."updated_at" END) IS NOT json_extract(i.__image, '$[5]')) AS differs
      FROM images AS i
      JOIN "main"."folders" AS t ON t."id" = i."id"
)
SELECT 'changed', point, row_key, 1 FROM compared WHERE differs
 UNION ALL
SELECT 'same', NULL, NULL, count(*) FROM compared WHERE NOT differs
 UNION ALL
SELECT 'journaled', NULL, NULL, count(*) FROM images;

DELETE FROM "main"."folders"
 WHERE ("id") IN (
       WITH images AS MATERIALIZED (
           -- The rows as they were. What begins with underscores is not theirs.
           SELECT cells.*,
                  CASE substr(json_extract(cells.__image, '$[0]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[0]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[0]')) END AS "id",
                  CASE substr(json_extract(cells.__image, '$[1]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[1]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[1]')) END AS "name",
                  CASE substr(json_extract(cells.__image, '$[2]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[2]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[2]')) END AS "parent_id",
                  CASE substr(json_extract(cells.__image, '$[3]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[3]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[3]')) END AS "application_id",
                  CASE substr(json_extract(cells.__image, '$[4]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[4]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[4]')) END AS "created_at",
                  CASE substr(json_extract(cells.__image, '$[5]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[5]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[5]')) END AS "updated_at"
             FROM (SELECT s.point_id AS __point, e.value AS __image, json_array(json_extract(e.value, '$[0]')) AS __key
                     FROM cleanup_snapshotrow AS s, json_each(s.images) AS e
                    WHERE s.kind = 'inserted' AND s."table" = %(table)s
                      AND s.point_id IN (SELECT value FROM json_each(%(points)s))
                      AND s.step = %(step)s
                  ) AS cells
       )
       SELECT t."id"
         FROM images AS i
         JOIN "main"."folders" AS t ON t."id" = i."id"
        WHERE NOT (cleanup_encode(typeof(t."id"), CASE typeof(t."id") WHEN 'text' THEN CAST(t."id" AS BLOB) ELSE t."id" END) IS NOT json_extract(i.__image, '$[0]')
          OR cleanup_encode(typeof(t."name"), CASE typeof(t."name") WHEN 'text' THEN CAST(t."name" AS BLOB) ELSE t."name" END) IS NOT json_extract(i.__image, '$[1]')
          OR cleanup_encode(typeof(t."parent_id"), CASE typeof(t."parent_id") WHEN 'text' THEN CAST(t."parent_id" AS BLOB) ELSE t."parent_id" END) IS NOT json_extract(i.__image, '$[2]')
          OR cleanup_encode(typeof(t."application_id"), CASE typeof(t."application_id") WHEN 'text' THEN CAST(t."application_id" AS BLOB) ELSE t."application_id" END) IS NOT json_extract(i.__image, '$[3]')
          OR cleanup_encode(typeof(t."created_at"), CASE typeof(t."created_at") WHEN 'text' THEN CAST(t."created_at" AS BLOB) ELSE t."created_at" END) IS NOT json_extract(i.__image, '$[4]')
          OR cleanup_encode(typeof(t."updated_at"), CASE typeof(t."updated_at") WHEN 'text' THEN CAST(t."updated_at" AS BLOB) ELSE t."updated_at" END) IS NOT json_extract(i.__image, '$[5]')));
