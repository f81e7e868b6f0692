"""How busy machines were."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from devteam_router.simulation.journal import Stay
from devteam_router.simulation.machines import Machine


@dataclass(frozen=True, slots=True)
class Span:
    """Some time, from `begin` to `end`, in seconds."""

    begin: float
    end: float

    def shared_with(self, begin: float, end: float) -> float:
        """Seconds that lie in this span and in the other one."""
        return max(0.0, min(self.end, end) - max(self.begin, begin))

    def slices(self, count: int) -> Sequence["Span"]:
        """So many equal parts; none of a span without length."""
        length = (self.end - self.begin) / count
        starts = [self.begin + index * length for index in range(count)] if length > 0 else []
        return [Span(start, start + length) for start in starts]

    def index(self, moment: float, count: int) -> int | None:
        """In which of so many equal parts a moment lies; None: in none."""
        if not self.begin <= moment < self.end:
            return None
        return min(count - 1, int((moment - self.begin) / (self.end - self.begin) * count))


class Load:
    """Busy slot time over slot time. The slots of a machine count while it is there, whether or not it takes work."""

    def __init__(self, machines: Iterable[Machine], stays: Sequence[Stay]) -> None:
        self._machines = list(machines)
        self._stays = stays

    def of_each(self, period: Span) -> list[float]:
        """The share of each machine that was there."""
        busy = {machine.worker.id: 0.0 for machine in self._machines}
        for stay in self._stays:
            busy[stay.worker_id] += period.shared_with(stay.since, stay.until)
        there = {machine.worker.id: _slot_time(machine, period) for machine in self._machines}
        return [busy[worker_id] / time for worker_id, time in there.items() if time]

    def over(self, period: Span, count: int) -> list[float | None]:
        """The share of all slots in each of so many equal parts of the time; None where there were no slots."""
        spans = period.slices(count)
        busy = [0.0] * len(spans)
        for stay in self._stays:
            index = period.index(max(stay.since, period.begin), count)
            while index is not None and index < count and spans[index].begin < stay.until:
                busy[index] += spans[index].shared_with(stay.since, stay.until)
                index += 1
        slots = [sum(_slot_time(machine, span) for machine in self._machines) for span in spans]
        return [taken / there if there else None for taken, there in zip(busy, slots, strict=True)]


def _slot_time(machine: Machine, span: Span) -> float:
    return machine.slots * span.shared_with(machine.came, machine.left)
