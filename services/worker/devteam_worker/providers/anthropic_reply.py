"""What the Messages API says of tools, and how it ends."""

import json
from collections.abc import Iterator

from anthropic.types import ContentBlock, Message

from devteam_worker.providers.anthropic_errors import from_connection, refused
from devteam_worker.providers.anthropic_request import PROVIDED
from devteam_worker.providers.base import Ended, ToolCall, ToolResult, Usage

_SOURCE = "anthropic"


def calls_of(final: Message) -> Iterator[ToolCall]:
    """The tools that the model wants the worker to call; none if it was cut off while it said so."""
    if final.stop_reason != "tool_use":
        return
    for block in final.content:
        if block.type == "tool_use":
            yield ToolCall(block.id, block.name, json.dumps(block.input, ensure_ascii=False))


def provided(block: ContentBlock) -> ToolCall | ToolResult | None:
    """What the API calls by itself, and what that brought; None for any other block."""
    match block.type:
        # Code that the API runs on the way to a search is its own business.
        case "server_tool_use" if block.name in PROVIDED:
            return ToolCall(block.id, block.name, json.dumps(block.input, ensure_ascii=False))
        case "web_search_tool_result":
            found = block.content
            if not isinstance(found, list):
                return ToolResult(block.tool_use_id, f"failed: {found.error_code}", is_error=True, source=_SOURCE)
            pages = "\n".join(f"{page.title} {page.url}" for page in found)
            return ToolResult(block.tool_use_id, pages, source=_SOURCE)
        case "web_fetch_tool_result":
            page = block.content
            if page.type == "web_fetch_tool_result_error":
                return ToolResult(block.tool_use_id, f"failed: {page.error_code}", is_error=True, source=_SOURCE)
            return ToolResult(block.tool_use_id, page.url, source=_SOURCE)
        case _:
            return None


def ended(final: Message | None) -> Ended:
    """How the message ended. Raises ProviderError when it has no end, or the model declined."""
    if final is None:
        raise from_connection()
    if final.stop_reason == "refusal":
        raise refused(final)
    paused = final.stop_reason == "pause_turn"
    return Ended(final.model, final.stop_reason or "", _usage(final), _said(final), unfinished=paused)


def _said(final: Message) -> list[dict[str, object]]:
    """What it said, as the API wants it back: with signatures, and without what the SDK adds."""
    blocks = [block.to_dict(mode="json", exclude_none=True) for block in final.content]
    return [{name: value for name, value in block.items() if name != "parsed_output"} for block in blocks]


def _usage(final: Message) -> Usage:
    read = final.usage.cache_read_input_tokens or 0
    written = final.usage.cache_creation_input_tokens or 0
    return Usage(final.usage.input_tokens + read + written, final.usage.output_tokens, read, written)
