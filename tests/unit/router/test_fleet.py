"""The fleet: workers by id and queue, and which of them are alike."""

import pytest
from devteam_router.domain import Location, Requirements, Worker, WorkerInstance
from devteam_router.fleet import Fleet
from devteam_router.leases import Leases
from devteam_router.links import Links
from devteam_router.sources import Distance

from tests.fakes.router_samples import a_signature, a_worker


class Stage:
    """A fleet whose workers are all on the line, and what it told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.links = Links()
        self.leases = Leases()
        self.fleet = Fleet(self.leases, self.links, self.told.append)

    def come(self, *workers: Worker) -> None:
        for worker in workers:
            self.links.open(worker.instance)
            self.fleet.put(worker)

    def kinds(self, queue: str = "default") -> list[list[str]]:
        """Workers by kind."""
        return [sorted(kind.stations) for kind, _ in self.fleet.rows(queue).entries if kind.stations]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def served(stage: Stage, queue: str) -> list[str]:
    return [station.worker.id for station in stage.fleet.serving(queue)]


def test_workers_are_found_by_id_and_by_queue(stage: Stage) -> None:
    one, two = a_worker("w1", queues={"a": 1, "b": 1}), a_worker("w2", queues={"b": 1})
    stage.come(one, two)
    assert stage.fleet.get("w2") is two
    assert served(stage, "b") == ["w1", "w2"]
    assert stage.fleet.queues() == {"a", "b"}
    assert list(stage.fleet) == [one, two]


def test_a_worker_that_leaves_a_queue_is_not_found_there_any_more(stage: Stage) -> None:
    stage.come(a_worker("w1", queues={"a": 1}))
    stage.come(a_worker("w1", queues={"b": 1}))
    assert stage.told == ["w1", "w1"]
    assert served(stage, "a") == []
    assert stage.fleet.queues() == {"b"}


def test_whoever_a_complete_list_does_not_name_is_gone(stage: Stage) -> None:
    stage.come(*(a_worker(worker_id) for worker_id in ("w1", "w2", "w3")))
    stage.told.clear()

    stage.fleet.keep_only({"w2", "w9"})

    assert [worker.id for worker in stage.fleet] == ["w2"]
    assert sorted(stage.told) == ["w1", "w3"]


def test_removing_a_stranger_tells_nobody(stage: Stage) -> None:
    stage.fleet.remove("w1")
    assert stage.told == []


class TestKinds:
    def test_workers_that_differ_in_nothing_that_counts_are_of_one_kind(self, stage: Stage) -> None:
        stage.come(*(a_worker(f"w{n}", labels={"host": f"h{n}"}, location=Location(host=f"h{n}")) for n in range(3)))
        stage.come(a_worker("large", queues={"default": 8}), a_worker("heavy", weight=4.0))
        assert stage.kinds() == [["w0", "w1", "w2"], ["large"], ["heavy"]]

    def test_labels_count_once_some_run_asks_for_them_also_for_those_who_come_later(self, stage: Stage) -> None:
        stage.come(a_worker("w1", labels={"disk": "ssd"}), a_worker("w2", labels={"disk": "hdd"}), a_worker("w3"))
        assert len(stage.kinds()) == 1
        stage.fleet.ask(a_signature(requirements=Requirements(labels=(("disk", "ssd"),))))
        stage.come(a_worker("w4", labels={"disk": "ssd"}))
        assert sorted(stage.kinds()) == [["w1", "w4"], ["w2"], ["w3"]]

    def test_a_label_that_nobody_has_yet_counts_as_soon_as_somebody_has_it(self, stage: Stage) -> None:
        stage.come(a_worker("w1"))
        stage.fleet.ask(a_signature(requirements=Requirements(labels=(("disk", "ssd"),))))
        stage.come(a_worker("w2", labels={"disk": "ssd"}))
        assert stage.kinds() == [["w1"], ["w2"]]

    def test_data_counts_where_it_is_asked_for_and_so_does_having_it_on_ones_host(self, stage: Stage) -> None:
        rack = Location("eu", "eu-1", "rack-7")
        stage.come(a_worker("near", location=rack), a_worker("far", location=Location("us", "us-1", "rack-7b")))
        stage.fleet.ask(a_signature(near_data_source="papers"))
        stage.come(a_worker("holder", location=rack, data_sources=frozenset({"papers"})))
        assert sorted(stage.kinds()) == [["far"], ["holder"], ["near"]]
        near = next(kind for kind, _ in stage.fleet.rows("default").entries if "near" in kind.stations)
        assert stage.fleet.sources.distance("papers", near.worker, near.host_sources) is Distance.HOST
        stage.fleet.remove("holder")
        moved = next(kind for kind, _ in stage.fleet.rows("default").entries if "near" in kind.stations)
        assert stage.fleet.sources.distance("papers", moved.worker, moved.host_sources) is Distance.FAR

    def test_kinds_that_nobody_is_of_are_forgotten_in_the_end(self, stage: Stage) -> None:
        for n in range(1, 500):
            stage.come(a_worker("w1", queues={"default": n}))
        assert len(stage.fleet.rows("default").entries) < 100

    def test_too_many_labels_to_keep_apart_all_count(self, stage: Stage) -> None:
        for n in range(1_100):
            stage.fleet.ask(a_signature(requirements=Requirements(labels=((f"label-{n}", "x"),))))
        stage.come(a_worker("w1", labels={"never-asked": "x"}), a_worker("w2"))
        assert stage.kinds() == [["w1"], ["w2"]]


class TestOtherRouters:
    def test_slots_that_they_took_are_not_free(self, stage: Stage) -> None:
        worker = a_worker(queues={"a": 2, "b": 2}, concurrency=3)
        stage.come(worker)
        for queue in "ab":
            stage.fleet.read(queue)
        stage.fleet.occupied(worker.instance, 2, {"a": 2})
        station = stage.fleet.station("w1")
        assert station is not None
        assert (station.active, [seat.level for seat in station.seats]) == (2, [-1, 2])
        stage.fleet.occupied(worker.instance, 0, {})
        assert [seat.level for seat in station.seats] == [0, 0]

    def test_the_word_of_another_instance_means_nothing(self, stage: Stage) -> None:
        stage.come(a_worker())
        stage.fleet.occupied(WorkerInstance("w1", "older"), 2, {"default": 2})
        station = stage.fleet.station("w1")
        assert station is not None
        assert station.active == 0

    def test_it_is_kept_when_the_worker_changes_but_not_for_a_new_instance(self, stage: Stage) -> None:
        worker = a_worker()
        stage.come(worker)
        stage.fleet.occupied(worker.instance, 1, {"default": 1})
        stage.come(a_worker(weight=2.0))
        station = stage.fleet.station("w1")
        assert station is not None
        assert (station.active, station.seats[0].taken) == (1, 1)
        stage.come(a_worker(instance="i2"))
        renewed = stage.fleet.station("w1")
        assert renewed is not None
        assert (renewed.active, renewed.seats[0].taken) == (0, 0)


def test_a_model_that_a_worker_loads_counts_as_loaded(stage: Stage) -> None:
    stage.come(a_worker("w1", local_models=frozenset({"ollama:phi"})))
    stage.fleet.warmed("w1", "ollama:phi")
    stage.fleet.warmed("w1", "opus")
    worker = stage.fleet.get("w1")
    assert worker is not None
    assert worker.resident_models == {"ollama:phi"}
