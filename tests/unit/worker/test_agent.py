import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import replace

import pytest
from devteam_worker.agent import Bounds, ModelAgent
from devteam_worker.domain import Completed, Failed, HandBackReason, HandedBack
from devteam_worker.providers.base import (
    Ended,
    FailureReason,
    LocalModel,
    Prompt,
    ProviderError,
    Text,
    Thinking,
    Token,
    ToolSpec,
    Usage,
)
from devteam_worker.providers.catalog import Catalog
from devteam_worker.tools.base import Tool
from devteam_worker.tools.toolbox import Toolbox

from tests.fakes.agent_script import an_assignment
from tests.fakes.clock import FakeClock


async def found(arguments: Mapping[str, object]) -> str:
    return "nothing"


Scene = Token | Ended | Exception | Callable[[], Awaitable[object] | None]

USAGE = Usage(input_tokens=11, output_tokens=3, cache_read_tokens=4, cache_write_tokens=5)
SEARCH = Tool("search", "Finds things.", {}, "function", carry_out=found)
END = Ended("sim-1", "end_turn", USAGE)


class ScriptedProvider:
    """Hands out what a test wrote down."""

    name = "sim"
    shared = True

    def tools(self, model: str) -> tuple[str, ...]:
        return ()

    def __init__(self, *scenes: Scene) -> None:
        self._scenes = scenes
        self.asked: list[Prompt] = []
        self.closed = False

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Token | Ended, None]:
        self.asked.append(prompt)
        try:
            for scene in self._scenes:
                if isinstance(scene, Exception):
                    raise scene
                if not callable(scene):
                    yield scene
                elif (waiting := scene()) is not None:
                    await waiting
        finally:
            self.closed = True

    async def models(self) -> list[LocalModel]:
        return []

    async def close(self) -> None:
        """Nothing to let go of."""


class Listener:
    """Hears what an agent emits."""

    def __init__(self) -> None:
        self.heard: list[Token] = []

    async def __call__(self, token: Token) -> None:
        self.heard.append(token)


@pytest.fixture
def emit() -> Listener:
    return Listener()


def agent(clock: FakeClock, provider: ScriptedProvider, *, progress_timeout: float = 60.0) -> ModelAgent:
    catalog = Catalog({"sim": provider}, simulate=True)
    return ModelAgent(catalog, Toolbox([SEARCH]), clock, Bounds(progress_timeout))


def rate_limited() -> ProviderError:
    return ProviderError(FailureReason.RATE_LIMITED, "Slow down.", retry_after=7.0)


async def test_tokens_are_passed_on_as_they_are(clock: FakeClock, emit: Listener) -> None:
    tokens: list[Token] = [Thinking("hm"), Text("Hello "), Text("world")]
    provider = ScriptedProvider(*tokens, END)
    await agent(clock, provider).run(an_assignment(tools=("search",)), emit)
    assert emit.heard == tokens
    offered = ToolSpec("search", "Finds things.", {})
    assert provider.asked == [replace(an_assignment(tools=("search",)).prompt, offered=(offered,))]


async def test_an_answer_ends_in_the_providers_words(clock: FakeClock, emit: Listener) -> None:
    """With the time to its first token, not to its last."""
    provider = ScriptedProvider(
        lambda: clock.advance(1.5), Text("Hello"), lambda: clock.advance(20), Text("world"), END
    )
    outcome = await agent(clock, provider).run(an_assignment(), emit)
    assert outcome == Completed("sim", "sim-1", "end_turn", USAGE, time_to_first_token=1.5)


async def test_an_answer_without_a_token_is_an_answer(clock: FakeClock, emit: Listener) -> None:
    outcome = await agent(clock, ScriptedProvider(END)).run(an_assignment(), emit)
    assert outcome == Completed("sim", "sim-1", "end_turn", USAGE, time_to_first_token=0.0)


@pytest.mark.parametrize("before", [[], [Text("Hello")]])
@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (
            ProviderError(FailureReason.INVALID_REQUEST, "No such option."),
            Failed(FailureReason.INVALID_REQUEST, "No such option.", retryable=False),
        ),
        (
            ProviderError(FailureReason.PROVIDER_UNAVAILABLE, "Overloaded.", retry_after=3.0),
            Failed(FailureReason.PROVIDER_UNAVAILABLE, "Overloaded.", retryable=True, retry_after=3.0),
        ),
        (
            ProviderError(FailureReason.PROVIDER_CONNECTION, "It said nothing.", retryable=False),
            Failed(FailureReason.PROVIDER_CONNECTION, "It said nothing.", retryable=False),
        ),
    ],
)
async def test_a_failure_of_the_provider_is_the_outcome(
    clock: FakeClock, emit: Listener, before: list[Token], error: ProviderError, outcome: Failed
) -> None:
    provider = ScriptedProvider(*before, error)
    assert await agent(clock, provider).run(an_assignment(), emit) == outcome
    assert emit.heard == before


async def test_a_rate_limit_before_the_first_token_hands_the_run_back(clock: FakeClock, emit: Listener) -> None:
    outcome = await agent(clock, ScriptedProvider(rate_limited())).run(an_assignment(), emit)
    assert outcome == HandedBack(HandBackReason.RATE_LIMITED, "Slow down.", 7.0, "sim")


async def test_a_rate_limit_after_the_first_token_is_a_failure(clock: FakeClock, emit: Listener) -> None:
    """Somebody has seen the token; the next attempt says it again."""
    outcome = await agent(clock, ScriptedProvider(Thinking("hm"), rate_limited())).run(an_assignment(), emit)
    assert outcome == Failed(FailureReason.RATE_LIMITED, "Slow down.", retryable=True, retry_after=7.0)


async def test_an_answer_that_stops_without_its_end_is_a_failure(clock: FakeClock, emit: Listener) -> None:
    outcome = await agent(clock, ScriptedProvider(Text("Hel"))).run(an_assignment(), emit)
    assert outcome == Failed(FailureReason.PROVIDER_CONNECTION, "sim ended its answer without an end", retryable=True)


async def test_a_provider_of_this_machine_alone_asks_nobody_else_for_patience(clock: FakeClock, emit: Listener) -> None:
    provider = ScriptedProvider(ProviderError(FailureReason.RATE_LIMITED, "busy", retry_after=3.0))
    provider.shared = False
    outcome = await agent(clock, provider).run(an_assignment(), emit)
    assert outcome == HandedBack(HandBackReason.RATE_LIMITED, "busy", 3.0)


@pytest.mark.parametrize("before", [[], [Text("Hello")]])
async def test_a_provider_that_falls_silent_has_failed(clock: FakeClock, emit: Listener, before: list[Token]) -> None:
    provider = ScriptedProvider(*before, asyncio.Event().wait)
    outcome = await agent(clock, provider, progress_timeout=0.01).run(an_assignment(), emit)
    assert outcome == Failed(FailureReason.PROVIDER_UNAVAILABLE, "sim said nothing for 0.01 s", retryable=True)
    assert provider.closed


async def test_a_slow_listener_is_not_held_against_the_provider(clock: FakeClock) -> None:
    async def emit(token: Token) -> None:
        await asyncio.sleep(0.05)

    provider = ScriptedProvider(Text("Hello"), Text("world"), END)
    outcome = await agent(clock, provider, progress_timeout=0.02).run(an_assignment(), emit)
    assert isinstance(outcome, Completed)


async def test_a_model_that_nobody_serves_is_a_failure(clock: FakeClock, emit: Listener) -> None:
    outcome = await ModelAgent(Catalog({}), Toolbox(), clock).run(an_assignment(model="ollama:llama3.3"), emit)
    assert isinstance(outcome, Failed)
    assert outcome.reason is FailureReason.MODEL_NOT_FOUND
    assert not outcome.retryable


async def test_whoever_keeps_the_models_hears_which_one_was_asked(clock: FakeClock, emit: Listener) -> None:
    """However the run ended; a model that nobody serves was not asked."""
    asked: list[str] = []
    for scene in (END, rate_limited()):
        catalog = Catalog({"sim": ScriptedProvider(scene)})
        served = ModelAgent(catalog, Toolbox([SEARCH]), clock, on_ended=asked.append)
        await served.run(an_assignment(model="sim"), emit)
        await served.run(an_assignment(model="ollama:x"), emit)
    assert asked == ["sim", "sim"]


async def test_nothing_is_read_after_the_end(clock: FakeClock, emit: Listener) -> None:
    provider = ScriptedProvider(Text("Hello"), END, Text("afterthought"))
    await agent(clock, provider).run(an_assignment(), emit)
    assert emit.heard == [Text("Hello")]
    assert provider.closed


async def test_when_nobody_listens_any_longer_the_connection_to_the_model_is_closed(clock: FakeClock) -> None:
    async def emit(token: Token) -> None:
        raise ConnectionError(token)

    provider = ScriptedProvider(Text("Hello"), END)
    with pytest.raises(ConnectionError):
        await agent(clock, provider).run(an_assignment(), emit)
    assert provider.closed
