"""Which line is next when a slot is free."""

import heapq
import itertools
from collections.abc import Callable, Iterable

from devteam_router.domain import Signature
from devteam_router.lines import Line, Lines
from devteam_router.stations import FITTING, Profile

_Key = tuple[int, float, int]
# Lines that were called and not looked at yet, before an agenda that nobody reads is given up.
_UNREAD = 1_000


class Agenda:
    """The lines that workers of one profile could serve out of one queue, by priority, then by share, then by arrival.

    `had` tells how much a tenant has had of the queue. A heap whose entries never are too late: keys of lines only grow
    while they wait, so an entry that is out of date is found when it comes to the top.
    """

    def __init__(self, profile: Profile, queue: str, had: Callable[[str], float], lines: Iterable[Line]) -> None:
        self._profile = profile
        self._queue = queue
        self._had = had
        self._heap: list[tuple[_Key, int, int, Line]] = []
        self._numbers = itertools.count()
        self._called: dict[Line, None] = dict.fromkeys(lines)
        self._bound = len(self._called) + _UNREAD
        # Entries that there were when those out of date were last thrown out.
        self._kept = 0
        # More has gathered than is worth keeping: one made anew would be smaller.
        self.neglected = False

    def called(self, line: Line) -> None:
        """Take up a line, when somebody asks next."""
        self._called[line] = None
        if len(self._called) > self._bound:
            self.neglected = True
            self._called.clear()
            self._heap.clear()

    def next(self, admits: Callable[[Line], bool]) -> Line | None:
        """The line whose head is due, of those that `admits` says yes to; None when there is none."""
        self._take_up()
        aside: list[tuple[_Key, int, int, Line]] = []
        found = None
        while self._heap and found is None:
            key, number, entry, line = self._heap[0]
            if line.entry != entry:
                heapq.heappop(self._heap)
                continue
            now = self._key(line)
            if now != key:
                heapq.heapreplace(self._heap, (now, number, entry, line))
            elif admits(line):
                found = line
            else:
                aside.append(heapq.heappop(self._heap))
        for item in aside:
            heapq.heappush(self._heap, item)
        return found

    def _take_up(self) -> None:
        while self._called:
            line, _ = self._called.popitem()
            if line.entry and self._fits(line.signature):
                heapq.heappush(self._heap, (self._key(line), next(self._numbers), line.entry, line))
        if len(self._heap) > 2 * self._kept + _UNREAD:
            self._heap = [item for item in self._heap if item[3].entry == item[2]]
            heapq.heapify(self._heap)
            self._kept = len(self._heap)

    def _fits(self, signature: Signature) -> bool:
        return self._profile.verdict(self._queue, signature) == FITTING

    def _key(self, line: Line) -> _Key:
        head = line.head()
        assert head is not None, "a line with an entry is not empty"
        return line.priority, self._had(line.tenant), head.arrival


class Agendas:
    """One agenda for each profile and queue that a slot came free in."""

    def __init__(self, lines: Lines, had: Callable[[str, str], float]) -> None:
        self._lines = lines
        self._had = had
        self._agendas: dict[tuple[Profile, str], Agenda] = {}

    def of(self, profile: Profile, queue: str) -> Agenda:
        """The agenda of a profile in a queue."""
        key = (profile, queue)
        agenda = self._agendas.get(key)
        if agenda is None or agenda.neglected:
            self._forget(lambda profile, _: not profile.workers)
            self._forget(lambda profile, name: (profile, name) == key)
            agenda = Agenda(profile, queue, lambda tenant: self._had(queue, tenant), self._lines.looking_at({queue}))
            self._agendas[key] = agenda
            self._lines.listen(queue, agenda)
        return agenda

    def _forget(self, useless: Callable[[Profile, str], bool]) -> None:
        for profile, queue in [key for key in self._agendas if useless(*key)]:
            self._lines.ignore(queue, self._agendas.pop((profile, queue)))
