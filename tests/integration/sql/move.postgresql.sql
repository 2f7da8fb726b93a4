-- Change keys in tables, and journal what changed, in one statement.
--
-- The applications and their folders are locked. Returns, by number of the table: point and rows journaled, and
-- in a last line, without a point, rows changed; the caller compares.

WITH changes0 AS MATERIALIZED (
    -- Old and new keys, one line a change. A new key is cast once here, not once for each row.
    SELECT given.*, row_number() OVER () AS change,
           given.new_folder_id::uuid AS value_folder_id
      FROM unnest(%(point_0)s::bigint[], %(rank_0)s::int[], %(old_folder_id_0)s::text[], %(new_folder_id_0)s::text[])
        AS given(point, rank, old_folder_id, new_folder_id)
), moved0 AS (
    -- If a row was changed since, READ COMMITTED evaluates the condition again on its newest version.
    UPDATE "public"."files" AS t
       SET "folder_id" = given.value_folder_id
      FROM changes0 AS given
     WHERE t."folder_id" = given.old_folder_id::uuid
    RETURNING given.change, given.point,
              t."id"::text AS key_id
), journaled0 AS (
    -- What the UPDATE returned.
    INSERT INTO cleanup_snapshotrow (point_id, kind, step, "table", row_count, changes, images)
    -- Of each point, by the thousand rows: [{from: [old], to: [new], keys: [[first key column], ...]}, ...].
    SELECT g.point, 'moved', %(step)s, %(table_0)s, sum(g.row_count),
           json_agg(json_build_object(
               'from', json_build_array(old_folder_id),
               'to', json_build_array(new_folder_id),
               'keys', json_build_array(key_id)))::text,
           NULL
      FROM (SELECT point, chunk, change, count(*) AS row_count,
              to_json(array_agg(key_id)) AS key_id
         FROM (
               -- By point, so that rows of many points that come by turns make no more chunks than need be.
               SELECT *, (row_number() OVER (PARTITION BY point) - 1) / 1000 AS chunk
                 FROM moved0
              ) AS numbered
        GROUP BY point, chunk, change) AS g
      JOIN changes0 AS c USING (change)
     GROUP BY g.point, g.chunk
    RETURNING point_id, row_count
)
SELECT 0 AS target, point_id, sum(row_count)::bigint AS row_count
  FROM journaled0
 GROUP BY point_id
UNION ALL
SELECT 0, NULL, count(*) FROM moved0;
