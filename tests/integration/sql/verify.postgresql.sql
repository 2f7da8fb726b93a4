WITH RECURSIVE live_roots AS MATERIALIZED (
    -- Applications should have one each, or one of each name.
    SELECT f."application_id" AS application, count(*) AS folders, count(*) - 1 AS surplus
      FROM "folders" AS f
     WHERE f."parent_id" IS NULL AND f."application_id" IS NOT NULL AND (1 = 1) AND 1 = 1
     GROUP BY f."application_id"
), sibling_groups AS MATERIALIZED (
    -- Names are the same by their bytes, whatever collation the column has.
    SELECT f."application_id" AS application, f."parent_id" AS parent, f."name"::text COLLATE "C" AS name, count(*) AS folders
      FROM "folders" AS f
     WHERE f."parent_id" IS NOT NULL AND f."application_id" IS NOT NULL AND (1 = 1) AND 1 = 1
     GROUP BY f."application_id", f."parent_id", f."name"::text COLLATE "C"
    HAVING count(*) > 1
), climbed(application, folder, parent) AS (
    -- The groups' parents and all above them; UNION ends cycles.
    SELECT f."application_id", f."id", f."parent_id"
      FROM (SELECT DISTINCT application, parent FROM sibling_groups) AS g
      JOIN "folders" AS f ON f."id" = g.parent AND f."application_id" = g.application
     UNION
    SELECT f."application_id", f."id", f."parent_id"
      FROM climbed AS c
      JOIN "folders" AS f ON f."id" = c.parent AND f."application_id" = c.application
), ancestors AS MATERIALIZED (
    -- Read by two statements below, and so not to be walked twice.
    SELECT * FROM climbed
), rooted(application, folder) AS (
    -- Those of them that a root is above: down again from the roots, so that cycles are left out.
    -- A roundabout way to say that parent is null: PostgreSQL expects a third of the rows, where it would
    -- expect few, and so hashes the ancestors once rather than each level of the walk.
    SELECT application, folder
      FROM ancestors
     WHERE CASE WHEN parent IS NULL THEN 1 ELSE 0 END > 0
     UNION ALL
    SELECT a.application, a.folder
      FROM rooted AS r
      JOIN ancestors AS a ON a.parent = r.folder AND a.application = r.application
), siblings AS (
    -- The groups that a merge would come to.
    SELECT g.application, g.parent, g.name, g.folders
      FROM sibling_groups AS g
      JOIN rooted AS r ON r.folder = g.parent AND r.application = g.application
), flagged(code, object, application, target, survivor, name, folders) AS MATERIALIZED (
    SELECT 'several_roots', a."id"::text, a."id"::text, NULL, NULL, NULL, r.folders
      FROM live_roots AS r
      JOIN "customer_applications" AS a ON a."id" = r.application
     WHERE r.surplus > 0
     UNION ALL
    SELECT 'same_named_siblings', g.parent::text, a."id"::text, NULL, NULL, g.name,
           g.folders
      FROM siblings AS g
      JOIN "customer_applications" AS a ON a."id" = g.application
)
-- The counts, by application where it is an error; then the first examples of each code.
SELECT 0 AS example, code, count(*) AS number, CAST(coalesce(sum(folders - 1), 0) AS bigint) AS surplus,
       CASE WHEN code IN ('several_roots', 'same_named_siblings', 'missing_parent', 'cycle', 'foreign_parent', 'folder_of_missing_application', 'file_of_missing_application', 'file_of_missing_folder', 'file_in_other_application', 'dangling_reference', 'path_out_of_date', 'no_live_folder', 'no_root_folder') THEN application END AS application,
       NULL AS object, NULL AS target, NULL AS survivor, NULL AS name
  FROM flagged
 GROUP BY 2, 5
UNION ALL
SELECT 1, code, place, coalesce(folders - 1, 0), application, object, target, survivor, name
  FROM (SELECT *, row_number() OVER (PARTITION BY code ORDER BY application::text COLLATE "C", object::text COLLATE "C", name::text COLLATE "C") AS place
          FROM flagged) AS e
 WHERE code <> 'orphan_twice' AND place <= %(examples)s;

WITH RECURSIVE candidates AS MATERIALIZED (
    -- Rows that may be in a finding, nearly none; ``o`` is their folder, if that is in their application.
    SELECT f."id" AS object, f."application_id" AS application, f."parent_id" AS target, CASE WHEN btrim(f."name"::text, %(blanks)s) = '' THEN 1 ELSE 0 END AS blank,
           CASE WHEN a."id" IS NULL THEN 1 ELSE 0 END AS no_application
      FROM "folders" AS f
      LEFT JOIN "folders" AS o
        ON o."id" = f."parent_id"
       AND (o."application_id" = f."application_id" OR o."application_id" IS NULL OR f."application_id" IS NULL)
      LEFT JOIN "customer_applications" AS a
        ON a."id" = f."application_id"
     WHERE 1 = 1
       AND (btrim(f."name"::text, %(blanks)s) = '' OR a."id" IS NULL OR (f."parent_id" IS NOT NULL AND o."id" IS NULL))
), looked_up AS MATERIALIZED (
    -- Scalar subqueries, since the planner never turns these into a join with the whole table.
    SELECT c.*,
           (SELECT 1 FROM "folders" AS t WHERE t."id" = c.target) AS found,
           (SELECT t."application_id" FROM "folders" AS t WHERE t."id" = c.target) AS target_application
      FROM candidates AS c
), traced AS MATERIALIZED (
    -- Whether a cleanup removed the folder that is missing, and where it went.
    SELECT l.*,
           CASE WHEN l.target IS NOT NULL AND l.found IS NULL THEN (
             SELECT r.survivor_key
               FROM cleanup_removedfolder AS r
               JOIN cleanup_rollbackpoint AS p ON p.id = r.point_id
              WHERE r.folder_key = l.target::text AND p.status = 'live'
              ORDER BY r.id DESC
              LIMIT 1
           ) END AS survivor,
           CASE WHEN l.target IS NOT NULL AND l.found IS NULL THEN (
             SELECT p.application_key
               FROM cleanup_removedfolder AS r
               JOIN cleanup_rollbackpoint AS p ON p.id = r.point_id
              WHERE r.folder_key = l.target::text AND p.status = 'live'
              ORDER BY r.id DESC
              LIMIT 1
           ) END AS merged_application
      FROM looked_up AS l
), flagged(code, object, application, target, survivor, name, folders) AS MATERIALIZED (
    SELECT 'missing_parent', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE target IS NOT NULL AND found IS NULL AND survivor IS NULL
    UNION ALL
    SELECT 'foreign_parent', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE application <> target_application AND no_application = 0
    UNION ALL
    SELECT 'folder_of_missing_application', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE application IS NOT NULL AND no_application = 1
    UNION ALL
    SELECT 'late_arrival', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE survivor IS NOT NULL
    UNION ALL
    SELECT 'folder_without_application', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE application IS NULL
    UNION ALL
    SELECT 'blank_name', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE blank = 1
    UNION ALL
    SELECT 'orphan_twice', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE target IS NOT NULL AND found IS NULL AND survivor IS NULL AND application IS NOT NULL AND no_application = 1
)
-- The counts, by application where it is an error; then the first examples of each code.
SELECT 0 AS example, code, count(*) AS number, CAST(coalesce(sum(folders - 1), 0) AS bigint) AS surplus,
       CASE WHEN code IN ('several_roots', 'same_named_siblings', 'missing_parent', 'cycle', 'foreign_parent', 'folder_of_missing_application', 'file_of_missing_application', 'file_of_missing_folder', 'file_in_other_application', 'dangling_reference', 'path_out_of_date', 'no_live_folder', 'no_root_folder') THEN application END AS application,
       NULL AS object, NULL AS target, NULL AS survivor, NULL AS name
  FROM flagged
 GROUP BY 2, 5
UNION ALL
SELECT 1, code, place, coalesce(folders - 1, 0), application, object, target, survivor, name
  FROM (SELECT *, row_number() OVER (PARTITION BY code ORDER BY application::text COLLATE "C", object::text COLLATE "C", name::text COLLATE "C") AS place
          FROM flagged) AS e
 WHERE code <> 'orphan_twice' AND place <= %(examples)s;

WITH RECURSIVE candidates AS MATERIALIZED (
    -- Rows that may be in a finding, nearly none; ``o`` is their folder, if that is in their application.
    SELECT f."id" AS object, f."application_id" AS application, f."folder_id" AS target, 0 AS blank,
           CASE WHEN a."id" IS NULL THEN 1 ELSE 0 END AS no_application
      FROM "files" AS f
      LEFT JOIN "folders" AS o
        ON o."id" = f."folder_id"
       AND (o."application_id" = f."application_id" OR o."application_id" IS NULL OR f."application_id" IS NULL)
      LEFT JOIN "customer_applications" AS a
        ON a."id" = f."application_id"
     WHERE 1 = 1
       AND ((f."folder_id" IS NOT NULL AND o."id" IS NULL) OR (f."application_id" IS NOT NULL AND (a."id" IS NULL OR f."folder_id" IS NULL)))
), looked_up AS MATERIALIZED (
    -- Scalar subqueries, since the planner never turns these into a join with the whole table.
    SELECT c.*,
           (SELECT 1 FROM "folders" AS t WHERE t."id" = c.target) AS found,
           (SELECT t."application_id" FROM "folders" AS t WHERE t."id" = c.target) AS target_application
      FROM candidates AS c
), traced AS MATERIALIZED (
    -- Whether a cleanup removed the folder that is missing, and where it went.
    SELECT l.*,
           CASE WHEN l.target IS NOT NULL AND l.found IS NULL THEN (
             SELECT r.survivor_key
               FROM cleanup_removedfolder AS r
               JOIN cleanup_rollbackpoint AS p ON p.id = r.point_id
              WHERE r.folder_key = l.target::text AND p.status = 'live'
              ORDER BY r.id DESC
              LIMIT 1
           ) END AS survivor,
           CASE WHEN l.target IS NOT NULL AND l.found IS NULL THEN (
             SELECT p.application_key
               FROM cleanup_removedfolder AS r
               JOIN cleanup_rollbackpoint AS p ON p.id = r.point_id
              WHERE r.folder_key = l.target::text AND p.status = 'live'
              ORDER BY r.id DESC
              LIMIT 1
           ) END AS merged_application
      FROM looked_up AS l
), flagged(code, object, application, target, survivor, name, folders) AS MATERIALIZED (
    SELECT 'file_of_missing_application', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE application IS NOT NULL AND no_application = 1
    UNION ALL
    SELECT 'file_of_missing_folder', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE target IS NOT NULL AND found IS NULL AND survivor IS NULL
    UNION ALL
    SELECT 'file_in_other_application', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE application <> target_application AND no_application = 0
    UNION ALL
    SELECT 'late_arrival', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE survivor IS NOT NULL
    UNION ALL
    SELECT 'file_without_folder', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE application IS NOT NULL AND target IS NULL
    UNION ALL
    SELECT 'orphan_twice', l.object::text, coalesce(l.application::text, l.merged_application), l.target::text, l.survivor,
           NULL, CAST(NULL AS bigint)
      FROM traced AS l
     WHERE target IS NOT NULL AND found IS NULL AND survivor IS NULL AND application IS NOT NULL AND no_application = 1
)
-- The counts, by application where it is an error; then the first examples of each code.
SELECT 0 AS example, code, count(*) AS number, CAST(coalesce(sum(folders - 1), 0) AS bigint) AS surplus,
       CASE WHEN code IN ('several_roots', 'same_named_siblings', 'missing_parent', 'cycle', 'foreign_parent', 'folder_of_missing_application', 'file_of_missing_application', 'file_of_missing_folder', 'file_in_other_application', 'dangling_reference', 'path_out_of_date', 'no_live_folder', 'no_root_folder') THEN application END AS application,
       NULL AS object, NULL AS target, NULL AS survivor, NULL AS name
  FROM flagged
 GROUP BY 2, 5
UNION ALL
SELECT 1, code, place, coalesce(folders - 1, 0), application, object, target, survivor, name
  FROM (SELECT *, row_number() OVER (PARTITION BY code ORDER BY application::text COLLATE "C", object::text COLLATE "C", name::text COLLATE "C") AS place
          FROM flagged) AS e
 WHERE code <> 'orphan_twice' AND place <= %(examples)s;
