"""Models of OpenAI-compatible servers and the tools that they call: what goes over the wire, and what comes back."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from devteam_worker.providers.base import (
    ALIVE,
    Ended,
    Prompt,
    Text,
    Thinking,
    Token,
    ToolCall,
    ToolResult,
    ToolSpec,
    Turn,
)
from devteam_worker.providers.openai import OpenAIProvider
from devteam_worker.providers.openai_messages import request_of

from tests.fakes import openai_server as wire
from tests.fakes.openai_server import OpenAIServer

SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "minLength": 2}}, "required": ["city"]}
WEATHER = ToolSpec("weather", "The weather of a place.", SCHEMA)
PROMPT = Prompt("openai:qwen3-8b", "How is the weather?", offered=(WEATHER,))
CITY = '{"city": "Zürich"}'


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as server:
        yield server


@pytest.fixture
async def provider(server: OpenAIServer) -> AsyncIterator[OpenAIProvider]:
    provider = OpenAIProvider("sk-test", base_url=server.base_url)
    yield provider
    await provider.close()


async def ask(provider: OpenAIProvider, prompt: Prompt = PROMPT) -> list[Token | Ended]:
    return [item async for item in provider.stream(prompt) if item is not ALIVE]


async def second_turn(server: OpenAIServer, provider: OpenAIProvider, *results: ToolResult) -> object:
    """What the second turn's request says of the first."""
    ended = (await ask(provider))[-1]
    assert isinstance(ended, Ended)
    await ask(provider, replace(PROMPT, turns=(Turn(ended.reply, results),)))
    return server.asked.body["messages"][1:]


async def test_tools_are_offered_with_their_schema(server: OpenAIServer, provider: OpenAIProvider) -> None:
    server.answer(wire.stream(*wire.text("Hi"), *wire.end()))

    await ask(provider)

    function = {"name": "weather", "description": "The weather of a place.", "parameters": SCHEMA}
    assert server.asked.body["tools"] == [{"type": "function", "function": function}]


async def test_calls_come_whole_before_the_end(server: OpenAIServer, provider: OpenAIProvider) -> None:
    server.answer(
        wire.stream(
            *wire.text("I look."),
            *wire.call(0, "call_a", "weather", '{"city": ', '"Zürich"}'),
            *wire.call(1, "call_b", "weather", "{}"),
            *wire.end("tool_calls"),
        )
    )

    *said, ended = await ask(provider)

    assert said == [Text("I look."), ToolCall("call_a", "weather", CITY), ToolCall("call_b", "weather", "{}")]
    assert isinstance(ended, Ended)
    assert ended.stop_reason == "tool_calls"


async def test_the_second_turn_repeats_the_calls_and_answers_each_by_its_id(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.answer(
        wire.stream(*wire.call(0, "a", "weather", CITY), *wire.call(1, "b", "weather", "{}"), *wire.end("tool_calls")),
        wire.stream(*wire.text("Sunny"), *wire.end()),
    )

    said = await second_turn(
        server, provider, ToolResult("a", "21 °C", source="function"), ToolResult("b", "Off.", True)
    )

    assert said == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "weather", "arguments": CITY}},
                {"id": "b", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "21 °C"},
        {"role": "tool", "tool_call_id": "b", "content": "Error: Off."},
    ]


async def test_what_was_thought_before_a_call_goes_back_under_its_name(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.answer(
        wire.stream(
            wire.chunk(reasoning_content="Hm. "),
            wire.chunk(reasoning_content="So."),
            *wire.text("Look"),
            *wire.call(0, "a", "weather", CITY),
            *wire.end("tool_calls"),
        ),
        wire.stream(*wire.text("Sunny"), *wire.end()),
    )

    said = await second_turn(server, provider, ToolResult("a", "21 °C"))

    assert isinstance(said, list)
    assert said[0]["reasoning_content"] == "Hm. So."
    assert said[0]["content"] == "Look"


@pytest.mark.parametrize(
    "pieces",
    [
        [*wire.call(0, "a", "weather", CITY), *wire.call(0, "b", "weather", "{}")],
        [
            wire.chunk(tool_calls=[{"index": 0, "id": "a", "function": {"name": "weather", "arguments": CITY[:9]}}]),
            wire.chunk(tool_calls=[{"index": 0, "id": "a", "function": {"name": "weather", "arguments": CITY[9:]}}]),
            wire.chunk(tool_calls=[{"index": 1, "id": "b", "function": {"name": "weather", "arguments": "{}"}}]),
        ],
    ],
    ids=["one index for all", "id and name in every piece"],
)
async def test_servers_that_count_in_other_ways_are_understood(
    server: OpenAIServer, provider: OpenAIProvider, pieces: list[bytes]
) -> None:
    server.answer(wire.stream(*pieces, *wire.end("tool_calls")))

    assert (await ask(provider))[:-1] == [ToolCall("a", "weather", CITY), ToolCall("b", "weather", "{}")]


async def test_a_call_without_an_id_gets_one_that_no_other_turn_has(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.answer(wire.stream(*wire.call(0, None, "weather", CITY), *wire.end("tool_calls")))

    first = await ask(provider)
    assert isinstance(first[-1], Ended)
    second = await ask(provider, replace(PROMPT, turns=(Turn(first[-1].reply, (ToolResult("call-0-0", "x"),)),)))

    assert (first[0], second[0]) == (ToolCall("call-0-0", "weather", CITY), ToolCall("call-1-0", "weather", CITY))


@pytest.mark.parametrize("arguments", ["", '{"city": '])
async def test_arguments_that_are_no_json_are_told_as_they_are_but_not_sent_back(
    server: OpenAIServer, provider: OpenAIProvider, arguments: str
) -> None:
    server.answer(
        wire.stream(*wire.call(0, "a", "weather", arguments), *wire.end("tool_calls")),
        wire.stream(*wire.text("Sunny"), *wire.end()),
    )

    first = await ask(provider)
    ended = first[-1]
    assert isinstance(ended, Ended)
    await ask(provider, replace(PROMPT, turns=(Turn(ended.reply, (ToolResult("a", "No JSON.", True),)),)))

    assert first[0] == ToolCall("a", "weather", arguments)
    assert server.asked.body["messages"][1]["tool_calls"][0]["function"]["arguments"] == "{}"


async def test_a_call_that_the_limit_cut_off_is_none(server: OpenAIServer, provider: OpenAIProvider) -> None:
    server.answer(
        wire.stream(*wire.call(0, "a", "weather", CITY), *wire.call(1, "b", "weather", '{"ci'), *wire.end("length"))
    )

    call, ended = await ask(provider)

    assert call == ToolCall("a", "weather", CITY)
    assert isinstance(ended, Ended)
    assert ended.stop_reason == "length"


async def test_thinking_that_comes_under_both_names_is_told_once(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.answer(wire.stream(wire.chunk(reasoning="Hm.", reasoning_content="Hm."), *wire.text("Hi"), *wire.end()))

    assert (await ask(provider))[:-1] == [Thinking("Hm."), Text("Hi")]


def test_openai_itself_has_a_newer_name_for_the_limit_and_takes_no_options_of_open_servers() -> None:
    prompt = Prompt("openai:gpt-9", "Hi", max_tokens=99, options={"top_k": 20.0, "temperature": 1.0})

    request = request_of(prompt, "gpt-9", openai_itself=True)

    assert request["max_completion_tokens"] == 99
    assert not {"max_tokens", "extra_body"} & request.keys()
    assert request["temperature"] == 1
