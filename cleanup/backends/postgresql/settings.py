"""The settings that every transaction of ours pins on PostgreSQL: one list, with the reason for each.

A server, a database or a role may set anything (``ALTER DATABASE ... SET``). What can change a plan, a parse or a value
is set only for the transaction, so that results and speed are those that were tested, and a proxy that pools by
transaction never hands a setting of ours to others.

Left to the host: ``search_path``, for the tables' schemas; memory and ``effective_cache_size``, for what the machine
can afford; ``synchronous_commit``, except where less is enough; ``role``; the places of tables and temporary files.
"""

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import NamedTuple

from cleanup.backends.postgresql.cells import array
from cleanup.backends.postgresql.literals import literal


class Pin(NamedTuple):
    """A setting, its value, and the versions that know it."""

    name: str
    value: str
    reason: str
    since: int = 14
    until: int = 99


_PLANS = "as the server comes"

#: What values depend on.
VALUE_PINS = (
    # How values are written. Cells are compared with what another session wrote months ago.
    Pin("datestyle", "ISO, YMD", "text of dates; drivers read no other"),
    Pin("intervalstyle", "postgres", "text of intervals; drivers read no other"),
    Pin("bytea_output", "hex", "text of bytea"),
    Pin("extra_float_digits", "1", "less loses digits of floats"),
    Pin("lc_monetary", "C", "text of money"),
    Pin("xmlbinary", "base64", "text of bytea within xml"),
    Pin("quote_all_identifiers", "off", "spelling of types, keys and conditions, which are compared"),
    # How text is read.
    Pin("standard_conforming_strings", "on", "backslashes in literals"),
    Pin("backslash_quote", "safe_encoding", "quotes in literals"),
    Pin("transform_null_equals", "off", "turns = NULL into IS NULL"),
    Pin("array_nulls", "on", "off, NULL within an array's text is a word of four letters"),
    Pin("xmloption", "content", "DOCUMENT refuses to read back what a column of type xml may hold"),
    # What is seen.
    Pin("row_security", "off", "policies would hide rows; off, they are an error that says so"),
    Pin("gin_fuzzy_search_limit", "0", "a limit returns some of the rows, at random"),
)

#: For every transaction.
PINS = (
    *VALUE_PINS,
    # How long. Work that holds locks pins its own limits over these.
    Pin("lock_timeout", "5s", "who waits is told so in the end, whatever the role says; a batch waits less"),
    Pin("statement_timeout", "0", "a verification takes as long as it must"),
    Pin("transaction_timeout", "0", "ends the session", since=17),
    Pin("exit_on_error", "off", "ends the session at errors that a savepoint is there for"),
    # What is planned. Compilation takes half a second for each statement that looks expensive, and saves none.
    Pin("jit", "off", "compiles statements of milliseconds"),
    Pin("force_parallel_mode", "off", "parallel workers for a single row", until=15),
    Pin("debug_parallel_query", "off", "parallel workers for a single row", since=16),
    Pin("parallel_setup_cost", "1000", _PLANS),
    Pin("parallel_tuple_cost", "0.1", _PLANS),
    Pin("min_parallel_table_scan_size", "8MB", _PLANS),
    Pin("min_parallel_index_scan_size", "512kB", _PLANS),
    Pin("plan_cache_mode", "auto", "generic plans of foreign keys' checks"),
    Pin("constraint_exclusion", "partition", _PLANS),
    Pin("from_collapse_limit", "8", _PLANS),
    Pin("join_collapse_limit", "8", _PLANS),
    # Otherwise a cursor over a few applications may read a whole index, in whose order its first rows come early.
    Pin("cursor_tuple_fraction", "1", "cursors are read to their end"),
    Pin("geqo", "on", _PLANS),
    Pin("geqo_threshold", "12", _PLANS),
    Pin("cpu_tuple_cost", "0.01", _PLANS),
    Pin("cpu_index_tuple_cost", "0.005", _PLANS),
    Pin("cpu_operator_cost", "0.0025", _PLANS),
    *(
        Pin(f"enable_{name}", "on", _PLANS)
        for name in (
            "async_append",
            "bitmapscan",
            "gathermerge",
            "hashagg",
            "hashjoin",
            "incremental_sort",
            "indexonlyscan",
            "indexscan",
            "material",
            "memoize",
            "mergejoin",
            "nestloop",
            "parallel_append",
            "parallel_hash",
            "partition_pruning",
            "seqscan",
            "sort",
            "tidscan",
        )
    ),
    Pin("enable_presorted_aggregate", "on", _PLANS, since=16),
    Pin("enable_group_by_reordering", "on", _PLANS, since=17),
    Pin("enable_distinct_reordering", "on", _PLANS, since=18),
    Pin("enable_self_join_elimination", "on", _PLANS, since=18),
    Pin("enable_partitionwise_join", "off", _PLANS),
    Pin("enable_partitionwise_aggregate", "off", _PLANS),
)

#: Over these, for a transaction that handles a batch.
BATCH_PINS = (
    Pin("timezone", "UTC", "text of times with time zone"),
    # A batch touches few rows of large tables, found by index; the planner, which does not know that they lie together
    # and are cached, would rather read a whole table for each batch. Without an index it still does.
    Pin("enable_seqscan", "off", "an index if there is one"),
    Pin("seq_page_cost", "1", _PLANS),
    Pin("random_page_cost", "4", _PLANS),
    Pin("max_parallel_workers_per_gather", "0", "a batch is over before a worker has started"),
)


@cache
def settings(*, version: int, batch: bool) -> Mapping[str, str]:
    """Return names and values for a server's major version."""
    pins = (*PINS, *BATCH_PINS) if batch else PINS
    return {pin.name: pin.value for pin in pins if pin.since <= version <= pin.until}


def beginning(*, read_write: bool) -> str:
    """Return what a transaction begins with, before it has a snapshot.

    READ COMMITTED: a session that has waited for a lock sees what the others did, and nothing fails to serialize.
    """
    access = ", READ WRITE" if read_write else ""
    return f"SET TRANSACTION ISOLATION LEVEL READ COMMITTED{access}, NOT DEFERRABLE"


def pinning(values: Mapping[str, str], *, version: int) -> list[str]:
    """Return the statements that set values until the transaction ends."""
    return _pinning(tuple(values.items()), version)


@lru_cache(maxsize=64)
def _pinning(values: tuple[tuple[str, str], ...], version: int) -> list[str]:
    # Two arrays are parsed in half the time of as many calls.
    names, new = (f"{literal(array(column))}::pg_catalog.text[]" for column in zip(*values, strict=True))
    statements = [
        # First and alone: a server that compiles everything it executes would also compile the other statement.
        "SET LOCAL jit = off",
        f"SELECT pg_catalog.set_config(name, value, true) FROM unnest({names}, {new}) AS pin (name, value)",
    ]
    if "session_replication_role" not in dict(values):
        statements.append(f"SELECT {_as_origin(version)}")
    return statements


def _as_origin(version: int) -> str:
    """Return the SQL that makes triggers and foreign keys work, if the role skips them and may change that."""
    allowed = (
        "pg_catalog.has_parameter_privilege('session_replication_role', 'SET')"
        if version >= 15  # has had parameter privileges since
        else "pg_catalog.current_setting('is_superuser') = 'on'"
    )
    return (
        "CASE WHEN pg_catalog.current_setting('session_replication_role') = 'replica' THEN"
        f" CASE WHEN {allowed} THEN pg_catalog.set_config('session_replication_role', 'origin', true) END END"
    )
