CREATE TABLE customer_applications (id uuid PRIMARY KEY);
CREATE TABLE folders (
    id uuid NOT NULL, name varchar(255) NOT NULL, parent_id uuid,
    application_id uuid NOT NULL REFERENCES customer_applications (id), created_at timestamptz, updated_at timestamptz,
    PRIMARY KEY (application_id, id),
    FOREIGN KEY (application_id, parent_id) REFERENCES folders (application_id, id)
) PARTITION BY HASH (application_id);
CREATE TABLE folders_even PARTITION OF folders FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE folders_odd PARTITION OF folders FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE files (
    id uuid PRIMARY KEY, filename varchar(255) NOT NULL, original_filename varchar(255) NOT NULL,
    display_name varchar(255), file_path text NOT NULL, file_size bigint NOT NULL, mime_type varchar(100) NOT NULL,
    uploaded_by uuid, application_id uuid, folder_id uuid, created_at timestamptz,
    FOREIGN KEY (application_id, folder_id) REFERENCES folders (application_id, id)
);
INSERT INTO customer_applications VALUES ('ca000000-0000-4000-8000-000000000001');
INSERT INTO folders (id, name, application_id, created_at) VALUES
    ('f0000000-0000-4000-8000-000000000011', 'Lease', 'ca000000-0000-4000-8000-000000000001', '2023-04-01'),
    ('f0000000-0000-4000-8000-000000000012', 'Lease', 'ca000000-0000-4000-8000-000000000001', '2023-05-01');
INSERT INTO files (id, filename, original_filename, file_path, file_size, mime_type, application_id, folder_id) VALUES
    ('d0000000-0000-4000-8000-000000000001', 'a', 'a', '/1', 1, 't', 'ca000000-0000-4000-8000-000000000001', 'f0000000-0000-4000-8000-000000000012');
