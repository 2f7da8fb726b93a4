CREATE DOMAIN folder_number AS uuid;
CREATE DOMAIN folder_of_a_file AS folder_number;
CREATE TABLE customer_applications (id uuid PRIMARY KEY);
CREATE TABLE folders (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL, parent_id folder_number,
    application_id uuid REFERENCES customer_applications (id), created_at timestamptz, updated_at timestamptz
);
CREATE TABLE files (
    id uuid PRIMARY KEY, filename varchar(255) NOT NULL, original_filename varchar(255) NOT NULL,
    display_name varchar(255), file_path text NOT NULL, file_size bigint NOT NULL, mime_type varchar(100) NOT NULL,
    uploaded_by uuid, application_id uuid REFERENCES customer_applications (id), folder_id folder_of_a_file,
    created_at timestamptz
);
INSERT INTO customer_applications VALUES ('ca000000-0000-4000-8000-000000000001');
INSERT INTO folders (id, name, parent_id, application_id, created_at) VALUES
    ('f0000000-0000-4000-8000-000000000011', 'Lease', NULL, 'ca000000-0000-4000-8000-000000000001', '2023-04-01'),
    ('f0000000-0000-4000-8000-000000000012', 'Lease', NULL, 'ca000000-0000-4000-8000-000000000001', '2023-05-01'),
    ('f0000000-0000-4000-8000-000000000023', 'Plans', 'f0000000-0000-4000-8000-000000000012', 'ca000000-0000-4000-8000-000000000001', '2023-05-02');
INSERT INTO files (id, filename, original_filename, file_path, file_size, mime_type, application_id, folder_id) VALUES
    ('d0000000-0000-4000-8000-000000000001', 'a', 'a', '/1', 1, 't', 'ca000000-0000-4000-8000-000000000001', 'f0000000-0000-4000-8000-000000000012');
