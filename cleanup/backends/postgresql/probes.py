"""PostgreSQL's words for samples of columns."""

from cleanup import conf
from cleanup.backends import probes
from cleanup.backends.catalogue import quoted
from cleanup.backends.probes import LONGEST, ROWS, UUID, Probed, ProbedTable


class ProbeSql(probes.ProbeSql):
    """PostgreSQL's words."""

    _text = "text"

    def limit(self) -> None:
        settings = {
            # Statements of many small parts cost more to compile than to run.
            "jit": "off",
            "max_parallel_workers_per_gather": "0",
            "lock_timeout": f"{conf.lock_timeout_ms()}ms",
            "statement_timeout": f"{conf.statement_timeout_ms()}ms",
        }
        calls = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
        self.fetch(f"SELECT {calls}")

    def _sample(self, table: ProbedTable) -> str:
        columns = self._sampled(table, [self._cell(column) for column in table.columns])
        name = f"{table.name.quoted} AS f"
        half = ROWS // 2
        if table.bytes is not None and table.bytes < 1_000_000:
            return f"SELECT row_number() OVER () AS cell, x.* FROM (SELECT {columns} FROM {name} LIMIT {ROWS}) AS x"
        # Of pages of 8 kB with ten rows at least, more than there need be.
        percent = min(100.0, 100.0 * half * 820 / table.bytes) if table.bytes else 1.0
        return (
            f"SELECT row_number() OVER () AS cell, x.* FROM ((SELECT {columns} FROM {name} LIMIT {half}) UNION ALL"
            f" (SELECT {columns} FROM {name} TABLESAMPLE SYSTEM ({percent:.6f}) REPEATABLE (0) LIMIT {half})) AS x"
        )

    def _cell(self, column: Probed) -> str:
        name = quoted(column.name)
        if column.form == "bytes":
            return f"CASE WHEN octet_length({name}) = 16 THEN encode({name}, 'hex') END"
        if column.form == "value" and column.kind != "text":
            return f"{name}::text"
        return f"CASE WHEN pg_column_size({name}) <= {LONGEST} THEN {name}::text END"

    def _tokens(self, number: int, place: int, column: Probed) -> str:
        value, source = f"c{place}", f"s{number}"
        head = f"SELECT {number}, {place}, cell"
        whole = column.form == "bytes" or (column.form == "value" and column.kind != "text")
        if whole and (column.kind == self.kind or column.form == "bytes"):
            return f"{head}, {value}, false FROM {source} WHERE {value} IS NOT NULL"
        if self.kind == "uuid":
            amid = "false"
            if column.form == "value":
                amid = (
                    f"left(ltrim({value}), 1) NOT IN ('{{', '[') AND"
                    f" regexp_replace({value}, '{UUID}', '', 'gi') ~ '[[:alnum:]]'"
                )
            # To search texts is what costs, so only some of many rows are searched, and none too short for a UUID.
            return (
                f"{head}, m[1], {amid} FROM {source},"
                f" regexp_matches({value}, '(?<![0-9a-f])({UUID})(?![0-9a-f])', 'gi') AS m"
                f" WHERE length({value}) >= 32 AND (cell <= 100 OR cell % 4 = 0)"
            )
        if column.form in {"list", "document"}:
            listed = f"regexp_split_to_table({value}, '[][{{}},:\"[:space:]]+')"
            return f"{head}, part, false FROM {source}, {listed} AS part WHERE part <> '' AND part <> 'NULL'"
        return f"{head}, {value}, false FROM {source} WHERE {value} <> ''"

    def _as_key(self, token: str) -> str:
        if self.kind == "uuid":
            return f"lower(replace({token}, '-', ''))" if self.spelled else f"{token}::uuid"
        if self.kind == "integer":
            return f"CASE WHEN {token} ~ '^[0-9]{{1,18}}$' THEN {token}::bigint END"
        return token
