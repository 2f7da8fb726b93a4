-- SQLite: rows are journaled by one statement and changed by the next.

INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, changes, images)
-- Of each point, by the thousand rows: [{from: [old], to: [new], keys: [[first key column], ...]}, ...].
SELECT g.point, 'moved', %(step)s, %(table)s, sum(g.row_count),
       json_group_array(json_object(
           'from', json_array(old_folder_id),
           'to', json_array(new_folder_id),
           'keys', json_array(json(key_id)))),
       NULL
  FROM (SELECT point, chunk, old_folder_id, new_folder_id, count(*) AS row_count,
          json_group_array(key_id) AS key_id
     FROM (
           -- By point, so that rows of many points that come by turns make no more chunks than need be.
           SELECT *, (row_number() OVER (PARTITION BY point) - 1) / 1000 AS chunk
             FROM (
               SELECT given.point AS point,
                      cleanup_encode(typeof(t."folder_id"), CASE typeof(t."folder_id") WHEN 'text' THEN CAST(t."folder_id" AS BLOB) ELSE t."folder_id" END) AS old_folder_id,
                      given.new_folder_id AS new_folder_id,
                      cleanup_encode(typeof(t."id"), CASE typeof(t."id") WHEN 'text' THEN CAST(t."id" AS BLOB) ELSE t."id" END) AS key_id
                 FROM (
                   WITH given AS MATERIALIZED (
                     -- The old value as the column would hold it, by which its index finds it.
                     SELECT cells.*,
                            (SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(cells.old_folder_id, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.old_folder_id) AS TEXT) ELSE cleanup_decode(cells.old_folder_id) END AS a)) AS held_folder_id
                       FROM (SELECT json_extract(value, '$[0]') AS point, json_extract(value, '$[1]') AS rank, json_extract(value, '$[2]') AS old_folder_id, json_extract(value, '$[3]') AS new_folder_id
                               FROM json_each(%(pairs_0)s)) AS cells
                   )
                   SELECT * FROM given
                 ) AS given
                 CROSS JOIN "main"."files" AS t
                 ON t."folder_id" = given.held_folder_id COLLATE BINARY
             ) AS moved
          ) AS numbered
    GROUP BY point, chunk, old_folder_id, new_folder_id) AS g
 GROUP BY g.point, g.chunk
RETURNING point_id, row_count;

UPDATE "main"."files" AS t
   SET "folder_id" = given.value_folder_id
  FROM (
    WITH given AS MATERIALIZED (
      -- The old value as the column would hold it, by which its index finds it.
      SELECT cells.*,
             (SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(cells.old_folder_id, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.old_folder_id) AS TEXT) ELSE cleanup_decode(cells.old_folder_id) END AS a)) AS held_folder_id
        FROM (SELECT json_extract(value, '$[0]') AS point, json_extract(value, '$[1]') AS rank, json_extract(value, '$[2]') AS old_folder_id, json_extract(value, '$[3]') AS new_folder_id
                FROM json_each(%(pairs_0)s)) AS cells
    )
    SELECT given.*,
           CASE substr(given.new_folder_id, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(given.new_folder_id) AS TEXT) ELSE cleanup_decode(given.new_folder_id) END AS value_folder_id
      FROM given
  ) AS given
 WHERE t."folder_id" = given.held_folder_id COLLATE BINARY;
