"""Lines whose tenants and priorities are equal, in the order of their heads."""

import heapq

from devteam_router.lines import Line

# The arrival of a line's head, a number that no other one has, the entry of the line, and the line.
_Entry = tuple[int, int, int, Line]


class Sheaf:
    """Lines of one priority and tenant, by the arrival of their heads.

    A heap whose entries never are too late: heads only get younger, so an entry that is out of date is found when it
    comes to the top. `entry` tells which entry of the sheaf counts, where sheaves are kept in order.
    """

    def __init__(self, priority: int, tenant: str) -> None:
        self.priority = priority
        self.tenant = tenant
        self.entry = 0
        self._heap: list[_Entry] = []

    def put(self, line: Line, number: int) -> None:
        """Take in a line, as it is now."""
        heapq.heappush(self._heap, (line.arrival, number, line.entry, line))

    def put_back(self, entry: _Entry) -> None:
        """Take in what was taken out."""
        heapq.heappush(self._heap, entry)

    def take(self) -> _Entry:
        """Take out the line that is first."""
        return heapq.heappop(self._heap)

    def first(self) -> Line | None:
        """The line whose head came first; None when there is none."""
        heap = self._heap
        while heap:
            arrival, number, entry, line = heap[0]
            if line.entry != entry:
                heapq.heappop(heap)
            elif line.arrival != arrival:
                heapq.heapreplace(heap, (line.arrival, number, entry, line))
            else:
                return line
        return None

    def tidy(self) -> int:
        """Throw out what is out of date; returns how many lines are left."""
        self._heap = [item for item in self._heap if item[3].entry == item[2]]
        heapq.heapify(self._heap)
        return len(self._heap)

    def __len__(self) -> int:
        return len(self._heap)
