"""Which workers have a stream to this Router, and what of it the Registry has yet to hear."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from devteam.mesh.clock import Clock
from devteam_router.domain import Worker, WorkerInstance, WorkerState
from devteam_router.leases import Leases
from devteam_router.ports import LinkReport, LinkState

# Links a report, as the contract bounds it.
_MOST = 1_000


@dataclass(slots=True)
class _Stream:
    worker: WorkerInstance
    connected: bool
    # When what ran on a broken one is given up; None: it was.
    given_up_at: float | None = None


class Attendance:
    """Notes streams that come and go until the Registry was told. What gathers meanwhile goes into the next report.

    A worker whose stream broke is remembered until the Registry knows it no longer: a Registry that was away has to be
    told of it as well.
    """

    def __init__(self, leases: Leases, clock: Clock, grace: float) -> None:
        self._leases = leases
        self._clock = clock
        self._grace = grace
        self._streams: dict[str, _Stream] = {}
        # As keys, which keep the order in which they came.
        self._untold: dict[str, None] = {}
        self._everything = False
        self._news = asyncio.Event()

    def came(self, worker: WorkerInstance) -> None:
        """Its stream opened."""
        self._note(_Stream(worker, connected=True))

    def went(self, worker: WorkerInstance) -> None:
        """Its stream broke; what it ran there is kept for the grace."""
        self._note(_Stream(worker, connected=False, given_up_at=self._clock.monotonic() + self._grace))

    def gave_up(self, worker: WorkerInstance) -> None:
        """It did not come back within the grace."""
        stream = self._streams.get(worker.worker_id)
        if stream is not None and stream.worker == worker and not stream.connected:
            self._note(_Stream(worker, connected=False))

    def compare(self, worker_id: str, told: Worker | None) -> None:
        """Set what the Registry said of a worker beside what is known here; None: it knows it no longer."""
        stream = self._streams.get(worker_id)
        if stream is None:
            return
        if told is None or told.instance != stream.worker:
            del self._streams[worker_id]
            self._untold.pop(worker_id, None)
        elif told.state is WorkerState.SUSPECT and stream.connected:
            self._note(stream)

    def say_everything(self) -> None:
        """The Registry may know nothing of what it was told before."""
        self._everything = True
        self._news.set()

    async def news(self) -> LinkReport:
        """What the Registry has yet to hear, once there is something. It counts as told unless it is `unheard`."""
        await self._news.wait()
        complete = self._everything and len(self._streams) <= _MOST
        if self._everything:
            # More than fit into one report go in parts, none of which is complete: whoever is gone is named, too.
            self._untold = dict.fromkeys(self._streams)
            self._everything = False
        told = list(self._untold)[:_MOST]
        for worker_id in told:
            del self._untold[worker_id]
        if not self._untold:
            self._news.clear()
        return LinkReport(tuple(self._state(self._streams[worker_id]) for worker_id in told), complete)

    def unheard(self, report: LinkReport) -> None:
        """The report did not arrive: what is true by then has to be said again."""
        self._everything = self._everything or report.complete
        self._mark(link.worker.worker_id for link in report.links if link.worker.worker_id in self._streams)
        if self._everything:
            self._news.set()

    def _note(self, stream: _Stream) -> None:
        self._streams[stream.worker.worker_id] = stream
        self._mark([stream.worker.worker_id])

    def _mark(self, worker_ids: Iterable[str]) -> None:
        self._untold.update(dict.fromkeys(worker_ids))
        if self._untold:
            self._news.set()

    def _state(self, stream: _Stream) -> LinkState:
        rest = None
        if stream.given_up_at is not None:
            rest = max(0.0, stream.given_up_at - self._clock.monotonic())
        return LinkState(stream.worker, stream.connected, len(self._leases.held_by(stream.worker)), rest)
