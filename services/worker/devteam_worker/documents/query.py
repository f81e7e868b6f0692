"""What somebody looks for, in words that SQLite's full-text search takes."""

import re
from collections.abc import Iterator

# With few parts, since each of them is a word to SQLite, and the whole a phrase: its costs grow faster than its length.
_WORD = re.compile(r"[^\W_]+(?:['’_][^\W_]+){0,2}")  # noqa: RUF001 - both apostrophes are meant
# A model may hand over its whole prompt; what comes later says little more.
_MOST_WORDS, _MOST_CHARACTERS = 32, 2000

# Found everywhere, so they say nothing and cost most. English ones: in other languages, ranking alone weighs them down.
FILLERS = frozenset(
    _WORD.findall("""
        a about an and are as at be been but by can did do does for from had has have how i if in into is it its me my
        no not of on or our so such than that the their them then there these they this to us was we were what when
        where which who why will with would you your
    """)
)


def queries(text: str) -> Iterator[str]:
    """Full-text queries, the strictest first: all words, then any of them. None at all for a text without words.

    Whatever the text holds, each of its words stands in quotes: no operator, and no error of syntax.
    """
    words = _words(text)
    if words:
        yield " AND ".join(words)
    if len(words) > 1:
        yield " OR ".join(words)


def _words(text: str) -> list[str]:
    found = dict.fromkeys(word.lower() for word in _WORD.findall(_beginning(text)))
    telling = [word for word in found if word not in FILLERS] or list(found)
    return [f'"{word}"' for word in telling[:_MOST_WORDS]]


def _beginning(text: str) -> str:
    if len(text) <= _MOST_CHARACTERS:
        return text
    cut = text[:_MOST_CHARACTERS]
    # Half a word would be found nowhere.
    return cut.rpartition(" ")[0] or cut
