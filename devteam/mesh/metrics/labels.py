"""Labels whose values come from callers, within bounds: who names ten thousand queues must not make as many series."""

import threading

from devteam.mesh import names

# What stands for every value that came when there were too many.
OTHER = "other"

_QUEUE, _MODEL = "queue", "model"
# Labels that are bounded, and what they hold: the same queue counts once, whatever metric it labels.
_HOLDS = {"queue": _QUEUE, "model": _MODEL, names.GEN_AI_REQUEST_MODEL: _MODEL}
_MOST = {_QUEUE: 200, _MODEL: 100}
_LONGEST = 128


class Bounded:
    """The first `most` values are told apart, all that come later are OTHER."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, None] = {}
        self._turn = threading.Lock()

    @property
    def known(self) -> list[str]:
        """Those that are told apart."""
        return list(self._known)

    def of(self, value: str) -> str:
        """The value itself, or OTHER. May be called from any thread."""
        value = value[:_LONGEST]
        if value in self._known:
            return value
        with self._turn:
            if len(self._known) >= self._most:
                return OTHER
            self._known[value] = None
        return value

    def comes_early(self, value: str) -> bool:
        """Whether it is one of them, or half of the places are free for those that nothing is known of yet."""
        return value[:_LONGEST] in self._known or len(self._known) < self._most // 2


class Labels:
    """The values that one process tells apart."""

    def __init__(self) -> None:
        self._bounded = {what: Bounded(most) for what, most in _MOST.items()}

    def of(self, label: str, value: str) -> str:
        """The value that a series gets."""
        what = _HOLDS.get(label)
        return value if what is None else self._bounded[what].of(value)

    def comes_early(self, label: str, value: str) -> bool:
        """Whether there may be a series of this value before there is anything to tell."""
        what = _HOLDS.get(label)
        return what is None or self._bounded[what].comes_early(value)

    def known(self, label: str) -> list[str]:
        """Values of a bounded label that have series of their own."""
        what = _HOLDS.get(label)
        return [] if what is None else self._bounded[what].known
