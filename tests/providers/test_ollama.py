import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from devteam_worker.providers.base import (
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
from devteam_worker.providers.ollama import OllamaProvider
from structlog.testing import capture_logs

from tests.fakes import ollama_server as wire
from tests.fakes.http_server import Act, Reply, json_reply
from tests.fakes.ollama_server import OllamaServer

PROMPT = Prompt("ollama:llama3.3", "Why is the sky blue? Answer in one sentence, with care and with love.")
OK = wire.stream(wire.part("Hel"), wire.part("lo"), wire.done())


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


async def failure(provider: OllamaProvider, prompt: Prompt = PROMPT) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(provider, prompt)
    return caught.value


async def test_text_comes_piece_by_piece_and_the_end_counts_tokens(
    server: OllamaServer, provider: OllamaProvider
) -> None:
    server.answer(OK)

    assert await ask(provider) == [Text("Hel"), Text("lo"), Ended("llama3.3", "stop", Usage(26, 3))]


async def test_thinking_comes_apart_from_text(server: OllamaServer, provider: OllamaProvider) -> None:
    server.answer(wire.stream(wire.part(thinking="Hm."), wire.part("Hi"), wire.done()))

    assert (await ask(provider))[:2] == [Thinking("Hm."), Text("Hi")]


async def test_a_plain_request_names_the_model_as_ollama_does(server: OllamaServer, provider: OllamaProvider) -> None:
    server.answer(OK)

    await ask(provider)

    assert server.asked.body == {
        "model": "llama3.3",
        "messages": [{"role": "user", "content": PROMPT.prompt}],
        "stream": True,
        "truncate": False,
        "shift": False,
        "options": {"num_ctx": 8192},
    }


async def test_options_pass_through_as_whole_numbers_where_they_are_and_limits_become_ollamas(
    server: OllamaServer, provider: OllamaProvider
) -> None:
    server.answer(OK)
    schema = {"type": "array", "minItems": 2.0}
    options = {"num_ctx": 2048.0, "temperature": 0.5, "thinking": True, "format": schema}

    await ask(provider, Prompt("ollama:qwen3:8b", "Hi", "Be brief.", max_tokens=99, effort="high", options=options))

    assert server.asked.body == {
        "model": "qwen3:8b",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "think": "high",
        "format": {"type": "array", "minItems": 2},
        "stream": True,
        "truncate": False,
        "shift": False,
        "options": {"num_ctx": 2048, "temperature": 0.5, "num_predict": 99},
    }


@pytest.mark.parametrize("keep_alive", ["30m", 0, -1])
async def test_how_long_a_model_stays_in_memory_is_the_workers_choice_unless_the_task_has_one(
    server: OllamaServer, keep_alive: str | int
) -> None:
    server.answer(OK)
    provider = OllamaProvider(server.url, keep_alive=keep_alive)

    await ask(provider)
    await ask(provider, Prompt("ollama:x", "Hi", options={"keep_alive": 60.0}))
    await provider.close()

    assert [body["keep_alive"] for body in server.bodies("/api/chat")] == [keep_alive, 60]


async def test_an_alias_may_stand_for_a_local_model(server: OllamaServer) -> None:
    server.answer(OK)
    provider = OllamaProvider(server.url, aliases={"fast": "ollama:llama3.2"})

    await ask(provider, Prompt("fast", "Hi"))
    await provider.close()

    assert server.asked.body["model"] == "llama3.2"


async def test_an_answer_cut_by_its_limit_ends_with_that_reason(server: OllamaServer, provider: OllamaProvider) -> None:
    server.answer(wire.stream(wire.part("Hel"), wire.done("length")))

    assert (await ask(provider))[-1] == Ended("llama3.3", "length", Usage(26, 3))


@pytest.mark.parametrize(
    ("status", "reason", "retryable", "message"),
    [
        (
            400,
            FailureReason.INVALID_REQUEST,
            False,
            'Ollama refused the request as invalid: "llama3.3" does not support thinking.',
        ),
        (
            404,
            FailureReason.MODEL_NOT_FOUND,
            False,
            "The worker's Ollama has no model 'llama3.3': run `ollama pull llama3.3` on the worker.",
        ),
        (
            401,
            FailureReason.CREDENTIALS,
            False,
            "Ollama does not accept the worker's credentials; check OLLAMA_API_KEY there.",
        ),
        (429, FailureReason.RATE_LIMITED, True, 'Ollama asks for patience: "llama3.3" does not support thinking.'),
        (
            500,
            FailureReason.PROVIDER_UNAVAILABLE,
            True,
            'The worker\'s Ollama failed: "llama3.3" does not support thinking.',
        ),
        (
            503,
            FailureReason.PROVIDER_UNAVAILABLE,
            True,
            'The worker\'s Ollama failed: "llama3.3" does not support thinking.',
        ),
    ],
)
async def test_each_status_has_its_reason_and_its_sentence(
    server: OllamaServer,
    provider: OllamaProvider,
    status: int,
    reason: FailureReason,
    retryable: bool,
    message: str,
) -> None:
    server.answer(wire.refusal(status, '"llama3.3" does not support thinking'))

    error = await failure(provider)

    assert (error.reason, error.retryable, error.message) == (reason, retryable, message)


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ([b'{"error": "out of memory"}\n'], FailureReason.PROVIDER_UNAVAILABLE),
        ([b'{"error": {"code": 7}}\n'], FailureReason.PROVIDER_CONNECTION),
        ([Act.CUT], FailureReason.PROVIDER_CONNECTION),
        ([], FailureReason.PROVIDER_CONNECTION),
        ([b"{not json\n"], FailureReason.PROVIDER_CONNECTION),
        ([b"[1, 2]\n"], FailureReason.PROVIDER_CONNECTION),
        ([b'{"message": 3}\n'], FailureReason.PROVIDER_CONNECTION),
    ],
    ids=["error", "odd error", "cut", "ends early", "no json", "a list", "no message"],
)
async def test_whatever_breaks_an_answer_comes_after_the_text_before_it_and_can_be_tried_again(
    server: OllamaServer, provider: OllamaProvider, rest: list[bytes | Act], reason: FailureReason
) -> None:
    server.answer(wire.stream(wire.part("Hel"), *rest))
    stream = provider.stream(PROMPT)

    assert await anext(stream) == Text("Hel")
    with pytest.raises(ProviderError) as caught:
        await anext(stream)
    assert (caught.value.reason, caught.value.retryable) == (reason, True)


async def test_a_rate_limit_is_passed_on_at_once_with_the_time_asked_for(
    server: OllamaServer, provider: OllamaProvider
) -> None:
    server.answer(json_reply({"error": "hourly usage limit"}, 429, {"retry-after": "37"}))

    error = await failure(provider)

    assert (error.reason, error.retry_after) == (FailureReason.RATE_LIMITED, 37.0)
    assert error.message == "Ollama asks for patience: hourly usage limit."
    assert len(server.bodies("/api/chat")) == 1


async def test_a_slow_first_token_is_waited_for(server: OllamaServer, provider: OllamaProvider) -> None:
    server.answer(wire.stream(Act.PAUSE, wire.part("Hi"), wire.done()))
    asking = asyncio.create_task(ask(provider))

    async with asyncio.timeout(60):
        await server.holding.wait()
        assert not asking.done()
        server.go.set()
        assert (await asking)[0] == Text("Hi")


async def test_a_server_that_is_not_there_can_be_started() -> None:
    async with OllamaServer() as gone:
        pass
    provider = OllamaProvider(gone.url)

    error = await failure(provider)
    with pytest.raises(ProviderError) as listing:
        await provider.models()
    await provider.close()

    expected = "The worker's Ollama does not answer: run `ollama serve` on the worker."
    assert [error.message, listing.value.message] == [expected, expected]
    assert error.retryable


async def test_a_silent_connection_is_given_up(server: OllamaServer) -> None:
    server.answer(wire.stream(Act.HOLD))
    provider = OllamaProvider(server.url, read_timeout=0.05)

    error = await failure(provider)
    await provider.close()

    assert error.reason is FailureReason.PROVIDER_CONNECTION


@pytest.mark.parametrize("before", [(), (wire.part("Hel"),)], ids=["headers", "text"])
async def test_cancelling_closes_the_socket(
    server: OllamaServer, provider: OllamaProvider, before: tuple[bytes, ...]
) -> None:
    server.answer(wire.stream(*before, Act.HOLD))
    asking = asyncio.create_task(ask(provider))

    async with asyncio.timeout(60):
        await server.holding.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await server.client_left.wait()


async def test_closing_the_generator_closes_the_socket(server: OllamaServer, provider: OllamaProvider) -> None:
    server.answer(wire.stream(wire.part("Hel"), Act.HOLD))
    stream = provider.stream(PROMPT)

    async with asyncio.timeout(60):
        assert await anext(stream) == Text("Hel")
        await stream.aclose()
        await server.client_left.wait()


async def test_models_are_what_is_installed_with_what_is_in_memory(
    server: OllamaServer, provider: OllamaProvider
) -> None:
    server.install({"llama3.3:70b": 42_000_000_000, "dolphin3:latest": 5_000_000_000}, loaded=("dolphin3:latest",))

    assert await provider.models() == [
        LocalModel("ollama:llama3.3:70b", resident=False, size_bytes=42_000_000_000),
        LocalModel("ollama:dolphin3", resident=True, size_bytes=5_000_000_000),
    ]


KEY = "ollama-canary-4711"
ECHO = f"{KEY} sent: {PROMPT.prompt}"
LEAKS = {
    **{f"status {status}": wire.refusal(status, ECHO) for status in (400, 401, 404, 429, 500)},
    "key": wire.refusal(400, f"bad key: {KEY}"),
    "prompt": wire.refusal(400, f"bad: {PROMPT.prompt}"),
    "mid-stream": wire.stream(b'{"error": "%s"}\n' % ECHO.encode()),
    "nonsense": wire.stream(ECHO.encode() + b"\n"),
}


@pytest.mark.parametrize("reply", LEAKS.values(), ids=LEAKS.keys())
async def test_neither_key_nor_prompt_is_in_an_error_and_the_key_in_no_log_line(
    server: OllamaServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    server.answer(reply)
    provider = OllamaProvider(server.url)

    with capture_logs() as lines:
        error = await failure(provider)
    await provider.close()

    assert KEY in server.asked.headers["authorization"]
    assert KEY not in error.message + repr(error) + repr(error.__cause__) + repr(lines) + caplog.text
    assert PROMPT.prompt not in error.message + repr(error) + repr(lines)
