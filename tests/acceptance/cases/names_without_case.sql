CREATE EXTENSION citext;
ALTER TABLE folders ALTER COLUMN name TYPE citext;
CREATE UNIQUE INDEX names_without_case ON folders (parent_id, name);

UPDATE folders SET name = 'LETTERS' WHERE id = 'f0000000000040008000000000000022';
