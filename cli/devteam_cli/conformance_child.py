"""A worker that is examined, started by its command as often as scenes need it."""

import asyncio
import os
import shutil
import tempfile
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from devteam.mesh.errors import InvalidInput, Violation
from devteam_cli.children import dying_with_parent, stop

_QUEUE, _MODEL, _SLOTS = "conformance", "sim", "2"
# A worker that has left, or was told to stop, ends soon; nothing of it is worth waiting for.
_STOP_TIMEOUT = 2.0


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
        """End it, whatever it does."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            await stop(process, _STOP_TIMEOUT)
