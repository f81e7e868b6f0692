import asyncio
import contextlib
import sys
from collections.abc import Mapping

import pytest
from devteam_worker.providers.base import Ended, FailureReason, Prompt, ProviderError, Text, Thinking, Token, Usage
from devteam_worker.providers.sim import SimProvider

from devteam.mesh.clock import SystemClock
from devteam.v1 import run_pb2
from tests.fakes.clock import FakeClock

NOTE = "*Simulated answer: no model was asked.*"
RESEARCHER = "You are a research analyst with access to web search. Gather information from multiple sources."
ANALYST = "You are a senior analyst specializing in pattern recognition. Identify trends in the research data."
WRITER = "You are a professional report writer. Create clear reports with executive summaries."


async def ask(prompt: Prompt, provider: SimProvider | None = None) -> list[Token | Ended]:
    return [item async for item in (provider or SimProvider(SystemClock())).stream(prompt)]


async def text(prompt: str, system_prompt: str = "", **options: object) -> str:
    items = await ask(Prompt("sim", prompt, system_prompt, options=options))
    return "".join(item.text for item in items if isinstance(item, Text))


async def failure(options: Mapping[str, object], model: str = "sim") -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(Prompt(model, "Hi", options=options))
    return caught.value


def test_reasons_are_the_contracts_reasons() -> None:
    contract = {name.removeprefix("FAILURE_REASON_") for name in run_pb2.FailureReason.DESCRIPTOR.values_by_name} - {
        "UNSPECIFIED"
    }

    assert {reason.value for reason in FailureReason} == contract


async def test_the_same_prompt_and_options_give_the_same_words_and_another_seed_gives_others() -> None:
    first, again, other = [await text("Why?", ANALYST, seed=seed) for seed in (1, 1, 2)]

    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("system_prompt", "title"),
    [(RESEARCHER, "# Findings: tides"), (ANALYST, "# Insights: tides"), (WRITER, "# Report: tides")],
)
async def test_an_answer_says_that_it_is_simulated_and_is_shaped_by_its_role(system_prompt: str, title: str) -> None:
    assert (await text("Research the topic: tides", system_prompt)).startswith(f"{NOTE}\n\n{title}\n\n")


async def test_without_a_role_the_answer_is_a_plain_one() -> None:
    assert "# Answer: Where is the tower" in await text("Where is the tower?")


async def test_what_came_from_upstream_is_quoted_downstream() -> None:
    findings = await text("Research the topic: tidal power", RESEARCHER)
    insights = await text(f"Analyze research findings: {findings}", ANALYST)
    report = await text(f"Write a report based on analysis: {insights}", WRITER)

    assert "We looked at tidal power from several sides" in insights
    assert "## Executive summary\n\nThis report is about tidal power." in report
    assert "The data on tidal power shows a pattern" in report
    assert report.count(NOTE) == 1


@pytest.mark.parametrize("prompt", ["", "   \n", "---", "{quote} {nothing[0]} %s", "\x00", "語" * 50_000, "a: " * 9000])
async def test_any_prompt_gets_an_answer_of_bounded_words(prompt: str) -> None:
    assert 0 < len(await text(prompt, tokens=300)) < 60_000


async def test_the_length_is_exact_and_counted() -> None:
    items = await ask(Prompt("sim", "one two three", "four five", options={"tokens": 500.0, "thinking": 20}))

    assert [sum(isinstance(item, kind) for item in items) for kind in (Thinking, Text)] == [20, 500]
    assert items[-1] == Ended("sim", "end_turn", Usage(input_tokens=5, output_tokens=520))


async def test_max_tokens_cuts_thinking_included() -> None:
    items = await ask(Prompt("sim", "Hi", max_tokens=30, options={"tokens": 500, "thinking": 20}))

    assert [sum(isinstance(item, kind) for item in items) for kind in (Thinking, Text)] == [20, 10]
    assert items[-1] == Ended("sim", "max_tokens", Usage(input_tokens=1, output_tokens=30))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokns": 5}, "The options of sim are wrong: 'tokns' is unknown (did you mean 'tokens'?)."),
        (
            {"tokens": -1, "fail": "now", "seed": 0.5},
            (
                "The options of sim are wrong: fail must be one of rate_limited, overloaded, invalid_request, refused, "
                "truncated, connection, crash, hang; seed must be a whole number; "
                "tokens must be a number from 0 to 1,000,000."
            ),
        ),
        ({"tokens": True}, "The options of sim are wrong: tokens must be a number from 0 to 1,000,000."),
        (
            {"tokens_per_second": float("nan")},
            "The options of sim are wrong: tokens_per_second must be a number from 0 to 1,000,000.",
        ),
    ],
)
async def test_wrong_options_are_refused_all_at_once(options: Mapping[str, object], message: str) -> None:
    error = await failure(options)

    assert (error.reason, error.message) == (FailureReason.INVALID_REQUEST, message)


async def test_options_meant_for_the_simulated_model_are_left_alone() -> None:
    items = await ask(Prompt("ollama:llama3.3", "Hi", options={"num_ctx": 8192, "thinking": True, "tokens": 3}))

    assert [sum(isinstance(item, kind) for item in items) for kind in (Thinking, Text)] == [24, 3]


@pytest.mark.parametrize(
    ("kind", "reason", "retryable", "retry_after"),
    [
        ("rate_limited", FailureReason.RATE_LIMITED, True, 1.0),
        ("overloaded", FailureReason.PROVIDER_UNAVAILABLE, True, None),
        ("invalid_request", FailureReason.INVALID_REQUEST, False, None),
        ("refused", FailureReason.REFUSED, False, None),
        ("connection", FailureReason.PROVIDER_CONNECTION, True, None),
    ],
)
async def test_each_failure_on_request_has_its_reason(
    kind: str, reason: FailureReason, retryable: bool, retry_after: float | None
) -> None:
    error = await failure({"fail": kind})

    assert (error.reason, error.retryable, error.retry_after) == (reason, retryable, retry_after)


async def test_a_failure_comes_after_exactly_as_many_tokens_as_asked_for() -> None:
    stream = SimProvider(SystemClock()).stream(Prompt("sim", "Hi", options={"fail": "refused", "fail_after": 3}))

    assert [type(await anext(stream)) for _ in range(3)] == [Text, Text, Text]
    with pytest.raises(ProviderError):
        await anext(stream)


async def test_truncated_ends_as_if_cut_by_max_tokens() -> None:
    items = await ask(Prompt("sim", "Hi", options={"fail": "truncated", "fail_after": 4}))

    assert items[-1] == Ended("sim", "max_tokens", Usage(input_tokens=1, output_tokens=4))


async def test_hang_never_says_another_token_and_can_be_cancelled() -> None:
    stream = SimProvider(FakeClock()).stream(Prompt("sim", "Hi", options={"fail": "hang", "fail_after": 1}))
    assert isinstance(await anext(stream), Text)

    waiting = asyncio.ensure_future(anext(stream))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not waiting.done()

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


CRASH = """
import asyncio
from devteam.mesh.clock import SystemClock
from devteam_worker.providers.base import Prompt
from devteam_worker.providers.sim import SimProvider, kill_process

async def main():
    sim = SimProvider(SystemClock(), crash=kill_process)
    stream = sim.stream(Prompt("sim", "Hi", options={"fail": "crash", "fail_after": 2}))
    async for item in stream:
        print("token", flush=True)

asyncio.run(main())
"""


async def test_a_worker_does_not_crash_on_demand_unless_its_owner_allows_it(clock: FakeClock) -> None:
    with pytest.raises(ProviderError) as caught:
        async for _ in SimProvider(clock).stream(Prompt("sim", "Hi", options={"fail": "crash", "fail_after": 2})):
            pass
    assert caught.value.reason is FailureReason.INVALID_REQUEST


async def test_crash_ends_the_process_after_its_tokens() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", CRASH, stdout=asyncio.subprocess.PIPE)
    output, _ = await asyncio.wait_for(process.communicate(), 60)

    assert (output, process.returncode) == (b"token\ntoken\n", 70)


class ListeningClock(FakeClock):
    """Moves on by itself whenever somebody sleeps, a little longer than asked for."""

    def __init__(self, oversleep: float) -> None:
        super().__init__()
        self.oversleep = oversleep
        self.sleeps = 0

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        self.advance(seconds + self.oversleep)


async def test_oversleeping_does_not_add_up_and_makes_fewer_wakeups() -> None:
    clock = ListeningClock(oversleep=0.005)
    begin = clock.monotonic()

    await ask(Prompt("sim", "Hi", options={"tokens": 2001, "tokens_per_second": 2000}), SimProvider(clock))

    assert clock.monotonic() - begin == pytest.approx(1.0, abs=0.0051)
    assert clock.sleeps < 2000 / 5


async def test_the_first_token_waits_and_a_task_may_overrule_the_providers_pace() -> None:
    clock = ListeningClock(oversleep=0.0)
    begin = clock.monotonic()
    provider = SimProvider(clock, tokens_per_second=10, first_token_ms=500)

    await ask(Prompt("sim", "Hi", options={"tokens": 11}), provider)
    slow = clock.monotonic()
    await ask(Prompt("sim", "Hi", options={"tokens": 11, "tokens_per_second": 100, "first_token_ms": 0}), provider)

    assert slow - begin == pytest.approx(1.5)
    assert clock.monotonic() - slow == pytest.approx(0.1)


async def test_as_fast_as_possible_still_lets_others_run() -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    await ask(Prompt("sim", "Hi", options={"tokens": 6400}))
    counting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await counting

    assert turns >= 90
