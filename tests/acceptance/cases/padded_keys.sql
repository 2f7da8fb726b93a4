CREATE TABLE clients (id char(12) PRIMARY KEY);
CREATE TABLE binders (
    id char(12) PRIMARY KEY, title varchar(80) NOT NULL, parent_id char(12) REFERENCES binders (id),
    client_id char(12) REFERENCES clients (id), made timestamptz
);
CREATE TABLE sheets (id char(12) PRIMARY KEY, title varchar(80) NOT NULL, binder_id char(12) REFERENCES binders (id), client_id char(12) REFERENCES clients (id));
CREATE TABLE loans (id integer PRIMARY KEY, binder_id varchar(12) NOT NULL REFERENCES binders (id) ON DELETE CASCADE);
CREATE TABLE seen (id integer PRIMARY KEY, binder_id varchar(12));
INSERT INTO clients VALUES ('Miller');
INSERT INTO binders VALUES
    ('b-one', 'Lease', NULL, 'Miller', '2023-04-01'), ('b-two', 'Lease', NULL, 'Miller', '2023-05-01'),
    ('b-twelve-ch.', 'Plans', 'b-two', 'Miller', '2023-05-02'), ('b-four', 'Plans', 'b-one', 'Miller', '2023-05-03');
INSERT INTO sheets VALUES ('s-one', 'key', 'b-two', 'Miller'), ('s-two', 'attic', 'b-four', 'Miller');
-- PostgreSQL takes these for keys of binders; they are not padded.
INSERT INTO loans VALUES (1, 'b-two'), (2, 'b-four'), (3, 'b-one');
-- As they were written: padded, and not.
INSERT INTO seen VALUES (1, rpad('b-two', 12)), (2, 'b-two'), (3, rpad('b-four', 12)), (4, 'b-one'), (5, rpad('b-one', 12));
