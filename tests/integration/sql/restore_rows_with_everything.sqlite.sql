-- SQLite: undo, by statements that compare first and change then.

WITH images AS MATERIALIZED (
    -- The rows as they were. What begins with underscores is not theirs.
    SELECT cells.*,
           CASE substr(json_extract(cells.__image, '$[0]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[0]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[0]')) END AS "folder",
           CASE substr(json_extract(cells.__image, '$[1]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[1]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[1]')) END AS "name",
           CASE substr(json_extract(cells.__image, '$[2]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[2]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[2]')) END AS "shade"
      FROM (SELECT s.point_id AS __point, e.value AS __image, json_array(json_extract(e.value, '$[0]'), json_extract(e.value, '$[1]')) AS __key
              FROM cleanup_snapshotrow AS s, json_each(s.images) AS e
             WHERE s.kind = 'removed' AND s."table" = %(table)s
               AND s.point_id IN (SELECT value FROM json_each(%(points)s))
               AND s.step = %(step)s
           ) AS cells
), compared AS MATERIALIZED (
    -- Each image beside the row that has its key now, if there is one.
    SELECT i.*,
           t."folder" IS NOT NULL AS __there,
           t."folder" IS NOT NULL
           AND (cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) IS NOT json_extract(i.__image, '$[0]')
             OR cleanup_encode(typeof(t."name"), CASE typeof(t."name") WHEN 'text' THEN CAST(t."name" AS BLOB) ELSE t."name" END) IS NOT json_extract(i.__image, '$[1]')
             OR cleanup_encode(typeof(t."shade"), CASE typeof(t."shade") WHEN 'text' THEN CAST(t."shade" AS BLOB) ELSE t."shade" END) IS NOT json_extract(i.__image, '$[2]')) AS __differs
      FROM images AS i
      LEFT JOIN "main"."labels" AS t ON t."folder" = i."folder" AND t."name" = i."name"
), problems(code, point, key, columns, constraint_name) AS MATERIALIZED (
    -- What the database would refuse, all of it and by row, where an error of its own would tell the first.
    SELECT 'row_exists', i.__point, i.__key, '', '' FROM compared AS i WHERE i.__differs
    UNION ALL
    SELECT 'unique_taken', i.__point, i.__key, 'folder+shade', 'sqlite_autoindex_labels_2'
      -- In subqueries, where the index's own expressions find its columns by their bare names.
      FROM (SELECT __point, __key, "folder" AS __key_folder, "name" AS __key_name, ("folder") AS __part_0, ("shade") AS __part_1
              FROM images
           ) AS i
      CROSS JOIN (SELECT "folder" AS __key_folder, "name" AS __key_name, ("folder") AS __part_0, ("shade") AS __part_1
              FROM "main"."labels"
           ) AS other
        ON other.__part_0 = i.__part_0 COLLATE BINARY AND other.__part_1 = i.__part_1 COLLATE BINARY
     WHERE NOT (other.__key_folder = i.__key_folder AND other.__key_name = i.__key_name)
    UNION ALL
    SELECT 'missing_target', i.__point, i.__key, 'folder', 'labels_fk0'
      FROM compared AS i
     WHERE NOT i.__there AND i."folder" IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM "main"."folders" AS f WHERE f."id" = i."folder")
)
SELECT code, point, key, columns, constraint_name, 1 AS row_count FROM problems
UNION ALL
SELECT 'to_insert', __point, NULL, NULL, NULL, count(*) FROM compared WHERE NOT __there GROUP BY __point
UNION ALL
SELECT 'images', NULL, NULL, NULL, NULL, count(*) FROM images;

INSERT INTO "main"."labels" ("folder", "name", "shade")
SELECT "folder", "name", "shade"
  FROM (
    WITH images AS MATERIALIZED (
        -- The rows as they were. What begins with underscores is not theirs.
        SELECT cells.*,
               CASE substr(json_extract(cells.__image, '$[0]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[0]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[0]')) END AS "folder",
               CASE substr(json_extract(cells.__image, '$[1]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[1]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[1]')) END AS "name",
               CASE substr(json_extract(cells.__image, '$[2]'), 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(json_extract(cells.__image, '$[2]')) AS TEXT) ELSE cleanup_decode(json_extract(cells.__image, '$[2]')) END AS "shade"
          FROM (SELECT s.point_id AS __point, e.value AS __image, json_array(json_extract(e.value, '$[0]'), json_extract(e.value, '$[1]')) AS __key
                  FROM cleanup_snapshotrow AS s, json_each(s.images) AS e
                 WHERE s.kind = 'removed' AND s."table" = %(table)s
                   AND s.point_id IN (SELECT value FROM json_each(%(points)s))
                   AND s.step = %(step)s
               ) AS cells
    )
    SELECT *
      FROM images AS i
     WHERE NOT EXISTS (SELECT 1 FROM "main"."labels" AS t WHERE t."folder" = i."folder" AND t."name" = i."name")
  );
