"""How each strategy ranks: a fleet of workers in, who is chosen out."""

from collections import Counter

import pytest
from devteam_router.domain import Location, Requirements, Resources, StrategyName, Worker, WorkerQueue

from tests.fakes.router_desk import PlacingDesk
from tests.fakes.router_samples import a_signature, a_worker

IN_TURN = a_signature(strategy=StrategyName.ROUND_ROBIN)
LEAST_LOADED = a_signature(strategy=StrategyName.LEAST_LOADED)
TIGHTEST = a_signature(strategy=StrategyName.CAPABILITY_MATCH)
NEAR_PAPERS = a_signature(strategy=StrategyName.LOCALITY, near_data_source="papers")


@pytest.fixture
def desk() -> PlacingDesk:
    return PlacingDesk()


class TestRoundRobin:
    def test_everyone_has_as_many_turns(self, desk: PlacingDesk) -> None:
        desk.come(*(a_worker(f"w{n}", queues={"default": 3 + n}) for n in range(3)))
        turns = [desk.pick(IN_TURN) for _ in range(9)]
        assert Counter(turns) == {"w0": 3, "w1": 3, "w2": 3}
        assert turns[:3] == turns[3:6] == turns[6:]

    def test_it_stays_fair_as_workers_come_and_go(self, desk: PlacingDesk) -> None:
        desk.come(*(a_worker(worker_id, queues={"default": 100}) for worker_id in ("w1", "w2")))
        first, second, again = (desk.pick(IN_TURN) for _ in range(3))
        assert {first, second} == {"w1", "w2"}
        assert again == first
        desk.come(a_worker("w3", queues={"default": 100}))
        assert [desk.pick(IN_TURN) for _ in range(4)] == ["w3", second, first, "w3"]
        desk.hang_up(first)
        assert [desk.pick(IN_TURN) for _ in range(2)] == [second, "w3"]
        desk.come(a_worker(first, queues={"default": 100}))
        assert [desk.pick(IN_TURN) for _ in range(3)] == [first, second, "w3"]

    def test_whoever_is_busy_is_passed_over_and_comes_first_once_it_is_free(self, desk: PlacingDesk) -> None:
        desk.come(*(a_worker(f"w{n}", queues={"default": 1}) for n in range(3)))
        attempts = dict(desk.give(IN_TURN) for _ in range(3))
        longest_ago, *others = attempts
        desk.free(*(attempts[worker_id] for worker_id in others))
        assert desk.pick(IN_TURN) == others[0]
        desk.free(attempts[longest_ago])
        assert desk.pick(IN_TURN) == longest_ago

    def test_each_queue_has_its_own_rotation(self, desk: PlacingDesk) -> None:
        desk.come(*(a_worker(worker_id, queues={"a": 5, "b": 5}) for worker_id in ("w1", "w2")))
        a, b = (a_signature(queue, strategy=StrategyName.ROUND_ROBIN) for queue in "ab")
        in_a = desk.pick(a, "a")
        assert {desk.pick(b, "b"), desk.pick(b, "b")} == {"w1", "w2"}
        assert {in_a, desk.pick(a, "a")} == {"w1", "w2"}

    def test_it_says_whose_turn_it_was(self, desk: PlacingDesk) -> None:
        desk.come(a_worker())
        assert desk.explain(IN_TURN) == ("w1", "it was its turn among 1 in default")


class TestLeastLoaded:
    def test_the_lowest_share_wins_so_that_a_large_worker_counts_for_more(self, desk: PlacingDesk) -> None:
        desk.come(a_worker("large", queues={"default": 8}), a_worker("small"))
        desk.busy("large", 3)
        desk.busy("small", 1)
        assert desk.pick(LEAST_LOADED) == "large"

    def test_among_equals_the_larger_worker_wins(self, desk: PlacingDesk) -> None:
        desk.come(a_worker("small"), a_worker("large", queues={"default": 8}))
        assert desk.pick(LEAST_LOADED) == "large"

    def test_what_runs_out_of_its_other_queues_counts(self, desk: PlacingDesk) -> None:
        desk.come(
            *(a_worker(worker_id, queues={"default": 4, "other": 4}, concurrency=4) for worker_id in ("w1", "w2"))
        )
        desk.busy("w1", queue="other")
        assert desk.pick(LEAST_LOADED) == "w2"

    def test_a_worker_of_weight_four_gets_four_times_as_much(self, desk: PlacingDesk) -> None:
        desk.come(a_worker("heavy", queues={"default": 50}, weight=4.0), a_worker("usual", queues={"default": 50}))
        assert Counter(desk.pick(LEAST_LOADED) for _ in range(50)) == {"heavy": 40, "usual": 10}

    def test_ties_are_broken_at_random_and_evenly(self, desk: PlacingDesk) -> None:
        desk.come(*(a_worker(f"w{n}", queues={"default": 1}) for n in range(4)))
        picked: Counter[str] = Counter()
        for _ in range(400):
            worker_id, attempt = desk.give(LEAST_LOADED)
            desk.free(attempt)
            picked[worker_id] += 1
        assert sorted(picked) == ["w0", "w1", "w2", "w3"]
        assert min(picked.values()) > 60

    def test_it_says_how_loaded(self, desk: PlacingDesk) -> None:
        desk.come(a_worker())
        desk.busy("w1")
        assert desk.explain(LEAST_LOADED) == ("w1", "it was the least loaded of 1 (1/2)")

    def test_a_weight_is_a_merit(self, desk: PlacingDesk) -> None:
        desk.come(a_worker("heavy", weight=2.5), a_worker("usual"))
        choice = desk.choose(LEAST_LOADED)
        assert choice is not None
        merits = [choice.strategy.merits(LEAST_LOADED, weighed.kind) for weighed in choice.weighed()]
        assert merits == ["weight 2.5", ""]


GPU = Resources(gpu=True, gpu_model="RTX 5080", ram_gb=24.0)
CPU = Resources(ram_gb=16.0)
HAIKU = {"default": WorkerQueue("default", 8, ("haiku",))}


class TestCapabilityMatch:
    def test_a_worker_with_the_model_in_memory_wins_over_every_other_fit(self, desk: PlacingDesk) -> None:
        warm = frozenset({"haiku"})
        desk.come(a_worker("warm", resources=GPU, local_models=warm, resident_models=warm))
        desk.come(a_worker("cold", resources=CPU))
        desk.busy("warm")
        assert desk.explain(TIGHTEST) == ("warm", "it has haiku in memory")

    def test_a_worker_with_the_model_on_its_disk_wins_over_one_that_has_to_fetch_it(self, desk: PlacingDesk) -> None:
        desk.come(a_worker("absent", resources=CPU), a_worker("disk", resources=GPU, local_models=frozenset({"haiku"})))
        assert desk.pick(TIGHTEST) == "disk"

    def test_memory_then_disk_then_nothing(self, desk: PlacingDesk) -> None:
        haiku, one = frozenset({"haiku"}), {"default": 1}
        desk.come(a_worker("absent", queues=one))
        desk.come(a_worker("disk", queues=one, local_models=haiku))
        desk.come(a_worker("memory", queues=one, local_models=haiku, resident_models=haiku))
        assert [desk.pick(TIGHTEST) for _ in range(3)] == ["memory", "disk", "absent"]

    def test_a_gpu_never_idles_on_a_task_that_a_cpu_worker_could_take(self, desk: PlacingDesk) -> None:
        desk.come(a_worker("gpu", resources=GPU, queues=HAIKU), a_worker("cpu", resources=Resources(ram_gb=512.0)))
        desk.busy("cpu")
        assert desk.pick(TIGHTEST) == "cpu"

    def test_the_last_slot_of_a_gpu_is_taken_only_when_no_cpu_is_left(self, desk: PlacingDesk) -> None:
        desk.come(a_worker("gpu", resources=GPU, queues={"default": 1}))
        desk.come(*(a_worker(f"cpu{n}", resources=Resources(ram_gb=512.0)) for n in range(3)))
        picked = [desk.pick(TIGHTEST) for _ in range(7)]
        assert picked.index("gpu") == 6

    @pytest.mark.parametrize("wants", [Requirements(gpu=True), Requirements(gpu_model="RTX")])
    def test_a_task_that_wants_a_gpu_does_not_count_it_as_waste(self, desk: PlacingDesk, wants: Requirements) -> None:
        """Else breadth would never be looked at: the other one serves everything."""
        desk.come(a_worker("broad", resources=GPU), a_worker("gpu", resources=GPU, queues=HAIKU))
        signature = a_signature(strategy=StrategyName.CAPABILITY_MATCH, requirements=wants)
        choice = desk.choose(signature)
        assert choice is not None
        assert choice.seat.station.worker.id == "gpu"
        assert "its GPU would idle" not in choice.strategy.merits(signature, choice.seat.row.kind)

    @pytest.mark.parametrize(
        ("tight", "broad"),
        [
            (("haiku",), ("haiku", "sonnet")),
            (("haiku", "sonnet", "opus"), ("haiku", "ollama:*")),
            (("haiku", "ollama:*"), ()),
        ],
    )
    def test_whoever_can_do_less_is_taken_first(
        self, desk: PlacingDesk, tight: tuple[str, ...], broad: tuple[str, ...]
    ) -> None:
        desk.come(a_worker("broad", queues={"default": WorkerQueue("default", 2, broad)}))
        desk.come(a_worker("tight", queues={"default": WorkerQueue("default", 2, tight)}))
        desk.busy("tight")
        assert desk.pick(TIGHTEST) == "tight"

    def test_then_less_memory(self, desk: PlacingDesk) -> None:
        desk.come(a_worker("large", resources=Resources(ram_gb=64.0)), a_worker("small", resources=CPU))
        desk.busy("small")
        assert desk.explain(TIGHTEST) == ("small", "it is the tightest fit of 2 for haiku")

    def test_then_less_load(self, desk: PlacingDesk) -> None:
        desk.come(a_worker("small", resources=CPU), a_worker("idle", resources=CPU))
        desk.busy("small")
        assert desk.pick(TIGHTEST) == "idle"

    @pytest.mark.parametrize(
        ("worker", "merits"),
        [
            (a_worker(), "serves every model"),
            (a_worker(queues=HAIKU, resources=CPU), "serves few models, 16 GB"),
            (a_worker(resources=GPU), "its GPU would idle, serves every model, 24 GB"),
            (a_worker(local_models=frozenset({"haiku"})), "has haiku on its disk, serves every model"),
            (
                a_worker(local_models=frozenset({"haiku"}), resident_models=frozenset({"haiku"})),
                "has haiku in memory, serves every model",
            ),
        ],
    )
    def test_it_says_what_the_rank_is_made_of(self, desk: PlacingDesk, worker: Worker, merits: str) -> None:
        desk.come(worker)
        choice = desk.choose(TIGHTEST)
        assert choice is not None
        assert choice.strategy.merits(TIGHTEST, choice.seat.row.kind) == merits


RACK = Location("eu", "eu-1", "rack-7")
HOLDER = a_worker("holder", queues={"data": 1}, location=RACK, data_sources=frozenset({"papers"}))


class TestLocality:
    @pytest.mark.parametrize(
        ("worker", "distance", "words"),
        [
            (a_worker(data_sources=frozenset({"papers"})), 0, "it has papers itself"),
            (a_worker(location=RACK), 1, "it is in the same host as papers"),
            (a_worker(location=Location("eu", "eu-1", "rack-8")), 2, "it is in the same zone as papers"),
            (a_worker(location=Location("eu", "eu-2")), 3, "it is in the same region as papers"),
            (
                a_worker(location=Location("us", "eu-1")),
                4,
                "no free worker is near papers, and it was the least loaded of 1",
            ),
            (a_worker(), 4, "no free worker is near papers, and it was the least loaded of 1"),
        ],
        ids=["worker", "host", "zone", "region", "far", "nowhere"],
    )
    def test_distance_is_measured_to_whoever_has_the_data(
        self, desk: PlacingDesk, worker: Worker, distance: int, words: str
    ) -> None:
        """Whether that one serves the queue or not."""
        desk.come(HOLDER, worker)
        choice = desk.choose(NEAR_PAPERS)
        assert choice is not None
        assert choice.strategy.rank(NEAR_PAPERS, choice.seat.row.kind) == (distance,)
        assert desk.explain(NEAR_PAPERS) == ("w1", words)

    def test_from_the_worker_itself_to_anywhere(self, desk: PlacingDesk) -> None:
        one = {"default": 1}
        desk.come(HOLDER)
        desk.come(a_worker("far", queues=one), a_worker("region", queues=one, location=Location("eu", "eu-2")))
        desk.come(a_worker("zone", queues=one, location=Location("eu", "eu-1", "rack-8")))
        desk.come(a_worker("host", queues=one, location=RACK))
        desk.come(a_worker("itself", queues=one, data_sources=frozenset({"papers"})))
        assert [desk.pick(NEAR_PAPERS) for _ in range(5)] == ["itself", "host", "zone", "region", "far"]

    def test_the_nearest_of_several_holders_counts(self, desk: PlacingDesk) -> None:
        desk.come(a_worker("other", queues={"data": 1}, location=Location("us"), data_sources=frozenset({"papers"})))
        desk.come(HOLDER, a_worker("w1", location=Location("eu", "eu-1", "rack-8")))
        assert desk.explain(NEAR_PAPERS) == ("w1", "it is in the same zone as papers")

    def test_among_equally_near_workers_the_least_loaded_wins(self, desk: PlacingDesk) -> None:
        desk.come(HOLDER, *(a_worker(f"w{n}", location=RACK) for n in range(2)))
        desk.busy("w0")
        assert desk.pick(NEAR_PAPERS) == "w1"

    def test_a_near_worker_wins_however_busy_it_is(self, desk: PlacingDesk) -> None:
        desk.come(HOLDER, a_worker("near", location=RACK), a_worker("far", queues={"default": 9}))
        desk.busy("near")
        assert desk.pick(NEAR_PAPERS) == "near"

    def test_a_task_without_a_data_source_goes_to_the_least_loaded(self, desk: PlacingDesk) -> None:
        desk.come(a_worker("holder", location=RACK, data_sources=frozenset({"papers"})), a_worker("idle"))
        desk.busy("holder")
        anywhere = a_signature(strategy=StrategyName.LOCALITY)
        assert desk.explain(anywhere) == (
            "idle",
            "the task names no data source, and it was the least loaded of 2",
        )

    @pytest.mark.parametrize("asked", ["before", "after"])
    def test_a_holder_that_comes_later_makes_its_neighbours_near(self, desk: PlacingDesk, asked: str) -> None:
        desk.come(a_worker("far", queues={"default": 9}, location=Location("us", "us-1")))
        desk.come(a_worker("also-far", location=Location("us", "us-2")))
        desk.come(a_worker("zone", location=Location("eu", "eu-1", "rack-8")))
        if asked == "before":
            desk.choose(NEAR_PAPERS)
        desk.come(HOLDER)
        assert desk.explain(NEAR_PAPERS) == ("zone", "it is in the same zone as papers")
