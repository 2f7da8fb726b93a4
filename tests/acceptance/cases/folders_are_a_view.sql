CREATE TABLE customer_applications (id uuid PRIMARY KEY);
CREATE TABLE shelf (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL, parent_id uuid REFERENCES shelf (id),
    application_id uuid REFERENCES customer_applications (id), created_at timestamptz, updated_at timestamptz
);
CREATE VIEW folders AS SELECT * FROM shelf;
CREATE TABLE files (
    id uuid PRIMARY KEY, filename varchar(255) NOT NULL, original_filename varchar(255) NOT NULL,
    display_name varchar(255), file_path text NOT NULL, file_size bigint NOT NULL, mime_type varchar(100) NOT NULL,
    uploaded_by uuid, application_id uuid REFERENCES customer_applications (id), folder_id uuid REFERENCES shelf (id),
    created_at timestamptz
);
