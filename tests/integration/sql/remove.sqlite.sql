-- SQLite: rows are journaled by one statement and changed by the next.

INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, images)
SELECT point, 'removed', %(step)s, %(table)s, count(*), json_group_array(json(image))
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

INSERT INTO cleanup_removedfolder (folder_key, survivor_key, name, point_id)
-- Where each folder went, for programs that still ask for it.
SELECT given.removed, given.survivor,
       cleanup_name(cleanup_encode(typeof(t."name"), CASE typeof(t."name") WHEN 'text' THEN CAST(t."name" AS BLOB) ELSE t."name" END), %(longest)s),
       given.point
  FROM (SELECT json_extract(value, '$[0]') AS point, json_extract(value, '$[2]') AS removed, json_extract(value, '$[3]') AS survivor,
               CASE substr(json_extract(value, '$[1]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(value, '$[1]')) AS TEXT) ELSE cleanup_decode(json_extract(value, '$[1]')) END AS raw_id
          FROM json_each(%(addresses)s)) AS given
 CROSS JOIN "main"."folders" AS t ON t."id" = given.raw_id;

DELETE FROM "main"."folders"
 WHERE ("id") IN (
       SELECT raw_id
         FROM (
           SELECT json_extract(value, '$[0]') AS point,
                  CASE substr(json_extract(value, '$[1]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(value, '$[1]')) AS TEXT) ELSE cleanup_decode(json_extract(value, '$[1]')) END AS raw_id
             FROM json_each(%(rows)s)
         ));
