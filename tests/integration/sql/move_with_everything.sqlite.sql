-- SQLite: rows are journaled by one statement and changed by the next.

INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, changes, images)
WITH moved AS MATERIALIZED (
    SELECT m.point AS point, cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) AS o0, m.n0 AS n0, cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END) AS k0, cleanup_encode(typeof(t."name"), CASE typeof(t."name") WHEN 'text' THEN CAST(t."name" AS BLOB) ELSE t."name" END) AS k1, json_array(cleanup_encode(typeof(t."folder"), CASE typeof(t."folder") WHEN 'text' THEN CAST(t."folder" AS BLOB) ELSE t."folder" END), cleanup_encode(typeof(t."name"), CASE typeof(t."name") WHEN 'text' THEN CAST(t."name" AS BLOB) ELSE t."name" END), cleanup_encode(typeof(t."shade"), CASE typeof(t."shade") WHEN 'text' THEN CAST(t."shade" AS BLOB) ELSE t."shade" END)) AS image
      FROM (
        WITH m AS MATERIALIZED (
          SELECT q.*, (SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(q.o0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(q.o0) AS TEXT) ELSE cleanup_decode(q.o0) END AS a)) AS d0, (SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(q.n0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(q.n0) AS TEXT) ELSE cleanup_decode(q.n0) END AS a)) AS e0
            FROM (SELECT json_extract(value, '$[0]') AS point, json_extract(value, '$[1]') AS rank, json_extract(value, '$[2]') AS o0, json_extract(value, '$[3]') AS n0
                    FROM json_each(%(pairs_0)s)) AS q
        )
        SELECT * FROM m
      ) AS m
      CROSS JOIN "main"."labels" AS t
      ON t."folder" = m.d0 COLLATE BINARY
)
-- Of each point, by the thousand rows: [{from: [old], to: [new], keys: [[first key column], ...]}, ...].
SELECT point, 'moved', %(step)s, %(table)s, sum(row_count),
       json_group_array(json_object('from', json_array(o0), 'to', json_array(n0), 'keys', json_array(json(k0), json(k1)))), json_group_array(json(images))
  FROM (SELECT point, o0, n0, chunk, count(*) AS row_count, json_group_array(k0) AS k0, json_group_array(k1) AS k1, json_group_array(json_array(json(image), NULL)) AS images
          FROM (SELECT *, (row_number() OVER (PARTITION BY point ORDER BY point, o0, n0) - 1) / 1000 AS chunk
                  FROM moved)
         GROUP BY point, o0, n0, chunk)
 GROUP BY point, chunk
RETURNING point_id, row_count;

UPDATE "main"."labels" AS t
   SET "folder" = m.v0
  FROM (
    WITH m AS MATERIALIZED (
      SELECT q.*, (SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(q.o0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(q.o0) AS TEXT) ELSE cleanup_decode(q.o0) END AS a)) AS d0, (SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT CASE substr(q.n0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(q.n0) AS TEXT) ELSE cleanup_decode(q.n0) END AS a)) AS e0
        FROM (SELECT json_extract(value, '$[0]') AS point, json_extract(value, '$[1]') AS rank, json_extract(value, '$[2]') AS o0, json_extract(value, '$[3]') AS n0
                FROM json_each(%(pairs_0)s)) AS q
    )
    SELECT m.*, CASE substr(m.n0, 1, 2) WHEN 'x:' THEN CAST(cleanup_decode(m.n0) AS TEXT) ELSE cleanup_decode(m.n0) END AS v0 FROM m
  ) AS m
 WHERE t."folder" = m.d0 COLLATE BINARY;
