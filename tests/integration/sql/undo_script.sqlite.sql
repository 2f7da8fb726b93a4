-- Undoes rollback point <1>, written <time>.
--
--     sqlite3 DATABASE < THIS_FILE
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

.bail on
.mode list
.separator ' | '

PRAGMA foreign_keys = ON;

-- Others may read, and write when this has ended.
BEGIN IMMEDIATE;

-- Nothing dangles, or COMMIT refuses.
PRAGMA defer_foreign_keys = ON;

-- A row that is in here ends the script.
CREATE TEMPORARY TABLE cleanup_stop (number INTEGER, shown TEXT);

-- What was done.
CREATE TEMPORARY TABLE cleanup_undo ("table" TEXT, what TEXT, "rows" INTEGER);

-- The tables must be as this script knows them.
CREATE TEMPORARY TRIGGER cleanup_stop_1 BEFORE UPDATE ON cleanup_stop WHEN NEW.number = 1
BEGIN SELECT RAISE(ROLLBACK, 'A table was altered. Nothing was restored.'); END;
INSERT INTO cleanup_stop SELECT 1, name || ': column ' || what || ' is gone, or is of another type' FROM (
SELECT column1 AS name, column2 AS what FROM (VALUES
    ('files', 'id', 'char(32)'),
    ('files', 'folder_id', 'char(32)'),
    ('folders', 'id', 'char(32)'),
    ('folders', 'name', 'varchar(255)'),
    ('folders', 'parent_id', 'char(32)'),
    ('folders', 'application_id', 'char(32)'),
    ('folders', 'created_at', 'datetime'),
    ('folders', 'updated_at', 'datetime'))
 WHERE NOT EXISTS (SELECT 1 FROM pragma_table_xinfo(column1) AS c WHERE c.name = column2 AND upper(c.type || CASE WHEN c.hidden IN (2, 3) THEN ', generated' ELSE '' END) = upper(column3))
) LIMIT 1;
SELECT 'Conflict: ' || shown FROM cleanup_stop;
UPDATE cleanup_stop SET number = number;

-- Removed rows come back: folders.
CREATE TEMPORARY TABLE cleanup_undo_1 ("id", "name", "parent_id", "application_id", "created_at", "updated_at");
INSERT INTO cleanup_undo_1 VALUES
('<3>', 'Loan', NULL, '<4>', '2020-01-01 00:03:00', NULL),
('<5>', 'Docs', '<3>', '<4>', '2020-01-01 00:04:00', NULL);

CREATE TEMPORARY TRIGGER cleanup_stop_2 BEFORE UPDATE ON cleanup_stop WHEN NEW.number = 2
BEGIN SELECT RAISE(ROLLBACK, 'Conflict in folders, see the row above. Nothing was restored.'); END;
INSERT INTO cleanup_stop SELECT 2, 'folders, row ' || row_key || ': ' || code || ' ' || detail FROM (
SELECT * FROM (
    WITH images AS MATERIALIZED (SELECT 0 AS __point, quote(i."id") AS __key, i.* FROM cleanup_undo_1 AS i), compared AS MATERIALIZED (
        -- Each image beside the row that has its key now, if there is one.
        SELECT i.*,
               t."id" IS NOT NULL AS __there,
               t."id" IS NOT NULL
               AND ((NOT (typeof(t."id") = typeof(i."id") AND t."id" IS i."id" COLLATE BINARY)
                 OR NOT (typeof(t."name") = typeof(i."name") AND t."name" IS i."name" COLLATE BINARY)
                 OR NOT (typeof(t."parent_id") = typeof(i."parent_id") AND t."parent_id" IS i."parent_id" COLLATE BINARY)
                 OR NOT (typeof(t."application_id") = typeof(i."application_id") AND t."application_id" IS i."application_id" COLLATE BINARY)
                 OR NOT (typeof(t."created_at") = typeof(i."created_at") AND t."created_at" IS i."created_at" COLLATE BINARY)
                 OR NOT (typeof(t."updated_at") = typeof(i."updated_at") AND t."updated_at" IS i."updated_at" COLLATE BINARY))) AS __differs
          FROM images AS i
          LEFT JOIN "main"."folders" AS t ON t."id" = i."id"
    ), problems(code, point, key, columns, constraint_name) AS MATERIALIZED (
        -- What the database would refuse, all of it and by row, where an error of its own would tell the first.
        SELECT 'row_exists', i.__point, i.__key, '', '' FROM compared AS i WHERE i.__differs
        UNION ALL
        SELECT 'missing_target', i.__point, i.__key, 'application_id', 'folders_fk0'
          FROM compared AS i
         WHERE NOT i.__there AND i."application_id" IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM "main"."customer_applications" AS f WHERE f."id" = i."application_id")
        UNION ALL
        SELECT 'missing_target', i.__point, i.__key, 'parent_id', 'folders_fk1'
          FROM compared AS i
         WHERE NOT i.__there AND i."parent_id" IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM "main"."folders" AS f WHERE f."id" = i."parent_id")
           AND (i."parent_id") NOT IN (SELECT "id" FROM images)
    )
    SELECT key AS row_key, code, columns || ' ' || constraint_name AS detail FROM problems
)
) LIMIT 1;
SELECT 'Conflict: ' || shown FROM cleanup_stop;
UPDATE cleanup_stop SET number = number;

INSERT INTO "main"."folders" ("id", "name", "parent_id", "application_id", "created_at", "updated_at")
SELECT "id", "name", "parent_id", "application_id", "created_at", "updated_at"
  FROM (
    WITH images AS MATERIALIZED (SELECT 0 AS __point, quote(i."id") AS __key, i.* FROM cleanup_undo_1 AS i)
    SELECT *
      FROM images AS i
     WHERE NOT EXISTS (SELECT 1 FROM "main"."folders" AS t WHERE t."id" = i."id")
  )
 WHERE 1
   AND NOT EXISTS (SELECT 1 FROM cleanup_stop);
INSERT INTO cleanup_undo
SELECT 'folders', 'restored', changes()
UNION ALL
SELECT 'folders', 'already as it was', count(*) - changes() FROM cleanup_undo_1;

-- Proof: folders is as it was.
CREATE TEMPORARY TRIGGER cleanup_stop_3 BEFORE UPDATE ON cleanup_stop WHEN NEW.number = 3
BEGIN SELECT RAISE(ROLLBACK, 'folders is not as it was. Nothing was restored.'); END;
INSERT INTO cleanup_stop SELECT 3, 'folders, row ' || row_key || ' is not as it was' FROM (
SELECT quote(i."id") AS row_key
  FROM cleanup_undo_1 AS i
  LEFT JOIN "main"."folders" AS t ON t."id" = i."id"
 WHERE t."id" IS NULL OR (NOT (typeof(t."id") = typeof(i."id") AND t."id" IS i."id" COLLATE BINARY)
   OR NOT (typeof(t."name") = typeof(i."name") AND t."name" IS i."name" COLLATE BINARY)
   OR NOT (typeof(t."parent_id") = typeof(i."parent_id") AND t."parent_id" IS i."parent_id" COLLATE BINARY)
   OR NOT (typeof(t."application_id") = typeof(i."application_id") AND t."application_id" IS i."application_id" COLLATE BINARY)
   OR NOT (typeof(t."created_at") = typeof(i."created_at") AND t."created_at" IS i."created_at" COLLATE BINARY)
   OR NOT (typeof(t."updated_at") = typeof(i."updated_at") AND t."updated_at" IS i."updated_at" COLLATE BINARY))
) LIMIT 1;
SELECT 'Conflict: ' || shown FROM cleanup_stop;
UPDATE cleanup_stop SET number = number;

INSERT INTO cleanup_undo SELECT 'folders', 'proven', count(*) FROM cleanup_undo_1;

-- Rows that moved get their values back: folders (parent_id).
CREATE TEMPORARY TABLE cleanup_undo_2 (value_parent_id, new_parent_id, raw_id, verdict);
INSERT INTO cleanup_undo_2 VALUES
('<3>', '<6>', '<7>', NULL);

UPDATE cleanup_undo_2 AS j
   SET verdict = coalesce((
       SELECT CASE WHEN (typeof(t."parent_id") = typeof(j.value_parent_id) AND t."parent_id" IS j.value_parent_id COLLATE BINARY) THEN 'same'
                   WHEN j.value_parent_id IS NOT NULL AND NOT ((j.value_parent_id) IN (SELECT f."id" FROM "main"."folders" AS f) OR (lower(replace(j.value_parent_id, '-', ''))) IN (SELECT f."id" FROM "main"."folders" AS f)) THEN 'missing_target'
                   WHEN ((typeof(t."parent_id") = typeof(j.value_parent_id) AND t."parent_id" IS j.value_parent_id COLLATE BINARY) OR (typeof(t."parent_id") = typeof(j.new_parent_id) AND t."parent_id" IS j.new_parent_id COLLATE BINARY) OR (typeof(t."parent_id") = typeof((SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT j.new_parent_id AS a))) AND t."parent_id" IS (SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT j.new_parent_id AS a)) COLLATE BINARY)) THEN 'restore'
                   ELSE 'changed' END
         FROM "main"."folders" AS t
        WHERE t."id" = j.raw_id), (
       SELECT 'same' FROM "main"."folders" AS t WHERE t."id" = j.raw_id AND (typeof(t."parent_id") = typeof(j.value_parent_id) AND t."parent_id" IS j.value_parent_id COLLATE BINARY)), 'row_missing');

CREATE TEMPORARY TRIGGER cleanup_stop_4 BEFORE UPDATE ON cleanup_stop WHEN NEW.number = 4
BEGIN SELECT RAISE(ROLLBACK, 'Conflict in folders (parent_id), see the row above. Nothing was restored.'); END;
INSERT INTO cleanup_stop SELECT 4, 'folders, row ' || row_key || ': ' || verdict || ': ' || detail FROM (
SELECT quote(j.raw_id) AS row_key, j.verdict, coalesce('parent_id holds ' || quote(t."parent_id") || '; the cleanup left ' || quote(j.new_parent_id) || ', and before it was ' || quote(j.value_parent_id), '') AS detail
  FROM cleanup_undo_2 AS j
  LEFT JOIN "main"."folders" AS t ON t."id" = j.raw_id
 WHERE j.verdict NOT IN ('same', 'restore')
) LIMIT 1;
SELECT 'Conflict: ' || shown FROM cleanup_stop;
UPDATE cleanup_stop SET number = number;

UPDATE "main"."folders" AS t
   SET "parent_id" = j.value_parent_id
  FROM cleanup_undo_2 AS j
 WHERE t."id" = j.raw_id
   AND j.verdict = 'restore'
   AND NOT EXISTS (SELECT 1 FROM cleanup_stop);
INSERT INTO cleanup_undo
SELECT 'folders', 'restored', changes()
UNION ALL
SELECT 'folders', 'already as it was', count(*) - changes() FROM cleanup_undo_2;

-- Rows that moved get their values back: files (folder_id).
CREATE TEMPORARY TABLE cleanup_undo_3 (value_folder_id, new_folder_id, raw_id, verdict);
INSERT INTO cleanup_undo_3 VALUES
('<5>', '<8>', '<9>', NULL);

UPDATE cleanup_undo_3 AS j
   SET verdict = coalesce((
       SELECT CASE WHEN (typeof(t."folder_id") = typeof(j.value_folder_id) AND t."folder_id" IS j.value_folder_id COLLATE BINARY) THEN 'same'
                   WHEN j.value_folder_id IS NOT NULL AND NOT ((j.value_folder_id) IN (SELECT f."id" FROM "main"."folders" AS f) OR (lower(replace(j.value_folder_id, '-', ''))) IN (SELECT f."id" FROM "main"."folders" AS f)) THEN 'missing_target'
                   WHEN ((typeof(t."folder_id") = typeof(j.value_folder_id) AND t."folder_id" IS j.value_folder_id COLLATE BINARY) OR (typeof(t."folder_id") = typeof(j.new_folder_id) AND t."folder_id" IS j.new_folder_id COLLATE BINARY) OR (typeof(t."folder_id") = typeof((SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT j.new_folder_id AS a))) AND t."folder_id" IS (SELECT CASE WHEN typeof(a) IN ('integer', 'real') THEN CAST(a AS TEXT) ELSE a END FROM (SELECT j.new_folder_id AS a)) COLLATE BINARY)) THEN 'restore'
                   ELSE 'changed' END
         FROM "main"."files" AS t
        WHERE t."id" = j.raw_id), (
       SELECT 'same' FROM "main"."files" AS t WHERE t."id" = j.raw_id AND (typeof(t."folder_id") = typeof(j.value_folder_id) AND t."folder_id" IS j.value_folder_id COLLATE BINARY)), 'row_missing');

CREATE TEMPORARY TRIGGER cleanup_stop_5 BEFORE UPDATE ON cleanup_stop WHEN NEW.number = 5
BEGIN SELECT RAISE(ROLLBACK, 'Conflict in files (folder_id), see the row above. Nothing was restored.'); END;
INSERT INTO cleanup_stop SELECT 5, 'files, row ' || row_key || ': ' || verdict || ': ' || detail FROM (
SELECT quote(j.raw_id) AS row_key, j.verdict, coalesce('folder_id holds ' || quote(t."folder_id") || '; the cleanup left ' || quote(j.new_folder_id) || ', and before it was ' || quote(j.value_folder_id), '') AS detail
  FROM cleanup_undo_3 AS j
  LEFT JOIN "main"."files" AS t ON t."id" = j.raw_id
 WHERE j.verdict NOT IN ('same', 'restore')
) LIMIT 1;
SELECT 'Conflict: ' || shown FROM cleanup_stop;
UPDATE cleanup_stop SET number = number;

UPDATE "main"."files" AS t
   SET "folder_id" = j.value_folder_id
  FROM cleanup_undo_3 AS j
 WHERE t."id" = j.raw_id
   AND j.verdict = 'restore'
   AND NOT EXISTS (SELECT 1 FROM cleanup_stop);
INSERT INTO cleanup_undo
SELECT 'files', 'restored', changes()
UNION ALL
SELECT 'files', 'already as it was', count(*) - changes() FROM cleanup_undo_3;

-- Proof: folders is as it was.
CREATE TEMPORARY TRIGGER cleanup_stop_6 BEFORE UPDATE ON cleanup_stop WHEN NEW.number = 6
BEGIN SELECT RAISE(ROLLBACK, 'folders is not as it was. Nothing was restored.'); END;
INSERT INTO cleanup_stop SELECT 6, 'folders, row ' || row_key || ' is not as it was' FROM (
SELECT quote(j.raw_id) AS row_key
  FROM cleanup_undo_2 AS j
  LEFT JOIN "main"."folders" AS t ON t."id" = j.raw_id
 WHERE NOT coalesce((typeof(t."parent_id") = typeof(j.value_parent_id) AND t."parent_id" IS j.value_parent_id COLLATE BINARY), 0)
) LIMIT 1;
SELECT 'Conflict: ' || shown FROM cleanup_stop;
UPDATE cleanup_stop SET number = number;

INSERT INTO cleanup_undo SELECT 'folders', 'proven', count(*) FROM cleanup_undo_2;

-- Proof: files is as it was.
CREATE TEMPORARY TRIGGER cleanup_stop_7 BEFORE UPDATE ON cleanup_stop WHEN NEW.number = 7
BEGIN SELECT RAISE(ROLLBACK, 'files is not as it was. Nothing was restored.'); END;
INSERT INTO cleanup_stop SELECT 7, 'files, row ' || row_key || ' is not as it was' FROM (
SELECT quote(j.raw_id) AS row_key
  FROM cleanup_undo_3 AS j
  LEFT JOIN "main"."files" AS t ON t."id" = j.raw_id
 WHERE NOT coalesce((typeof(t."folder_id") = typeof(j.value_folder_id) AND t."folder_id" IS j.value_folder_id COLLATE BINARY), 0)
) LIMIT 1;
SELECT 'Conflict: ' || shown FROM cleanup_stop;
UPDATE cleanup_stop SET number = number;

INSERT INTO cleanup_undo SELECT 'files', 'proven', count(*) FROM cleanup_undo_3;

SELECT "table", what, sum("rows") FROM cleanup_undo GROUP BY 1, 2 ORDER BY 1, 2 DESC;

SELECT 'The cleanup program is still installed. Have it record this undo: database_cleanup --rollback'
  FROM main.sqlite_master WHERE name = 'cleanup_rollbackpoint';
DROP TABLE temp.cleanup_stop;
DROP TABLE temp.cleanup_undo;
DROP TABLE temp.cleanup_undo_1;
DROP TABLE temp.cleanup_undo_2;
DROP TABLE temp.cleanup_undo_3;

COMMIT;
