ALTER TABLE customer_applications ADD COLUMN top_folder :key REFERENCES folders (id);
CREATE UNIQUE INDEX one_top_folder ON customer_applications (top_folder);
CREATE TABLE clerks (id integer PRIMARY KEY, "homeFolderId" :key);

-- 01 points at its younger top folder.
UPDATE customer_applications SET top_folder = 'f0000000000040008000000000000012' WHERE id = 'ca000000000040008000000000000001';
UPDATE customer_applications SET top_folder = 'f0000000000040008000000000000051' WHERE id = 'ca000000000040008000000000000003';
INSERT INTO clerks VALUES (1, 'f0000000000040008000000000000022'), (2, 'f0000000000040008000000000000042'), (3, NULL);
