"""How fast answers grow, in tokens a second."""

from dataclasses import dataclass

# How much the newest second counts beside those before it.
_NEWEST = 0.5


@dataclass(frozen=True, slots=True)
class _Seen:
    attempt: int
    tokens: int
    at: float
    rate: float


class Pace:
    """The rates of tasks that run, from what is heard of each about once a second."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def began(self, task_id: str, attempt: int, at: float) -> None:
        """An attempt begins at `at` seconds; so its first tokens have a rate too. Harmless when it was seen before."""
        before = self._seen.get(task_id)
        if before is None or before.attempt != attempt:
            self._seen[task_id] = _Seen(attempt, 0, at, 0.0)

    def seen(self, task_id: str, attempt: int, tokens: int, at: float) -> float:
        """The rate, now that `tokens` of an attempt are known at `at` seconds; 0 when nothing was heard before."""
        before = self._seen.get(task_id)
        rate = 0.0
        if before and before.attempt == attempt and at > before.at:
            newest = max(tokens - before.tokens, 0) / (at - before.at)
            rate = newest if before.rate == 0 else _NEWEST * newest + (1 - _NEWEST) * before.rate
        self._seen[task_id] = _Seen(attempt, tokens, at, rate)
        return rate

    def forget(self, task_id: str) -> None:
        """A task has ended. Harmless for one that was never seen."""
        self._seen.pop(task_id, None)
