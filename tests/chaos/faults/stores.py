"""Faults of the Planner's database."""

import asyncio

from tests.chaos.scene import PATIENCE, Fault, Measured, Scene
from tests.chaos.storage import Kind, can_mount


async def taken_away(scene: Scene) -> Measured:
    """What runs goes on, slower if need be; what comes new is refused until the database can be used again."""
    tasks = [await scene.audience.task(150, 5.0, queue=scene.queue) for _ in range(3)]
    await scene.speaking(*tasks)
    scene.spare(*tasks)
    scene.journal.note("fault", kind="storage", targets=[scene.storage.url.partition(":")[0]])
    await asyncio.to_thread(scene.storage.break_down)
    await _refused(scene)
    await asyncio.sleep(scene.random.uniform(0, 2))
    await asyncio.to_thread(scene.storage.recover)
    healed = float(scene.journal.note("healed")["at"])
    heard = [await scene.journal.first("tokens", task=task, after=healed, patience=PATIENCE) for task in tasks]
    await scene.audience.ended(*tasks, patience=PATIENCE)
    return {"streams back": [float(record["at"]) - healed for record in heard]}


async def _refused(scene: Scene) -> None:
    """Submit until that is refused; what was accepted until then counts like all else."""
    async with asyncio.timeout(PATIENCE):
        while await scene.audience.accepted(1, 0, queue=scene.queue):
            pass


FAULTS = [
    Fault(
        name="disk full under the planner",
        required="new work refused, running work goes on, nothing lost",
        runs=20 if can_mount() else 0,
        sample=int(can_mount()),
        play=taken_away,
        storage=Kind.SMALL_DISK,
    ),
    Fault(
        name="kill -9 PostgreSQL, restart",
        required="new work refused, running work goes on, nothing lost",
        runs=20,
        play=taken_away,
        storage=Kind.POSTGRES,
    ),
]
