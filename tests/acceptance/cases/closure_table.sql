CREATE TABLE lineage (
    above :key NOT NULL REFERENCES folders (id) ON DELETE CASCADE,
    below :key NOT NULL REFERENCES folders (id) ON DELETE CASCADE,
    steps integer NOT NULL,
    PRIMARY KEY (above, below)
);
CREATE INDEX lineage_below ON lineage (below);

INSERT INTO lineage
WITH RECURSIVE line (above, below, steps) AS (
    SELECT id, id, 0 FROM folders
    UNION ALL
    SELECT f.parent_id, l.below, l.steps + 1 FROM line AS l JOIN folders AS f ON f.id = l.above WHERE f.parent_id IS NOT NULL
)
SELECT above, below, steps FROM line;
