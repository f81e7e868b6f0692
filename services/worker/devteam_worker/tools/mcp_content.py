"""What an MCP server answers, in words that a model can read."""

import json

from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from devteam_worker.tools.base import ToolError


def answer(result: CallToolResult) -> str:
    """The result's text; where it has none, its structured content as JSON. Raises ToolError for an error's text."""
    parts = [_told(block) for block in result.content]
    if result.structured_content is not None and not any(map(_is_text, result.content)):
        parts.insert(0, json.dumps(result.structured_content, ensure_ascii=False))
    text = "\n".join(parts)
    if result.is_error:
        raise ToolError(text or "The tool failed, and did not say why.")
    return text


def _is_text(block: ContentBlock) -> bool:
    return isinstance(block, TextContent) or (
        isinstance(block, EmbeddedResource) and isinstance(block.resource, TextResourceContents)
    )


def _told(block: ContentBlock) -> str:
    match block:
        case TextContent():
            return block.text
        case ImageContent() | AudioContent():
            return _placeholder(block.mime_type, block.data)
        case ResourceLink():
            return f"[{block.name}: {block.uri}]"
        case EmbeddedResource():
            return _held(block.resource)


def _held(resource: TextResourceContents | BlobResourceContents) -> str:
    if isinstance(resource, TextResourceContents):
        return resource.text
    return _placeholder(resource.mime_type or "binary", resource.blob)


def _placeholder(kind: str, base64: str) -> str:
    """What is there but cannot be told in words: its kind, and its size as it was before base64."""
    size = len(base64) * 3 // 4
    return f"[{kind}, {size // 1000} kB]" if size >= 1000 else f"[{kind}, {size} bytes]"
