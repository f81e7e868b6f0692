"""What there is to say to one Router."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator, Sequence

from devteam_worker.domain import Occupied
from devteam_worker.in_hand import InHand
from devteam_worker.runs import Runs
from devteam_worker.words import Answer, Offer, Released, Report, Spoken, Word


class Outbox:
    """Words for the Router at an address, made at the moment they are written: what waits goes out together."""

    def __init__(self, router: str, runs: Runs) -> None:
        self._router = router
        self._runs = runs
        self._answers: deque[Answer] = deque()
        self._occupied = Occupied()
        self._news = asyncio.Event()
        # Runs have begun, ended or changed hands since it was looked at them.
        self._moved = False

    def introduce(self) -> tuple[Sequence[InHand], Occupied]:
        """Begin a new stream: the runs that its first word has to name, and the slots that others take."""
        self._answers.clear()
        named = self._runs.introduce(self._router)
        self._occupied = self._taken_by_others()
        self.look_around()
        return named, self._occupied

    def wake(self) -> None:
        """One of its runs has something to say."""
        self._news.set()

    def look_around(self) -> None:
        """Runs have begun, ended or changed hands."""
        self._moved = True
        self._news.set()

    def answer(self, word: Answer) -> None:
        """Say this."""
        self._answers.append(word)
        self._news.set()

    async def news(self) -> None:
        """Return once there may be something to say."""
        await self._news.wait()
        self._news.clear()

    def words(self) -> Iterator[Word]:
        """All that there is to say."""
        busy = True
        while busy:
            busy = False
            while (word := self._short_word()) is not None:
                yield word
            for item in self._runs:
                if item.router == self._router and item.has_news:
                    busy = True
                    yield _long_word(item)

    def _short_word(self) -> Word | None:
        # What others take goes first: by the next word the Router may believe that a slot is free.
        if (word := self._of_changed_hands()) is not None:
            return word
        return self._answers.popleft() if self._answers else None

    def _of_changed_hands(self) -> Word | None:
        if not self._moved:
            return None
        if (occupied := self._taken_by_others()) != self._occupied:
            self._occupied = occupied
            return occupied
        for item in self._runs:
            if item.taken_from(self._router):
                item.told.discard(self._router)
                return Released(item.id)
        strays = [item for item in self._runs if item.unknown_to(self._router)]
        for item in strays:
            item.told.add(self._router)
        self._moved = bool(strays)
        return Offer(strays) if strays else None

    def _taken_by_others(self) -> Occupied:
        items = (item for item in self._runs if item.running and not item.counted_by(self._router))
        by_queue = Counter(item.assignment.queue for item in items)
        return Occupied(by_queue.total(), dict(by_queue))


def _long_word(item: InHand) -> Word:
    if item.transcript.unsent:
        first_seq, tokens = item.transcript.take()
        return Spoken(item.id, first_seq, tokens)
    assert item.outcome is not None
    item.report_sent = True
    return Report(item.id, item.transcript.last_seq, item.outcome)
