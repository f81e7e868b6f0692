"""What is sent to the Messages API."""

from typing import Any

from devteam_worker.providers.base import FailureReason, Prompt, ProviderError, ToolResult, Turn

_DEFAULT_MAX_TOKENS = 16_384
# Characters of a system prompt from which caching it pays: the API caches nothing under some 1,000 tokens.
_CACHED_FROM = 4_000
# Handed on as they are; the rest of a task's options is meant for other providers.
_PASSED_ON = ("stop_sequences", "service_tier")
# Current models answer these with a 400.
_REFUSED = ("temperature", "top_p", "top_k")

# Tools that the API calls by itself, by the names that steps have for them; the versions are those of the SDK's types.
PROVIDED = {"web_search": "web_search_20260318", "web_fetch": "web_fetch_20260318"}
# How often one request may use each of these.
_MAX_USES = 10


def request_for(prompt: Prompt, model: str) -> dict[str, Any]:
    """The request for the next turn. Raises ProviderError for what current models refuse."""
    if refused_options := [name for name in _REFUSED if name in prompt.options]:
        raise ProviderError(
            FailureReason.INVALID_REQUEST,
            f"Claude models take no {' and no '.join(refused_options)}; leave it out, or set effort instead.",
        )
    request: dict[str, Any] = {
        "model": model,
        "max_tokens": prompt.max_tokens or _DEFAULT_MAX_TOKENS,
        "messages": _messages(prompt),
        **{name: prompt.options[name] for name in _PASSED_ON if name in prompt.options},
    }
    if prompt.system_prompt:
        request["system"] = [_system(prompt.system_prompt)]
    if prompt.effort:
        request["output_config"] = {"effort": prompt.effort}
    if tools := _tools(prompt):
        request["tools"] = tools
    if prompt.turns:
        # All that was said before comes again with each turn.
        request["cache_control"] = {"type": "ephemeral"}
    if _shows_thinking(prompt):
        # Without a display asked for, current models think in silence.
        request["thinking"] = {"type": "adaptive", "display": "summarized"}
    return request


def _shows_thinking(prompt: Prompt) -> bool:
    """On request; and with tools, since what a model says between calls comes as thinking."""
    wish = prompt.options.get("thinking")
    return wish is True or (wish is None and bool(prompt.offered or prompt.provided))


def _messages(prompt: Prompt) -> list[dict[str, Any]]:
    said = [message for turn in prompt.turns for message in _turn(turn)]
    return [{"role": "user", "content": prompt.prompt}, *said]


def _turn(turn: Turn) -> list[dict[str, Any]]:
    reply: dict[str, Any] = {"role": "assistant", "content": turn.reply}
    results = [_result(result) for result in turn.results]
    return [reply, {"role": "user", "content": results}] if results else [reply]


def _result(result: ToolResult) -> dict[str, Any]:
    return {
        "type": "tool_result",
        "tool_use_id": result.call_id,
        "content": result.content,
        "is_error": result.is_error,
    }


def _tools(prompt: Prompt) -> list[dict[str, Any]]:
    offered: list[dict[str, Any]] = [
        {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
        for tool in prompt.offered
    ]
    return [*offered, *map(_provided, prompt.provided)]


def _provided(name: str) -> dict[str, Any]:
    """A tool of the API's own, called by the model alone and not by code that it writes."""
    return {"type": PROVIDED[name], "name": name, "max_uses": _MAX_USES, "allowed_callers": ["direct"]}


def _system(text: str) -> dict[str, Any]:
    """The system prompt is what tasks of one agent share, so it alone is worth caching from the first turn."""
    block: dict[str, Any] = {"type": "text", "text": text}
    if len(text) >= _CACHED_FROM:
        block["cache_control"] = {"type": "ephemeral"}
    return block
