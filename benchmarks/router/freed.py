"""What a slot that comes free costs while very many runs wait."""

import asyncio
import gc
import itertools
from collections.abc import Iterator
from random import Random
from time import perf_counter_ns
from typing import Protocol

from devteam_router.domain import AttemptId, Run

from benchmarks.figures import Timings, tell
from benchmarks.router import fleets
from benchmarks.router.fleets import SLOTS
from benchmarks.router.halls import Hall
from benchmarks.router.offices import Office

_WORKERS = 1_000
_WAITING = 100_000
_TENANTS = ("amber", "birch", "cedar", "delta", "ember")
_ROUNDS = 20
_BLOCK = 1_000


class _House(Protocol):
    """Where runs meet workers."""

    def wait(self, run: Run) -> None:
        """A run comes."""

    def oldest(self, worker_id: str) -> AttemptId:
        """What a worker has had the longest."""

    def free(self, worker_id: str, attempt: AttemptId) -> None:
        """A run of a worker ends; the next one that is due has its slot."""

    def forget(self, attempt: AttemptId) -> None:
        """That run is over."""


def measure() -> None:
    """From a slot that comes free to the next of 100,000 runs, of 200 signatures, five tenants and five priorities."""
    asyncio.run(_matcher())
    asyncio.run(_core())


async def _matcher() -> None:
    hall = Hall(map(fleets.worker, range(_WORKERS)))
    runs, random = _all_busy(hall), Random(2)
    chosen, charged = Timings(), Timings()
    for _ in range(_ROUNDS):
        found = []
        for _ in range(_BLOCK):
            began, ended = _freed(hall, random, runs)
            found.append((hall.audience.chosen_at - began, ended - began))
        chosen.add([block[0] for block in found])
        charged.add([block[1] for block in found])
    chosen.tell("slot freed: until the next run is chosen")
    charged.tell("slot freed: until it is charged and told")


async def _core() -> None:
    office = Office()
    office.hire(map(fleets.worker, range(_WORKERS)))
    runs, random = _all_busy(office), Random(2)
    timings = Timings()
    for _ in range(_ROUNDS):
        moments = [_freed(office, random, runs) for _ in range(_BLOCK)]
        timings.add([ended - began for began, ended in moments])
    timings.tell("slot freed: from a report to the next run assigned, in the whole core")
    tell("slot freed: the longest of these, ms", max(map(max, timings.blocks)) / 1e6)


def _all_busy(house: _House) -> Iterator[Run]:
    """Have so many runs wait; returns those that come later."""
    runs = fleets.runs(fleets.two_hundred(), _TENANTS)
    for run in itertools.islice(runs, _WORKERS * SLOTS + _WAITING):
        house.wait(run)
    gc.collect()
    return runs


def _freed(house: _House, random: Random, runs: Iterator[Run]) -> tuple[int, int]:
    """Have a run end, and another one come; returns when it ended and when the next one had its slot."""
    worker_id = f"worker-{random.randrange(_WORKERS)}"
    attempt = house.oldest(worker_id)
    began = perf_counter_ns()
    house.free(worker_id, attempt)
    ended = perf_counter_ns()
    house.forget(attempt)
    house.wait(next(runs))
    return began, ended
