CREATE TABLE customer_applications (id uuid PRIMARY KEY);
CREATE TABLE folders (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL, parent_id uuid REFERENCES folders (id),
    application_id uuid REFERENCES customer_applications (id), created_at timestamptz, updated_at timestamptz
);
CREATE TABLE files (
    id uuid PRIMARY KEY, filename varchar(255) NOT NULL, original_filename varchar(255) NOT NULL,
    display_name varchar(255), file_path text NOT NULL, file_size bigint NOT NULL, mime_type varchar(100) NOT NULL,
    uploaded_by uuid, application_id uuid REFERENCES customer_applications (id), folder_id varchar(36),
    created_at timestamptz
);
INSERT INTO customer_applications VALUES ('ca000000-0000-4000-8000-000000000001');
INSERT INTO folders (id, name, application_id, created_at) VALUES
    ('f0000000-0000-4000-8000-00000000001a', 'Lease', 'ca000000-0000-4000-8000-000000000001', '2023-04-01'),
    ('f0000000-0000-4000-8000-00000000001b', 'Lease', 'ca000000-0000-4000-8000-000000000001', '2023-05-01');
-- The first as UUIDs are written, the second in capitals.
INSERT INTO files (id, filename, original_filename, file_path, file_size, mime_type, application_id, folder_id) VALUES
    ('d0000000-0000-4000-8000-000000000001', 'a', 'a', '/1', 1, 't', 'ca000000-0000-4000-8000-000000000001', 'f0000000-0000-4000-8000-00000000001b'),
    ('d0000000-0000-4000-8000-000000000002', 'b', 'b', '/2', 1, 't', 'ca000000-0000-4000-8000-000000000001', 'F0000000-0000-4000-8000-00000000001B');
