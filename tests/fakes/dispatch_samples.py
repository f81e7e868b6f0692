"""A run for the Router, and what a Router may say about it."""

from datetime import UTC, datetime

from devteam_planner.domain import Run, Task, TaskSpec, TaskState, WorkerInstance

from devteam.v1 import router_pb2, run_pb2

W1 = WorkerInstance("w1", "i1")
TASK = Task(
    task_id="p-1.a",
    plan_id="p-1",
    step_id="a",
    position=0,
    spec=TaskSpec(prompt="as submitted", model="opus"),
    depends_on=(),
    state=TaskState.QUEUED,
    created_at=datetime(2026, 11, 22, tzinfo=UTC),
    attempt=2,
    attempt_open=True,
    tenant="acme",
)
RUN = Run(TASK, "hi", "be brief", {"traceparent": "00-11111111111111111111111111111111-2222222222222222-01"})
Response = router_pb2.DispatchResponse


def tokens(first_seq: int, *texts: str) -> Response:
    batch = [run_pb2.Token(text=text) for text in texts]
    return Response(tokens=run_pb2.Tokens(task_id="p-1.a", attempt=2, first_seq=first_seq, tokens=batch))


def report(**outcome: object) -> Response:
    return Response(report=run_pb2.Report(task_id="p-1.a", attempt=2, last_seq=3, **outcome))  # type: ignore[arg-type]  # any outcome


DONE = report(completion=run_pb2.Completion(provider="sim", model="sim"))
