"""Data on stdout: tables for people, JSON for programs. JSON has the names of the SDK, times in seconds or ISO 8601."""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from devteam.events import Event, ProgressToken, TextToken, ThinkingToken, ToolCall, ToolResult

_TOKEN_KINDS = {
    TextToken: "text",
    ThinkingToken: "thinking",
    ProgressToken: "progress",
    ToolCall: "tool_call",
    ToolResult: "tool_result",
}


class Output(StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


def write(text: str) -> None:
    """Put text on stdout, at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def write_json(value: object) -> None:
    """One JSON document, for a reader's eyes too."""
    write(_encoded(value, indent=2))


def write_line(value: object) -> None:
    """One JSON document on one line."""
    write(_encoded(value, indent=None))


def write_items(output: Output, items: Iterable[object]) -> None:
    """Many things: one array, or one line each."""
    if output is Output.JSON:
        write_json(list(items))
        return
    for item in items:
        write_line(item)


def write_item(output: Output, item: object) -> None:
    """One thing, as a document or as a line."""
    (write_json if output is Output.JSON else write_line)(item)


def write_event(event: Event) -> None:
    """One event on one line; "event" says which."""
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in type(event).__name__)
    write_line({"event": name.removeprefix("_")} | members(event))


def plain(value: object) -> object:
    """`value` as JSON has it."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case TextToken() | ThinkingToken() | ProgressToken() | ToolCall() | ToolResult():
            return {"type": _TOKEN_KINDS[type(value)]} | members(value)
    return members(value) if is_dataclass(value) else value


def members(value: object) -> dict[str, object]:
    """The fields of a dataclass, as JSON has them."""
    assert is_dataclass(value)
    return {field.name: plain(getattr(value, field.name)) for field in fields(value)}


def _encoded(value: object, indent: int | None) -> str:
    text = json.dumps(plain(value), indent=indent, ensure_ascii=False)
    # JSON itself escapes C0 only, and terminals obey C1 too.
    return re.sub(r"[\x7f-\x9f]", lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"
