-- SQLite: rows are journaled by one statement and changed by the next.

INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, changes, images)
-- Of each point, by the thousand rows: [{from: [old], to: [new], keys: [[first key column], ...]}, ...].
SELECT g.point, 'moved', %(step)s, %(table)s, sum(g.row_count),
       json_group_array(json_object(
           'from', json_array(old_folder),
           'to', json_array(new_folder),
           'keys', json_array(json(key_folder), json(key_name)))),
       json_group_array(json(images))
  FROM (SELECT point, chunk, old_folder, new_folder, count(*) AS row_count,
          json_group_array(key_folder) AS key_folder,
          json_group_array(key_name) AS key_name,
          json_group_array(json_array(json(before), json(NULL))) AS images
     FROM (
           -- By point, so that rows of many points that come by turns make no more chunks than need be.
           SELECT *, (row_number() OVER (PARTITION BY point) - 1) / 1000 AS chunk
             FROM (
               SELECT given.point AS point,
                      cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) AS old_folder,
                      given.new_folder AS new_folder,
                      cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) AS key_folder,
                      cleanup_encode(typeof(t."name"), CASE typeof(t."name") WHEN 'text' THEN CAST(t."name" AS BLOB) ELSE t."name" END) AS key_name,
                      json_array(cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END), cleanup_encode(typeof(t."name"), CASE typeof(t."name") WHEN 'text' THEN CAST(t."name" AS BLOB) ELSE t."name" END), cleanup_encode(typeof(t."shade"), CASE typeof(t."shade") WHEN 'text' THEN CAST(t."shade" AS BLOB) ELSE t."shade" END)) AS before
                 FROM (
                   WITH given AS MATERIALIZED (
                     -- The old value as the column would hold it, by which its index finds it.
                     SELECT cells.*,
                            (SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(cells.old_folder, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.old_folder) AS TEXT) ELSE cleanup_decode(cells.old_folder) END AS a)) AS held_folder
                       FROM (SELECT json_extract(value, '$[0]') AS point, json_extract(value, '$[1]') AS rank, json_extract(value, '$[2]') AS old_folder, json_extract(value, '$[3]') AS new_folder
                               FROM json_each(%(pairs_0)s)) AS cells
                   )
                   SELECT * FROM given
                 ) AS given
                 CROSS JOIN "main"."labels" AS t
                 ON t."folder" = given.held_folder COLLATE BINARY
             ) AS moved
          ) AS numbered
    GROUP BY point, chunk, old_folder, new_folder) AS g
 GROUP BY g.point, g.chunk
RETURNING point_id, row_count;

UPDATE "main"."labels" AS t
   SET "folder" = given.value_folder
  FROM (
    WITH given AS MATERIALIZED (
      -- The old value as the column would hold it, by which its index finds it.
      SELECT cells.*,
             (SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(cells.old_folder, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.old_folder) AS TEXT) ELSE cleanup_decode(cells.old_folder) END AS a)) AS held_folder
        FROM (SELECT json_extract(value, '$[0]') AS point, json_extract(value, '$[1]') AS rank, json_extract(value, '$[2]') AS old_folder, json_extract(value, '$[3]') AS new_folder
                FROM json_each(%(pairs_0)s)) AS cells
    )
    SELECT given.*,
           CASE substr(given.new_folder, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(given.new_folder) AS TEXT) ELSE cleanup_decode(given.new_folder) END AS value_folder
      FROM given
  ) AS given
 WHERE t."folder" = given.held_folder COLLATE BINARY;
