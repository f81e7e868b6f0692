"""What is worth telling of a span beside its name and its length, in a few words each."""

from collections.abc import Mapping
from datetime import timedelta

from devteam.mesh import names
from devteam.traces import Span, SpanEvent, SpanLink
from devteam_cli.text import printable, span

# What events and links say of where and why; the rest is for -o json.
_TELLING = (names.WAIT_DETAIL, names.WORKER_ID, names.ATTEMPT_REASON)
# Goes without saying.
_FIRST = "first attempt"
# An even number.
_MOST_EVENTS = 8


def brief(length: timedelta) -> str:
    """A length of time, to the millisecond where that matters."""
    milliseconds = length / timedelta(milliseconds=1)
    if milliseconds < 1:
        return f"{max(milliseconds, 0.0):.1f} ms"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else span(length)


def short_name(told: Span) -> str:
    """Its name; a call of this system's goes without its package."""
    return line(told.name.removeprefix("devteam.v1.")) or "(no name)"


def failure(told: Span) -> str:
    """What went wrong; empty if nothing did."""
    if not told.failed:
        return ""
    return line(told.error or told.attributes.get(names.ERROR_TYPE, "")) or "it failed, nobody said why"


def facts(told: Span) -> list[str]:
    """Where it ran, what for, and what it took."""
    known = told.attributes
    reason = known.get(names.ATTEMPT_REASON)
    found = [
        # Why it was placed says where.
        _worded("{}", known.get(names.PLACEMENT)) or _worded("on {}", known.get(names.WORKER_ID)),
        _worded("{}", reason if reason != _FIRST else ""),
        _worded("handed back: {}", known.get(names.GIVEN_BACK, "").replace("_", " ")),
        _first_token(known),
        _tokens(known),
    ]
    return [fact for fact in found if fact]


def happenings(told: Span) -> list[str]:
    """Its events; of very many the first and the last ones."""
    # When a model began to speak is among the facts.
    spoke = names.EVENT_FIRST_TOKEN if names.GEN_AI_FIRST_CHUNK in told.attributes else ""
    lines = [happened(told, event) for event in told.events if event.name != spoke]
    left_out = len(lines) - _MOST_EVENTS
    if left_out <= 1:
        return lines
    return [*lines[: _MOST_EVENTS // 2], f"... and {left_out} more, which -o json has", *lines[-_MOST_EVENTS // 2 :]]


def happened(told: Span, event: SpanEvent) -> str:
    """One event, with when it was."""
    reason = line(event.attributes.get(names.WAIT_REASON, "")).replace("_", " ")
    more = ", ".join(filter(None, (reason, *(line(event.attributes.get(key, "")) for key in _TELLING))))
    return f"+{brief(event.time - told.start)} {line(event.name)}" + (f": {more}" if more else "")


def goes_back(link: SpanLink, known: Mapping[str, Span]) -> str:
    """One link: to which span, and why."""
    target = known.get(link.span_id)
    where = short_name(target) if target else f"span {line(link.span_id)} of trace {line(link.trace_id)}"
    why = line(link.attributes.get(names.LINK, ""))
    return f"goes back to {where}" + (f" ({why})" if why else "")


def line(text: str) -> str:
    """`text` on one line, without anything that a terminal would obey."""
    return " ".join(printable(text).split())


def _worded(words: str, value: str | None) -> str:
    return words.format(line(value)) if value else ""


def _first_token(known: Mapping[str, str]) -> str:
    try:
        return f"first token after {brief(timedelta(seconds=float(known[names.GEN_AI_FIRST_CHUNK])))}"
    except (KeyError, ValueError, OverflowError):
        return ""


def _tokens(known: Mapping[str, str]) -> str:
    taken, made = known.get(names.GEN_AI_INPUT_TOKENS), known.get(names.GEN_AI_OUTPUT_TOKENS)
    return f"{line(taken or '?')} tokens in, {line(made or '?')} out" if taken or made else ""
