"""A model and its tools, turn by turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from devteam.mesh.clock import Clock
from devteam_worker.domain import Emit
from devteam_worker.measure import Measure, measured
from devteam_worker.model_spans import ChatSpan, ModelSpans
from devteam_worker.prices import Prices
from devteam_worker.providers.base import (
    ALIVE,
    Ended,
    FailureReason,
    Progress,
    Prompt,
    Provider,
    ProviderError,
    Token,
    ToolCall,
    ToolResult,
    Turn,
    Usage,
)
from devteam_worker.silence import Silence, silence
from devteam_worker.tools.toolbox import Hand

# Characters of a call's arguments: a message on the line may have 1 MiB.
_LONGEST_CALL = 256 * 1024


@dataclass(slots=True)
class SoFar:
    """How far an answer is: seconds to its first token, what it took so far, and how its last turn ended."""

    first_token: float | None = None
    usage: Usage = field(default_factory=Usage)
    ended: Ended | None = None


class Conversation:
    """Asks a model, carries out the tools that it calls, and asks again, until it calls none.

    A provider that says nothing for `patience` seconds has failed. Tool answers are told to the model as data; nothing
    in them changes which tools there are, or who is asked.
    """

    def __init__(
        self,
        provider: Provider,
        hand: Hand,
        emit: Emit,
        clock: Clock,
        *,
        patience: float,
        prices: Prices,
        spans: ModelSpans,
    ) -> None:
        self._provider = provider
        self._hand = hand
        self._emit = emit
        self._clock = clock
        self._patience = patience
        self._prices = prices
        self._spans = spans
        self._started = clock.monotonic()
        self.so_far = SoFar()
        self._measure = Measure(provider.name, "", clock)

    async def hold(self, prompt: Prompt, *, max_turns: int) -> Ended:
        """Talk until the model has nothing more to call; returns how it ended. Raises ProviderError."""
        for left in reversed(range(max_turns)):
            ended, calls = await self._turn(prompt)
            if not calls and not ended.unfinished:
                return ended
            if not left:
                # Nobody would read what its calls bring.
                break
            results = await self._carry_out(calls)
            prompt = replace(prompt, turns=(*prompt.turns, Turn(ended.reply, tuple(results))))
        raise ProviderError(
            FailureReason.MAX_TURNS,
            f"The model still called tools when it had been asked {max_turns} times; give the step more turns "
            "(max_turns), or fewer tools.",
        )

    async def _turn(self, prompt: Prompt) -> tuple[Ended, list[ToolCall]]:
        with (
            self._spans.chat(self._provider.name, prompt) as span,
            measured(self._provider.name, prompt.model, self._clock) as self._measure,
        ):
            return await self._stream(prompt, span)

    async def _stream(self, prompt: Prompt, span: ChatSpan) -> tuple[Ended, list[ToolCall]]:
        try:
            async with aclosing(self._provider.stream(prompt)) as items, silence(self._patience) as quiet:
                return await self._listen(items, quiet, prompt, span)
        except TimeoutError:
            message = f"{self._provider.name} said nothing for {self._patience:g} s"
            raise ProviderError(FailureReason.PROVIDER_UNAVAILABLE, message) from None

    async def _listen(
        self, items: AsyncIterator[Token | Ended], quiet: Silence, prompt: Prompt, span: ChatSpan
    ) -> tuple[Ended, list[ToolCall]]:
        calls: list[ToolCall] = []
        quiet.begins()
        async for item in items:
            # Only the provider's time counts, not that of whoever takes what it says.
            quiet.ends()
            if isinstance(item, Ended):
                self._note(item, span)
                return item, calls
            if item is ALIVE:
                quiet.begins()
                continue
            if not isinstance(item, Progress):
                self._measure.spoke()
            if self.so_far.first_token is None and not isinstance(item, Progress):
                self.so_far.first_token = self._clock.monotonic() - self._started
            span.hear(item)
            # What the provider calls by itself, it answers by itself. A made-up name is ours to refuse.
            if isinstance(item, ToolCall) and item.name not in prompt.provided:
                calls.append(_bounded(item))
            await self._emit(self._told(item))
            quiet.begins()
        raise ProviderError(FailureReason.PROVIDER_CONNECTION, f"{self._provider.name} ended its answer without an end")

    async def _carry_out(self, calls: list[ToolCall]) -> list[ToolResult]:
        """All of them at once; what each brings is told as soon as it is there."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._call(call)) for call in calls]
        return [task.result() for task in tasks]

    async def _call(self, call: ToolCall) -> ToolResult:
        with self._spans.tool(call, self._hand.tool(call.name)) as span:
            result = await self._hand.answer(call)
            span.answered(result)
        await self._emit(result)
        return result

    def _told(self, token: Token) -> Token:
        """As watchers see it: tools by the names that steps have for them."""
        if isinstance(token, ToolCall) and (tool := self._hand.tool(token.name)) is not None:
            return replace(token, name=tool.name)
        return token

    def _note(self, ended: Ended, span: ChatSpan) -> None:
        self.so_far.ended = ended
        self._measure.ended(ended.usage)
        self.so_far.usage += self._prices.priced(ended.model, ended.usage)
        span.ended(ended)


def _bounded(call: ToolCall) -> ToolCall:
    """A call that fits on the line to a Router. Raises ProviderError for any other one."""
    if len(call.arguments) > _LONGEST_CALL:
        raise ProviderError(
            FailureReason.OUTPUT_TOO_LARGE, f"The model called a tool with more than {_LONGEST_CALL // 1024} KiB."
        )
    return call
