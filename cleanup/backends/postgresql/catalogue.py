"""PostgreSQL's catalogue, read by oid from pg_catalog: an ordinary role sees there what information_schema hides.

Partitions collapse into the topmost partitioned table: its constraints stand for theirs, its triggers include theirs,
its row estimate is their sum. A constraint that only a partition has keeps the partition's name.
"""

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from cleanup.backends import catalogue
from cleanup.backends.catalogue import (
    PARTITIONS,
    Action,
    Check,
    Column,
    ForeignKey,
    PlacedColumn,
    Published,
    Table,
    TableName,
    Trigger,
    UniqueKey,
    mentions,
)
from cleanup.backends.postgresql.publications import published

_ACTIONS: dict[str, Action] = {
    "a": "no action",
    "r": "restrict",
    "c": "cascade",
    "n": "set null",
    "d": "set default",
}
_KINDS = {"r": "table", "p": "partitioned", "v": "view", "m": "materialized view", "f": "foreign"}
_EVENTS = {4: "insert", 8: "delete", 16: "update"}
_MAX_IDENTIFIER_BYTES = 63
#: A partial index with this predicate serves equality as well as a full one.
_NOT_NULL = re.compile(r'\(?("?)(?P<column>[^"]+)\1 IS NOT NULL\)?')
_VARIABLE = re.compile(r":varattno (\d+)")

_RESOLVE = """
SELECT n.nspname::text, c.relname::text, pg_table_is_visible(c.oid),
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND (c.relname::text = ANY(%(names)s) AND pg_table_is_visible(c.oid)
        OR n.nspname::text || '.' || c.relname::text = ANY(%(names)s))
"""

_SCHEMAS_WITH = """
SELECT n.nspname::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND c.relname::text = ANY(%(names)s)
   AND n.nspname <> 'information_schema' AND NOT starts_with(n.nspname::text, 'pg_')
 GROUP BY n.nspname HAVING count(*) = cardinality(%(names)s::text[])
 ORDER BY 1
"""

_WANTED = """
wanted AS (
    SELECT c.oid, n.oid AS schema_oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind
      FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w(schema, name)
      JOIN pg_namespace n ON n.nspname = w.schema::name
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name::name
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
)"""

#: A table and all its partitions, to any depth.
_FAMILY = """
family AS (
    SELECT oid AS root, oid FROM wanted
    UNION ALL
    SELECT f.root, i.inhrelid
      FROM family f JOIN pg_inherits i ON i.inhparent = f.oid
      JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
)"""

#: Of what is enabled: fires in sessions of the current kind; 'A' fires always.
_FIRES = "IN ('A', CASE WHEN current_setting('session_replication_role') = 'replica' THEN 'R' ELSE 'O' END)"


def _foreign_keys(*, also: str = "", condition: str = "") -> str:
    """Return the statement that reads foreign keys, of the whole database or of what a further table limits it to."""
    return f"""
WITH RECURSIVE {also}chain AS (
    SELECT k.oid AS root, k.oid FROM pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0{condition}
    UNION ALL
    SELECT chain.root, c.oid FROM chain JOIN pg_constraint c ON c.conparentid = chain.oid
), enforced AS (
    SELECT chain.root, bool_and(t.tgenabled::text {_FIRES}) AS yes
      FROM chain JOIN pg_trigger t ON t.tgconstraint = chain.oid GROUP BY chain.root
)
SELECT k.conname::text, sn.nspname::text, s.relname::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS p(number, place)
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = p.number ORDER BY p.place),
       tn.nspname::text, t.relname::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS p(number, place)
               JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = p.number ORDER BY p.place),
       k.confdeltype::text, k.confupdtype::text, k.condeferrable, coalesce(e.yes, false), k.confmatchtype::text = 'f',
       k.convalidated
  FROM pg_constraint k
  JOIN pg_class s ON s.oid = k.conrelid JOIN pg_namespace sn ON sn.oid = s.relnamespace
  JOIN pg_class t ON t.oid = k.confrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
  LEFT JOIN enforced e ON e.root = k.oid
 WHERE k.contype = 'f' AND k.conparentid = 0{condition}
 ORDER BY 2, 3, 1
"""


_FOREIGN_KEYS = _foreign_keys()

#: Of tables, of what they are partitions of, and of all partitions.
_FOREIGN_KEYS_OF = _foreign_keys(
    also=f"""{_WANTED.strip()}, owners AS (
    SELECT oid FROM wanted
     UNION SELECT tree.relid FROM wanted, pg_partition_tree(coalesce(pg_partition_root(wanted.oid), wanted.oid)) AS tree
), """,
    condition=" AND k.conrelid = ANY(ARRAY(SELECT oid FROM owners))",
)

_INHERITANCE = """
SELECT cn.nspname::text, c.relname::text, pn.nspname::text, p.relname::text, c.relispartition
  FROM pg_inherits i
  JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
  JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
 WHERE c.relkind IN ('r', 'p', 'f')
 ORDER BY 1, 2
"""

_NAMES = f"WITH {_WANTED} SELECT w.oid::bigint, w.schema, w.name FROM wanted w"

# A table that was never analysed (reltuples -1) is guessed from its size, at 100 bytes a row.
_TABLES = f"""
WITH RECURSIVE {_WANTED}, {_FAMILY}, estimated AS (
    SELECT f.root, sum(CASE WHEN c.relkind NOT IN ('r', 'm', 'f') THEN 0 WHEN c.reltuples >= 0 THEN c.reltuples
                            ELSE coalesce(pg_relation_size(c.oid), 0) / 100 END)::bigint AS rows
      FROM family f JOIN pg_class c ON c.oid = f.oid GROUP BY f.root
)
SELECT w.oid::bigint, w.schema, w.name, w.kind, row_security_active(w.oid), e.rows,
       has_schema_privilege(w.schema_oid, 'USAGE'),
       has_table_privilege(w.oid, 'SELECT') OR NOT EXISTS (
           SELECT FROM pg_attribute a WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped
              AND NOT has_column_privilege(w.oid, a.attnum, 'SELECT')),
       has_table_privilege(w.oid, 'INSERT') OR NOT EXISTS (
           SELECT FROM pg_attribute a WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped
              AND a.attgenerated = '' AND NOT has_column_privilege(w.oid, a.attnum, 'INSERT')),
       has_any_column_privilege(w.oid, 'UPDATE'),
       has_table_privilege(w.oid, 'DELETE')
  FROM wanted w JOIN estimated e ON e.root = w.oid
"""

#: What every domain comes down to, through domains over domains; each level has the length that the next one lacks.
_BASES = """
domains AS (
    SELECT oid, typbasetype AS base, typtypmod AS modifier FROM pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT d.oid, t.typbasetype, t.typtypmod
      FROM domains d JOIN pg_type t ON t.oid = d.base AND t.typtype = 'd'
), bases AS (
    SELECT d.oid, d.base AS type, format_type(d.base, d.modifier) AS base, format_type(d.base, NULL) AS bare
      FROM domains d JOIN pg_type t ON t.oid = d.base AND t.typtype <> 'd'
    UNION ALL
    SELECT a.typarray, a.typarray, format_type(d.base, d.modifier) || '[]', format_type(d.base, NULL) || '[]'
      FROM domains d JOIN pg_type t ON t.oid = d.base AND t.typtype <> 'd' JOIN pg_type a ON a.oid = d.oid
     WHERE a.typarray <> 0
)"""

#: A cast that is not the server's own and calls a function; other ones use the type's input and output functions.
_HOSTS = "k.castmethod = 'f' AND k.oid >= 16384"

_COLUMNS = f"""
WITH RECURSIVE {_WANTED}, {_BASES}
SELECT a.attrelid::bigint, a.attnum, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       a.attgenerated <> '', a.attidentity <> '', has_column_privilege(a.attrelid, a.attnum, 'UPDATE'),
       quote_ident(n.nspname) || '.' || quote_ident(o.collname), pg_get_expr(d.adbin, d.adrelid), d.adbin::text,
       CASE t.typtype
           WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod)
           WHEN 'e' THEN (SELECT json_agg(e.enumlabel ORDER BY e.enumlabel)::text
                            FROM pg_enum e WHERE e.enumtypid = t.oid)
           WHEN 'c' THEN (SELECT json_agg(json_build_array(f.attname, format_type(f.atttypid, f.atttypmod))
                                          ORDER BY f.attnum)::text
                            FROM pg_attribute f
                           WHERE f.attrelid = t.typrelid AND f.attnum > 0 AND NOT f.attisdropped)
           ELSE '' END,
       coalesce(b.base, ''),
       plain.type = 'pg_catalog.bpchar'::regtype AND a.atttypmod = -1 AND own.typtypmod = -1
       OR EXISTS (SELECT FROM pg_cast k
                   WHERE k.castsource = plain.type AND k.casttarget = 'pg_catalog.text'::regtype AND {_HOSTS}),
       EXISTS (SELECT FROM pg_cast k
                WHERE k.castsource = 'pg_catalog.text'::regtype AND k.casttarget = plain.type AND {_HOSTS})
  FROM pg_attribute a
  LEFT JOIN bases b ON b.oid = a.atttypid
  JOIN pg_type own ON own.oid = a.atttypid
  JOIN LATERAL (SELECT coalesce(b.type, own.oid) AS type) plain ON true
  JOIN pg_type t ON t.oid = CASE WHEN own.typcategory = 'A' THEN own.typelem ELSE own.oid END
  LEFT JOIN pg_collation o ON o.oid = a.attcollation AND o.oid <> own.typcollation
  LEFT JOIN pg_namespace n ON n.oid = o.collnamespace
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated <> ''
 -- An array, so that the columns of these tables are looked up, and those of no other are computed.
 WHERE a.attrelid = ANY(ARRAY(SELECT oid FROM wanted)) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum
"""

# pg_get_indexdef of one part leaves its collation out; it is added where it is not the column's own. A unique index
# that is not valid (a failed CREATE INDEX CONCURRENTLY) still refuses new duplicates. Of partitions, those that the
# whole table does not have; they bind the rows that belong there.
_INDEXES = f"""
WITH RECURSIVE {_WANTED}, {_FAMILY}
SELECT f.root::bigint, c.relname::text, i.indisunique, i.indisprimary, i.indisvalid,
       i.indkey::text, i.indnkeyatts, i.indexprs::text, i.indpred::text, pg_get_expr(i.indpred, i.indrelid),
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, place, true) FROM generate_series(1, i.indnkeyatts) place
              ORDER BY place),
       ARRAY(SELECT quote_ident(n.nspname) || '.' || quote_ident(o.collname)
               FROM generate_series(1, i.indnkeyatts) place
               LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[place - 1]
               LEFT JOIN pg_collation o ON o.oid = i.indcollation[place - 1] AND o.oid <> a.attcollation
               LEFT JOIN pg_namespace n ON n.oid = o.collnamespace ORDER BY place),
       m.amname::text, coalesce(k.condeferrable, false),
       -- Of PostgreSQL 15 and newer.
       coalesce((to_jsonb(i)->>'indnullsnotdistinct')::boolean, false),
       i.indisexclusion,
       ARRAY(SELECT 'OPERATOR(' || quote_ident(n.nspname) || '.' || o.oprname || ')'
               FROM generate_series(1, i.indnkeyatts) place
               LEFT JOIN pg_opclass s ON s.oid = i.indclass[place - 1]
               LEFT JOIN pg_amop e ON e.amopfamily = s.opcfamily AND e.amopstrategy = 3
                AND e.amoplefttype = s.opcintype AND e.amoprighttype = s.opcintype
               LEFT JOIN pg_operator o ON o.oid = coalesce(k.conexclop[place], e.amopopr)
               LEFT JOIN pg_namespace n ON n.oid = o.oprnamespace
              WHERE i.indisunique OR i.indisexclusion ORDER BY place),
       CASE WHEN f.oid <> f.root THEN coalesce(pg_get_partition_constraintdef(f.oid), 'true') END,
       CASE WHEN f.oid <> f.root THEN
           (SELECT json_object_agg(a.attnum, a.attname) FROM pg_attribute a
             WHERE a.attrelid = f.oid AND a.attnum > 0 AND NOT a.attisdropped) END
  FROM family f JOIN pg_index i ON i.indrelid = f.oid
  JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
  LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
 WHERE i.indisready AND i.indislive
   AND (f.oid = f.root OR ((i.indisunique OR i.indisexclusion)
        AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)))
 ORDER BY f.root, c.relname
"""

# One that is not enforced (PostgreSQL 18) refuses nothing; one that is not valid binds the rows that change.
_CHECKS = f"""
WITH RECURSIVE {_WANTED}, {_FAMILY}
SELECT f.root::bigint, k.conname::text, pg_get_expr(k.conbin, k.conrelid),
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY(k.conkey)),
       CASE WHEN f.oid <> f.root THEN coalesce(pg_get_partition_constraintdef(f.oid), 'true') END, k.convalidated
  FROM family f JOIN pg_constraint k ON k.conrelid = f.oid AND k.contype = 'c'
 WHERE (f.oid = f.root OR k.coninhcount = 0) AND to_jsonb(k)->>'conenforced' IS DISTINCT FROM 'false'
UNION ALL
-- A row of a partitioned table has to be one that some partition takes.
SELECT f.root::bigint, '{PARTITIONS}',
       string_agg('(' || coalesce(pg_get_partition_constraintdef(f.oid), 'true') || ')', ' OR '), ARRAY[]::text[], NULL,
       true
  FROM family f JOIN pg_class c ON c.oid = f.oid
 WHERE f.oid <> f.root AND c.relkind <> 'p'
 GROUP BY f.root
 ORDER BY 1, 2
"""

_TRIGGERS = f"""
WITH RECURSIVE {_WANTED}, {_FAMILY}
SELECT f.root::bigint, n.nspname::text, c.relname::text, t.tgname::text, t.tgtype::int,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = t.tgrelid AND a.attnum = ANY(string_to_array(t.tgattr::text, ' ')::int[])),
       t.tgenabled::text = 'A'
  FROM family f JOIN pg_trigger t ON t.tgrelid = f.oid
  JOIN pg_class c ON c.oid = f.oid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled::text {_FIRES}
UNION ALL
SELECT w.oid::bigint, w.schema, w.name, 'rule ' || r.rulename::text,
       CASE r.ev_type::text WHEN '2' THEN 16 WHEN '3' THEN 4 ELSE 8 END, ARRAY[]::text[], r.ev_enabled::text = 'A'
  FROM wanted w JOIN pg_rewrite r ON r.ev_class = w.oid
 WHERE r.ev_type IN ('2', '3', '4') AND r.ev_enabled::text {_FIRES}
 ORDER BY 1, 2, 3, 4
"""

_ALL_COLUMNS = """
WITH RECURSIVE domains AS (
    SELECT oid AS declared, typbasetype AS base FROM pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT d.declared, t.typbasetype FROM domains d JOIN pg_type t ON t.oid = d.base AND t.typtype = 'd'
), behind AS (
    SELECT d.declared, d.base FROM domains d JOIN pg_type t ON t.oid = d.base WHERE t.typtype <> 'd'
), tables AS (
    SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, has_schema_privilege(n.oid, 'USAGE') AS usage,
           CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) END AS bytes,
           (SELECT i.indkey[0] FROM pg_index i
             WHERE i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1) AS key
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
       AND n.nspname <> 'information_schema' AND NOT starts_with(n.nspname::text, 'pg_')
)
SELECT c.schema, c.name, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       a.attgenerated <> '', a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%%', false),
       format_type(v.oid, NULL), t.typcategory = 'A', coalesce(c.key = a.attnum, false),
       c.usage AND has_column_privilege(c.oid, a.attnum, 'SELECT'), c.bytes,
       v.typtype = 'c' OR v.typtype IN ('r', 'm') AND v.typnamespace <> 'pg_catalog'::regnamespace
  FROM tables c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN behind b ON b.declared = a.atttypid
  JOIN pg_type t ON t.oid = coalesce(b.base, a.atttypid)
  LEFT JOIN behind e ON e.declared = t.typelem
  JOIN pg_type v ON v.oid = CASE WHEN t.typcategory = 'A' THEN coalesce(e.base, t.typelem) ELSE t.oid END
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 -- The server's own tables have most of the columns; an array keeps them from being searched first.
 WHERE a.attrelid = ANY(ARRAY(SELECT oid FROM tables))
   AND (%(containing)s::text IS NULL OR lower(a.attname::text) ~ %(containing)s)
 ORDER BY c.schema, c.name, a.attnum
"""

_MATERIALIZED_VIEWS = """
WITH RECURSIVE reading(oid) AS (
    SELECT c.oid
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN unnest(%(schemas)s::text[], %(names)s::text[]) AS w(schema, name)
        ON (n.nspname, c.relname) = (w.schema, w.name)
     UNION
    SELECT r.ev_class
      FROM reading
      JOIN pg_depend d ON d.refobjid = reading.oid
      JOIN pg_rewrite r ON r.oid = d.objid
     WHERE d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_rewrite'::regclass
)
SELECT n.nspname::text, c.relname::text
  FROM reading
  JOIN pg_class c ON c.oid = reading.oid AND c.relkind = 'm' AND c.relispopulated
  JOIN pg_namespace n ON n.oid = c.relnamespace
 ORDER BY 1, 2
"""

#: Of the whole database, with the number of columns of each.
_SURVEY = ((_FOREIGN_KEYS, 13), (_INHERITANCE, 5))


@dataclass(frozen=True, slots=True)
class _Inheritance:
    root: dict[TableName, TableName]
    """From a partition to its topmost partitioned table."""
    children: dict[TableName, tuple[TableName, ...]]
    """Children that are not partitions."""


class Catalogue(catalogue.Catalogue):
    """The catalogue behind one connection to PostgreSQL 14 or newer.

    What is kept here is read once per instance: foreign keys and inheritance with the first names.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        self._columns: dict[TableName, dict[str, str]] = {}
        self._survey: list[list[list[Any]]] = []

    def _fetch_each(self, *queries: tuple[str, int], **params: Any) -> list[list[list[Any]]]:
        """Return the rows of several queries, each with its number of columns, by one statement."""
        answers = []
        for sql, width in queries:
            row = ", ".join(f"c{place}" for place in range(width))
            answers.append(f"(SELECT coalesce(json_agg(json_build_array({row})), '[]')::text FROM ({sql}) AS q({row}))")
        ((*found,),) = self._fetch(f"SELECT {', '.join(answers)}", **params)
        return [json.loads(answer) for answer in found]

    def resolve_all(self, names: Iterable[str]) -> dict[str, TableName]:
        plain = {name: _plain(name) for name in names}
        found: dict[str, TableName] = {}
        labels: dict[str, TableName] = {}
        further = () if self._survey else _SURVEY
        resolved, *survey = self._fetch_each((_RESOLVE, 4), *further, names=sorted(set(plain.values())))
        self._survey = self._survey or survey
        for schema, name, visible, columns in resolved:
            table = TableName(schema, name)
            self._columns[table] = {column: column for column in columns}
            found.setdefault(f"{schema}.{name}", table)
            labels[str(table)] = table
            if visible:
                found[name] = table
        exact = {name: labels[name] for name in plain if '"' in name and name in labels}
        return {name: found[spelling] for name, spelling in plain.items() if spelling in found} | exact

    def schemas_with(self, names: Sequence[str]) -> list[str]:
        return [schema for (schema,) in self._fetch(_SCHEMAS_WITH, names=sorted(set(names)))]

    def partition_key(self, table: TableName) -> str:
        ((key,),) = self._fetch("SELECT coalesce(pg_get_partkeydef(to_regclass(%(table)s)), '')", table=table.quoted)
        return str(key)

    def column_names(self, tables: Iterable[TableName]) -> dict[TableName, dict[str, str]]:
        return {table: self._columns[table] for table in tables}

    def column_spelling(self, column: str) -> str:
        return _cut(column)  # as PostgreSQL stores it

    def foreign_keys(self) -> Sequence[ForeignKey]:
        return self._foreign_keys

    def foreign_keys_of(self, tables: Iterable[TableName]) -> Sequence[ForeignKey]:
        if self._survey:
            return super().foreign_keys_of(tables)
        return tuple(_foreign_key(row) for row in self._fetch(_FOREIGN_KEYS_OF, **_arrays(tables)))

    def _surveyed(self) -> list[list[list[Any]]]:
        self._survey = self._survey or self._fetch_each(*_SURVEY)
        return self._survey

    @cached_property
    def _foreign_keys(self) -> tuple[ForeignKey, ...]:
        keys, _ = self._surveyed()
        return tuple(_foreign_key(key) for key in keys)

    @cached_property
    def _inheritance(self) -> _Inheritance:
        parents: dict[TableName, TableName] = {}
        children: dict[TableName, list[TableName]] = {}
        _, inheritance = self._surveyed()
        for child_schema, child, parent_schema, parent, is_partition in inheritance:
            if is_partition:
                parents[TableName(child_schema, child)] = TableName(parent_schema, parent)
            else:
                children.setdefault(TableName(parent_schema, parent), []).append(TableName(child_schema, child))
        roots = {}
        for child_name in parents:
            root = child_name
            while root in parents:
                root = parents[root]
            roots[child_name] = root
        return _Inheritance(root=roots, children={parent: tuple(found) for parent, found in children.items()})

    def topmost(self, table: TableName) -> TableName:
        return self._inheritance.root.get(table, table)

    def describe(self, tables: Iterable[TableName]) -> dict[TableName, Table]:
        rows, column_rows, index_rows, check_rows, trigger_rows = self._fetch_each(
            (_TABLES, 11), (_COLUMNS, 15), (_INDEXES, 19), (_CHECKS, 6), (_TRIGGERS, 7), **_arrays(tables)
        )
        oids = [row[0] for row in rows]
        numbered = _numbered(oids, column_rows)
        columns = _columns(numbered, column_rows)
        uniques: dict[int, list[UniqueKey]] = {oid: [] for oid in oids}
        exclusions: dict[int, list[UniqueKey]] = {oid: [] for oid in oids}
        checks: dict[int, list[Check]] = {oid: [] for oid in oids}
        for oid, *row in check_rows:
            checks[oid].append(_check(numbered[oid], row))
        indexes: dict[int, list[tuple[str, ...]]] = {oid: [] for oid in oids}
        by_element: dict[int, set[str]] = {oid: set() for oid in oids}
        for oid, *row in index_rows:
            index = _Index(numbered[oid], *row)
            if index.exclusion:
                exclusions[oid].append(index.as_unique_key())
            elif index.unique:
                uniques[oid].append(index.as_unique_key())
            if index.serves_equality:
                indexes[oid].append(index.leading_columns)
            elif index.serves_elements:
                by_element[oid] |= {index.names[number] for number in index.numbers if number in index.names}
        triggers = _triggers(oids, trigger_rows)
        described = {}
        for oid, schema, name, kind, row_security, estimated_rows, usage, *granted in rows:
            table_name = TableName(schema, name)
            privileges = zip(("select", "insert", "update", "delete"), granted, strict=True)
            described[table_name] = Table(
                name=table_name,
                columns=columns[oid],
                uniques=tuple(uniques[oid]),
                exclusions=tuple(exclusions[oid]),
                checks=tuple(checks[oid]),
                triggers=tuple(triggers[oid]),
                indexed_columns=frozenset(index[0] for index in indexes[oid]),
                indexes=tuple(indexes[oid]),
                element_indexed_columns=frozenset(by_element[oid]),
                privileges=frozenset(privilege for privilege, yes in privileges if yes and usage),
                row_security=row_security,
                inheritance_children=self._inheritance.children.get(table_name, ()),
                partition_of=self._inheritance.root.get(table_name),
                estimated_rows=estimated_rows,
                kind=_KINDS[kind],
                oid=oid,
            )
        return described

    def describe_columns(self, tables: Iterable[TableName]) -> dict[TableName, Table]:
        rows, column_rows = self._fetch_each((_NAMES, 3), (_COLUMNS, 15), **_arrays(tables))
        columns = _columns(_numbered([oid for oid, _, _ in rows], column_rows), column_rows)
        return {
            (table := TableName(schema, name)): Table(name=table, columns=columns[oid], oid=oid)
            for oid, schema, name in rows
        }

    def all_columns(self, *, containing: Collection[str] | None = None) -> Sequence[PlacedColumn]:
        like = None if containing is None else "|".join(re.escape(word.lower()) for word in sorted(containing))
        return [
            PlacedColumn(TableName(schema, table), Column(name, kind, not_null, generated, identity), *rest)
            for schema, table, name, kind, not_null, generated, identity, *rest in self._fetch(
                _ALL_COLUMNS, containing=like
            )
        ]

    def materialized_views(self, tables: Iterable[TableName]) -> Sequence[TableName]:
        asked = list(tables)
        schemas, names = [table.schema for table in asked], [table.name for table in asked]
        return [TableName(*row) for row in self._fetch(_MATERIALIZED_VIEWS, schemas=schemas, names=names)]

    def published(self) -> Sequence[Published]:
        return published(self._connection)

    def may_bypass_triggers(self) -> bool:
        version = self._connection.pg_version  # type: ignore[attr-defined]  # of the PostgreSQL wrapper alone
        granted = "has_parameter_privilege('session_replication_role', 'SET')" if version >= 150000 else "false"
        ((allowed,),) = self._fetch(f"SELECT rolsuper OR {granted} FROM pg_roles WHERE rolname = current_user")
        return bool(allowed)


@dataclass(frozen=True, slots=True)
class _Index:
    """A row of ``_INDEXES``; ``table_names`` are the table's columns by number."""

    table_names: dict[int, str]
    name: str
    unique: bool
    primary: bool
    valid: bool
    key: str
    parts_count: int
    expressions: str | None
    predicate_tree: str | None
    predicate: str | None
    definitions: Sequence[str]
    collations: Sequence[str | None]
    method: str
    deferrable: bool
    nulls_not_distinct: bool
    exclusion: bool
    operators: Sequence[str | None]
    within: str | None
    """Of an index that only a partition has: the condition of the rows that belong there."""
    partition_names: dict[str, str] | None
    """The partition's columns by number."""

    @property
    def names(self) -> dict[int, str]:
        """The columns by number."""
        if self.partition_names is None:
            return self.table_names
        return {int(number): name for number, name in self.partition_names.items()}

    @property
    def numbers(self) -> list[int]:
        """Column numbers of the key parts, 0 for an expression; included columns are not parts."""
        return [int(number) for number in self.key.split()][: self.parts_count]

    @property
    def leading_columns(self) -> tuple[str, ...]:
        """The plain columns before the first expression."""
        leading: list[str] = []
        for number in self.numbers:
            if number not in self.names:
                break
            leading.append(self.names[number])
        return tuple(leading)

    @property
    def serves_elements(self) -> bool:
        """Return whether a search for elements of its columns, each by itself, can use this index."""
        return self.within is None and self.valid and self.method == "gin" and self.predicate is None

    @property
    def serves_equality(self) -> bool:
        """Return whether equality on the leading columns can use this index."""
        leading = self.leading_columns
        whole = self.within is None and self.valid
        if not (whole and leading and self.method in {"btree", "hash"}):
            return False
        if self.predicate is None:
            return True
        match = _NOT_NULL.fullmatch(self.predicate)
        return match is not None and match["column"] == leading[0]

    def as_unique_key(self) -> UniqueKey:
        """Return it as a unique key, with the columns of expressions and predicate."""
        numbers = list(self.numbers)
        for tree in (self.expressions, self.predicate_tree):
            mentioned = {int(number) for number in _VARIABLE.findall(tree or "")}
            numbers += sorted(self.names if 0 in mentioned else mentioned)  # 0: the whole row
        columns = [self.names[number] for number in numbers if number in self.names]
        columns += [name for name in self.names.values() if mentions(self.within or "", name)]
        conditions = [condition for condition in (self.within, self.predicate) if condition is not None]
        return UniqueKey(
            name=self.name,
            columns=tuple(dict.fromkeys(columns)),
            parts=tuple(
                f"{definition} COLLATE {collation}" if collation else definition
                for definition, collation in zip(self.definitions, self.collations, strict=True)
            ),
            predicate=" AND ".join(conditions) or None,
            primary=self.primary and self.within is None,
            simple=(
                self.valid
                and not self.exclusion
                and self.expressions is None
                and not conditions
                and not any(self.collations)
            ),
            nulls_distinct=not self.nulls_not_distinct,
            deferrable=self.deferrable,
            operators=tuple(operator or "=" for operator in self.operators),
        )


def _foreign_key(row: Sequence[Any]) -> ForeignKey:
    """Return a foreign key from its row of ``_FOREIGN_KEYS``."""
    name, schema, table, columns, target_schema, target, target_columns, on_delete, on_update, *rest = row
    return ForeignKey(
        name,
        TableName(schema, table),
        tuple(columns),
        TableName(target_schema, target),
        tuple(target_columns),
        _ACTIONS[on_delete],
        _ACTIONS[on_update],
        *rest,  # deferrable, enforced, match_full, validated
    )


def _triggers(oids: Iterable[int], rows: Iterable[Sequence[Any]]) -> dict[int, list[Trigger]]:
    """Return the triggers of tables that fire on a change of rows."""
    triggers: dict[int, list[Trigger]] = {oid: [] for oid in oids}
    for oid, schema, table, name, kinds, of_columns, always in rows:
        events = frozenset(event for bit, event in _EVENTS.items() if kinds & bit)
        if events:
            triggers[oid].append(Trigger(name, TableName(schema, table), events, frozenset(of_columns), always))
    return triggers


def _numbered(oids: Iterable[int], rows: Iterable[Sequence[Any]]) -> dict[int, dict[int, str]]:
    """Return the columns of each table by number."""
    numbered: dict[int, dict[int, str]] = {oid: {} for oid in oids}
    for oid, number, name, *_ in rows:
        numbered[oid][number] = name
    return numbered


def _columns(numbered: dict[int, dict[int, str]], rows: Iterable[Sequence[Any]]) -> dict[int, tuple[Column, ...]]:
    """Return the columns of each table from their rows of ``_COLUMNS``."""
    columns: dict[int, list[Column]] = {oid: [] for oid in numbered}
    for oid, number, *row in rows:
        columns[oid].append(_column(number, numbered[oid], *row))
    return {oid: tuple(found) for oid, found in columns.items()}


def _check(numbered: dict[int, str], row: Sequence[Any]) -> Check:
    """Return a check from its row of ``_CHECKS``; without columns, it uses those that it mentions."""
    name, expression, columns, within, validated = row
    text = within or "" if columns else expression
    mentioned = [column for column in numbered.values() if mentions(text, column)]
    return Check(name, tuple(dict.fromkeys([*columns, *mentioned])), expression, within, validated)


def _column(number: int, numbered: dict[int, str], *row: Any) -> Column:
    """Return a column from its row of ``_COLUMNS``, from the name on."""
    name, kind, not_null, generated, identity, updatable, collation, expression, tree, definition, base, *casts = row
    mentioned = {int(number) for number in _VARIABLE.findall(tree or "")}
    return Column(
        name=name,
        type=kind,
        not_null=not_null,
        generated=generated,
        identity=identity,
        updatable=updatable,
        number=number,
        definition=definition,
        casts_out=casts[0],
        casts_in=casts[1],
        collation=collation or "",
        expression=expression or "",
        computed_from=frozenset(numbered[number] for number in mentioned if number in numbered),
        base=base,
    )


def _arrays(tables: Iterable[TableName]) -> dict[str, list[str]]:
    ordered = sorted(set(tables))
    return {"schemas": [table.schema for table in ordered], "names": [table.name for table in ordered]}


def _plain(name: str) -> str:
    """Unquote ``"schema"."table"``, the way in which models name a schema, and cut names to their length."""
    if '"' not in name:
        return _cut(name)
    parts = re.split(r'\.(?=")|(?<=")\.', name)
    return ".".join(_cut(part.removeprefix('"').removesuffix('"').replace('""', '"')) for part in parts)


def _cut(name: str) -> str:
    if "." in name:
        return name
    return name.encode()[:_MAX_IDENTIFIER_BYTES].decode(errors="ignore")
