"""Cells as literals, from which any SQLite makes the same values; see Note [Storage classes] in ``cells``."""

import math
from typing import TYPE_CHECKING

from cleanup.backends.changes import Cell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: The greatest power of two that an integer of SQLite can be.
_POWER = 62


def literal(text: str) -> str:
    """Return a text as a literal."""
    quoted = text.replace("'", "''")
    return f"'{quoted}'"


def value(cell: Cell, *, encoding: str) -> str:
    """Return the value of a cell; ``encoding`` is Python's name of the database's."""
    if cell is None:
        return "NULL"
    storage_class, content = cell[:2], cell[2:]
    if storage_class == "t:" and not content.isprintable():  # a shell or a reader could take it for something else
        storage_class, content = "x:", content.encode(encoding).hex()
    as_sql: Mapping[str, Callable[[str], str]] = {
        "i:": str,
        "r:": _real,
        "b:": "x'{}'".format,
        "x:": "CAST(x'{}' AS TEXT)".format,
        "t:": literal,
    }
    return as_sql[storage_class](content)


def _real(hexadecimal: str) -> str:
    """Return an expression that is exactly the number: how SQLite reads decimals depends on its version."""
    number = float.fromhex(hexadecimal)
    if math.isinf(number):
        return "9e999" if number > 0 else "-9e999"
    mantissa, exponent = math.frexp(number)
    whole = int(mantissa * 2**53)
    exponent -= 53
    while whole and whole % 2 == 0:
        whole, exponent = whole // 2, exponent + 1
    factor = "*" if exponent > 0 else "/"
    powers = [min(_POWER, abs(exponent) - done) for done in range(0, abs(exponent), _POWER)]
    steps = "".join(f"{factor}CAST({1 << power} AS REAL)" for power in powers)
    return f"(CAST({whole} AS REAL){steps})"
