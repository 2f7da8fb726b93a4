-- Insert removed rows again, all or none, in one statement.
--
-- Returns a line for each problem, with its code; else, without a code, by point the rows to insert; with an empty
-- code, the number of images; last, the number of rows that were inserted.

WITH images AS MATERIALIZED (
    SELECT s.point_id AS __point, ARRAY[(e.value->>0)::uuid::text] AS __key, (e.value->>0)::uuid AS "id", (e.value->>1)::character varying AS "name", (e.value->>2)::uuid AS "parent_id", (e.value->>3)::uuid AS "application_id", (e.value->>4)::timestamp with time zone AS "created_at", (e.value->>5)::timestamp with time zone AS "updated_at"
      FROM cleanup_snapshotrow AS s,
           json_array_elements(s.images::json) AS e(value)
     WHERE s.kind = 'removed' AND s."table" = %(table)s AND s.point_id = ANY(%(points)s)
       AND s.step = %(step)s
    LIMIT 3
), compared AS MATERIALIZED (
    -- Each image beside the row that has its key now, if there is one.
    SELECT i.*, t."id" IS NOT NULL AS __there, t."id" IS NOT NULL AND (t."id"::text IS DISTINCT FROM i."id"::text
      OR t."name"::text IS DISTINCT FROM i."name"::text
      OR t."parent_id"::text IS DISTINCT FROM i."parent_id"::text
      OR t."application_id"::text IS DISTINCT FROM i."application_id"::text
      OR t."created_at"::text IS DISTINCT FROM i."created_at"::text
      OR t."updated_at"::text IS DISTINCT FROM i."updated_at"::text) AS __differs
      FROM images AS i
      LEFT JOIN "public"."folders" AS t ON t."id" = i."id"
), problems(point, code, key, columns, name) AS MATERIALIZED (
    -- Told before the database would refuse: its keys and constraints are what holds in the end.
    SELECT i.__point, 'row_exists', i.__key, '', '' FROM compared AS i WHERE i.__differs
    UNION ALL
    SELECT i.__point, 'missing_target', i.__key, CAST('application_id' AS text), CAST('folders_application_id_0ccadc46_fk_customer_applications_id' AS text)
      FROM compared AS i
     WHERE NOT i.__there AND i."application_id" IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM "public"."customer_applications" AS f WHERE f."id" = i."application_id")
    UNION ALL
    SELECT i.__point, 'missing_target', i.__key, CAST('parent_id' AS text), CAST('folders_parent_id_bd43fe3e_fk_folders_id' AS text)
      FROM compared AS i
     WHERE NOT i.__there AND i."parent_id" IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM "public"."folders" AS f WHERE f."id" = i."parent_id")
       AND NOT EXISTS (SELECT FROM images AS f WHERE f."id" = i."parent_id")
), inserted AS (
    -- All of them, or none if there is any problem; an identity column takes the value that it had.
    INSERT INTO "public"."folders" ("id", "name", "parent_id", "application_id", "created_at", "updated_at") OVERRIDING SYSTEM VALUE
    SELECT "id", "name", "parent_id", "application_id", "created_at", "updated_at"
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
