"""What the contract's messages about workers and queues become."""

from datetime import UTC, datetime, timedelta

import pytest

from devteam import fleet_wire
from devteam.models import Candidate, Explanation, QueueInfo, Throttle, WaitReason, WorkerStatus
from devteam.specs import Strategy
from devteam.v1 import registry_pb2, router_pb2, run_pb2

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "availability", "status"),
    [
        ("HEALTHY", "OPEN", WorkerStatus.HEALTHY),
        ("HEALTHY", "UNSPECIFIED", WorkerStatus.HEALTHY),
        ("HEALTHY", "CORDONED", WorkerStatus.CORDONED),
        ("HEALTHY", "DRAINING", WorkerStatus.DRAINING),
        ("SUSPECT", "OPEN", WorkerStatus.SUSPECT),
        ("UNHEALTHY", "DRAINING", WorkerStatus.UNHEALTHY),
        ("LOST", "CORDONED", WorkerStatus.LOST),
        ("UNSPECIFIED", "OPEN", WorkerStatus.UNKNOWN),
    ],
)
def test_a_workers_status_joins_its_health_and_the_operators_wish(
    state: str, availability: str, status: WorkerStatus
) -> None:
    worker = registry_pb2.Worker(
        state=registry_pb2.WorkerState.Value(f"WORKER_STATE_{state}"),
        availability=registry_pb2.Availability.Value(f"AVAILABILITY_{availability}"),
    )
    info = fleet_wire.worker_from_proto(worker)
    assert (info.status, info.availability.name) == (status, availability.replace("UNSPECIFIED", "OPEN"))


def test_a_worker_serves_every_model_if_one_of_its_queues_does() -> None:
    some = registry_pb2.WorkerQueue(name="gpu", concurrency=4, models=["opus", "ollama:*"])
    more = registry_pb2.WorkerQueue(name="default", concurrency=2, models=["opus", "haiku"])
    every = registry_pb2.WorkerQueue(name="any", concurrency=1)

    def info(*queues: registry_pb2.WorkerQueue) -> tuple[tuple[str, ...], int]:
        worker = fleet_wire.worker_from_proto(registry_pb2.Worker(spec=registry_pb2.WorkerSpec(queues=queues)))
        return worker.models, worker.concurrency

    assert info(some, more) == (("opus", "ollama:*", "haiku"), 6)
    assert info(some, every) == ((), 5)


def test_moments_are_in_utc_and_absent_ones_are_none() -> None:
    worker = registry_pb2.Worker()
    worker.last_heartbeat_at.FromDatetime(datetime(2026, 11, 22, 12, tzinfo=UTC))
    info = fleet_wire.worker_from_proto(worker)
    assert info.last_heartbeat == datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert info.registered_at is None


def test_a_worker_that_says_nothing_of_its_weight_has_one() -> None:
    heavy = registry_pb2.Worker(spec=registry_pb2.WorkerSpec(weight=4))
    assert fleet_wire.worker_from_proto(heavy).weight == 4.0
    assert fleet_wire.worker_from_proto(registry_pb2.Worker()).weight == 1.0


def test_a_queue_says_whether_it_is_paused_and_how_it_is_served() -> None:
    queue = router_pb2.Queue(name="q", waiting=2, paused=True, strategy=run_pb2.STRATEGY_LOCALITY)
    assert fleet_wire.queue_from_proto(queue) == QueueInfo(name="q", waiting=2, paused=True, strategy=Strategy.LOCALITY)


def test_a_throttle_ends_at_a_moment_in_utc() -> None:
    message = router_pb2.Throttle(model="opus", reason="anthropic: 429", waiting=3)
    message.until.FromDatetime(NOON)
    told = Throttle(model="opus", until=NOON, reason="anthropic: 429", waiting=3)
    assert fleet_wire.throttle_from_proto(message) == told


def test_a_waiting_task_is_explained_with_its_reason_and_the_end_of_it() -> None:
    waiting = router_pb2.Waiting(
        reason=router_pb2.WAIT_REASON_PROVIDER_THROTTLED, detail="anthropic asked for patience", queue="gpu"
    )
    waiting.until.FromDatetime(NOON)
    explanation = fleet_wire.explanation_from_proto(router_pb2.ExplainResponse(waiting=waiting))
    assert explanation == Explanation(
        reason="anthropic asked for patience", queue="gpu", wait_reason=WaitReason.PROVIDER_THROTTLED, until=NOON
    )


def test_a_placed_task_is_explained_by_the_decision() -> None:
    decision = router_pb2.Decision(
        queue="gpu", reason="the tightest fit", strategy=run_pb2.STRATEGY_CAPABILITY_MATCH, eligible=3, tied=2
    )
    decision.waited.FromMilliseconds(1500)
    assigned = router_pb2.Assigned(worker=router_pb2.WorkerInstance(worker_id="w2"), decision=decision)
    assert fleet_wire.explanation_from_proto(router_pb2.ExplainResponse(assigned=assigned)) == Explanation(
        reason="the tightest fit",
        queue="gpu",
        worker_id="w2",
        strategy=Strategy.CAPABILITY_MATCH,
        eligible=3,
        tied=2,
        waited=timedelta(seconds=1.5),
    )


def test_a_run_that_could_start_now_neither_waits_nor_runs() -> None:
    """As a Router answers a dry run that somebody could take."""
    kind = router_pb2.Candidate(
        worker_id="w1", active=1, capacity=2, score=0.5, merits="1 of 2 slots taken", queue="q", alike=9
    )
    lone = router_pb2.Candidate(worker_id="w2", rejected_because="no GPU")
    explanation = fleet_wire.explanation_from_proto(router_pb2.ExplainResponse(candidates=[kind, lone]))
    assert (explanation.worker_id, explanation.wait_reason, explanation.reason) == ("", None, "")
    assert explanation.candidates == (
        Candidate(worker_id="w1", active=1, capacity=2, score=0.5, merits="1 of 2 slots taken", queue="q", alike=9),
        Candidate(worker_id="w2", rejected_because="no GPU", alike=1),
    )


def test_every_reason_to_wait_has_a_name() -> None:
    """One that is newer than the client is UNKNOWN."""

    def reason(number: int) -> WaitReason | None:
        waiting = router_pb2.Waiting(reason=number)  # type: ignore[arg-type]  # open enum
        return fleet_wire.explanation_from_proto(router_pb2.ExplainResponse(waiting=waiting)).wait_reason

    numbers = [number for number in router_pb2.WaitReason.values() if number]
    assert {reason(number) for number in numbers} == set(WaitReason) - {WaitReason.UNKNOWN}
    assert (reason(0), reason(99)) == (WaitReason.UNKNOWN, WaitReason.UNKNOWN)
