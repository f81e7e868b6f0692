"""Names for new things."""

import secrets
from typing import Protocol

from devteam.mesh.clock import Clock

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_BITS = 45
_RANDOM_BITS = 45


class Ids(Protocol):
    """A source of ids that no other source will ever give."""

    def new(self, prefix: str) -> str:
        """A fresh id: the prefix, a hyphen, and 18 characters."""


class TimeOrderedIds:
    """Ids that sort by the millisecond they were made in, so that indexes stay local and lists need no other order.

    45 bits of milliseconds (until the year 3084) and 45 random bits, in Crockford's base 32, lower case.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def new(self, prefix: str) -> str:
        """A fresh id: the prefix, a hyphen, and 18 characters."""
        milliseconds = int(self._clock.now().timestamp() * 1000)
        number = milliseconds << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        digits = (number >> shift & 31 for shift in range(_TIME_BITS + _RANDOM_BITS - 5, -1, -5))
        return f"{prefix}-{''.join(_ALPHABET[digit] for digit in digits)}"
