-- Count and sum up what a cleanup may not lose, with psql (14 and newer) alone: none of the program that is audited runs.
--
--     psql -X service=NAME -f audit.sql > before.txt
--
-- Each line is: promise | what | rows | checksum. Keep what it prints before, after a cleanup and after a rollback:
--     same         the line may not change by a cleanup, nor by a rollback
--     never more   the number may shrink, but not grow
--     may differ   a cleanup changes this; a rollback brings it back
-- So the lines of before and after that begin with "same" are equal, and all lines of before and after the rollback.
-- What people write in between shows, too: audit at a quiet time, or a restored copy.
--
-- A place is an application and the names that lead from a root folder (the root's own left out) to a folder. Merging
-- keeps it, for every file and every other row, while the folder that stands there becomes another one. (A root that is
-- moved under another one, CLEANUP_DIFFERENT_ROOTS = "nest", changes places; so does nothing else.)
--
-- Other names of tables and columns are given as variables: psql -v folders=archive.section -v folder_parent=inside ...
-- Where no files are mapped (CLEANUP_FILE_MODEL = None): -v files= ; where they tell no application: -v file_application= .
-- Columns of the folder that no foreign key tells of: -v unkeyed='note.object_id, archive.scan.about'.
-- Where folders are soft-deleted, which are live: -v live='deleted_at IS NULL'.
--
-- Needs SELECT on what it names, and TEMPORARY on the database for the places; it writes nothing else. One snapshot.

\set ON_ERROR_STOP on
\set QUIET on
\pset format unaligned
\pset fieldsep ' | '
\pset tuples_only on
\pset null ''

\if :{?applications} \else \set applications customer_applications \endif
\if :{?application_key} \else \set application_key id \endif
\if :{?folders} \else \set folders folders \endif
\if :{?folder_key} \else \set folder_key id \endif
\if :{?folder_parent} \else \set folder_parent parent_id \endif
\if :{?folder_application} \else \set folder_application application_id \endif
\if :{?folder_name} \else \set folder_name name \endif
\if :{?files} \else \set files files \endif
\if :{?file_key} \else \set file_key id \endif
\if :{?file_folder} \else \set file_folder folder_id \endif
\if :{?file_application} \else \set file_application application_id \endif
\if :{?file_size} \else \set file_size file_size \endif
\if :{?live} \else \set live true \endif
\if :{?root} \else \set root false \endif
\if :{?unkeyed} \else \set unkeyed '' \endif

-- One form of every value, whatever the role's settings; and an error, not a smaller sum, where a policy hides rows.
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET timezone = 'UTC';
SET bytea_output = 'hex';
SET extra_float_digits = 1;
SET lc_monetary = 'C';
SET xmlbinary = 'base64';
SET row_security = off;
SET jit = off;
SET transform_null_equals = off;
SET default_transaction_read_only = off;
SET client_min_messages = warning;

DROP TABLE IF EXISTS pg_temp.audit_place;
CREATE TEMPORARY TABLE audit_place (key text COLLATE "C" PRIMARY KEY, place bigint NOT NULL);

-- One spelling of every key: a text may spell a UUID in any way, and may hold a char(n) with its padding or without.
WITH RECURSIVE key_type AS (
    SELECT t.oid, t.typtype, t.typbasetype
      FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
     WHERE a.attrelid = :'folders'::regclass AND a.attname = :'folder_key'
    UNION ALL
    SELECT t.oid, t.typtype, t.typbasetype
      FROM key_type AS d JOIN pg_type AS t ON t.oid = d.typbasetype AND d.typtype = 'd'
)
SELECT coalesce(bool_or(oid = 'uuid'::regtype), false) AS is_uuid,
       coalesce(bool_or(oid = 'bpchar'::regtype), false) AS is_padded
  FROM key_type
\gset key_

\if :key_is_uuid
CREATE OR REPLACE FUNCTION pg_temp.audit_key(named text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN translate(lower(named), '-{} ', '') ~ '^[0-9a-f]{32}$'
                THEN translate(lower(named), '-{} ', '')::uuid::text ELSE named END
$$;
\elif :key_is_padded
CREATE OR REPLACE FUNCTION pg_temp.audit_key(named text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT rtrim(named, ' ')
$$;
\else
CREATE OR REPLACE FUNCTION pg_temp.audit_key(named text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT named
$$;
\endif

BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

-- Each name is hashed with its parent's place as the seed. What no root leads to keeps its own key for a place.
WITH RECURSIVE tree AS (
    SELECT f.:"folder_key" AS key,
           hashtextextended(coalesce(f.:"folder_application"::text, '') COLLATE "C", 0) AS place
      FROM :folders AS f
     WHERE f.:"folder_parent" IS NULL OR (:root)
    UNION ALL
    SELECT f.:"folder_key", hashtextextended(f.:"folder_name"::text COLLATE "C", t.place)
      FROM tree AS t JOIN (SELECT * FROM :folders WHERE NOT (:root)) AS f ON f.:"folder_parent" = t.key
)
INSERT INTO audit_place
SELECT key::text, place FROM tree
UNION ALL
SELECT f.:"folder_key"::text, hashtextextended(f.:"folder_key"::text COLLATE "C", 1)
  FROM :folders AS f
 WHERE NOT EXISTS (SELECT FROM tree AS t WHERE t.key = f.:"folder_key");

SELECT :'files' <> '' AS are_mapped, :'files' <> '' AND :'file_application' <> '' AS tell_application
\gset files_

SELECT 'same', 'applications', count(*), coalesce(sum(hashtextextended(a::text COLLATE "C", 0)::numeric), 0)
  FROM :applications AS a;

\if :files_are_mapped
-- The columns that a cleanup leaves alone: all but those that point at a folder.
SELECT coalesce(string_agg(format('f.%I', attname), ', ' ORDER BY attnum), '') AS kept
  FROM pg_attribute
 WHERE attrelid = :'files'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> :'file_folder'
\gset file_
SELECT EXISTS (
    SELECT FROM pg_attribute
     WHERE attrelid = :'files'::regclass AND attname = :'file_size' AND attnum > 0 AND NOT attisdropped
) AS has_size
\gset file_

SELECT 'same', 'files, all columns but the folder', count(*),
       coalesce(sum(hashtextextended(ROW(:file_kept)::text COLLATE "C", 0)::numeric), 0)
  FROM :files AS f;

\if :file_has_size
SELECT 'same', 'files, bytes', coalesce(sum(f.:"file_size"), 0), NULL FROM :files AS f;
\endif

\if :files_tell_application
SELECT 'same', 'files, each in its application', count(*),
       coalesce(sum(hashtextextended(ROW(f.:"file_application", f.:"file_key")::text COLLATE "C", 0)::numeric), 0)
  FROM :files AS f WHERE f.:"file_application" IS NOT NULL;
\endif

SELECT 'same', 'files, each in its place', count(*),
       coalesce(sum(hashtextextended(ROW(f.:"file_key", p.place)::text COLLATE "C", 0)::numeric), 0)
  FROM :files AS f JOIN audit_place AS p ON p.key = pg_temp.audit_key(f.:"file_folder"::text) COLLATE "C";

SELECT 'same', 'files without folder', count(*), NULL FROM :files AS f WHERE f.:"file_folder" IS NULL;
\endif

SELECT 'same', 'folders, distinct places', count(*), coalesce(sum(place::numeric), 0)
  FROM (SELECT DISTINCT place FROM audit_place) AS p;

\if :files_are_mapped
SELECT 'never more', 'files of a missing folder', count(*), NULL
  FROM :files AS f
 WHERE f.:"file_folder" IS NOT NULL
   AND NOT EXISTS (SELECT FROM audit_place AS p WHERE p.key = pg_temp.audit_key(f.:"file_folder"::text) COLLATE "C");
\endif

SELECT 'never more', 'folders of a missing parent', count(*), NULL
  FROM :folders AS f
 WHERE f.:"folder_parent" IS NOT NULL AND NOT (:root)
   AND NOT EXISTS (SELECT FROM :folders AS d WHERE d.:"folder_key" = f.:"folder_parent");

SELECT 'may differ', 'folders', count(*), coalesce(sum(hashtextextended(f::text COLLATE "C", 0)::numeric), 0)
  FROM :folders AS f;

SELECT 'may differ', 'root folders beyond the first of their application',
       coalesce(sum(roots - 1), 0), NULL
  FROM (
        SELECT count(*) AS roots FROM :folders AS f
         WHERE (f.:"folder_parent" IS NULL OR (:root)) AND f.:"folder_application" IS NOT NULL AND (:live)
         GROUP BY f.:"folder_application"
       ) AS a;

SELECT 'may differ', 'same-named folders beyond the first of their parent',
       coalesce(sum(siblings - 1), 0), NULL
  FROM (
        SELECT count(*) AS siblings FROM :folders AS f
         WHERE f.:"folder_parent" IS NOT NULL AND NOT (:root) AND f.:"folder_application" IS NOT NULL AND (:live)
         GROUP BY f.:"folder_application", f.:"folder_parent", f.:"folder_name" COLLATE "C"
       ) AS a;

\if :files_are_mapped
SELECT 'may differ', 'files, each in its folder', count(*),
       coalesce(sum(hashtextextended(ROW(f.:"file_key", f.:"file_folder")::text COLLATE "C", 0)::numeric), 0)
  FROM :files AS f WHERE f.:"file_folder" IS NOT NULL;
\endif

-- Every other table that points at a folder: four lines a column. Where the column belongs to a unique key, rows that
-- a merge makes equal become one (or the cleanup refuses), so there the distinct rows, less their keys, are compared.
WITH pointing AS (
    SELECT c.conrelid AS relation, c.conkey[n.i] AS attnum
      FROM pg_constraint AS c
     CROSS JOIN LATERAL generate_subscripts(c.conkey, 1) AS n(i)
      JOIN pg_attribute AS k ON k.attrelid = c.confrelid AND k.attnum = c.confkey[n.i]
     WHERE c.contype = 'f' AND c.confrelid = :'folders'::regclass AND k.attname = :'folder_key' AND c.conparentid = 0
    UNION
    SELECT a.attrelid, a.attnum
      FROM regexp_split_to_table(nullif(trim(:'unkeyed'), ''), '\s*,\s*') AS named
      JOIN pg_attribute AS a
        ON a.attrelid = regexp_replace(named, '\.[^.]*$', '')::regclass AND a.attname = substring(named FROM '[^.]*$')
), others AS (
    SELECT DISTINCT p.relation, p.attnum, a.attname, pg_catalog.format('%s.%s', p.relation::regclass, a.attname) AS label
      FROM pointing AS p JOIN pg_attribute AS a ON a.attrelid = p.relation AND a.attnum = p.attnum
     WHERE p.relation <> :'folders'::regclass AND p.relation IS DISTINCT FROM nullif(:'files', '')::regclass
), described AS (
    SELECT o.*,
           EXISTS (
               SELECT FROM pg_index AS i
                WHERE i.indrelid = o.relation AND i.indisunique AND o.attnum = ANY (i.indkey::int2[])
           ) AS is_unique,
           (
               SELECT coalesce(string_agg(format('r.%I', a.attname), ', ' ORDER BY a.attnum), '')
                 FROM pg_attribute AS a
                WHERE a.attrelid = o.relation AND a.attnum > 0 AND NOT a.attisdropped
                  AND NOT EXISTS (SELECT FROM pointing AS p WHERE (p.relation, p.attnum) = (o.relation, a.attnum))
           ) AS kept,
           (
               SELECT coalesce(string_agg(format('r.%I', a.attname), ', ' ORDER BY a.attnum), '')
                 FROM pg_attribute AS a
                WHERE a.attrelid = o.relation AND a.attnum > 0 AND NOT a.attisdropped
                  AND NOT EXISTS (SELECT FROM pointing AS p WHERE (p.relation, p.attnum) = (o.relation, a.attnum))
                  AND NOT EXISTS (
                      SELECT FROM pg_index AS i
                       WHERE i.indrelid = o.relation AND i.indisprimary AND a.attnum = ANY (i.indkey::int2[])
                  )
           ) AS kept_but_key
      FROM others AS o
)
SELECT format(
           'SELECT %L, %L, count(*), coalesce(sum(hashtextextended(ROW(%s)::text COLLATE "C", 0)::numeric), 0)'
           ' FROM %s AS r',
           CASE WHEN is_unique THEN 'may differ' ELSE 'same' END, label || ', all other columns', kept, relation::regclass
       ),
       format(
           'SELECT ''same'', %L, count(*), coalesce(sum(hashtextextended(t COLLATE "C", 0)::numeric), 0) FROM ('
           'SELECT %s ROW(%s)::text AS t FROM %s AS r JOIN audit_place AS p'
           ' ON p.key = pg_temp.audit_key(r.%I::text) COLLATE "C") AS rows',
           label || CASE WHEN is_unique THEN ', distinct, each in its place' ELSE ', each in its place' END,
           CASE WHEN is_unique THEN 'DISTINCT' ELSE '' END,
           concat_ws(', ', nullif(CASE WHEN is_unique THEN kept_but_key ELSE kept END, ''), 'p.place'),
           relation::regclass, attname
       ),
       format(
           'SELECT ''never more'', %L, count(*), NULL FROM %s AS r WHERE r.%I IS NOT NULL'
           ' AND NOT EXISTS (SELECT FROM audit_place AS p'
           ' WHERE p.key = pg_temp.audit_key(r.%I::text) COLLATE "C")',
           label || ' of a missing folder', relation::regclass, attname, attname
       ),
       format(
           'SELECT ''may differ'', %L, count(*), coalesce(sum(hashtextextended(r::text COLLATE "C", 0)::numeric), 0)'
           ' FROM %s AS r',
           label || ', whole rows', relation::regclass
       )
  FROM described
 ORDER BY label
\gexec

COMMIT;
DROP FUNCTION pg_temp.audit_key(text);
DROP TABLE audit_place;
