"""SQLite's dialect for samples of columns."""

import json
import re
import uuid
from typing import Any

from cleanup.backends import probes
from cleanup.backends.probes import LONGEST, ROWS, UUID, Probed, ProbedTable
from cleanup.backends.query import Query, block

_SEARCH_UUID = re.compile(f"(?<![0-9a-f]){UUID}(?![0-9a-f])", re.IGNORECASE)


class ProbeSql(probes.ProbeSql):
    """SQLite's words; ``cleanup_keys`` is a function that the connection must know."""

    def limit(self) -> None:
        self.session.connection.ensure_connection()
        self.session.connection.connection.create_function(
            "cleanup_keys", 2, _uuids if self.kind == "uuid" else _parts, deterministic=True
        )

    def _sample(self, table: ProbedTable) -> Query:
        if not table.rowid:
            return super()._sample(table)
        return block(
            """
            SELECT rowid AS cell, {columns}
              FROM {table} AS f
             WHERE rowid IN (SELECT * FROM (SELECT rowid FROM {table} LIMIT {half})
                              UNION
                             SELECT * FROM (SELECT rowid FROM {table} ORDER BY rowid DESC LIMIT {half}))
            """,
            columns=self._columns(table),
            table=self.session.relation(table.name),
            half=ROWS // 2,
        )

    def _tokens(self, number: int, place: int, column: Probed) -> Query:
        return block(
            """
            SELECT {number}, {place}, cell, json_extract(j.value, '$[0]'), json_extract(j.value, '$[1]')
              FROM s{number}
             CROSS JOIN json_each(cleanup_keys(c{place}, '{form}')) AS j
            """,
            number=number,
            place=place,
            form=column.form,
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
    return json.dumps([[re.sub("[-_]", "", token).lower(), int(amid)] for token in found])


def _parts(value: Any, form: str) -> str:
    """Return, as JSON, what may be keys in a value, each with 0."""
    if isinstance(value, int):
        return json.dumps([[str(value), 0]])
    if not isinstance(value, str) or not value or len(value) > LONGEST:
        return "[]"
    if form in {"list", "document"} or value.lstrip().startswith("["):
        return json.dumps([[part, 0] for part in re.split(r'[{}\[\],:"\s]+', value) if part])
    return json.dumps([[value, 0]])
