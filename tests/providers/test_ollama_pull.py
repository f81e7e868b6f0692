"""A model that is fetched because a task asks for it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing

import ollama
import pytest
from devteam_worker.providers.base import Ended, FailureReason, Progress, Prompt, ProviderError, Text, Token
from devteam_worker.providers.ollama import OllamaProvider
from devteam_worker.providers.ollama_pull import Meter
from structlog.testing import capture_logs

from tests.fakes import ollama_server as wire
from tests.fakes.clock import FakeClock
from tests.fakes.http_server import Act
from tests.fakes.ollama_server import PULLED, OllamaServer

PROMPT = Prompt("ollama:llama3.3", "Hi")
MISSING = wire.refusal(404, "model 'llama3.3' not found")
OK = wire.stream(wire.part("Hi"), wire.done())
MB = 1_000_000


@pytest.fixture
async def server() -> AsyncIterator[OllamaServer]:
    async with OllamaServer() as server:
        server.answer(OK)
        yield server


@pytest.fixture
async def provider(server: OllamaServer) -> AsyncIterator[OllamaProvider]:
    provider = OllamaProvider(server.url, auto_pull=True, clock=FakeClock())
    yield provider
    await provider.close()


async def ask(provider: OllamaProvider, prompt: Prompt = PROMPT) -> list[Token | Ended]:
    return [item async for item in provider.stream(prompt)]


async def failure(provider: OllamaProvider) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(provider)
    return caught.value


def pulled(server: OllamaServer) -> list[object]:
    return server.bodies("/api/pull")


async def test_a_missing_model_is_pulled_and_then_asked(server: OllamaServer, provider: OllamaProvider) -> None:
    server.show(MISSING, context=131_072)
    server.pull(wire.status("pulling manifest"), wire.pulling(50 * MB, 100 * MB), PULLED)

    *before, text, ended = await ask(provider)

    assert before[0] == Progress("pulling llama3.3")
    assert all(isinstance(item, Progress) for item in before)
    assert text == Text("Hi")
    assert isinstance(ended, Ended)
    assert pulled(server) == [{"model": "llama3.3", "stream": True, "insecure": False}]


async def test_a_model_that_went_away_after_it_was_looked_at_is_pulled_too(
    server: OllamaServer, provider: OllamaProvider
) -> None:
    await ask(provider)
    server._replies["/api/chat"] = [MISSING, OK]
    server.pull(PULLED)

    assert Text("Hi") in await ask(provider)


async def test_without_auto_pull_the_owner_is_told_what_to_run(server: OllamaServer) -> None:
    server.show(MISSING)
    provider = OllamaProvider(server.url)

    error = await failure(provider)
    await provider.close()

    assert error.message == "The worker's Ollama has no model 'llama3.3': run `ollama pull llama3.3` on the worker."
    assert pulled(server) == []


async def test_a_model_that_is_missing_even_after_its_pull_is_not_pulled_for_ever(
    server: OllamaServer, provider: OllamaProvider
) -> None:
    server.show(MISSING, MISSING, MISSING)
    server.pull(PULLED)

    assert (await failure(provider)).reason is FailureReason.MODEL_NOT_FOUND
    assert len(pulled(server)) == 1


@pytest.mark.parametrize(
    ("pieces", "reason", "message"),
    [
        (
            [wire.error("pull model manifest: file does not exist")],
            FailureReason.MODEL_NOT_FOUND,
            "There is no model 'llama3.3' to pull for the worker's Ollama; check its name.",
        ),
        (
            [wire.pulling(1, 2), wire.error("no space left on device")],
            FailureReason.PROVIDER_UNAVAILABLE,
            "The worker's Ollama could not pull 'llama3.3': no space left on device.",
        ),
        ([wire.pulling(1, 2), Act.CUT], FailureReason.PROVIDER_CONNECTION, ""),
        ([wire.pulling(1, 2)], FailureReason.PROVIDER_CONNECTION, ""),
        ([b"{no json\n"], FailureReason.PROVIDER_CONNECTION, ""),
    ],
    ids=["no such model", "disk full", "cut", "ends early", "no json"],
)
async def test_a_pull_that_fails_is_told_as_it_is(
    server: OllamaServer, provider: OllamaProvider, pieces: list[bytes | Act], reason: FailureReason, message: str
) -> None:
    server.show(MISSING)
    server.pull(*pieces)

    error = await failure(provider)

    assert error.reason is reason
    assert message in error.message


async def test_a_name_that_cannot_be_pulled_is_refused(server: OllamaServer, provider: OllamaProvider) -> None:
    server.show(MISSING)
    server.reply("/api/pull", wire.refusal(400, "invalid model name"))

    error = await failure(provider)

    assert (error.reason, error.retryable) == (FailureReason.INVALID_REQUEST, False)
    assert error.message == "The worker's Ollama could not pull 'llama3.3': invalid model name."


async def test_after_a_failed_pull_the_next_run_starts_another(server: OllamaServer, provider: OllamaProvider) -> None:
    server.show(MISSING, MISSING, context=131_072)
    server.pull(Act.CUT)
    server.pull(PULLED)

    await failure(provider)

    assert Text("Hi") in await ask(provider)
    assert len(pulled(server)) == 2


async def test_runs_that_want_the_same_model_share_one_pull(server: OllamaServer, provider: OllamaProvider) -> None:
    server.show(MISSING, MISSING, MISSING, context=131_072)
    server.pull(wire.pulling(MB, 100 * MB), Act.PAUSE, PULLED)

    async with asyncio.timeout(60):
        streams = [provider.stream(PROMPT) for _ in range(3)]
        for stream in streams:
            while await anext(stream) != Progress("pulling llama3.3: 1 % (1 of 100 MB)"):
                pass
        server.go.set()
        answers = [[item async for item in stream] for stream in streams]

    assert all(Text("Hi") in answer for answer in answers)
    assert len(pulled(server)) == 1


async def test_who_stops_waiting_leaves_the_pull_to_the_others(server: OllamaServer, provider: OllamaProvider) -> None:
    server.show(MISSING, MISSING, context=131_072)
    server.pull(Act.PAUSE, wire.pulling(50 * MB, 100 * MB), PULLED)

    async with asyncio.timeout(60):
        async with aclosing(provider.stream(PROMPT)) as leaving:
            await anext(leaving)
            staying = provider.stream(PROMPT)
            await anext(staying)
        server.go.set()
        heard = [item async for item in staying]
    assert heard[:2] == [Progress("pulling llama3.3: 50 % (50 of 100 MB)"), Text("Hi")]
    assert len(pulled(server)) == 1


@pytest.mark.parametrize("how", ["closed", "cancelled"])
async def test_a_pull_stops_when_nobody_waits_for_it(server: OllamaServer, provider: OllamaProvider, how: str) -> None:
    server.show(MISSING)
    server.pull(wire.pulling(MB, 100 * MB), Act.HOLD)
    stream = provider.stream(PROMPT)

    async with asyncio.timeout(60):
        while await anext(stream) != Progress("pulling llama3.3: 1 % (1 of 100 MB)"):
            pass
        if how == "closed":
            await stream.aclose()
        else:
            waiting = asyncio.ensure_future(anext(stream))
            await server.holding.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await server.client_left.wait()


async def test_a_closing_worker_stops_its_pulls(server: OllamaServer) -> None:
    server.show(MISSING)
    server.pull(Act.HOLD)
    provider = OllamaProvider(server.url, auto_pull=True)
    stream = provider.stream(PROMPT)

    async with asyncio.timeout(60):
        await anext(stream)
        await server.holding.wait()
        (pull,) = provider._pulls._running.values()
        await provider.close()
        assert pull.over
        await server.client_left.wait()
        await stream.aclose()


async def test_the_key_is_in_no_sentence_and_no_log_line_of_a_failed_pull(
    server: OllamaServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = "ollama-canary-4711"
    monkeypatch.setenv("OLLAMA_API_KEY", key)
    caplog.set_level(logging.DEBUG)
    server.show(MISSING)
    server.pull(wire.error(f"registry refused {key}"))
    provider = OllamaProvider(server.url, auto_pull=True)

    with capture_logs() as lines:
        error = await failure(provider)
    await provider.close()

    assert key in server.asked.headers["authorization"]
    assert error.message == "The worker's Ollama could not pull 'llama3.3'."
    assert key not in repr(error) + repr(error.__cause__) + repr(lines) + caplog.text


def report(completed: int, total: int = 1_000 * MB, digest: str = "a") -> ollama.ProgressResponse:
    return ollama.ProgressResponse(status="pulling a", digest=digest, total=total, completed=completed)


def test_a_pull_is_told_once_a_percent() -> None:
    meter = Meter(FakeClock())

    told = [meter.read(report(completed * MB)) for completed in range(1_001)]

    assert len([text for text in told if text]) == 101
    assert (told[0], told[9], told[10]) == ("0 % (0 of 1,000 MB)", None, "1 % (10 of 1,000 MB)")


def test_a_pull_that_is_slow_is_told_of_while_it_moves_and_one_that_stands_still_is_not() -> None:
    clock = FakeClock()
    meter = Meter(clock)
    meter.read(report(0))

    clock.advance(29)
    early = meter.read(report(MB))
    clock.advance(1)
    moving = meter.read(report(2 * MB))
    clock.advance(300)

    assert (early, moving) == (None, "0 % (2 of 1,000 MB)")
    assert meter.read(report(2 * MB)) is None


def test_layers_count_together_and_the_percentage_never_goes_back() -> None:
    meter = Meter(FakeClock())

    assert meter.read(report(500 * MB)) == "50 % (500 of 1,000 MB)"
    assert meter.read(report(0, 1_000 * MB, "b")) is None
    assert meter.read(report(200 * MB, 1_000 * MB, "b")) is None
    assert meter.read(report(600 * MB, 1_000 * MB, "b")) == "55 % (1,100 of 2,000 MB)"


def test_steps_that_have_no_measure_are_told_by_their_name() -> None:
    meter = Meter(FakeClock())

    told = [
        meter.read(ollama.ProgressResponse(status=text)) for text in ("pulling manifest", "writing manifest", "success")
    ]

    assert told == [None, "writing manifest", None]
