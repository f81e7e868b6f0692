"""What a cancel leaves in the trace of what it cancels."""

from dataclasses import replace

import pytest
from devteam_planner import cancels
from devteam_planner.store.memory import MemoryPlanStore
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.fakes.clock import FakeClock
from tests.fakes.planner_samples import NOON, a_plan
from tests.fakes.router_port import FakeRouter

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_cancel_is_a_span_of_the_plans_own_trace_linked_to_whoever_asked(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far apart the calls that made the plan and that cancelled it."""
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(cancels, "_tracer", provider.get_tracer("test"))
    store, rung = MemoryPlanStore(), list[str]()
    plan = await store.add(replace(a_plan(), trace_context={"traceparent": PARENT}))
    task = await store.begin_attempt("p-1.a", after=0, reason="", now=NOON)
    assert task
    await store.request_cancel("p-1", NOON)
    told = cancels.Cancels(store, FakeRouter(), clock, rung.append)
    with provider.get_tracer("test").start_as_current_span("the call") as asker, cancels.traced(plan):
        await told.tell_router(task)
        await told.tell_router(task)
    span = next(span for span in spans.get_finished_spans() if span.name == "cancel")
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert [link.context for link in span.links] == [asker.get_span_context()]
    assert [event.name for event in span.events] == ["router told to cancel"] * 2
    assert rung == ["p-1"]
