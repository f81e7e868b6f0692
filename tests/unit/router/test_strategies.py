"""How each strategy orders the workers that could take a run."""

from collections import Counter
from collections.abc import Sequence

import pytest
from devteam_router.domain import Candidate, Location, Requirements, Resources, Signature, Worker, WorkerQueue
from devteam_router.strategies.base import Strategy
from devteam_router.strategies.capability_match import CapabilityMatch
from devteam_router.strategies.least_loaded import LeastLoaded
from devteam_router.strategies.locality import Locality
from devteam_router.strategies.round_robin import RoundRobin

from tests.fakes.router_samples import a_signature, a_worker


def candidate(worker: Worker, active: int = 0, queue: str = "default") -> Candidate:
    return Candidate(worker, queue, active, worker.queues[queue].concurrency)


def pick(strategy: Strategy, signature: Signature, candidates: Sequence[Candidate]) -> str:
    """Let the strategy choose, and learn that it did."""
    chosen = min(candidates, key=lambda candidate: strategy.score(signature, candidate))
    strategy.picked(signature, chosen)
    return chosen.worker.id


class TestRoundRobin:
    def test_everyone_has_as_many_turns(self) -> None:
        strategy, workers = RoundRobin(), [candidate(a_worker(f"w{n}")) for n in range(3)]
        turns = [pick(strategy, a_signature(), workers) for _ in range(9)]
        assert Counter(turns) == {"w0": 3, "w1": 3, "w2": 3}
        assert turns[:3] == turns[3:6] == turns[6:]

    def test_it_stays_fair_as_workers_come_and_go(self) -> None:
        strategy = RoundRobin()
        w1, w2, w3 = (candidate(a_worker(worker_id)) for worker_id in ("w1", "w2", "w3"))
        assert [pick(strategy, a_signature(), [w1, w2]) for _ in range(3)] == ["w1", "w2", "w1"]
        newcomer = [pick(strategy, a_signature(), [w1, w2, w3]) for _ in range(4)]
        assert newcomer == ["w3", "w2", "w1", "w3"]
        without_w1 = [pick(strategy, a_signature(), [w2, w3]) for _ in range(2)]
        assert without_w1 == ["w2", "w3"]
        assert [pick(strategy, a_signature(), [w1, w2, w3]) for _ in range(3)] == ["w1", "w2", "w3"]

    def test_each_queue_has_its_own_rotation(self) -> None:
        strategy = RoundRobin()
        w1, w2 = a_worker("w1", queues={"a": 1, "b": 1}), a_worker("w2", queues={"a": 1, "b": 1})
        assert pick(strategy, a_signature("a"), [candidate(w1, queue="a"), candidate(w2, queue="a")]) == "w1"
        assert pick(strategy, a_signature("b"), [candidate(w1, queue="b"), candidate(w2, queue="b")]) == "w1"
        assert pick(strategy, a_signature("a"), [candidate(w1, queue="a"), candidate(w2, queue="a")]) == "w2"

    def test_it_says_whose_turn_it_was(self) -> None:
        chosen = candidate(a_worker())
        assert RoundRobin().explain(a_signature(), chosen, [chosen]) == "it was its turn among 1 in default"


class TestLeastLoaded:
    def test_the_lowest_share_wins_so_that_a_large_worker_counts_for_more(self) -> None:
        large, small = candidate(a_worker("large", queues={"default": 8}), 3), candidate(a_worker("small"), 1)
        assert pick(LeastLoaded(), a_signature(), [small, large]) == "large"

    def test_among_equals_the_larger_worker_wins(self) -> None:
        large, small = candidate(a_worker("large", queues={"default": 8})), candidate(a_worker("small"))
        assert pick(LeastLoaded(), a_signature(), [small, large]) == "large"

    def test_it_says_how_loaded(self) -> None:
        chosen = candidate(a_worker(), 1)
        assert LeastLoaded().explain(a_signature(), chosen, [chosen]) == "it was the least loaded of 1 (1/2)"


GPU = Resources(gpu=True, gpu_model="RTX 5080", ram_gb=24.0)
CPU = Resources(ram_gb=16.0)


class TestCapabilityMatch:
    def test_a_worker_with_the_model_in_memory_wins_over_every_other_fit(self) -> None:
        warm = candidate(a_worker("warm", resources=GPU, resident_models=frozenset({"haiku"})), 1)
        cold = candidate(a_worker("cold", resources=CPU))
        assert pick(CapabilityMatch(), a_signature(), [cold, warm]) == "warm"
        words = CapabilityMatch().explain(a_signature(), warm, [cold, warm])
        assert words == "it has haiku in memory"

    def test_a_gpu_never_idles_on_a_task_that_a_cpu_worker_could_take(self) -> None:
        gpu = candidate(a_worker("gpu", resources=GPU, queues={"default": WorkerQueue("default", 8, ("haiku",))}))
        busy_cpu = candidate(a_worker("cpu", resources=Resources(ram_gb=512.0)), 1)
        assert pick(CapabilityMatch(), a_signature(), [gpu, busy_cpu]) == "cpu"

    @pytest.mark.parametrize("wants", [Requirements(gpu=True), Requirements(gpu_model="RTX")])
    def test_a_task_that_wants_a_gpu_does_not_count_it_as_waste(self, wants: Requirements) -> None:
        gpu = candidate(a_worker("gpu", resources=GPU, queues={"default": WorkerQueue("default", 8, ("haiku",))}))
        broad = candidate(a_worker("broad", resources=CPU))
        assert pick(CapabilityMatch(), a_signature(requirements=wants), [broad, gpu]) == "gpu"

    @pytest.mark.parametrize(
        ("tight", "broad"),
        [
            (("haiku",), ("haiku", "sonnet")),
            (("haiku", "sonnet", "opus"), ("haiku", "ollama:*")),
            (("haiku", "ollama:*"), ()),
        ],
    )
    def test_whoever_can_do_less_is_taken_first(self, tight: tuple[str, ...], broad: tuple[str, ...]) -> None:
        one = candidate(a_worker("tight", queues={"default": WorkerQueue("default", 2, tight)}), 1)
        other = candidate(a_worker("broad", queues={"default": WorkerQueue("default", 2, broad)}))
        assert pick(CapabilityMatch(), a_signature(), [other, one]) == "tight"

    def test_then_less_memory_then_less_load(self) -> None:
        small = candidate(a_worker("small", resources=CPU), 1)
        large = candidate(a_worker("large", resources=Resources(ram_gb=64.0)))
        idle = candidate(a_worker("idle", resources=CPU))
        assert pick(CapabilityMatch(), a_signature(), [large, small]) == "small"
        assert pick(CapabilityMatch(), a_signature(), [small, idle]) == "idle"
        words = CapabilityMatch().explain(a_signature(), idle, [small, idle])
        assert words == "it is the tightest fit of 2 for haiku"


HOLDER = a_worker("holder", location=Location("eu", "eu-1", "rack-7"), data_sources=frozenset({"papers"}))


class TestLocality:
    @pytest.mark.parametrize(
        ("worker", "distance", "words"),
        [
            (HOLDER, 0, "it has papers itself"),
            (a_worker("host", location=Location("eu", "eu-1", "rack-7")), 1, "it is in the same host as papers"),
            (a_worker("zone", location=Location("eu", "eu-1", "rack-8")), 2, "it is in the same zone as papers"),
            (a_worker("region", location=Location("eu", "eu-2")), 3, "it is in the same region as papers"),
            (
                a_worker("far", location=Location("us", "eu-1")),
                4,
                "no free worker is near papers, and it was the least loaded of 1",
            ),
            (a_worker("nowhere"), 4, "no free worker is near papers, and it was the least loaded of 1"),
        ],
        ids=["worker", "host", "zone", "region", "far", "nowhere"],
    )
    def test_distance_is_measured_to_whoever_has_the_data(self, worker: Worker, distance: int, words: str) -> None:
        strategy, signature = Locality(lambda: [HOLDER, worker]), a_signature(near_data_source="papers")
        assert strategy.score(signature, candidate(worker, 1)) == (distance, 0.5)
        assert strategy.explain(signature, candidate(worker, 1), [candidate(worker, 1)]) == words

    def test_the_nearest_of_several_holders_counts(self) -> None:
        far_holder = a_worker("far", location=Location("us"), data_sources=frozenset({"papers"}))
        worker = a_worker("w1", location=Location("eu", "eu-1", "rack-8"))
        strategy = Locality(lambda: [far_holder, HOLDER, worker])
        assert strategy.score(a_signature(near_data_source="papers"), candidate(worker)) == (2, 0.0)

    def test_among_equally_near_workers_the_least_loaded_wins(self) -> None:
        near = [candidate(a_worker(f"w{n}", location=Location("eu", "eu-1", "rack-7")), 1 - n) for n in range(2)]
        strategy = Locality(lambda: [HOLDER])
        assert pick(strategy, a_signature(near_data_source="papers"), near) == "w1"

    def test_a_task_without_a_data_source_goes_to_the_least_loaded(self) -> None:
        strategy = Locality(lambda: [HOLDER])
        busy, idle = candidate(HOLDER, 1), candidate(a_worker("idle"))
        assert pick(strategy, a_signature(), [busy, idle]) == "idle"
        words = strategy.explain(a_signature(), idle, [busy, idle])
        assert words == "the task names no data source, and it was the least loaded of 2"
