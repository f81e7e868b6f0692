"""How a worker stands between several Routers."""

from devteam.mesh.errors import Unavailable
from devteam.testing.conformance.line import AttemptId, Line
from devteam.testing.conformance.router import ConformanceRouter
from devteam.testing.conformance.stage import QUEUE, Stage
from devteam.testing.conformance.verdict import Missed, Skipped


async def links_to_every_router(stage: Stage) -> str:
    """It keeps a stream to each Router that the Registry names, and tells each how many slots the others' runs take."""
    a = await stage.line()
    async with stage.second_router() as router:
        b = await _linked(stage, router)
        attempt = await stage.begin(a)
        taken = {QUEUE: 1}
        await stage.until(
            lambda: b.occupied.total == 1 and dict(b.occupied.by_queue) == taken,
            "a Router did not hear of the slot that the other one's run takes",
        )
        a.cancel(attempt.id)
        await attempt.finished("cancellation")
        attempt.close()
        await stage.until(lambda: b.occupied.total == 0, "a Router did not hear that the other one's run has ended")
    return "two streams, and `occupied` when it changed"


async def offers_what_has_lost_its_router(stage: Stage) -> str:
    """A run whose Router is gone is offered to the others; one that resumes it has it from then on."""
    a = await stage.line()
    async with stage.second_router() as router:
        b = await _linked(stage, router)
        attempt = await stage.begin(a)
        await attempt.hear(5, ack=False)
        stage.router.refusing = Unavailable("the router is gone", reason="CONFORMANCE")
        a.cut(stage.router.refusing)
        await stage.until(lambda: b.offers(attempt.id), "the run was not offered to the other Router")
        attempt.resume(b, 3)
        await attempt.hear(attempt.last_seq + 3)
        stage.router.refusing = None
        a = await stage.next_line(a)
        if a.names(attempt.id) is not None:
            a = await stage.cut(a)  # it dialled before the other one took it
        if a.names(attempt.id) is not None:
            raise Missed("the Router that came back was told that it still has the run")
        if a.occupied.total != 1:
            raise Missed("the Router that came back did not hear of the slot that the run takes")
    return "it was offered, resumed, and told of no more to the first"


async def tells_who_has_lost_a_run(stage: Stage) -> str:
    """A Router whose run another one resumed hears `released`."""
    a = await stage.line()
    async with stage.second_router() as router:
        b = await _linked(stage, router)
        attempt = await stage.begin(a, until=3)
        attempt.resume(b, attempt.last_seq)
        await _hears_released(stage, a, attempt.id)
        await attempt.hear(attempt.last_seq + 3)
    return "`released`, and the answer went on"


async def _hears_released(stage: Stage, line: Line, attempt: AttemptId) -> None:
    while (word := await line.about(attempt, stage.patience)).WhichOneof("item") == "tokens":
        pass
    if word.WhichOneof("item") != "released":
        raise Missed(f"the Router that lost the run heard `{word.WhichOneof('item')}`")


async def _linked(stage: Stage, router: ConformanceRouter) -> Line:
    if not await stage.news.until(lambda: router.line is not None, min(stage.patience, 3.0)):
        raise Skipped("it keeps a stream to one Router only")
    assert router.line is not None
    return router.line
