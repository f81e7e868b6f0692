"""What keeps runs waiting though a worker is free: impatient providers, and operators' limits."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase

from devteam.mesh.clock import Clock
from devteam_router.domain import Signature, Wait, WaitReason
from devteam_router.routing import ModelLimit, Routing

# Starts a minute that are the fewest which can be counted: one in two months.
_SLOWEST = 1e-5
# Openings that follow each other closely happen together, in seconds.
_SHORTEST = 0.01
# Sums of intervals are no more exact than that.
_NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class Closed:
    """A gate, why it is closed, and when it opens (on the monotonic clock).

    `everywhere`: it closes every queue; else another queue, or another worker, may be open.
    """

    gate: Hashable
    wait: Wait
    opens_at: float
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Nearness:
    """The gate of runs whose first waits since then for somebody near."""

    signature: Signature
    queue: str
    since: float


@dataclass(frozen=True, slots=True)
class Throttle:
    """A model of which nothing starts before a moment on the monotonic clock, and why."""

    model: str
    until: float
    reason: str


class Gates:
    """Knows what may start now. `routers` of them share each limit."""

    def __init__(self, routing: Routing, clock: Clock) -> None:
        self._routing = routing
        self._clock = clock
        self.routers = 1
        self._throttles: dict[str, Throttle] = {}
        # When the next start would be due if they came at regular intervals.
        self._due: dict[ModelLimit, float] = {}

    def throttle(self, model: str, seconds: float, reason: str) -> bool:
        """A provider asked for patience; False if it had asked for as much before."""
        until = self._clock.monotonic() + seconds
        known = self._throttles.get(model)
        if known is not None and known.until >= until:
            return False
        self._throttles[model] = Throttle(model, until, reason)
        return True

    def throttles(self) -> list[Throttle]:
        """Those that hold now, by model."""
        now = self._clock.monotonic()
        self._throttles = {model: found for model, found in self._throttles.items() if found.until > now}
        return [self._throttles[model] for model in sorted(self._throttles)]

    def model(self, model: str) -> Closed | None:
        """Why nothing of a model may start anywhere now; None: it may."""
        if not self._throttles and not self._routing.wishes.limits:
            return None
        throttle = self._throttles.get(model)
        if throttle is not None:
            if throttle.until > self._clock.monotonic():
                detail = f"nothing of {model} starts anywhere for now: {throttle.reason}"
                reason, until = WaitReason.PROVIDER_THROTTLED, throttle.until
                return self._closed(("throttle", model), reason, detail, until, everywhere=True)
            del self._throttles[model]
        return self._limited(model, "")

    def queue(self, queue: str, model: str) -> Closed | None:
        """Why nothing of a model may start in this queue now, whatever holds for the fleet; None: it may."""
        return self._limited(model, queue) if self._routing.wishes.limits else None

    def passed(self, queue: str, model: str) -> None:
        """A run of this model has started out of this queue."""
        if not self._routing.wishes.limits:
            return
        now = self._clock.monotonic()
        for limit in self._matching(model, "", queue):
            self._due[limit] = max(self._due.get(limit, 0.0), now) + self._interval(limit)

    def changed(self) -> None:
        """Operators want other limits: forget the counts of those that hold no longer."""
        limits = set(self._routing.wishes.limits)
        self._due = {limit: due for limit, due in self._due.items() if limit in limits}

    def _limited(self, model: str, queue: str) -> Closed | None:
        now = self._clock.monotonic()
        for limit in self._matching(model, queue):
            # As many as a second's worth may come at once.
            opens_at = self._due.get(limit, 0.0) - max(0.0, 1.0 - self._interval(limit))
            if opens_at - now > _NOTHING:
                where = f"in {limit.queue}" if limit.queue else "over the whole fleet"
                detail = f"no more than {limit.starts_per_minute:g} runs of {limit.model} may start a minute {where}"
                opens_at = max(opens_at, now + _SHORTEST)
                return self._closed(limit, WaitReason.RATE_LIMITED, detail, opens_at, everywhere=not limit.queue)
        return None

    def _matching(self, model: str, *queues: str) -> Iterator[ModelLimit]:
        for limit in self._routing.wishes.limits:
            if limit.queue in queues and fnmatchcase(model, limit.model):
                yield limit

    def _interval(self, limit: ModelLimit) -> float:
        return 60.0 / max(limit.starts_per_minute, _SLOWEST) * self.routers

    def _closed(self, gate: Hashable, reason: WaitReason, detail: str, opens_at: float, *, everywhere: bool) -> Closed:
        until = self._clock.now() + timedelta(seconds=opens_at - self._clock.monotonic())
        return Closed(gate, Wait(reason, detail, until), opens_at, everywhere)
