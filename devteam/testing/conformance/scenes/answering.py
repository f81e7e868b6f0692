"""How a worker carries out a run."""

from devteam.testing.conformance.attempt import MAX_BATCH_TOKENS
from devteam.testing.conformance.line import AttemptId, Policy
from devteam.testing.conformance.stage import Stage
from devteam.testing.conformance.verdict import Missed, Skipped

# Often more than the longest token that is in flight when the window is full.
_WINDOW = 2000


async def accepts_at_once(stage: Stage) -> str:
    """It answers `assign` with `accepted` at once, before the first token."""
    attempt = stage.assign(await stage.line(), {"tokens": 3})
    await attempt.accepted()
    return "`accepted` came first"


async def streams_its_answer(stage: Stage) -> str:
    """Tokens come without gaps, at most 256 and 1 MiB a batch, also when all are wanted again; a report ends them."""
    line = await stage.line()
    attempt = await stage.begin(line, {"tokens": 20 * MAX_BATCH_TOKENS, "tokens_per_second": 0})
    await attempt.finished(ack=False)
    attempt.resume(await stage.cut(line), 0)
    report = await attempt.finished()
    attempt.close()
    return f"{attempt.last_seq} tokens, and a report with last_seq {report.last_seq}"


async def repeats_its_report(stage: Stage) -> str:
    """A report that was not acknowledged is given again after each reconnect, once the Router asks, until it is."""
    line = await stage.line()
    attempt = await stage.begin(line, {"tokens": 20, "tokens_per_second": 0})
    report = await attempt.finished(ack=False)
    for _ in range(2):
        line = await stage.cut(line)
        named = line.names(attempt.id)
        if named is None or not named.ended or named.last_seq != report.last_seq:
            raise Missed(f"`attach` said of the run that had ended: {_short(named)}")
        await stage.small_talk(line)
        if line.has_said(attempt.id):
            raise Missed("it spoke of the run before it was asked to")
        attempt.resume(line, report.last_seq)
        if await attempt.finished() != report:
            raise Missed("the report was another one when it was given again")
    attempt.close()
    line = await stage.cut(line)
    if line.names(attempt.id) is not None:
        raise Missed("it still had the run after `report_ack`")
    return "the same report three times, and then no more"


async def resumes_where_it_is_told(stage: Stage) -> str:
    """After a broken stream it names its run, is silent about it until `resume`, and goes on after after_seq."""
    line = await stage.line()
    attempt = await stage.begin(line, {"tokens": 100_000, "tokens_per_second": 100})
    await attempt.hear(10, ack=False)
    line.ack_tokens(attempt.id, 4)
    line = await stage.cut(line)
    named = line.names(attempt.id)
    if named is None or named.ended or named.queue != "conformance" or named.last_seq < attempt.last_seq:
        raise Missed(f"`attach` said of the run, of which {attempt.last_seq} tokens had come: {_short(named)}")
    if named.first_kept_seq > 5:
        raise Missed(f"tokens up to seq 4 were stored, and it keeps them from {named.first_kept_seq} on only")
    await stage.small_talk(line)
    if line.has_said(attempt.id):
        raise Missed("it spoke of the run before it was asked to")
    attempt.resume(line, 6)
    await attempt.hear(attempt.last_seq + 10)
    return f"it went on with seq 7, to {attempt.last_seq} and beyond"


async def releases_what_it_does_not_have(stage: Stage) -> str:
    """`resume` of a run that it does not have is answered with `released`."""
    line = await stage.line()
    unknown = AttemptId("t-unknown", 3)
    line.resume(unknown, 4)
    word = await line.about(unknown, stage.patience)
    if word.WhichOneof("item") != "released":
        raise Missed(f"the answer was `{word.WhichOneof('item')}`")
    return "`released`"


async def keeps_to_the_window(stage: Stage) -> str:
    """With window_bytes unacknowledged it stops, until `tokens_ack` comes, and then goes on to the end."""
    line = await stage.cut(await stage.line(), policy=Policy(window_bytes=_WINDOW))
    attempt = await stage.begin(line, {"tokens": 1000, "tokens_per_second": 0})
    await stage.small_talk(line)
    ended = await attempt.quiet_after(0.2)
    sizes = [len(token.text.encode()) for token in attempt.tokens]
    in_flight = sum(sizes)
    if in_flight > _WINDOW + max(sizes, default=0):
        raise Missed(f"{in_flight} bytes were in flight, in a window of {_WINDOW}")
    if ended:
        raise Skipped(f"its answer of {in_flight} bytes fits into the window")
    line.ack_tokens(attempt.id, attempt.last_seq)
    await attempt.finished()
    attempt.close()
    return f"it stopped at {in_flight} bytes of {_WINDOW}, and went on to {attempt.last_seq} tokens"


def _short(named: object) -> str:
    return " ".join(str(named).split()) if named is not None else "nothing"
