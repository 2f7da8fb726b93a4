-- Insert removed rows again, all or none, in one statement.
--
-- Returns a line for each problem, with its code; by point, the rows ``to_insert``, which are if there is no
-- problem; the number of ``images``; and last, of the rows that were ``inserted``.

WITH images AS MATERIALIZED (
    -- The rows as they were, in the types of their columns. What begins with underscores is not theirs.
    SELECT s.point_id AS __point,
           ARRAY[(e.value->>0)::uuid::text, (e.value->>1)::text::text] AS __key,
           (e.value->>0)::uuid AS "folder",
           (e.value->>1)::text AS "name",
           (e.value->>2)::integer AS "shade"
      FROM cleanup_snapshotrow AS s,
           json_array_elements(s.images::json) AS e(value)
     WHERE s.kind = 'removed' AND s."table" = %(table)s
       AND s.point_id = ANY(%(points)s)
       AND s.step = %(step)s
    -- Has the planner expect as many as the journal counts; with one more, so that too many show.
    LIMIT 2
), compared AS MATERIALIZED (
    -- Each image beside the row that has its key now, if there is one.
    SELECT i.*,
           t."folder" IS NOT NULL AS __there,
           t."folder" IS NOT NULL
           AND (t."folder"::text IS DISTINCT FROM i."folder"::text
             OR t."name"::text IS DISTINCT FROM i."name"::text
             OR t."shade"::text IS DISTINCT FROM i."shade"::text) AS __differs
      FROM images AS i
      LEFT JOIN "public"."labels" AS t ON t."folder" = i."folder" AND t."name" = i."name"
), problems(code, point, key, columns, constraint_name) AS MATERIALIZED (
    -- What the database would refuse, all of it and by row, where an error of its own would tell the first.
    SELECT 'row_exists', i.__point, i.__key, '', '' FROM compared AS i WHERE i.__differs
    UNION ALL
    SELECT 'unique_taken', i.__point, i.__key, 'folder+shade', 'labels_folder_shade_key'
      -- In subqueries, where the index's own expressions find its columns by their bare names.
      FROM (SELECT __point, __key, "folder" AS __key_folder, "name" AS __key_name, (folder) AS __part_0, (shade) AS __part_1
              FROM images
           ) AS i
      JOIN (SELECT "folder" AS __key_folder, "name" AS __key_name, (folder) AS __part_0, (shade) AS __part_1
              FROM "public"."labels"
           ) AS other
        ON i.__part_0 = other.__part_0 AND i.__part_1 = other.__part_1
     WHERE NOT (other.__key_folder = i.__key_folder AND other.__key_name = i.__key_name)
    UNION ALL
    SELECT 'missing_target', i.__point, i.__key, 'folder', 'labels_folder_fkey'
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
SELECT code, point, key, columns, constraint_name, 1 AS row_count FROM problems
UNION ALL
SELECT 'to_insert', __point, NULL, NULL, NULL, count(*) FROM compared WHERE NOT __there GROUP BY __point
UNION ALL
SELECT 'images', NULL, NULL, NULL, NULL, count(*) FROM images
UNION ALL
SELECT 'inserted', NULL, NULL, NULL, NULL, count(*) FROM inserted;
