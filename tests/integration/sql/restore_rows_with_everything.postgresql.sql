-- Insert removed rows again, all or none, in one statement.
--
-- Returns a line for each problem, with its code; else, without a code, by point the rows to insert; with an empty
-- code, the number of images; last, the number of rows that were inserted.

WITH images AS MATERIALIZED (
    SELECT s.point_id AS __point, ARRAY[(e.value->>0)::uuid::text, (e.value->>1)::text::text] AS __key, (e.value->>0)::uuid AS "folder", (e.value->>1)::text AS "name", (e.value->>2)::integer AS "shade"
      FROM cleanup_snapshotrow AS s,
           json_array_elements(s.images::json) AS e(value)
     WHERE s.kind = 'removed' AND s."table" = %(table)s AND s.point_id = ANY(%(points)s)
       AND s.step = %(step)s
    LIMIT 2
), compared AS MATERIALIZED (
    -- Each image beside the row that has its key now, if there is one.
    SELECT i.*, t."folder" IS NOT NULL AS __there, t."folder" IS NOT NULL AND (t."folder"::text IS DISTINCT FROM i."folder"::text
      OR t."name"::text IS DISTINCT FROM i."name"::text
      OR t."shade"::text IS DISTINCT FROM i."shade"::text) AS __differs
      FROM images AS i
      LEFT JOIN "public"."labels" AS t ON t."folder" = i."folder" AND t."name" = i."name"
), problems(point, code, key, columns, name) AS MATERIALIZED (
    -- Told before the database would refuse: its keys and constraints are what holds in the end.
    SELECT i.__point, 'row_exists', i.__key, '', '' FROM compared AS i WHERE i.__differs
    UNION ALL
    SELECT a.__point, 'unique_taken', a.__key, CAST('folder+shade' AS text), CAST('labels_folder_shade_key' AS text)
      FROM (SELECT __point, __key, "folder" AS __key_folder, "name" AS __key_name, (folder) AS __part_0, (shade) AS __part_1 FROM images ) AS a
      JOIN (SELECT "folder" AS __key_folder, "name" AS __key_name, (folder) AS __part_0, (shade) AS __part_1 FROM "public"."labels" ) AS b ON a.__part_0 = b.__part_0 AND a.__part_1 = b.__part_1
     WHERE NOT (b.__key_folder = a.__key_folder AND b.__key_name = a.__key_name)
    UNION ALL
    SELECT i.__point, 'missing_target', i.__key, CAST('folder' AS text), CAST('labels_folder_fkey' AS text)
      FROM compared AS i
     WHERE NOT i.__there AND i."folder" IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM "public"."folders" AS f WHERE f."id" = i."folder")
), inserted AS (
    -- All of them, or none if there is any problem; an identity column takes the value that it had.
    INSERT INTO "public"."labels" ("folder", "name", "shade") OVERRIDING SYSTEM VALUE
    SELECT "folder", "name", "shade"
      FROM compared
     WHERE NOT __there AND NOT EXISTS (SELECT FROM problems)
    RETURNING 1
)
SELECT point, code, key, columns, name, 0 AS row_count FROM problems
UNION ALL
SELECT __point, NULL, NULL, NULL, NULL, count(*) FROM compared WHERE NOT __there GROUP BY __point
UNION ALL
SELECT NULL, '', NULL, NULL, NULL, count(*) FROM images
UNION ALL
SELECT NULL, 'inserted', NULL, NULL, NULL, count(*) FROM inserted;
