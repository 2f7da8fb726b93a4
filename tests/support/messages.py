"""What there is to translate: the messages of code and templates, and the catalogue, read without gettext's tools."""

import ast
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.utils.translation import template as django_template

from tests import ROOT

APP = ROOT / "cleanup"
CATALOGUE = APP / "locale/de/LC_MESSAGES/django"

#: The names under which functions of ``django.utils.translation`` are known, and where their messages stand.
SINGULAR = {"_", "gettext", "gettext_lazy", "gettext_noop"}
PLURAL = {"ngettext", "ngettext_lazy"}
IN_CONTEXT = {"pgettext", "pgettext_lazy"}


@dataclass(frozen=True, slots=True)
class Message:
    """A message: context, text, and plural; the last and the first may be empty."""

    text: str
    plural: str = ""
    context: str = ""

    @property
    def forms(self) -> tuple[str, ...]:
        return (self.text, self.plural) if self.plural else (self.text,)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the catalogue."""

    message: Message
    translations: tuple[str, ...]
    fuzzy: bool = False


@cache
def messages() -> frozenset[Message]:
    """Return all messages of the app."""
    return frozenset(_of_code()) | frozenset(_of_templates())


def sources() -> list[Path]:
    return [path for path in sorted(APP.rglob("*.py")) if "migrations" not in path.parts]


def templates() -> list[Path]:
    return sorted(APP.rglob("templates/**/*.html"))


def _of_code() -> Iterator[Message]:
    for path in sources():
        yield from calls(ast.parse(path.read_text(encoding="utf-8")), str(path))


def _of_templates() -> Iterator[Message]:
    for path in templates():
        python = django_template.templatize(path.read_text(encoding="utf-8"), origin=str(path))
        # Everything but the calls is noise between them.
        for call in re.findall(r"\b(?:gettext|ngettext|pgettext|npgettext|_)\(u?(?:'|\").*?\) ", python, re.DOTALL):
            yield from calls(ast.parse(call.replace("u'", "'").strip()), str(path))


def calls(tree: ast.AST, origin: str) -> Iterator[Message]:
    """Yield the messages of the calls in a tree. Raises AssertionError for one that no tool could extract."""
    hidden = {id(call) for text in ast.walk(tree) if isinstance(text, ast.JoinedStr) for call in ast.walk(text)}
    for call in ast.walk(tree):
        name = getattr(getattr(call, "func", None), "id", "")
        if name not in SINGULAR | PLURAL | IN_CONTEXT:
            continue
        number = 1 if name in SINGULAR else 2
        texts = [argument.value for argument in call.args[:number] if isinstance(argument, ast.Constant)]
        if not texts and name in {"_", "gettext"}:
            continue  # of a message that was marked elsewhere
        assert len(texts) == number, f"{origin}:{call.lineno}: {name}() is given a text that is not a literal."
        assert id(call) not in hidden, f"{origin}:{call.lineno}: {name}() stands in an f-string, where no tool looks."
        if name in IN_CONTEXT:
            yield Message(texts[1], context=texts[0])
        else:
            yield Message(*texts)


def entries() -> dict[Message, Entry]:
    """Return the catalogue as people edit it."""
    found = {}
    for block in CATALOGUE.with_suffix(".po").read_text(encoding="utf-8").split("\n\n"):
        parts: dict[str, str] = {}
        part = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if match := re.fullmatch(r'(msg\w+(?:\[\d\])?) (".*")', line):
                part = match[1]
                parts[part] = ast.literal_eval(match[2])
            else:
                parts[part] += ast.literal_eval(line)
        message = Message(parts["msgid"], parts.get("msgid_plural", ""), parts.get("msgctxt", ""))
        several = tuple(text for name, text in parts.items() if name.startswith("msgstr"))
        found[message] = Entry(message, several, fuzzy=bool(re.search(r"^#,.*\bfuzzy\b", block, re.MULTILINE)))
    return found


def compiled() -> dict[str, str]:
    """Return the catalogue as it is read by the program, with the separators of GNU's format."""
    data = CATALOGUE.with_suffix(".mo").read_bytes()
    _magic, _version, count, originals, translations = struct.unpack_from("<5I", data)

    def text(table: int, place: int) -> str:
        length, offset = struct.unpack_from("<2I", data, table + 8 * place)
        return data[offset : offset + length].decode()

    return {text(originals, place): text(translations, place) for place in range(count)}


def packed(entry: Entry) -> tuple[str, str]:
    """Return an entry in that format."""
    key = "\0".join(entry.message.forms)
    key = f"{entry.message.context}\4{key}" if entry.message.context else key
    return key, "\0".join(entry.translations)
