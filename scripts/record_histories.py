"""Records what Temporal remembers of plans, for the replay test. Run it when the workflow changes on purpose.

A history that is there already stays: plans that were started by the version that recorded it must go on under this
one. Delete a file to record it anew.

    python scripts/record_histories.py
"""

import asyncio
import re
import socket
import sys
import tempfile
from pathlib import Path

from devteam_cli.temporal_server import temporal_dev_server
from devteam_planner.activities import PlanActivities
from devteam_planner.domain import StepOutcome, TaskState
from devteam_planner.store.memory import MemoryPlanStore
from devteam_planner.temporal import plan_worker, workflow_id
from devteam_planner.workflows import PlanWorkflow, plan_input
from temporalio.client import Client, WorkflowHandle

from devteam.mesh.clock import SystemClock
from devteam.mesh.errors import Unavailable

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.fakes.step_script import Scene, ScriptedDriver, plan_of  # noqa: E402 - found only from the root

HISTORIES = ROOT / "tests" / "workflows" / "histories"
QUEUE = "recorded"

FAN = [f"s{number:02}" for number in range(50)]
AGAIN = StepOutcome(TaskState.QUEUED)
SOON = StepOutcome(TaskState.QUEUED, 0.05)
MUCH_LATER = StepOutcome(TaskState.QUEUED, 3600.0)
FAILED = StepOutcome(TaskState.FAILED)
CANCELLED = StepOutcome(TaskState.CANCELLED)

# What is recorded: the steps of a plan, and what becomes of their attempts.
Story = tuple[dict[str, list[str]], dict[str, list[Scene]]]
STORIES: dict[str, Story] = {
    "single": ({"task": []}, {}),
    "linear": ({"a": [], "b": ["a"], "c": ["b"]}, {}),
    "diamond": ({"top": [], "left": ["top"], "right": ["top"], "bottom": ["left", "right"]}, {}),
    "fan_out": ({"root": [], **{step: ["root"] for step in FAN}, "join": FAN}, {}),
    "retry": ({"a": [], "b": ["a"]}, {"a": [AGAIN, SOON], "b": [Unavailable("the store is away")]}),
    "failure": ({"bad": [], "after": ["bad"], "good": [], "better": ["good"]}, {"bad": [SOON, FAILED]}),
    "cancel": ({"a": [], "b": ["a"], "c": []}, {"a": [MUCH_LATER], "c": [asyncio.Event(), CANCELLED]}),
}


async def record(client: Client, name: str) -> str:
    """Run one story, and return its history as JSON."""
    depends_on, scenes = STORIES[name]
    store, plan = MemoryPlanStore(), plan_of(f"recorded-{name.replace('_', '-')}", **depends_on)
    await store.add(plan)
    driver = ScriptedDriver(store, **scenes)
    activities = PlanActivities(driver, store, lambda _: None, SystemClock())
    async with plan_worker(client, activities, task_queue=QUEUE):
        handle = await client.start_workflow(
            PlanWorkflow.run, plan_input(plan), id=workflow_id(plan.plan_id), task_queue=QUEUE
        )
        if name == "cancel":
            await timer_of(handle)
            await store.request_cancel(plan.plan_id, SystemClock().now())
            await handle.signal(PlanWorkflow.cancel)
            open_gate(scenes)
        await handle.result()
    # A stack trace names folders of whoever records, and replay does not look at it.
    return re.sub(r'"stackTrace": "(?:[^"\\]|\\.)*"', '"stackTrace": ""', (await handle.fetch_history()).to_json())


async def timer_of(handle: WorkflowHandle[PlanWorkflow, str]) -> None:
    """Wait until a step waits for its next attempt."""
    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.HasField("timer_started_event_attributes"):
            return


def open_gate(scenes: dict[str, list[Scene]]) -> None:
    """Let the steps go on that wait."""
    for scene in (scene for of_step in scenes.values() for scene in of_step):
        if isinstance(scene, asyncio.Event):
            scene.set()


async def main() -> None:
    """Record every story that has no history yet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with temporal_dev_server(folder, port=port, ui_port=None, log=folder / "log") as server:
            # Who recorded it is nobody's business: else this would be the name of the machine.
            client = await Client.connect(server.address, identity="recorder")
            for story in STORIES:
                path = HISTORIES / f"{story}.json"
                if not path.exists():
                    path.write_text(await record(client, story))
                    print(f"recorded {path.relative_to(ROOT)}")


if __name__ == "__main__":
    asyncio.run(main())
