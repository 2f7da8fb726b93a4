ALTER TABLE folders ADD COLUMN trail varchar(500);

WITH RECURSIVE down (id, trail) AS (
    SELECT id, replace(CAST(id AS text), '-', '') || '/' FROM folders WHERE parent_id IS NULL
    UNION ALL
    SELECT f.id, d.trail || replace(CAST(f.id AS text), '-', '') || '/' FROM down AS d JOIN folders AS f ON f.parent_id = d.id
)
UPDATE folders SET trail = (SELECT d.trail FROM down AS d WHERE d.id = folders.id);
