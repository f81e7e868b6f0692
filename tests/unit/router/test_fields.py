"""Fields: the best worker at hand agrees with a look at everyone."""

from collections import Counter
from random import Random

import pytest
from devteam_router.domain import (
    AttemptId,
    Location,
    Requirements,
    Resources,
    Signature,
    StrategyName,
    Worker,
    WorkerQueue,
)
from devteam_router.fields import Field
from devteam_router.routing import QueuePolicy, Wishes
from devteam_router.seats import Seat
from devteam_router.strategies.base import Rank

from tests.fakes.router_desk import PlacingDesk
from tests.fakes.router_samples import a_signature, a_worker


@pytest.fixture
def desk() -> PlacingDesk:
    return PlacingDesk()


def a_mixed_worker(random: Random, n: int) -> Worker:
    """One of a fleet in which some are alike and many are not."""
    local = random.choice([(), ("haiku",), ("haiku", "opus")])
    models = random.choice([(), ("haiku",), ("opus",), ("haiku", "opus")])
    return a_worker(
        f"w{n}",
        queues={"default": WorkerQueue("default", random.randint(1, 3), models)},
        weight=random.choice([1.0, 1.0, 2.0, 0.5]),
        resources=random.choice([Resources(), Resources(gpu=True, ram_gb=24.0), Resources(ram_gb=16.0)]),
        labels={"disk": random.choice(["ssd", "hdd"])},
        location=random.choice([Location(), Location("eu", "eu-1", "h1"), Location("eu", "eu-2"), Location("us")]),
        data_sources=frozenset(random.choice([(), (), ("papers",)])),
        local_models=frozenset(local),
        resident_models=frozenset(local[:1]),
    )


SIGNATURES = [
    a_signature(strategy=strategy, **rest)
    for strategy in StrategyName
    for rest in (
        {},
        {"model": "opus"},
        {"requirements": Requirements(labels=(("disk", "ssd"),))},
        {"near_data_source": "papers"},
    )
]


def worth(field: Field, seat: Seat) -> tuple[Rank, float]:
    return field.rank(seat.row), round(field.worth(seat), 9)


def something_happens(desk: PlacingDesk, random: Random, held: list[AttemptId], workers: int) -> None:
    """A run starts or ends, a worker comes, changes or leaves."""
    n = random.randrange(workers)
    match random.randrange(8):
        case 0 | 1 | 2:
            choice = desk.choose(random.choice(SIGNATURES))
            if choice is not None:
                held.append(desk.busy(choice.seat.station.worker.id)[0])
        case 3 | 4 if held:
            desk.free(held.pop(random.randrange(len(held))))
        case 5 | 6:
            desk.come(a_mixed_worker(random, n))
        case 7 if desk.fleet.get(f"w{n}") is not None:
            desk.fleet.remove(f"w{n}")


@pytest.mark.parametrize("workers", [12, 300], ids=["few", "many"])
@pytest.mark.parametrize("seed", range(12))
def test_the_index_agrees_with_a_scan_of_everyone(seed: int, workers: int) -> None:
    """With a few kinds of workers, which are looked at one by one, and with so many that they are kept in order."""
    random = Random(seed)
    desk, held = PlacingDesk(seed=seed), list[AttemptId]()
    desk.come(*(a_mixed_worker(random, n) for n in range(workers)))
    for _ in range(120):
        something_happens(desk, random, held, workers)
        for signature in random.sample(SIGNATURES, 4):
            choice, field = desk.choose(signature), desk.field(signature)
            best = min((worth(field, seat) for seat in field.seats()), default=None)
            assert best == (worth(field, choice.seat) if choice else None)


def test_equally_good_workers_of_different_kinds_are_drawn_by_lot_too(desk: PlacingDesk) -> None:
    desk.come(*(a_worker(f"a{n}", resources=Resources(ram_gb=8)) for n in range(3)), a_worker("b"))
    drawn = []
    for _ in range(400):
        worker_id, attempt = desk.give()
        desk.free(attempt)
        drawn.append(worker_id)
    assert 40 < drawn.count("b") < 200


def test_a_decision_remembers_what_it_was_compared_with(desk: PlacingDesk) -> None:
    desk.come(a_worker("large", queues={"default": 4}), a_worker("small", queues={"default": 1}), a_worker("full"))
    desk.busy("full", 2)
    choice = desk.choose()
    assert choice is not None
    desk.busy("large", 2)
    told = [(weighed.kind.concurrency, weighed.active, weighed.score) for weighed in choice.weighed()]
    assert told == [(4, 0, 0.25), (1, 0, 1.0)]


def test_strategies_change_with_the_queues_policy_and_not_for_those_that_name_one(desk: PlacingDesk) -> None:
    desk.come(a_worker(queues={"default": 1, "other": 1}))
    named = a_signature(strategy=StrategyName.CAPABILITY_MATCH)

    def strategies() -> list[StrategyName]:
        fields = [desk.field(a_signature()), desk.field(named), desk.field(a_signature("other"), "other")]
        return [field.strategy.name for field in fields]

    assert strategies() == ["least-loaded", "capability-match", "least-loaded"]
    in_turn = {"default": QueuePolicy(strategy=StrategyName.ROUND_ROBIN)}
    desk.routing.wish(Wishes(strategy=StrategyName.LOCALITY, queues=in_turn))
    assert strategies() == ["round-robin", "capability-match", "locality"]
    desk.routing.wish(Wishes())
    assert strategies() == ["least-loaded", "capability-match", "least-loaded"]


def test_fields_that_nobody_asks_for_any_longer_make_room(desk: PlacingDesk) -> None:
    """Runs name the signatures: no more than so many are kept, and rows are watched by no others."""
    desk.come(a_worker(queues={"default": WorkerQueue("default", 1, ("m-*",))}))
    for n in range(5_000):
        desk.choose(a_signature(f"q-{n}", model=f"m-{n}"), f"q-{n}")
        desk.choose(a_signature(model=f"m-{n}"))
    fields = desk.placer._fields._fields
    assert len(fields) <= 4_096
    (entry,) = desk.fleet.rows("default").entries
    assert len(entry[1].watchers) <= 4_096
    assert len(desk.fleet._kinds._rows) <= 4_097


def test_whoever_refuses_is_passed_over_for_the_second_best(desk: PlacingDesk) -> None:
    desk.come(a_worker("large", queues={"default": 4}), a_worker("middle", queues={"default": 3}), a_worker("small"))
    signature: Signature = a_signature()
    large, middle = desk.fleet.station("large"), desk.fleet.station("middle")
    assert large is not None
    assert middle is not None
    large.refuse(signature)
    assert desk.pick(signature) == "middle"
    middle.refuse(signature)
    assert desk.pick(signature) == "small"
    desk.hang_up("small")
    assert desk.choose(signature) is None
    assert desk.pick(a_signature(model="opus")) == "large"


def test_nor_does_one_of_many_equal_kinds_win_every_time(desk: PlacingDesk) -> None:
    """Idle workers of a hundred kinds, one run at a time."""
    desk.come(*(a_worker(f"w{n}", resources=Resources(ram_gb=n)) for n in range(100)))
    drawn: Counter[str] = Counter()
    for _ in range(2_000):
        worker_id, attempt = desk.give()
        desk.free(attempt)
        drawn[worker_id] += 1
    assert len(drawn) == 100
    assert max(drawn.values()) < 60
