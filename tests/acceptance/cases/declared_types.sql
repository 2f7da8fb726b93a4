CREATE TABLE customer_applications (id char(32) PRIMARY KEY NOT NULL);
CREATE TABLE folders (
    id char(32) PRIMARY KEY NOT NULL, name varchar(255) NOT NULL, parent_id NVARCHAR2(32),
    application_id char(32), created_at datetime, updated_at datetime
);
CREATE TABLE files (
    id char(32) PRIMARY KEY NOT NULL, filename varchar(255) NOT NULL, original_filename varchar(255) NOT NULL,
    display_name varchar(255), file_path text NOT NULL, file_size bigint NOT NULL, mime_type varchar(100) NOT NULL,
    uploaded_by char(32), application_id char(32), folder_id VARCHAR2(36), created_at datetime
);
INSERT INTO customer_applications VALUES ('ca000000000040008000000000000001');
INSERT INTO folders (id, name, parent_id, application_id, created_at) VALUES
    ('f0000000000040008000000000000011', 'Lease', NULL, 'ca000000000040008000000000000001', '2023-04-01 08:00:00'),
    ('f0000000000040008000000000000012', 'Lease', NULL, 'ca000000000040008000000000000001', '2023-05-01 08:00:00'),
    ('f0000000000040008000000000000023', 'Plans', 'f0000000000040008000000000000012', 'ca000000000040008000000000000001', '2023-05-02 08:00:00');
INSERT INTO files (id, filename, original_filename, file_path, file_size, mime_type, application_id, folder_id)
    VALUES ('d0000000000040008000000000000001', 'a', 'a', '/1', 1, 't', 'ca000000000040008000000000000001', 'f0000000000040008000000000000012');
