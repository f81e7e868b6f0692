"""How a worker takes its leave."""

from devteam.testing.conformance.attempt import Attempt
from devteam.testing.conformance.stage import LONG, Stage
from devteam.testing.conformance.verdict import Missed
from devteam.v1 import run_pb2, worker_pb2

_DEADLINE = 0.5
_FAR_OFF = 60.0


async def hands_back_at_the_deadline(stage: Stage) -> str:
    """Told by its Router to drain, it takes nothing, hands back at the deadline what still runs, and deregisters."""
    line = await stage.line()
    attempt = await stage.begin(line, until=2)
    told = stage.clock.monotonic()
    line.drain(worker_pb2.Drain.REASON_WORKER, _DEADLINE)
    await stage.assign(line, LONG).rejected(worker_pb2.REJECT_REASON_DRAINING)
    report = await attempt.finished("hand_back")
    took = stage.clock.monotonic() - told
    if report.hand_back.reason != run_pb2.HAND_BACK_REASON_DRAINING:
        raise Missed(f"it handed back as {run_pb2.HandBackReason.Name(report.hand_back.reason)}")
    if took < _DEADLINE * 0.8:
        raise Missed(f"it handed back after {took:.2f} s; the deadline was {_DEADLINE:g} s")
    await _left(stage, attempt)
    return f"it handed back after {took:.2f} s of {_DEADLINE:g} s, and left"


async def finishes_before_it_leaves(stage: Stage) -> str:
    """Told by the Registry to drain, it finishes what can end before the deadline, and deregisters then."""
    line = await stage.line()
    attempt = await stage.begin(line, {"tokens": 20, "tokens_per_second": 40})
    stage.registry.wishes.interval = 0.1
    stage.registry.wishes.drain_deadline = _FAR_OFF
    await attempt.finished()
    await _left(stage, attempt)
    return f"it said all its {attempt.last_seq} tokens, and left"


async def _left(stage: Stage, attempt: Attempt) -> None:
    """Acknowledge its last report, and see it off. Raises Missed."""
    if not stage.registry.session:
        raise Missed("it deregistered before its report was acknowledged")
    session, before = stage.registry.session, len(stage.registry.farewells)
    attempt.close()
    await stage.until(lambda: len(stage.registry.farewells) > before, "it did not deregister")
    farewell = stage.registry.farewells[-1]
    if farewell.session_token != session:
        raise Missed("it deregistered without its session token")
