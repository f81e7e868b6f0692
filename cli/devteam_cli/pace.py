"""How fast the answers of running tasks come."""

from collections import deque
from datetime import datetime, timedelta

# Seconds that a rate looks back.
_WINDOW = 5.0


class Pace:
    """The tokens of one attempt, as they were told over time."""

    def __init__(self, attempt: int, tokens: int, now: datetime) -> None:
        self.attempt = attempt
        self.tokens = tokens
        # When there were some, if there were none at first.
        self.first_token_at: datetime | None = None
        self._told: deque[tuple[datetime, int]] = deque([(now, tokens)])

    def add(self, tokens: int, now: datetime) -> None:
        """So many there are now."""
        if tokens and not self.tokens:
            self.first_token_at = now
        self.tokens = tokens
        if now < self._told[-1][0]:  # the clock was set back
            self._told.clear()
        self._told.append((now, tokens))
        while len(self._told) > 2 and (now - self._told[1][0]).total_seconds() >= _WINDOW:
            self._told.popleft()

    def rate(self, now: datetime) -> float | None:
        """Tokens a second of late; None while too little is known."""
        begun, first = self._told[0]
        if len(self._told) == 1 or now <= begun:
            return None
        if now - self._told[-1][0] > timedelta(seconds=_WINDOW):
            return 0.0
        return (self.tokens - first) / (now - begun).total_seconds()
