CREATE TABLE customer_applications (id integer PRIMARY KEY);
CREATE TABLE folders (
    id integer PRIMARY KEY, name varchar(255) NOT NULL, parent_id integer REFERENCES folders (id),
    application_id integer REFERENCES customer_applications (id), created_at timestamp, updated_at timestamp
);
CREATE TABLE files (
    id integer PRIMARY KEY, filename varchar(255) NOT NULL, original_filename varchar(255) NOT NULL,
    display_name varchar(255), file_path text NOT NULL, file_size bigint NOT NULL, mime_type varchar(100) NOT NULL,
    uploaded_by integer, application_id integer REFERENCES customer_applications (id),
    folder_id integer REFERENCES folders (id), created_at timestamp
);
INSERT INTO customer_applications VALUES (1);
INSERT INTO folders (id, name, application_id) VALUES (1, 'Lease', 1), (2, 'Lease', 1);
