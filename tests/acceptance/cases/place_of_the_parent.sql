ALTER TABLE folders ADD COLUMN shelf varchar(500) DEFAULT '/' NOT NULL;

WITH RECURSIVE down (id, shelf) AS (
    SELECT id, '/' FROM folders WHERE parent_id IS NULL
    UNION ALL
    SELECT f.id, d.shelf || CAST(f.parent_id AS text) || '/' FROM down AS d JOIN folders AS f ON f.parent_id = d.id
)
UPDATE folders SET shelf = (SELECT d.shelf FROM down AS d WHERE d.id = folders.id);
