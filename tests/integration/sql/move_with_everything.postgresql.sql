-- Change keys in tables, and journal what changed, in one statement.
--
-- The applications and their folders are locked. Returns, by number of the table: point and rows journaled, and
-- in a last line, without a point, rows changed; the caller compares.

WITH before0 AS MATERIALIZED (
    -- The whole rows before the change: triggers of the application's own fire on this table. The rows'
    -- folders are locked, and the change below compares again.
    SELECT m.o0 AS k0, t."name"::text AS k1, to_json(ARRAY[t."folder"::text, t."name"::text, t."shade"::text]) AS image
      FROM unnest(%(point_0)s::bigint[], %(rank_0)s::int[], %(o0_0)s::text[], %(n0_0)s::text[]) AS m(point, rank, o0, n0)
      JOIN "public"."labels" AS t
        ON t."folder" = m.o0::uuid
), changes0 AS MATERIALIZED (
    -- Old and new keys, one line a change. A new key is cast once here, not once for each row.
    SELECT m.*, row_number() OVER () AS change, m.n0::uuid AS v0
      FROM unnest(%(point_0)s::bigint[], %(rank_0)s::int[], %(o0_0)s::text[], %(n0_0)s::text[]) AS m(point, rank, o0, n0)
), moved0 AS (
    -- If a row was changed meanwhile, READ COMMITTED evaluates the condition again on its newest version.
    UPDATE "public"."labels" AS t
       SET "folder" = m.v0
      FROM changes0 AS m
     WHERE t."folder" = m.o0::uuid
    RETURNING m.change, m.point, m.o0 AS k0, t."name"::text AS k1, to_json(ARRAY[t."folder"::text, t."name"::text, t."shade"::text]) AS after
), journaled0 AS (
    -- What the UPDATE returned: of each point, by the thousand rows,
    -- [{from: [old], to: [new], keys: [[first key column], ...]}, ...].
    INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, changes, images)
    SELECT g.point, 'moved', %(step)s, %(table_0)s, sum(g.row_count),
           json_agg(json_build_object('from', json_build_array(c.o0),
                                      'to', json_build_array(c.n0),
                                      'keys', json_build_array(g.k0, g.k1)))::text,
           json_agg(g.images)::text
      FROM (SELECT point, chunk, change, count(*) AS row_count, json_agg(k0) AS k0, json_agg(k1) AS k1, json_agg(json_build_array(image, after)) AS images
              FROM (SELECT *, (row_number() OVER () - 1) / 1000 AS chunk
                      FROM moved0 JOIN before0 USING (k0, k1)) AS numbered
             GROUP BY point, chunk, change) AS g
      JOIN changes0 AS c USING (change)
     GROUP BY g.point, g.chunk
    RETURNING point_id, row_count
)
SELECT 0, point_id, sum(row_count)::bigint FROM journaled0 GROUP BY 2
UNION ALL
SELECT 0, NULL, count(*) FROM moved0;
