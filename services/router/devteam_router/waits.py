"""Since when runs wait in a queue."""

from collections import OrderedDict

from devteam_router.domain import AttemptId


class Waits:
    """Moments on the monotonic clock, by attempt; the oldest is at hand, however many there are."""

    __slots__ = ("_latest", "_ordered", "_since")

    def __init__(self) -> None:
        # In the order of the moments, but where runs came over from another queue.
        self._since: OrderedDict[AttemptId, float] = OrderedDict()
        self._latest = float("-inf")
        self._ordered = True

    def add(self, attempt: AttemptId, since: float) -> None:
        """A run waits since then."""
        self._since[attempt] = since
        if since < self._latest:
            self._ordered = False
        else:
            self._latest = since

    def remove(self, attempt: AttemptId) -> None:
        """It waits here no longer."""
        del self._since[attempt]

    def oldest(self) -> float | None:
        """Since when the run has waited that waits the longest; None when nobody waits."""
        if not self._ordered:
            self._since = OrderedDict(sorted(self._since.items(), key=lambda item: item[1]))
            self._ordered = True
        return next(iter(self._since.values()), None)

    def __len__(self) -> int:
        return len(self._since)
