-- Undoes rollback point <1>, written <time>.
--
--     psql -X -f THIS_FILE
--
-- One transaction: either everything comes back, or nothing is changed. Each value is compared before it is changed: what
-- the cleanup set gets its old value back, what is as it was already is left, and anything else is a conflict, which ends
-- the script. In the end it proves that everything is as it was. It can be run again.
--
-- It holds data of the tables that it restores, and locks them against writers until it ends. It needs nothing of the
-- program that wrote it, and leaves that program's own tables alone. As long as the program is installed, the command
-- below is better: it also records the undo, and keeps the next cleanup from merging again. Run after this script, it
-- finds everything as it was and records that.
--     manage.py database_cleanup --rollback <1>
--
-- Application <2>: cleanup of <time> UTC

\set ON_ERROR_STOP on
\set QUIET on
\pset format unaligned
\pset fieldsep ' | '
\pset tuples_only on
SET client_encoding = 'UTF8';

BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;

-- Text forms of values are compared, so they must not depend on the session.
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL intervalstyle = 'postgres';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = '1';
SET LOCAL lc_monetary = 'C';
SET LOCAL xmlbinary = 'base64';
SET LOCAL quote_all_identifiers = 'off';
SET LOCAL standard_conforming_strings = 'on';
SET LOCAL backslash_quote = 'safe_encoding';
SET LOCAL transform_null_equals = 'off';
SET LOCAL array_nulls = 'on';
SET LOCAL xmloption = 'content';
SET LOCAL row_security = 'off';
SET LOCAL gin_fuzzy_search_limit = '0';
SET LOCAL timezone = 'UTC';
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '0';
SET LOCAL jit = 'off';
SET LOCAL search_path = "pg_temp", "public";

-- Foreign keys are checked, even if the role skips them.
DO $cleanup$
BEGIN
    IF current_setting('session_replication_role') = 'replica' AND current_setting('is_superuser') = 'on' THEN
        SET LOCAL session_replication_role = origin;
    END IF;
END
$cleanup$;

-- What refers to each other comes back one after the other.
SET CONSTRAINTS ALL DEFERRED;

-- What was done; a row that says that something could not be ends the script.
CREATE TEMPORARY TABLE cleanup_undo (
    "table" text, what text, "rows" bigint, expected bigint, checksum text, expected_checksum text,
    key text, detail text
) ON COMMIT DROP;

CREATE FUNCTION pg_temp.cleanup_undo_stop() RETURNS trigger LANGUAGE plpgsql AS $cleanup$
BEGIN
    IF NEW.what NOT IN ('restored', 'already as it was', 'journaled', 'proven') THEN
        RAISE EXCEPTION USING
            MESSAGE = concat_ws(' ', 'Conflict in', NEW."table" || CASE WHEN NEW.key IS NULL THEN ':' ELSE ', row' END,
                                NEW.key || ':', NEW.what || ':', NEW.detail),
            HINT = 'Nothing was changed.';
    ELSIF NEW."rows" <> NEW.expected OR NEW.checksum <> NEW.expected_checksum THEN
        RAISE EXCEPTION USING
            MESSAGE = format('%s is not as it was: %s of %s rows %s, checksum %s instead of %s',
                             NEW."table", NEW."rows", NEW.expected, NEW.what, NEW.checksum, NEW.expected_checksum),
            HINT = 'Nothing was changed.';
    END IF;
    RETURN NEW;
END
$cleanup$;

CREATE TRIGGER cleanup_undo_stop BEFORE INSERT ON cleanup_undo
    FOR EACH ROW EXECUTE FUNCTION pg_temp.cleanup_undo_stop();

ALTER TABLE cleanup_undo ENABLE ALWAYS TRIGGER cleanup_undo_stop;

-- Others may read, and write when this has ended.
LOCK TABLE "public"."files", "public"."folders" IN SHARE ROW EXCLUSIVE MODE;

-- The tables must be as this script knows them.
INSERT INTO cleanup_undo ("table", what, key, detail)
SELECT e.name, 'altered', NULL, format('column %I is gone, or is not of type %s any more', e."column", e.type)
  FROM (VALUES
           ('"public"."files"', 'public.files', 'id', 'uuid'),
           ('"public"."files"', 'public.files', 'folder_id', 'uuid'),
           ('"public"."folders"', 'public.folders', 'id', 'uuid'),
           ('"public"."folders"', 'public.folders', 'name', 'character varying(255)'),
           ('"public"."folders"', 'public.folders', 'parent_id', 'uuid'),
           ('"public"."folders"', 'public.folders', 'application_id', 'uuid'),
           ('"public"."folders"', 'public.folders', 'created_at', 'timestamp with time zone'),
           ('"public"."folders"', 'public.folders', 'updated_at', 'timestamp with time zone')
       ) AS e("table", name, "column", type)
 WHERE NOT EXISTS (
       SELECT
         FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = pg_catalog.to_regclass(e."table") AND a.attname = e."column" AND NOT a.attisdropped
          AND pg_catalog.format_type(a.atttypid, a.atttypmod)
              || CASE a.attgenerated WHEN '' THEN '' ELSE ', generated' END = e.type)
 LIMIT 1;

-- What the cleanup journaled, by the thousand rows.
CREATE TEMPORARY TABLE cleanup_snapshotrow (
    id bigint, point_id bigint, kind text, step integer, "table" text, row_count bigint, changes text, keys text,
    images text
) ON COMMIT DROP;
INSERT INTO cleanup_snapshotrow VALUES (1, 1, 'moved', 2, 'public.files', 1, '[{"from" : ["<3>"], "to" : ["<4>"], "keys" : [["<5>"]]}]', NULL, NULL);
INSERT INTO cleanup_snapshotrow VALUES (1, 1, 'moved', 4, 'public.folders', 1, '[{"from" : ["<6>"], "to" : ["<7>"], "keys" : [["<8>"]]}]', NULL, NULL);
INSERT INTO cleanup_snapshotrow VALUES (1, 1, 'removed', 20, 'public.folders', 2, NULL, NULL, '[["<6>","Loan",null,"<2>","2020-01-01 00:03:00+00",null], ["<3>","Docs","<6>","<2>","2020-01-01 00:04:00+00",null]]');

-- Removed rows come back: public.folders.
WITH images AS MATERIALIZED (
    -- The rows as they were, in the types of their columns. What begins with underscores is not theirs.
    SELECT s.point_id AS __point,
           ARRAY[(e.value->>0)::uuid::text] AS __key,
           (e.value->>0)::uuid AS "id",
           (e.value->>1)::character varying AS "name",
           (e.value->>2)::uuid AS "parent_id",
           (e.value->>3)::uuid AS "application_id",
           (e.value->>4)::timestamp with time zone AS "created_at",
           (e.value->>5)::timestamp with time zone AS "updated_at"
      FROM cleanup_snapshotrow AS s,
           json_array_elements(s.images::json) AS e(value)
     WHERE s.kind = 'removed' AND s."table" = 'public.folders'
       AND s.point_id = ANY('{1}')
       AND s.step = 20
    -- Has the planner expect as many as the journal counts; with one more, so that too many show.
    LIMIT 3
), compared AS MATERIALIZED (
    -- Each image beside the row that has its key now, if there is one.
    SELECT i.*,
           t."id" IS NOT NULL AS __there,
           t."id" IS NOT NULL
           AND (t."id"::text IS DISTINCT FROM i."id"::text
             OR t."name"::text IS DISTINCT FROM i."name"::text
             OR t."parent_id"::text IS DISTINCT FROM i."parent_id"::text
             OR t."application_id"::text IS DISTINCT FROM i."application_id"::text
             OR t."created_at"::text IS DISTINCT FROM i."created_at"::text
             OR t."updated_at"::text IS DISTINCT FROM i."updated_at"::text) AS __differs
      FROM images AS i
      LEFT JOIN "public"."folders" AS t ON t."id" = i."id"
), problems(code, point, key, columns, constraint_name) AS MATERIALIZED (
    -- What the database would refuse, all of it and by row, where an error of its own would tell the first.
    SELECT 'row_exists', i.__point, i.__key, '', '' FROM compared AS i WHERE i.__differs
    UNION ALL
    SELECT 'missing_target', i.__point, i.__key, 'application_id', 'folders_application_id_0ccadc46_fk_customer_applications_id'
      FROM compared AS i
     WHERE NOT i.__there AND i."application_id" IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM "public"."customer_applications" AS f WHERE f."id" = i."application_id")
    UNION ALL
    SELECT 'missing_target', i.__point, i.__key, 'parent_id', 'folders_parent_id_bd43fe3e_fk_folders_id'
      FROM compared AS i
     WHERE NOT i.__there AND i."parent_id" IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM "public"."folders" AS f WHERE f."id" = i."parent_id")
       AND NOT EXISTS (SELECT FROM images AS f WHERE f."id" = i."parent_id")
), inserted AS (
    -- All of them, or none if there is any problem; an identity column takes the value that it had.
    INSERT INTO "public"."folders" ("id", "name", "parent_id", "application_id", "created_at", "updated_at") OVERRIDING SYSTEM VALUE
    SELECT "id", "name", "parent_id", "application_id", "created_at", "updated_at"
      FROM compared
     WHERE NOT __there AND NOT EXISTS (SELECT FROM problems)
    RETURNING 1
)
INSERT INTO cleanup_undo ("table", what, "rows", expected, checksum, expected_checksum, key, detail)
SELECT 'public.folders', 'restored', count(*), NULL::bigint, NULL, NULL, NULL, NULL FROM inserted
UNION ALL
SELECT 'public.folders', 'already as it was', count(*), NULL::bigint, NULL, NULL, NULL, NULL FROM compared WHERE __there AND NOT __differs
UNION ALL
SELECT 'public.folders', 'journaled', count(*), 2::bigint, NULL, NULL, NULL, NULL FROM images
UNION ALL
(SELECT 'public.folders', code, 1, NULL::bigint, NULL, NULL, array_to_string(key, ', ', 'NULL'),
        concat_ws(' ', nullif(columns, ''), nullif(constraint_name, ''))
   FROM problems
  ORDER BY 7
  LIMIT 1);

-- Proof: public.folders is as it was.
WITH images AS MATERIALIZED (
    -- The rows as they were, in the types of their columns. What begins with underscores is not theirs.
    SELECT s.point_id AS __point,
           ARRAY[(e.value->>0)::uuid::text] AS __key,
           (e.value->>0)::uuid AS "id",
           (e.value->>1)::character varying AS "name",
           (e.value->>2)::uuid AS "parent_id",
           (e.value->>3)::uuid AS "application_id",
           (e.value->>4)::timestamp with time zone AS "created_at",
           (e.value->>5)::timestamp with time zone AS "updated_at"
      FROM cleanup_snapshotrow AS s,
           json_array_elements(s.images::json) AS e(value)
     WHERE s.kind = 'removed' AND s."table" = 'public.folders'
       AND s.point_id = ANY('{1}')
       AND s.step = 20
    -- Has the planner expect as many as the journal counts; with one more, so that too many show.
    LIMIT 3
), image AS (
    SELECT ARRAY[t."id"::text, t."name"::text, t."parent_id"::text, t."application_id"::text, t."created_at"::text, t."updated_at"::text]::text
      FROM images AS i
      JOIN "public"."folders" AS t ON t."id" = i."id"
)
INSERT INTO cleanup_undo ("table", what, "rows", expected, checksum, expected_checksum)
SELECT 'public.folders', 'proven', count(*), 2,
       md5(coalesce(string_agg(md5(r), '' ORDER BY md5(r) COLLATE "C"), '')), '<9>'
  FROM image AS i(r);

-- Rows that moved get their values back: public.folders (parent_id).
WITH journaled0 AS MATERIALIZED (
    -- One line for each row that moved: its key before the move, the old and the new cells. OFFSET 0 has
    -- the cells of a change read once, not once a row.
    SELECT s.point_id AS point, row_number() OVER () AS number, cells.*, keys.*
      FROM cleanup_snapshotrow AS s,
           json_to_recordset(s.changes::json) AS c("from" json, "to" json, keys json),
           LATERAL (SELECT c."from"->>0 AS old_parent_id, c."to"->>0 AS new_parent_id OFFSET 0) AS cells,
           ROWS FROM (json_array_elements_text(c.keys->0)) AS keys(key_id)
     WHERE s.kind = 'moved' AND s."table" = 'public.folders'
       AND s.point_id = ANY('{1}')
       AND s.step = 4
    -- Has the planner expect as many as the journal counts; with one more, so that too many show.
    LIMIT 2
), restored0 AS (
    -- Each column holds its new value or its old one, and not all are old yet. Compared here, since READ
    -- COMMITTED evaluates this very WHERE again on the newest version of a row that was changed since.
    UPDATE "public"."folders" AS t
       SET "parent_id" = j.old_parent_id::uuid
      FROM journaled0 AS j
     WHERE t."id" = j.key_id::uuid
       AND (t."parent_id"::text IS NOT DISTINCT FROM j.new_parent_id OR t."parent_id"::text IS NOT DISTINCT FROM j.old_parent_id)
       AND (t."parent_id"::text) IS DISTINCT FROM (j.old_parent_id)
       AND (j.old_parent_id IS NULL OR (j.old_parent_id::uuid) IN (SELECT f."id" FROM "public"."folders" AS f))
    RETURNING j.point, j.number
), not_restored0 AS (
    -- Why each other row was not, by the statement's snapshot: what the UPDATE should have changed by it
    -- was changed since by others. A key is NOT NULL, so a null one is not a row. EXCEPT, since an
    -- anti-join compares each with each if the planner expects that the UPDATE returns few; and first.
    SELECT j.*,
           CASE WHEN t."id" IS NULL THEN 'row_missing'
                WHEN (t."parent_id"::text) IS NOT DISTINCT FROM (j.old_parent_id) THEN 'same'
                WHEN j.old_parent_id IS NOT NULL AND NOT (j.old_parent_id::uuid) IN (SELECT f."id" FROM "public"."folders" AS f) THEN 'missing_target'
                WHEN (t."parent_id"::text IS NOT DISTINCT FROM j.new_parent_id OR t."parent_id"::text IS NOT DISTINCT FROM j.old_parent_id) THEN 'lost_race'
                ELSE 'changed' END AS verdict
      FROM (SELECT j.*
              FROM (SELECT number FROM journaled0
                    EXCEPT ALL
                    SELECT number FROM restored0) AS others
              JOIN journaled0 AS j USING (number)
            OFFSET 0) AS j
      LEFT JOIN "public"."folders" AS t ON t."id" = j.key_id::uuid
)
INSERT INTO cleanup_undo ("table", what, "rows", expected, checksum, expected_checksum, key, detail)
SELECT 'public.folders', 'restored', count(*), NULL::bigint, NULL, NULL, NULL, NULL FROM restored0
UNION ALL
SELECT 'public.folders', 'already as it was', count(*), NULL::bigint, NULL, NULL, NULL, NULL FROM not_restored0 WHERE verdict = 'same'
UNION ALL
SELECT 'public.folders', 'journaled', count(*), 1::bigint, NULL, NULL, NULL, NULL FROM journaled0
UNION ALL
(SELECT 'public.folders', verdict, 1, NULL::bigint, NULL, NULL, array_to_string(ARRAY[j.key_id::text], ', ', 'NULL'),
        format('%s holds %s; the cleanup left %s, and before it was %s',
        'parent_id', (SELECT array_to_string(ARRAY[t."parent_id"::text], ', ', 'NULL') FROM "public"."folders" AS t WHERE t."id" = j.key_id::uuid), array_to_string(ARRAY[j.new_parent_id::text], ', ', 'NULL'), array_to_string(ARRAY[j.old_parent_id::text], ', ', 'NULL'))
   FROM not_restored0 AS j
  WHERE verdict <> 'same'
  ORDER BY 7
  LIMIT 1);

-- Rows that moved get their values back: public.files (folder_id).
WITH journaled0 AS MATERIALIZED (
    -- One line for each row that moved: its key before the move, the old and the new cells. OFFSET 0 has
    -- the cells of a change read once, not once a row.
    SELECT s.point_id AS point, row_number() OVER () AS number, cells.*, keys.*
      FROM cleanup_snapshotrow AS s,
           json_to_recordset(s.changes::json) AS c("from" json, "to" json, keys json),
           LATERAL (SELECT c."from"->>0 AS old_folder_id, c."to"->>0 AS new_folder_id OFFSET 0) AS cells,
           ROWS FROM (json_array_elements_text(c.keys->0)) AS keys(key_id)
     WHERE s.kind = 'moved' AND s."table" = 'public.files'
       AND s.point_id = ANY('{1}')
       AND s.step = 2
    -- Has the planner expect as many as the journal counts; with one more, so that too many show.
    LIMIT 2
), restored0 AS (
    -- Each column holds its new value or its old one, and not all are old yet. Compared here, since READ
    -- COMMITTED evaluates this very WHERE again on the newest version of a row that was changed since.
    UPDATE "public"."files" AS t
       SET "folder_id" = j.old_folder_id::uuid
      FROM journaled0 AS j
     WHERE t."id" = j.key_id::uuid
       AND (t."folder_id"::text IS NOT DISTINCT FROM j.new_folder_id OR t."folder_id"::text IS NOT DISTINCT FROM j.old_folder_id)
       AND (t."folder_id"::text) IS DISTINCT FROM (j.old_folder_id)
       AND (j.old_folder_id IS NULL OR (j.old_folder_id::uuid) IN (SELECT f."id" FROM "public"."folders" AS f))
    RETURNING j.point, j.number
), not_restored0 AS (
    -- Why each other row was not, by the statement's snapshot: what the UPDATE should have changed by it
    -- was changed since by others. A key is NOT NULL, so a null one is not a row. EXCEPT, since an
    -- anti-join compares each with each if the planner expects that the UPDATE returns few; and first.
    SELECT j.*,
           CASE WHEN t."id" IS NULL THEN 'row_missing'
                WHEN (t."folder_id"::text) IS NOT DISTINCT FROM (j.old_folder_id) THEN 'same'
                WHEN j.old_folder_id IS NOT NULL AND NOT (j.old_folder_id::uuid) IN (SELECT f."id" FROM "public"."folders" AS f) THEN 'missing_target'
                WHEN (t."folder_id"::text IS NOT DISTINCT FROM j.new_folder_id OR t."folder_id"::text IS NOT DISTINCT FROM j.old_folder_id) THEN 'lost_race'
                ELSE 'changed' END AS verdict
      FROM (SELECT j.*
              FROM (SELECT number FROM journaled0
                    EXCEPT ALL
                    SELECT number FROM restored0) AS others
              JOIN journaled0 AS j USING (number)
            OFFSET 0) AS j
      LEFT JOIN "public"."files" AS t ON t."id" = j.key_id::uuid
)
INSERT INTO cleanup_undo ("table", what, "rows", expected, checksum, expected_checksum, key, detail)
SELECT 'public.files', 'restored', count(*), NULL::bigint, NULL, NULL, NULL, NULL FROM restored0
UNION ALL
SELECT 'public.files', 'already as it was', count(*), NULL::bigint, NULL, NULL, NULL, NULL FROM not_restored0 WHERE verdict = 'same'
UNION ALL
SELECT 'public.files', 'journaled', count(*), 1::bigint, NULL, NULL, NULL, NULL FROM journaled0
UNION ALL
(SELECT 'public.files', verdict, 1, NULL::bigint, NULL, NULL, array_to_string(ARRAY[j.key_id::text], ', ', 'NULL'),
        format('%s holds %s; the cleanup left %s, and before it was %s',
        'folder_id', (SELECT array_to_string(ARRAY[t."folder_id"::text], ', ', 'NULL') FROM "public"."files" AS t WHERE t."id" = j.key_id::uuid), array_to_string(ARRAY[j.new_folder_id::text], ', ', 'NULL'), array_to_string(ARRAY[j.old_folder_id::text], ', ', 'NULL'))
   FROM not_restored0 AS j
  WHERE verdict <> 'same'
  ORDER BY 7
  LIMIT 1);

-- Proof: public.folders is as it was.
WITH journaled0 AS MATERIALIZED (
    -- One line for each row that moved: its key before the move, the old and the new cells. OFFSET 0 has
    -- the cells of a change read once, not once a row.
    SELECT s.point_id AS point, row_number() OVER () AS number, cells.*, keys.*
      FROM cleanup_snapshotrow AS s,
           json_to_recordset(s.changes::json) AS c("from" json, "to" json, keys json),
           LATERAL (SELECT c."from"->>0 AS old_parent_id, c."to"->>0 AS new_parent_id OFFSET 0) AS cells,
           ROWS FROM (json_array_elements_text(c.keys->0)) AS keys(key_id)
     WHERE s.kind = 'moved' AND s."table" = 'public.folders'
       AND s.point_id = ANY('{1}')
       AND s.step = 4
    -- Has the planner expect as many as the journal counts; with one more, so that too many show.
    LIMIT 2
), image AS (
    SELECT ARRAY[j.key_id::text, t."parent_id"::text]::text
      FROM journaled0 AS j
      JOIN "public"."folders" AS t ON t."id" = j.key_id::uuid
)
INSERT INTO cleanup_undo ("table", what, "rows", expected, checksum, expected_checksum)
SELECT 'public.folders', 'proven', count(*), 1,
       md5(coalesce(string_agg(md5(r), '' ORDER BY md5(r) COLLATE "C"), '')), '<10>'
  FROM image AS i(r);

-- Proof: public.files is as it was.
WITH journaled0 AS MATERIALIZED (
    -- One line for each row that moved: its key before the move, the old and the new cells. OFFSET 0 has
    -- the cells of a change read once, not once a row.
    SELECT s.point_id AS point, row_number() OVER () AS number, cells.*, keys.*
      FROM cleanup_snapshotrow AS s,
           json_to_recordset(s.changes::json) AS c("from" json, "to" json, keys json),
           LATERAL (SELECT c."from"->>0 AS old_folder_id, c."to"->>0 AS new_folder_id OFFSET 0) AS cells,
           ROWS FROM (json_array_elements_text(c.keys->0)) AS keys(key_id)
     WHERE s.kind = 'moved' AND s."table" = 'public.files'
       AND s.point_id = ANY('{1}')
       AND s.step = 2
    -- Has the planner expect as many as the journal counts; with one more, so that too many show.
    LIMIT 2
), image AS (
    SELECT ARRAY[j.key_id::text, t."folder_id"::text]::text
      FROM journaled0 AS j
      JOIN "public"."files" AS t ON t."id" = j.key_id::uuid
)
INSERT INTO cleanup_undo ("table", what, "rows", expected, checksum, expected_checksum)
SELECT 'public.files', 'proven', count(*), 1,
       md5(coalesce(string_agg(md5(r), '' ORDER BY md5(r) COLLATE "C"), '')), '<11>'
  FROM image AS i(r);

-- Nothing dangles.
SET CONSTRAINTS ALL IMMEDIATE;

SELECT "table", what, sum("rows") AS "rows", string_agg(checksum, ', ') AS checksum
  FROM cleanup_undo
 WHERE what <> 'journaled'
 GROUP BY "table", what
 ORDER BY "table", what DESC;

SELECT to_regclass('cleanup_rollbackpoint') IS NOT NULL AS there \gset cleanup_
\if :cleanup_there
\echo 'The cleanup program is still installed. Have it record this undo: database_cleanup --rollback'
\endif

DROP TABLE cleanup_undo;

DROP FUNCTION pg_temp.cleanup_undo_stop();

COMMIT;
