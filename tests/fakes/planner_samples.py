"""Plans, tasks and tokens that tests start from."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from devteam_planner.domain import (
    SOLE_STEP,
    Batch,
    Generation,
    OnWorkerLoss,
    Placement,
    Plan,
    PlanState,
    Requirements,
    RunPolicy,
    Task,
    TaskSpec,
    TaskState,
    task_id_of,
)

from devteam.v1 import run_pb2

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

PLAIN = TaskSpec(prompt="Say hello", model="sim")

# A spec in which nothing has its default.
FULL = TaskSpec(
    prompt="Prüfe {{input.topic}} \\{{",
    model="ollama:llama3.3",
    queue="gpu-queue",
    system_prompt="You are {{a.output}}",
    tools=("search", "fetch"),
    placement=Placement(
        requirements=Requirements(
            gpu=True,
            gpu_model="5080",
            min_ram_gb=23.5,
            min_cpu_cores=8,
            labels={"zone": "a"},
            data_sources=("wiki", "lake"),
        ),
        strategy="LOCALITY",
        priority=1,
        near_data_source="wiki",
        preferred_queues=("gpu-queue", "default"),
    ),
    generation=Generation(max_tokens=500, effort="high", options={"num_ctx": 8192, "deep": [1.5, None, {"x": True}]}),
    policy=RunPolicy(max_attempts=5, on_worker_loss=OnWorkerLoss.FAIL, run_timeout=90.5, schedule_timeout=600.0),
)


def a_task(
    plan_id: str, step_id: str, *, position: int = 0, depends_on: Sequence[str] = (), spec: TaskSpec = PLAIN
) -> Task:
    """A step of `a_plan` that nobody has touched yet."""
    return Task(
        task_id=task_id_of(plan_id, step_id),
        plan_id=plan_id,
        step_id=step_id,
        position=position,
        spec=spec,
        depends_on=tuple(depends_on),
        state=TaskState.PENDING,
        created_at=NOON,
        plan_name="research" if step_id != SOLE_STEP else "",
    )


def a_plan(plan_id: str = "p-1", steps: Sequence[str] = ("b", "a"), *, request_id: str = "", digest: str = "d") -> Plan:
    """A plan of independent steps."""
    return Plan(
        plan_id=plan_id,
        name="research",
        state=PlanState.PENDING,
        input={"topic": "tea"},
        created_at=NOON,
        tasks=tuple(
            replace(a_task(plan_id, step, position=position), plan_name="research")
            for position, step in enumerate(steps)
        ),
        request_id=request_id,
        request_digest=digest,
        trace_context={"traceparent": "00-1-2-01"},
    )


def a_sole_task(task_id: str = "t-1") -> Plan:
    """A task of its own."""
    return Plan(
        plan_id=task_id,
        name="",
        state=PlanState.PENDING,
        input={},
        created_at=NOON,
        sole=True,
        tasks=(a_task(task_id, SOLE_STEP),),
    )


def a_batch(first_seq: int, *texts: str) -> Batch:
    """Consecutive text tokens, the first of them with this seq."""
    tokens = run_pb2.Tokens(first_seq=first_seq, tokens=[run_pb2.Token(text=text) for text in texts])
    return Batch(first_seq, first_seq + len(texts) - 1, tokens.SerializeToString())
