"""Faults of one Router of two, while forty workers are linked to both and have more to do than they have slots."""

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise

from tests.chaos.inquiry import Inquiry
from tests.chaos.journal import Record
from tests.chaos.layout import Routers
from tests.chaos.scene import PATIENCE, Fault, Measured, Scene

_PROCESSES, _CREW = 4, 10
_WORKERS = _PROCESSES * _CREW
# Words a second: each is stored, and told to a watcher.
_PACE = 10
_SILENT = "longest silence of a run it had"
_PLACED = "first run that waited there placed elsewhere"


async def killed(scene: Scene) -> Measured:
    """What it had goes on through the other one; it is away for a moment, and back in use before the next kill."""
    victim, other = await _whole(scene)
    tasks = await _busy(scene, 60)
    held = await _held(scene, victim, tasks)
    at = scene.cluster.kill(victim)
    tasks += await _work_comes_in(scene, scene.random.uniform(0, 2))
    await scene.cluster.again(victim)
    await scene.audience.ended(*tasks, patience=PATIENCE)
    silent = [seconds for task, stood in held.items() if stood == "assigned" for seconds in _silences(scene, task, at)]
    waited = [task for task, stood in held.items() if stood == "waiting"]
    placed = await Inquiry(scene.cluster.address(other)).standing(waited)
    return {_SILENT: silent, _PLACED: _first_begun(scene, list(placed), at)}


async def paused(scene: Scene) -> Measured:
    """It stands still until others take it for dead, most of the time, and comes back with what it then believed."""
    victim, _ = await _whole(scene)
    tasks = [*await _long_ones(scene), *await _busy(scene, 40)]
    held = await _held(scene, victim, tasks)
    at = scene.cluster.pause(victim)
    tasks += await _work_comes_in(scene, scene.random.uniform(8, 24))
    scene.cluster.resume(victim)
    tasks += await _work_comes_in(scene, 3)
    await scene.audience.ended(*tasks, patience=PATIENCE)
    return {_SILENT: [seconds for task in held for seconds in _silences(scene, task, at)]}


async def cut_off(scene: Scene) -> Measured:
    """The Planner alone cannot reach it: cut, or swallowed; its workers can, and it has not heard of any fault."""
    await _whole(scene)
    victim, relay = scene.cluster.routers[0], scene.cluster.relay
    tasks = [*await _long_ones(scene), *await _busy(scene, 40)]
    held = await _held(scene, victim, tasks)
    swallowed = scene.random.random() < 0.5
    at = float(scene.journal.note("fault", kind="black hole" if swallowed else "cut", targets=[victim])["at"])
    if swallowed:
        relay.swallow()
        tasks += await _work_comes_in(scene, scene.random.uniform(0, 20))
        relay.heal()
    else:
        await relay.cut()
        tasks += await _work_comes_in(scene, scene.random.uniform(0, 4))
        await scene.cluster.relay_again()
    await scene.audience.ended(*tasks, patience=PATIENCE)
    silent = [seconds for task in held for seconds in _silences(scene, task, at)]
    return {f"{_SILENT} ({'swallowed' if swallowed else 'cut'})": silent}


async def _whole(scene: Scene) -> tuple[str, str]:
    """Wait until both Routers have every worker, and are given work; whose turn it is to suffer, and the other one."""
    first, second = scene.cluster.routers
    async with asyncio.timeout(PATIENCE):
        await _in_use(scene, first)
        await _in_use(scene, second)
    blows = sum(record["kind"] != "resume" for record in scene.journal.all("fault"))
    return (second, first) if blows % 2 else (first, second)


async def _in_use(scene: Scene, name: str) -> None:
    router = Inquiry(scene.cluster.address(name))
    while await router.slots(scene.queue) < _WORKERS:  # noqa: ASYNC110 - no event says so
        await asyncio.sleep(0.05)
    while not await router.standing([await _one_word(scene)]):  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.05)


async def _held(scene: Scene, router: str, tasks: Sequence[str]) -> dict[str, str]:
    """How a Router has these tasks, those left out that it does not have."""
    held = await Inquiry(scene.cluster.address(router)).standing(tasks)
    counts = {stood: list(held.values()).count(stood) for stood in ("assigned", "waiting")}
    scene.journal.note("held", router=router, **counts)
    assert counts["assigned"], f"{router} had nothing that could be lost"
    return held


async def _one_word(scene: Scene) -> str:
    task = await scene.audience.task(1, 0, queue=scene.queue)
    await scene.audience.ended(task, patience=PATIENCE)
    return task


async def _long_ones(scene: Scene) -> list[str]:
    """Half as many as there are slots, still talking when the longest pause is over."""
    return await _submitted(scene, [scene.random.uniform(12, 30) for _ in range(_WORKERS // 2)])


async def _busy(scene: Scene, count: int) -> list[str]:
    """Submit so many, and wait until as many have begun as there are slots that they can have."""
    tasks = await _submitted(scene, [scene.random.uniform(0.3, 3.5) for _ in range(count)])
    await scene.journal.until(lambda: _begun(scene, tasks, count // 2), PATIENCE)
    await asyncio.sleep(scene.random.uniform(0, 0.5))
    return tasks


async def _work_comes_in(scene: Scene, seconds: float) -> list[str]:
    """A short task every now and then, for so long."""
    tasks: list[str] = []
    until = time.monotonic() + seconds
    while (rest := until - time.monotonic()) > 0:
        tasks += await _submitted(scene, [scene.random.uniform(0.5, 2.5)])
        await asyncio.sleep(min(rest, scene.random.uniform(0.05, 0.3)))
    return tasks


async def _submitted(scene: Scene, lengths: Sequence[float]) -> list[str]:
    created = (scene.audience.task(int(_PACE * seconds), seconds, queue=scene.queue) for seconds in lengths)
    tasks = list(await asyncio.gather(*created))
    scene.spare(*tasks)
    return tasks


def _begun(scene: Scene, tasks: Sequence[str], count: int) -> Record | None:
    """The record that makes it so many of these; None if they are fewer."""
    found = [record for task in tasks for record in scene.journal.all("begun", task=task)]
    return found[-1] if len(found) >= count else None


def _first_begun(scene: Scene, tasks: Sequence[str], at: float) -> list[float]:
    return sorted(float(record["at"]) - at for task in tasks for record in scene.journal.all("begun", task=task))[:1]


def _silences(scene: Scene, task: str, at: float) -> list[float]:
    """The longest time, from `at` on, in which no word of a task was heard, or its end if it had none left to say.

    None for a task that had ended by then.
    """
    heard = [r["at"] for r in scene.journal.all("tokens", task=task, watcher="first") if r["at"] > at]
    ended = [r["at"] for r in scene.journal.all("state", task=task, state="succeeded") if r["at"] > at]
    moments = [at, *(heard or ended[:1])]
    return [max(later - earlier for earlier, later in pairwise(moments))] if moments[1:] else []


FAULTS = [
    Fault(
        name="router-pair: kill -9 one of two routers, restart",
        required="no attempt burnt, runs go on through the other router within 4 s",
        runs=50,
        play=killed,
        bounds={_SILENT: 4.0, _PLACED: 4.0},
        sample=2,
        agents=_PROCESSES,
        crew=_CREW,
        slots=1,
        routers=Routers.PAIR,
    ),
    Fault(
        name="router-pair: SIGSTOP one of two routers for 8 to 24 s, SIGCONT",
        required="no attempt burnt, none started twice, runs go on within 20 s",
        runs=20,
        play=paused,
        bounds={_SILENT: 20.0},
        sample=0,
        agents=_PROCESSES,
        crew=_CREW,
        slots=1,
        routers=Routers.PAIR,
    ),
    Fault(
        name="router-pair: planner cut off from one of two routers",
        required="no attempt burnt, none started twice, runs go on within 4 s (swallowed: 20 s)",
        runs=20,
        play=cut_off,
        bounds={f"{_SILENT} (cut)": 4.0, f"{_SILENT} (swallowed)": 20.0},
        sample=0,
        agents=_PROCESSES,
        crew=_CREW,
        slots=1,
        routers=Routers.RELAYED_PAIR,
    ),
]
