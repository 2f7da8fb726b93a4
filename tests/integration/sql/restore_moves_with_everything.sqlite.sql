-- SQLite: undo, by statements that compare first and change then.

WITH changes AS MATERIALIZED (
    -- Each change: old and new as cells (o, n) and values (v, w), new as the column keeps it (x), and the
    -- keys of its rows.
    SELECT s.*, CASE substr(s.o0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(s.o0) AS TEXT) ELSE cleanup_decode(s.o0) END AS v0, CASE substr(s.n0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(s.n0) AS TEXT) ELSE cleanup_decode(s.n0) END AS w0, cleanup_encode(typeof((SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(s.n0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(s.n0) AS TEXT) ELSE cleanup_decode(s.n0) END AS a))), CASE typeof((SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(s.n0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(s.n0) AS TEXT) ELSE cleanup_decode(s.n0) END AS a))) WHEN 'text' THEN CAST((SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(s.n0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(s.n0) AS TEXT) ELSE cleanup_decode(s.n0) END AS a)) AS BLOB) ELSE (SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(s.n0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(s.n0) AS TEXT) ELSE cleanup_decode(s.n0) END AS a)) END) AS x0
      FROM (SELECT s.point_id AS point, json_extract(e.value, '$.from[0]') AS o0, json_extract(e.value, '$.to[0]') AS n0, json_extract(e.value, '$.keys[0]') AS keys0, json_extract(e.value, '$.keys[1]') AS keys1
              FROM cleanup_snapshotrow AS s, json_each(s.changes) AS e
             WHERE s.kind = 'moved' AND s.step = %(step)s AND s."table" = %(table)s
               AND s.point_id IN (SELECT value FROM json_each(%(points)s))
               ) AS s
), journaled AS MATERIALIZED (
    -- One line for each row that moved, with the key that it has now.
    SELECT q.*, q.w0 AS d0, CASE substr(q.k1, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(q.k1) AS TEXT) ELSE cleanup_decode(q.k1) END AS d1
      FROM (SELECT c.*, e.value AS k0, json_extract(c.keys1, '$[' || e.key || ']') AS k1 FROM changes AS c, json_each(c.keys0) AS e) AS q
), verdicts AS MATERIALIZED (
    -- Keys that were journaled are not null: a null key is no row.
    SELECT j.*,
           CASE WHEN t."folder" IS NULL THEN 'row_missing'
                WHEN cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) IS j.o0 THEN 'same'
                WHEN (coalesce(cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) IN (j.n0, j.x0, j.o0), 0) OR cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) IS NULL AND (j.n0 IS NULL OR j.o0 IS NULL)) THEN 'restore'
                ELSE 'changed' END AS verdict
      FROM journaled AS j
      LEFT JOIN "main"."labels" AS t ON t."folder" = j.d0 AND t."name" = j.d1
)
SELECT point, verdict, count(*), NULL, NULL
  FROM verdicts
 WHERE verdict IN ('restore', 'same')
 GROUP BY point, verdict
 UNION ALL
SELECT point, verdict, 1, json_array(k0, k1), json_array(n0)
  FROM verdicts
 WHERE verdict NOT IN ('restore', 'same');

UPDATE "main"."labels" AS t
   SET "folder" = m.v0
  FROM (
    WITH changes AS MATERIALIZED (
        -- Each change: old and new as cells (o, n) and values (v, w), new as the column keeps it (x), and the
        -- keys of its rows.
        SELECT s.*, CASE substr(s.o0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(s.o0) AS TEXT) ELSE cleanup_decode(s.o0) END AS v0, CASE substr(s.n0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(s.n0) AS TEXT) ELSE cleanup_decode(s.n0) END AS w0, cleanup_encode(typeof((SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(s.n0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(s.n0) AS TEXT) ELSE cleanup_decode(s.n0) END AS a))), CASE typeof((SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(s.n0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(s.n0) AS TEXT) ELSE cleanup_decode(s.n0) END AS a))) WHEN 'text' THEN CAST((SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(s.n0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(s.n0) AS TEXT) ELSE cleanup_decode(s.n0) END AS a)) AS BLOB) ELSE (SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(s.n0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(s.n0) AS TEXT) ELSE cleanup_decode(s.n0) END AS a)) END) AS x0
          FROM (SELECT s.point_id AS point, json_extract(e.value, '$.from[0]') AS o0, json_extract(e.value, '$.to[0]') AS n0, json_extract(e.value, '$.keys[0]') AS keys0, json_extract(e.value, '$.keys[1]') AS keys1
                  FROM cleanup_snapshotrow AS s, json_each(s.changes) AS e
                 WHERE s.kind = 'moved' AND s.step = %(step)s AND s."table" = %(table)s
                   AND s.point_id IN (SELECT value FROM json_each(%(points)s))
                   ) AS s
    ), journaled AS MATERIALIZED (
        -- One line for each row that moved, with the key that it has now.
        SELECT q.*, q.w0 AS d0, CASE substr(q.k1, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(q.k1) AS TEXT) ELSE cleanup_decode(q.k1) END AS d1
          FROM (SELECT c.*, e.value AS k0, json_extract(c.keys1, '$[' || e.key || ']') AS k1 FROM changes AS c, json_each(c.keys0) AS e) AS q
    ), verdicts AS MATERIALIZED (
        -- Keys that were journaled are not null: a null key is no row.
        SELECT j.*,
               CASE WHEN t."folder" IS NULL THEN 'row_missing'
                    WHEN cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) IS j.o0 THEN 'same'
                    WHEN (coalesce(cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) IN (j.n0, j.x0, j.o0), 0) OR cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) IS NULL AND (j.n0 IS NULL OR j.o0 IS NULL)) THEN 'restore'
                    ELSE 'changed' END AS verdict
          FROM journaled AS j
          LEFT JOIN "main"."labels" AS t ON t."folder" = j.d0 AND t."name" = j.d1
    )
    SELECT * FROM verdicts WHERE verdict = 'restore'
  ) AS m
 WHERE t."folder" = m.d0 AND t."name" = m.d1;
