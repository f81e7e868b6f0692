"""How many tokens a model is given to read at once: enough for the prompt, and nothing is cut."""

from collections.abc import AsyncIterator

import pytest
from devteam_worker.providers.base import Ended, FailureReason, Prompt, ProviderError, Text, Token
from devteam_worker.providers.ollama import OllamaProvider
from devteam_worker.providers.ollama_window import at_least, at_most, fitting

from tests.fakes import ollama_server as wire
from tests.fakes.http_server import json_reply
from tests.fakes.ollama_server import OllamaServer

PROMPT = Prompt("ollama:llama3.3", "Hi")
OK = wire.stream(wire.part("Hi"), wire.done())


@pytest.fixture
async def server() -> AsyncIterator[OllamaServer]:
    async with OllamaServer() as server:
        server.answer(OK)
        yield server


@pytest.fixture
async def provider(server: OllamaServer) -> AsyncIterator[OllamaProvider]:
    provider = OllamaProvider(server.url)
    yield provider
    await provider.close()


async def ask(provider: OllamaProvider, prompt: Prompt = PROMPT) -> list[Token | Ended]:
    return [item async for item in provider.stream(prompt)]


async def failure(provider: OllamaProvider, prompt: Prompt) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(provider, prompt)
    return caught.value


def windows(server: OllamaServer) -> list[int]:
    return [body["options"]["num_ctx"] for body in server.bodies("/api/chat")]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("0123456789 0123456789", 21),
        ("for (int i = 0; i < n; i++) { sum += a[i]; }", 25),
        ("天空为什么是蓝色的", 9),
        ("🎉🎉🎉", 6),
        ("", 0),
    ],
)
def test_a_text_is_never_taken_for_shorter_than_it_is(text: str, tokens: int) -> None:
    """The tokens that a vocabulary of today makes of it, with a digit each its own."""
    assert at_least(text) <= tokens <= at_most(text) <= 2 * tokens + 10


@pytest.mark.parametrize(
    ("wanted", "limit", "loaded", "size"),
    [
        (100, 0, 0, 4_096),
        (4_096, 0, 0, 4_096),
        (4_097, 0, 0, 8_192),
        (9_000, 10_000, 0, 10_000),
        (100, 2_048, 0, 2_048),
        (100, 131_072, 32_768, 32_768),
        (50_000, 131_072, 32_768, 65_536),
        (100, 2_048, 4_096, 4_096),
    ],
    ids=["small", "exact", "next", "limited", "small model", "kept", "grows", "kept beyond the limit"],
)
def test_a_window_is_the_next_power_of_two_within_its_limit_or_what_is_there(
    wanted: int, limit: int, loaded: int, size: int
) -> None:
    assert fitting(wanted, limit=limit, loaded=loaded) == size


async def test_a_long_prompt_and_a_long_answer_widen_the_window(server: OllamaServer, provider: OllamaProvider) -> None:
    await ask(provider)
    await ask(provider, Prompt("ollama:llama3.3", "why " * 12_000))
    await ask(provider, Prompt("ollama:llama3.3", "Hi", max_tokens=60_000))

    assert windows(server) == [8_192, 32_768, 65_536]


async def test_a_model_is_looked_at_once(server: OllamaServer, provider: OllamaProvider) -> None:
    await ask(provider)
    await ask(provider)

    assert server.bodies("/api/show") == [{"model": "llama3.3"}]


async def test_a_model_is_given_no_more_than_it_can_read(server: OllamaServer, provider: OllamaProvider) -> None:
    server.show(context=5_000)

    await ask(provider, Prompt("ollama:llama3.3", "Hi", max_tokens=60_000))

    assert windows(server) == [5_000]


async def test_a_window_in_memory_that_is_large_enough_is_kept(server: OllamaServer, provider: OllamaProvider) -> None:
    server.load(32_768)

    await ask(provider)

    assert windows(server) == [32_768]


async def test_another_models_window_is_no_matter(server: OllamaServer, provider: OllamaProvider) -> None:
    server.load(32_768, "llama3.3:70b")

    await ask(provider)

    assert windows(server) == [8_192]


async def test_the_owner_bounds_the_window_and_a_task_has_the_last_word(server: OllamaServer) -> None:
    provider = OllamaProvider(server.url, num_ctx=6_000)

    await ask(provider)
    await ask(provider, Prompt("ollama:llama3.3", "Hi", options={"num_ctx": 16_384.0}))
    await provider.close()

    assert windows(server) == [6_000, 16_384]


@pytest.mark.parametrize(
    ("num_ctx", "remedy"),
    [(None, "name a model that reads more"), (1_024, "raise ollama.numCtx on the worker")],
    ids=["model", "owner"],
)
async def test_a_prompt_that_cannot_fit_is_not_even_sent(
    server: OllamaServer, num_ctx: int | None, remedy: str
) -> None:
    server.show(context=2_048)
    provider = OllamaProvider(server.url, num_ctx=num_ctx)

    error = await failure(provider, Prompt("ollama:llama3.3", "why " * 2_100))
    await provider.close()

    assert (error.reason, error.retryable) == (FailureReason.PROMPT_TOO_LARGE, False)
    tokens = num_ctx or 2_048
    assert error.message == (
        f"The prompt does not fit into the {tokens} tokens that 'llama3.3' reads at once; shorten it, or {remedy}."
    )
    assert windows(server) == []


@pytest.mark.parametrize(
    "words",
    [
        "the input length exceeds the context length",
        "request (351 tokens) exceeds the available context size (256 tokens), try increasing it",
        '{"error":{"code":400,"type":"exceed_context_size_error","n_ctx":256}}',
        "the prompt is longer than the context length currently available to the model",
        "input length (351 tokens) exceeds the model's maximum context length (256 tokens)",
    ],
    ids=["older", "llama.cpp", "raw", "runner", "mlx"],
)
@pytest.mark.parametrize("status", [400, 500])
async def test_what_the_server_refuses_as_too_long_is_told_so(
    server: OllamaServer, provider: OllamaProvider, words: str, status: int
) -> None:
    """Where only the server could count: it was told to cut nothing."""
    server.show(context=8_192)
    server.answer(wire.refusal(status, words))
    await ask(provider)

    error = await failure(provider, PROMPT)
    own = await failure(provider, Prompt("ollama:llama3.3", "Hi", options={"num_ctx": 256.0}))

    assert (error.reason, own.reason) == (FailureReason.PROMPT_TOO_LARGE, FailureReason.PROMPT_TOO_LARGE)
    assert error.message.endswith(
        "8192 tokens that 'llama3.3' reads at once; shorten it, or name a model that reads more."
    )
    assert own.message.endswith("or give the step a larger num_ctx.")


@pytest.mark.parametrize(
    "reply",
    [
        json_reply({}, 500),
        json_reply({"model_info": {}}),
        json_reply({"nothing": 1}),
        json_reply({"model_info": {"general.architecture": "x", "x.context_length": "y"}}),
    ],
    ids=["refused", "empty", "another shape", "no number"],
)
async def test_a_server_that_tells_nothing_of_a_model_is_asked_all_the_same(
    server: OllamaServer, provider: OllamaProvider, reply: object
) -> None:
    server._replies["/api/show"] = [reply]  # type: ignore[list-item]  # parametrize leaves it an object

    assert (await ask(provider))[0] == Text("Hi")
    assert windows(server) == [8_192]
