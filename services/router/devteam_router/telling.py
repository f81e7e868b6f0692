"""Word to runs of why they wait."""

from collections import deque

from devteam.mesh.clock import Clock
from devteam_router.domain import AttemptId, Wait
from devteam_router.lines import Line, Lines
from devteam_router.ports import Placed

# Runs that hear of it in one turn of the event loop: each wakes a call, which takes it some ten microseconds.
_AT_ONCE = 500


class Telling:
    """Tells all runs of a line; many of them, be they in one line or in several, in portions: nobody has to wait."""

    def __init__(self, lines: Lines, placed: Placed, clock: Clock) -> None:
        self._lines = lines
        self._placed = placed
        self._clock = clock
        self._untold: deque[tuple[Line, Wait, deque[AttemptId]]] = deque()
        # How many more may be told in this turn.
        self._left = _AT_ONCE

    def newcomer(self, line: Line, attempt: AttemptId) -> None:
        """Tell a run what the others in its line have heard."""
        assert line.wait is not None
        self._placed.waiting(attempt, line.wait, line.signature.queues[0])

    def everyone(self, line: Line, wait: Wait) -> None:
        """Why a line waits, unless that is no news to it."""
        if wait.news_to(line.wait):
            line.wait = wait
            self._untold.append((line, wait, deque(waiting.run.id for waiting in line)))
            self._go_on()

    def _go_on(self) -> None:
        first = self._left == _AT_ONCE
        while self._untold and self._left:
            line, wait, attempts = self._untold[0]
            if line.wait is not wait or not attempts:
                self._untold.popleft()  # there is other news, and whoever is left hears only that
                continue
            self._tell(line, wait, attempts.popleft())
        if first and self._left < _AT_ONCE:
            self._clock.call_later(0.0, self._next_turn)

    def _tell(self, line: Line, wait: Wait, attempt: AttemptId) -> None:
        self._left -= 1
        if self._lines.line_of(attempt) is line:
            self._placed.waiting(attempt, wait, line.signature.queues[0])

    def _next_turn(self) -> None:
        self._left = _AT_ONCE
        self._go_on()
