"""The hops of a cancel, as a person sees them."""

from datetime import UTC, datetime, timedelta

from devteam_cli.cancel_view import CancelView

from devteam.models import CancelTrail, Task, TaskState
from devteam.specs import TaskSpec

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def after(milliseconds: int) -> datetime:
    return NOON + timedelta(milliseconds=milliseconds)


def a_task(trail: CancelTrail | None, *, attempt: int = 1) -> Task:
    return Task(
        id="t-1",
        plan_id="t-1",
        step_id="writer",
        state=TaskState.RUNNING,
        spec=TaskSpec(prompt="p", model="m"),
        attempt=attempt,
        worker_id="gpu-1",
        cancel_trail=trail,
    )


def test_each_hop_is_told_once_it_is_known() -> None:
    view = CancelView()
    assert view.news(a_task(None)) == []
    asked = CancelTrail(requested_at=NOON, router_told_at=after(4))
    assert view.news(a_task(asked)) == ["requested                +0 ms", "router told              +4 ms"]
    whole = CancelTrail(
        requested_at=NOON,
        router_told_at=after(4),
        worker_told_at=after(6),
        stopped_at=after(21),
        model_closed_after=timedelta(milliseconds=12),
    )
    assert view.news(a_task(whole)) == [
        "worker gpu-1 told        +6 ms",
        "model stopped            +21 ms (its connection closed 12 ms after the worker heard)",
    ]
    assert view.news(a_task(whole)) == []


def test_of_several_steps_each_line_names_its_own() -> None:
    """Those that never began have nothing to tell."""
    view = CancelView(steps=True)
    assert view.news(a_task(CancelTrail(requested_at=NOON), attempt=0)) == []
    assert view.news(a_task(CancelTrail(requested_at=NOON))) == ["writer: requested                +0 ms"]
