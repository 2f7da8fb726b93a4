"""Which tables PostgreSQL publishes, and whether it lets their rows change.

A table whose updates or deletes are published needs a replica identity: without one the server refuses each UPDATE and
DELETE (SQLSTATE 55000), and also if a row filter uses columns outside the identity or a list of columns leaves
some of it out (42P10). See "Logical Replication" in the manual of PostgreSQL: Publication, Row Filters, Column Lists.
"""

import json
import re

from django.db.backends.base.base import BaseDatabaseWrapper

from cleanup.backends.catalogue import Published, TableName

#: A column in a stored expression, by its number.
_VARIABLE = re.compile(r":varattno (\d+)")


# Partitions are published one by one, also where a publication names the table that they are of. What only PostgreSQL
# 15 and newer have, row filters and lists of columns, is read through JSON, in which it may be missing.
_PUBLISHED = """
SELECT n.nspname::text, c.relname::text, rn.nspname::text, root.relname::text,
       p.pubname::text, p.pubupdate, p.pubdelete, c.relreplident = 'f',
       ARRAY(SELECT a.attname::text
               FROM pg_index AS i
               JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
              WHERE i.indrelid = c.oid
                AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END),
       spec.of_table::text, spec.names::text
  FROM pg_publication_tables AS t
  JOIN pg_publication AS p USING (pubname)
  JOIN pg_namespace AS tn ON tn.nspname = t.schemaname
  JOIN pg_class AS whole ON whole.relname = t.tablename AND whole.relnamespace = tn.oid
 CROSS JOIN LATERAL (
       SELECT relid FROM pg_partition_tree(whole.oid) WHERE isleaf UNION SELECT whole.oid
       ) AS part
  JOIN pg_class AS c ON c.oid = part.relid AND c.relkind = 'r'
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_class AS root ON root.oid = coalesce(pg_partition_root(c.oid), c.oid)
  JOIN pg_namespace AS rn ON rn.oid = root.relnamespace
  LEFT JOIN LATERAL (
       SELECT to_jsonb(r) AS of_table,
              (SELECT jsonb_object_agg(a.attnum, a.attname)
                 FROM pg_attribute AS a WHERE a.attrelid = r.prrelid) AS names
         FROM pg_publication_rel AS r
        WHERE r.prpubid = p.oid
          AND (r.prrelid = c.oid OR r.prrelid IN (SELECT relid FROM pg_partition_ancestors(c.oid)))
        LIMIT 1
       ) AS spec ON true
 WHERE p.pubupdate OR p.pubdelete
 ORDER BY 1, 2, 5
"""


def published(connection: BaseDatabaseWrapper) -> list[Published]:
    """Return every table whose updates or deletes are published, once for each publication."""
    with connection.cursor() as cursor:
        # Few databases publish anything, and to plan the other statement takes the server milliseconds.
        cursor.execute("SELECT EXISTS (SELECT FROM pg_publication WHERE pubupdate OR pubdelete)")
        if cursor.fetchone() == (False,):
            return []
        cursor.execute(_PUBLISHED)
        rows = cursor.fetchall()
    found = []
    for schema, table, root_schema, root, publication, updates, deletes, full, identity, of_table, names in rows:
        filtering, listed = _columns(json.loads(of_table or "{}"), json.loads(names or "{}"))
        found.append(
            Published(
                table=TableName(schema, table),
                whole=TableName(root_schema, root),
                publication=publication,
                updates=updates,
                deletes=deletes,
                full=full,
                identity=frozenset(identity),
                filter_columns=filtering,
                listed_columns=listed,
            )
        )
    return found


def _columns(of_table: dict[str, object], names: dict[str, str]) -> tuple[frozenset[str], frozenset[str] | None]:
    """Return the columns of the row filter, and the list of columns, None if there is none."""
    filtering = frozenset(names[number] for number in _VARIABLE.findall(str(of_table.get("prqual") or "")))
    listed = of_table.get("prattrs")
    return filtering, None if not listed else frozenset(names[number] for number in re.findall(r"\d+", str(listed)))
