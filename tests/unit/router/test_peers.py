"""The other Routers: who they are, what they have to hear, and how their figures are added up."""

import asyncio
from datetime import UTC, datetime

from devteam_router.peer_client import queues_added, throttles_added
from devteam_router.peers import ThrottleWord
from google.protobuf.timestamp_pb2 import Timestamp

from devteam.v1 import router_pb2
from tests.fakes.router_bench import RouterBench
from tests.fakes.router_samples import a_run, a_signature

ROUTERS = {"router-1": "h1:7402", "router-2": "h2:7402", "router-3": "h3:7402"}
WORD = ThrottleWord("opus", 30.0, "429")


def at(second: int) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(datetime(2026, 11, 22, 12, 0, second, tzinfo=UTC))
    return moment


class TestPeers:
    async def test_a_router_is_no_peer_of_its_own(self, bench: RouterBench) -> None:
        bench.core.peers.are(ROUTERS)
        assert bench.core.peers.addresses == ("h2:7402", "h3:7402")
        assert bench.core.gates.routers == 3

    async def test_a_router_without_an_address_counts_itself(self, bench: RouterBench) -> None:
        bench.core.peers.are({"router-2": "h2:7402"})
        assert bench.core.gates.routers == 2

    async def test_whoever_is_alone_has_nothing_to_say(self, bench: RouterBench) -> None:
        bench.core.peers.tell(WORD)
        bench.core.peers.are(ROUTERS)
        bench.core.peers.tell(ThrottleWord("haiku", 1.0, "429"))
        assert (await asyncio.wait_for(bench.core.peers.next(), 60)).model == "haiku"

    async def test_words_are_passed_on_in_order_and_the_oldest_are_dropped_when_they_are_too_many(
        self, bench: RouterBench
    ) -> None:
        bench.core.peers.are(ROUTERS)
        for n in range(1_500):
            bench.core.peers.tell(ThrottleWord(f"m{n}", 1.0, "429"))
        words = [(await bench.core.peers.next()).model for _ in range(1_000)]
        assert words == [f"m{n}" for n in range(500, 1_500)]

    async def test_whoever_waits_for_a_word_hears_it(self, bench: RouterBench) -> None:
        bench.core.peers.are(ROUTERS)
        heard = asyncio.create_task(bench.core.peers.next())
        await bench.settled()
        bench.core.peers.tell(WORD)
        assert await asyncio.wait_for(heard, 60) == WORD

    async def test_what_a_worker_hands_back_is_passed_on_once(self, bench: RouterBench) -> None:
        bench.core.peers.are(ROUTERS)
        worker = bench.worker()
        for task_id in ("t1", "t2"):
            await bench.dispatch(a_run(task_id, signature=a_signature(model="opus")))
        worker.hand_back("t1", 30)
        worker.hand_back("t2", 20)
        assert await bench.core.peers.next() == ThrottleWord("opus", 30, "anthropic said 429")
        assert not bench.core.peers._untold


class TestQueuesAdded:
    def test_what_waits_and_runs_is_added_up_and_slots_are_not(self) -> None:
        """Every Router knows all workers."""
        one = router_pb2.Queue(name="q", waiting=2, running=1, slots=4, workers=2)
        other = router_pb2.Queue(name="q", waiting=3, running=2, slots=3, workers=2)
        assert queues_added([one, other]) == [router_pb2.Queue(name="q", waiting=5, running=3, slots=4, workers=2)]

    def test_the_oldest_of_all_counts(self) -> None:
        queues = [
            router_pb2.Queue(name="q"),
            router_pb2.Queue(name="q", oldest_waiting_since=at(30)),
            router_pb2.Queue(name="q", oldest_waiting_since=at(10)),
            router_pb2.Queue(name="q", oldest_waiting_since=at(20)),
        ]
        assert queues_added(queues)[0].oldest_waiting_since == at(10)

    def test_they_come_by_name_whoever_knows_them(self) -> None:
        queues = [router_pb2.Queue(name=name) for name in ("c", "a", "b", "a")]
        assert [queue.name for queue in queues_added(queues)] == ["a", "b", "c"]

    def test_what_was_told_is_left_as_it_was(self) -> None:
        mine = router_pb2.Queue(name="q", waiting=1)
        queues_added([mine, router_pb2.Queue(name="q", waiting=1)])
        assert mine.waiting == 1


class TestThrottlesAdded:
    def test_the_longest_counts_with_all_that_waits_for_it(self) -> None:
        throttles = [
            router_pb2.Throttle(model="opus", until=at(10), reason="short", waiting=1),
            router_pb2.Throttle(model="opus", until=at(30), reason="long", waiting=2),
            router_pb2.Throttle(model="opus", until=at(20), reason="middle", waiting=4),
            router_pb2.Throttle(model="haiku", until=at(5)),
        ]
        assert throttles_added(throttles) == [
            router_pb2.Throttle(model="haiku", until=at(5)),
            router_pb2.Throttle(model="opus", until=at(30), reason="long", waiting=7),
        ]
