"""Everything that people read is translated: marked where it is written, and in the German catalogue.

A failure names what to add. After a change: ``django-admin makemessages -l de --no-wrap --add-location file`` in
``cleanup/``, translate, ``django-admin compilemessages``.
"""

import ast
import re

import pytest
from django.template.base import Lexer, TokenType

from cleanup.backends.finding_kinds import KINDS
from cleanup.permissions import DESCRIPTIONS, GROUPS
from tests.support import messages as found
from tests.support.messages import APP, Message

SLOTS = re.compile(r"%\(\w+\)s|%s|%%")

#: Pages for programmers, in English as the API that they are about.
OF_THE_API = ("cleanup/api/",)

#: Where sentences are made: what stands there in quotes and reads like a sentence is one.
SPEAKING = (
    *sorted((APP / "admin").glob("*.py")),
    *sorted((APP / "models").glob("*.py")),
    APP / "templatetags/cleanup_admin.py",
    APP / "stored_texts.py",
    APP / "permissions.py",
)
#: Functions and keywords whose texts are seen by no one.
UNSEEN_CALLS = {"counted", "format_html", "format_html_join"}
#: What is shown even if it is one word.
SHOWN = {"description", "title", "label", "empty", "search_help_text", "verbose_name", "verbose_name_plural", "button"}


class TestCatalogue:
    def test_has_every_message(self):
        entries = found.entries()
        # An entry with a plural serves a message without one, too.
        singular = {(entry.context, entry.text) for entry in entries}
        missing = found.messages() - set(entries)
        assert {one for one in missing if one.plural or (one.context, one.text) not in singular} == set()

    def test_has_no_message_that_is_gone(self):
        assert set(found.entries()) - found.messages() - {Message("")} == set()

    def test_translates_every_message(self):
        entries = [entry for entry in found.entries().values() if entry.fuzzy or not all(entry.translations)]
        assert [entry.message for entry in entries] == []

    def test_keeps_what_is_filled_in(self):
        different = [
            entry.message
            for entry in found.entries().values()
            for original, translation in zip(entry.message.forms, entry.translations, strict=True)
            if entry.message.text and set(SLOTS.findall(original)) != set(SLOTS.findall(translation))
        ]
        assert different == []

    def test_keeps_the_ends_of_sentences(self):
        """A sentence ends as its original does, for some are put together with others."""
        ends = ".:…?"
        different = [
            (original, translation)
            for entry in found.entries().values()
            for original, translation in zip(entry.message.forms, entry.translations, strict=True)
            if (original[-1:] in ends or translation[-1:] in ends) and original[-1:] != translation[-1:]
        ]
        assert [pair for pair in different if pair[0]] == []

    def test_is_compiled(self):
        entries = dict(found.packed(entry) for entry in found.entries().values() if entry.message.text)
        compiled = {key: text for key, text in found.compiled().items() if key}
        assert compiled == entries

    def test_has_what_other_parts_say(self):
        """The command says the same in English, so it is translated where it is shown."""
        sentences = [*(kind.sentence for kind in KINDS), *DESCRIPTIONS.values(), *GROUPS]
        assert {Message(text) for text in sentences} - set(found.entries()) == set()


class TestTemplates:
    @pytest.mark.parametrize("path", found.templates(), ids=lambda path: str(path.relative_to(APP / "templates")))
    def test_have_no_words_of_their_own(self, path):
        if any(part in str(path.relative_to(APP / "templates")) for part in OF_THE_API):
            return
        assert _texts(path.read_text(encoding="utf-8")) == []


def _texts(source: str) -> list[str]:
    """Return the words between tags but commands, and those in the attributes that people see or hear."""
    outside, silent = [], ""
    for token in Lexer(source).tokenize():
        if token.token_type == TokenType.BLOCK:
            name, *rest = token.split_contents()
            if name == "blocktranslate" or (name, rest) == ("block", ["bodyclass"]):
                silent = f"end{name}"
            elif name == silent:
                silent = ""
        outside.append(token.contents if token.token_type == TokenType.TEXT and not silent else "\0")
    text = "".join(outside)
    attributes = re.findall(r'\b(?:aria-label|title|placeholder|alt|data-label)="([^"]*)"', text)
    between = re.sub(r"<(script|style|code)\b.*?</\1>|<[^>]*>", "\n", text, flags=re.DOTALL)
    parts = [part.strip() for piece in (*attributes, *between.split("\n")) for part in piece.split("\0")]
    return [part for part in parts if re.search(r"[A-Za-z]{2}", part.replace("&rsaquo;", ""))]


class TestCode:
    @pytest.mark.parametrize("path", SPEAKING, ids=lambda path: str(path.relative_to(APP)))
    def test_marks_every_sentence(self, path):
        assert list(_unmarked(ast.parse(path.read_text(encoding="utf-8")))) == []

    def test_translates_nothing_that_is_stored(self):
        """Below the screens a text is at most marked: rows, logs and JSON are in English, whoever has caused them."""
        marking = {"gettext_noop", "gettext_lazy"}
        allowed = {"stored_texts.py", "logins.py", "groups.py", "alerts.py", "base.py", "wording.py"}
        speaking = {
            str(path.relative_to(APP))
            for path in found.sources()
            if path.parent.name not in {"admin", "templatetags"} and path.name not in allowed
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
            for name in node.names
            if name.name not in marking
        }
        assert speaking == set()


def _unmarked(tree: ast.Module) -> list[str]:
    """Return the texts that read like sentences, and are neither marked nor docstrings."""
    seen: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            seen.add(id(node.value))
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in found.SINGULAR | found.PLURAL | found.IN_CONTEXT | UNSEEN_CALLS:
                seen |= {id(part) for argument in node.args for part in ast.walk(argument)}
        if isinstance(node, ast.Dict):
            seen |= {id(key) for key in node.keys}
    words = {
        id(value)
        for node in ast.walk(tree)
        for name, value in _named(node)
        if name in SHOWN and isinstance(value, ast.Constant) and value.value
    }
    return [
        f"line {node.lineno}: {node.value!r}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in seen
        if _is_sentence(node.value) or id(node) in words
    ]


def _named(node: ast.AST) -> list[tuple[str, ast.AST]]:
    """Return what a node gives a name: arguments of calls, and assignments."""
    if isinstance(node, ast.keyword):
        return [(node.arg or "", node.value)]
    if isinstance(node, ast.Assign):
        return [(getattr(target, "id", ""), node.value) for target in node.targets]
    return []


def _is_sentence(text: str) -> bool:
    """Return whether a text has two words side by side, and is neither markup nor a command."""
    return bool(re.search(r"[A-Za-z][a-z]+[,;:]? [A-Za-z][a-z]+", text)) and not re.search(r"<|manage\.py|=", text)
