"""Faults of workers, and of the line to them."""

import asyncio
from datetime import timedelta

from devteam.models import TaskState, WorkerStatus
from tests.chaos.journal import Record
from tests.chaos.scene import PATIENCE, Fault, Measured, Scene

_TASKS = 3


async def killed(scene: Scene) -> Measured:
    """SIGKILL in mid-stream; whatever it ran begins anew on another worker."""
    tasks = [await scene.audience.task(60, 3.0, queue=scene.queue) for _ in range(_TASKS)]
    await scene.speaking(*tasks)
    victim = (await scene.begun(tasks[0]))["worker"]
    at = scene.cluster.kill(victim)
    try:
        again = [await _begun_again(scene, task) for task in tasks if (await scene.begun(task))["worker"] == victim]
        await scene.audience.ended(*tasks, patience=PATIENCE)
    finally:
        await scene.cluster.again(victim)
    return {"attempt 2 running": [moment - at for moment in again if moment is not None]}


async def stopped(scene: Scene) -> Measured:
    """SIGSTOP until it counts as lost and another worker has finished; then SIGCONT: it must change nothing."""
    task = await scene.audience.task(100, 3.0, queue=scene.queue)
    await scene.speaking(task)
    victim = (await scene.begun(task))["worker"]
    at = scene.cluster.pause(victim)
    again = float((await scene.begun(task, attempt=2))["at"]) - at
    await scene.audience.ended(task, patience=PATIENCE)
    before = await scene.audience.client.get_task(task)
    resumed = scene.cluster.resume(victim)
    await scene.journal.first("left", task=task, attempt=1, after=resumed, patience=PATIENCE)
    # Its line is in order again, so whatever it had to say late has been heard and refused.
    await _in_state(scene, WorkerStatus.HEALTHY, victim)
    await _serves(scene, victim)
    assert await scene.audience.client.get_task(task) == before
    return {"attempt 2 running (LOST at 4 s)": [again]}


async def black_hole(scene: Scene) -> Measured:
    """Packets to and from all workers vanish; the Router must find out by itself, and then take them back."""
    tasks = [await scene.audience.task(400, 20.0, queue=scene.queue) for _ in range(len(scene.agents))]
    await scene.speaking(*tasks)
    scene.spare(*tasks)
    at = float(scene.journal.note("fault", kind="black hole", targets=scene.agents)["at"])
    scene.cluster.relay.swallow()
    try:
        found = await asyncio.gather(*(_in_state(scene, WorkerStatus.SUSPECT, agent) for agent in scene.agents))
    finally:
        scene.cluster.relay.heal()
    await scene.audience.ended(*tasks, patience=PATIENCE)
    return {"SUSPECT": [moment - at for moment in found]}


async def line_cut(scene: Scene) -> Measured:
    """Every connection to the Router is reset in mid-stream; a moment later it can be reached again."""
    tasks = [await scene.audience.task(120, 4.0, queue=scene.queue) for _ in range(_TASKS)]
    await scene.speaking(*tasks)
    scene.spare(*tasks)
    scene.journal.note("fault", kind="cut", targets=scene.agents)
    await scene.cluster.relay.cut()
    await asyncio.sleep(scene.random.uniform(0, 2))
    await scene.cluster.relay_again()
    healed = float(scene.journal.note("healed")["at"])
    heard = [await scene.journal.first("tokens", task=task, after=healed, patience=PATIENCE) for task in tasks]
    await scene.audience.ended(*tasks, patience=PATIENCE)
    return {"streams back": [float(record["at"]) - healed for record in heard]}


async def line_slow(scene: Scene) -> Measured:
    """Everything between workers and Router takes longer by 25 to 125 ms: slower, and nothing else."""
    scene.cluster.relay.delay = scene.random.uniform(0.025, 0.125)
    tasks = [await scene.audience.task(60, 2.0, queue=scene.queue) for _ in range(_TASKS)]
    scene.spare(*tasks)
    begun = float(scene.journal.note("slow", seconds=scene.cluster.relay.delay)["at"])
    await scene.audience.ended(*tasks, patience=PATIENCE)
    scene.cluster.relay.delay = 0
    return {"2 s of words": [float(scene.journal.note("settled")["at"]) - begun]}


async def cancelled(scene: Scene) -> Measured:
    """From the client's call until the agent's code has been left."""
    task = await scene.audience.task(600, 20.0, queue=scene.queue)
    await scene.speaking(task)
    await asyncio.sleep(scene.random.uniform(0, 0.3))
    at = float(scene.journal.note("cancelling", task=task)["at"])
    await scene.audience.cancel(task)
    left = await scene.journal.first("left", task=task, after=at, patience=PATIENCE)
    await scene.audience.ended(task, patience=PATIENCE)
    return {"call to model stopped": [float(left["at"]) - at]}


async def drained(scene: Scene) -> Measured:
    """SIGTERM: what it runs ends there, or elsewhere without an attempt burnt; then it leaves with exit code 0."""
    tasks = [await scene.audience.task(60, 2.0, queue=scene.queue) for _ in range(8)]
    await scene.speaking(*tasks)
    leaver = (await scene.begun(tasks[0]))["worker"]
    at = float(scene.journal.note("fault", kind="terminate", targets=[leaver])["at"])
    code = await scene.cluster.terminate(leaver)
    assert code == 0, f"{leaver} ended with code {code}"
    gone = float(scene.journal.note("gone", target=leaver)["at"])
    late = [r for r in scene.journal.all("begun", worker=leaver) if r["at"] > at + 1.0]
    assert not late, f"{leaver} was given {len(late)} runs while it drained"
    await scene.audience.ended(*tasks, patience=PATIENCE)
    await scene.cluster.again(leaver)
    return {"worker gone": [gone - at]}


async def drained_by_operator(scene: Scene) -> Measured:
    """`devteam drain --deadline`: what still runs then is handed back, at no cost, to tasks that have one attempt."""
    tasks = [await scene.audience.task(60, 4.0, queue=scene.queue, attempts=1) for _ in range(8)]
    await scene.speaking(*tasks)
    leaver = (await scene.begun(tasks[0]))["worker"]
    at = float(scene.journal.note("fault", kind="drain", targets=[leaver])["at"])
    await scene.operator.drain_worker(leaver, deadline=timedelta(seconds=0.5))
    code = await scene.cluster.ended(leaver)
    assert code == 0, f"{leaver} ended with code {code}"
    gone = float(scene.journal.note("gone", target=leaver)["at"])
    await scene.audience.ended(*tasks, patience=PATIENCE)
    ends = [await scene.audience.client.get_task(task) for task in tasks]
    assert all(end.state is TaskState.SUCCEEDED for end in ends), "a hand-back burnt an attempt"
    assert any(end.attempt == 2 for end in ends), "nothing was handed back"
    await scene.cluster.again(leaver)
    return {"worker gone": [gone - at]}


async def _begun_again(scene: Scene, task: str) -> float | None:
    """When attempt 2 began; None when the task had said everything before its worker was killed."""

    def found() -> Record | None:
        ends = scene.journal.all("state", task=task, state="succeeded", attempt=1)
        return next(iter([*scene.journal.all("begun", task=task, attempt=2), *ends]), None)

    record = await scene.journal.until(found, PATIENCE)
    return float(record["at"]) if record["what"] == "begun" else None


async def _in_state(scene: Scene, state: WorkerStatus, worker_id: str) -> float:
    """The moment at which the Registry says so of a worker."""
    async with asyncio.timeout(PATIENCE):
        while (await scene.operator.get_worker(worker_id)).status is not state:  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0.05)
    return float(scene.journal.note("seen", worker=worker_id, state=state)["at"])


async def _serves(scene: Scene, worker_id: str) -> None:
    """Submit until a task ends on this worker: its line works."""
    async with asyncio.timeout(PATIENCE):
        while True:
            task = await scene.audience.task(1, 0, queue=scene.queue)
            await scene.audience.ended(task, patience=PATIENCE)
            if (await scene.begun(task))["worker"] == worker_id:
                return


def _grace(seconds: float) -> dict[str, str]:
    return {"DEVTEAM_ROUTER_LINK_GRACE_S": str(seconds)}


_IMPATIENT = {
    "DEVTEAM_REGISTRY_HEARTBEAT_INTERVAL_S": "1",
    "DEVTEAM_REGISTRY_UNHEALTHY_AFTER_S": "2.5",
    "DEVTEAM_REGISTRY_LOST_AFTER_S": "4",
    "DEVTEAM_REGISTRY_DEREGISTER_AFTER_S": "120",
}

FAULTS = [
    Fault(
        name="kill -9 worker",
        required="attempt 2 running within link_grace (10 s) + 3 s",
        runs=100,
        play=killed,
        bounds={"attempt 2 running": 13.0},
        lanes=5,
    ),
    Fault(
        name="kill -9 worker, link_grace 0",
        required="attempt 2 running within 1.5 s",
        runs=100,
        play=killed,
        bounds={"attempt 2 running": 1.5},
        env=_grace(0),
    ),
    Fault(
        name="SIGSTOP worker past LOST, SIGCONT",
        required="late output refused, stored output identical",
        runs=20,
        play=stopped,
        lanes=2,
        agents=3,
        env=_IMPATIENT,
    ),
    Fault(
        name="black hole on the link",
        required="declared dead within 16 s, then re-adopted",
        runs=4,
        play=black_hole,
        bounds={"SUSPECT": 16.0},
        agents=5,
    ),
    Fault(
        name="link cut, and back",
        required="streams back within 4 s, same model calls",
        runs=50,
        play=line_cut,
        bounds={"streams back": 4.0},
    ),
    Fault(
        name="slow link",
        required="slower, nothing moved",
        runs=10,
        play=line_slow,
    ),
    Fault(
        name="cancel in mid-stream",
        required="the agent's code left within 1 s",
        runs=50,
        play=cancelled,
        bounds={"call to model stopped": 1.0},
    ),
    Fault(
        name="drain of a worker, deadline 0.5 s",
        required="what runs is handed back, no attempt burnt, exit 0",
        runs=20,
        play=drained_by_operator,
        bounds={"worker gone": 3.0},
    ),
    Fault(
        name="SIGTERM worker with 8 runs",
        required="no new run, none lost, exit 0",
        runs=50,
        play=drained,
        lanes=2,
    ),
]
