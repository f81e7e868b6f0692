"""Which line is next when a slot is free."""

import heapq
import itertools
from collections.abc import Callable, Iterable

from devteam_router.domain import Signature
from devteam_router.lines import Line, Lines
from devteam_router.shares import Fairness, Shares
from devteam_router.sheaves import Sheaf
from devteam_router.stations import FITTING, Profile

_Key = tuple[int, float, int]
# Lines that were called and not looked at yet, before an agenda that nobody reads is given up.
_UNREAD = 1_000


class Agenda:
    """The lines that workers of one profile could serve out of one queue, by priority, then by share, then by arrival.

    How much a tenant has had changes with every run, so that lines of a tenant are kept together: one entry is put
    right then, and not one for each of its lines. A heap whose entries never are too late:
    keys only grow while something waits, so an entry that is out of date is found when it comes to the top.
    """

    def __init__(self, profile: Profile, queue: str, fairness: Fairness, lines: Iterable[Line]) -> None:
        self._profile = profile
        self._queue = queue
        self._fairness = fairness
        self._sheaves: dict[tuple[int, str], Sheaf] = {}
        self._heap: list[tuple[_Key, int, Sheaf]] = []
        self._numbers = itertools.count(1)
        self._called: dict[Line, None] = dict.fromkeys(lines)
        self._bound = len(self._called) + _UNREAD
        # Entries that were made since those out of date were last thrown out, and how many there were then.
        self._made, self._kept = 0, 0
        # More has gathered than is worth keeping: one made anew would be smaller.
        self.neglected = False

    def called(self, line: Line) -> None:
        """Take up a line, when somebody asks next."""
        self._called[line] = None
        if len(self._called) > self._bound:
            self.neglected = True
            self._called.clear()
            self._heap.clear()
            self._sheaves.clear()

    def next(self, admits: Callable[[Line], bool]) -> Line | None:
        """The line whose head is due, of those that `admits` says yes to; None when there is none."""
        shares = self._fairness.of(self._queue)
        self._take_up(shares)
        aside = []
        found = None
        while found is None and (first := self._first(shares)) is not None:
            sheaf, line = first
            if admits(line):
                found = line
            else:
                aside.append((sheaf, sheaf.take()))
        for sheaf, entry in aside:
            sheaf.put_back(entry)
        self._enter(dict.fromkeys(sheaf for sheaf, _ in aside), shares)
        return found

    def _first(self, shares: Shares) -> tuple[Sheaf, Line] | None:
        """The sheaf whose turn it is, and its first line."""
        while self._heap:
            key, number, sheaf = self._heap[0]
            line = sheaf.first() if sheaf.entry == number else None
            if line is None:
                heapq.heappop(self._heap)
                continue
            now = sheaf.priority, shares.had(sheaf.tenant), line.arrival
            if now == key:
                return sheaf, line
            heapq.heapreplace(self._heap, (now, number, sheaf))
        return None

    def _take_up(self, shares: Shares) -> None:
        if not self._called:
            return
        changed: dict[Sheaf, None] = {}
        while self._called:
            line, _ = self._called.popitem()
            if line.entry and self._fits(line.signature):
                sheaf = self._sheaf(line)
                sheaf.put(line, next(self._numbers))
                changed[sheaf] = None
                self._made += 1
        self._enter(changed, shares)
        self._made += len(changed)
        if self._made > self._kept + _UNREAD:
            self._tidy()

    def _tidy(self) -> None:
        """Throw out what is out of date."""
        self._sheaves = {key: sheaf for key, sheaf in self._sheaves.items() if sheaf.tidy()}
        self._heap = [item for item in self._heap if item[2].entry == item[1]]
        heapq.heapify(self._heap)
        self._made, self._kept = 0, sum(map(len, self._sheaves.values()))

    def _sheaf(self, line: Line) -> Sheaf:
        key = line.priority, line.tenant
        sheaf = self._sheaves.get(key)
        if sheaf is None:
            sheaf = self._sheaves[key] = Sheaf(*key)
        return sheaf

    def _enter(self, sheaves: Iterable[Sheaf], shares: Shares) -> None:
        """Give sheaves that may be due earlier than before another entry."""
        for sheaf in sheaves:
            line = sheaf.first()
            if line is not None:
                sheaf.entry = next(self._numbers)
                key = sheaf.priority, shares.had(sheaf.tenant), line.arrival
                heapq.heappush(self._heap, (key, sheaf.entry, sheaf))

    def _fits(self, signature: Signature) -> bool:
        return self._profile.verdict(self._queue, signature) == FITTING


class Agendas:
    """One agenda for each profile and queue that a slot came free in."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._agendas: dict[tuple[Profile, str], Agenda] = {}

    def of(self, profile: Profile, queue: str) -> Agenda:
        """The agenda of a profile in a queue."""
        key = (profile, queue)
        agenda = self._agendas.get(key)
        if agenda is None or agenda.neglected:
            self._forget(lambda profile, _: not profile.workers)
            self._forget(lambda profile, name: (profile, name) == key)
            agenda = Agenda(profile, queue, self._lines.fairness, self._lines.looking_at({queue}))
            self._agendas[key] = agenda
            self._lines.listen(queue, agenda)
        return agenda

    def _forget(self, useless: Callable[[Profile, str], bool]) -> None:
        for profile, queue in [key for key in self._agendas if useless(*key)]:
            self._lines.ignore(queue, self._agendas.pop((profile, queue)))
