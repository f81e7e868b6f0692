"""Those who look on at a fake mesh."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class Audience(Generic[_Item]):
    """Tells everything to everyone who listens."""

    def __init__(self) -> None:
        self._lines: set[asyncio.Queue[_Item]] = set()

    def tell(self, item: _Item) -> None:
        """Say it to whoever listens now."""
        for line in self._lines:
            line.put_nowait(item)

    @contextmanager
    def listening(self) -> Iterator["asyncio.Queue[_Item]"]:
        """All that is told while the block runs."""
        line: asyncio.Queue[_Item] = asyncio.Queue()
        self._lines.add(line)
        try:
            yield line
        finally:
            self._lines.discard(line)
