"""Between the contract's messages and the Router's nouns."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from devteam_router.convert.runs import dry_run_from_proto, run_from_proto
from devteam_router.convert.workers import (
    attach_from_proto,
    frame_to_proto,
    link_report_to_proto,
    worker_from_proto,
)
from devteam_router.domain import (
    AttemptId,
    Availability,
    Location,
    Requirements,
    Resources,
    Run,
    Signature,
    StrategyName,
    Worker,
    WorkerInstance,
    WorkerQueue,
    WorkerState,
)
from devteam_router.frames import Drain, DrainReason
from devteam_router.ports import LinkReport, LinkState
from devteam_router.preferences import Preferences
from devteam_router.worker_side import InHand
from google.protobuf.duration_pb2 import Duration

from devteam.mesh.errors import FailedPrecondition, InvalidInput
from devteam.v1 import registry_pb2, run_pb2, worker_pb2
from tests.fakes.clock import FakeClock

NOON = datetime(2026, 11, 22, 12)  # noqa: DTZ001 - as messages have it
PREFERENCES = Preferences({"opus": ["gpu-queue"]})


def a_message(**fields: Any) -> run_pb2.Run:
    return run_pb2.Run(**{"task_id": "t1", "attempt": 1, "prompt": "hello", "model": "opus", **fields})


def fields_of(caught: pytest.ExceptionInfo[InvalidInput]) -> list[tuple[str, str]]:
    return [(violation.field, violation.reason) for violation in caught.value.violations]


class TestRun:
    def test_a_run_without_a_tenant_is_the_default_ones(self, clock: FakeClock) -> None:
        assert run_from_proto(a_message(), PREFERENCES, clock.now()).tenant == "default"
        assert run_from_proto(a_message(tenant="acme"), PREFERENCES, clock.now()).tenant == "acme"
        with pytest.raises(InvalidInput) as caught:
            run_from_proto(a_message(tenant="a b"), PREFERENCES, clock.now())
        assert fields_of(caught) == [("run.tenant", "ID_FORMAT")]

    def test_everything_that_placement_looks_at_is_read(self, clock: FakeClock) -> None:
        message = a_message(
            tools=["shell", "search"],
            placement=run_pb2.Placement(
                requirements=run_pb2.Requirements(
                    gpu=True, gpu_model="RTX", min_ram_gb=8.5, min_cpu_cores=4, labels={"b": "2", "a": "1"}
                ),
                strategy=run_pb2.STRATEGY_LOCALITY,
                priority=1,
                near_data_source="papers",
            ),
        )
        message.schedule_deadline.FromDatetime(clock.now() + timedelta(seconds=90))
        assert run_from_proto(message, PREFERENCES, clock.now()) == Run(
            AttemptId("t1", 1),
            Signature(
                queues=("gpu-queue",),
                model="opus",
                requirements=Requirements(True, "RTX", 8.5, 4, (("a", "1"), ("b", "2"))),
                tools=("search", "shell"),
                strategy=StrategyName.LOCALITY,
                near_data_source="papers",
                preferred=True,
            ),
            payload=message,
            priority=1,
            schedule_within=90.0,
        )

    def test_what_is_not_said_is_left_to_the_router(self, clock: FakeClock) -> None:
        run = run_from_proto(a_message(model="haiku"), PREFERENCES, clock.now())
        assert (run.signature, run.priority, run.schedule_within) == (
            Signature(("default",), "haiku", preferred=True),
            3,
            None,
        )

    def test_a_planner_that_does_not_say_what_is_left_is_taken_at_its_clock(self, clock: FakeClock) -> None:
        message = a_message()
        message.schedule_deadline.FromDatetime(clock.now() + timedelta(seconds=30))
        ahead = clock.now() + timedelta(seconds=31)
        assert run_from_proto(message, PREFERENCES, ahead).schedule_within == -1.0

    @pytest.mark.parametrize(
        ("left", "within"),
        [(Duration(), 0.0), (Duration(seconds=-5, nanos=-500_000_000), -5.5), (Duration(nanos=250_000_000), 0.25)],
    )
    def test_what_is_left_goes_before_the_deadline(self, clock: FakeClock, left: Duration, within: float) -> None:
        message = a_message(schedule_within=left)
        message.schedule_deadline.FromDatetime(clock.now() + timedelta(days=1))
        assert run_from_proto(message, PREFERENCES, clock.now()).schedule_within == within

    def test_every_violation_is_named_at_once(self, clock: FakeClock) -> None:
        message = run_pb2.Run(
            task_id="a b",
            prompt="nul \x00",
            queue="q!",
            placement=run_pb2.Placement(
                strategy=99,  # type: ignore[arg-type]  # an enum number of the future
                priority=6,
                preferred_queues=["ok", ""],
                requirements=run_pb2.Requirements(min_ram_gb=float("nan"), min_cpu_cores=-1, gpu_model="x" * 65),
            ),
        )
        message.schedule_deadline.seconds = 2**62
        message.schedule_within.seconds = -(2**62)
        with pytest.raises(InvalidInput) as caught:
            run_from_proto(message, PREFERENCES, clock.now())
        assert fields_of(caught) == [
            ("run.task_id", "ID_FORMAT"),
            ("run.attempt", "OUT_OF_BOUNDS"),
            ("run.prompt", "TEXT_FORBIDDEN_CHAR"),
            ("run.schedule_deadline.seconds", "OUT_OF_BOUNDS"),
            ("run.schedule_within.seconds", "OUT_OF_BOUNDS"),
            ("run.model", "FIELD_REQUIRED"),
            ("run.queue", "ID_FORMAT"),
            ("run.placement.strategy", "UNKNOWN_ENUM"),
            ("run.placement.priority", "OUT_OF_BOUNDS"),
            ("run.placement.requirements.gpu_model", "TEXT_TOO_LARGE"),
            ("run.placement.requirements.min_ram_gb", "OUT_OF_BOUNDS"),
            ("run.placement.requirements.min_cpu_cores", "OUT_OF_BOUNDS"),
            ("run.placement.preferred_queues[1]", "FIELD_REQUIRED"),
        ]

    def test_lists_have_their_bounds(self, clock: FakeClock) -> None:
        placement = run_pb2.Placement(
            preferred_queues=[f"q{n}" for n in range(17)],
            requirements=run_pb2.Requirements(labels={f"k{n}": "v" for n in range(33)}),
        )
        with pytest.raises(InvalidInput) as caught:
            run_from_proto(a_message(placement=placement), PREFERENCES, clock.now())
        assert fields_of(caught) == [
            ("run.placement.requirements.labels", "TOO_MANY"),
            ("run.placement.preferred_queues", "TOO_MANY"),
        ]

    def test_a_dry_run_needs_neither_task_nor_attempt(self) -> None:
        by_preference = dry_run_from_proto(run_pb2.Run(model="opus"), PREFERENCES)
        assert by_preference == Signature(("gpu-queue",), "opus", preferred=True)
        by_name = dry_run_from_proto(run_pb2.Run(model="opus", queue="gpu-queue"), PREFERENCES)
        assert by_name == Signature(("gpu-queue",), "opus")
        with pytest.raises(InvalidInput) as caught:
            dry_run_from_proto(run_pb2.Run(queue="q!"), PREFERENCES)
        assert fields_of(caught) == [("dry_run.model", "FIELD_REQUIRED"), ("dry_run.queue", "ID_FORMAT")]


class TestDrain:
    def test_a_drain_carries_its_deadline(self) -> None:
        drain = frame_to_proto(Drain(DrainReason.WORKER, 1.5)).drain
        assert (drain.reason, drain.deadline.ToTimedelta()) == (worker_pb2.Drain.REASON_WORKER, timedelta(seconds=1.5))

    @pytest.mark.parametrize("deadline", [None, 0.0])
    def test_no_deadline_is_not_a_deadline_of_nothing(self, deadline: float | None) -> None:
        drain = frame_to_proto(Drain(DrainReason.WORKER, deadline)).drain
        assert drain.HasField("deadline") is (deadline is not None)


def test_a_report_of_links_says_how_each_of_them_is() -> None:
    here, gone = WorkerInstance("w1", "i1"), WorkerInstance("w2", "i2")
    states = (LinkState(here, connected=True, running=20_000), LinkState(gone, False, running=1, given_up_in=2.5))
    request = link_report_to_proto(LinkReport(states, complete=True), "router-1")
    first, second = request.links
    assert (request.router_id, request.complete) == ("router-1", True)
    assert (first.worker_id, first.instance_id, first.connected, first.running) == ("w1", "i1", True, 10_000)
    assert not first.HasField("given_up_in")
    assert (second.worker_id, second.connected, second.running) == ("w2", False, 1)
    assert second.given_up_in.ToTimedelta() == timedelta(seconds=2.5)


class TestAttach:
    def test_who_attaches_with_what(self) -> None:
        attach = worker_pb2.Attach(
            worker_id="w1",
            instance_id="i1",
            session_token="secret",
            running=[
                worker_pb2.RunningAttempt(task_id="t1", attempt=2, queue="a", last_seq=7),
                worker_pb2.RunningAttempt(task_id="t2", attempt=1, queue="b", ended=True),
            ],
        )
        assert attach_from_proto(worker_pb2.ConnectRequest(attach=attach)) == (
            WorkerInstance("w1", "i1"),
            "secret",
            [InHand(AttemptId("t1", 2), "a", ended=False), InHand(AttemptId("t2", 1), "b", ended=True)],
        )

    def test_anything_else_first_is_out_of_order(self) -> None:
        for request in (worker_pb2.ConnectRequest(beat=worker_pb2.Beat(number=1)), worker_pb2.ConnectRequest()):
            with pytest.raises(FailedPrecondition) as caught:
                attach_from_proto(request)
            assert caught.value.reason == "PROTOCOL_ORDER"

    def test_every_violation_is_named_at_once(self) -> None:
        running = [worker_pb2.RunningAttempt(task_id="t1", attempt=1, queue="a"), worker_pb2.RunningAttempt()]
        attach = worker_pb2.Attach(worker_id="a b", running=running)
        with pytest.raises(InvalidInput) as caught:
            attach_from_proto(worker_pb2.ConnectRequest(attach=attach))
        assert fields_of(caught) == [
            ("attach.worker_id", "ID_FORMAT"),
            ("attach.instance_id", "FIELD_REQUIRED"),
            ("attach.running[1].task_id", "FIELD_REQUIRED"),
            ("attach.running[1].attempt", "OUT_OF_BOUNDS"),
            ("attach.running[1].queue", "FIELD_REQUIRED"),
        ]


class TestWorker:
    def test_a_record_of_the_registry_becomes_a_worker(self) -> None:
        spec = registry_pb2.WorkerSpec(
            worker_id="w1",
            queues=[registry_pb2.WorkerQueue(name="a", concurrency=2, models=["opus", "ollama:*"])],
            concurrency=1,
            resources=registry_pb2.Resources(gpu=True, gpu_model="RTX 5080", ram_gb=24, cpu_cores=8),
            labels={"disk": "ssd"},
            location=registry_pb2.Location(region="eu", zone="eu-1", host="rack-7"),
            local_models=[
                registry_pb2.LocalModel(name="ollama:llama3.3", resident=True),
                registry_pb2.LocalModel(name="ollama:tiny"),
            ],
            data_sources=["papers"],
            tools=["search"],
            weight=4.0,
        )
        worker = registry_pb2.Worker(
            worker_id="w1",
            instance_id="i1",
            spec=spec,
            state=registry_pb2.WORKER_STATE_SUSPECT,
            availability=registry_pb2.AVAILABILITY_DRAINING,
        )
        assert worker_from_proto(registry_pb2.WorkerRecord(worker=worker, session_digest="abc")) == Worker(
            WorkerInstance("w1", "i1"),
            {"a": WorkerQueue("a", 2, ("opus", "ollama:*"))},
            concurrency=1,
            resources=Resources(True, "RTX 5080", 24.0, 8),
            labels={"disk": "ssd"},
            location=Location("eu", "eu-1", "rack-7"),
            data_sources=frozenset({"papers"}),
            tools=frozenset({"search"}),
            local_models=frozenset({"ollama:llama3.3", "ollama:tiny"}),
            resident_models=frozenset({"ollama:llama3.3"}),
            weight=4.0,
            state=WorkerState.SUSPECT,
            availability=Availability.DRAINING,
            session_digest="abc",
        )

    def test_a_worker_without_a_limit_of_its_own_has_that_of_its_queues(self) -> None:
        queues = [registry_pb2.WorkerQueue(name=name, concurrency=2) for name in "ab"]
        record = registry_pb2.WorkerRecord(worker=registry_pb2.Worker(spec=registry_pb2.WorkerSpec(queues=queues)))
        assert worker_from_proto(record).concurrency == 4

    @pytest.mark.parametrize(("seconds", "rest"), [(90, 90.0), (-5, 0.0)])
    def test_the_rest_of_a_drain_is_told_by_the_registrys_clock(self, seconds: int, rest: float) -> None:
        worker = registry_pb2.Worker(worker_id="w1", availability=registry_pb2.AVAILABILITY_DRAINING)
        worker.registered_at.FromDatetime(NOON)
        worker.uptime.FromTimedelta(timedelta(hours=2))
        worker.drain_deadline_at.FromDatetime(NOON + timedelta(hours=2, seconds=seconds))
        assert worker_from_proto(registry_pb2.WorkerRecord(worker=worker)).drain_within == rest

    def test_a_state_of_the_future_takes_no_work(self) -> None:
        for state in (registry_pb2.WORKER_STATE_UNSPECIFIED, 99):
            record = registry_pb2.WorkerRecord(worker=registry_pb2.Worker(state=state))  # type: ignore[arg-type]  # 99
            assert worker_from_proto(record).state is WorkerState.UNHEALTHY
