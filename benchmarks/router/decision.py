"""What one decision costs, by the size of the fleet."""

import asyncio
import gc
import itertools
import time
from collections.abc import Iterable
from dataclasses import replace
from time import perf_counter_ns

from devteam_router.domain import Run, Signature, StrategyName, Worker

from benchmarks.figures import Timings, tell
from benchmarks.router import fleets
from benchmarks.router.desks import Desk
from benchmarks.router.offices import Office

_SIZES = (10, 100, 1_000, 10_000)
# Whatever else the machine does hits all sizes alike: they take turns.
_ROUNDS = 5
_BLOCKS = 6
_BLOCK = 1_000


def measure() -> None:
    """Filter, order, pick, charge and release, for each strategy; then a whole run through the Router's core."""
    tell("decision: the clock itself, which is part of all of these, us", _clock())
    for strategy in StrategyName:
        _of_strategy(strategy)
    for size in (_SIZES[0], _SIZES[-1]):
        tell(f"whole run through the core, {size:,} workers, us", asyncio.run(_whole_run(size)) * 1e6)


def _clock() -> float:
    timings = Timings()
    timings.add([-perf_counter_ns() + perf_counter_ns() for _ in range(_BLOCK)])
    return timings.p50


def _of_strategy(strategy: StrategyName) -> None:
    few = fleets.mixed(strategy)
    many = [replace(signature, strategy=strategy) for signature in fleets.hundred()]
    cases = {f"{size:,} workers": (_workers(size), few) for size in _SIZES}
    cases["10,000 workers, 100 signatures"] = (_workers(_SIZES[-1]), many)
    cases["10,000 workers, no two alike"] = (_workers(_SIZES[-1], unlike=True), few)
    timings = {name: Timings() for name in cases}
    for _ in range(_ROUNDS):
        for name, case in cases.items():
            timings[name].add(_alone(*case))
    for name, found in timings.items():
        found.tell(f"decision, {strategy}, {name}")
    smallest, largest = timings[f"{_SIZES[0]:,} workers"], timings[f"{_SIZES[-1]:,} workers"]
    tell(f"decision, {strategy}, {_SIZES[-1]:,} workers over {_SIZES[0]}", largest.over(smallest))


def _workers(size: int, *, unlike: bool = False) -> list[Worker]:
    return [fleets.worker(number, unlike=unlike) for number in range(size)]


def _alone(workers: list[Worker], signatures: list[Signature]) -> list[int]:
    """Nanoseconds of some decisions on a fleet that is the only one in the process, as a Router has only one."""
    desk = Desk(workers, signatures)
    gc.collect()
    return [took for _ in range(_BLOCKS) for took in desk.decide(_BLOCK)]


async def _whole_run(size: int) -> float:
    """Seconds from a dispatch to its acknowledged report, of the quickest of a few blocks."""
    office, runs = Office(), fleets.runs(fleets.mixed(StrategyName.LEAST_LOADED))
    office.hire(_workers(size))
    return min([await _seconds_a_run(office, itertools.islice(runs, _BLOCK)) for _ in range(5)])


async def _seconds_a_run(office: Office, runs: Iterable[Run]) -> float:
    began = time.perf_counter()
    for run in runs:
        await office.follow(run)
    return (time.perf_counter() - began) / _BLOCK
