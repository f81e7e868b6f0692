"""Rows 37 to 44: what workers say on their streams. A bad word is answered in the stream, and ends no other run."""

from devteam_router.graces import Graces
from structlog.testing import capture_logs

from devteam.v1 import worker_pb2
from tests.fakes.clock import FakeClock
from tests.fakes.router_samples import a_worker
from tests.fakes.worker_line import WorkerLine
from tests.rpc.bad_inputs.table import answer_to, row
from tests.rpc.registry import mesh as registry
from tests.rpc.router.mesh import DispatchCall, Mesh, a_run, running

BEAT = worker_pb2.ConnectRequest(beat=worker_pb2.Beat(number=7))
FENCED = worker_pb2.CANCEL_REASON_FENCED


async def ended(line: WorkerLine) -> tuple[str, str, str]:
    """As answer_to, of a stream that ends."""

    async def out() -> None:
        while True:
            await line.hear()

    return await answer_to(out())


async def runs(mesh: Mesh, task_id: str = "t1", attempt: int = 1) -> tuple[WorkerLine, DispatchCall]:
    """A worker that has accepted the run, and the Planner that follows it."""
    worker = await mesh.worker()
    planner = mesh.dispatch(a_run(task_id, attempt))
    await worker.hear()
    await worker.accept(task_id, attempt)
    while not (await planner.hear()).HasField("started"):
        pass
    return worker, planner


async def still_there(worker: WorkerLine) -> str:
    """What it is told before its beat is answered; only beats end the wait."""
    await worker.say(BEAT)
    told = []
    while (message := await worker.hear()).WhichOneof("item") != "beat_ack":
        told.append(message.WhichOneof("item") or "")
    return " ".join(told)


async def test_the_newer_stream_wins(line: Mesh) -> None:
    old = await line.worker()
    new = await line.worker()
    assert await ended(old) == row(37).answer
    assert await still_there(new) == ""


async def test_an_instance_that_was_followed_by_another(fleet: registry.Mesh) -> None:
    token = (await fleet.register("w1", "i1")).session_token
    await fleet.register("w1", "i2")
    assert await answer_to(fleet.beat(token)) == row(38).answer


async def test_an_attempt_that_was_followed_by_another(line: Mesh) -> None:
    worker, _ = await runs(line)
    line.dispatch(a_run("t1", 2))
    told: list[worker_pb2.ConnectResponse] = []
    while len(told) < 2:
        told.append(await worker.hear())
    assert {message.WhichOneof("item") for message in told} == {"cancel", "assign"}
    await worker.speak("t1", 1, "too late", attempt=1)
    cancel = (await worker.hear()).cancel
    assert (cancel.task_id, cancel.attempt, cancel.reason) == ("t1", 1, FENCED)
    assert (await still_there(worker), row(39).status) == ("", "OK")


async def test_a_task_that_was_never_the_workers(line: Mesh) -> None:
    await runs(line)
    line.register(a_worker("w2"))
    other = line.line()
    await other.attach("w2")
    with capture_logs() as logs:
        await other.complete("t1", 0)
        cancel = (await other.hear()).cancel
    assert (cancel.task_id, cancel.reason) == ("t1", FENCED)
    assert [entry["worker_id"] for entry in logs if entry.get("reason") == "NOT_ASSIGNED"] == ["w2"]
    assert (await still_there(other), row(40).status) == ("", "OK")


async def test_tokens_twice_or_with_a_gap(line: Mesh) -> None:
    worker, planner = await runs(line)
    await worker.speak("t1", 1, "a")
    await worker.speak("t1", 1, "a")
    await worker.speak("t1", 4, "d")
    resume = (await worker.hear()).resume
    assert (resume.task_id, resume.after_seq) == ("t1", 1)
    await worker.speak("t1", 2, "b")
    heard = [token.text for _ in range(2) for token in (await planner.hear()).tokens.tokens]
    assert (heard, row(41).status) == (["a", "b"], "OK")


async def test_words_after_the_last_one(line: Mesh) -> None:
    worker, planner = await runs(line)
    await worker.complete("t1", 0)
    await worker.complete("t1", 0)
    await worker.speak("t1", 1, "more")
    assert (await planner.hear()).HasField("report")
    assert (await still_there(worker), row(42).status) == ("cancel", "OK")


async def test_words_out_of_order(line: Mesh) -> None:
    early = line.line()
    await early.say(BEAT)
    assert await ended(early) == row(43).answer
    twice = await line.worker()
    await twice.say(worker_pb2.ConnectRequest(attach=worker_pb2.Attach(worker_id="w1", instance_id="i1")))
    assert await ended(twice) == row(43).answer


async def test_who_says_nothing(clock: FakeClock) -> None:
    async with running(clock, Graces(attach=0.2)) as mesh:
        assert await ended(mesh.line()) == row(44).answer
