"""What a person would read of a web page."""

from html.parser import HTMLParser
from itertools import pairwise

_UNSEEN = frozenset({"script", "style", "template", "noscript", "svg"})
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_PARAGRAPHS = frozenset(
    {"p", "div", "section", "article", "header", "footer", "main", "nav", "aside", "blockquote"}
    | {"ul", "ol", "dl", "table", "pre", "form", "body", "title"}
)
_LINES = frozenset({"br", "hr", "li", "tr", "dt", "dd", "figcaption", "option"})


# Characters to go through for tags that nothing ends, each of which the parser seeks to the end of the page: seconds.
_MOST_SOUGHT = 30_000_000


class Tangled(Exception):
    """So many tags of the page have no end that reading it would take hours."""


def text_of_html(page: str, most_sought: int = _MOST_SOUGHT) -> str:
    """The page's text, a block a paragraph, its headings marked as in Markdown.

    Takes pages of nearly any quality; raises Tangled for the others.
    """
    reader = _Reader(most_sought // max(len(page), 1))
    reader.feed(page)
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    def __init__(self, most_endless: int) -> None:
        super().__init__(convert_charrefs=True)
        self._endless_left = most_endless
        self._closing = False
        self._pieces: list[str] = []
        self._unseen = 0
        self._as_it_is = 0

    def close(self) -> None:
        """Read what `feed` has left because it begins with a tag that nothing ends: it is text, and others follow."""
        self._closing = True
        super().close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._enter(tag, 1)
        self._pieces.append(_before(tag))

    def handle_endtag(self, tag: str) -> None:
        self._enter(tag, -1)
        self._pieces.append("\n\n" if tag in _HEADINGS or tag in _PARAGRAPHS else "")

    def handle_data(self, data: str) -> None:
        if self._closing and data.startswith("<"):
            self._endless_left -= 1
            if self._endless_left < 0:
                raise Tangled
        if not self._unseen:
            # Its own line ends mean nothing, but for code.
            self._pieces.append(data if self._as_it_is else data.replace("\n", " "))

    def text(self) -> str:
        """All that was read, with at most one blank line at a time."""
        lines = [" ".join(line.split()) for line in "".join(self._pieces).split("\n")]
        kept = [line for before, line in pairwise(["", *lines]) if before or line]
        return "\n".join(kept).strip("\n")

    def _enter(self, tag: str, step: int) -> None:
        if tag in _UNSEEN:
            self._unseen = max(self._unseen + step, 0)
        if tag == "pre":
            self._as_it_is = max(self._as_it_is + step, 0)


def _before(tag: str) -> str:
    if tag in _HEADINGS:
        return f"\n\n{_HEADINGS[tag]}"
    if tag in _PARAGRAPHS:
        return "\n\n"
    if tag in _LINES:
        return "\n"
    return " " if tag in {"td", "th"} else ""
