import asyncio
from collections.abc import AsyncIterator

import pytest
from devteam_worker.providers.base import (
    ALIVE,
    Ended,
    FailureReason,
    LocalModel,
    Prompt,
    ProviderError,
    Text,
    Thinking,
    Token,
    Usage,
)
from devteam_worker.providers.openai import OpenAIProvider

from tests.fakes import openai_server as wire
from tests.fakes.http_server import Act, Reply, json_reply
from tests.fakes.openai_server import OpenAIServer

KEY = "sk-openai-canary-4711"
PROMPT = Prompt("openai:qwen3-8b", "Why is the sky blue? Answer in one sentence, with care and with love.")
OK = wire.stream(*wire.text("Hel", "lo"), *wire.end())


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as server:
        yield server


@pytest.fixture
async def provider(server: OpenAIServer) -> AsyncIterator[OpenAIProvider]:
    provider = OpenAIProvider(KEY, base_url=server.base_url)
    yield provider
    await provider.close()


async def ask(provider: OpenAIProvider, prompt: Prompt = PROMPT) -> list[Token | Ended]:
    return [item async for item in provider.stream(prompt) if item is not ALIVE]


async def failure(provider: OpenAIProvider, prompt: Prompt = PROMPT) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(provider, prompt)
    return caught.value


async def test_text_comes_delta_by_delta_and_the_end_counts_tokens(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.answer(OK)

    assert await ask(provider) == [
        Text("Hel"),
        Text("lo"),
        Ended("qwen3-8b", "stop", Usage(26, 3, cache_read_tokens=8)),
    ]


async def test_a_plain_request_holds_the_prompt_the_models_own_name_and_the_wish_for_usage(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.answer(OK)

    await ask(provider)

    assert server.asked.path == "/v1/chat/completions"
    assert server.asked.headers["authorization"] == f"Bearer {KEY}"
    assert server.asked.body == {
        "model": "qwen3-8b",
        "messages": [{"role": "user", "content": PROMPT.prompt}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_effort_limits_and_known_options_are_passed_on_and_other_providers_options_are_not(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.answer(OK)
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array", "minItems": 2.0}}}
    options = {"temperature": 0.5, "seed": 7.0, "response_format": schema, "top_k": 20.0, "num_ctx": 8192.0}

    await ask(provider, Prompt("openai:x", "Hi", "Be brief.", max_tokens=99, effort="high", options=options))

    assert server.asked.body == {
        "model": "x",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "seed": 7,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": {"type": "array", "minItems": 2}},
        },
        "max_tokens": 99,
        "reasoning_effort": "high",
        "top_k": 20,
    }


async def test_a_server_without_keys_is_asked_without_one_of_ours(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer(OK)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    provider = OpenAIProvider(base_url=server.base_url)

    assert (await ask(provider))[0] == Text("Hel")
    await provider.close()

    assert server.asked.headers["authorization"] == "Bearer none"


async def test_an_alias_may_stand_for_a_model_of_the_server(server: OpenAIServer) -> None:
    server.answer(OK)
    provider = OpenAIProvider(KEY, base_url=server.base_url, aliases={"fast": "openai:small"})

    await ask(provider, Prompt("fast", "Hi"))
    await provider.close()

    assert server.asked.body["model"] == "small"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_thinking_comes_apart_from_text_by_either_name(
    server: OpenAIServer, provider: OpenAIProvider, name: str
) -> None:
    server.answer(
        wire.stream(wire.chunk(**{name: "Let me"}), wire.chunk(**{name: " see."}), *wire.text("Hi"), *wire.end())
    )

    assert (await ask(provider))[:3] == [Thinking("Let me"), Thinking(" see."), Text("Hi")]


async def test_an_answer_cut_by_its_limit_ends_with_that_reason(server: OpenAIServer, provider: OpenAIProvider) -> None:
    server.answer(wire.stream(*wire.text("Hel"), *wire.end("length")))

    ended = (await ask(provider))[-1]

    assert isinstance(ended, Ended)
    assert ended.stop_reason == "length"


async def test_usage_may_come_before_the_last_piece_or_not_at_all(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    *end, done = wire.end()
    server.answer(
        wire.stream(*wire.text("Hi"), *reversed(end), done), wire.stream(*wire.text("Hi"), wire.chunk("stop"), done)
    )

    assert (await ask(provider))[-1] == Ended("qwen3-8b", "stop", Usage(26, 3, cache_read_tokens=8))
    assert (await ask(provider))[-1] == Ended("qwen3-8b", "stop", Usage())


async def test_a_slow_first_token_is_waited_for(server: OpenAIServer, provider: OpenAIProvider) -> None:
    server.answer(wire.stream(Act.PAUSE, *wire.text("Hi"), *wire.end()))
    asking = asyncio.create_task(ask(provider))

    async with asyncio.timeout(60):
        await server.holding.wait()
        assert not asking.done()
        server.go.set()
        assert (await asking)[0] == Text("Hi")


async def test_a_silent_connection_is_given_up(server: OpenAIServer) -> None:
    server.answer(wire.stream(*wire.text("Hel"), Act.HOLD))
    provider = OpenAIProvider(KEY, base_url=server.base_url, read_timeout=0.05)

    error = await failure(provider)
    await provider.close()

    assert error.reason is FailureReason.PROVIDER_CONNECTION


async def test_a_server_that_is_not_there_can_be_started() -> None:
    async with OpenAIServer() as gone:
        pass
    provider = OpenAIProvider(KEY, base_url=gone.base_url)

    error = await failure(provider)
    with pytest.raises(ProviderError) as listing:
        await provider.models()
    await provider.close()

    expected = "The worker's OpenAI-compatible server does not answer: start it, or check openai.baseUrl on the worker."
    assert [error.message, listing.value.message] == [expected, expected]
    assert error.retryable


@pytest.mark.parametrize("before", [(), tuple(wire.text("Hel"))], ids=["headers", "text"])
async def test_cancelling_closes_the_socket(
    server: OpenAIServer, provider: OpenAIProvider, before: tuple[bytes, ...]
) -> None:
    server.answer(wire.stream(*before, Act.HOLD))
    asking = asyncio.create_task(ask(provider))

    async with asyncio.timeout(60):
        await server.holding.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await server.client_left.wait()


async def test_closing_the_generator_closes_the_socket(server: OpenAIServer, provider: OpenAIProvider) -> None:
    server.answer(wire.stream(*wire.text("Hel"), Act.HOLD))
    stream = provider.stream(PROMPT)

    async with asyncio.timeout(60):
        assert await anext(stream) == Text("Hel")
        await stream.aclose()
        await server.client_left.wait()


async def test_a_server_on_this_machine_has_all_its_models_ready_and_is_nobody_elses(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.serve("qwen3-8b", "org/gemma-3")

    assert not provider.shared
    assert await provider.models() == [
        LocalModel("openai:qwen3-8b", resident=True),
        LocalModel("openai:org/gemma-3", resident=True),
    ]


@pytest.mark.parametrize("reply", [json_reply({"data": None}), json_reply([1]), json_reply({"error": "x"}, 500)])
async def test_a_list_of_models_that_makes_no_sense_is_an_error(
    server: OpenAIServer, provider: OpenAIProvider, reply: Reply
) -> None:
    server.reply("/v1/models", reply)

    with pytest.raises(ProviderError):
        await provider.models()


@pytest.mark.parametrize("base_url", ["", "https://models.example/v1", "http://10.0.0.7:8000/v1"])
async def test_models_elsewhere_do_not_lie_on_this_machine_and_are_shared(
    monkeypatch: pytest.MonkeyPatch, base_url: str
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    provider = OpenAIProvider(KEY, base_url=base_url)

    assert provider.shared
    assert await provider.models() == []
    await provider.close()
