"""Plays faults as often as is asked for, and has their history judged."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from devteam.client import DevTeamClient
from devteam.errors import DevTeamError
from tests.chaos.audience import Audience, audience
from tests.chaos.checker import complaints
from tests.chaos.cluster import Cluster, Crew
from tests.chaos.journal import Journal, read
from tests.chaos.layout import Layout
from tests.chaos.scene import PATIENCE, Fault, Measured, Scene
from tests.chaos.storage import Storage, storage


@dataclass(slots=True)
class Result:
    """What came of it: the seconds that were measured, and everything that should not have happened."""

    fault: Fault
    runs: int
    measured: Measured = field(default_factory=lambda: defaultdict(list))
    complaints: list[str] = field(default_factory=list)

    def percentile(self, name: str, share: float) -> float:
        """The measured time that so large a share of them does not exceed."""
        ordered = sorted(self.measured[name])
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def late(self) -> list[str]:
        """The measured times that are not within their bounds."""
        bounds = self.fault.bounds
        return [name for name in bounds if name in self.measured and self.percentile(name, 0.99) > bounds[name]]


async def perform(fault: Fault, runs: int, seed: int, folder: Path) -> Result:
    """Play it. The seed decides everything that is decided by chance here; what happened is in history.jsonl."""
    result = Result(fault, runs)
    await perform_in_turn([result], seed, folder)
    return result


async def perform_in_turn(results: Sequence[Result], seed: int, folder: Path) -> None:
    """Play several faults of one footing on one mesh, one after the other. Each answers for the whole history."""
    lanes = max(min(result.fault.lanes, result.runs) for result in results)
    async with _stage(results[0].fault, lanes, folder) as stage:
        for result in results:
            await _play(result, stage, seed)
        found = await stage.close()
    found += complaints(read(folder / "history.jsonl"))
    for result in results:
        result.complaints += found


async def _play(result: Result, stage: "_Stage", seed: int) -> None:
    fault, numbers = result.fault, iter(range(result.runs))

    async def play(lane: int) -> None:
        for run in numbers:
            scene = stage.scene(lane, Random(f"{seed}/{fault.name}/{run}"))
            try:
                for name, seconds in (await fault.play(scene)).items():
                    result.measured[name] += seconds
            except (AssertionError, TimeoutError, DevTeamError) as error:
                result.complaints.append(f"run {run}: {type(error).__name__} {error}")

    await asyncio.gather(*(play(lane) for lane in range(min(fault.lanes, result.runs))))


@dataclass(frozen=True, slots=True)
class _Stage:
    cluster: Cluster
    audience: Audience
    operators: dict[str, DevTeamClient]
    journal: Journal
    lanes: list[tuple[str, ...]]
    storage: Storage

    def scene(self, lane: int, random: Random) -> Scene:
        """One run in this lane."""
        operator = self.operators["registry"]
        queue, agents = _queue(lane), self.lanes[lane]
        return Scene(self.cluster, self.audience, self.journal, operator, self.storage, random, queue, agents)

    async def close(self) -> list[str]:
        """Note how everything is stored, and whether all slots are free again. Returns what there is to complain of."""
        try:
            await self.audience.account()
            async with asyncio.timeout(PATIENCE):
                await self._idle()
        except TimeoutError:
            return ["what was submitted never came to rest"]
        return []

    async def _idle(self) -> None:
        routers = [self.operators[name] for name in self.cluster.routers]
        while True:
            queues = [queue for router in routers for queue in await router.list_queues()]
            running, waiting = sum(q.running for q in queues), sum(q.waiting for q in queues)
            if not running and not waiting:
                break
            await asyncio.sleep(0.1)
        self.journal.note("idle", running=running, waiting=waiting)


@asynccontextmanager
async def _stage(fault: Fault, lane_count: int, folder: Path) -> AsyncIterator[_Stage]:
    lanes = [tuple(f"w{lane}-{number}" for number in range(fault.agents)) for lane in range(lane_count)]
    async with AsyncExitStack() as stack:
        kept = stack.enter_context(storage(fault.storage, folder))
        journal = await stack.enter_async_context(Journal(folder))
        layout = Layout(folder, fault.routers, kept.url, fault.env)
        cluster = await stack.enter_async_context(Cluster(folder, journal, layout))
        for lane, agents in enumerate(lanes):
            crew = Crew(_queue(lane), fault.slots, fault.crew)
            await asyncio.gather(*(cluster.agent(agent, crew) for agent in agents))
        clients = {
            name: DevTeamClient(f"http://{cluster.address(name)}", api_key="")
            for name in ("registry", *cluster.routers)
        }
        for client in clients.values():
            await stack.enter_async_context(client)
        present = await stack.enter_async_context(audience(f"http://{cluster.address('planner')}", journal))
        yield _Stage(cluster, present, clients, journal, lanes, kept)


def _queue(lane: int) -> str:
    return f"lane-{lane}"
