"""`devteam events --follow` tells the story of a plan whose worker is killed, on real processes."""

import json
from pathlib import Path
from typing import Any

import pytest

from devteam.client import DevTeamClient
from devteam.models import Plan
from devteam.specs import Generation, Step
from tests.e2e.programs import GRACE, PATIENCE, Mesh, Program, up

pytestmark = pytest.mark.e2e

QUEUE = "story"
# Long enough to be killed in; the second step is over at once.
SLOW = Generation(options={"tokens": 60, "tokens_per_second": 10})
QUICK = Generation(options={"tokens": 5})
STEPS = [
    Step(id="first", prompt="a long story", model="sim", queue=QUEUE, generation=SLOW),
    Step(id="second", prompt="its end", model="sim", queue=QUEUE, generation=QUICK, depends_on=("first",)),
]


class Story:
    """The events that the command tells, one by one."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.told: list[tuple[str, str]] = []

    def until(self, kind: str, subject: str = "") -> dict[str, Any]:
        """Read on until this happens, to whatever is named."""
        while True:
            event: dict[str, Any] = json.loads(self._program.line(r"^\{.*\}$")[0])
            self.told.append((event["kind"], event["task_id"] or event["plan_id"] or event["worker_id"]))
            if event["kind"] == kind and subject in {"", *(event[f"{name}_id"] for name in ("task", "plan", "worker"))}:
                return event


async def test_a_killed_workers_plan_is_told_in_order(tmp_path: Path) -> None:
    """Who came, what was placed where, who was lost, what began again, and how it ended; and the same afterwards."""
    with up(tmp_path, "--no-worker", **GRACE) as mesh, mesh.watching("events", "--follow", "--since", "1m") as program:
        story = Story(program)
        with mesh.worker("--id", "first-1", "--queue", QUEUE, "--provider", "sim") as victim:
            story.until("worker.joined", "first-1")
            async with DevTeamClient(mesh.url, api_key="", timeout=PATIENCE) as client:
                plan = await client.create_plan("tale", STEPS)
            placed = story.until("task.placed", f"{plan.id}.first")
            assert (placed["worker_id"], placed["attempt"]) == ("first-1", 1)
            victim.kill()
        tell_the_rest(mesh, story, plan)
        assert program.interrupt() == 130
        past = mesh.run("events", "-o", "jsonl", "--kind", "plan", "--kind", "task.succeeded")
    assert [(event["kind"], event["plan_id"]) for event in map(json.loads, past.stdout.splitlines())] == [
        ("plan.began", plan.id),
        ("task.succeeded", plan.id),
        ("task.succeeded", plan.id),
        ("plan.succeeded", plan.id),
    ]


def tell_the_rest(mesh: Mesh, story: Story, plan: Plan) -> None:
    """From the loss of the worker to the end of the plan."""
    first, second = (f"{plan.id}.{step}" for step in ("first", "second"))
    assert "1 task is given up" in story.until("worker.suspect", "first-1")["text"]
    assert "first-1" in story.until("task.retried", first)["text"]
    with mesh.worker("--id", "second-1", "--queue", QUEUE, "--provider", "sim"):
        again = story.until("task.placed", first)
        assert (again["worker_id"], again["attempt"]) == ("second-1", 2)
        assert story.until("task.succeeded", first)["details"]["output_tokens"] == 60
        story.until("task.succeeded", second)
        ended = story.until("plan.succeeded", plan.id)
    assert ended["text"].startswith("tale · 2 of 2 steps")
    mine = [kind for kind, subject in story.told if subject == first]
    assert [kind for kind in mine if kind != "task.waits"] == [
        "task.queued",
        "task.placed",
        "task.retried",
        "task.placed",
        "task.succeeded",
    ]
    order = [("plan.began", plan.id), ("task.placed", first), ("task.retried", first), ("worker.joined", "second-1")]
    order += [("task.succeeded", first), ("task.queued", second), ("task.placed", second), ("plan.succeeded", plan.id)]
    places = [story.told.index(event) for event in order]
    assert places == sorted(places)
