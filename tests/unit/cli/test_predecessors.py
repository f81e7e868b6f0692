"""Workers that a mesh left behind when it was killed."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from devteam_cli.predecessors import gone
from devteam_worker.presence import Presence, Presences, this_process

from devteam.mesh.errors import FailedPrecondition
from tests.fakes.clock import FakeClock
from tests.fakes.hasty_clock import HastyClock

PID, BEGAN = this_process()
HERE = Presence("local", PID, BEGAN, 0.0, ("devteam-worker", "start"), "", "http://127.0.0.1:7400", 4, 2.0)


class ClockThatEnds(HastyClock):
    """After some sleeps the worker has ended."""

    def __init__(self, presences: Presences) -> None:
        super().__init__()
        self._presences = presences

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        if len(self.slept) == 3:
            self._presences.remove("local")


async def test_a_mesh_waits_until_they_have_ended_and_says_so_once(tmp_path: Path) -> None:
    presences, said = Presences(tmp_path / "workers"), list[str]()
    presences.write(HERE)
    clock = ClockThatEnds(presences)
    async with asyncio.timeout(60):
        await gone(["local"], tmp_path, said.append, clock, timeout=30)
    assert len(clock.slept) == 3
    assert said == ["waiting for workers of an earlier mesh to end"]


async def test_nobody_waits_for_the_dead_or_for_workers_of_another_id(tmp_path: Path, clock: FakeClock) -> None:
    presences, said = Presences(tmp_path / "workers"), list[str]()
    presences.write(replace(HERE, worker_id="desk"))
    presences.write(replace(HERE, began=BEGAN - 60))
    async with asyncio.timeout(60):
        await gone(["local"], tmp_path, said.append, clock, timeout=30)
    assert said == []


async def test_one_that_does_not_end_is_named(tmp_path: Path) -> None:
    Presences(tmp_path / "workers").write(HERE)
    clock = HastyClock()
    with pytest.raises(FailedPrecondition, match=f"worker local still runs on .*, as process {PID}: use"):
        await gone(["local"], tmp_path, lambda _: None, clock, timeout=30)
    assert sum(clock.slept) == pytest.approx(30, abs=0.2)
