"""Two Routers, each on a server of its own, that know each other."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from devteam_router.peer_client import PeerClient
from google.protobuf.duration_pb2 import Duration

from devteam.mesh.errors import InvalidInput, NotFound
from devteam.mesh.tls import TlsFiles
from devteam.v1 import router_pb2, run_pb2, worker_pb2
from tests.fakes.clock import FakeClock
from tests.fakes.router_samples import a_worker
from tests.fakes.worker_line import WorkerLine
from tests.rpc.router.mesh import Mesh, a_run, refusal, running

PATIENCE = 60.0
EVERYTHING = router_pb2.ListQueuesRequest()
MINE = router_pb2.ListQueuesRequest(local=True)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two Routers of one fleet."""

    one: Mesh
    other: Mesh

    def register(self, *worker_ids: str, slots: int = 1) -> None:
        """The Registry tells both."""
        for mesh in (self.one, self.other):
            for worker_id in worker_ids:
                mesh.register(a_worker(worker_id, queues={"default": slots}))


@pytest.fixture
async def pair(clock: FakeClock) -> AsyncIterator[Pair]:
    async with running(clock) as one, running(clock, router_id="router-2") as other:
        addresses = {
            "router-1": f"http://127.0.0.1:{one.server.port}",
            "router-2": f"http://127.0.0.1:{other.server.port}",
        }
        for mesh in (one, other):
            mesh.core.peers.are(addresses)
        yield Pair(one, other)


async def hands_back(line: WorkerLine, task_id: str, seconds: int) -> None:
    """Its provider said 429."""
    hand_back = run_pb2.HandBack(
        reason=run_pb2.HAND_BACK_REASON_RATE_LIMITED,
        message="anthropic said 429",
        retry_after=Duration(seconds=seconds),
        provider="anthropic",
    )
    report = run_pb2.Report(task_id=task_id, attempt=1, hand_back=hand_back)
    await line.say(worker_pb2.ConnectRequest(report=report))


async def throttle_at(mesh: Mesh) -> router_pb2.Throttle:
    """Ask until this Router itself knows of a throttle."""
    async with asyncio.timeout(PATIENCE):
        while not (throttles := (await mesh.stub.ListQueues(MINE)).throttles):
            pass
    return throttles[0]


class TestThrottle:
    async def test_what_one_is_told_holds_for_both(self, pair: Pair) -> None:
        line = await pair.one.worker(a_worker("w1"))
        await pair.other.worker(a_worker("w2"))
        planner = pair.one.dispatch(a_run(model="opus"))
        assert (await line.hear()).WhichOneof("item") == "assign"
        await hands_back(line, "t1", 30)
        while (await planner.hear()).WhichOneof("event") != "report":
            pass
        throttle = await throttle_at(pair.other)
        assert (throttle.model, throttle.reason) == ("opus", "anthropic said 429")
        waiting = (await pair.other.dispatch(a_run("t2", model="opus")).hear()).waiting
        assert waiting.reason == router_pb2.WAIT_REASON_PROVIDER_THROTTLED
        assert waiting.until == throttle.until

    async def test_it_is_not_passed_back_and_forth(self, pair: Pair) -> None:
        request = router_pb2.ShareThrottleRequest(model="opus", remaining=Duration(seconds=30), reason="429")
        await pair.one.stub.ShareThrottle(request)
        assert (await pair.one.stub.ListQueues(MINE)).throttles[0].model == "opus"
        assert not pair.one.core.peers._untold
        assert not (await pair.other.stub.ListQueues(MINE)).throttles

    async def test_it_is_listed_once_with_all_that_waits_at_both(self, pair: Pair) -> None:
        request = router_pb2.ShareThrottleRequest(model="opus", remaining=Duration(seconds=30), reason="429")
        for number, mesh in enumerate((pair.one, pair.other, pair.other)):
            await mesh.stub.ShareThrottle(request)
            await mesh.dispatch(a_run(f"t{number}", model="opus")).hear()
        (throttle,) = (await pair.one.stub.ListQueues(EVERYTHING)).throttles
        assert (throttle.model, throttle.waiting) == ("opus", 3)

    @pytest.mark.parametrize(
        ("request_", "field"),
        [
            (router_pb2.ShareThrottleRequest(remaining=Duration(seconds=1)), "model"),
            (router_pb2.ShareThrottleRequest(model="opus"), "remaining"),
            (router_pb2.ShareThrottleRequest(model="opus", remaining=Duration(seconds=-1)), "remaining"),
            (router_pb2.ShareThrottleRequest(model="opus", remaining=Duration(seconds=86_401)), "remaining"),
        ],
    )
    async def test_what_makes_no_sense_is_refused(
        self, pair: Pair, request_: router_pb2.ShareThrottleRequest, field: str
    ) -> None:
        code, error = await refusal(pair.one.stub.ShareThrottle(request_))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert isinstance(error, InvalidInput)
        assert [violation.field for violation in error.violations] == [field]


class TestQueues:
    async def test_figures_are_added_up_whichever_is_asked(self, pair: Pair) -> None:
        pair.register("w1")
        await pair.one.worker(a_worker("w1", queues={"default": 1}))
        for number in range(3):
            await pair.one.dispatch(a_run(f"one{number}")).hear()
        pair.one.clock.advance(5)
        await pair.other.dispatch(a_run("other")).hear()
        for mesh in (pair.one, pair.other):
            (queue,) = (await mesh.stub.ListQueues(EVERYTHING)).queues
            assert (queue.waiting, queue.running, queue.slots, queue.workers) == (3, 1, 1, 1)
            since = queue.oldest_waiting_since.ToDatetime(mesh.clock.now().tzinfo)
            assert (mesh.clock.now() - since).total_seconds() == 5
            same = (await mesh.stub.GetQueue(router_pb2.GetQueueRequest(name="default"))).queue
            assert same == queue

    async def test_whoever_is_asked_for_its_own_says_nothing_of_the_other(self, pair: Pair) -> None:
        await pair.one.dispatch(a_run("t1", queue="here")).hear()
        await pair.other.dispatch(a_run("t2", queue="there")).hear()
        assert [queue.name for queue in (await pair.one.stub.ListQueues(MINE)).queues] == ["here"]
        assert [queue.name for queue in (await pair.one.stub.ListQueues(EVERYTHING)).queues] == ["here", "there"]
        code, _ = await refusal(pair.one.stub.GetQueue(router_pb2.GetQueueRequest(name="there", local=True)))
        assert code is grpc.StatusCode.NOT_FOUND

    async def test_a_queue_that_only_the_other_knows_is_found(self, pair: Pair) -> None:
        await pair.other.dispatch(a_run(queue="there")).hear()
        assert (await pair.one.stub.GetQueue(router_pb2.GetQueueRequest(name="there"))).queue.waiting == 1

    async def test_pages_go_over_the_queues_of_both(self, pair: Pair) -> None:
        for number, name in enumerate("abcd"):
            await (pair.one, pair.other)[number % 2].dispatch(a_run(f"t{number}", queue=name)).hear()
        first = await pair.one.stub.ListQueues(router_pb2.ListQueuesRequest(page_size=3))
        rest = await pair.one.stub.ListQueues(
            router_pb2.ListQueuesRequest(page_size=3, page_token=first.next_page_token)
        )
        assert [[queue.name for queue in page.queues] for page in (first, rest)] == [["a", "b", "c"], ["d"]]

    async def test_one_that_is_gone_is_left_out(self, pair: Pair) -> None:
        await pair.one.dispatch(a_run("t1", queue="here")).hear()
        await pair.other.dispatch(a_run("t2", queue="there")).hear()
        await pair.other.server.stop()
        assert [queue.name for queue in (await pair.one.stub.ListQueues(EVERYTHING)).queues] == ["here"]


class TestExplain:
    async def test_the_one_that_holds_the_run_answers_whichever_is_asked(self, pair: Pair) -> None:
        pair.register("w1")
        await pair.other.worker(a_worker("w1"))
        assigned = (await pair.other.dispatch(a_run()).hear()).assigned
        for mesh in (pair.one, pair.other):
            assert (await mesh.stub.Explain(router_pb2.ExplainRequest(task_id="t1"))).assigned == assigned

    async def test_a_run_that_waits_at_the_other(self, pair: Pair) -> None:
        await pair.other.dispatch(a_run()).hear()
        answer = await pair.one.stub.Explain(router_pb2.ExplainRequest(task_id="t1"))
        assert answer.waiting.reason == router_pb2.WAIT_REASON_NO_WORKER_IN_QUEUE

    @pytest.mark.parametrize("local", [False, True])
    async def test_a_task_that_neither_knows_is_not_found(self, pair: Pair, local: bool) -> None:
        code, error = await refusal(pair.one.stub.Explain(router_pb2.ExplainRequest(task_id="t1", local=local)))
        assert code is grpc.StatusCode.NOT_FOUND
        assert isinstance(error, NotFound)
        assert (error.kind, error.name) == ("task", "t1")

    async def test_whoever_is_asked_for_its_own_does_not_ask_the_other(self, pair: Pair) -> None:
        await pair.other.dispatch(a_run()).hear()
        code, _ = await refusal(pair.one.stub.Explain(router_pb2.ExplainRequest(task_id="t1", local=True)))
        assert code is grpc.StatusCode.NOT_FOUND


async def test_a_router_whose_certificate_files_cannot_be_used_now_goes_on_alone(clock: FakeClock) -> None:
    """They are just being renewed."""
    elsewhere = "https://127.0.0.1:1"
    async with running(clock) as one:
        one.core.peers.are({"router-2": elsewhere})
        async with PeerClient(one.core.peers, tls=TlsFiles(ca=Path("/nope"))) as peers:
            assert await peers.queue([], "default") == []
            assert (await peers.trouble_with(elsewhere)).startswith("it does not answer")
