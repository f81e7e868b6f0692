"""Faults of the services, of Temporal, and of everything at once."""

import asyncio

from devteam.errors import Unavailable
from devteam.mesh.clock import SystemClock
from devteam.mesh.tasks import Backoff
from tests.chaos.scene import PATIENCE, Fault, Measured, Scene


async def router_killed(scene: Scene) -> Measured:
    """Every stream goes on where it was, with the same model call."""
    tasks = await _running(scene, 3, seconds=4.0)
    await _killed_and_back(scene, "router", down=scene.random.uniform(0, 1))
    up = _last_up(scene, "router")
    back = [await _next_token(scene, task, up) for task in tasks]
    await scene.audience.ended(*tasks, patience=PATIENCE)
    return {"streams back": back}


async def planner_killed(scene: Scene) -> Measured:
    """Watchers are served again at once; generations go on meanwhile, and are stored when somebody listens again."""
    tasks = await _running(scene, 3, seconds=4.0)
    await _killed_and_back(scene, "planner", down=scene.random.uniform(0, 1))
    up = _last_up(scene, "planner")
    for task in tasks:
        scene.audience.watch(task, "newcomer")
    served = [
        float((await scene.journal.first("state", task=task, watcher="newcomer", patience=PATIENCE))["at"]) - up
        for task in tasks
    ]
    await scene.audience.ended(*tasks, patience=PATIENCE)
    return {"watchers served": served, "step completed": [_completed(scene, task, up) for task in tasks]}


async def all_services_killed(scene: Scene) -> Measured:
    """Registry, Router and Planner together: the workers alone know what goes on, and they go on."""
    tasks = await _running(scene, 3, seconds=6.0)
    services = ("registry", "router", "planner")
    scene.cluster.kill(*services)
    await asyncio.sleep(scene.random.uniform(0, 1))
    up = max(await asyncio.gather(*(scene.cluster.again(name) for name in services)))
    back = [await _next_token(scene, task, up) for task in tasks]
    await scene.audience.ended(*tasks, patience=PATIENCE)
    return {"streams back": back}


async def registry_killed(scene: Scene) -> Measured:
    """Ten seconds without a Registry: nobody who works may notice."""
    tasks = await _running(scene, 3, seconds=13.0)
    at = scene.cluster.kill("registry")
    await asyncio.sleep(10)
    up = await scene.cluster.again("registry")
    await scene.audience.ended(*tasks, patience=PATIENCE)
    await _all_known(scene)
    return {"longest pause between words": [max(_pauses(scene, task, at, up)) for task in tasks]}


async def temporal_killed(scene: Scene) -> Measured:
    """Every accepted plan reaches its end once it is back on its file."""
    plan = await scene.audience.plan(20, 0.5, queue=scene.queue)
    await asyncio.sleep(scene.random.uniform(0, 1.5))
    scene.cluster.kill("temporal")
    await asyncio.sleep(scene.random.uniform(0, 1))
    up = await scene.cluster.again("temporal")
    await scene.audience.ended(plan, patience=PATIENCE)
    return {"plan at its end": [float(scene.journal.note("settled")["at"]) - up]}


async def all_killed(scene: Scene) -> Measured:
    """A power cut: what was accepted is there afterwards, and comes to its end."""
    accepted = [
        await scene.audience.plan(20, 0.5, queue=scene.queue),
        *(await _running(scene, 2, seconds=2.0, spared=False)),
    ]
    await asyncio.sleep(scene.random.uniform(0, 1))
    scene.cluster.kill(*scene.cluster.names)
    await scene.cluster.again("temporal")
    await asyncio.gather(*(scene.cluster.again(name) for name in scene.cluster.names if name != "temporal"))
    up = float(scene.journal.note("all up")["at"])
    await scene.audience.ended(*accepted, patience=PATIENCE)
    return {"all at their ends": [float(scene.journal.note("settled")["at"]) - up]}


async def _running(scene: Scene, count: int, *, seconds: float, spared: bool = True) -> list[str]:
    tasks = [await scene.audience.task(int(seconds * 30), seconds, queue=scene.queue) for _ in range(count)]
    await scene.speaking(*tasks)
    if spared:
        scene.spare(*tasks)
    return tasks


async def _killed_and_back(scene: Scene, name: str, *, down: float) -> None:
    await asyncio.sleep(scene.random.uniform(0, 0.5))
    scene.cluster.kill(name)
    await asyncio.sleep(down)
    await scene.cluster.again(name)


def _last_up(scene: Scene, name: str) -> float:
    return max(float(record["at"]) for record in scene.journal.all("up", target=name))


async def _next_token(scene: Scene, task: str, after: float) -> float:
    """Seconds from `after` until more of a task is heard."""
    heard = await scene.journal.first("tokens", task=task, watcher="first", after=after, patience=PATIENCE)
    return float(heard["at"]) - after


def _completed(scene: Scene, task: str, up: float) -> float:
    """Seconds until a task counted as done, from its agent's last word or, if that is later, from `up`."""
    said = next(iter(scene.journal.all("left", task=task)))["at"]
    told = next(r for r in scene.journal.all("state", task=task, watcher="first") if r["state"] == "succeeded")
    return float(told["at"] - max(said, up))


def _pauses(scene: Scene, task: str, begin: float, end: float) -> list[float]:
    """The seconds between words that were heard of a task in this time."""
    heard = [r["at"] for r in scene.journal.all("tokens", task=task, watcher="first") if begin <= r["at"] <= end]
    return [later - earlier for earlier, later in zip([begin, *heard], [*heard, end], strict=True)]


async def _all_known(scene: Scene) -> None:
    backoff = Backoff(SystemClock())
    while True:
        try:
            known = {worker.id for worker in await scene.operator.get_workers()}
        except Unavailable:
            # Its connection was refused a moment ago, and is not tried again at once.
            await backoff.pause()
        else:
            break
    assert known >= set(scene.agents), f"the Registry has forgotten {set(scene.agents) - known}"


FAULTS = [
    Fault(
        name="kill -9 router, restart",
        required="streams back within 4 s, same model calls",
        runs=50,
        play=router_killed,
        bounds={"streams back": 4.0},
    ),
    Fault(
        name="kill -9 planner, restart",
        required="watchers served within 4 s, steps completed within 14 s, same model calls",
        runs=50,
        play=planner_killed,
        bounds={"watchers served": 4.0, "step completed": 14.0},
    ),
    Fault(
        name="kill -9 registry, 10 s down",
        required="nobody deregistered, nothing moved, streams untouched",
        runs=20,
        play=registry_killed,
        bounds={"longest pause between words": 1.0},
    ),
    Fault(
        name="kill -9 registry, router and planner at once",
        required="same model calls, no token lost or doubled, streams back within 14 s",
        runs=20,
        play=all_services_killed,
        bounds={"streams back": 14.0},
    ),
    Fault(
        name="kill -9 Temporal, restart on its file",
        required="every accepted plan reaches its end",
        runs=20,
        play=temporal_killed,
    ),
    Fault(
        name="kill -9 everything at once",
        required="every accepted id reaches exactly one end",
        runs=20,
        play=all_killed,
    ),
]
