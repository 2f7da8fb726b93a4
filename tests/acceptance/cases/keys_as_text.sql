CREATE TABLE customer_applications (id varchar(36) PRIMARY KEY);
CREATE TABLE folders (
    id varchar(36) PRIMARY KEY, name varchar(255) NOT NULL, parent_id varchar(36) REFERENCES folders (id),
    application_id varchar(36) REFERENCES customer_applications (id), created_at timestamptz, updated_at timestamptz
);
CREATE TABLE files (
    id varchar(36) PRIMARY KEY, filename varchar(255) NOT NULL, original_filename varchar(255) NOT NULL,
    display_name varchar(255), file_path text NOT NULL, file_size bigint NOT NULL, mime_type varchar(100) NOT NULL,
    uploaded_by varchar(36), application_id varchar(36) REFERENCES customer_applications (id),
    folder_id varchar(36) REFERENCES folders (id), created_at timestamptz
);
INSERT INTO customer_applications VALUES ('ca000000-0000-4000-8000-000000000001');
INSERT INTO folders (id, name, application_id) VALUES
    ('f0000000-0000-4000-8000-000000000011', 'Lease', 'ca000000-0000-4000-8000-000000000001'),
    ('f0000000-0000-4000-8000-000000000012', 'Lease', 'ca000000-0000-4000-8000-000000000001');
