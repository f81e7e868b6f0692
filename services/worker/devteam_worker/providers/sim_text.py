"""What the simulated model writes: Markdown that visibly came from its prompt, always the same for the same prompt."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from random import Random

NOTE = "*Simulated answer: no model was asked.*"

_WORD = re.compile(r"\s*\S+")
_MARKUP = re.compile(r"^\s*(?:[#>*+-]+\s+|\d+[.)]\s+)+|[*`|“”]+")
_AFTER_COLON = re.compile(r":\s+(\S.*)")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_SENTENCE_WORDS = 4
_QUOTE_WORDS = 16
_QUOTE_CHARACTERS = 160
_MAX_QUOTES = 24
_SCANNED = 20_000


def words(system_prompt: str, prompt: str, seed: int) -> Iterator[str]:
    """The document word by word, each with the white space before it; it never ends by itself."""
    for part in _parts(_role(system_prompt), prompt, seed):
        yield from _WORD.findall(part)


def whole_length(system_prompt: str, prompt: str, seed: int) -> int:
    """The number of words of a document with each of its sections once."""
    role = _role(system_prompt)
    parts = islice(_parts(role, prompt, seed), 2 + len(role.sections))
    return sum(len(_WORD.findall(part)) for part in parts)


def thoughts(prompt: str, limit: int) -> Iterator[str]:
    """As many words of thinking aloud."""
    line = f" I look at {_topic(_lines(prompt))}, weigh what is said, and order it."
    return islice((word for _ in count() for word in _WORD.findall(line)), limit)


@dataclass(frozen=True, slots=True)
class _Role:
    title: str
    # What comes first.
    opening: str
    # Headings, and what may stand below them; both come back for as long as more is wanted.
    sections: tuple[str, ...]
    remarks: tuple[str, ...]


_REPORT = _Role(
    "Report",
    "## Executive summary\n\nThis report is about {topic}. The main point: {quote}.",
    ("## Basis", "## Discussion", "## Recommendations"),
    (
        "The material says: {quote}.",
        "It also holds that {quote}.",
        "Next step: act on “{quote}”.",
        "It follows that a decision on {topic} is due.",
        "The case for {topic} rests on {percent} percent of the material.",
    ),
)
_FINDINGS = _Role(
    "Findings",
    "We looked at {topic} from several sides. The question was: {quote}.",
    ("## Background", "## Evidence", "## Open questions"),
    (
        "One account of {topic} puts it at {percent} percent.",
        "Most sources agree on the outlines of {topic}.",
        "A second account differs by {percent} points.",
        "The oldest source on {topic} still holds up.",
        "It is unclear what “{quote}” leaves out.",
    ),
)
_INSIGHTS = _Role(
    "Insights",
    "The data on {topic} shows a pattern. It rests on this: {quote}.",
    ("## Trends", "## Anomalies", "## What it means"),
    (
        "A trend stands out: {quote}.",
        "The share of {topic} grows by {percent} percent.",
        "An outlier: “{quote}”.",
        "Read together with the rest: {quote}.",
        "The spread of {topic} is {percent} points wide.",
    ),
)
_ANSWER = _Role(
    "Answer",
    "The question was: {quote}.",
    ("## In short", "## In detail", "## In practice"),
    (
        "The plain answer holds in {percent} percent of all cases.",
        "Note in particular “{quote}”.",
        "Two ways lead there; the shorter one is fine.",
        "What matters most: {quote}.",
        "The rest follows from the first point.",
    ),
)


def _role(system_prompt: str) -> _Role:
    introduction = system_prompt.lower().partition(".")[0]
    for sign, role in (("writer", _REPORT), ("report", _REPORT), ("research", _FINDINGS), ("analy", _INSIGHTS)):
        if sign in introduction:
            return role
    return _ANSWER


def _parts(role: _Role, prompt: str, seed: int) -> Iterator[str]:
    """The title, the opening, then one section after the other."""
    lines = _lines(prompt)
    random = Random(f"{seed}:{prompt}")  # noqa: S311 - the same words every time is the point
    fill = _filler(_topic(lines), _quotes(lines), random)
    yield f"{NOTE}\n\n# {role.title}: {_topic(lines)}"
    yield "\n\n" + fill(role.opening)
    for turn in count():
        remarks = random.sample(role.remarks, 3)
        heading = role.sections[turn % len(role.sections)]
        yield f"\n\n{heading}\n" + "".join(f"\n- {fill(remark)}" for remark in remarks)


def _filler(topic: str, quotes: Sequence[str], random: Random) -> Callable[[str], str]:
    """Fills in the quotes one after the other, so that all of the prompt is heard."""
    turns = count()

    def fill(template: str) -> str:
        quote = quotes[next(turns) % len(quotes)] if "{quote}" in template else ""
        return template.format(topic=topic, quote=quote, percent=random.randint(2, 60))

    return fill


def _lines(prompt: str) -> list[str]:
    """The prompt's lines without Markdown and without what an upstream simulation said about itself."""
    plain = (_MARKUP.sub("", line).strip() for line in prompt[:_SCANNED].replace(NOTE, "\n").splitlines())
    return [line for line in plain if any(map(str.isalnum, line))] or ["nothing"]


def _topic(lines: Sequence[str]) -> str:
    """What follows the colon of the first line that has something after one, else the first line."""
    named = (found[1] for line in lines if (found := _AFTER_COLON.search(line)))
    return _short(next(named, lines[0]), 10)


def _quotes(lines: Sequence[str]) -> list[str]:
    """The prompt's sentences; what is too short to be one (headings, mostly) only when there is nothing else."""
    sentences = [sentence for line in lines for sentence in _SENTENCE.split(line)]
    full = [sentence for sentence in sentences if len(sentence.split()) >= _SENTENCE_WORDS and sentence[-1] != ":"]
    return list(dict.fromkeys(_short(sentence, _QUOTE_WORDS) for sentence in full or sentences))[:_MAX_QUOTES]


def _short(text: str, most: int) -> str:
    short = " ".join(text.split()[:most])[:_QUOTE_CHARACTERS].rstrip(".!?:;,… ")
    return short + (" …" if len(short) < len(text.rstrip(".!?:;,… ")) else "")
