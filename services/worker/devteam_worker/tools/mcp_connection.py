"""One connection to an MCP server, from its start to its end."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass
from importlib import metadata

import anyio
import httpx2
import structlog
from mcp import Client, MCPError
from mcp.client import IncomingMessage
from mcp.shared import _otel
from mcp_types import Implementation, ToolListChangedNotification
from opentelemetry.trace import NoOpTracer
from pydantic_core import to_json

from devteam_worker.settings_sections import McpServerSettings
from devteam_worker.tools.base import ToolError
from devteam_worker.tools.mcp_allowance import Allowance
from devteam_worker.tools.mcp_content import answer
from devteam_worker.tools.mcp_transport import dialled

_log = structlog.get_logger()

# The SDK makes a span of every message, with errors in their servers' words, and has no switch. A call is a span of
# ours already, and the server is told of that one.
_otel._tracer = NoOpTracer()  # noqa: SLF001 - see above

# Pages of tools that are asked for: a list without an end ends nevertheless.
_PAGES = 100
# Seconds to take leave of a server over HTTP; the SDK gives a process its own time, of some seconds, after that.
_PARTING = 2.0
_END_PATIENCE = 15.0
# An answer that cannot be read is quoted by what says so.
_WHY_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool as the server has it."""

    name: str
    description: str
    parameters: Mapping[str, object]


class Connection:
    """A server at work, in a task of its own: what the SDK enters, the same task must leave.

    The task ends when the server does, when it does not answer within `patience` seconds at the start, or on `close`.
    """

    def __init__(self, server: str, settings: McpServerSettings, patience: float) -> None:
        self._server = server
        self._patience = patience
        self._client = Client(
            dialled(server, settings, on_end=self._ended, on_refused=self._refused),
            client_info=Implementation(name="devteam-worker", version=metadata.version("devteam-orchestrator")),
            message_handler=self._heard,
            cache=None,
        )
        self._tools: Sequence[Offered] = ()
        self._why = ""
        self._status = 0
        self._scope = anyio.CancelScope()
        self._settled = asyncio.Event()
        self._over = asyncio.Event()
        self._closing = False
        self._allowance = Allowance(self._tell_left_out)
        # What it logs belongs to no run, though it was a run's call that started it.
        self._keeper = asyncio.create_task(self._keep(), name=f"mcp {server}", context=Context())

    @property
    def over(self) -> bool:
        """Whether it can carry no call any more."""
        return self._over.is_set()

    async def ready(self) -> Sequence[Offered]:
        """Wait until it stands, and say which tools there are. Raises ToolError with why it does not."""
        await self._settled.wait()
        if self._why:
            raise ToolError(self._why)
        return self._tools

    async def call(self, tool: str, arguments: Mapping[str, object]) -> str:
        """Have the server carry out a call, and tell it when nobody waits for that any more. Raises ToolError."""
        _check(arguments)
        try:
            result = await self._client.call_tool(tool, dict(arguments))
        except Exception as error:  # noqa: BLE001 - a server can break an answer in many ways
            if self.over:
                raise ToolError(f"The tool server {self._server} stopped; try again.") from None
            if isinstance(error, MCPError):
                raise ToolError(error.message) from None
            why = str(error)[:_WHY_CHARACTERS]
            _log.warning("tool server answered what cannot be read", server=self._server, tool=tool, why=why)
            raise ToolError(f"The tool server {self._server} gave an answer that cannot be read.") from None
        return answer(result)

    async def close(self) -> None:
        """End it, and wait until its task has. A process that does not go by itself is killed."""
        self._closing = True
        self._over.set()
        if not self._settled.is_set():
            self._scope.cancel()
        _, still = await asyncio.wait({self._keeper}, timeout=_END_PATIENCE)
        if still:
            _log.error("tool server cannot be ended", server=self._server)

    async def _keep(self) -> None:
        try:
            with self._scope:
                await self._hold()
            if not self._settled.is_set():
                late = f"did not say within {self._patience:g} s which tools it has"
                self._why = "was closed" if self._closing else late
        except Exception as error:  # noqa: BLE001 - whatever ends a server ends this connection, and no more
            self._why = self._reason(error)
        finally:
            self._allowance.settle()
            if self._settled.is_set() and not self._closing:
                _log.warning("tool server stopped", server=self._server, why=self._why)
            self._over.set()
            self._settled.set()

    async def _hold(self) -> None:
        # One scope whose deadline moves, since scopes must nest and the client's own outlive its start.
        self._scope.deadline = anyio.current_time() + self._patience
        async with self._client as client:
            self._tools = await _tools(client)
            self._scope.deadline = math.inf
            self._settled.set()
            await self._over.wait()
            self._scope.deadline = anyio.current_time() + _PARTING

    def _ended(self) -> None:
        self._over.set()

    def _refused(self, status: int) -> None:
        self._status = status

    def _reason(self, error: BaseException) -> str:
        """Why there is no connection, for the worker's owner. Names no argument, no header and no URL."""
        error = _first(error)
        if isinstance(error, OSError):
            return f"cannot be started: {error.strerror}: {error.filename}"
        if isinstance(error, httpx2.TransportError):
            return f"cannot be reached ({type(error).__name__})"
        if isinstance(error, MCPError) and self._status:
            return f"refuses the connection (HTTP {self._status})"
        if self.over:
            return "stopped before it said which tools it has; its last words are in the log"
        return f"cannot be talked with ({error.message if isinstance(error, MCPError) else type(error).__name__})"

    async def _heard(self, message: IncomingMessage) -> None:
        if not isinstance(message, ToolListChangedNotification | Exception) or not self._allowance.take():
            return
        if isinstance(message, ToolListChangedNotification):
            _log.info("tool server has other tools now; a restart of the worker offers them", server=self._server)
        else:
            _log.warning("tool server wrote what is no message", server=self._server, error=type(message).__name__)

    def _tell_left_out(self, messages: int) -> None:
        _log.warning("tool server wrote more of the kind", server=self._server, messages_left_out=messages)


def _check(arguments: Mapping[str, object]) -> None:
    """Raises ToolError for what the SDK would find out only in its writer, which ends then for every call."""
    try:
        # As deep as in the message they become part of, and a little more.
        to_json([[[[arguments]]]])
    except ValueError:
        raise ToolError(
            "The arguments cannot be sent: they are nested too deep, or hold half of a character."
        ) from None


async def _tools(client: Client) -> list[Offered]:
    found: list[Offered] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        page = await client.list_tools(cursor=cursor)
        found += [Offered(tool.name, tool.description or tool.title or "", tool.input_schema) for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
