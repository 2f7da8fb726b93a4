CREATE TABLE customer_applications (id char(32) PRIMARY KEY NOT NULL);
CREATE TABLE folders (
    id char(32) PRIMARY KEY NOT NULL, name varchar(255) NOT NULL, parent_id char(32) REFERENCES folders (id),
    application_id char(32) REFERENCES customer_applications (id), created_at datetime, updated_at datetime
);
CREATE TABLE files (
    id char(32) PRIMARY KEY NOT NULL, filename varchar(255) NOT NULL, original_filename varchar(255) NOT NULL,
    display_name varchar(255), file_path text NOT NULL, file_size bigint NOT NULL, mime_type varchar(100) NOT NULL,
    uploaded_by char(32), application_id char(32) REFERENCES customer_applications (id),
    folder_id char(32) REFERENCES folders (id), created_at datetime
);
CREATE TABLE stamps (id integer PRIMARY KEY, file_id char(32) REFERENCES files (id), word text);

PRAGMA foreign_keys = OFF;
INSERT INTO customer_applications VALUES ('ca000000000040008000000000000001');
INSERT INTO folders (id, name, application_id, created_at) VALUES
    ('f0000000000040008000000000000011', 'Lease', 'ca000000000040008000000000000001', '2023-04-01 08:00:00'), ('f0000000000040008000000000000012', 'Lease', 'ca000000000040008000000000000001', '2023-05-01 08:00:00');
INSERT INTO stamps VALUES (1, 'd0000000000040008000000000000099', 'of a file that has gone');
PRAGMA foreign_keys = ON;
