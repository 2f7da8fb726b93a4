-- SQLite: undo, by statements that compare first and change then.

WITH changes AS MATERIALIZED (
    -- Each change: the old and the new cells, the old value to give back, the new cell as the column keeps
    -- it, which is as much the cleanup's as the one it was given in, and the keys of its rows.
    SELECT *,
           cleanup_encode(typeof(held_folder_id), CASE typeof(held_folder_id) WHEN 'text' THEN CAST(held_folder_id AS BLOB) ELSE held_folder_id END) AS kept_folder_id
      FROM (SELECT cells.*,
                   CASE substr(cells.old_folder_id, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.old_folder_id) AS TEXT) ELSE cleanup_decode(cells.old_folder_id) END AS value_folder_id,
                   (SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(cells.new_folder_id, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.new_folder_id) AS TEXT) ELSE cleanup_decode(cells.new_folder_id) END AS a)) AS held_folder_id
              FROM (SELECT s.point_id AS point,
                           json_extract(e.value, '$.from[0]') AS old_folder_id,
                           json_extract(e.value, '$.to[0]') AS new_folder_id,
                           json_extract(e.value, '$.keys[0]') AS keys_id
                      FROM cleanup_snapshotrow AS s, json_each(s.changes) AS e
                     WHERE s.kind = 'moved' AND s."table" = %(table)s
                       AND s.point_id IN (SELECT value FROM json_each(%(points)s))
                       AND s.step = %(step)s
                   ) AS cells
           ) AS held
), journaled AS MATERIALIZED (
    -- One line for each row that moved, with the key that it has now; without the lists that its change has.
    SELECT cells.*,
           CASE substr(cells.key_id, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.key_id) AS TEXT) ELSE cleanup_decode(cells.key_id) END AS raw_id
      FROM (SELECT c.point, c.old_folder_id, c.new_folder_id, c.value_folder_id, c.kept_folder_id, e.value AS key_id FROM changes AS c, json_each(c.keys_id) AS e) AS cells
), verdicts AS MATERIALIZED (
    -- Keys that were journaled are not null: a null key is not a row.
    SELECT j.*,
           CASE WHEN t."id" IS NULL THEN 'row_missing'
                WHEN cleanup_encode(typeof(t."folder_id"), CASE typeof(t."folder_id") WHEN 'text' THEN CAST(t."folder_id" AS BLOB) ELSE t."folder_id" END) IS j.old_folder_id THEN 'same'
                WHEN (coalesce(cleanup_encode(typeof(t."folder_id"), CASE typeof(t."folder_id") WHEN 'text' THEN CAST(t."folder_id" AS BLOB) ELSE t."folder_id" END) IN (j.old_folder_id, j.new_folder_id, j.kept_folder_id), 0) OR cleanup_encode(typeof(t."folder_id"), CASE typeof(t."folder_id") WHEN 'text' THEN CAST(t."folder_id" AS BLOB) ELSE t."folder_id" END) IS NULL AND (j.old_folder_id IS NULL OR j.new_folder_id IS NULL)) THEN 'restore'
                ELSE 'changed' END AS verdict
      FROM journaled AS j
      LEFT JOIN "main"."files" AS t ON t."id" = j.raw_id
)
SELECT point, verdict, count(*) AS row_count, NULL AS key, NULL AS new
  FROM verdicts
 WHERE verdict IN ('restore', 'same')
 GROUP BY point, verdict
 UNION ALL
SELECT point, verdict, 1, json_array(key_id), json_array(new_folder_id)
  FROM verdicts
 WHERE verdict NOT IN ('restore', 'same');

UPDATE "main"."files" AS t
   SET "folder_id" = j.value_folder_id
  FROM (
    WITH changes AS MATERIALIZED (
        -- Each change: the old and the new cells, the old value to give back, the new cell as the column keeps
        -- it, which is as much the cleanup's as the one it was given in, and the keys of its rows.
        SELECT *,
               cleanup_encode(typeof(held_folder_id), CASE typeof(held_folder_id) WHEN 'text' THEN CAST(held_folder_id AS BLOB) ELSE held_folder_id END) AS kept_folder_id
          FROM (SELECT cells.*,
                       CASE substr(cells.old_folder_id, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.old_folder_id) AS TEXT) ELSE cleanup_decode(cells.old_folder_id) END AS value_folder_id,
                       (SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(cells.new_folder_id, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.new_folder_id) AS TEXT) ELSE cleanup_decode(cells.new_folder_id) END AS a)) AS held_folder_id
                  FROM (SELECT s.point_id AS point,
                               json_extract(e.value, '$.from[0]') AS old_folder_id,
                               json_extract(e.value, '$.to[0]') AS new_folder_id,
                               json_extract(e.value, '$.keys[0]') AS keys_id
                          FROM cleanup_snapshotrow AS s, json_each(s.changes) AS e
                         WHERE s.kind = 'moved' AND s."table" = %(table)s
                           AND s.point_id IN (SELECT value FROM json_each(%(points)s))
                           AND s.step = %(step)s
                       ) AS cells
               ) AS held
    ), journaled AS MATERIALIZED (
        -- One line for each row that moved, with the key that it has now; without the lists that its change has.
        SELECT cells.*,
               CASE substr(cells.key_id, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.key_id) AS TEXT) ELSE cleanup_decode(cells.key_id) END AS raw_id
          FROM (SELECT c.point, c.old_folder_id, c.new_folder_id, c.value_folder_id, c.kept_folder_id, e.value AS key_id FROM changes AS c, json_each(c.keys_id) AS e) AS cells
    ), verdicts AS MATERIALIZED (
        -- Keys that were journaled are not null: a null key is not a row.
        SELECT j.*,
               CASE WHEN t."id" IS NULL THEN 'row_missing'
                    WHEN cleanup_encode(typeof(t."folder_id"), CASE typeof(t."folder_id") WHEN 'text' THEN CAST(t."folder_id" AS BLOB) ELSE t."folder_id" END) IS j.old_folder_id THEN 'same'
                    WHEN (coalesce(cleanup_encode(typeof(t."folder_id"), CASE typeof(t."folder_id") WHEN 'text' THEN CAST(t."folder_id" AS BLOB) ELSE t."folder_id" END) IN (j.old_folder_id, j.new_folder_id, j.kept_folder_id), 0) OR cleanup_encode(typeof(t."folder_id"), CASE typeof(t."folder_id") WHEN 'text' THEN CAST(t."folder_id" AS BLOB) ELSE t."folder_id" END) IS NULL AND (j.old_folder_id IS NULL OR j.new_folder_id IS NULL)) THEN 'restore'
                    ELSE 'changed' END AS verdict
          FROM journaled AS j
          LEFT JOIN "main"."files" AS t ON t."id" = j.raw_id
    )
    SELECT * FROM verdicts WHERE verdict = 'restore'
  ) AS j
 WHERE t."id" = j.raw_id;
