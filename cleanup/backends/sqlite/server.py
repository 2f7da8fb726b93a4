"""What SQLite says of itself."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cleanup.backends import server
from cleanup.backends.query import quote
from cleanup.backends.server import Collation, Identity, Role

if TYPE_CHECKING:
    from cleanup.backends.catalogue import TableName


class Server(server.Server):
    """SQLite."""

    minimum = (3, 35)

    _SETTINGS = ("busy_timeout", "foreign_keys", "journal_mode", "synchronous")

    @property
    def _file(self) -> Path | None:
        """The file, if it is one."""
        told = self.ask_one("SELECT file FROM pragma_database_list WHERE name = 'main'")
        return Path(told[0]) if told and told[0] else None

    def version(self) -> tuple[int, ...]:
        told = self.ask_one("SELECT sqlite_version()")
        return tuple(int(part) for part in told[0].split(".")) if told else ()

    def identity(self) -> Identity:
        encoding = self.ask_one("PRAGMA encoding")
        return Identity(
            key=self.key(),
            version=".".join(str(part) for part in self.version()),
            database=str(self._file or self.connection.settings_dict["NAME"]),
            read_only=self._is_read_only(),
            in_recovery=False,
            encoding=encoding[0] if encoding else None,
        )

    def _is_read_only(self) -> bool:
        query_only = self.ask_one("PRAGMA query_only")
        name = str(self.connection.settings_dict["NAME"])
        opened_so = name.startswith("file:") and ("mode=ro" in name or "immutable=1" in name)
        # Beside the file, SQLite writes its journal.
        places = [self._file, self._file.parent] if self._file else []
        closed = any(not os.access(place, os.W_OK) for place in places)
        return bool(query_only and query_only[0]) or opened_so or closed

    def role(self) -> Role:
        return Role(name=None, superuser=None, bypassrls=None)

    def settings(self) -> dict[str, str | None]:
        told = {name: self.ask_one(f"PRAGMA {name}") for name in self._SETTINGS}
        return {name: str(row[0]) if row else None for name, row in told.items()}

    def deadlock_timeout_ms(self) -> int | None:
        return 0

    def collation(self, table: TableName, column: str) -> Collation:
        # No pragma tells; a union compares by the collation of its first part's column.
        told = self.ask_one(
            f"""
            WITH none AS (SELECT {quote(column)} FROM {self.session.relation(table)} WHERE 0)
            SELECT (SELECT count(*) FROM (SELECT * FROM none UNION SELECT 'a' UNION SELECT 'A')),
                   (SELECT count(*) FROM (SELECT * FROM none UNION SELECT 'a' UNION SELECT 'a '))
            """
        )
        if told is None:
            return Collation(None)
        cases, blanks = told
        name = "NOCASE" if cases == 1 else "RTRIM" if blanks == 1 else "BINARY"
        return Collation(name, deterministic=name == "BINARY", ignores_case=cases == 1)

    def free_bytes(self) -> int | None:
        return shutil.disk_usage(self._file.parent).free if self._file else None
