-- SQLite: rows are journaled by one statement and changed by the next.

INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, images)
SELECT point, 'removed', %(step)s, %(table)s, count(*), json_group_array(json(image))
  FROM (SELECT point, image, (row_number() OVER (PARTITION BY point) - 1) / 1000 AS chunk
          FROM (
            WITH given AS MATERIALIZED (
              SELECT json_extract(value, '$[0]') AS point,
                     CASE substr(json_extract(value, '$[1]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(value, '$[1]')) AS TEXT) ELSE cleanup_decode(json_extract(value, '$[1]')) END AS raw_folder,
                     CASE substr(json_extract(value, '$[2]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(value, '$[2]')) AS TEXT) ELSE cleanup_decode(json_extract(value, '$[2]')) END AS raw_name
                FROM json_each(%(rows)s)
            )
            SELECT given.point AS point,
                   json_array(cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END), cleanup_encode(typeof(t."name"), CASE typeof(t."name") WHEN 'text' THEN CAST(t."name" AS BLOB) ELSE t."name" END), cleanup_encode(typeof(t."shade"), CASE typeof(t."shade") WHEN 'text' THEN CAST(t."shade" AS BLOB) ELSE t."shade" END)) AS image
              FROM given
             CROSS JOIN "main"."labels" AS t ON t."folder" = given.raw_folder AND t."name" = given.raw_name
          ) AS removed) AS numbered
 GROUP BY point, chunk
RETURNING point_id, row_count;

DELETE FROM "main"."labels"
 WHERE ("folder", "name") IN (
       SELECT raw_folder, raw_name
         FROM (
           SELECT json_extract(value, '$[0]') AS point,
                  CASE substr(json_extract(value, '$[1]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(value, '$[1]')) AS TEXT) ELSE cleanup_decode(json_extract(value, '$[1]')) END AS raw_folder,
                  CASE substr(json_extract(value, '$[2]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(value, '$[2]')) AS TEXT) ELSE cleanup_decode(json_extract(value, '$[2]')) END AS raw_name
             FROM json_each(%(rows)s)
         ));
