"""A worker that is examined, started by its command as often as scenes need it."""

import asyncio
import os
import shutil
import signal
import tempfile
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from devteam.mesh.errors import InvalidInput, Violation
from devteam_cli.children import dying_with_parent

_QUEUE, _MODEL, _SLOTS = "conformance", "sim", "2"
# A worker that has left, or was told to stop, ends soon; nothing of it is worth waiting for.
_STOP_TIMEOUT = 2.0
_LAST_BYTES = 1000


class ByCommand:
    """Runs the command; what it prints goes into a file. An async context manager: leaving it ends the worker."""

    by_hand = False

    def __init__(self, command: Sequence[str], url: str, say: Callable[[str], None]) -> None:
        self._command = command
        self._env = {
            **os.environ,
            "DEVTEAM_API_URL": url,
            "DEVTEAM_QUEUE": _QUEUE,
            "DEVTEAM_MODELS": _MODEL,
            "DEVTEAM_CONCURRENCY": _SLOTS,
        }
        self._say = say
        self._log = Path()
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        number, name = tempfile.mkstemp(prefix="devteam-conformance-", suffix=".log")
        os.close(number)
        self._log = Path(name)
        self._say(f"the worker's output goes to {name}")
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    @property
    def gone(self) -> bool:
        """Whether the program has ended."""
        return self._process is not None and self._process.returncode is not None

    @property
    def traces(self) -> str:
        """Where its output lies, and how that ends."""
        last = _last_line(self._log)
        ends = f", and ends with: {last}" if last else ", and is empty"
        return f"; its output is in {self._log}{ends}"

    async def start(self) -> None:
        """Run the command, once its last run has ended. Raises InvalidInput when there is no such program."""
        await self.stop()
        if shutil.which(self._command[0]) is None:
            raise InvalidInput(Violation("COMMAND", "NO_PROGRAM", f"there is no program {self._command[0]!r}"))
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *dying_with_parent(self._command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                start_new_session=True,
            )

    async def stop(self) -> None:
        """End it, whatever it does, and what it started: a shell or npm would leave the worker running."""
        process, self._process = self._process, None
        if process is None:
            return
        _to_all_of(process, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_TIMEOUT):
                await process.wait()
        _to_all_of(process, signal.SIGKILL)
        await process.wait()


def _to_all_of(process: Process, number: signal.Signals) -> None:
    """To its group, which bears its pid; some of it may be left when the program itself has ended."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LAST_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    last = next((line for line in reversed(lines) if line.strip()), "")
    return "".join(letter for letter in last if letter.isprintable())
