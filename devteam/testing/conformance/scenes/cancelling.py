"""How a worker stops a run."""

from devteam.testing.conformance.line import AttemptId
from devteam.testing.conformance.stage import Stage
from devteam.testing.conformance.verdict import Missed


async def stops_when_cancelled(stage: Stage) -> str:
    """`cancel` stops a run: the report says `cancellation`, with the seq of the last token."""
    line = await stage.line()
    attempt = await stage.begin(line, until=2)
    line.cancel(attempt.id)
    report = await attempt.finished("cancellation")
    attempt.close()
    await stage.small_talk(line)
    if line.has_said(attempt.id):
        raise Missed("it spoke of the run after its report")
    return f"it was cancelled after {report.last_seq} tokens"


async def forgets_what_is_fenced(stage: Stage) -> str:
    """A fenced run ends in nothing but a cancellation, and is forgotten once that is answered with `cancel`, too."""
    line = await stage.line()
    attempt = await stage.begin(line, until=2)
    line.cancel(attempt.id, fenced=True)
    await attempt.finished("cancellation")
    line.cancel(attempt.id, fenced=True)
    attempt.closed = True
    await stage.small_talk(line)
    if line.has_said(attempt.id):
        raise Missed("it spoke of the run after it was fenced")
    line = await stage.cut(line)
    if line.names(attempt.id) is not None:
        raise Missed("it still had the run")
    return "it reported the cancellation, and forgot the run"


async def forgets_what_has_ended_and_is_fenced(stage: Stage) -> str:
    """After a broken stream, a run that had ended and is fenced is forgotten without another word."""
    line = await stage.line()
    attempt = await stage.begin(line, {"tokens": 3, "tokens_per_second": 0})
    await attempt.finished()
    line = await stage.cut(line)
    line.cancel(attempt.id, fenced=True)
    attempt.closed = True
    await stage.small_talk(line)
    if line.has_said(attempt.id):
        raise Missed("it spoke of the run")
    line = await stage.cut(line)
    if line.names(attempt.id) is not None:
        raise Missed("it still had the run")
    return "it forgot the run in silence"


async def ignores_unknown_runs(stage: Stage) -> str:
    """`cancel` of an attempt that it does not know is ignored, also where it has another attempt of the same task."""
    line = await stage.line()
    attempt = await stage.begin(line)
    unknown, older = AttemptId("t-unknown", 1), AttemptId(attempt.id.task_id, attempt.id.attempt - 1)
    line.cancel(unknown)
    line.cancel(older)
    await attempt.hear(attempt.last_seq + 3)
    if line.has_said(unknown) or line.has_said(older):
        raise Missed("it spoke of a run that it does not have")
    return "it went on with what it has"
