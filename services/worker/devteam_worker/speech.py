"""What can be said over the wire, made of what models, servers and the owner's code say.

Not everything that they hand over is what its type says, and one odd value must cost no more than itself.
"""

import math
from dataclasses import replace

from devteam_worker.domain import Cancelled, Completed, Failed, HandedBack, Outcome
from devteam_worker.providers.base import Progress, Text, Thinking, Token, ToolCall, ToolResult, Usage

_LONGEST_WORD = 256
_LONGEST_MESSAGE = 4_000
_LONGEST_WAIT = 86_400.0
_MOST = 2**53


def speakable(token: Token) -> Token:
    """The same token, without what UTF-8 cannot say: half a character, as a server's cut leaves it."""
    match token:
        case Text() | Thinking() | Progress():
            return token if token.text.isascii() else replace(token, text=_text(token.text))
        case ToolCall(call_id, name, arguments):
            return ToolCall(_text(call_id), _text(name), _text(arguments))
        case ToolResult():
            return replace(
                token, call_id=_text(token.call_id), content=_text(token.content), source=_text(token.source)
            )


def tellable(outcome: Outcome) -> Outcome:
    """The same outcome, in words and numbers that a report can hold."""
    match outcome:
        case Completed():
            return replace(
                outcome,
                provider=_text(outcome.provider, _LONGEST_WORD),
                model=_text(outcome.model, _LONGEST_WORD),
                stop_reason=_text(outcome.stop_reason, _LONGEST_WORD),
                usage=_usage(outcome.usage),
            )
        case Failed():
            message, wait = _text(outcome.message, _LONGEST_MESSAGE), _wait(outcome.retry_after)
            return replace(outcome, message=message, retry_after=wait, usage=_usage(outcome.usage))
        case HandedBack():
            message, wait = _text(outcome.message, _LONGEST_MESSAGE), _wait(outcome.retry_after)
            return replace(outcome, message=message, retry_after=wait, usage=_usage(outcome.usage))
        case Cancelled():
            return replace(outcome, usage=_usage(outcome.usage))


def _text(text: object, most: int | None = None) -> str:
    return str(text)[:most].encode(errors="replace").decode()


def _usage(usage: Usage) -> Usage:
    cost = usage.cost_usd
    return Usage(
        _count(usage.input_tokens),
        _count(usage.output_tokens),
        _count(usage.cache_read_tokens),
        _count(usage.cache_write_tokens),
        cost if cost is not None and math.isfinite(cost) else None,
    )


def _count(number: object) -> int:
    return min(max(number, 0), _MOST) if isinstance(number, int) else 0


def _wait(seconds: float | None) -> float | None:
    return None if seconds is None or not math.isfinite(seconds) else min(max(seconds, 0.0), _LONGEST_WAIT)
