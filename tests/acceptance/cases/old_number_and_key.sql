ALTER TABLE folders ADD COLUMN old_number integer;
UPDATE folders SET old_number = (SELECT count(*) FROM folders AS f WHERE f.id <= folders.id);
CREATE UNIQUE INDEX old_numbers ON folders (old_number);
ALTER TABLE folders ADD COLUMN old_parent integer REFERENCES folders (old_number);
ALTER TABLE files ADD COLUMN old_folder integer REFERENCES folders (old_number);
CREATE TABLE favourites (id integer PRIMARY KEY, old_folder integer NOT NULL REFERENCES folders (old_number) ON DELETE CASCADE);

UPDATE folders SET old_parent = (SELECT f.old_number FROM folders AS f WHERE f.id = folders.parent_id);
UPDATE files SET old_folder = (SELECT f.old_number FROM folders AS f WHERE f.id = files.folder_id);
INSERT INTO favourites SELECT old_number, old_number FROM folders;
