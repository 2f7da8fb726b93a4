"""The manual: README and the chapters that come with the app."""

import re

from tests import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
CHAPTERS = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "cleanup/docs").glob("*.md"))}
MANUAL = "\n".join([README, *CHAPTERS.values()])


def blocks(language: str, text: str = MANUAL) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    """Return what a chapter says under a title of the second level."""
    (text,) = (text for text in CHAPTERS.values() if f"\n## {title}\n" in text)
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def missing(names, text: str) -> list[str]:
    """Return the names that do not stand in the text as words of code."""
    return sorted(name for name in set(names) if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text))


def anchors(text: str) -> set[str]:
    """Return what links to a title of the text may name."""
    titles = re.findall(r"^##+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
