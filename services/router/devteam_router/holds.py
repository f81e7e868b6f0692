"""Lines that wait for a moment rather than for a worker."""

from collections.abc import Callable, Hashable, Iterable

from devteam.mesh.clock import Clock, Timer
from devteam_router.gates import Closed, Nearness
from devteam_router.lines import Line, Lines


class Holds:
    """Lines behind closed gates. When one opens, its lines are served together, in the order in which they are due."""

    def __init__(self, lines: Lines, clock: Clock, serve: Callable[[Iterable[Line]], None]) -> None:
        self._lines = lines
        self._clock = clock
        self._serve = serve
        self._behind: dict[Hashable, dict[Line, None]] = {}
        self._gates: dict[Line, dict[Hashable, None]] = {}
        self._alarms: dict[Hashable, Timer] = {}
        lines.on_close = self._forget

    def add(self, line: Line, closed: Closed) -> None:
        """Serve a line when that gate opens. Where no free slot concerns it until then, none is shown to it."""
        gate = closed.gate
        if isinstance(gate, Nearness):
            self._leave_past_heads(line, gate)
        self._behind.setdefault(gate, {})[line] = None
        self._gates.setdefault(line, {})[gate] = None
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
        lines = list(self._behind.get(gate, ()))
        for line in lines:
            self._leave(line, gate)
            if line.held:
                self._lines.call(line)
        return lines

    def _forget(self, line: Line) -> None:
        """Nobody waits in it any longer."""
        for gate in list(self._gates.get(line, ())):
            self._leave(line, gate)

    def _leave_past_heads(self, line: Line, gate: Nearness) -> None:
        """How long somebody before waited for a near worker means nothing any more."""
        past = [
            other for other in self._gates.get(line, ()) if isinstance(other, Nearness) and other.since != gate.since
        ]
        for other in past:
            self._leave(line, other)

    def _leave(self, line: Line, gate: Hashable) -> None:
        gates, lines = self._gates[line], self._behind[gate]
        del gates[gate], lines[line]
        if not gates:
            del self._gates[line]
        if not lines:
            del self._behind[gate]
            self._alarms.pop(gate).cancel()
