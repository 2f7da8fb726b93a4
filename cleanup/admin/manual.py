"""The manual, which comes with the app: its chapters as pages, linked from "More" and from what is for IT.

They are ours and hold no markup of anyone else's; raw HTML in them would be shown as text. English, whatever the
language of the pages.
"""

import re
from functools import cache
from itertools import pairwise
from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from cleanup.admin.access import Pages, page, permission_required
from cleanup.permissions import Permission

DIRECTORY = Path(__file__).parent.parent / "docs"

#: In the order in which the pages list them: what people in an office read first.
CHAPTERS = (
    "admin",
    "safety",
    "operations",
    "adopting",
    "references",
    "settings",
    "command",
    "python",
    "api",
    "performance",
    "is_it_safe",
    "development",
    "changelog",
)

_NOT_IN_AN_ANCHOR = re.compile(r"[^\w\- ]")


class ManualPages(Pages):
    """A page for each chapter, and the pictures."""

    section = "manual"

    def urls(self) -> list[URLPattern]:
        """Return the addresses: links from chapter to chapter are relative, and so work as they stand."""
        site = self.admin_site
        return [
            page(site, "manual/<slug:picture>.png", self.picture, "manual_picture"),
            page(site, "manual/<slug:chapter>.md", self.chapter, "manual"),
        ]

    @permission_required(Permission.VIEW)
    def chapter(self, request: HttpRequest, chapter: str) -> HttpResponse:
        """Show a chapter."""
        if chapter not in CHAPTERS:
            raise Http404
        chapters = [(name, title_of(name), name == chapter) for name in CHAPTERS]
        return self.render(
            request, "manual", title=_("Manual"), chapters=chapters, chapter=chapter, text=as_html(chapter)
        )

    @permission_required(Permission.VIEW)
    def picture(self, request: HttpRequest, picture: str) -> HttpResponse:
        """Send a picture of the manual."""
        path = DIRECTORY / f"{picture}.png"
        if not path.is_file():
            raise Http404
        return HttpResponse(path.read_bytes(), content_type="image/png")


@cache
def title_of(chapter: str) -> str:
    """Return a chapter's heading."""
    with (DIRECTORY / f"{chapter}.md").open(encoding="utf-8") as lines:
        return next(lines).removeprefix("#").strip()


@cache
def as_html(chapter: str) -> SafeString:
    """Return a chapter as HTML, its headings one level lower, with the anchors that links to them have."""
    from markdown_it import MarkdownIt  # noqa: PLC0415  # only if someone reads the manual

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse((DIRECTORY / f"{chapter}.md").read_text(encoding="utf-8"))
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", anchor(inline.content))
        if token.attrs.pop("style", None):  # of a cell: the policy allows no style in the page
            token.attrSet("class", "cleanup-figure")
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + 1)}"
    html: str = markdown.renderer.render(tokens, markdown.options, {})
    html = html.replace("&lt;br&gt;", "<br>")
    html = html.replace("<pre>", '<pre tabindex="0">')  # what is wide scrolls, by the keyboard, too
    html = html.replace("<table>", '<div class="cleanup-scroll" tabindex="0"><table>').replace(
        "</table>", "</table></div>"
    )
    return mark_safe(html)  # noqa: S308  # our own text, from the package; its HTML would be escaped


def anchor(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return _NOT_IN_AN_ANCHOR.sub("", heading.lower()).replace(" ", "-")
