"""The simulated model with tools."""

from collections.abc import Mapping
from dataclasses import replace

from devteam_worker.providers.base import Ended, Prompt, Text, Token, ToolCall, ToolResult, ToolSpec, Turn, Usage
from devteam_worker.providers.sim import SimProvider

from devteam.mesh.clock import SystemClock


def a_tool(name: str, **parameters: str) -> ToolSpec:
    properties = {parameter: {"type": kind} for parameter, kind in parameters.items()}
    return ToolSpec(name, "", {"type": "object", "properties": properties, "required": list(parameters)})


SEARCH, DELETE = a_tool("docs__search", query="string"), a_tool("delete", count="integer")
PROMPT = Prompt("sim", "You know a lot.\nWhat do tides do?", offered=(SEARCH, DELETE, a_tool("now")))
FOUND = Turn(None, (ToolResult("call-1-1", "Tides  rise\nand fall.", source="documents:docs"),))


async def ask(prompt: Prompt = PROMPT, options: Mapping[str, object] | None = None) -> list[Token | Ended]:
    prompt = replace(prompt, options=options or {})
    return [item async for item in SimProvider(SystemClock()).stream(prompt)]


async def test_it_asks_each_tool_that_it_understands_about_the_last_line() -> None:
    assert await ask() == [
        ToolCall("call-1-1", "docs__search", '{"query": "What do tides do?"}'),
        Ended("sim", "tool_use", Usage(8, 1)),
    ]


async def test_then_it_answers_and_quotes_what_it_found_with_where_it_is_from() -> None:
    tokens = await ask(replace(PROMPT, turns=(FOUND,)))
    text = "".join(token.text for token in tokens if isinstance(token, Text))
    assert text.startswith("[documents:docs] Tides rise and fall. \n\n")
    assert not any(isinstance(token, ToolCall) for token in tokens)
    assert len(text.split()) > 20


async def test_what_failed_is_not_quoted() -> None:
    failed = Turn(None, (ToolResult("call-1-1", "no index", is_error=True),))
    text = [token.text for token in await ask(replace(PROMPT, turns=(failed,))) if isinstance(token, Text)]
    assert "no " not in text[:2]


async def test_it_calls_as_often_as_it_is_told_to() -> None:
    again = await ask(replace(PROMPT, turns=(FOUND,)), {"calls": 2})
    assert again[0] == ToolCall("call-2-1", "docs__search", '{"query": "What do tides do?"}')
    never = await ask(options={"calls": 0})
    assert not any(isinstance(token, ToolCall) for token in never)


async def test_tools_that_it_does_not_understand_are_left_alone() -> None:
    tokens = await ask(replace(PROMPT, offered=(DELETE,)))
    assert not any(isinstance(token, ToolCall) for token in tokens)
