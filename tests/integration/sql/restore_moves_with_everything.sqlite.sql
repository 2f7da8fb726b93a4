-- SQLite: undo, by statements that compare first and change then.

WITH changes AS MATERIALIZED (
    -- Each change: the old and the new cells, the old value to give back, the new cell as the column keeps
    -- it, which is as much the cleanup's as the one it was given in, and the keys of its rows.
    SELECT *,
           cleanup_encode(typeof(held_folder), CASE typeof(held_folder) WHEN 'text' THEN CAST(held_folder AS BLOB) ELSE held_folder END) AS kept_folder
      FROM (SELECT cells.*,
                   CASE substr(cells.old_folder, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.old_folder) AS TEXT) ELSE cleanup_decode(cells.old_folder) END AS value_folder,
                   (SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(cells.new_folder, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.new_folder) AS TEXT) ELSE cleanup_decode(cells.new_folder) END AS a)) AS held_folder
              FROM (SELECT s.point_id AS point,
                           json_extract(e.value, '$.from[0]') AS old_folder,
                           json_extract(e.value, '$.to[0]') AS new_folder,
                           json_extract(e.value, '$.keys[0]') AS keys_folder,
                           json_extract(e.value, '$.keys[1]') AS keys_name
                      FROM cleanup_snapshotrow AS s, json_each(s.changes) AS e
                     WHERE s.kind = 'moved' AND s."table" = %(table)s
                       AND s.point_id IN (SELECT value FROM json_each(%(points)s))
                       AND s.step = %(step)s
                   ) AS cells
           ) AS held
), journaled AS MATERIALIZED (
    -- One line for each row that moved, with the key that it has now; without the lists that its change has.
    SELECT cells.*,
           CASE substr(cells.new_folder, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.new_folder) AS TEXT) ELSE cleanup_decode(cells.new_folder) END AS raw_folder,
           CASE substr(cells.key_name, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.key_name) AS TEXT) ELSE cleanup_decode(cells.key_name) END AS raw_name
      FROM (SELECT c.point, c.old_folder, c.new_folder, c.value_folder, c.kept_folder, e.value AS key_folder, json_extract(c.keys_name, '$[' || e.key || ']') AS key_name FROM changes AS c, json_each(c.keys_folder) AS e) AS cells
), verdicts AS MATERIALIZED (
    -- Keys that were journaled are not null: a null key is not a row.
    SELECT j.*,
           CASE WHEN t."folder" IS NULL THEN CASE WHEN EXISTS (SELECT 1
                               FROM "main"."labels" AS t
                              WHERE t."folder" = j.value_folder AND t."name" = j.raw_name
                                AND cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) IS j.old_folder) THEN 'same' ELSE 'row_missing' END
                WHEN cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) IS j.old_folder THEN 'same'
                WHEN (coalesce(cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) IN (j.old_folder, j.new_folder, j.kept_folder), 0) OR cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) IS NULL AND (j.old_folder IS NULL OR j.new_folder IS NULL)) THEN 'restore'
                ELSE 'changed' END AS verdict
      FROM journaled AS j
      LEFT JOIN "main"."labels" AS t ON t."folder" = j.raw_folder AND t."name" = j.raw_name
)
SELECT point, verdict, count(*) AS row_count, NULL AS key, NULL AS new
  FROM verdicts
 WHERE verdict IN ('restore', 'same')
 GROUP BY point, verdict
 UNION ALL
SELECT point, verdict, 1, json_array(key_folder, key_name), json_array(new_folder)
  FROM verdicts
 WHERE verdict NOT IN ('restore', 'same');

UPDATE "main"."labels" AS t
   SET "folder" = j.value_folder
  FROM (
    WITH changes AS MATERIALIZED (
        -- Each change: the old and the new cells, the old value to give back, the new cell as the column keeps
        -- it, which is as much the cleanup's as the one it was given in, and the keys of its rows.
        SELECT *,
               cleanup_encode(typeof(held_folder), CASE typeof(held_folder) WHEN 'text' THEN CAST(held_folder AS BLOB) ELSE held_folder END) AS kept_folder
          FROM (SELECT cells.*,
                       CASE substr(cells.old_folder, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.old_folder) AS TEXT) ELSE cleanup_decode(cells.old_folder) END AS value_folder,
                       (SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(cells.new_folder, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.new_folder) AS TEXT) ELSE cleanup_decode(cells.new_folder) END AS a)) AS held_folder
                  FROM (SELECT s.point_id AS point,
                               json_extract(e.value, '$.from[0]') AS old_folder,
                               json_extract(e.value, '$.to[0]') AS new_folder,
                               json_extract(e.value, '$.keys[0]') AS keys_folder,
                               json_extract(e.value, '$.keys[1]') AS keys_name
                          FROM cleanup_snapshotrow AS s, json_each(s.changes) AS e
                         WHERE s.kind = 'moved' AND s."table" = %(table)s
                           AND s.point_id IN (SELECT value FROM json_each(%(points)s))
                           AND s.step = %(step)s
                       ) AS cells
               ) AS held
    ), journaled AS MATERIALIZED (
        -- One line for each row that moved, with the key that it has now; without the lists that its change has.
        SELECT cells.*,
               CASE substr(cells.new_folder, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.new_folder) AS TEXT) ELSE cleanup_decode(cells.new_folder) END AS raw_folder,
               CASE substr(cells.key_name, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(cells.key_name) AS TEXT) ELSE cleanup_decode(cells.key_name) END AS raw_name
          FROM (SELECT c.point, c.old_folder, c.new_folder, c.value_folder, c.kept_folder, e.value AS key_folder, json_extract(c.keys_name, '$[' || e.key || ']') AS key_name FROM changes AS c, json_each(c.keys_folder) AS e) AS cells
    ), verdicts AS MATERIALIZED (
        -- Keys that were journaled are not null: a null key is not a row.
        SELECT j.*,
               CASE WHEN t."folder" IS NULL THEN CASE WHEN EXISTS (SELECT 1
                                   FROM "main"."labels" AS t
                                  WHERE t."folder" = j.value_folder AND t."name" = j.raw_name
                                    AND cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) IS j.old_folder) THEN 'same' ELSE 'row_missing' END
                    WHEN cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) IS j.old_folder THEN 'same'
                    WHEN (coalesce(cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) IN (j.old_folder, j.new_folder, j.kept_folder), 0) OR cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) IS NULL AND (j.old_folder IS NULL OR j.new_folder IS NULL)) THEN 'restore'
                    ELSE 'changed' END AS verdict
          FROM journaled AS j
          LEFT JOIN "main"."labels" AS t ON t."folder" = j.raw_folder AND t."name" = j.raw_name
    )
    SELECT * FROM verdicts WHERE verdict = 'restore'
  ) AS j
 WHERE t."folder" = j.raw_folder AND t."name" = j.raw_name;
