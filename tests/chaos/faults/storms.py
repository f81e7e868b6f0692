"""Whatever can go wrong, in any order, while work comes in, is watched and is cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from devteam.errors import DevTeamError
from devteam.mesh.tasks import cancelled
from tests.chaos.layout import SERVICES
from tests.chaos.scene import PATIENCE, Fault, Measured, Scene

_BLOWS = 6


async def storm(scene: Scene) -> Measured:
    """Six faults, one after the other, with no more than three seconds to recover from each."""
    working = asyncio.create_task(_work_comes_in(scene))
    try:
        for _ in range(_BLOWS):
            await scene.random.choice([_kill, _kill, _pause, _cut, _swallow, _delay])(scene)
            await asyncio.sleep(scene.random.uniform(0, 3))
    finally:
        await cancelled(working)
    calm = float(scene.journal.note("calm")["at"])
    await scene.audience.ended(patience=2 * PATIENCE)
    return {"all at their ends": [float(scene.journal.note("settled")["at"]) - calm]}


async def _work_comes_in(scene: Scene) -> None:
    """Plans, tasks and cancels, for ever; a quarter of everything is cancelled at some time."""
    present, queue = scene.audience, scene.queue
    async with asyncio.TaskGroup() as later:
        while True:
            seconds = scene.random.uniform(0.1, 2)
            tokens = int(30 * seconds) + 1
            create: Callable[..., Awaitable[str]] = scene.random.choice([present.task, present.plan])
            accepted = await create(tokens, seconds, queue=queue)
            if scene.random.random() < 0.25:
                later.create_task(_cancelled_later(scene, accepted, scene.random.uniform(0, 2)))
            await asyncio.sleep(scene.random.uniform(0.2, 0.8))


async def _cancelled_later(scene: Scene, accepted: str, seconds: float) -> None:
    await asyncio.sleep(seconds)
    try:
        await scene.audience.cancel(accepted)
    except DevTeamError as error:
        # It may have been heard all the same: then the plan ends as cancelled, and that is an end.
        scene.journal.note("cancel not answered", plan=accepted, reason=error.reason)


async def _kill(scene: Scene) -> None:
    victim = scene.random.choice([*SERVICES, *scene.agents])
    scene.cluster.kill(victim)
    await asyncio.sleep(scene.random.uniform(0, 3))
    await scene.cluster.again(victim)


async def _pause(scene: Scene) -> None:
    victim = scene.random.choice([*SERVICES, *scene.agents])
    scene.cluster.pause(victim)
    await asyncio.sleep(scene.random.uniform(0, 8))
    scene.cluster.resume(victim)


async def _cut(scene: Scene) -> None:
    scene.journal.note("fault", kind="cut", targets=scene.agents)
    await scene.cluster.relay.cut()
    await asyncio.sleep(scene.random.uniform(0, 3))
    await scene.cluster.relay_again()


async def _swallow(scene: Scene) -> None:
    scene.journal.note("fault", kind="black hole", targets=scene.agents)
    scene.cluster.relay.swallow()
    await asyncio.sleep(scene.random.uniform(0, 20))
    scene.cluster.relay.heal()


async def _delay(scene: Scene) -> None:
    scene.cluster.relay.delay = scene.random.uniform(0, 0.3)
    scene.journal.note("fault", kind="slow", seconds=scene.cluster.relay.delay)
    await asyncio.sleep(scene.random.uniform(0, 3))
    scene.cluster.relay.delay = 0


async def paused(scene: Scene, *, longest: float) -> Measured:
    """One service stands still, longer than a silent worker may, and goes on as if nothing had been."""
    tasks = [await scene.audience.task(int(30 * longest), longest, queue=scene.queue) for _ in range(3)]
    await scene.speaking(*tasks)
    scene.spare(*tasks)
    victim = scene.random.choice(list(SERVICES))
    scene.cluster.pause(victim)
    await asyncio.sleep(scene.random.uniform(1, longest))
    resumed = scene.cluster.resume(victim)
    await scene.audience.ended(*tasks, patience=PATIENCE)
    return {"all at their ends": [float(scene.journal.note("settled")["at"]) - resumed]}


FAULTS = [
    Fault(
        name="SIGSTOP a service for up to 20 s, SIGCONT",
        required="nobody declared dead, nothing moved",
        runs=20,
        sample=0,
        play=partial(paused, longest=20.0),
        env={
            "DEVTEAM_REGISTRY_HEARTBEAT_INTERVAL_S": "1",
            "DEVTEAM_REGISTRY_UNHEALTHY_AFTER_S": "2.5",
            "DEVTEAM_REGISTRY_LOST_AFTER_S": "5",
        },
    ),
    Fault(
        name="storm of six random faults under load",
        required="every accepted id reaches exactly one end",
        runs=50,
        play=storm,
        agents=4,
        env={"DEVTEAM_ROUTER_LINK_GRACE_S": "3"},
    ),
]
