"""A PostgreSQL server's description of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import DatabaseError

from cleanup.backends import server
from cleanup.backends.query import quote
from cleanup.backends.server import Collation, Identity, Pooling, Role

if TYPE_CHECKING:
    from cleanup.backends.catalogue import TableName

#: How often two connections compare their sessions, in case others use the proxy at the same time.
_COMPARISONS = 5


class Server(server.Server):
    """PostgreSQL."""

    minimum = (14,)

    _SETTINGS = (
        "deadlock_timeout",
        "default_transaction_isolation",
        "default_transaction_read_only",
        "idle_in_transaction_session_timeout",
        "lock_timeout",
        "max_connections",
        "session_replication_role",
        "statement_timeout",
        "synchronous_commit",
        "wal_level",
    )

    def version(self) -> tuple[int, ...]:
        number = int(self.connection.pg_version)  # type: ignore[attr-defined]  # of the PostgreSQL wrapper alone
        return (number // 10_000, number % 10_000)

    def identity(self) -> Identity:
        told = self.ask_one(
            """
            SELECT current_setting('server_version'), current_database()::text, current_schema()::text,
                   current_setting('search_path'), current_setting('transaction_read_only') = 'on',
                   current_setting('server_encoding')
            """
        )
        version, database, schema, search_path, read_only, encoding = told or (None,) * 6
        recovery = self.ask_one("SELECT pg_is_in_recovery()")
        return Identity(
            key=self.key(),
            version=version,
            database=database,
            schema=schema,
            search_path=search_path,
            read_only=read_only,
            in_recovery=recovery[0] if recovery else None,
            encoding=encoding,
        )

    def role(self) -> Role:
        name = self.ask_one("SELECT current_user::text")
        powers = self.ask_one("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        superuser, bypassrls = powers or (None, None)
        return Role(name[0] if name else None, superuser, bypassrls)

    def settings(self) -> dict[str, str | None]:
        told = self.ask(
            "SELECT name, concat_ws(' ', reset_val, unit) FROM pg_settings WHERE name = ANY(%(names)s)",
            names=list(self._SETTINGS),
        )
        return dict.fromkeys(self._SETTINGS) | dict(told or ())

    def pooling(self) -> Pooling:
        # A proxy cannot hand on the server's answer to who serves the connection: it makes one up.
        session = self._session()
        connection: Any = self.connection.connection
        if session in {None, connection.info.backend_pid}:
            return "none"
        other = self.connection.copy()
        try:
            for _ in range(_COMPARISONS):
                with other.cursor() as cursor:
                    cursor.execute("SELECT pg_backend_pid()")
                    (others,) = cursor.fetchone()
                # By session, each connection keeps its own as long as it lasts.
                if others == session or self._session() != session:
                    return "transaction"
        except DatabaseError:  # there is room for one connection alone
            return "unknown"
        finally:
            other.close()
        return "unknown"

    def _session(self) -> int | None:
        told = self.ask_one("SELECT pg_backend_pid()")
        return told[0] if told else None

    def reported(self, name: str) -> str | None:
        self.connection.ensure_connection()
        connection: Any = self.connection.connection
        status: str | None = connection.info.parameter_status(name)
        return status

    def deadlock_timeout_ms(self) -> int | None:
        told = self.ask_one("SELECT setting::integer FROM pg_settings WHERE name = 'deadlock_timeout'")
        return told[0] if told else None

    def collation(self, table: TableName, column: str) -> Collation:
        told = self.ask_one(
            """
            SELECT o.collname::text, n.nspname::text, o.collisdeterministic, t.typname = 'citext'
              FROM pg_attribute AS a
              JOIN pg_class AS c ON c.oid = a.attrelid
              JOIN pg_namespace AS s ON s.oid = c.relnamespace
              JOIN pg_type AS t ON t.oid = a.atttypid
              LEFT JOIN pg_collation AS o ON o.oid = a.attcollation
              LEFT JOIN pg_namespace AS n ON n.oid = o.collnamespace
             WHERE s.nspname = %(schema)s AND c.relname = %(table)s AND a.attname = %(column)s AND NOT a.attisdropped
            """,
            schema=table.schema,
            table=table.name,
            column=column,
        )
        if told is None:
            return Collation(None)
        name, schema, deterministic, is_citext = told
        ignores_case: bool | None = is_citext
        if deterministic is False and not is_citext:
            collation = f"{quote(schema)}.{quote(name)}"
            equal = self.ask_one(f"SELECT 'a' = 'A' COLLATE {collation}")
            ignores_case = equal[0] if equal else None
        return Collation(name, deterministic, ignores_case)

    def free_bytes(self) -> int | None:
        return None
