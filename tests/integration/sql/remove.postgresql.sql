-- Delete rows by their keys, and journal them, in one statement.
--
-- Nothing refers to them any more: references were moved before. Returns point and number of rows of each snapshot
-- row; the caller compares with the keys.

WITH deleted AS (
    -- Each row leaves with its image, an array of the texts of its columns. An UPDATE by others
    -- is waited for and is in the image; a row that they delete is missing in the counts.
    DELETE FROM "public"."folders" AS t
     USING unnest(%(point)s::bigint[], %(key_id)s::text[], %(survivor)s::text[])
       AS given(point, key_id, survivor)
     WHERE t."id" = given.key_id::uuid
    RETURNING given.*,
              left(t."name"::text, 255) AS name,
              to_json(ARRAY[t."id"::text, t."name"::text, t."parent_id"::text, t."application_id"::text, t."created_at"::text, t."updated_at"::text]) AS image
), redirected AS (
    -- Where each folder went, for programs that still ask for it.
    INSERT INTO cleanup_removedfolder (folder_key, survivor_key, name, point_id)
    SELECT key_id, survivor, coalesce(name, ''), point
      FROM deleted
)
INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, images)
SELECT point, 'removed', %(step)s, %(table)s, count(*), json_agg(image)::text
  FROM (SELECT point, image, (row_number() OVER (PARTITION BY point) - 1) / 1000 AS chunk
          FROM deleted) AS numbered
 GROUP BY point, chunk
RETURNING point_id, row_count;
