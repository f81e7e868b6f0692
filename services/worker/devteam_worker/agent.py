"""Runs assignments on a model."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from devteam.mesh import names
from devteam.mesh.clock import Clock
from devteam_worker.domain import Assignment, Completed, Emit, Failed, HandBackReason, HandedBack, Outcome
from devteam_worker.providers.base import Ended, FailureReason, Provider, ProviderError, Token
from devteam_worker.providers.catalog import Catalog

_tracer = trace.get_tracer(names.SCOPE)


@dataclass(slots=True)
class _Progress:
    """How far an answer is: seconds to its first token, and its end."""

    first_token: float | None = None
    ended: Ended | None = None


class ModelAgent:
    """Asks the provider that serves the assignment's model, and passes its tokens on.

    A provider that says nothing for `progress_timeout` seconds has failed. `on_ended` hears which model was asked, once
    it has let go of it.
    """

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        *,
        progress_timeout: float,
        on_ended: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._progress_timeout = progress_timeout
        self._on_ended = on_ended

    async def run(self, assignment: Assignment, emit: Emit) -> Outcome:
        """Carry out one assignment. A provider's failure is an outcome, never an exception."""
        model, progress = assignment.prompt.model, _Progress()
        try:
            provider = self._catalog.provider_for(model)
        except ProviderError as error:
            return _failed(error)
        try:
            return await self._answer(provider, assignment, emit, progress)
        except ProviderError as error:
            if error.reason is FailureReason.RATE_LIMITED and progress.first_token is None:
                asked = provider.name if provider.shared else ""
                return HandedBack(HandBackReason.RATE_LIMITED, error.message, error.retry_after, asked)
            return _failed(error)
        finally:
            self._on_ended(model)

    async def _answer(self, provider: Provider, assignment: Assignment, emit: Emit, progress: _Progress) -> Completed:
        model = assignment.prompt.model
        attributes = {
            names.GEN_AI_OPERATION: "chat",
            names.GEN_AI_PROVIDER: provider.name,
            names.GEN_AI_REQUEST_MODEL: model,
        }
        with _tracer.start_as_current_span(
            f"chat {model}", kind=SpanKind.CLIENT, attributes=attributes, record_exception=False
        ) as span:
            try:
                await self._stream(provider, assignment, emit, progress, span)
            except ProviderError as error:
                span.set_attribute(names.ERROR_TYPE, error.reason)
                span.set_status(Status(StatusCode.ERROR, error.reason))
                raise
        if progress.ended is None:
            raise ProviderError(FailureReason.PROVIDER_CONNECTION, f"{provider.name} ended its answer without an end")
        ended = progress.ended
        return Completed(provider.name, ended.model, ended.stop_reason, ended.usage, progress.first_token or 0.0)

    async def _stream(
        self, provider: Provider, assignment: Assignment, emit: Emit, progress: _Progress, span: Span
    ) -> None:
        started = self._clock.monotonic()
        async with (
            aclosing(provider.stream(assignment.prompt)) as items,
            aclosing(_prompt(items, provider.name, self._progress_timeout)) as prompt_items,
        ):
            async for item in prompt_items:
                if isinstance(item, Ended):
                    progress.ended = item
                    _describe(span, item)
                    return
                if progress.first_token is None:
                    progress.first_token = self._clock.monotonic() - started
                    span.add_event("first_token")
                await emit(item)


async def _prompt(
    items: AsyncGenerator[Token | Ended, None], provider: str, patience: float
) -> AsyncGenerator[Token | Ended, None]:
    """Items as they come. Only the provider's time counts, not that of whoever takes them."""
    while True:
        try:
            async with asyncio.timeout(patience):
                item = await anext(items)
        except StopAsyncIteration:
            return
        except TimeoutError:
            message = f"{provider} said nothing for {patience:g} s"
            raise ProviderError(FailureReason.PROVIDER_UNAVAILABLE, message) from None
        yield item


def _failed(error: ProviderError) -> Failed:
    return Failed(error.reason, error.message, error.retryable, error.retry_after)


def _describe(span: Span, ended: Ended) -> None:
    span.set_attribute(names.GEN_AI_RESPONSE_MODEL, ended.model)
    span.set_attribute(names.GEN_AI_FINISH_REASONS, [ended.stop_reason])
    span.set_attribute(names.GEN_AI_INPUT_TOKENS, ended.usage.input_tokens)
    span.set_attribute(names.GEN_AI_OUTPUT_TOKENS, ended.usage.output_tokens)
