"""SQLite's words for the sample of the folder table."""

from cleanup.backends import samples
from cleanup.backends.samples import LONGEST


class SampleSql(samples.SampleSql):
    """Neither bytes nor what a program stored as text need be UTF-8; as digits everything can be read."""

    def _read(self, value: str | None) -> str | None:
        return None if value is None else bytes.fromhex(value).decode(errors="replace")

    def _text(self, expression: str) -> str:
        return (
            f"CASE WHEN typeof({expression}) NOT IN ('blob', 'null') THEN hex(substr({expression}, 1, {LONGEST})) END"
        )
