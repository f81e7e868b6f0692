"""What workers say and hear, and what the Registry says of them."""

from collections.abc import Iterable, Sequence

from devteam.mesh.durations import duration_of
from devteam.mesh.errors import FailedPrecondition
from devteam.mesh.validation import Violations
from devteam.v1 import registry_pb2, run_pb2, worker_pb2
from devteam_router import dispatch, frames
from devteam_router.domain import (
    AttemptId,
    Availability,
    Location,
    Resources,
    Worker,
    WorkerInstance,
    WorkerQueue,
    WorkerState,
)
from devteam_router.ports import LinkReport, LinkState
from devteam_router.worker_side import InHand, Occupied

# As the contract bounds it; reports that wait for their acknowledgement come on top of a worker's slots.
_MOST_RUNNING = 10_000

# The longest that a provider is believed to want patience, in seconds.
_LONGEST = 86_400.0

REJECT_REASONS = {
    worker_pb2.REJECT_REASON_BUSY: frames.RejectReason.BUSY,
    worker_pb2.REJECT_REASON_DRAINING: frames.RejectReason.DRAINING,
}
_CANCEL_REASONS = {
    frames.CancelReason.REQUESTED: worker_pb2.CANCEL_REASON_REQUESTED,
    frames.CancelReason.FENCED: worker_pb2.CANCEL_REASON_FENCED,
}
_DRAIN_REASONS = {
    frames.DrainReason.WORKER: worker_pb2.Drain.REASON_WORKER,
    frames.DrainReason.ROUTER: worker_pb2.Drain.REASON_ROUTER,
}
_STATES = {
    registry_pb2.WORKER_STATE_HEALTHY: WorkerState.HEALTHY,
    registry_pb2.WORKER_STATE_SUSPECT: WorkerState.SUSPECT,
    registry_pb2.WORKER_STATE_LOST: WorkerState.LOST,
}
_AVAILABILITIES = {
    registry_pb2.AVAILABILITY_CORDONED: Availability.CORDONED,
    registry_pb2.AVAILABILITY_DRAINING: Availability.DRAINING,
}


def attach_from_proto(request: worker_pb2.ConnectRequest) -> tuple[WorkerInstance, str, Sequence[InHand]]:
    """Who attaches, with which token, and with what in hand. Raises FailedPrecondition or InvalidInput."""
    attach = request.attach
    if request.WhichOneof("item") != "attach":
        raise FailedPrecondition("attach must be the first message", reason="PROTOCOL_ORDER")
    found = Violations()
    with found.at("attach"):
        found.name("worker_id", attach.worker_id)
        found.name("instance_id", attach.instance_id)
        _check_running(found, attach.running)
    found.raise_if_any()
    return WorkerInstance(attach.worker_id, attach.instance_id), attach.session_token, _in_hand(attach.running)


def offer_from_proto(offer: worker_pb2.Offer) -> list[InHand]:
    """Runs that have lost their Router. Raises InvalidInput."""
    found = Violations()
    with found.at("offer"):
        _check_running(found, offer.running)
    found.raise_if_any()
    return _in_hand(offer.running)


def _check_running(found: Violations, running: Sequence[worker_pb2.RunningAttempt]) -> None:
    found.count("running", len(running), _MOST_RUNNING)
    for index, item in enumerate(running):
        with found.at(f"running[{index}]"):
            found.name("task_id", item.task_id, limit=255)
            found.between("attempt", item.attempt, 1, 1_000_000)
            found.name("queue", item.queue)


def _in_hand(running: Iterable[worker_pb2.RunningAttempt]) -> list[InHand]:
    return [InHand(AttemptId(item.task_id, item.attempt), item.queue, item.ended) for item in running]


def occupied_from_proto(occupied: worker_pb2.Occupied) -> Occupied:
    """Slots that other Routers' runs take; what makes no sense counts as none."""
    by_queue = {queue: max(0, taken) for queue, taken in occupied.by_queue.items()}
    return Occupied(max(0, occupied.total), by_queue)


def tokens_from_proto(tokens: run_pb2.Tokens) -> dispatch.TokenBatch:
    """A batch, with the message itself as its payload."""
    return dispatch.TokenBatch(
        tokens.first_seq, tokens.first_seq + len(tokens.tokens) - 1, tokens.ByteSize(), payload=tokens
    )


def report_from_proto(report: run_pb2.Report) -> dispatch.Reported:
    """A worker's last word, with the message itself as its payload."""
    return dispatch.Reported(report.last_seq, payload=report, patience=_patience(report))


def _patience(report: run_pb2.Report) -> dispatch.Patience | None:
    """What the provider asked of everybody, if it did."""
    hand_back = report.hand_back
    if hand_back.reason != run_pb2.HAND_BACK_REASON_RATE_LIMITED or not hand_back.provider:
        return None
    seconds = hand_back.retry_after.ToNanoseconds() / 1e9
    return dispatch.Patience(min(seconds, _LONGEST), hand_back.message) if seconds > 0 else None


def frame_to_proto(frame: frames.Frame) -> worker_pb2.ConnectResponse:
    """What a worker hears."""
    match frame:
        case frames.Attached():
            return worker_pb2.ConnectResponse(attached=_attached_to_proto(frame))
        case frames.BeatAck(number):
            return worker_pb2.ConnectResponse(beat_ack=worker_pb2.BeatAck(number=number))
        case frames.Drain(reason, deadline):
            rest = None if deadline is None else duration_of(deadline)
            return worker_pb2.ConnectResponse(drain=worker_pb2.Drain(reason=_DRAIN_REASONS[reason], deadline=rest))
        case frames.Slots(concurrency):
            return worker_pb2.ConnectResponse(slots=worker_pb2.Slots(concurrency=concurrency))
        case frames.Assign(run, queue):
            assert isinstance(run.payload, run_pb2.Run)
            return worker_pb2.ConnectResponse(assign=worker_pb2.Assign(run=run.payload, queue=queue))
        case _:
            return _about_attempt(frame, frame.id.task_id, frame.id.number)


def _about_attempt(
    frame: frames.Cancel | frames.Resume | frames.TokensAck | frames.ReportAck, task_id: str, attempt: int
) -> worker_pb2.ConnectResponse:
    match frame:
        case frames.Cancel(_, reason):
            cancel = worker_pb2.Cancel(task_id=task_id, attempt=attempt, reason=_CANCEL_REASONS[reason])
            return worker_pb2.ConnectResponse(cancel=cancel)
        case frames.Resume(_, after_seq):
            resume = worker_pb2.Resume(task_id=task_id, attempt=attempt, after_seq=after_seq)
            return worker_pb2.ConnectResponse(resume=resume)
        case frames.TokensAck(_, seq):
            ack = worker_pb2.TokensAck(task_id=task_id, attempt=attempt, seq=seq)
            return worker_pb2.ConnectResponse(tokens_ack=ack)
        case frames.ReportAck():
            return worker_pb2.ConnectResponse(report_ack=worker_pb2.ReportAck(task_id=task_id, attempt=attempt))


def _attached_to_proto(frame: frames.Attached) -> worker_pb2.Attached:
    return worker_pb2.Attached(
        beat_interval=duration_of(frame.beat_interval),
        beat_timeout=duration_of(frame.beat_timeout),
        window_bytes=frame.window_bytes,
        router_id=frame.router_id,
        concurrency=frame.concurrency,
    )


def worker_from_proto(record: registry_pb2.WorkerRecord) -> Worker:
    """A worker as the Registry tells it; a state that this Router does not know takes no work."""
    worker, spec = record.worker, record.worker.spec
    queues = {q.name: WorkerQueue(q.name, q.concurrency, tuple(q.models)) for q in spec.queues}
    return Worker(
        WorkerInstance(worker.worker_id, worker.instance_id),
        queues,
        concurrency=spec.concurrency or sum(queue.concurrency for queue in queues.values()),
        resources=Resources(
            spec.resources.gpu, spec.resources.gpu_model, spec.resources.ram_gb, spec.resources.cpu_cores
        ),
        labels=dict(spec.labels),
        location=Location(spec.location.region, spec.location.zone, spec.location.host),
        data_sources=frozenset(spec.data_sources),
        tools=frozenset(spec.tools),
        local_models=frozenset(model.name for model in spec.local_models),
        resident_models=frozenset(model.name for model in spec.local_models if model.resident),
        weight=spec.weight or 1.0,
        tenant=worker.tenant,
        state=_STATES.get(worker.state, WorkerState.UNHEALTHY),
        availability=_AVAILABILITIES.get(worker.availability, Availability.OPEN),
        session_digest=record.session_digest,
        drain_within=_drain_rest(worker),
    )


def link_report_to_proto(report: LinkReport, router_id: str) -> registry_pb2.ReportLinksRequest:
    """What the Registry is told of workers' streams."""
    return registry_pb2.ReportLinksRequest(
        router_id=router_id, links=[_link_to_proto(link) for link in report.links], complete=report.complete
    )


def _link_to_proto(link: LinkState) -> registry_pb2.WorkerLink:
    return registry_pb2.WorkerLink(
        worker_id=link.worker.worker_id,
        instance_id=link.worker.instance_id,
        connected=link.connected,
        running=min(link.running, _MOST_RUNNING),
        given_up_in=None if link.given_up_in is None else duration_of(link.given_up_in),
    )


def _drain_rest(worker: registry_pb2.Worker) -> float | None:
    if not worker.HasField("drain_deadline_at"):
        return None
    # Against the Registry's own clock as of this message: the Router's may tell another time.
    said_at = worker.registered_at.ToDatetime() + worker.uptime.ToTimedelta()
    return max(0.0, (worker.drain_deadline_at.ToDatetime() - said_at).total_seconds())
