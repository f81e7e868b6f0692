import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
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
    Usage,
)
from structlog.testing import capture_logs

from tests.fakes import anthropic_server as wire
from tests.fakes.anthropic_server import AnthropicServer
from tests.fakes.http_server import Act, Reply

KEY = "sk-ant-canary-4711"
PROMPT = Prompt("opus", "Why is the sky blue? Answer in one sentence, with care and with love.")
OK = wire.stream(wire.START, *wire.text(0, "Hel", "lo"), *wire.end())
AT_ONCE = {"retry-after-ms": "1"}


@pytest.fixture
async def server() -> AsyncIterator[AnthropicServer]:
    async with AnthropicServer() as server:
        yield server


@pytest.fixture
async def provider(server: AnthropicServer) -> AsyncIterator[AnthropicProvider]:
    provider = AnthropicProvider(KEY, base_url=server.url)
    yield provider
    await provider.close()


async def ask(provider: AnthropicProvider, prompt: Prompt = PROMPT) -> list[Token | Ended]:
    return [item async for item in provider.stream(prompt) if item is not ALIVE]


async def failure(provider: AnthropicProvider, prompt: Prompt = PROMPT) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(provider, prompt)
    return caught.value


async def test_text_comes_delta_by_delta_and_the_end_names_model_reason_and_all_input(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.answer(wire.stream(wire.START, wire.PING, *wire.text(0, "Hel", "lo"), wire.PING, *wire.end()))

    assert await ask(provider) == [
        Text("Hel"),
        Text("lo"),
        Ended("claude-opus-5-5", "end_turn", Usage(331, 7, cache_read_tokens=300, cache_write_tokens=20)),
    ]


async def test_a_plain_request_holds_the_prompt_the_resolved_model_and_nothing_that_current_models_refuse(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.answer(OK)

    await ask(provider)

    assert server.asked.body == {
        "model": "claude-opus-5-5",
        "max_tokens": 16_384,
        "messages": [{"role": "user", "content": PROMPT.prompt}],
        "stream": True,
    }


async def test_effort_thinking_limits_and_known_options_are_passed_on_and_other_providers_options_are_not(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.answer(OK)
    options = {"thinking": True, "stop_sequences": ["END"], "num_ctx": 8192.0}

    await ask(provider, Prompt("claude-x", "Hi", "Be brief.", max_tokens=99, effort="high", options=options))

    assert server.asked.body == {
        "model": "claude-x",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": "Hi"}],
        "system": [{"type": "text", "text": "Be brief."}],
        "output_config": {"effort": "high"},
        "thinking": {"type": "adaptive", "display": "summarized"},
        "stop_sequences": ["END"],
        "stream": True,
    }


async def test_a_long_system_prompt_is_cached(server: AnthropicServer, provider: AnthropicProvider) -> None:
    server.answer(OK)

    await ask(provider, Prompt("opus", "Hi", "Know this. " * 1000))

    assert server.asked.body["system"][0]["cache_control"] == {"type": "ephemeral"}


async def test_the_owner_of_the_worker_decides_what_an_alias_means(server: AnthropicServer) -> None:
    server.answer(OK)
    provider = AnthropicProvider(KEY, base_url=server.url, aliases={"opus": "claude-next"})

    await ask(provider)
    await provider.close()

    assert server.asked.body["model"] == "claude-next"


async def test_thinking_comes_apart_from_text(server: AnthropicServer, provider: AnthropicProvider) -> None:
    server.answer(wire.stream(wire.START, *wire.thinking(0, "Let me", " see."), *wire.text(1, "Hi"), *wire.end()))

    assert (await ask(provider))[:3] == [Thinking("Let me"), Thinking(" see."), Text("Hi")]


async def test_an_answer_cut_by_max_tokens_ends_with_that_reason(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.answer(wire.stream(wire.START, *wire.text(0, "Hel"), *wire.end("max_tokens")))

    ended = (await ask(provider))[-1]

    assert isinstance(ended, Ended)
    assert ended.stop_reason == "max_tokens"


@pytest.mark.parametrize("option", ["temperature", "top_p", "top_k"])
async def test_a_sampling_option_is_refused_before_anything_is_sent(
    server: AnthropicServer, provider: AnthropicProvider, option: str
) -> None:
    error = await failure(provider, Prompt("opus", "Hi", options={option: 0.5}))

    assert error.reason is FailureReason.INVALID_REQUEST
    assert error.message == f"Claude models take no {option}; leave it out, or set effort instead."
    assert server.requests == []


@pytest.mark.parametrize(
    ("status", "kind", "reason", "retryable"),
    [
        (400, "invalid_request_error", FailureReason.INVALID_REQUEST, False),
        (401, "authentication_error", FailureReason.CREDENTIALS, False),
        (403, "permission_error", FailureReason.CREDENTIALS, False),
        (404, "not_found_error", FailureReason.MODEL_NOT_FOUND, False),
        (413, "request_too_large", FailureReason.INVALID_REQUEST, False),
        (500, "api_error", FailureReason.PROVIDER_UNAVAILABLE, True),
        (503, "api_error", FailureReason.PROVIDER_UNAVAILABLE, True),
        (529, "overloaded_error", FailureReason.PROVIDER_UNAVAILABLE, True),
    ],
)
async def test_each_status_has_its_reason(
    server: AnthropicServer,
    provider: AnthropicProvider,
    status: int,
    kind: str,
    reason: FailureReason,
    retryable: bool,
) -> None:
    server.answer(wire.refusal(status, kind, headers=AT_ONCE))

    error = await failure(provider)

    assert (error.reason, error.retryable) == (reason, retryable)


async def test_what_was_wrong_with_a_request_is_said(server: AnthropicServer, provider: AnthropicProvider) -> None:
    server.answer(wire.refusal(400, "invalid_request_error", "max_tokens: 9000000 > 128000"))

    assert (await failure(provider)).message == (
        "Anthropic refused the request as invalid: max_tokens: 9000000 > 128000."
    )


async def test_an_unknown_model_is_named_as_the_task_named_it(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.answer(wire.refusal(404, "not_found_error", "model: claude-opus-9"))

    error = await failure(provider, Prompt("claude-opus-9", "Hi"))

    assert error.message == "Anthropic knows no model for 'claude-opus-9'; check the name, or the worker's aliases."


async def test_a_rate_limit_is_passed_on_at_once_with_the_time_asked_for(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.answer(wire.refusal(429, "rate_limit_error", headers={"retry-after": "37"}))

    async with asyncio.timeout(60):
        error = await failure(provider)

    assert (error.reason, error.retryable, error.retry_after) == (FailureReason.RATE_LIMITED, True, 37.0)
    assert len(server.requests) == 1


async def test_one_overload_before_the_answer_costs_nothing(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.answer(wire.refusal(529, "overloaded_error", headers=AT_ONCE), OK)

    assert (await ask(provider))[:2] == [Text("Hel"), Text("lo")]
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("overloaded_error", FailureReason.PROVIDER_UNAVAILABLE),
        ("api_error", FailureReason.PROVIDER_UNAVAILABLE),
        ("rate_limit_error", FailureReason.RATE_LIMITED),
        ("invalid_request_error", FailureReason.INVALID_REQUEST),
        ("an_error_of_tomorrow", FailureReason.PROVIDER_UNAVAILABLE),
    ],
)
async def test_an_error_in_mid_stream_comes_after_the_text_before_it(
    server: AnthropicServer, provider: AnthropicProvider, kind: str, reason: FailureReason
) -> None:
    server.answer(wire.stream(wire.START, *wire.text(0, "Hel"), wire.error(kind)))
    stream = provider.stream(PROMPT)

    assert await anext(stream) == Text("Hel")
    with pytest.raises(ProviderError) as caught:
        await anext(stream)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "rest",
    [
        [Act.CUT],
        [],
        [b"event: content_block_delta\ndata: {not json\n\n"],
        [b"event: content_block_delta\ndata: [1, 2]\n\n"],
        [b"event: content_block_delta\ndata: {}\n\n"],
        [wire.event("content_block_delta", index=7, delta={"type": "text_delta", "text": "x"})],
        [wire.event("content_block_delta", index=0, delta={"type": "text_delta", "text": None})],
        [b"event: content_block_delta\ndata: \xff\xfe\n\n"],
    ],
    ids=["cut", "ends early", "no json", "a list", "empty", "no such block", "no text", "no utf-8"],
)
async def test_a_broken_or_senseless_stream_can_be_tried_again(
    server: AnthropicServer, provider: AnthropicProvider, rest: list[bytes | Act]
) -> None:
    server.answer(wire.stream(wire.START, *wire.text(0, "Hel"), *rest))

    error = await failure(provider)

    assert (error.reason, error.retryable) == (FailureReason.PROVIDER_CONNECTION, True)


async def test_an_answer_that_is_no_stream_can_be_tried_again(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.answer(Reply((b"<html>Welcome to the hotel's network</html>",), headers={"content-type": "text/html"}))

    assert (await failure(provider)).reason is FailureReason.PROVIDER_CONNECTION


async def test_a_silent_connection_is_given_up(server: AnthropicServer) -> None:
    server.answer(wire.stream(wire.START, Act.HOLD))
    provider = AnthropicProvider(KEY, base_url=server.url, read_timeout=0.05)

    error = await failure(provider)
    await provider.close()

    assert error.reason is FailureReason.PROVIDER_CONNECTION


async def test_a_server_that_is_not_there_can_be_tried_again(server: AnthropicServer) -> None:
    async with AnthropicServer() as gone:
        pass
    provider = AnthropicProvider(KEY, base_url=gone.url)

    error = await failure(provider)
    await provider.close()

    assert (error.reason, error.retryable) == (FailureReason.PROVIDER_CONNECTION, True)


async def test_a_refusal_of_the_model_is_final(server: AnthropicServer, provider: AnthropicProvider) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "No."}
    server.answer(wire.stream(wire.START, *wire.end("refusal", stop_details=details)))

    error = await failure(provider)

    assert (error.reason, error.retryable) == (FailureReason.REFUSED, False)
    assert error.message.startswith("claude-opus-5-5 declined to answer")


@pytest.mark.parametrize("before", [(), (wire.START, *wire.text(0, "Hel"))], ids=["headers", "text"])
async def test_cancelling_closes_the_socket(
    server: AnthropicServer, provider: AnthropicProvider, before: tuple[bytes, ...]
) -> None:
    server.answer(wire.stream(*before, Act.HOLD))
    asking = asyncio.create_task(ask(provider))

    async with asyncio.timeout(60):
        await server.holding.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await server.client_left.wait()


async def test_closing_the_generator_closes_the_socket(server: AnthropicServer, provider: AnthropicProvider) -> None:
    server.answer(wire.stream(wire.START, *wire.text(0, "Hel"), Act.HOLD))
    stream = provider.stream(PROMPT)

    async with asyncio.timeout(60):
        assert await anext(stream) == Text("Hel")
        await stream.aclose()
        await server.client_left.wait()


ECHO = f"{KEY} sent: {PROMPT.prompt}"
LEAKS = {
    **{
        f"status {status}": wire.refusal(status, "invalid_request_error", ECHO, AT_ONCE)
        for status in (400, 401, 404, 413, 429, 500)
    },
    "prompt": wire.refusal(400, "invalid_request_error", f"bad: {PROMPT.prompt}"),
    "mid-stream": wire.stream(wire.START, wire.error("invalid_request_error", ECHO)),
    "nonsense": wire.stream(wire.START, f"event: content_block_delta\ndata: {ECHO}\n\n".encode()),
}


@pytest.mark.parametrize("reply", LEAKS.values(), ids=LEAKS.keys())
async def test_neither_key_nor_prompt_is_in_an_error_and_the_key_in_no_log_line(
    server: AnthropicServer,
    provider: AnthropicProvider,
    caplog: pytest.LogCaptureFixture,
    reply: Reply,
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answer(reply)

    with capture_logs() as lines:
        error = await failure(provider)

    assert KEY in server.asked.headers["authorization"]
    assert KEY not in error.message + repr(error) + repr(error.__cause__) + repr(lines)
    assert PROMPT.prompt not in error.message + repr(error) + repr(lines)
    assert KEY not in caplog.text


async def test_a_key_that_no_header_can_hold_is_not_in_the_error(server: AnthropicServer) -> None:
    provider = AnthropicProvider(f"{KEY}\n", base_url=server.url)

    with capture_logs() as lines:
        error = await failure(provider)
    await provider.close()

    assert KEY not in error.message + repr(error) + repr(error.__cause__) + repr(lines)
