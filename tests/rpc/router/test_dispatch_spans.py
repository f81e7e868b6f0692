"""What a dispatch leaves in its trace."""

import pytest
from devteam_router import dispatch_span
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import TraceFlags

from devteam.mesh.interceptors import trace as trace_layer
from devteam.v1 import router_pb2, worker_pb2
from tests.fakes.router_samples import a_worker
from tests.fakes.spans import Spans, attributes, events, hangs_on
from tests.fakes.worker_line import WorkerLine
from tests.rpc.router.mesh import DispatchCall, Mesh, a_run

DISPATCH = "devteam.v1.RouterService/Dispatch"
IN_HAND = [worker_pb2.RunningAttempt(task_id="t1", attempt=1, queue="default")]
W1 = router_pb2.WorkerInstance(worker_id="w1", instance_id="i1")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    return Spans(monkeypatch, trace_layer, dispatch_span)


async def until_assigned(call: DispatchCall) -> router_pb2.Assigned:
    while (event := await call.hear()).WhichOneof("event") != "assigned":
        pass
    return event.assigned


async def end_well(worker: WorkerLine, *calls: DispatchCall) -> None:
    """The worker's last word, heard by the Planner."""
    await worker.complete("t1", 0)
    for call in calls:
        await call.hear_out()


async def test_the_wait_is_a_span_with_every_reason_and_the_decision_that_ended_it(mesh: Mesh, spans: Spans) -> None:
    planner = mesh.dispatch(a_run())
    await planner.hear()
    mesh.register()
    await planner.hear()
    mesh.clock.advance(2.5)
    worker = await mesh.worker()
    assigned = await until_assigned(planner)
    await worker.hear()
    await worker.accept("t1")
    await end_well(worker, planner)
    await mesh.server.stop()  # by then every span has ended
    wait, dispatch = spans.all
    assert (wait.name, dispatch.name) == ("queue wait", DISPATCH)
    assert hangs_on(wait, dispatch)
    assert attributes(wait) == {
        "devteam.task.id": "t1",
        "devteam.task.attempt": 1,
        "devteam.queue": "default",
        "devteam.tenant": "default",
        "devteam.strategy": "least-loaded",
        "devteam.placement.reason": assigned.decision.reason,
        "devteam.placement.eligible": 1,
        "devteam.placement.tied": 1,
        "devteam.queue.waited": 2.5,
        "devteam.worker.id": "w1",
    }
    told = events(wait)
    assert [name for name, _ in told] == ["waiting", "waiting"]
    reasons = [(facts["devteam.wait.reason"], facts["devteam.queue"]) for _, facts in told]
    assert reasons == [("no_worker_in_queue", "default"), ("no_worker_available", "default")]
    assert "no worker serves default" in str(told[0][1]["devteam.wait.detail"])
    assert ends_before(wait, dispatch)
    assert attributes(dispatch)["rpc.response.status_code"] == "OK"


def ends_before(first: ReadableSpan, second: ReadableSpan) -> bool:
    assert first.end_time is not None
    assert second.end_time is not None
    return first.end_time <= second.end_time


async def test_a_run_that_need_not_wait_has_its_decision_all_the_same(mesh: Mesh, spans: Spans) -> None:
    worker = await mesh.worker()
    planner = mesh.dispatch(a_run())
    await worker.hear()
    await worker.accept("t1")
    await end_well(worker, planner)
    await mesh.server.stop()
    wait = spans.one("queue wait")
    assert (attributes(wait)["devteam.worker.id"], attributes(wait)["devteam.queue.waited"]) == ("w1", 0.0)
    assert wait.events == ()


async def test_the_worker_is_given_the_dispatchs_own_span_to_go_on_with(mesh: Mesh, spans: Spans) -> None:
    worker = await mesh.worker()
    earlier = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with spans.tracer.start_as_current_span("attempt"):
        planner = mesh.dispatch(a_run(trace_context={"traceparent": earlier}))
    carried = (await worker.hear()).assign.run.trace_context["traceparent"]
    await worker.accept("t1")
    await end_well(worker, planner)
    await mesh.server.stop()
    dispatch = spans.one(DISPATCH)
    assert hangs_on(dispatch, spans.one("attempt"))
    assert dispatch.context is not None
    assert carried[:53] == f"00-{dispatch.context.trace_id:032x}-{dispatch.context.span_id:016x}-"


async def test_a_worker_that_refuses_ends_a_wait_and_the_next_one_another(mesh: Mesh, spans: Spans) -> None:
    refusing = await mesh.worker(a_worker("w1"))
    planner = mesh.dispatch(a_run())
    await refusing.hear()
    other = await mesh.worker(a_worker("w2"))
    await refusing.reject("t1")
    await other.hear()
    await other.accept("t1")
    await end_well(other, planner)
    await mesh.server.stop()
    waits = [span for span in spans.all if span.name == "queue wait"]
    assert [attributes(wait)["devteam.worker.id"] for wait in waits] == ["w1", "w2"]


async def test_a_dispatch_that_goes_on_says_so_and_waits_for_nobody(mesh: Mesh, spans: Spans) -> None:
    """The Planner was started anew: the decision is known."""
    worker = await mesh.worker()
    first = mesh.dispatch(a_run())
    await worker.hear()
    await worker.accept("t1")
    await until_assigned(first)
    second = mesh.dispatch(a_run(), assigned=W1)
    await until_assigned(second)
    await end_well(worker, second)
    await mesh.server.stop()
    assert [span.name for span in spans.all] == ["queue wait", DISPATCH, DISPATCH]
    _, taken_over, resumed = spans.all
    assert attributes(taken_over)["error.type"] == "DISPATCH_SUPERSEDED"
    assert events(resumed) == [("resumed", {})]


@pytest.mark.parametrize("worker_first", [True, False])
async def test_a_dispatch_of_what_another_router_has_placed_tells_that_it_was_adopted(
    mesh: Mesh, spans: Spans, worker_first: bool
) -> None:
    """The Router was started anew and knows nothing; Planner and worker come in any order."""
    mesh.register()
    worker = mesh.line()
    if worker_first:
        await worker.attach(running=IN_HAND)
        planner = mesh.dispatch(a_run(), assigned=W1)
    else:
        planner = mesh.dispatch(a_run(), assigned=W1)
        assert (await planner.hear()).WhichOneof("event") == "waiting"
        await worker.attach(running=IN_HAND)
    assert (await until_assigned(planner)).adopted
    await end_well(worker, planner)
    await mesh.server.stop()
    assert spans.names == [DISPATCH]
    away = ("waiting", {"devteam.wait.reason": "worker_reconnecting", "devteam.queue": "default"})
    adopted = ("adopted", {"devteam.worker.id": "w1"})
    assert events(spans.one(DISPATCH)) == ([adopted] if worker_first else [away, adopted])


async def test_a_run_that_is_cancelled_while_it_waits_was_given_to_nobody(mesh: Mesh, spans: Spans) -> None:
    planner = mesh.dispatch(a_run())
    await planner.hear()
    await mesh.stub.CancelDispatch(router_pb2.CancelDispatchRequest(task_id="t1", attempt=1))
    await planner.hear_out()
    await mesh.server.stop()
    assert "devteam.worker.id" not in attributes(spans.one("queue wait"))


async def test_the_span_of_a_dispatch_tells_when_its_worker_was_told_to_cancel(mesh: Mesh, spans: Spans) -> None:
    worker = await mesh.worker()
    planner = mesh.dispatch(a_run())
    await worker.hear()
    await worker.accept("t1")
    await mesh.stub.CancelDispatch(router_pb2.CancelDispatchRequest(task_id="t1", attempt=1))
    await worker.hear()
    await worker.confess("t1")
    await planner.hear_out()
    await mesh.server.stop()
    assert events(spans.one(DISPATCH)) == [("worker told to cancel", {"devteam.worker.id": "w1"})]


async def test_the_words_of_a_provider_that_wants_patience_are_in_no_span(mesh: Mesh, spans: Spans) -> None:
    mesh.core.matcher.throttle("haiku", 60.0, "you asked: What is new?")
    planner = mesh.dispatch(a_run())
    await planner.hear()
    await mesh.stub.CancelDispatch(router_pb2.CancelDispatchRequest(task_id="t1", attempt=1))
    await planner.hear_out()
    await mesh.server.stop()
    assert "What is new?" not in "".join(span.to_json() for span in spans.all)


async def test_tokens_leave_nothing(mesh: Mesh, spans: Spans) -> None:
    worker = await mesh.worker()
    planner = mesh.dispatch(a_run())
    await worker.hear()
    await worker.accept("t1")
    for seq in range(1, 101):
        await worker.speak("t1", seq, "word ")
    await worker.complete("t1", 100)
    await planner.hear_out()
    await mesh.server.stop()
    assert spans.names == ["queue wait", DISPATCH]
    assert spans.one(DISPATCH).events == ()


async def test_an_unsampled_trace_goes_on_unseen(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = Spans(monkeypatch, trace_layer, dispatch_span, sampled=False)
    worker = await mesh.worker()
    planner = mesh.dispatch(a_run())
    carried = (await worker.hear()).assign.run.trace_context["traceparent"]
    await worker.accept("t1")
    await end_well(worker, planner)
    assert not int(carried[-2:], 16) & TraceFlags.SAMPLED
    assert spans.all == []
