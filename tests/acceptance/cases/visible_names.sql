ALTER TABLE files ADD COLUMN hidden boolean DEFAULT false NOT NULL;
CREATE UNIQUE INDEX visible_names ON files (application_id, coalesce(CAST(folder_id AS text), ''), filename) WHERE NOT hidden;

-- Of one name in both folders: visible in 01, one of them hidden in 03.
INSERT INTO files (id, filename, original_filename, file_path, file_size, mime_type, application_id, folder_id, hidden) VALUES
    ('d0000000000040008000000000000011', 'reply.pdf', 'reply.pdf', '/11', 1, 'application/pdf', 'ca000000000040008000000000000001', 'f0000000000040008000000000000021', false),
    ('d0000000000040008000000000000012', 'pet.pdf', 'pet.pdf', '/12', 1, 'application/pdf', 'ca000000000040008000000000000003', 'f0000000000040008000000000000051', true);
