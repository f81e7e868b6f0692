"""The trace of a plan of two steps, in which a worker died."""

from datetime import UTC, datetime, timedelta
from typing import Any

from devteam.traces import Span, SpanEvent, SpanKind, SpanLink

TRACE = "0af7651916cd43dd8448eb211c80319c"
BEGIN = datetime(2026, 11, 26, 4, 30, tzinfo=UTC)


def moment(milliseconds: float) -> datetime:
    """So long after the trace began."""
    return BEGIN + timedelta(milliseconds=milliseconds)


def span(number: int, name: str, start: float, end: float, parent: int = 0, **more: Any) -> Span:
    """A span by its number and its parent's, from and to so many milliseconds."""
    told = {"service": "devteam", "kind": SpanKind.INTERNAL, "parent_id": f"{parent:016x}" if parent else ""} | more
    return Span(id=f"{number:016x}", trace_id=TRACE, name=name, start=moment(start), end=moment(end), **told)


def of(task: str, attempt: int, **more: str) -> dict[str, str]:
    """Attributes of a span about an attempt."""
    return {"devteam.task.id": f"plan-1.{task}", "devteam.task.attempt": str(attempt), **more}


def plan_spans() -> list[Span]:
    """What is told of the plan: the first attempt's run never was, because its worker was killed."""
    worker = {"service": "devteam-worker"}
    chat = of(
        "research",
        2,
        **{
            "gen_ai.usage.input_tokens": "120",
            "gen_ai.usage.output_tokens": "300",
            "gen_ai.response.time_to_first_chunk": "0.25",
        },
    )
    return [
        span(1, "devteam.v1.PlannerService/CreatePlan", 0, 40, 0x99, kind=SpanKind.SERVER),
        span(2, "RunWorkflow:Plan", 40, 5_000, 1),
        span(
            3, "attempt research", 50, 2_000, 2,
            attributes=of("research", 1), failed=True, error="worker gpu-box lost",
        ),
        span(
            4, "queue wait", 60, 860, 3,
            attributes=of("research", 1),
            events=(SpanEvent("waiting", moment(60), {"devteam.wait.reason": "no_free_slot"}),),
        ),
        span(5, "execute_tool web", 1_000, 1_500, 0x77, attributes=of("research", 1), **worker),
        span(
            6, "attempt research", 2_010, 4_010, 2,
            attributes=of("research", 2, **{"devteam.attempt.reason": "worker gpu-box was lost"}),
            links=(SpanLink(TRACE, f"{3:016x}", {"devteam.link": "earlier attempt"}),),
        ),
        span(
            7, "run research", 2_020, 4_000, 6,
            attributes=of("research", 2, **{"devteam.worker.id": "laptop"}), kind=SpanKind.CONSUMER, **worker,
        ),
        span(8, "chat sonnet", 2_030, 3_990, 7, attributes=chat, kind=SpanKind.CLIENT, **worker),
        span(
            9, "attempt write", 4_015, 4_990, 2,
            attributes=of("write", 1, **{"devteam.placement.reason": "placed on laptop because it has a free slot"}),
        ),
    ]  # fmt: skip
