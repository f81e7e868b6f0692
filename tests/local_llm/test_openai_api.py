"""Our OpenAI provider against a real inference server, not one that we wrote ourselves."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from devteam_worker.providers.base import Ended, FailureReason, Prompt, ProviderError, Text
from devteam_worker.providers.openai import OpenAIProvider

pytestmark = pytest.mark.local_llm

PATIENCE = 120.0


@pytest.fixture
async def provider(inference_url: str) -> AsyncIterator[OpenAIProvider]:
    provider = OpenAIProvider(base_url=f"{inference_url}/v1")
    yield provider
    await provider.close()


async def ask(provider: OpenAIProvider, prompt: str, max_tokens: int = 48) -> tuple[str, Ended]:
    text = ""
    async with asyncio.timeout(PATIENCE):
        async for item in provider.stream(Prompt("openai:local", prompt, "You are brief.", max_tokens=max_tokens)):
            if isinstance(item, Text):
                text += item.text
            elif isinstance(item, Ended):
                return text, item
    raise AssertionError("it has no end")


async def test_it_answers_token_by_token_and_counts_them(provider: OpenAIProvider) -> None:
    text, ended = await ask(provider, "Name three colours of the rainbow.")
    assert text.strip()
    assert ended.usage.input_tokens > 5
    assert 0 < ended.usage.output_tokens <= 48


async def test_what_hits_its_bound_says_so(provider: OpenAIProvider) -> None:
    _, ended = await ask(provider, "Count from one to a thousand.", max_tokens=4)
    assert (ended.stop_reason, ended.usage.output_tokens) == ("length", 4)


async def test_a_prompt_that_cannot_be_read_whole_is_refused(provider: OpenAIProvider) -> None:
    with pytest.raises(ProviderError) as failure:
        await ask(provider, "rain " * 20_000)
    assert failure.value.reason is FailureReason.PROMPT_TOO_LARGE


async def test_its_models_lie_on_this_machine(provider: OpenAIProvider) -> None:
    assert [model.resident for model in await provider.models()] == [True]
