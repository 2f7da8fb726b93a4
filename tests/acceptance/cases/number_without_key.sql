ALTER TABLE folders ADD COLUMN num integer;
UPDATE folders SET num = CAST(substr(CAST(id AS text), length(CAST(id AS text)) - 1) AS integer);
CREATE UNIQUE INDEX folder_num ON folders (num);

CREATE TABLE favourites (id integer PRIMARY KEY, folder_num integer NOT NULL);
INSERT INTO favourites SELECT num, num FROM folders;
