"""What is stored of attempts, until their Router knows it."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

# Beyond these the oldest are dropped: a Router that never hears of them keeps an attempt a little longer.
_MOST_ATTEMPTS = 100_000


@dataclass(frozen=True, slots=True)
class Ack:
    """Tokens of an attempt up to `seq` are stored for good, and its outcome if `report`."""

    task_id: str
    attempt: int
    seq: int
    report: bool = False


class Acks:
    """What one Router has yet to hear, one word for each attempt."""

    def __init__(self) -> None:
        self._newest: OrderedDict[tuple[str, int], Ack] = OrderedDict()
        self._some = asyncio.Event()

    def note(self, acks: Iterable[Ack]) -> None:
        """Keep what these say beyond what is known."""
        for ack in acks:
            key = (ack.task_id, ack.attempt)
            known = self._newest.get(key, ack)
            self._newest[key] = Ack(*key, max(known.seq, ack.seq), report=known.report or ack.report)
            if len(self._newest) > _MOST_ATTEMPTS:
                self._newest.popitem(last=False)
            self._some.set()

    async def some(self) -> None:
        """Wait until there is something to hear."""
        await self._some.wait()

    def all(self) -> list[Ack]:
        """Everything that waits, the oldest first."""
        return list(self._newest.values())

    def take(self, most: int) -> list[Ack]:
        """Up to `most` of them, which wait no longer."""
        taken = [self._newest.popitem(last=False)[1] for _ in range(min(len(self._newest), most))]
        if not self._newest:
            self._some.clear()
        return taken
