"""Our Anthropic provider against a real inference server, not one that we wrote ourselves."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

import pytest
from devteam_worker.agent import ModelAgent
from devteam_worker.domain import Assignment, AttemptId, Completed
from devteam_worker.providers.anthropic import AnthropicProvider
from devteam_worker.providers.base import Ended, Prompt, Text, Token, ToolCall
from devteam_worker.providers.catalog import Catalog
from devteam_worker.tools.base import Tool
from devteam_worker.tools.toolbox import Toolbox

from devteam.mesh.clock import SystemClock

pytestmark = pytest.mark.local_llm

PATIENCE = 120.0
QUESTION = Prompt("claude-local", "Name three colours of the rainbow.", "You are brief.", max_tokens=48)


@pytest.fixture
async def provider(inference_url: str) -> AsyncIterator[AnthropicProvider]:
    provider = AnthropicProvider("none", base_url=inference_url)
    yield provider
    await provider.close()


async def ask(provider: AnthropicProvider, prompt: Prompt) -> tuple[str, Ended]:
    text = ""
    async with asyncio.timeout(PATIENCE):
        async for item in provider.stream(prompt):
            if isinstance(item, Text):
                text += item.text
            elif isinstance(item, Ended):
                return text, item
    raise AssertionError("it has no end")


async def test_it_answers_token_by_token_and_counts_them(provider: AnthropicProvider) -> None:
    text, ended = await ask(provider, QUESTION)
    assert text.strip()
    assert ended.stop_reason in {"end_turn", "max_tokens"}
    assert ended.usage.input_tokens > 5
    assert 0 < ended.usage.output_tokens <= 48


async def test_what_hits_its_bound_says_so(provider: AnthropicProvider) -> None:
    _, ended = await ask(provider, Prompt("claude-local", "Count from one to a thousand.", max_tokens=4))
    assert (ended.stop_reason, ended.usage.output_tokens) == ("max_tokens", 4)


async def test_one_that_is_left_alone_stops_and_frees_its_slot(provider: AnthropicProvider) -> None:
    """Two slots, three long answers that are dropped after a token each: the next question is answered at once."""
    for _ in range(3):
        async with aclosing(provider.stream(Prompt("claude-local", "Tell a long story.", max_tokens=4_000))) as story:
            async with asyncio.timeout(PATIENCE):
                await anext(story)
    assert (await ask(provider, QUESTION))[0]


async def test_several_at_a_time(provider: AnthropicProvider) -> None:
    answers = await asyncio.gather(*(ask(provider, QUESTION) for _ in range(4)))
    assert all(text.strip() for text, _ in answers)


async def test_a_run_with_tools_comes_to_its_end(provider: AnthropicProvider) -> None:
    """Whether so small a model calls the tool is its own affair; that the server takes the request is ours."""
    heard: list[Token] = []

    async def emit(token: Token) -> None:
        heard.append(token)

    async def look_up(arguments: Mapping[str, object]) -> str:
        return "Tides are caused by the moon."

    schema = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    tool = Tool("docs.search", "Finds facts in the documents.", schema, "function", look_up)
    agent = ModelAgent(Catalog({"anthropic": provider}), Toolbox([tool]), SystemClock())
    prompt = Prompt("claude-local", "Search the documents: what causes tides?", tools=("docs",), max_tokens=64)
    async with asyncio.timeout(PATIENCE):
        outcome = await agent.run(Assignment(AttemptId("t1", 1), "p1", "s1", "default", prompt, 60.0), emit)
    assert isinstance(outcome, Completed)
    assert any(isinstance(token, Text | ToolCall) for token in heard)
