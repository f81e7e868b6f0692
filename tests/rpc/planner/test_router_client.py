"""The Planner's line to a Router, when there is one, against a real server."""

import asyncio
import math
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from devteam_planner.domain import (
    Cancelled,
    Completion,
    Failure,
    FailureReason,
    Generation,
    GivenBack,
    HandedBack,
    Outcome,
    Placement,
    Requirements,
    RunPolicy,
    TaskSpec,
    Usage,
)
from devteam_planner.ports import RunAssigned, RunCancelling, RunEvent, RunLost, RunReport, RunTokens, RunWaiting
from devteam_planner.router_client.routers import Routers
from google.protobuf.duration_pb2 import Duration
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from devteam.mesh.channel import open_channel
from devteam.mesh.errors import Aborted, InvalidInput, ResourceExhausted, Unavailable, Violation
from devteam.v1 import router_pb2, run_pb2
from tests.fakes.dispatch_samples import DONE, RUN, TASK, W1, Response, report, tokens
from tests.fakes.hasty_clock import HastyClock
from tests.fakes.router_server import ScriptedRouterServicer, serving
from tests.rpc.planner.router_line import Line


def texts(event: RunEvent) -> list[str]:
    assert isinstance(event, RunTokens)
    return [token.text for token in run_pb2.Tokens.FromString(event.batch.payload).tokens]


async def test_a_run_is_sent_whole(line: Line) -> None:
    spec = TaskSpec(
        prompt="as submitted",
        model="opus",
        queue="gpu",
        tools=("search",),
        placement=Placement(
            Requirements(
                gpu=True,
                gpu_model="H100",
                min_ram_gb=64.0,
                min_cpu_cores=8,
                labels={"zone": "a"},
                data_sources=("wiki",),
            ),
            strategy="LOCALITY",
            priority=1,
            near_data_source="lake",
            preferred_queues=("gpu", "cpu"),
        ),
        generation=Generation(
            max_tokens=100, effort="low", options={"num_ctx": 8192, "deep": {"list": [1, "x", None]}}
        ),
        policy=RunPolicy(run_timeout=90.5, schedule_timeout=60.0),
    )
    line.router.script(DONE)
    run = replace(RUN, task=replace(TASK, spec=spec), schedule_deadline=datetime(2026, 11, 22, 12, 1, tzinfo=UTC))
    call = line.client.dispatch(run, last_seq=3, assigned=W1)
    async with aclosing(call) as events:
        await anext(events)
    (request,) = line.router.dispatched
    expected = router_pb2.DispatchRequest(
        last_seq=3,
        assigned=router_pb2.WorkerInstance(worker_id="w1", instance_id="i1"),
        run=run_pb2.Run(
            task_id="p-1.a",
            attempt=2,
            plan_id="p-1",
            step_id="a",
            prompt="hi",
            system_prompt="be brief",
            model="opus",
            queue="gpu",
            tools=["search"],
            placement=run_pb2.Placement(
                requirements=run_pb2.Requirements(
                    gpu=True,
                    gpu_model="H100",
                    min_ram_gb=64.0,
                    min_cpu_cores=8,
                    labels={"zone": "a"},
                    data_sources=["wiki"],
                ),
                strategy=run_pb2.STRATEGY_LOCALITY,
                priority=1,
                near_data_source="lake",
                preferred_queues=["gpu", "cpu"],
            ),
            generation=run_pb2.Generation(max_tokens=100, effort="low"),
            run_timeout=Duration(seconds=90, nanos=500_000_000),
            trace_context=RUN.trace_context,
            tenant="acme",
        ),
    )
    expected.run.generation.options.update({"num_ctx": 8192, "deep": {"list": [1, "x", None]}})
    expected.run.schedule_deadline.FromDatetime(datetime(2026, 11, 22, 12, 1, tzinfo=UTC))
    expected.run.schedule_within.FromSeconds(60)
    assert request == expected


async def test_each_dispatch_says_what_is_left_by_the_planners_clock(line: Line) -> None:
    run = replace(RUN, schedule_deadline=line.clock.now() + timedelta(seconds=60))
    for passes in (20.5, 39.5, 5.0):
        line.router.script(DONE)
        line.clock.advance(passes)
        await line.events(run=run)
    left = [request.run.schedule_within.ToTimedelta().total_seconds() for request in line.router.dispatched]
    assert left == [39.5, 0.0, -5.0]
    assert all(request.run.HasField("schedule_within") for request in line.router.dispatched)


async def test_a_run_without_a_limit_says_none(line: Line) -> None:
    line.router.script(DONE)
    await line.events()
    (request,) = line.router.dispatched
    assert not request.run.HasField("schedule_within")
    assert not request.run.HasField("schedule_deadline")


async def test_a_run_carries_the_trace_it_is_sent_in(line: Line) -> None:
    line.router.script(DONE)
    span = NonRecordingSpan(SpanContext(0xAB, 0xCD, is_remote=False, trace_flags=TraceFlags(1)))
    with trace.use_span(span):
        await line.events()
    carried = line.router.dispatched[0].run.trace_context["traceparent"]
    assert carried == "00-000000000000000000000000000000ab-00000000000000cd-01"


async def test_what_the_router_says_becomes_events(line: Line) -> None:
    worker = router_pb2.WorkerInstance(worker_id="w1", instance_id="i1")
    decision = router_pb2.Decision(queue="gpu", reason="least loaded")
    line.router.script(
        Response(waiting=router_pb2.Waiting(reason=router_pb2.WAIT_REASON_ALL_SLOTS_BUSY, detail="3 of 3 busy")),
        Response(waiting=router_pb2.Waiting(reason=router_pb2.WAIT_REASON_ALL_SLOTS_BUSY)),
        Response(waiting=router_pb2.Waiting(reason=router_pb2.WAIT_REASON_PROVIDER_THROTTLED)),
        Response(waiting=router_pb2.Waiting(reason=router_pb2.WAIT_REASON_WORKER_RECONNECTING, detail="away")),
        Response(assigned=router_pb2.Assigned(worker=worker, decision=decision, adopted=True)),
        Response(started=router_pb2.Started()),
        tokens(1, "a", "b"),
        Response(cancelling=router_pb2.Cancelling(worker=worker)),
        Response(lost=router_pb2.Lost(worker=worker, message="gone\x00", never_began=True)),
    )
    waiting, bare, throttled, assigned, said, cancelling, lost = await line.events()
    assert waiting == RunWaiting("3 of 3 busy")
    assert bare == RunWaiting("all slots busy")
    assert throttled == RunWaiting("provider throttled")
    assert assigned == RunAssigned(W1, "gpu", "least loaded", adopted=True)
    assert texts(said) == ["a", "b"]
    assert cancelling == RunCancelling(W1)
    assert lost == RunLost(W1, "gone\ufffd", never_began=True)


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        (
            report(
                completion=run_pb2.Completion(
                    provider="ollama",
                    model="llama",
                    stop_reason="stop",
                    usage=run_pb2.Usage(input_tokens=1, output_tokens=2, cache_read_tokens=3, cache_write_tokens=4),
                    time_to_first_token=Duration(nanos=250_000_000),
                )
            ),
            Completion("ollama", "llama", "stop", Usage(1, 2, 3, 4), 0.25),
        ),
        (
            report(
                failure=run_pb2.Failure(
                    reason=run_pb2.FAILURE_REASON_RATE_LIMITED,
                    message="slow down",
                    retryable=True,
                    retry_after=Duration(seconds=30),
                    usage=run_pb2.Usage(
                        input_tokens=1, output_tokens=2, cache_read_tokens=3, cache_write_tokens=4, cost_usd=0.5
                    ),
                )
            ),
            Failure(
                FailureReason.RATE_LIMITED, "slow down", retryable=True, retry_after=30.0, usage=Usage(1, 2, 3, 4, 0.5)
            ),
        ),
        (
            report(failure=run_pb2.Failure(message="?", retry_after=Duration(seconds=2**40))),
            Failure(FailureReason.INTERNAL, "?", retry_after=86_400.0),
        ),
        *(
            (
                report(completion=run_pb2.Completion(usage=run_pb2.Usage(cost_usd=cost))),
                Completion("", "", usage=Usage(cost_usd=None)),
            )
            for cost in (-1.0, math.inf, math.nan)
        ),
        (report(cancellation=run_pb2.Cancellation()), Cancelled()),
        (report(cancellation=run_pb2.Cancellation(took=Duration(nanos=20_000_000))), Cancelled(0.02)),
        (
            report(cancellation=run_pb2.Cancellation(usage=run_pb2.Usage(output_tokens=2, cost_usd=0.5))),
            Cancelled(usage=Usage(output_tokens=2, cost_usd=0.5)),
        ),
        (report(hand_back=run_pb2.HandBack(message="draining")), HandedBack("draining")),
        (
            report(hand_back=run_pb2.HandBack(message="draining", usage=run_pb2.Usage(input_tokens=1, cost_usd=-1))),
            HandedBack("draining", usage=Usage(input_tokens=1)),
        ),
        (
            report(hand_back=run_pb2.HandBack(message="full", retry_after=Duration(seconds=-5))),
            HandedBack("full", retry_after=0.0),
        ),
        (
            report(
                hand_back=run_pb2.HandBack(
                    reason=run_pb2.HAND_BACK_REASON_RATE_LIMITED,
                    message="429",
                    retry_after=Duration(seconds=9),
                    provider="anthropic",
                )
            ),
            HandedBack("429", 9.0, "anthropic", GivenBack.RATE_LIMITED),
        ),
        (
            report(
                hand_back=run_pb2.HandBack(
                    reason=run_pb2.HAND_BACK_REASON_DRAINING, message="draining", provider="anthropic"
                )
            ),
            HandedBack("draining", reason=GivenBack.DRAINING),
        ),
        (
            report(),
            Failure(FailureReason.INTERNAL, "the worker reported an end without an outcome", retryable=True),
        ),
    ],
)
async def test_a_report_becomes_an_outcome(line: Line, message: Response, outcome: Outcome) -> None:
    line.router.script(message)
    assert await line.events() == [RunReport(outcome, last_seq=3)]


async def test_tokens_that_are_stored_already_are_trimmed(line: Line) -> None:
    line.router.script(tokens(1, "a", "b"), tokens(2, "b", "c"), tokens(3, "c", "d"), tokens(5, "e"), DONE)
    events = await line.events(last_seq=2)
    batches = [event.batch for event in events if isinstance(event, RunTokens)]
    assert [(batch.first_seq, batch.last_seq) for batch in batches] == [(3, 3), (4, 4), (5, 5)]
    assert [texts(event) for event in events[:-1]] == [["c"], ["d"], ["e"]]


async def test_a_gap_in_the_tokens_breaks_the_line(line: Line) -> None:
    line.router.script(tokens(1, "a"), tokens(3, "c"), DONE)
    with pytest.raises(Unavailable, match=r"tokens 2 to 2 of p-1\.a are missing"):
        await line.events()


async def test_a_dispatch_that_ends_without_a_report_is_a_broken_line(line: Line) -> None:
    line.router.script(tokens(1, "a"))
    with pytest.raises(Unavailable, match="ended the dispatch without a report"):
        await line.events()


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (Unavailable("going down", reason="DRAINING"), Unavailable),
        (Aborted("taken over", reason="DISPATCH_SUPERSEDED"), Aborted),
        (InvalidInput(Violation("run.model", "FIELD_REQUIRED", "must not be empty")), InvalidInput),
        (asyncio.CancelledError(), Unavailable),
    ],
)
async def test_refusals_arrive_as_what_they_were(line: Line, refusal: Exception, kind: type[Exception]) -> None:
    async def refuse() -> None:
        raise refusal

    line.router.script(refuse)
    with pytest.raises(kind):
        await line.events()


async def test_a_full_router_says_when_to_come_back(line: Line) -> None:
    line.router.script(ResourceExhausted("9 runs wait", reason="QUEUE_FULL", retry_after=5.0))
    with pytest.raises(ResourceExhausted, match="9 runs wait") as caught:
        await line.events()
    assert caught.value.retry_after == 5.0


async def test_closing_the_events_ends_the_call(line: Line) -> None:
    line.router.script(tokens(1, "a"), asyncio.Event().wait)
    async with aclosing(line.client.dispatch(RUN, last_seq=0, assigned=None)) as events:
        await anext(events)
    assert await asyncio.wait_for(line.router.ended.get(), 60) == "p-1.a"


async def test_a_router_that_comes_back_goes_on_where_it_was_left() -> None:
    router, clock = ScriptedRouterServicer(), HastyClock()
    router.script(tokens(1, "a", "b"), asyncio.Event().wait)
    router.script(tokens(1, "a", "b", "c"), DONE)
    async with serving(router) as server:
        channel = open_channel(f"http://127.0.0.1:{server.port}")
        client = Routers({"only": channel}, clock)
        events = client.dispatch(RUN, last_seq=0, assigned=None)
        first = await anext(events)
    with pytest.raises(Unavailable):
        await anext(events)
    async with channel, serving(router, server.port):
        await asyncio.wait_for(_connected(channel), 60)
        rest = [event async for event in client.dispatch(RUN, last_seq=2, assigned=W1)]
    assert texts(first) == ["a", "b"]
    assert texts(rest[0]) == ["c"]
    assert rest[1:] == [RunReport(Completion("sim", "sim"), last_seq=3)]


async def test_a_cancel_is_repeated_until_the_router_hears_it(line: Line) -> None:
    line.router.refusals.extend(Unavailable("not now", retry_after=0.0) for _ in range(4))
    await line.client.cancel("p-1.a", 2)
    assert line.router.cancels == [router_pb2.CancelDispatchRequest(task_id="p-1.a", attempt=2)]
    assert line.clock.slept


async def test_a_cancel_that_nobody_hears_is_given_up() -> None:
    clock = HastyClock()
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        with pytest.raises(Unavailable):
            await Routers({"only": channel}, clock).cancel("p-1.a", 2)
    assert sum(clock.slept) >= 5.0


async def _connected(channel: grpc.aio.Channel) -> None:
    while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
        await channel.wait_for_state_change(state)
