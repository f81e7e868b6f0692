"""Word to runs of why they wait."""

from collections import deque

from devteam.mesh.clock import Clock
from devteam_router.domain import AttemptId, Wait
from devteam_router.lines import Line, Lines
from devteam_router.ports import Placed

# Runs that hear of it in one turn of the event loop: each wakes a call, which takes it some ten microseconds.
_AT_ONCE = 500


class Telling:
    """Tells all runs of a line; a long line in portions, so that nobody else has to wait for it."""

    def __init__(self, lines: Lines, placed: Placed, clock: Clock) -> None:
        self._lines = lines
        self._placed = placed
        self._clock = clock

    def newcomer(self, line: Line, attempt: AttemptId) -> None:
        """Tell a run what the others in its line have heard."""
        assert line.wait is not None
        self._placed.waiting(attempt, line.wait, line.signature.queues[0])

    def everyone(self, line: Line, wait: Wait) -> None:
        """Why a line waits, unless that is no news to it."""
        if wait.news_to(line.wait):
            line.wait = wait
            self._go_on(line, wait, deque(waiting.run.id for waiting in line))

    def _go_on(self, line: Line, wait: Wait, rest: deque[AttemptId]) -> None:
        if line.wait is not wait:
            return  # there is other news, and whoever is left hears only that
        for _ in range(min(len(rest), _AT_ONCE)):
            attempt = rest.popleft()
            if self._lines.line_of(attempt) is line:
                self._placed.waiting(attempt, wait, line.signature.queues[0])
        if rest:
            self._clock.call_later(0.0, lambda: self._go_on(line, wait, rest))
