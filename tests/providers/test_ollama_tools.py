"""Ollama's models and the tools that they call: what goes over the wire, and what comes back."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from devteam_worker.providers.base import (
    Ended,
    FailureReason,
    Prompt,
    ProviderError,
    Text,
    Thinking,
    Token,
    ToolCall,
    ToolResult,
    ToolSpec,
    Turn,
)
from devteam_worker.providers.ollama import OllamaProvider

from tests.fakes import ollama_server as wire
from tests.fakes.ollama_server import OllamaServer

# With what the client would drop: nested properties, a bound, an alternative.
SCHEMA = {
    "type": "object",
    "properties": {
        "place": {"type": "object", "properties": {"city": {"type": "string", "minLength": 2}}, "required": ["city"]},
        "day": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["place"],
    "additionalProperties": False,
}
WEATHER = ToolSpec("weather", "The weather of a place.", SCHEMA)
PROMPT = Prompt("ollama:llama3.3", "How is the weather?", "Be brief.", offered=(WEATHER,))
CITY = {"place": {"city": "Zürich"}}


@pytest.fixture
async def server() -> AsyncIterator[OllamaServer]:
    async with OllamaServer() as server:
        yield server


@pytest.fixture
async def provider(server: OllamaServer) -> AsyncIterator[OllamaProvider]:
    provider = OllamaProvider(server.url)
    yield provider
    await provider.close()


async def ask(provider: OllamaProvider, prompt: Prompt = PROMPT) -> list[Token | Ended]:
    return [item async for item in provider.stream(prompt)]


async def second_turn(server: OllamaServer, provider: OllamaProvider, *results: ToolResult) -> object:
    """What the second turn's request says of the first."""
    ended = (await ask(provider))[-1]
    assert isinstance(ended, Ended)
    await ask(provider, replace(PROMPT, turns=(Turn(ended.reply, results),)))
    return server.asked.body["messages"][2:]


async def test_tools_are_offered_with_their_whole_schema(server: OllamaServer, provider: OllamaProvider) -> None:
    server.answer(wire.stream(wire.part("Hi"), wire.done()))

    await ask(provider)

    function = {"name": "weather", "description": "The weather of a place.", "parameters": SCHEMA}
    assert server.asked.body["tools"] == [{"type": "function", "function": function}]


async def test_a_call_comes_whole_with_an_id_of_ours_beside_what_else_is_said(
    server: OllamaServer, provider: OllamaProvider
) -> None:
    server.answer(
        wire.stream(
            wire.part(thinking="Hm."),
            wire.part("I look."),
            wire.call("weather", CITY),
            wire.call("weather", {}),
            wire.done(),
        )
    )

    *said, ended = await ask(provider)

    assert said == [
        Thinking("Hm."),
        Text("I look."),
        ToolCall("call-0-0", "weather", json.dumps(CITY, ensure_ascii=False)),
        ToolCall("call-0-1", "weather", "{}"),
    ]
    assert isinstance(ended, Ended)
    assert ended.stop_reason == "stop"
    assert not ended.unfinished


async def test_the_second_turn_repeats_thinking_text_and_calls_and_names_each_result_by_its_tool(
    server: OllamaServer, provider: OllamaProvider
) -> None:
    server.answer(
        wire.stream(wire.part(thinking="Hm. "), wire.call("weather", CITY, "Look", "So."), wire.done()),
    )

    said = await second_turn(
        server, provider, ToolResult("call-0-0", "21 °C", source="function"), ToolResult("call-0-0", "Off.", True)
    )

    assert said == [
        {
            "role": "assistant",
            "content": "Look",
            "thinking": "Hm. So.",
            "tool_calls": [{"id": "call-0-0", "function": {"name": "weather", "arguments": CITY}}],
        },
        {"role": "tool", "tool_name": "weather", "tool_call_id": "call-0-0", "content": "21 °C"},
        {"role": "tool", "tool_name": "weather", "tool_call_id": "call-0-0", "content": "Error: Off."},
    ]


async def test_ids_of_later_turns_are_other_ones(server: OllamaServer, provider: OllamaProvider) -> None:
    server.answer(wire.stream(wire.call("weather", CITY), wire.done()))
    first = (await ask(provider))[-1]
    assert isinstance(first, Ended)

    again = await ask(provider, replace(PROMPT, turns=(Turn(first.reply, (ToolResult("call-0-0", "x"),)),)))

    assert isinstance(again[0], ToolCall)
    assert again[0].call_id == "call-1-0"


async def test_a_turn_without_calls_has_no_reply(server: OllamaServer, provider: OllamaProvider) -> None:
    server.answer(wire.stream(wire.part("Hi"), wire.done()))

    ended = (await ask(provider))[-1]

    assert isinstance(ended, Ended)
    assert ended.reply is None


async def test_a_model_without_tools_says_so(server: OllamaServer, provider: OllamaProvider) -> None:
    server.answer(wire.refusal(400, "registry.ollama.ai/library/llama3.3:latest does not support tools"))

    with pytest.raises(ProviderError) as caught:
        await ask(provider)

    assert caught.value.reason is FailureReason.INVALID_REQUEST
    assert caught.value.message.endswith("does not support tools.")


async def test_what_a_tool_brought_is_in_no_error(server: OllamaServer, provider: OllamaProvider) -> None:
    secret = "The safe is behind the third picture of the lower corridor, on the left."
    refusal = wire.refusal(500, f"template: cannot render {secret}")
    server.answer(wire.stream(wire.call("weather", CITY), wire.done()), refusal)
    ended = (await ask(provider))[-1]
    assert isinstance(ended, Ended)

    with pytest.raises(ProviderError) as caught:
        await ask(provider, replace(PROMPT, turns=(Turn(ended.reply, (ToolResult("call-0-0", secret),)),)))

    assert caught.value.message == "The worker's Ollama failed."
