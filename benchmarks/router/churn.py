"""What very many workers that come at once do to the Router's event loop."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import replace

from devteam_router.domain import AttemptId, Run, Signature, Worker, WorkerQueue

from benchmarks.figures import percentile, tell
from benchmarks.router import fleets
from benchmarks.router.fleets import SLOTS
from benchmarks.router.offices import Office

_NEWCOMERS, _WITHIN = 10_000, 10.0
# More than the newcomers can take at once, so that each has something to run as soon as it is eligible.
_WAITING, _FOREVER = 60_000, 3600.0
# Workers that are there already have a queue of their own: so many runs at once, which take so many seconds each.
_OTHERS, _BUSY, _TAKES = 100, 20, 0.05
_PROBE = 0.001


def measure() -> None:
    """Ten thousand workers come within ten seconds, while runs of 200 signatures wait and others come and go."""
    asyncio.run(_Crowd().measure())


class _Crowd:
    """Those who come, and what is going on meanwhile."""

    def __init__(self) -> None:
        self._newcomers = [fleets.worker(number) for number in range(_NEWCOMERS)]
        self._lags: list[float] = []
        self._calls: list[float] = []
        self._others = 0

    async def measure(self) -> None:
        """Let them come, and tell how it went."""
        office = Office()
        office.hire(map(_other, range(_OTHERS)))
        waiting = [asyncio.create_task(office.follow(run, takes=_FOREVER)) for run in _waiting()]
        while len(office.core.lines) < _WAITING:  # noqa: ASYNC110 - nobody says when all of them stand in line
            await asyncio.sleep(0.1)
        busy = [asyncio.create_task(self._go_on(office, number)) for number in range(_BUSY)]
        probe = asyncio.create_task(self._probe())
        began = time.perf_counter()
        await self._come(office)
        tell("churn: seconds in which 10,000 workers came", time.perf_counter() - began)
        tell("churn: without a run when the last one had come", self._idle(office))
        await asyncio.sleep(1.0)
        tell("churn: without a run one second later", self._idle(office))
        for task in (*waiting, *busy, probe):
            task.cancel()
        await asyncio.wait([*waiting, *busy, probe])
        self._tell()

    async def _come(self, office: Office) -> None:
        began = time.perf_counter()
        for number, worker in enumerate(self._newcomers):
            due = began + number * _WITHIN / _NEWCOMERS
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            came = time.perf_counter()
            office.hire([worker])
            self._calls.append(time.perf_counter() - came)

    def _idle(self, office: Office) -> int:
        """Newcomers whom nobody has given anything, with runs for all of them waiting."""
        return sum(not office.core.leases.active(worker.id) for worker in self._newcomers)

    async def _go_on(self, office: Office, number: int) -> None:
        for attempt in itertools.count(1):
            run = Run(AttemptId(f"other-{number}", attempt), Signature(("others",), "haiku"), None)
            await office.follow(run, takes=_TAKES)
            self._others += 1

    async def _probe(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_PROBE)
            self._lags.append(time.perf_counter() - began - _PROBE)

    def _tell(self) -> None:
        tell("churn: one worker registered, attached and given its runs, p50 us", percentile(self._calls, 0.5) * 1e6)
        tell("churn: one worker registered, attached and given its runs, p99 us", percentile(self._calls, 0.99) * 1e6)
        tell("churn: lag of the event loop, p50 ms", percentile(self._lags, 0.5) * 1e3)
        tell("churn: lag of the event loop, p99 ms", percentile(self._lags, 0.99) * 1e3)
        tell("churn: lag of the event loop, the longest, ms", max(self._lags) * 1e3)
        tell("churn: other runs that came and went meanwhile", self._others)


def _other(number: int) -> Worker:
    worker = fleets.worker(number)
    instance = replace(worker.instance, worker_id=f"other-{number}")
    return replace(worker, instance=instance, queues={"others": WorkerQueue("others", SLOTS)})


def _waiting() -> Iterator[Run]:
    signatures = fleets.two_hundred()
    nobodys = [replace(signature, model="of-nobody") for signature in signatures[180:]]
    return itertools.islice(fleets.runs([*signatures[:180], *nobodys]), _WAITING)
