CREATE TABLE loans (id integer NOT NULL, folder_id :key NOT NULL REFERENCES folders (id), who text);
CREATE UNIQUE INDEX loans_ids ON loans (id);

INSERT INTO loans VALUES (1, 'f0000000000040008000000000000012', 'ann'), (2, 'f0000000000040008000000000000022', 'bob');
