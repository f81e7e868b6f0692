"""Traces as a program asks for them."""

import pytest
from opentelemetry.sdk.trace import TracerProvider

from devteam.errors import NotFound
from devteam.testing import FakeMesh
from tests.fakes.traces import TRACE, plan_spans


async def test_a_trace_comes_back_as_it_was_given() -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        mesh.keep_spans(*reversed(plan_spans()))
        trace = await client.get_trace(TRACE)
    assert (trace.id, list(trace.spans), trace.truncated) == (TRACE, plan_spans(), False)


async def test_what_is_not_kept_is_not_found() -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        with pytest.raises(NotFound, match="no trace named"):
            await client.get_trace(TRACE)
    async with FakeMesh(keeps_traces=False) as mesh, mesh.client() as client:
        with pytest.raises(NotFound, match="keeps no traces") as caught:
            await client.get_trace(TRACE)
    assert caught.value.reason == "NO_TRACE_STORE"


async def test_a_task_has_the_trace_of_who_creates_it() -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        with TracerProvider().get_tracer("program").start_as_current_span("submit") as span:
            task = await client.create_task("p", model="m")
        plan = await client.create_plan("p", [{"id": "a", "prompt": "p", "model": "m"}])
    assert task.trace_id == f"{span.get_span_context().trace_id:032x}"
    assert plan.trace_id == plan.tasks[0].trace_id != task.trace_id
