"""A model that calls tools, turn by turn."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

import pytest
from devteam_worker.agent import Bounds, ModelAgent
from devteam_worker.domain import Completed, Failed, HandedBack, Outcome
from devteam_worker.model_spans import ModelSpans
from devteam_worker.providers.base import (
    ALIVE,
    Ended,
    FailureReason,
    LocalModel,
    Prompt,
    ProviderError,
    Text,
    Token,
    ToolCall,
    ToolResult,
    Turn,
    Usage,
)
from devteam_worker.providers.catalog import Catalog
from devteam_worker.tools.base import Tool
from devteam_worker.tools.toolbox import Toolbox

from tests.fakes.agent_script import an_assignment
from tests.fakes.clock import FakeClock


class Model:
    """Says one list of tokens a turn, the last one for ever; calls `web_search` by itself."""

    name = "sim"
    shared = True

    def __init__(self, *turns: Sequence[Token | Ended | Exception]) -> None:
        self._turns = list(turns)
        self.asked: list[Prompt] = []

    def tools(self, model: str) -> tuple[str, ...]:
        return ("web_search",)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Token | Ended, None]:
        self.asked.append(prompt)
        turn = self._turns.pop(0) if len(self._turns) > 1 else self._turns[0]
        for item in turn:
            if isinstance(item, Exception):
                raise item
            yield item

    async def models(self) -> list[LocalModel]:
        return []

    async def close(self) -> None:
        """Nothing to let go of."""


def ended(reply: str = "", *, unfinished: bool = False) -> Ended:
    return Ended("sim-1", "tool_use" if reply else "end_turn", Usage(10, 2, 1, 0, 0.5), reply, unfinished)


async def look_up(arguments: Mapping[str, object]) -> str:
    return f"{arguments['word']} is a word"


SEARCH = Tool("docs.search", "Finds words.", {"type": "object"}, "documents:docs", look_up)
CALL = ToolCall("c1", "docs__search", '{"word": "tree"}')
RESULT = ToolResult("c1", "tree is a word", source="documents:docs")


class Scene:
    """One run of a model with tools, and what was heard of it."""

    def __init__(
        self, model: Model, clock: FakeClock, *tools: Tool, max_turns: int = 16, spans: ModelSpans | None = None
    ) -> None:
        self.heard: list[Token] = []
        self.spent: list[Usage] = []
        catalog, toolbox = Catalog({"sim": model}, simulate=True), Toolbox(tools or [SEARCH])
        self._agent = ModelAgent(catalog, toolbox, clock, Bounds(max_turns=max_turns), spans=spans)

    async def run(self, *tools: str, max_turns: int = 0) -> Outcome:
        async def emit(token: Token) -> None:
            self.heard.append(token)

        return await self._agent.run(
            an_assignment(tools=tools or ("docs",), max_turns=max_turns), emit, self.spent.append
        )


async def test_a_call_is_carried_out_and_its_answer_told_to_the_model(clock: FakeClock) -> None:
    model = Model([Text("Let me see. "), CALL, ended("said")], [Text("It is one."), ended()])
    scene = Scene(model, clock)
    outcome = await scene.run()
    assert outcome == Completed("sim", "sim-1", "end_turn", Usage(20, 4, 2, 0, 1.0), 0.0)
    assert model.asked[0].turns == ()
    assert model.asked[1].turns == (Turn("said", (RESULT,)),)
    assert [prompt.offered[0].name for prompt in model.asked] == ["docs__search", "docs__search"]


async def test_watchers_see_calls_by_the_names_that_steps_have_for_them(clock: FakeClock) -> None:
    model = Model([Text("Let me see. "), CALL, ended("said")], [Text("It is one."), ended()])
    scene = Scene(model, clock)
    await scene.run()
    assert scene.heard == [
        Text("Let me see. "),
        ToolCall("c1", "docs.search", '{"word": "tree"}'),
        RESULT,
        Text("It is one."),
    ]


async def test_calls_of_one_turn_are_carried_out_together(clock: FakeClock) -> None:
    """Each waits for the other one."""
    both = asyncio.Barrier(2)

    async def meet(arguments: Mapping[str, object]) -> str:
        async with asyncio.timeout(10):
            await both.wait()
        return str(arguments["n"])

    calls = [ToolCall(f"c{n}", "meet", f'{{"n": {n}}}') for n in (1, 2)]
    model = Model([*calls, ended("said")], [ended()])
    scene = Scene(model, clock, Tool("meet", "", {}, "function", meet))
    await scene.run("meet")
    assert [result.content for result in model.asked[1].turns[0].results] == ["1", "2"]


async def test_a_model_that_never_stops_calling_has_failed(clock: FakeClock) -> None:
    model = Model([CALL, ended("said")])
    scene = Scene(model, clock, max_turns=3)
    outcome = await scene.run()
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.retryable) == (FailureReason.MAX_TURNS, False)
    assert outcome.usage == Usage(30, 6, 3, 0, 1.5)
    assert "3 times" in outcome.message
    assert len(model.asked) == 3


async def test_what_its_turns_took_is_told_when_a_run_is_stopped_in_a_later_one(clock: FakeClock) -> None:
    asked = asyncio.Event()

    async def never(arguments: Mapping[str, object]) -> str:
        asked.set()
        await asyncio.Event().wait()
        return ""

    scene = Scene(
        Model([ToolCall("c1", "never", "{}"), ended("said")]), clock, Tool("never", "", {}, "function", never)
    )
    running = asyncio.create_task(scene.run("never"))
    async with asyncio.timeout(60):
        await asked.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert scene.spent == [Usage(10, 2, 1, 0, 0.5)]


async def test_patience_asked_for_before_a_word_was_said_is_told_with_what_was_taken(clock: FakeClock) -> None:
    wait = ProviderError(FailureReason.RATE_LIMITED, "Slow down.", retry_after=7.0)
    outcome = await Scene(Model([ended("half", unfinished=True)], [wait]), clock).run()
    assert isinstance(outcome, HandedBack)
    assert outcome.usage == Usage(10, 2, 1, 0, 0.5)


async def test_the_calls_of_the_last_turn_are_not_made(clock: FakeClock) -> None:
    """Nobody would read what they bring."""
    scene = Scene(Model([CALL, ended("said")]), clock, max_turns=1)
    assert isinstance(await scene.run(), Failed)
    assert not any(isinstance(token, ToolResult) for token in scene.heard)


async def test_a_call_larger_than_a_message_is_a_failure(clock: FakeClock) -> None:
    large = ToolCall("c1", "docs__search", '{"word": "' + "x" * 300_000 + '"}')
    outcome = await Scene(Model([large, ended("said")]), clock).run()
    assert isinstance(outcome, Failed)
    assert outcome.reason is FailureReason.OUTPUT_TOO_LARGE


async def test_a_sign_of_life_is_told_to_nobody(clock: FakeClock) -> None:
    scene = Scene(Model([ALIVE, Text("It is one."), ALIVE, ended()]), clock)
    await scene.run()
    assert scene.heard == [Text("It is one.")]


async def test_a_task_sets_its_own_bound(clock: FakeClock) -> None:
    model = Model([CALL, ended("said")])
    await Scene(model, clock, max_turns=3).run(max_turns=5)
    assert len(model.asked) == 5


async def test_a_made_up_tool_is_refused_and_the_model_goes_on(clock: FakeClock) -> None:
    model = Model([ToolCall("c1", "rm", "{}"), ended("said")], [Text("Sorry."), ended()])
    scene = Scene(model, clock)
    assert isinstance(await scene.run(), Completed)
    assert scene.heard[1] == ToolResult("c1", "There is no tool 'rm' for this task.", is_error=True)


async def test_what_the_provider_calls_by_itself_is_only_passed_on(clock: FakeClock) -> None:
    asked = ToolCall("s1", "web_search", '{"query": "x"}')
    theirs: list[Token] = [asked, ToolResult("s1", "3 pages", source="anthropic")]
    model = Model([*theirs, Text("Found."), ended()])
    scene = Scene(model, clock)
    assert isinstance(await scene.run("docs", "web_search"), Completed)
    assert scene.heard == [*theirs, Text("Found.")]
    assert model.asked[0].provided == ("web_search",)


async def test_a_turn_that_stopped_in_the_middle_is_gone_on_with(clock: FakeClock) -> None:
    model = Model([Text("Half "), ended("half", unfinished=True)], [Text("done."), ended()])
    scene = Scene(model, clock)
    assert isinstance(await scene.run(), Completed)
    assert model.asked[1].turns == (Turn("half"),)


async def test_nobody_to_ask_for_a_tool_is_a_failure_before_the_model_is_asked(clock: FakeClock) -> None:
    model = Model([ended()])
    outcome = await Scene(model, clock).run("weather")
    assert isinstance(outcome, Failed)
    assert "no tool 'weather'" in outcome.message
    assert model.asked == []


async def test_patience_asked_for_after_a_turn_is_a_failure(clock: FakeClock) -> None:
    """What was said cannot be taken back, so that the run is not handed back either."""
    wait = ProviderError(FailureReason.RATE_LIMITED, "Slow down.", retry_after=7.0)
    outcome = await Scene(Model([CALL, ended("said")], [wait]), clock).run()
    spent = Usage(10, 2, 1, 0, 0.5)
    assert outcome == Failed(FailureReason.RATE_LIMITED, "Slow down.", retryable=True, retry_after=7.0, usage=spent)


async def test_a_tool_at_work_is_stopped_with_its_run(clock: FakeClock) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def dig(arguments: Mapping[str, object]) -> str:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            stopped.set()
        return ""

    scene = Scene(Model([ToolCall("c1", "dig", "{}"), ended("said")]), clock, Tool("dig", "", {}, "function", dig))
    running = asyncio.create_task(scene.run("dig"))
    async with asyncio.timeout(10):
        await begun.wait()
        running.cancel()
        await stopped.wait()
    with pytest.raises(asyncio.CancelledError):
        await running
