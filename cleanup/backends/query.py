"""SQL as blocks of text, with identifiers and parameters by name.

Note [Blocks]. A statement is written as one would write it in psql, and sent as it is written: dedented, with a slot
``{name}`` for each identifier and each further block, and ``%(name)s`` for each parameter. A block in a slot keeps its
own lines, indented like the line that it is in, and brings its parameters along; a line on which there is nothing
but empty slots is left out.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from hashlib import blake2b
from itertools import count
from textwrap import dedent
from typing import Any

_SLOT = re.compile(r"\{(\w+)\}")
_PLACE = re.compile("%s|%%")
#: A comment, an identifier, a literal, or the end of a line.
_LINE_ENDS = re.compile(r"""--[^\n]*|"[^"]*"|'[^']*'|\n""")
_PLAIN = re.compile(r"[a-z_][a-z0-9_]{0,49}")


@dataclass(frozen=True, slots=True)
class Query:
    """A statement, or a part of one, and its parameters by name."""

    text: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def bind(self, **params: Any) -> "Query":
        """Return the query with further parameters. Raises ValueError if one already has another value."""
        return Query(self.text, _merged([self.params, params]))

    def __bool__(self) -> bool:
        return bool(self.text)


def block(text: str, /, **slots: "str | int | Query") -> Query:
    """Return a block of SQL with its slots filled; see Note [Blocks]. Raises ValueError as ``bind`` does."""
    lines = [line if isinstance(line, str) else line.filled(slots) for line in _lines(text)]
    params = _merged(slot.params for slot in slots.values() if isinstance(slot, Query))
    return Query("\n".join(line for line in lines if line is not None), params)


def joined(separator: str, parts: "Iterable[str | Query]") -> Query:
    """Join parts as ``str.join`` does, parameters included."""
    queries = [part if isinstance(part, Query) else Query(part) for part in parts]
    return Query(separator.join(query.text for query in queries), _merged(query.params for query in queries))


def compiled(sql: str, params: Iterable[Any]) -> Query:
    """Return a statement that Django has compiled, whose parameters are positional."""
    names = count()
    text = _PLACE.sub(lambda match: match[0] if match[0] == "%%" else f"%(place_{next(names)})s", sql)
    return Query(text, {f"place_{number}": value for number, value in enumerate(params)})


def label(word: str, column: str) -> str:
    """Return the name of what a statement knows of a column, such as ``old_parent_id``.

    Words never begin with each other. In place of a column's name that is long, or would need quotes, stands a digest.
    """
    return f"{word}_{column if _PLAIN.fullmatch(column) else blake2b(column.encode(), digest_size=8).hexdigest()}"


@dataclass(frozen=True, slots=True)
class _SlottedLine:
    """A line of a block with slots."""

    pieces: Sequence[str]
    """What stands around the slots, and their names: the latter at odd positions."""
    indent: str
    """The end of the line before, and the line's own blanks."""

    def filled(self, slots: "Mapping[str, str | int | Query]") -> str | None:
        """Return the line with its slots filled, or None if it had only empty ones."""
        pieces = list(self.pieces)
        for place in range(1, len(pieces), 2):
            slot = slots[pieces[place]]
            value = slot.text if isinstance(slot, Query) else str(slot)
            pieces[place] = _indented(value, self.indent) if "\n" in value else value
        filled = "".join(pieces)
        return filled if filled.strip() else None


@lru_cache(maxsize=512)  # most blocks come again, with other parameters
def _indented(value: str, indent: str) -> str:
    """Return a block with its lines indented; text in quotes must not be."""
    return _LINE_ENDS.sub(lambda found: indent if found[0] == "\n" else found[0], value)


@cache
def _lines(text: str) -> list[str | _SlottedLine]:
    """Return the lines of a block as written in the code; those without slots that follow each other as one."""
    lines: list[str | _SlottedLine] = []
    for line in dedent(text).strip("\n").rstrip().split("\n"):
        pieces = _SLOT.split(line)
        if len(pieces) > 1:
            lines.append(_SlottedLine(pieces, "\n" + " " * (len(line) - len(line.lstrip()))))
        elif lines and isinstance(lines[-1], str):
            lines[-1] += f"\n{line}"
        else:
            lines.append(line)
    return lines


def _merged(several: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for params in several:
        for name, value in params.items():
            if merged.setdefault(name, value) is not value and merged[name] != value:
                raise ValueError(f"Parameter {name} has two values.")
    return merged | {}


def quoted(name: str) -> str:
    """Quote an identifier."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def quote(name: str) -> str:
    """Quote an identifier; a percent sign is doubled, because the text goes through parameter substitution."""
    return quoted(name).replace("%", "%%")


def pasteable(statement: Query | str) -> str:
    """Undo the doubling of percent signs that parameters require; put a block on one line."""
    text = " ".join(map(str.strip, statement.text.split("\n"))) if isinstance(statement, Query) else statement
    return text.replace("%%", "%")
