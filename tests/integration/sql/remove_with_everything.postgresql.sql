-- Delete rows by their keys, and journal them, in one statement.
--
-- Nothing refers to them any more: references were moved before. Returns point and number of rows of each snapshot
-- row; the caller compares with the keys.

WITH deleted AS (
    -- Each row leaves with its image, an array of the texts of its columns. An UPDATE by others
    -- is waited for and is in the image; a row that they delete is missing in the counts.
    DELETE FROM "public"."labels" AS t
     USING unnest(%(point)s::bigint[], %(key_folder)s::text[], %(key_name)s::text[])
       AS given(point, key_folder, key_name)
     WHERE t."folder" = given.key_folder::uuid AND t."name" = given.key_name::text
    RETURNING given.*,
              to_json(ARRAY[t."folder"::text, t."name"::text, t."shade"::text]) AS image
)
INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, images)
SELECT point, 'removed', %(step)s, %(table)s, count(*), json_agg(image)::text
  FROM (SELECT point, image, (row_number() OVER (PARTITION BY point) - 1) / 1000 AS chunk
          FROM deleted) AS numbered
 GROUP BY point, chunk
RETURNING point_id, row_count;
