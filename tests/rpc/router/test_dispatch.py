"""A run from a Planner to a worker and back, over real streams."""

from datetime import timedelta
from typing import Any

import grpc
import pytest
from devteam_router.graces import Graces
from google.protobuf.duration_pb2 import Duration

from devteam.mesh.errors import InvalidInput, ResourceExhausted
from devteam.v1 import router_pb2, run_pb2, worker_pb2
from tests.fakes.clock import FakeClock
from tests.fakes.router_samples import a_worker
from tests.rpc.router.mesh import DispatchCall, Mesh, a_run, running

W1 = router_pb2.WorkerInstance(worker_id="w1", instance_id="i1")


async def kinds(call: DispatchCall, count: int) -> list[str | None]:
    """What the next events are about."""
    return [(await call.hear()).WhichOneof("event") for _ in range(count)]


def ack(seq: int, *, report: bool = False) -> router_pb2.AckDispatchesRequest:
    return router_pb2.AckDispatchesRequest(
        acks=[router_pb2.DispatchAck(task_id="t1", attempt=1, seq=seq, report=report)]
    )


async def test_tokens_stream_from_the_worker_to_the_planner_and_the_end_is_acknowledged(mesh: Mesh) -> None:
    worker = await mesh.worker()
    planner = mesh.dispatch(a_run())
    assign = (await worker.hear()).assign
    assert (assign.run, assign.queue) == (a_run(), "default")
    await worker.accept("t1")
    assigned = (await planner.hear()).assigned
    assert (assigned.worker, assigned.adopted) == (W1, False)
    assert assigned.decision == router_pb2.Decision(
        strategy=run_pb2.STRATEGY_LEAST_LOADED,
        queue="default",
        reason="placed on w1 by least-loaded because it was the least loaded of 1 (0/2)",
        eligible=1,
        waited=Duration(),
        tied=1,
    )
    assert (await planner.hear()).WhichOneof("event") == "started"

    await worker.speak("t1", 1, "Hel", "lo")
    tokens = (await planner.hear()).tokens
    assert (tokens.first_seq, [token.text for token in tokens.tokens]) == (1, ["Hel", "lo"])
    await mesh.stub.AckDispatches(ack(2))
    assert (await worker.hear()).tokens_ack == worker_pb2.TokensAck(task_id="t1", attempt=1, seq=2)

    await worker.speak("t1", 3, "!")
    await worker.complete("t1", 3)
    events, (code, _) = await planner.hear_out()
    assert [event.WhichOneof("event") for event in events] == ["tokens", "report"]
    assert events[-1].report.completion.provider == "sim"
    assert code is grpc.StatusCode.OK

    await mesh.stub.AckDispatches(ack(3, report=True))
    assert (await worker.hear()).report_ack == worker_pb2.ReportAck(task_id="t1", attempt=1)
    assert list(mesh.core.leases) == []


async def test_many_runs_share_one_line(mesh: Mesh) -> None:
    worker = await mesh.worker(a_worker(queues={"default": 20}))
    planners = {f"t{n}": mesh.dispatch(a_run(f"t{n}")) for n in range(20)}
    for _ in planners:
        task_id = (await worker.hear()).assign.run.task_id
        await worker.accept(task_id)
        await worker.speak(task_id, 1, task_id)
        await worker.complete(task_id, 1)
    for task_id, planner in planners.items():
        events, (code, _) = await planner.hear_out()
        assert code is grpc.StatusCode.OK
        assert [event.WhichOneof("event") for event in events] == ["assigned", "started", "tokens", "report"]
        assert events[2].tokens.tokens[0].text == task_id
    assert list(mesh.core.leases) == []


async def test_a_run_waits_with_a_reason_and_moves_on_a_rejection(mesh: Mesh) -> None:
    planner = mesh.dispatch(a_run())
    waiting = (await planner.hear()).waiting
    assert waiting == router_pb2.Waiting(
        reason=router_pb2.WAIT_REASON_NO_WORKER_IN_QUEUE,
        detail="no worker serves default; start one with: devteam-worker start --queue default",
        queue="default",
    )
    refusing = await mesh.worker(a_worker("w1"))
    await refusing.hear()
    other = await mesh.worker(a_worker("w2"))
    await refusing.reject("t1")
    assert (await other.hear()).assign.run.task_id == "t1"
    assert await kinds(planner, 3) == ["waiting", "assigned", "assigned"]


async def test_cancelling_reaches_the_worker_and_its_last_word_the_planner(mesh: Mesh) -> None:
    worker = await mesh.worker()
    planner = mesh.dispatch(a_run())
    await worker.hear()
    await worker.accept("t1")
    assert await kinds(planner, 2) == ["assigned", "started"]
    await mesh.stub.CancelDispatch(router_pb2.CancelDispatchRequest(task_id="t1", attempt=1))
    cancel = (await worker.hear()).cancel
    assert cancel == worker_pb2.Cancel(task_id="t1", attempt=1, reason=worker_pb2.CANCEL_REASON_REQUESTED)
    told = (await planner.hear()).cancelling
    assert told.worker == router_pb2.WorkerInstance(worker_id="w1", instance_id="i1")
    await worker.confess("t1")
    events, _ = await planner.hear_out()
    assert events[-1].report.WhichOneof("outcome") == "cancellation"


async def test_a_waiting_run_that_is_cancelled_ends_with_a_report_of_the_routers_own(mesh: Mesh) -> None:
    planner = mesh.dispatch(a_run())
    await planner.hear()
    await mesh.stub.CancelDispatch(router_pb2.CancelDispatchRequest(task_id="t1", attempt=1))
    events, (code, _) = await planner.hear_out()
    report = run_pb2.Report(task_id="t1", attempt=1, cancellation=run_pb2.Cancellation())
    assert (events, code) == ([router_pb2.DispatchResponse(report=report)], grpc.StatusCode.OK)


async def test_a_run_that_finds_no_worker_in_time_ends_with_a_failure(mesh: Mesh) -> None:
    run = a_run()
    run.schedule_deadline.FromDatetime(mesh.clock.now() + timedelta(seconds=30))
    planner = mesh.dispatch(run)
    await planner.hear()
    mesh.clock.advance(30)
    events, _ = await planner.hear_out()
    failure = events[-1].report.failure
    assert failure.reason == run_pb2.FAILURE_REASON_SCHEDULE_TIMEOUT
    assert failure.message.startswith("no worker took it within its schedule_timeout: no worker serves default")


async def test_a_planner_that_comes_back_goes_on_after_its_last_token(mesh: Mesh) -> None:
    worker = await mesh.worker()
    first = mesh.dispatch(a_run())
    await worker.hear()
    await worker.speak("t1", 1, "a", "b")
    assert await kinds(first, 3) == ["assigned", "started", "tokens"]
    first.hang_up()
    await worker.speak("t1", 3, "c")
    await worker.complete("t1", 3)
    second = mesh.dispatch(a_run(), last_seq=2, assigned=W1)
    events, _ = await second.hear_out()
    assert [event.WhichOneof("event") for event in events] == ["assigned", "started", "tokens", "report"]
    assert [token.text for token in events[2].tokens.tokens] == ["c"]


async def test_a_worker_whose_line_broke_is_asked_to_go_on_after_what_was_received(mesh: Mesh) -> None:
    worker = await mesh.worker()
    planner = mesh.dispatch(a_run())
    await worker.hear()
    await worker.speak("t1", 1, "a", "b")
    assert await kinds(planner, 3) == ["assigned", "started", "tokens"]
    worker.hang_up()
    back = mesh.line()
    in_hand = worker_pb2.RunningAttempt(task_id="t1", attempt=1, queue="default", last_seq=3, first_kept_seq=1)
    await back.attach(running=[in_hand])
    assert (await back.hear()).resume == worker_pb2.Resume(task_id="t1", attempt=1, after_seq=2)
    await back.speak("t1", 3, "c")
    assert (await planner.hear()).tokens.first_seq == 3


async def test_a_worker_that_does_not_come_back_has_lost_its_run(mesh: Mesh) -> None:
    worker = await mesh.worker()
    planner = mesh.dispatch(a_run())
    await worker.hear()
    await worker.accept("t1")
    assert await kinds(planner, 2) == ["assigned", "started"]
    await worker.said_everything()
    await worker.ended()
    mesh.clock.advance(10)
    events, (code, _) = await planner.hear_out()
    assert events == [
        router_pb2.DispatchResponse(lost=router_pb2.Lost(worker=W1, message="worker w1 did not come back within 10 s"))
    ]
    assert code is grpc.StatusCode.OK


class TestRefusals:
    async def test_a_malformed_run_is_refused_with_every_violation(self, mesh: Mesh) -> None:
        run = run_pb2.Run(task_id="a b", placement=run_pb2.Placement(priority=9))
        _, (code, error) = await mesh.dispatch(run).hear_out()
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert isinstance(error, InvalidInput)
        assert [(violation.field, violation.reason) for violation in error.violations] == [
            ("run.task_id", "ID_FORMAT"),
            ("run.attempt", "OUT_OF_BOUNDS"),
            ("run.model", "FIELD_REQUIRED"),
            ("run.placement.priority", "OUT_OF_BOUNDS"),
        ]

    async def test_a_last_seq_that_tokens_could_count_beyond_is_refused(self, mesh: Mesh) -> None:
        """The Router would have to tell the worker to go on after a seq that no message can hold."""
        _, (code, error) = await mesh.dispatch(a_run(), last_seq=2**63 + 1).hear_out()
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert isinstance(error, InvalidInput)
        assert [(found.field, found.reason) for found in error.violations] == [("last_seq", "OUT_OF_BOUNDS")]

    async def test_a_stale_attempt_is_refused_with_the_current_one(self, mesh: Mesh) -> None:
        current = mesh.dispatch(a_run(attempt=2))
        await current.hear()
        _, (code, error) = await mesh.dispatch(a_run(attempt=1)).hear_out()
        assert code is grpc.StatusCode.ABORTED
        assert error is not None
        assert (error.reason, error.metadata) == ("STALE_ATTEMPT", {"current_attempt": "2"})

    async def test_a_second_call_takes_over(self, mesh: Mesh) -> None:
        first = mesh.dispatch(a_run())
        await first.hear()
        second = mesh.dispatch(a_run())
        assert (await second.hear()).WhichOneof("event") == "waiting"
        _, (code, error) = await first.hear_out()
        assert code is grpc.StatusCode.ABORTED
        assert error is not None
        assert error.reason == "DISPATCH_SUPERSEDED"

    async def test_bytes_that_are_no_request_are_refused(self, mesh: Mesh) -> None:
        dispatch: Any = mesh.channel.unary_stream("/devteam.v1.RouterService/Dispatch")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await dispatch(b"\xff\xff\xff").read()
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    async def test_a_full_line_says_when_to_try_again(self, clock: FakeClock) -> None:
        async with running(clock, Graces(max_waiting=1)) as mesh:
            await mesh.dispatch(a_run("t1")).hear()
            _, (code, error) = await mesh.dispatch(a_run("t2")).hear_out()
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert isinstance(error, ResourceExhausted)
        assert (error.reason, error.retry_after) == ("ROUTER_FULL", 5.0)


async def test_acknowledging_and_cancelling_the_unknown_is_harmless(mesh: Mesh) -> None:
    await mesh.stub.AckDispatches(ack(3, report=True))
    await mesh.stub.CancelDispatch(router_pb2.CancelDispatchRequest(task_id="t1", attempt=1))
    assert len(mesh.core.attempts) == 0
