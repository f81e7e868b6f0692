"""The built-in model `sim`: deterministic, without a network, and able to fail in every way on request."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from itertools import chain, islice

from devteam.mesh.clock import Clock
from devteam_worker.providers.base import (
    Ended,
    FailureReason,
    LocalModel,
    Prompt,
    ProviderError,
    Text,
    Thinking,
    Token,
    Usage,
)
from devteam_worker.providers.sim_options import SimOptions, read_options
from devteam_worker.providers.sim_text import thoughts, whole_length, words
from devteam_worker.providers.sim_tools import calls_for, quotes

# Tokens between two looks at the event loop when nothing has to be waited for.
_BREATH = 64

_ERRORS = {
    "rate_limited": (FailureReason.RATE_LIMITED, "The simulated provider asks for patience.", 1.0),
    "overloaded": (FailureReason.PROVIDER_UNAVAILABLE, "The simulated provider is overloaded.", None),
    "invalid_request": (FailureReason.INVALID_REQUEST, "The simulated provider refused the request.", None),
    "refused": (FailureReason.REFUSED, "The simulated model declined to answer.", None),
    "connection": (FailureReason.PROVIDER_CONNECTION, "The connection to the simulated provider broke.", None),
}


def kill_process() -> None:
    """End this process at once, as `kill -9` would."""
    os._exit(70)


def refuse_to_crash() -> None:
    """Answer that nobody may end this process from outside."""
    raise ProviderError(FailureReason.INVALID_REQUEST, "This worker does not crash on demand.")


class SimProvider:
    """Answers for `sim`, and in a simulation for every other model.

    `tokens_per_second` (0: as fast as possible) and `first_token_ms` hold for tasks that say nothing else. `crash` is
    what the option `fail: crash` does: nothing, unless the worker's owner wants to see what happens.
    """

    name = "sim"
    shared = True

    def __init__(
        self,
        clock: Clock,
        *,
        tokens_per_second: float = 0.0,
        first_token_ms: float = 0.0,
        crash: Callable[[], None] = refuse_to_crash,
    ) -> None:
        self._clock = clock
        self._tokens_per_second = tokens_per_second
        self._first_token_ms = first_token_ms
        self._crash = crash

    def tools(self, model: str) -> tuple[str, ...]:
        """None: whatever it calls, the worker carries out."""
        return ()

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Token | Ended, None]:
        """The same words for the same prompt and options. Raises ProviderError."""
        options = read_options(
            prompt.options,
            tokens_per_second=self._tokens_per_second,
            first_token_ms=self._first_token_ms,
            strict=is_sim(prompt.model),
        )
        if len(prompt.turns) < options.calls and (calls := list(calls_for(prompt))):
            for call in calls:
                yield call
            yield Ended(self.name, "tool_use", Usage(_input_length(prompt), len(calls)))
            return
        wanted = options.thinking + _answer_length(prompt, options)
        length = min(wanted, prompt.max_tokens or wanted, options.fail_after if options.fail else wanted)
        pace = _Pace(self._clock, options)
        for index, token in enumerate(islice(_tokens(prompt, options), length)):
            await pace.until(index)
            yield token
        await self._fail(options.fail)
        cut = length < wanted or options.fail == "truncated"
        yield Ended(self.name, "max_tokens" if cut else "end_turn", Usage(_input_length(prompt), length))

    async def models(self) -> list[LocalModel]:
        """Nothing lies anywhere."""
        return []

    async def close(self) -> None:
        """Nothing to let go of."""

    async def _fail(self, kind: str) -> None:
        if kind == "crash":
            self._crash()
        if kind == "hang":
            await asyncio.get_running_loop().create_future()
        if kind in _ERRORS:
            reason, message, retry_after = _ERRORS[kind]
            raise ProviderError(reason, message, retry_after=retry_after)


def is_sim(model: str) -> bool:
    """Whether a task asks for the simulated model by name: "sim", or "sim:" and anything."""
    return model == "sim" or model.startswith("sim:")


def _input_length(prompt: Prompt) -> int:
    return sum(len(text.split()) for text in prompt.texts)


def _answer_length(prompt: Prompt, options: SimOptions) -> int:
    if options.tokens is not None:
        return options.tokens
    return sum(1 for _ in quotes(prompt)) + whole_length(prompt.system_prompt, prompt.prompt, options.seed)


def _tokens(prompt: Prompt, options: SimOptions) -> Iterator[Token]:
    """Thinking first, then what tools brought, then an answer without end."""
    thinking = (Thinking(word) for word in thoughts(prompt.prompt, options.thinking))
    answer = (Text(word) for word in words(prompt.system_prompt, prompt.prompt, options.seed))
    return chain(thinking, map(Text, quotes(prompt)), answer)


class _Pace:
    """Each token has its own moment, counted from the start, so that oversleeping never adds up."""

    def __init__(self, clock: Clock, options: SimOptions) -> None:
        self._clock = clock
        self._gap = 1 / options.tokens_per_second if options.tokens_per_second else 0.0
        self._start = clock.monotonic() + options.first_token_ms / 1000
        self._slept_at = 0

    async def until(self, index: int) -> None:
        """Wait for the moment of the token at `index`; let others run now and then if it has passed."""
        wait = self._start + index * self._gap - self._clock.monotonic()
        if wait > 0:
            await self._clock.sleep(wait)
            self._slept_at = index
        elif index - self._slept_at >= _BREATH:
            await asyncio.sleep(0)
            self._slept_at = index
