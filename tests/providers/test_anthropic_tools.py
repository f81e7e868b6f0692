"""Tools, turns and names of models, as they go over the wire to Anthropic's API."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from devteam_worker.models import DEFAULT_ALIASES
from devteam_worker.providers.anthropic import AnthropicProvider
from devteam_worker.providers.base import (
    ALIVE,
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
    Usage,
)

from tests.fakes import anthropic_server as wire
from tests.fakes.anthropic_server import AnthropicServer
from tests.fakes.http_server import Act, Reply

SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
SEARCH = ToolSpec("docs__search", "Finds passages.", SCHEMA)
PROMPT = Prompt("opus", "What do tides do?", offered=(SEARCH,))
OK = wire.stream(wire.START, *wire.text(0, "Hello"), *wire.end())


@pytest.fixture
async def server() -> AsyncIterator[AnthropicServer]:
    async with AnthropicServer() as server:
        yield server


@pytest.fixture
async def provider(server: AnthropicServer) -> AsyncIterator[AnthropicProvider]:
    provider = AnthropicProvider("sk-ant-canary-4711", base_url=server.url)
    yield provider
    await provider.close()


async def ask(provider: AnthropicProvider, prompt: Prompt = PROMPT) -> list[Token | Ended]:
    return [item async for item in provider.stream(prompt) if item is not ALIVE]


def calling(*, stop_reason: str = "tool_use") -> Reply:
    return wire.stream(
        wire.START,
        *wire.thinking(0, "I look it up."),
        *wire.text(1, "Let me see."),
        *wire.tool_use(2, "toolu_1", "docs__search", '{"query": ', '"tides é"}'),
        *wire.end(stop_reason),
    )


async def test_offered_tools_are_described_and_what_is_thought_between_calls_is_asked_for(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.answer(OK)
    await ask(provider)
    assert server.asked.body["tools"] == [
        {"name": "docs__search", "description": "Finds passages.", "input_schema": SCHEMA}
    ]
    assert server.asked.body["thinking"] == {"type": "adaptive", "display": "summarized"}


async def test_who_wants_no_thinking_gets_none(server: AnthropicServer, provider: AnthropicProvider) -> None:
    server.answer(OK)
    await ask(provider, replace(PROMPT, options={"thinking": False}))
    assert "thinking" not in server.asked.body


async def test_a_call_comes_whole_after_what_was_said_before_it(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.answer(calling())
    *tokens, ended = await ask(provider)
    assert tokens == [
        Thinking("I look it up."),
        Text("Let me see."),
        ToolCall("toolu_1", "docs__search", '{"query": "tides é"}'),
    ]
    assert isinstance(ended, Ended)
    assert (ended.stop_reason, ended.unfinished) == ("tool_use", False)


async def test_the_next_turn_has_all_that_was_said_with_its_signature_and_what_the_calls_brought(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.answer(calling(), OK)
    ended = (await ask(provider))[-1]
    assert isinstance(ended, Ended)
    results = (ToolResult("toolu_1", "High and low.", source="documents:docs"),)
    await ask(provider, replace(PROMPT, turns=(Turn(ended.reply, results),)))
    assert server.asked.body["messages"] == [
        {"role": "user", "content": "What do tides do?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I look it up.", "signature": "c2lnbmVk"},
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "toolu_1", "name": "docs__search", "input": {"query": "tides é"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "High and low.", "is_error": False}
            ],
        },
    ]
    assert server.asked.body["cache_control"] == {"type": "ephemeral"}


async def test_a_call_that_was_cut_off_is_not_made(server: AnthropicServer, provider: AnthropicProvider) -> None:
    server.answer(calling(stop_reason="max_tokens"))
    tokens = await ask(provider)
    assert not any(isinstance(token, ToolCall) for token in tokens)
    assert isinstance(tokens[-1], Ended)
    assert tokens[-1].stop_reason == "max_tokens"


async def test_a_connection_that_is_cut_in_the_middle_of_a_call_is_a_failure(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.answer(wire.stream(wire.START, *wire.tool_use(0, "toolu_1", "docs__search", '{"que')[:-1], Act.CUT))
    with pytest.raises(ProviderError) as failure:
        await ask(provider)
    assert failure.value.reason is FailureReason.PROVIDER_CONNECTION


async def test_what_the_api_calls_by_itself_is_told_with_what_it_brought(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    page = {"type": "web_search_result", "title": "Tides", "url": "https://sea.example", "encrypted_content": "x"}
    failed = {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}
    server.answer(
        wire.stream(
            wire.START,
            *wire.tool_use(0, "srv_1", "web_search", '{"query": "tides"}', kind="server_tool_use"),
            *wire.block(1, {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [page]}),
            *wire.tool_use(2, "srv_2", "web_search", "{}", kind="server_tool_use"),
            *wire.block(3, {"type": "web_search_tool_result", "tool_use_id": "srv_2", "content": failed}),
            *wire.text(4, "So."),
            *wire.end(),
        )
    )
    assert (await ask(provider, replace(PROMPT, provided=("web_search",))))[:-1] == [
        ToolCall("srv_1", "web_search", '{"query": "tides"}'),
        ToolResult("srv_1", "Tides https://sea.example", source="anthropic"),
        ToolCall("srv_2", "web_search", "{}"),
        ToolResult("srv_2", "failed: max_uses_exceeded", is_error=True, source="anthropic"),
        Text("So."),
    ]
    assert server.asked.body["tools"][1] == {
        "type": "web_search_20260318",
        "name": "web_search",
        "max_uses": 10,
        "allowed_callers": ["direct"],
    }


async def test_code_that_the_api_runs_by_itself_is_nobodys_call(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    runs = wire.tool_use(0, "srv_1", "code_execution", '{"code": "1"}', kind="server_tool_use")
    server.answer(wire.stream(wire.START, *runs, *wire.text(1, "So."), *wire.end()))
    assert (await ask(provider, replace(PROMPT, provided=("web_search",))))[:-1] == [Text("So.")]


async def test_writing_a_call_is_a_sign_of_life(server: AnthropicServer, provider: AnthropicProvider) -> None:
    server.answer(calling())
    assert ALIVE in [item async for item in provider.stream(PROMPT)]


async def test_a_thought_that_is_not_shown_is_a_sign_of_life(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.answer(wire.stream(wire.START, *wire.thinking(0, "", ""), *wire.text(1, "So."), *wire.end()))
    items = [item async for item in provider.stream(PROMPT)]
    assert items[:-1].count(ALIVE) == 3
    assert items[-2] == Text("So.")


async def test_a_paused_turn_is_unfinished_and_goes_back_as_it_is(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.answer(wire.stream(wire.START, *wire.text(0, "Half"), *wire.end("pause_turn")), OK)
    ended = (await ask(provider))[-1]
    assert isinstance(ended, Ended)
    assert ended.unfinished
    await ask(provider, replace(PROMPT, turns=(Turn(ended.reply),)))
    assert server.asked.body["messages"][1:] == [{"role": "assistant", "content": [{"type": "text", "text": "Half"}]}]


async def test_an_error_text_that_quotes_a_tools_answer_is_not_shown(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    secret = "the tide tables of the harbour master, of which nobody may know anything at all"
    server.answer(wire.refusal(400, "invalid_request_error", f"bad content: {secret}"))
    turn = Turn([{"type": "text", "text": "Hm"}], (ToolResult("t", secret),))
    with pytest.raises(ProviderError) as failure:
        await ask(provider, replace(PROMPT, turns=(turn,)))
    assert "harbour" not in failure.value.message


async def test_only_anthropics_own_servers_search_the_web(provider: AnthropicProvider) -> None:
    assert provider.tools("opus") == ()
    real = AnthropicProvider("sk-ant-none")
    assert real.tools("opus") == ("web_search", "web_fetch")
    await real.close()


class TestAliases:
    async def test_a_short_name_stands_for_the_newest_active_model_of_its_line(
        self, server: AnthropicServer, provider: AnthropicProvider
    ) -> None:
        server.know(
            {"id": "claude-opus-6", "line": "opus", "created_at": "2026-11-01T00:00:00Z"},
            {"id": "claude-opus-5-5", "line": "opus"},
            {"id": "claude-opus-7", "line": "opus", "created_at": "2026-12-01T00:00:00Z", "lifecycle": "deprecated"},
            {"id": "claude-fable-1", "line": "fable"},
            {"id": "claude-none", "line": None},
        )
        aliases = await provider.learn_aliases()
        assert aliases == {**DEFAULT_ALIASES, "opus": "claude-opus-6", "fable": "claude-fable-1"}
        server.answer(OK)
        await ask(provider)
        assert server.asked.body["model"] == "claude-opus-6"

    async def test_the_owners_word_is_stronger(self, server: AnthropicServer) -> None:
        server.know({"id": "claude-opus-6", "line": "opus"})
        provider = AnthropicProvider("sk", base_url=server.url, aliases={**DEFAULT_ALIASES, "opus": "claude-mine"})
        assert (await provider.learn_aliases())["opus"] == "claude-mine"
        await provider.close()

    @pytest.mark.parametrize(
        "answer",
        [
            wire.refusal(401, "authentication_error"),
            Reply((b"no json",), headers={"content-type": "application/json"}),
            Reply((json.dumps({"data": [{"id": 7}]}).encode(),), headers={"content-type": "application/json"}),
            Reply((Act.CUT,)),
        ],
    )
    async def test_an_api_that_does_not_say_costs_nothing(
        self, server: AnthropicServer, provider: AnthropicProvider, answer: Reply
    ) -> None:
        server.reply("/v1/models?limit=1000", answer)
        assert await provider.learn_aliases() == DEFAULT_ALIASES


async def test_the_usage_of_a_turn_with_calls_counts(server: AnthropicServer, provider: AnthropicProvider) -> None:
    server.answer(calling())
    ended = (await ask(provider))[-1]
    assert isinstance(ended, Ended)
    assert ended.usage == Usage(331, 7, 300, 20)
