-- Insert removed rows again, all or none, in one statement.
--
-- Returns a line for each problem, with its code; by point, the rows ``to_insert``, which are if there is no
-- problem; the number of ``images``; and last, of the rows that were ``inserted``.

WITH images AS MATERIALIZED (
    -- The rows as they were, in the types of their columns. What begins with underscores is not theirs.
    SELECT s.point_id AS __point,
           ARRAY[(e.value->>0)::uuid::text] AS __key,
           (e.value->>0)::uuid AS "id",
           (e.value->>1)::character varying AS "name",
           (e.value->>2)::uuid AS "parent_id",
           (e.value->>3)::uuid AS "application_id",
           (e.value->>4)::timestamp with time zone AS "created_at",
           (e.value->>5)::timestamp with time zone AS "updated_at"
      FROM cleanup_snapshotrow AS s,
           json_array_elements(s.images::json) AS e(value)
     WHERE s.kind = 'removed' AND s."table" = %(table)s
       AND s.point_id = ANY(%(points)s)
       AND s.step = %(step)s
    -- Has the planner expect as many as the journal counts; with one more, so that too many show.
    LIMIT 3
), compared AS MATERIALIZED (
    -- Each image beside the row that has its key now, if there is one.
    SELECT i.*,
           t."id" IS NOT NULL AS __there,
           t."id" IS NOT NULL
           AND (t."id"::text IS DISTINCT FROM i."id"::text
             OR t."name"::text IS DISTINCT FROM i."name"::text
             OR t."parent_id"::text IS DISTINCT FROM i."parent_id"::text
             OR t."application_id"::text IS DISTINCT FROM i."application_id"::text
             OR t."created_at"::text IS DISTINCT FROM i."created_at"::text
             OR t."updated_at"::text IS DISTINCT FROM i."updated_at"::text) AS __differs
      FROM images AS i
      LEFT JOIN "public"."folders" AS t ON t."id" = i."id"
), problems(code, point, key, columns, constraint_name) AS MATERIALIZED (
    -- What the database would refuse, all of it and by row, where an error of its own would tell the first.
    SELECT 'row_exists', i.__point, i.__key, '', '' FROM compared AS i WHERE i.__differs
    UNION ALL
    SELECT 'missing_target', i.__point, i.__key, 'application_id', 'folders_application_id_0ccadc46_fk_customer_applications_id'
      FROM compared AS i
     WHERE NOT i.__there AND i."application_id" IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM "public"."customer_applications" AS f WHERE f."id" = i."application_id")
    UNION ALL
    SELECT 'missing_target', i.__point, i.__key, 'parent_id', 'folders_parent_id_bd43fe3e_fk_folders_id'
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
SELECT code, point, key, columns, constraint_name, 1 AS row_count FROM problems
UNION ALL
SELECT 'to_insert', __point, NULL, NULL, NULL, count(*) FROM compared WHERE NOT __there GROUP BY __point
UNION ALL
SELECT 'images', NULL, NULL, NULL, NULL, count(*) FROM images
UNION ALL
SELECT 'inserted', NULL, NULL, NULL, NULL, count(*) FROM inserted;
