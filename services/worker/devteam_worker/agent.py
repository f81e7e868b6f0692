"""Runs assignments on a model."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from devteam.mesh.clock import Clock
from devteam_worker.conversation import Conversation
from devteam_worker.domain import Assignment, Completed, Emit, Failed, HandBackReason, HandedBack, Outcome, Spend
from devteam_worker.model_spans import ModelSpans
from devteam_worker.prices import Prices
from devteam_worker.providers.base import FailureReason, Prompt, Provider, ProviderError
from devteam_worker.providers.catalog import Catalog
from devteam_worker.tools.toolbox import Hand, Toolbox


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds that a provider may say nothing, and how often a run may ask its model."""

    progress_timeout: float = 300.0
    max_turns: int = 16


class ModelAgent:
    """Asks the provider that serves the assignment's model, carries out the tools it calls, and passes tokens on.

    `on_ended` hears which model was asked, once it has let go of it.
    """

    def __init__(
        self,
        catalog: Catalog,
        toolbox: Toolbox,
        clock: Clock,
        bounds: Bounds | None = None,
        *,
        prices: Prices | None = None,
        spans: ModelSpans | None = None,
        on_ended: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._catalog = catalog
        self._toolbox = toolbox
        self._clock = clock
        self._bounds = bounds or Bounds()
        self._prices = prices or Prices()
        self._spans = spans or ModelSpans(clock)
        self._on_ended = on_ended

    async def run(self, assignment: Assignment, emit: Emit, spend: Spend = lambda _: None) -> Outcome:
        """Carry out one assignment. A provider's failure is an outcome, never an exception."""
        prompt = assignment.prompt
        try:
            provider = self._catalog.provider_for(prompt.model)
            hand, prompt = self._with_tools(prompt, provider)
        except ProviderError as error:
            return _failed(error)
        patience = self._bounds.progress_timeout
        talk = Conversation(
            provider, hand, emit, self._clock, patience=patience, prices=self._prices, spans=self._spans
        )
        try:
            ended = await talk.hold(prompt, max_turns=prompt.max_turns or self._bounds.max_turns)
        except ProviderError as error:
            if error.reason is FailureReason.RATE_LIMITED and talk.so_far.first_token is None:
                asked = provider.name if provider.shared else ""
                return HandedBack(
                    HandBackReason.RATE_LIMITED, error.message, error.retry_after, asked, talk.so_far.usage
                )
            return replace(_failed(error), usage=talk.so_far.usage)
        finally:
            spend(talk.so_far.usage)
            self._on_ended(prompt.model)
        told = talk.so_far
        return Completed(provider.name, ended.model, ended.stop_reason, told.usage, told.first_token or 0.0)

    def _with_tools(self, prompt: Prompt, provider: Provider) -> tuple[Hand, Prompt]:
        hand, provided = self._toolbox.hand(prompt.tools, provided=provider.tools(prompt.model))
        return hand, replace(prompt, offered=hand.specs, provided=provided)


def _failed(error: ProviderError) -> Failed:
    return Failed(error.reason, error.message, error.retryable, error.retry_after)
