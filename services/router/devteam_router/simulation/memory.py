"""A machine's memory for models."""

from collections import Counter
from collections.abc import Set as AbstractSet


class Memory:
    """Which of the models on a machine are loaded. One that nobody uses makes room for another, the oldest first.

    `load_time` in seconds; `room` for so many models, None: for all.
    """

    def __init__(self, local: AbstractSet[str], load_time: float, room: int | None) -> None:
        self._local = local
        self._load_time = load_time
        self._room = len(local) if room is None else room
        # When each is loaded, the one that was wanted last at the end.
        self._ready: dict[str, float] = {}
        self._users: Counter[str] = Counter()

    @property
    def models(self) -> frozenset[str]:
        """Those that are loaded, or being loaded."""
        return frozenset(self._ready)

    def use(self, model: str, now: float) -> float:
        """Seconds until a model is there; none for one that is not run by this machine itself."""
        if model not in self._local:
            return 0.0
        ready = self._ready[model] = self._ready.pop(model, now + self._load_time)
        self._users[model] += 1
        self._make_room()
        return max(0.0, ready - now)

    def leave(self, model: str) -> None:
        """A run of it has ended."""
        if model in self._local:
            self._users[model] -= 1

    def _make_room(self) -> None:
        idle = [model for model in self._ready if not self._users[model]]
        for model in idle[: max(0, len(self._ready) - self._room)]:
            del self._ready[model]
