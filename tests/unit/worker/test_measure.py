"""What a worker's metrics say."""

from collections.abc import AsyncIterator

import pytest
from devteam_worker.measure import begin, measured
from devteam_worker.providers.base import FailureReason, ProviderError, Usage

from tests.fakes.clock import FakeClock
from tests.fakes.scrape import metered, scraped

CHAT = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "ollama", "gen_ai_request_model": "llama"}
FIRST = "gen_ai_client_operation_time_to_first_chunk_seconds"
DURATION = "gen_ai_client_operation_duration_seconds"


@pytest.fixture(autouse=True)
async def collecting() -> AsyncIterator[None]:
    async with metered():
        yield


async def test_a_question_tells_its_first_word_its_length_and_its_tokens(clock: FakeClock) -> None:
    with measured("ollama", "llama", clock) as measure:
        clock.advance(0.5)
        measure.spoke()
        clock.advance(1)
        measure.spoke()
        measure.ended(Usage(input_tokens=100, output_tokens=7))
        clock.advance(0.5)
    scrape = await scraped()
    assert (scrape.value(f"{FIRST}_sum", **CHAT), scrape.value(f"{FIRST}_count", **CHAT)) == (0.5, 1)
    assert (scrape.value(f"{DURATION}_sum", **CHAT), scrape.value(f"{DURATION}_count", **CHAT)) == (2, 1)
    usage = {
        kind: scrape.value("gen_ai_client_token_usage_sum", gen_ai_token_type=kind, **CHAT)
        for kind in ("input", "output")
    }
    assert usage == {"input": 100, "output": 7}


async def test_errors_of_providers_begin_at_0(clock: FakeClock) -> None:
    begin(["ollama"])
    errors = (await scraped()).of("devteam_provider_errors_total", "reason")
    assert set(errors.values()) == {0}
    assert {"CREDENTIALS", "RATE_LIMITED", "PROVIDER_UNAVAILABLE"} < set(errors)


async def test_a_provider_that_fails_is_counted_with_its_reason(clock: FakeClock) -> None:
    def fails() -> None:
        clock.advance(3)
        raise ProviderError(FailureReason.PROVIDER_UNAVAILABLE, "it is away")

    with pytest.raises(ProviderError), measured("ollama", "llama", clock):
        fails()
    scrape = await scraped()
    errors = "devteam_provider_errors_total"
    assert scrape.value(errors, provider="ollama", reason="PROVIDER_UNAVAILABLE") == 1
    assert scrape.value(f"{DURATION}_sum", error_type="PROVIDER_UNAVAILABLE", **CHAT) == 3
    assert scrape.value(f"{FIRST}_count", **CHAT) is None


async def test_a_question_that_is_broken_off_counts_as_nothing(clock: FakeClock) -> None:
    with pytest.raises(KeyboardInterrupt), measured("ollama", "llama", clock):
        raise KeyboardInterrupt
    assert DURATION not in (await scraped()).text
