ALTER TABLE folders ADD COLUMN place integer DEFAULT 0 NOT NULL;

UPDATE folders SET place = (
    SELECT count(*) FROM folders AS f WHERE f.parent_id = folders.parent_id AND f.created_at <= folders.created_at
);
CREATE UNIQUE INDEX numbered_siblings ON folders (parent_id, place);

-- Beside the folder "Letters" that stays, in the place of "Plans".
INSERT INTO folders (id, name, parent_id, application_id, created_at, place)
    VALUES ('f0000000000040008000000000000024', 'Photos', 'f0000000000040008000000000000011', 'ca000000000040008000000000000001', '2023-04-04 08:00:00', 2);
