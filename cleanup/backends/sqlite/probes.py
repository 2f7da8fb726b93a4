"""SQLite's words for samples of columns."""

import json
import re
import uuid
from typing import Any

from cleanup.backends import probes
from cleanup.backends.catalogue import quoted
from cleanup.backends.probes import LONGEST, ROWS, UUID, Probed, ProbedTable

_SEARCH_UUID = re.compile(f"(?<![0-9a-f]){UUID}(?![0-9a-f])", re.IGNORECASE)


class ProbeSql(probes.ProbeSql):
    """SQLite's words; ``cleanup_keys`` is a function that the connection must know."""

    _text = "text"

    def limit(self) -> None:
        self.connection.ensure_connection()
        self.connection.connection.create_function(
            "cleanup_keys", 2, _uuids if self.kind == "uuid" else _parts, deterministic=True
        )

    def _sample(self, table: ProbedTable) -> str:
        columns = self._sampled(table, [quoted(column.name) for column in table.columns])
        name, half = f"{table.name.quoted} AS f", ROWS // 2
        if not table.rowid:
            return f"SELECT row_number() OVER () AS cell, x.* FROM (SELECT {columns} FROM {name} LIMIT {ROWS}) AS x"
        return (
            f"SELECT rowid AS cell, {columns} FROM {name} WHERE rowid IN ("
            f"SELECT * FROM (SELECT rowid FROM {name} LIMIT {half}) UNION"
            f" SELECT * FROM (SELECT rowid FROM {name} ORDER BY rowid DESC LIMIT {half}))"
        )

    def _tokens(self, number: int, place: int, column: Probed) -> str:
        return (
            f"SELECT {number}, {place}, cell, json_extract(j.value, '$[0]'), json_extract(j.value, '$[1]')"
            f" FROM s{number} CROSS JOIN json_each(cleanup_keys(c{place}, '{column.form}')) AS j"
        )

    def _as_key(self, token: str) -> str:
        if self.kind == "integer":
            return f"CASE WHEN {token} NOT GLOB '*[^0-9]*' AND length({token}) < 19 THEN CAST({token} AS integer) END"
        return token


def _uuids(value: Any, _form: str) -> str:
    """Return, as JSON, the UUIDs in a value, as SQLite's columns spell them, each with whether it stands amid text."""
    if isinstance(value, bytes):
        if len(value) == 16:
            return json.dumps([[uuid.UUID(bytes=value).hex, 0]])
        value = value.decode(errors="replace") if len(value) <= LONGEST else ""
    if not isinstance(value, str) or len(value) > LONGEST:
        return "[]"
    found = _SEARCH_UUID.findall(value)
    amid = bool(
        found
        and not value.lstrip().startswith(("{", "["))
        and any(letter.isalnum() for letter in _SEARCH_UUID.sub("", value))
    )
    return json.dumps([[token.replace("-", "").lower(), int(amid)] for token in found])


def _parts(value: Any, form: str) -> str:
    """Return, as JSON, what may be keys in a value, each with 0."""
    if isinstance(value, int):
        return json.dumps([[str(value), 0]])
    if not isinstance(value, str) or not value or len(value) > LONGEST:
        return "[]"
    if form in {"list", "document"} or value.lstrip().startswith("["):
        return json.dumps([[part, 0] for part in re.split(r'[{}\[\],:"\s]+', value) if part])
    return json.dumps([[value, 0]])
