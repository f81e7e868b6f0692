"""Tools that are Python functions."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import date
from typing import Annotated, Any

import pytest
from devteam_worker.elsewhere import OwnersLoop
from devteam_worker.failures import Fatal
from devteam_worker.providers.base import ToolCall, ToolResult
from devteam_worker.tools.functions import function_tool
from devteam_worker.tools.toolbox import Limits, Toolbox
from pydantic import Field

PATIENCE = 60.0


@pytest.fixture
def loop() -> Iterator[OwnersLoop]:
    loop = OwnersLoop()
    loop.start()
    yield loop
    loop.stop()


def weather(city: str, days: Annotated[int, Field(ge=1, description="How many.")] = 1, on: date | None = None) -> str:
    """How the weather will be."""
    return f"{city}: rain for {days} days from {on or 'today'}"


async def answer(
    function: Callable[..., Any], loop: OwnersLoop, arguments: str, limits: Limits | None = None
) -> ToolResult:
    hand, _ = Toolbox([function_tool(function, loop, name="it")], limits=limits).hand(["it"])
    return await hand.answer(ToolCall("c1", "it", arguments))


def test_a_function_says_what_it_is(loop: OwnersLoop) -> None:
    tool = function_tool(weather, loop)
    assert (tool.name, tool.description, tool.source) == ("weather", "How the weather will be.", "function")
    assert tool.parameters["required"] == ["city"]
    assert tool.parameters["properties"]["days"] == {  # type: ignore[index]  # a JSON Schema
        "default": 1,
        "description": "How many.",
        "minimum": 1,
        "title": "Days",
        "type": "integer",
    }


def test_parameters_without_a_name_are_refused(loop: OwnersLoop) -> None:
    def anything(*words: str) -> None:
        """Takes whatever comes."""

    with pytest.raises(TypeError, match=r"\*words"):
        function_tool(anything, loop)


def test_a_generator_is_refused(loop: OwnersLoop) -> None:
    def words() -> Iterator[str]:
        yield "no"

    with pytest.raises(TypeError, match="returns its answer"):
        function_tool(words, loop)


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_one_that_exits_ends_nothing_but_its_call(loop: OwnersLoop, kind: str) -> None:
    def plain() -> None:
        sys.exit(3)

    async def coroutine() -> None:
        plain()

    for _ in range(2):
        result = await answer({"plain": plain, "coroutine": coroutine}[kind], loop, "{}")
        assert result == ToolResult("c1", "The tool asked to exit.", is_error=True, source="function")


async def test_what_it_returns_is_put_into_words_where_it_ran(loop: OwnersLoop) -> None:
    def lazy() -> Iterator[bool]:
        return (threading.current_thread() is threading.main_thread() for _ in range(1))

    assert (await answer(lazy, loop, "{}")).content == "[false]"


async def test_arguments_come_as_what_they_are_annotated_as(loop: OwnersLoop) -> None:
    result = await answer(weather, loop, '{"city": "Oslo", "days": 3, "on": "2026-11-26"}')
    assert result == ToolResult("c1", "Oslo: rain for 3 days from 2026-11-26", source="function")


async def test_what_is_wrong_with_arguments_is_told_to_the_model(loop: OwnersLoop) -> None:
    result = await answer(weather, loop, '{"days": 0, "wind": true}')
    assert result.is_error
    assert "city: Field required" in result.content
    assert "days: Input should be greater than or equal to 1" in result.content
    assert "wind: Extra inputs are not permitted" in result.content


@pytest.mark.parametrize(
    ("said", "told"), [(None, "done"), ({"a": [1, date(2026, 1, 2)]}, '{"a": [1, "2026-01-02"]}'), (3, "3")]
)
async def test_whatever_it_returns_is_told_as_text(loop: OwnersLoop, said: object, told: str) -> None:
    assert (await answer(lambda: said, loop, "{}")).content == told


async def test_what_is_no_text_at_all_is_an_error(loop: OwnersLoop) -> None:
    result = await answer(lambda: loop, loop, "{}")
    assert (result.is_error, "neither text nor JSON" in result.content) == (True, True)


async def test_its_own_words_when_it_says_that_it_failed(loop: OwnersLoop) -> None:
    def refuse() -> None:
        raise Fatal("No such city.")

    assert await answer(refuse, loop, "{}") == ToolResult("c1", "No such city.", is_error=True, source="function")


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_one_that_blocks_is_given_up_in_time_and_blocks_nobody(loop: OwnersLoop, kind: str) -> None:
    gate, left = threading.Event(), threading.Event()

    def plain() -> str:
        gate.wait(PATIENCE)
        left.set()
        return ""

    async def coroutine() -> str:
        return plain()

    limits = Limits(seconds=0.05)
    async with asyncio.timeout(PATIENCE):
        result = await answer({"plain": plain, "coroutine": coroutine}[kind], loop, "{}", limits)
    assert (result.is_error, "no answer within" in result.content) == (True, True)
    gate.set()
    assert await asyncio.to_thread(left.wait, PATIENCE)


async def test_a_coroutine_is_cancelled_when_its_time_is_up(loop: OwnersLoop) -> None:
    cancelled = threading.Event()

    async def wait() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    await answer(wait, loop, "{}", Limits(seconds=0.05))
    assert await asyncio.to_thread(cancelled.wait, PATIENCE)
