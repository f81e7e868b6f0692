"""The tools of one worker, and the rules by which they are called."""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import structlog

from devteam_worker.providers.base import FailureReason, ProviderError, ToolCall, ToolResult, ToolSpec
from devteam_worker.tools.base import Tool, ToolError

_log = structlog.get_logger()

# What models accept as the name of a tool.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Characters of a made-up name that are repeated.
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """For one call: seconds, and the bytes of its answer that the model gets to see."""

    seconds: float = 60.0
    answer_bytes: int = 64 * 1024


class Hand:
    """The tools of one run: what its step asked for, out of what the worker's owner allows."""

    def __init__(self, tools: Iterable[Tool], limits: Limits) -> None:
        self._tools = {seen_name(tool.name): tool for tool in tools}
        self._limits = limits

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as a model sees them."""
        return tuple(ToolSpec(name, tool.description, tool.parameters) for name, tool in self._tools.items())

    def tool(self, name: str) -> Tool | None:
        """The tool of that name, as the model has it; None for one that was not offered."""
        return self._tools.get(name)

    async def answer(self, call: ToolCall) -> ToolResult:
        """Carry out a call, named as the model has it. Whatever goes wrong is an answer, too."""
        tool = self._tools.get(call.name)
        if tool is None:
            return ToolResult(call.call_id, f"There is no tool {call.name[:_SHOWN]!r} for this task.", is_error=True)
        try:
            async with asyncio.timeout(self._limits.seconds):
                content = await tool.carry_out(_arguments(call))
        except ToolError as error:
            return self._result(call, tool, str(error), is_error=True)
        except asyncio.CancelledError:
            if (current := asyncio.current_task()) is not None and current.cancelling():
                raise
            return self._result(call, tool, f"{tool.name} was cancelled by its own code.", is_error=True)
        except TimeoutError:
            why = f"{tool.name} gave no answer within {self._limits.seconds:g} s."
            return self._result(call, tool, why, is_error=True)
        except Exception as error:  # noqa: BLE001 - whatever somebody else's tool raises is an answer
            _log.warning("tool raised", tool=tool.name, exc_info=error)
            return self._result(call, tool, f"{tool.name} failed ({type(error).__name__}).", is_error=True)
        return self._result(call, tool, content, is_error=False)

    def _result(self, call: ToolCall, tool: Tool, content: str, *, is_error: bool) -> ToolResult:
        return ToolResult(call.call_id, _cut(content, self._limits.answer_bytes), is_error, tool.source)


class Toolbox:
    """Every tool that the owner of this worker lets tasks use, by patterns of names ("docs.*")."""

    def __init__(
        self, tools: Iterable[Tool] = (), *, allowed: Iterable[str] = ("*",), limits: Limits | None = None
    ) -> None:
        patterns = tuple(allowed)
        self._limits = limits or Limits()
        # By the names that models have for them.
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            seen = seen_name(tool.name)
            if not any(fnmatchcase(tool.name, pattern) for pattern in patterns):
                continue
            if not _NAME.fullmatch(seen):
                _log.warning("tool left out: models take no name like this", tool=tool.name)
                continue
            if seen in self._tools:
                _log.warning("tool left out: models know another one by this name", tool=tool.name, source=tool.source)
                continue
            self._tools[seen] = tool

    @property
    def names(self) -> tuple[str, ...]:
        """What steps may ask for: tools, and groups of them."""
        tools = dict.fromkeys(tool.name for tool in self._tools.values())
        groups = dict.fromkeys(tool.group for tool in self._tools.values() if tool.group)
        return tuple(tools | groups)

    def hand(self, names: Iterable[str], *, provided: Iterable[str] = ()) -> tuple[Hand, tuple[str, ...]]:
        """The tools that a step asked for, and the names among them that are the provider's own.

        Raises ProviderError for a name that nobody here knows.
        """
        tools: dict[str, Tool] = {}
        by_provider, theirs = [], frozenset(provided)
        for name in names:
            found = [tool for tool in self._tools.values() if name in {tool.name, tool.group}]
            tools.update((tool.name, tool) for tool in found)
            if not found and name in theirs:
                by_provider.append(name)
            elif not found:
                raise ProviderError(FailureReason.INVALID_REQUEST, f"This worker has no tool {name!r} for this model.")
        return Hand(tools.values(), self._limits), tuple(by_provider)


def seen_name(name: str) -> str:
    """A tool's name as models see it: they take no dots."""
    return name.replace(".", "__")


def _arguments(call: ToolCall) -> Mapping[str, object]:
    text = call.arguments or "{}"
    try:
        arguments = json.loads(text)
        if "\\u" in text or not text.isascii():
            # Half a character, which JSON can write and nobody else can read, becomes a question mark.
            arguments = json.loads(json.dumps(arguments, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        raise ToolError("The arguments are no JSON, or too deep.") from None
    if not isinstance(arguments, dict):
        raise ToolError("The arguments must be a JSON object.")
    return arguments


def _cut(content: str, most: int) -> str:
    data = content.encode(errors="replace")
    if len(data) <= most:
        return data.decode()
    kept = data[:most].decode(errors="ignore")
    return f"{kept}\n[cut: {len(data) - most} of {len(data)} bytes left out]"
