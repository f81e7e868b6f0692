"""What goes wrong with an OpenAI-compatible server, and what a run is told of it."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from devteam_worker.providers.base import (
    ALIVE,
    Ended,
    FailureReason,
    Prompt,
    ProviderError,
    Text,
    Token,
)
from devteam_worker.providers.openai import OpenAIProvider
from structlog.testing import capture_logs

from tests.fakes import openai_server as wire
from tests.fakes.http_server import Act, Reply, json_reply
from tests.fakes.openai_server import OpenAIServer

KEY = "sk-openai-canary-4711"
PROMPT = Prompt("openai:qwen3-8b", "Why is the sky blue? Answer in one sentence, with care and with love.")


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


@pytest.mark.parametrize(
    "pieces",
    [[wire.chunk(refusal="I cannot."), *wire.end()], [*wire.text("Hel"), *wire.end("content_filter")]],
    ids=["model", "filter"],
)
async def test_a_refusal_is_final(server: OpenAIServer, provider: OpenAIProvider, pieces: list[bytes]) -> None:
    server.answer(wire.stream(*pieces))

    error = await failure(provider)

    assert (error.reason, error.retryable) == (FailureReason.REFUSED, False)
    assert error.message == "qwen3-8b declined to answer; rephrase the prompt."


@pytest.mark.parametrize(
    ("status", "reason", "retryable"),
    [
        (400, FailureReason.INVALID_REQUEST, False),
        (401, FailureReason.CREDENTIALS, False),
        (403, FailureReason.CREDENTIALS, False),
        (404, FailureReason.MODEL_NOT_FOUND, False),
        (422, FailureReason.INVALID_REQUEST, False),
        (500, FailureReason.PROVIDER_UNAVAILABLE, True),
        (503, FailureReason.PROVIDER_UNAVAILABLE, True),
        (529, FailureReason.PROVIDER_UNAVAILABLE, True),
    ],
)
async def test_each_status_has_its_reason(
    server: OpenAIServer, provider: OpenAIProvider, status: int, reason: FailureReason, retryable: bool
) -> None:
    server.answer(wire.refusal(status, "No"))

    error = await failure(provider)

    assert (error.reason, error.retryable) == (reason, retryable)
    assert len(server.requests) == 1


async def test_what_was_wrong_with_a_request_is_said(server: OpenAIServer, provider: OpenAIProvider) -> None:
    server.answer(wire.refusal(400, "'temperature' must be at most 2."))

    assert (await failure(provider)).message == (
        "The worker's OpenAI-compatible server refused the request as invalid: 'temperature' must be at most 2."
    )


async def test_an_unknown_model_is_named_as_the_task_named_it(server: OpenAIServer, provider: OpenAIProvider) -> None:
    server.answer(json_reply({"object": "error", "message": "The model does not exist.", "code": 404}, 404))

    assert (await failure(provider)).message == (
        "The worker's OpenAI-compatible server has no model for 'openai:qwen3-8b'; check the name, or its base URL."
    )


@pytest.mark.parametrize(
    "reply",
    [
        wire.refusal(400, "Too long.", code="context_length_exceeded"),
        wire.refusal(400, "request exceeds the available context size", type="exceed_context_size_error", code=400),
        json_reply(
            {"object": "error", "message": "This model's maximum context length is 512 tokens.", "code": 400}, 400
        ),
    ],
    ids=["openai", "llama.cpp", "vllm"],
)
async def test_a_prompt_that_is_too_long_is_told_so(
    server: OpenAIServer, provider: OpenAIProvider, reply: Reply
) -> None:
    server.answer(reply)

    error = await failure(provider)

    assert (error.reason, error.retryable) == (FailureReason.PROMPT_TOO_LARGE, False)
    assert error.message.startswith("The prompt is longer than 'openai:qwen3-8b' reads at once; shorten it: ")


async def test_a_rate_limit_is_passed_on_at_once_with_the_time_asked_for(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    server.answer(wire.refusal(429, "Slow down", {"retry-after": "37"}, code="rate_limit_exceeded"))

    async with asyncio.timeout(60):
        error = await failure(provider)

    assert (error.reason, error.retryable, error.retry_after) == (FailureReason.RATE_LIMITED, True, 37.0)
    assert len(server.requests) == 1


async def test_a_quota_that_is_used_up_is_no_matter_of_patience(server: OpenAIServer, provider: OpenAIProvider) -> None:
    server.answer(wire.refusal(429, "You exceeded your current quota", code="insufficient_quota"))

    error = await failure(provider)

    assert (error.reason, error.retryable) == (FailureReason.CREDENTIALS, False)


@pytest.mark.parametrize(
    ("piece", "reason"),
    [
        (wire.error("boom", type="server_error"), FailureReason.PROVIDER_UNAVAILABLE),
        (wire.error("boom", code=500), FailureReason.PROVIDER_UNAVAILABLE),
        (wire.error("slow down", code="rate_limit_exceeded"), FailureReason.RATE_LIMITED),
        (wire.error("bad", code=400), FailureReason.INVALID_REQUEST),
        (wire.error("bad", type={"odd": 1}), FailureReason.PROVIDER_UNAVAILABLE),
        (wire.data({"error": "boom"}), FailureReason.PROVIDER_UNAVAILABLE),
    ],
    ids=["openai", "vllm", "rate", "bad", "odd", "words"],
)
async def test_an_error_in_mid_stream_comes_after_the_text_before_it(
    server: OpenAIServer, provider: OpenAIProvider, piece: bytes, reason: FailureReason
) -> None:
    server.answer(wire.stream(*wire.text("Hel"), piece))
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
        [wire.DONE],
        [b"data: {not json\n\n"],
        [b"data: [1, 2]\n\n"],
        [b"data: {}\n\n"],
        [wire.data({"choices": [{"delta": None}]})],
        [wire.data({"choices": 3})],
        [wire.chunk(content=["x"])],
        [wire.chunk(tool_calls=[3])],
        [b"data: \xff\xfe\n\n"],
    ],
    ids=[
        "cut",
        "ends early",
        "no reason",
        "no json",
        "a list",
        "empty",
        "no delta",
        "no choices",
        "no text",
        "no call",
        "no utf-8",
    ],
)
async def test_a_broken_or_senseless_stream_can_be_tried_again(
    server: OpenAIServer, provider: OpenAIProvider, rest: list[bytes | Act]
) -> None:
    server.answer(wire.stream(*wire.text("Hel"), *rest))

    stream = provider.stream(PROMPT)

    assert await anext(stream) == Text("Hel")
    with pytest.raises(ProviderError) as caught:
        await anext(stream)
    assert (caught.value.reason, caught.value.retryable) == (FailureReason.PROVIDER_CONNECTION, True)


async def test_an_answer_that_is_no_stream_can_be_tried_again(server: OpenAIServer, provider: OpenAIProvider) -> None:
    server.answer(Reply((b"<html>Welcome to the hotel's network</html>",), headers={"content-type": "text/html"}))

    assert (await failure(provider)).reason is FailureReason.PROVIDER_CONNECTION


ECHO = f"{KEY} sent: {PROMPT.prompt}"
LEAKS = {
    **{f"status {status}": wire.refusal(status, ECHO) for status in (400, 401, 404, 429, 500)},
    "key": wire.refusal(400, f"Incorrect API key provided: {KEY}"),
    "prompt": wire.refusal(400, f"bad: {PROMPT.prompt}"),
    "too long": wire.refusal(400, ECHO, code="context_length_exceeded"),
    "detail": json_reply({"detail": ECHO}, 400),
    "no json": Reply((ECHO.encode(),), 500),
    "mid-stream": wire.stream(wire.error(ECHO)),
    "nonsense": wire.stream(f"data: {ECHO}\n\n".encode()),
}


@pytest.mark.parametrize("reply", LEAKS.values(), ids=LEAKS.keys())
async def test_neither_key_nor_prompt_is_in_an_error_and_the_key_in_no_log_line(
    server: OpenAIServer, provider: OpenAIProvider, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answer(reply)

    with capture_logs() as lines:
        error = await failure(provider)

    assert KEY in server.asked.headers["authorization"]
    assert KEY not in error.message + repr(error) + repr(error.__cause__) + repr(lines) + caplog.text
    assert PROMPT.prompt not in error.message + repr(error) + repr(lines)


async def test_a_key_that_no_header_can_hold_is_not_in_the_error(server: OpenAIServer) -> None:
    provider = OpenAIProvider(f"{KEY}\n", base_url=server.base_url)

    with capture_logs() as lines:
        error = await failure(provider)
    await provider.close()

    assert KEY not in error.message + repr(error) + repr(error.__cause__) + repr(lines)
