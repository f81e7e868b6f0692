"""Workers that are alike stand together, and nobody is taken for what he is not."""

from dataclasses import replace

import pytest
from devteam_router.domain import Location, Requirements, Signature, StrategyName, Worker, WorkerQueue
from devteam_router.filters import serves_model, unmet
from devteam_router.kinds import Kinds
from devteam_router.ports import FleetSnapshot

from tests.fakes.router_bench import RouterBench
from tests.fakes.router_desk import PlacingDesk
from tests.fakes.router_samples import a_run, a_signature, a_worker

WANTS_SSD = a_signature(requirements=Requirements(labels=(("disk", "ssd"),)))
WANTS_PAPERS = a_signature(requirements=Requirements(data_sources=("papers",)))


@pytest.fixture
def desk() -> PlacingDesk:
    return PlacingDesk()


def eligible(desk: PlacingDesk, signature: Signature, queue: str = "default") -> set[str]:
    """Whom the index could choose."""
    desk.choose(signature, queue)
    return {seat.station.worker.id for seat in desk.field(signature, queue).seats()}


def table_sizes(kinds: Kinds) -> int:
    return len(kinds._kinds) + len(kinds._profiles) + sum(len(rows.entries) for rows in kinds._rows.values())


class TestWhoIsTakenForWhom:
    @pytest.mark.parametrize("has_it_first", [True, False])
    def test_whoever_has_no_such_label_is_not_taken_for_one_that_has(
        self, desk: PlacingDesk, has_it_first: bool
    ) -> None:
        """They were of one kind until somebody asked."""
        workers = [a_worker("has", labels={"disk": "ssd"}), a_worker("lacks")]
        desk.come(*(workers if has_it_first else reversed(workers)))
        desk.choose()
        assert eligible(desk, WANTS_SSD) == {"has"}

    def test_even_when_whoever_had_the_label_has_gone_before_it_was_asked_for(self, desk: PlacingDesk) -> None:
        desk.come(a_worker("had", labels={"disk": "ssd"}), a_worker("lacks"))
        desk.choose()
        desk.fleet.remove("had")
        assert eligible(desk, WANTS_SSD) == set()

    def test_whoever_has_no_such_data_is_not_taken_for_one_that_has(self, desk: PlacingDesk) -> None:
        desk.come(a_worker("has", data_sources=frozenset({"papers"})), a_worker("lacks"))
        desk.choose()
        assert eligible(desk, WANTS_PAPERS) == {"has"}

    def test_nor_by_a_profile_that_was_asked_before_anybody_was_chosen(self, desk: PlacingDesk) -> None:
        """A line that a gate holds back comes to an agenda before its labels are known to be asked for."""
        desk.come(a_worker("has", labels={"disk": "ssd"}), a_worker("lacks"))
        for profile in desk.fleet.profiles("default"):
            profile.verdict("default", WANTS_SSD)
        assert eligible(desk, WANTS_SSD) == {"has"}

    def test_a_worker_whose_label_changes_is_judged_anew(self, desk: PlacingDesk) -> None:
        desk.come(a_worker("w1", labels={"disk": "hdd"}))
        assert eligible(desk, WANTS_SSD) == set()
        desk.come(a_worker("w1", labels={"disk": "ssd"}))
        assert eligible(desk, WANTS_SSD) == {"w1"}


class TestPlaces:
    def test_places_count_from_the_first_data_source_that_anybody_asks_for(self, desk: PlacingDesk) -> None:
        desk.come(a_worker("eu", location=Location("eu", "eu-1")), a_worker("us", location=Location("us", "us-1")))
        near = a_signature(near_data_source="papers", strategy=StrategyName.LOCALITY)
        desk.choose(near)
        desk.come(a_worker("holder", queues={"data": 1}, location=Location("us"), data_sources=frozenset({"papers"})))
        assert desk.pick(near) == "us"


class TestChurn:
    @pytest.mark.parametrize("changes", [50, 64, 65, 66, 100, 500])
    def test_a_worker_that_changes_again_and_again_stays_eligible(self, desk: PlacingDesk, changes: int) -> None:
        for slots in range(1, changes + 1):
            desk.come(a_worker("w1", queues={"default": slots}))
            assert eligible(desk, a_signature()) == {"w1"}

    def test_two_thousand_different_workers_are_all_eligible(self, desk: PlacingDesk) -> None:
        """As many kinds as workers: every one has a data source, a label and slots of its own."""
        fleet = [fleet_worker(n) for n in range(2_000)]
        desk.come(*fleet)
        assert len(eligible(desk, a_signature())) == 2_000
        wants = [WANTS_SSD, WANTS_PAPERS, a_signature(near_data_source="papers"), a_signature(model="opus")]
        for signature in wants:
            naive = {
                w.id for w in fleet if serves_model(w.queues["default"], signature.model) and not unmet(w, signature)
            }
            assert eligible(desk, signature) == naive
            desk.come(*fleet[::7])

    def test_everyone_changing_at_once_loses_nobody(self, desk: PlacingDesk) -> None:
        desk.come(*(a_worker(f"w{n}", queues={"default": n + 1}) for n in range(300)))
        desk.choose()
        desk.come(*(a_worker(f"w{n}", queues={"default": n + 1}, weight=2.0) for n in range(300)))
        assert len(eligible(desk, a_signature())) == 300

    def test_a_fleet_that_left_leaves_no_more_than_a_few_kinds(self, desk: PlacingDesk) -> None:
        desk.come(*(fleet_worker(n) for n in range(2_000)))
        for signature in (a_signature(), WANTS_SSD, a_signature(near_data_source="papers")):
            desk.choose(signature)
        desk.fleet.keep_only([])
        kinds = desk.fleet._kinds
        assert table_sizes(kinds) <= 3 * 65
        assert not any(kind.stations or kind.open for kind in kinds._kinds.values())
        assert (desk.fleet._by_queue, desk.fleet._by_host, desk.fleet._stations) == ({}, {}, {})
        sources = desk.fleet.sources
        assert not any([sources._hosts, sources._zones, sources._regions, sources._holders, sources._versions])


async def test_two_thousand_workers_that_register_again_and_again_all_get_work(bench: RouterBench) -> None:
    """A list of them, each of them changed, the list again; then a run for every one of them."""
    fleet = [a_worker(f"w{n}", queues={"default": 1}, labels={"name": f"w{n}"}) for n in range(2_000)]
    bench.core.hear(FleetSnapshot(tuple(fleet), complete=True, first=True))
    for worker in fleet:
        bench.attach(worker.instance)
    for n, worker in enumerate(fleet):
        bench.register(replace(worker, weight=1 + n % 5, queues={"default": WorkerQueue("default", 1 + n % 3)}))
    bench.core.hear(FleetSnapshot(tuple(fleet), complete=True, first=True))
    for n in range(2_000):
        await bench.dispatch(a_run(f"t{n}"))
    assert all(bench.core.leases.active(worker.id) == 1 for worker in fleet)
    bench.core.hear(FleetSnapshot((), complete=True, first=True))
    assert table_sizes(bench.core.fleet._kinds) <= 3 * 65


def fleet_worker(n: int) -> Worker:
    """One of many that have nothing in common but their queue."""
    return a_worker(
        f"w{n}",
        queues={"default": WorkerQueue("default", 1 + n % 50, ("haiku",) if n % 3 else ())},
        weight=1 + n % 41,
        labels={"disk": ("ssd", "hdd")[n % 2], "name": f"w{n}"},
        location=Location("eu", f"eu-{n % 9}", f"host-{n}"),
        data_sources=frozenset({f"data-{n}"} | ({"papers"} if n % 11 == 0 else set())),
    )
