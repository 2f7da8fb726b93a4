-- SQLite: undo, by statements that compare first and change then.

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
             WHERE s.kind = 'removed' AND s."table" = %(table)s
               AND s.point_id IN (SELECT value FROM json_each(%(points)s))
               AND s.step = %(step)s
           ) AS cells
), compared AS MATERIALIZED (
    -- Each image beside the row that has its key now, if there is one.
    SELECT i.*,
           t."id" IS NOT NULL AS __there,
           t."id" IS NOT NULL
           AND (cleanup_encode(typeof(t."id"), CASE typeof(t."id") WHEN 'text' THEN CAST(t."id" AS BLOB) ELSE t."id" END) IS NOT json_extract(i.__image, '$[0]')
             OR cleanup_encode(typeof(t."name"), CASE typeof(t."name") WHEN 'text' THEN CAST(t."name" AS BLOB) ELSE t."name" END) IS NOT json_extract(i.__image, '$[1]')
             OR cleanup_encode(typeof(t."parent_id"), CASE typeof(t."parent_id") WHEN 'text' THEN CAST(t."parent_id" AS BLOB) ELSE t."parent_id" END) IS NOT json_extract(i.__image, '$[2]')
             OR cleanup_encode(typeof(t."application_id"), CASE typeof(t."application_id") WHEN 'text' THEN CAST(t."application_id" AS BLOB) ELSE t."application_id" END) IS NOT json_extract(i.__image, '$[3]')
             OR cleanup_encode(typeof(t."created_at"), CASE typeof(t."created_at") WHEN 'text' THEN CAST(t."created_at" AS BLOB) ELSE t."created_at" END) IS NOT json_extract(i.__image, '$[4]')
             OR cleanup_encode(typeof(t."updated_at"), CASE typeof(t."updated_at") WHEN 'text' THEN CAST(t."updated_at" AS BLOB) ELSE t."updated_at" END) IS NOT json_extract(i.__image, '$[5]')) AS __differs
      FROM images AS i
      LEFT JOIN "main"."folders" AS t ON t."id" = i."id"
), problems(code, point, key, columns, constraint_name) AS MATERIALIZED (
    -- What the database would refuse, all of it and by row, where an error of its own would tell the first.
    SELECT 'row_exists', i.__point, i.__key, '', '' FROM compared AS i WHERE i.__differs
    UNION ALL
    SELECT 'missing_target', i.__point, i.__key, 'application_id', 'folders_fk0'
      FROM compared AS i
     WHERE NOT i.__there AND i."application_id" IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM "main"."customer_applications" AS f WHERE f."id" = i."application_id")
    UNION ALL
    SELECT 'missing_target', i.__point, i.__key, 'parent_id', 'folders_fk1'
      FROM compared AS i
     WHERE NOT i.__there AND i."parent_id" IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM "main"."folders" AS f WHERE f."id" = i."parent_id")
       AND (i."parent_id") NOT IN (SELECT "id" FROM images)
)
SELECT code, point, key, columns, constraint_name, 1 AS row_count FROM problems
UNION ALL
SELECT 'to_insert', __point, NULL, NULL, NULL, count(*) FROM compared WHERE NOT __there GROUP BY __point
UNION ALL
SELECT 'images', NULL, NULL, NULL, NULL, count(*) FROM images;

INSERT INTO "main"."folders" ("id", "name", "parent_id", "application_id", "created_at", "updated_at")
SELECT "id", "name", "parent_id", "application_id", "created_at", "updated_at"
  FROM (
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
                 WHERE s.kind = 'removed' AND s."table" = %(table)s
                   AND s.point_id IN (SELECT value FROM json_each(%(points)s))
                   AND s.step = %(step)s
               ) AS cells
    )
    SELECT *
      FROM images AS i
     WHERE NOT EXISTS (SELECT 1 FROM "main"."folders" AS t WHERE t."id" = i."id")
  );
