"""Lines that wait for a moment rather than for a worker."""

from collections.abc import Callable, Hashable, Iterable

from devteam.mesh.clock import Clock, Timer
from devteam_router.gates import Closed
from devteam_router.lines import Line, Lines


class Holds:
    """Lines behind closed gates. When one opens, its lines are served together, in the order in which they are due."""

    def __init__(self, lines: Lines, clock: Clock, serve: Callable[[Iterable[Line]], None]) -> None:
        self._lines = lines
        self._clock = clock
        self._serve = serve
        self._behind: dict[Hashable, dict[Line, None]] = {}
        self._alarms: dict[Hashable, Timer] = {}

    def add(self, line: Line, closed: Closed) -> None:
        """Serve a line when that gate opens. Where no free slot concerns it until then, none is shown to it."""
        gate = closed.gate
        self._behind.setdefault(gate, {})[line] = None
        if gate not in self._alarms:
            rest = max(0.0, closed.opens_at - self._clock.monotonic())
            self._alarms[gate] = self._clock.call_later(rest, lambda: self._open(gate))
        if closed.everywhere:
            self._lines.hold(line)

    def let_go(self, which: type = object) -> list[Line]:
        """Hold nothing any longer behind gates of that type; the lines, for the caller to serve."""
        gates = [gate for gate in self._alarms if isinstance(gate, which)]
        return list(dict.fromkeys(line for gate in gates for line in self._opened(gate)))

    def _open(self, gate: Hashable) -> None:
        self._serve(self._opened(gate))

    def _opened(self, gate: Hashable) -> list[Line]:
        self._alarms.pop(gate).cancel()
        lines = [line for line in self._behind.pop(gate) if len(line)]
        for line in lines:
            if line.held:
                self._lines.call(line)
        return lines
