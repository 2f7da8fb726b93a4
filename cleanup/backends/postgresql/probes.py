"""PostgreSQL's dialect for samples of columns."""

from cleanup import conf
from cleanup.backends import probes
from cleanup.backends.probes import LONGEST, ROWS, UUID, Probed, ProbedTable
from cleanup.backends.query import Query, block, quote


class ProbeSql(probes.ProbeSql):
    """PostgreSQL's dialect."""

    def limit(self) -> None:
        self.session.fetch(
            """
            SELECT set_config('jit', 'off', true),  -- many small parts cost more to compile than to run
                   set_config('max_parallel_workers_per_gather', '0', true),
                   set_config('lock_timeout', %(lock_timeout)s, true),
                   set_config('statement_timeout', %(statement_timeout)s, true)
            """,
            lock_timeout=f"{conf.lock_timeout_ms()}ms",
            statement_timeout=f"{conf.statement_timeout_ms()}ms",
        )

    def _sample(self, table: ProbedTable) -> Query:
        if table.bytes is not None and table.bytes < 1_000_000:
            return super()._sample(table)
        # With pages of 8 kB and at least ten rows each, more than enough.
        percent = min(100.0, 100.0 * ROWS / 2 * 820 / table.bytes) if table.bytes else 1.0
        return block(
            """
            SELECT row_number() OVER () AS cell, x.*
              FROM ((SELECT {columns} FROM {table} AS f LIMIT {half})
                    UNION ALL
                    (SELECT {columns} FROM {table} AS f TABLESAMPLE SYSTEM ({percent}) REPEATABLE (0) LIMIT {half})
                   ) AS x
            """,
            columns=self._columns(table),
            table=self.session.relation(table.name),
            half=ROWS // 2,
            percent=f"{percent:.6f}",
        )

    def _cell(self, column: Probed) -> str:
        name = quote(column.name)
        if column.form == "bytes":
            return f"CASE WHEN octet_length({name}) = 16 THEN encode({name}, 'hex') END"
        if column.form == "value" and column.kind != "text":
            return f"{name}::text"
        return f"CASE WHEN pg_column_size({name}) <= {LONGEST} THEN {name}::text END"

    def _tokens(self, number: int, place: int, column: Probed) -> Query:
        value = token = f"c{place}"
        amid, split, searched = "false", "", f"{value} <> ''"
        if column.form == "bytes" or (column.form == "value" and column.kind == self.kind != "text"):
            searched = f"{value} IS NOT NULL"
        elif self.kind == "uuid":
            if column.form == "value":
                rest = f"regexp_replace({value}, '{UUID}', '', 'gi')"
                amid = f"left(ltrim({value}), 1) NOT IN ('{{', '[') AND {rest} ~ '[[:alnum:]]'"
            token, split = "m[1]", f", regexp_matches({value}, '(?<![0-9a-f])({UUID})(?![0-9a-f])', 'gi') AS m"
            # Searching texts is expensive, so only some of many rows are searched, and none too short for a UUID.
            searched = f"length({value}) >= 32 AND (cell <= 100 OR cell %% 4 = 0)"
        elif column.form in {"list", "document"}:
            token, split = "part", f""", regexp_split_to_table({value}, '[][(){{}},:"[:space:]]+') AS part"""
            searched = "part <> '' AND part <> 'NULL'"
        return block(
            "SELECT {number}, {place}, cell, {token}, {amid} FROM s{number}{split} WHERE {searched}",
            number=number,
            place=place,
            token=token,
            amid=amid,
            split=split,
            searched=searched,
        )

    def _as_key(self, token: str) -> str:
        if self.kind == "uuid":
            digits = f"translate({token}, '-_', '')"
            return f"lower({digits})" if self.spelled else f"{digits}::uuid"
        if self.kind == "integer":
            return f"CASE WHEN {token} ~ '^[0-9]{{1,18}}$' THEN {token}::bigint END"
        return token
