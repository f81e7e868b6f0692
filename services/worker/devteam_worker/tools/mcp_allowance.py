"""How much a server may fill the worker's log with."""

import asyncio
from collections.abc import Callable

# Of a server that cannot stop. Those of before 2026 answer the first word of a newer client with a page of complaints.
_LINES_A_SECOND = 20


class Allowance:
    """So many lines a second. How many were too many is told afterwards, by `tell_left_out`."""

    def __init__(self, tell_left_out: Callable[[int], None]) -> None:
        self._tell_left_out = tell_left_out
        self._second, self._taken, self._left_out = 0, 0, 0

    def take(self) -> bool:
        """Whether one more line may be logged now."""
        second = int(asyncio.get_running_loop().time())
        if second != self._second:
            self.settle()
            self._second, self._taken = second, 0
        self._taken += 1
        if self._taken <= _LINES_A_SECOND:
            return True
        self._left_out += 1
        return False

    def settle(self) -> None:
        """Tell what was left out until now."""
        if self._left_out:
            self._tell_left_out(self._left_out)
            self._left_out = 0
