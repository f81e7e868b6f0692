"""What is worth a line in the log: the first of many, once a minute."""

from collections import OrderedDict

from devteam.mesh.access.recent import MOST
from devteam.mesh.clock import Clock

_MINUTE = 60.0


class Notices:
    """Who did what lately. While more of them come than can be remembered, those beyond are not worth a line."""

    def __init__(self, clock: Clock, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._said: OrderedDict[tuple[str, str], float] = OrderedDict()

    def first(self, who: str, what: str) -> bool:
        """Whether this is the first time within a minute."""
        now = self._clock.monotonic()
        while self._said and now - next(iter(self._said.values())) >= _MINUTE:
            self._said.popitem(last=False)
        if (who, what) in self._said or len(self._said) >= self._most:
            return False
        self._said[who, what] = now
        return True
