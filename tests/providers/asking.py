"""Asks each provider once while everything is traced, and prints all spans: `python -m tests.providers.asking`.

A process of its own, because the tracers of libraries are bound to the one provider of their process for good.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import anthropic
from devteam_worker.agent import ModelAgent
from devteam_worker.domain import Completed
from devteam_worker.providers.anthropic import AnthropicProvider
from devteam_worker.providers.base import Provider, Text, Token, ToolCall
from devteam_worker.providers.catalog import Catalog
from devteam_worker.providers.ollama import OllamaProvider
from devteam_worker.providers.openai import OpenAIProvider
from devteam_worker.tools.toolbox import Toolbox
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.fakes import anthropic_server, ollama_server, openai_server
from tests.fakes.agent_script import an_assignment
from tests.fakes.anthropic_server import AnthropicServer
from tests.fakes.clock import FakeClock
from tests.fakes.ollama_server import OllamaServer
from tests.fakes.openai_server import OpenAIServer
from tests.tools.scene import opened, script
from tests.unit.worker.test_conversation import Model, ended


class Everything:
    """All spans that this process makes."""

    def __init__(self) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        trace.set_tracer_provider(provider)

    def taken(self) -> list[str]:
        """The names of those since the last call."""
        names = [span.name for span in self._kept.get_finished_spans()]
        self._kept.clear()
        return names


async def main() -> Mapping[str, Sequence[str]]:
    """The names of spans, by who was asked."""
    spans = Everything()
    async with AsyncExitStack() as stack:
        claude = await stack.enter_async_context(AnthropicServer())
        llama = await stack.enter_async_context(OllamaServer())
        qwen = await stack.enter_async_context(OpenAIServer())
        claude.answer(_claude())
        llama.answer(ollama_server.stream(ollama_server.part("Hi"), ollama_server.done()))
        qwen.answer(openai_server.stream(*openai_server.text("Hi"), *openai_server.end()))
        found = {
            "anthropic": await asked(spans, AnthropicProvider("k", base_url=claude.url), "opus"),
            "ollama": await asked(spans, OllamaProvider(llama.url), "ollama:llama3.3"),
            "openai": await asked(spans, OpenAIProvider("k", base_url=qwen.base_url), "openai:qwen3-8b"),
            "mcp": await called(spans),
        }
        claude.answer(_claude())
        return {**found, "anthropic's own": await by_itself(spans, claude.url)}


def _claude() -> Any:
    wire = anthropic_server
    return wire.stream(wire.START, *wire.text(0, "Hi"), *wire.end())


async def asked(spans: Everything, provider: Provider, model: str) -> list[str]:
    """One run of one turn."""
    agent = ModelAgent(Catalog({provider.name: provider}), Toolbox([]), FakeClock())
    outcome = await agent.run(an_assignment(model=model), _ignore)
    await provider.close()
    assert isinstance(outcome, Completed), outcome
    return spans.taken()


async def called(spans: Everything) -> list[str]:
    """One run whose model calls a tool of an MCP server, from the server's start to its end."""
    model = Model([ToolCall("c1", "odd__echo", '{"text": "hi"}'), ended("said")], [Text("It echoes."), ended()])
    async with opened(script("mcp_odd.py", "well"), FakeClock(), name="odd") as scene:
        agent = ModelAgent(Catalog({"sim": model}, simulate=True), Toolbox(list(scene.tools.values())), FakeClock())
        assert isinstance(await agent.run(an_assignment(tools=("odd",)), _ignore), Completed)
    return spans.taken()


async def by_itself(spans: Everything, url: str) -> list[str]:
    """Anthropic's SDK as it comes."""
    async with anthropic.AsyncAnthropic(api_key="k", base_url=url) as client:
        message: Any = {"role": "user", "content": "Hi"}
        async with client.messages.stream(model="claude-opus-5-5", max_tokens=10, messages=[message]) as events:
            async for _ in events:
                pass
    return spans.taken()


async def _ignore(token: Token) -> None:
    """Nobody listens."""


if __name__ == "__main__":
    json.dump(asyncio.run(main()), sys.stdout)
