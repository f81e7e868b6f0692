"""What a tool is: a name, what it takes, and somebody who carries it out."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

# Arguments in, an answer in words out. Raises ToolError with what the model should know.
Carry = Callable[[Mapping[str, object]], Awaitable[str]]


class ToolError(Exception):
    """The tool could not do it. The text goes to the model, so it holds no secret and no internal text."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool of this worker.

    `name` is what steps call it: "search", or "docs.search" for one of the group `docs`. `parameters` is the JSON
    Schema of its arguments. `source` says where its answers come from: "mcp:docs", "function".
    """

    name: str
    description: str
    parameters: Mapping[str, object]
    source: str
    carry_out: Carry

    @property
    def group(self) -> str:
        """The part of the name that steps can ask for as a whole; empty for a tool by itself."""
        return self.name.rpartition(".")[0]


class ToolSource(Protocol):
    """Somebody who has tools, all of one group: an MCP server, a folder of documents."""

    name: str

    async def open(self) -> Sequence[Tool]:
        """Make ready, and say which tools there are. Raises ToolError when that cannot be."""

    async def close(self) -> None:
        """Let go of everything, also after `open` failed or was never called."""
