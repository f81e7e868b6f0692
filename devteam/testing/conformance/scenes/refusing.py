"""When a worker does not take a run."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from devteam.testing.conformance.attempt import Attempt
from devteam.testing.conformance.line import Line
from devteam.testing.conformance.stage import LONG, QUEUE, Stage
from devteam.testing.conformance.verdict import Missed, Skipped
from devteam.v1 import worker_pb2

_MANY = 64
_UNKNOWN_MODEL = "no-such-model"


async def rejects_beyond_its_slots(stage: Stage) -> str:
    """With every slot taken it answers `rejected`, BUSY, and takes a run again once one has ended."""
    line = await stage.line()
    if stage.slots > _MANY:
        raise Skipped(f"it has {stage.slots} slots; the suite fills at most {_MANY}")
    runs = [await stage.begin(line) for _ in range(stage.slots)]
    await _rejects_one_more(stage, line, runs)
    line.cancel(runs[0].id)
    await runs[0].finished("cancellation")
    runs[0].close()
    await stage.small_talk(line)
    return f"run {stage.slots + 1} was rejected as BUSY"


async def _rejects_one_more(stage: Stage, line: Line, runs: Iterable[Attempt]) -> None:
    """Raises Missed, or Skipped where a slot may have been free."""
    try:
        await stage.assign(line, LONG).rejected(worker_pb2.REJECT_REASON_BUSY)
    except Missed:
        for run in runs:
            await run.hear(run.last_seq + 1)
        raise


async def follows_slots(stage: Stage) -> str:
    """Told of more slots (`slots`), it takes more runs at once."""
    line = await stage.line()
    wanted = stage.slots + 1
    if wanted > _MANY:
        raise Skipped(f"it has {stage.slots} slots; the suite fills at most {_MANY}")
    stage.registry.wishes.concurrency = wanted
    line.say(worker_pb2.ConnectResponse(slots=worker_pb2.Slots(concurrency=wanted)))
    for _ in range(wanted):
        await stage.begin(line)
    return f"it took {wanted} runs"


async def rejects_what_it_does_not_serve(stage: Stage) -> str:
    """A run of another queue, or of a model that it did not declare, is `rejected` as NOT_SERVED."""
    line = await stage.line()
    await stage.assign(line, {}, queue="no-such-queue").rejected(worker_pb2.REJECT_REASON_NOT_SERVED)
    models = next((queue.models for queue in stage.spec.queues if queue.name == QUEUE), ())
    if not models or any(fnmatchcase(_UNKNOWN_MODEL, model) for model in models):
        return "an unknown queue was rejected; it declares that it serves every model"
    await stage.assign(line, {}, model=_UNKNOWN_MODEL).rejected(worker_pb2.REJECT_REASON_NOT_SERVED)
    return "an unknown queue and an unknown model were rejected"


async def rejects_nothing_else(stage: Stage) -> str:
    """It takes as many runs at a time as it has slots, and ends them all."""
    line = await stage.line()
    runs = [stage.assign(line, {"tokens": 5, "tokens_per_second": 0}) for _ in range(min(stage.slots, _MANY))]
    for run in runs:
        await run.accepted()
        await run.finished()
        if not run.tokens:
            raise Missed("a run was completed without a token")
        run.close()
    return f"{len(runs)} runs at a time were accepted and completed"
