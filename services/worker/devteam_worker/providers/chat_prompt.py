"""What the chat APIs of Ollama and of OpenAI want alike of a prompt."""

from collections.abc import Callable
from typing import Any

from devteam_worker.providers.base import Prompt, ToolResult, ToolSpec, Turn


def messages_of(prompt: Prompt, said: Callable[[Turn], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """All that was said so far; `said` makes the messages of a turn, in which the two differ."""
    system = [{"role": "system", "content": prompt.system_prompt}] if prompt.system_prompt else []
    turns = [message for turn in prompt.turns for message in said(turn)]
    return [*system, {"role": "user", "content": prompt.prompt}, *turns]


def content_of(result: ToolResult) -> str:
    """What a tool gave, in words that tell an error from an answer: there is no flag for it."""
    return f"Error: {result.content}" if result.is_error else result.content


def tool_of(spec: ToolSpec) -> dict[str, Any]:
    """A tool on offer."""
    function = {"name": spec.name, "description": spec.description, "parameters": spec.parameters}
    return {"type": "function", "function": function}
