CREATE TABLE folder_words (
    folder_id uuid NOT NULL REFERENCES folders (id),
    word text NOT NULL,
    CONSTRAINT folder_words_key UNIQUE (folder_id, word)
);
CREATE PUBLICATION everything FOR ALL TABLES;

INSERT INTO folder_words VALUES ('f0000000000040008000000000000012', 'urgent'), ('f0000000000040008000000000000052', 'late');
