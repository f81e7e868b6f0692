"""What a server says on the side: lines of the worker's log."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TextIO

import anyio
import structlog

from devteam_worker.tools.mcp_allowance import Allowance

_log = structlog.get_logger()

_LINE_CHARACTERS = 500
_LINE_BYTES = 4 * _LINE_CHARACTERS
# Seconds for the last words of a server to arrive.
_LAST_WORDS = 0.5
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@asynccontextmanager
async def stderr_log(server: str) -> AsyncIterator[TextIO]:
    """A file to write to from another process; the body closes it once that process has it."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as errlog:
        transport, lines = await asyncio.get_running_loop().connect_read_pipe(
            lambda: _Lines(server), os.fdopen(reading, "rb", buffering=0)
        )
        try:
            yield errlog
        finally:
            errlog.close()
            with anyio.move_on_after(_LAST_WORDS, shield=True):
                await lines.ended.wait()
            transport.close()


class _Lines(asyncio.Protocol):
    """Logs lines as they come: without colours, and with an end where the server makes none."""

    def __init__(self, server: str) -> None:
        self.ended = asyncio.Event()
        self._server = server
        self._rest = b""
        self._last = b""
        self._allowance = Allowance(self._tell_left_out)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._tell(line)
        if len(self._rest) > _LINE_BYTES:
            self._tell(self._rest)
            self._rest = b""

    def connection_lost(self, exc: Exception | None) -> None:
        self._tell(self._rest)
        self._allowance.settle()
        self.ended.set()

    def _tell(self, line: bytes) -> None:
        if not line.strip():
            return
        if self._allowance.take():
            _log.info("tool server says", server=self._server, line=_plain(line))
        else:
            self._last = line

    def _tell_left_out(self, lines: int) -> None:
        _log.info("tool server says more", server=self._server, lines_left_out=lines, last=_plain(self._last))


def _plain(line: bytes) -> str:
    text = _COLOURS.sub("", line[:_LINE_BYTES].decode(errors="replace")).rstrip()
    return "".join(char if char.isprintable() else " " for char in text[:_LINE_CHARACTERS])
