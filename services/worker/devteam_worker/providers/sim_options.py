"""How a task may steer the simulated model."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from devteam_worker.providers.base import FailureReason, ProviderError

FAILURES = ("rate_limited", "overloaded", "invalid_request", "refused", "truncated", "connection", "crash", "hang")

_THINKING_WHEN_ASKED = 24


@dataclass(frozen=True, slots=True)
class SimOptions:
    """What one simulated answer looks like. Lengths are in tokens, a token being a word."""

    # None: as long as a whole document, some 100.
    tokens: int | None = None
    # 0: as fast as possible.
    tokens_per_second: float = 0.0
    first_token_ms: float = 0.0
    seed: int = 0
    thinking: int = 0
    # Turns in which it calls the tools that it is offered, before it answers.
    calls: int = 1
    # One of FAILURES, or empty; it happens once `fail_after` tokens are out.
    fail: str = ""
    fail_after: int = 0


def read_options(
    given: Mapping[str, object], *, tokens_per_second: float, first_token_ms: float, strict: bool
) -> SimOptions:
    """Options as a task gave them, over the provider's defaults.

    `strict` refuses unknown names; otherwise they are left alone, as they were meant for the model that is simulated.
    Raises ProviderError that names everything wrong.
    """
    wrong = _unknown(given) if strict else []
    values: dict[str, object] = {"tokens_per_second": tokens_per_second, "first_token_ms": first_token_ms}
    for name in given.keys() & _READERS.keys():
        try:
            values[name] = _READERS[name](given[name])
        except ValueError as error:
            wrong.append(f"{name} {error}")
    if wrong:
        raise ProviderError(FailureReason.INVALID_REQUEST, f"The options of sim are wrong: {'; '.join(sorted(wrong))}.")
    return SimOptions(**values)  # type: ignore[arg-type]  # each value came through the reader of its name


def _unknown(given: Mapping[str, object]) -> list[str]:
    return [f"{name!r} is unknown{_meant(name)}" for name in given if name not in _READERS]


def _meant(name: str) -> str:
    close = difflib.get_close_matches(name, _READERS, n=1)
    return f" (did you mean {close[0]!r}?)" if close else f" (known are {', '.join(_READERS)})"


def _number(value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"must be a number from {low:,.0f} to {high:,.0f}")
    return float(value)


def _bounded(high: float) -> Callable[[object], float]:
    return lambda value: _number(value, 0, high)


def _whole(high: int, low: int = 0) -> Callable[[object], int]:
    def read(value: object) -> int:
        number = _number(value, low, high)
        if not number.is_integer():
            raise ValueError("must be a whole number")
        return int(number)

    return read


def _thinking(value: object) -> int:
    """A number of tokens, or yes and no as other providers have it."""
    if isinstance(value, bool):
        return _THINKING_WHEN_ASKED if value else 0
    return _whole(100_000)(value)


def _failure(value: object) -> str:
    if value not in FAILURES:
        raise ValueError(f"must be one of {', '.join(FAILURES)}")
    return str(value)


_READERS: Mapping[str, Callable[[object], object]] = {
    "tokens": _whole(1_000_000),
    "tokens_per_second": _bounded(1_000_000),
    "first_token_ms": _bounded(600_000),
    "seed": _whole(2**53, low=-(2**53)),
    "thinking": _thinking,
    "calls": _whole(1_000),
    "fail": _failure,
    "fail_after": _whole(1_000_000),
}
