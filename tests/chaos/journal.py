"""What happened, in the order it happened: written to a file for the checker, and kept for whoever waits for it.

Agents are processes that die without notice, so they tell by datagram: what was sent before a SIGKILL arrives.
"""

import asyncio
import json
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

Record: TypeAlias = dict[str, Any]

_LONGEST = 65_536


class Journal:
    """One run's records. `at` is CLOCK_MONOTONIC in seconds, the same clock for every process of a machine."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "history.jsonl"
        self.mailbox = folder / "mailbox"
        self._file = self.path.open("a", buffering=1)
        self._records: list[Record] = []
        self._of_task: defaultdict[str, list[Record]] = defaultdict(list)
        self._news = asyncio.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self._socket.bind(str(self.mailbox))

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._socket, self._receive)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._file.close()

    def note(self, what: str, **facts: Any) -> Record:
        """Something happened now."""
        record = {"at": time.monotonic(), "what": what, **facts}
        self._keep(record)
        return record

    def all(self, what: str, **facts: Any) -> Iterator[Record]:
        """Every record of this kind with these facts, the oldest first."""
        wanted = {"what": what, **facts}
        known = self._of_task[facts["task"]] if "task" in facts else self._records
        return (record for record in known if wanted.items() <= record.items())

    async def until(self, found: Callable[[], Record | None], patience: float) -> Record:
        """Wait until `found` finds a record, for at most `patience` seconds."""
        async with asyncio.timeout(patience):
            while (record := found()) is None:
                self._news.clear()
                await self._news.wait()
        return record

    async def first(self, what: str, *, patience: float, after: float = 0.0, **facts: Any) -> Record:
        """The first record of this kind with these facts that is later than `after`."""
        return await self.until(lambda: next((r for r in self.all(what, **facts) if r["at"] > after), None), patience)

    def _receive(self) -> None:
        while True:
            try:
                line = self._socket.recv(_LONGEST)
            except BlockingIOError:
                return
            self._keep(json.loads(line))

    def _keep(self, record: Record) -> None:
        self._file.write(json.dumps(record) + "\n")
        self._records.append(record)
        if "task" in record:
            self._of_task[record["task"]].append(record)
        self._news.set()


def read(path: Path) -> list[Record]:
    """The records of a history file, by time."""
    records: list[Record] = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(records, key=lambda record: float(record["at"]))
