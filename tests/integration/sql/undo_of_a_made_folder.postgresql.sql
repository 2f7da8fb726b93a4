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
     WHERE s.kind = 'inserted' AND s."table" = %(table)s
       AND s.point_id = ANY(%(points)s)
       AND s.step = %(step)s
    -- Has the planner expect as many as the journal counts; with one more, so that too many show.
    LIMIT 2
), compared AS (
    SELECT i.__point AS point, i.__key AS row_key, (t."id"::text IS DISTINCT FROM i."id"::text
      OR t."name"::text IS DISTINCT FROM i."name"::text
      OR t."parent_id"::text IS DISTINCT FROM i."parent_id"::text
      OR t."application_id"::text IS DISTINCT FROM i."application_id"::text
      OR t."created_at"::text IS DISTINCT FROM i."created_at"::text
      OR t."updated_at"::text IS DISTINCT FROM i."updated_at"::text) AS differs
      FROM images AS i
      JOIN "public"."folders" AS t ON t."id" = i."id"
)
SELECT 'changed', point, row_key, 1 FROM compared WHERE differs
 UNION ALL
SELECT 'same', NULL, NULL, count(*) FROM compared WHERE NOT differs
 UNION ALL
SELECT 'journaled', NULL, NULL, count(*) FROM images;

DELETE FROM "public"."folders"
 WHERE ("id") IN (
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
            WHERE s.kind = 'inserted' AND s."table" = %(table)s
              AND s.point_id = ANY(%(points)s)
              AND s.step = %(step)s
           -- Has the planner expect as many as the journal counts; with one more, so that too many show.
           LIMIT 2
       )
       SELECT t."id"
         FROM images AS i
         JOIN "public"."folders" AS t ON t."id" = i."id"
        WHERE NOT (t."id"::text IS DISTINCT FROM i."id"::text
          OR t."name"::text IS DISTINCT FROM i."name"::text
          OR t."parent_id"::text IS DISTINCT FROM i."parent_id"::text
          OR t."application_id"::text IS DISTINCT FROM i."application_id"::text
          OR t."created_at"::text IS DISTINCT FROM i."created_at"::text
          OR t."updated_at"::text IS DISTINCT FROM i."updated_at"::text));
