import math
from dataclasses import replace
from datetime import timedelta

import pytest
from devteam_registry.domain import Availability, WishChange, Wishes, WorkerQueue, WorkerSpec
from devteam_registry.health import HealthPolicy

from devteam.mesh.errors import FailedPrecondition
from tests.unit.registry.samples import NOON, full_spec, spec, worker


@pytest.mark.parametrize(
    "timings",
    [
        (31, 60, 120, 300),
        (30, 120, 120, 300),
        (30, 60, 300, 300),
        (0, 60, 120, 300),
        (-1, 60, 120, 300),
        (math.nan, 60, 120, 300),
        (30, 60, 120, math.inf),
    ],
)
def test_timings_that_contradict_each_other_are_refused(timings: tuple[float, float, float, float]) -> None:
    """Beat x 2 <= unhealthy < lost < deregister, all finite, or no start."""
    with pytest.raises(FailedPrecondition, match="heartbeat interval x 2 <= unhealthy < lost < deregister") as caught:
        HealthPolicy(*timings)
    assert caught.value.reason == "HEALTH_POLICY_INVALID"


def test_wishes_lie_over_the_declaration() -> None:
    """Concurrency and labels of the operator win; an empty label takes a declared one away."""
    wishes = Wishes(concurrency=9, labels={"site": "lab", "rack/unit": "", "new": "1"})
    wished = wishes.over(full_spec())
    assert wished.concurrency == 9
    assert wished.labels == {"site": "lab", "new": "1"}


def test_a_wished_weight_lies_over_the_declared_one() -> None:
    """Other wishes leave it; 0 takes it back."""
    wished = WishChange(weight=2.5).applied_to(Wishes(concurrency=4), NOON)
    assert (wished.over(full_spec()).weight, full_spec().weight) == (2.5, 4.0)
    assert WishChange(concurrency=3).applied_to(wished, NOON).weight == 2.5
    assert WishChange(weight=0.0).applied_to(wished, NOON) == Wishes(concurrency=4)


def test_no_wishes_leave_the_declaration_as_it_is() -> None:
    """Nothing wished, nothing changed."""
    assert Wishes().over(full_spec()) == full_spec()


@pytest.mark.parametrize(
    ("wish", "in_queues"), [(0, [4, 2]), (3, [4, 2]), (6, [4, 2]), (12, [8, 4]), (7, [5, 3]), (10_000, [6_667, 3_334])]
)
def test_more_slots_than_declared_are_more_in_each_queue(wish: int, in_queues: list[int]) -> None:
    declared = WorkerSpec("w1", (WorkerQueue("gpu-queue", 4), WorkerQueue("default", 2)))
    wished = Wishes(concurrency=wish).over(declared)
    assert [queue.concurrency for queue in wished.queues] == in_queues
    assert wished.slots == (wish or 6)


def test_slots_are_the_sum_over_the_queues_unless_declared() -> None:
    """A concurrency of 0 means the sum."""
    assert (spec(queues=("a", "b")).slots, full_spec().slots) == (4, 5)


def test_a_change_of_wishes_leaves_the_unnamed_ones() -> None:
    """Only what is named changes, to "no wish" as well."""
    wishes = Wishes(concurrency=4, availability=Availability.CORDONED, labels={"a": "b"})
    assert WishChange(concurrency=0).applied_to(wishes, NOON) == Wishes(0, Availability.CORDONED, {"a": "b"})
    assert WishChange(labels={}).applied_to(wishes, NOON) == Wishes(4, Availability.CORDONED, {})


def test_a_drain_may_have_a_deadline_which_goes_with_it() -> None:
    """It is a moment; a new availability without one takes it away, other wishes leave it."""
    draining = WishChange(availability=Availability.DRAINING, drain_within=90.0).applied_to(Wishes(), NOON)
    assert draining == Wishes(availability=Availability.DRAINING, drain_until=NOON + timedelta(seconds=90))
    assert WishChange(concurrency=3).applied_to(draining, NOON).drain_until == draining.drain_until
    assert WishChange(availability=Availability.DRAINING).applied_to(draining, NOON).drain_until is None
    assert WishChange(availability=Availability.OPEN).applied_to(draining, NOON) == Wishes()


def test_the_rest_of_a_drain_never_falls_below_nothing() -> None:
    """Without a deadline there is no rest to speak of."""
    wishes = Wishes(availability=Availability.DRAINING, drain_until=NOON)
    rests = [wishes.drain_rest(NOON + timedelta(seconds=seconds)) for seconds in (-90, 0, 90)]
    assert (rests, Wishes().drain_rest(NOON)) == ([90.0, 0.0, 0.0], None)


@pytest.mark.parametrize(
    ("own", "operators", "effective"),
    [
        (Availability.OPEN, Availability.OPEN, Availability.OPEN),
        (Availability.OPEN, Availability.CORDONED, Availability.CORDONED),
        (Availability.DRAINING, Availability.CORDONED, Availability.DRAINING),
        (Availability.CORDONED, Availability.DRAINING, Availability.DRAINING),
    ],
)
def test_the_most_restrictive_wish_counts(own: Availability, operators: Availability, effective: Availability) -> None:
    """DRAINING over CORDONED over OPEN, whoever wants it."""
    assert replace(worker(wishes=Wishes(availability=operators)), own_availability=own).availability is effective


def test_a_worker_leaves_behind_only_what_an_operator_wants() -> None:
    """Wishes outlive a worker, except for a drain, which its leaving fulfilled."""
    assert worker().remains() is None
    assert worker(wishes=Wishes(availability=Availability.DRAINING)).remains() is None
    remains = worker(wishes=Wishes(3, Availability.DRAINING, drain_until=NOON)).remains()
    assert remains is not None
    assert (remains.wishes, remains.departed) == (Wishes(concurrency=3), True)
