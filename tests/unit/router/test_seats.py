"""Rows of seats: who has a free slot, in the order in which they would be given out."""

import pytest
from devteam_router.domain import AttemptId
from devteam_router.seats import NOBODY, TAKEN, Row
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.router_desk import PlacingDesk
from tests.fakes.router_samples import a_worker


@pytest.fixture
def desk() -> PlacingDesk:
    return PlacingDesk()


class Listener:
    """Counts how often it was told of something better."""

    def __init__(self) -> None:
        self.told = 0

    def improved(self, row: Row) -> None:
        self.told += 1


def a_row(desk: PlacingDesk, workers: int = 3, slots: int = 2, weight: float = 1.0) -> Row:
    """The row of workers that are alike, kept in order."""
    desk.come(*(a_worker(f"w{n}", queues={"default": slots}, weight=weight) for n in range(workers)))
    (entry,) = desk.fleet.read("default").entries
    return entry[1]


def ids(row: Row) -> list[str]:
    return sorted(seat.station.worker.id for seat in row.least_loaded())


class TestLoad:
    def test_all_that_are_equally_idle_are_least_loaded(self, desk: PlacingDesk) -> None:
        row = a_row(desk)
        assert (ids(row), row.free) == (["w0", "w1", "w2"], 3)

    def test_whoever_was_given_something_is_behind_the_others(self, desk: PlacingDesk) -> None:
        row = a_row(desk)
        desk.busy("w0")
        assert (ids(row), row.free, row.low) == (["w1", "w2"], 3, 0)
        desk.busy("w1")
        desk.busy("w2")
        assert (ids(row), row.low) == (["w0", "w1", "w2"], 1)

    def test_whoever_is_full_is_not_there_until_a_slot_is_free(self, desk: PlacingDesk) -> None:
        row = a_row(desk, workers=1)
        first, _ = desk.busy("w0", 2)
        assert (ids(row), row.free, row.load) == ([], 0, NOBODY)
        desk.free(first)
        assert (ids(row), row.free, row.low) == (["w0"], 1, 1)

    def test_load_is_the_share_with_one_more_run_and_a_slot_counts_for_the_weight(self, desk: PlacingDesk) -> None:
        row = a_row(desk, workers=1, slots=4, weight=2.0)
        assert row.load == 1 / 8
        desk.busy("w0", 3)
        assert row.load == 4 / 8

    def test_whoever_goes_off_the_line_takes_its_slots_along(self, desk: PlacingDesk) -> None:
        row = a_row(desk)
        desk.hang_up("w1")
        assert (ids(row), row.free) == (["w0", "w2"], 2)

    def test_slots_of_other_routers_runs_are_taken(self, desk: PlacingDesk) -> None:
        row = a_row(desk)
        desk.fleet.occupied(a_worker("w0").instance, 2, {"default": 2})
        desk.fleet.occupied(a_worker("w1").instance, 1, {})
        assert (ids(row), row.free) == (["w2"], 2)


class TestTurns:
    def test_whoever_has_waited_longest_is_next(self, desk: PlacingDesk) -> None:
        row = a_row(desk)
        for worker_id in ("w1", "w0", "w2", "w1"):
            desk.busy(worker_id)
        order = []
        while (seat := row.next_in_turn()) is not None:
            order.append(seat.station.worker.id)
            desk.busy(order[-1])
        assert order == ["w0", "w2"]
        assert row.due == NOBODY

    def test_newcomers_come_first(self, desk: PlacingDesk) -> None:
        row = a_row(desk)
        for worker_id in ("w0", "w1", "w2"):
            desk.busy(worker_id)
        desk.come(a_worker("new"))
        seat = row.next_in_turn()
        assert seat is not None
        assert (seat.station.worker.id, row.due) == ("new", 0)

    def test_a_worker_that_registers_again_keeps_its_turn(self, desk: PlacingDesk) -> None:
        row = a_row(desk)
        assert row.next_in_turn() is not None
        for worker_id in ("w0", "w1", "w2"):
            desk.busy(worker_id)
        desk.come(a_worker("w1", instance="i2"))
        seat = row.next_in_turn()
        assert seat is not None
        assert seat.station.worker.id == "w0"

    def test_whoever_was_full_gets_its_turn_where_it_left_off(self, desk: PlacingDesk) -> None:
        row = a_row(desk, slots=1)
        assert row.next_in_turn() is not None
        first, second = desk.busy("w0") + desk.busy("w1")
        desk.busy("w2")
        desk.free(second)
        assert row.next_in_turn() is desk.fleet.station("w1").seats[0]  # type: ignore[union-attr]  # it is there
        desk.free(first)
        assert row.next_in_turn() is desk.fleet.station("w0").seats[0]  # type: ignore[union-attr]  # it is there

    def test_the_line_does_not_grow_with_turns_that_nobody_asks_for(self, desk: PlacingDesk) -> None:
        row = a_row(desk)
        assert row.next_in_turn() is not None
        for _ in range(1_000):
            desk.free(*desk.busy("w1"))
        assert row._rotation is not None
        assert len(row._rotation._line) < 100
        desk.busy("w0")
        seat = row.next_in_turn()
        assert seat is not None
        assert seat.station.worker.id == "w2"


class TestWatchers:
    def test_they_hear_once_of_something_better(self, desk: PlacingDesk) -> None:
        row, listener = a_row(desk, workers=1, slots=3), Listener()
        first, second = desk.busy("w0", 2)
        row.watchers[listener] = None
        desk.free(first, second)
        assert listener.told == 1

    def test_and_nothing_of_what_is_worse(self, desk: PlacingDesk) -> None:
        row, listener = a_row(desk, workers=2), Listener()
        row.watchers[listener] = None
        desk.free(*desk.busy("w0", 1)[:0])
        desk.busy("w0")
        desk.hang_up("w1")
        assert listener.told == 0


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["start", "end", "hang up", "call"])), max_size=80))
def test_whatever_starts_and_ends_a_row_agrees_with_a_count(steps: list[tuple[int, str]]) -> None:
    desk = PlacingDesk()
    row = a_row(desk, workers=5, slots=3)
    assert row.next_in_turn() is not None
    running: dict[str, list[AttemptId]] = {f"w{n}": [] for n in range(5)}
    last, away = dict.fromkeys(running, 0), set[str]()
    for number, (which, step) in enumerate(steps, start=1):
        worker_id = f"w{which}"
        if step == "start" and worker_id not in away and len(running[worker_id]) < 3:
            running[worker_id] += desk.busy(worker_id)
            last[worker_id] = number
        elif step == "end" and running[worker_id]:
            desk.free(running[worker_id].pop())
        elif step == "hang up" and worker_id not in away:
            desk.hang_up(worker_id)
            away.add(worker_id)
        elif step == "call" and worker_id in away:
            desk.come(a_worker(worker_id, queues={"default": 3}))
            away.remove(worker_id)
        free = {worker: len(held) for worker, held in running.items() if worker not in away and len(held) < 3}
        lowest = min(free.values(), default=None)
        assert row.free == len(free)
        assert ids(row) == [worker for worker, level in free.items() if level == lowest]
        seat = row.next_in_turn()
        assert (seat is None) == (not free)
        assert seat is None or last[seat.station.worker.id] == min(last[worker] for worker in free)
    assert all(seat.level == TAKEN or seat.level >= 0 for seat in row.least_loaded())
