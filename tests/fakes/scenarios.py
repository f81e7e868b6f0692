"""Small scenarios for the simulation's tests."""

from collections.abc import Sequence
from typing import Any

from devteam_router.domain import StrategyName, WorkerQueue
from devteam_router.simulation.play import Play
from devteam_router.simulation.scenario import Burst, Group, Scenario, Spread, Stream, Work

from tests.fakes.router_samples import a_worker


def a_group(name: str = "box", count: int = 1, *, slots: int = 1, models: Sequence[str] = (), **rest: Any) -> Group:
    """Machines with so many slots of `default`; what is no field of a Group describes its workers."""
    of_group = {key: rest.pop(key) for key in ("speed", "load_time", "in_memory") if key in rest}
    queues = {"default": WorkerQueue("default", slots, tuple(models))}
    return Group(name, count, a_worker(name, queues=queues, **rest), **of_group)


def a_burst(count: int = 1, *, at: float = 0.0, work: float = 10.0, name: str = "burst", **rest: Any) -> Stream:
    """So many tasks at once, each with exactly so much work."""
    given = {"model": "haiku", "queue": "default", **rest}
    return Stream(name, work=Work(work, Spread.FIXED), burst=Burst(count, at), **given)


def a_stream(rate: float, *, mean: float = 30.0, name: str = "stream", **rest: Any) -> Stream:
    """So many tasks an hour, which last exponentially long."""
    return Stream(name, **{"model": "haiku", "queue": "default", "work": Work(mean), "rate": rate, **rest})


def played(
    groups: Sequence[Group],
    streams: Sequence[Stream],
    *,
    strategy: StrategyName = StrategyName.LEAST_LOADED,
    **rest: Any,
) -> Play:
    """A play that is over."""
    play = Play(Scenario(groups, streams, **rest), strategy)
    play.run()
    return play


def story(play: Play) -> list[str]:
    """Each stay in the order of assignment: where, from when to when, and after how long a wait."""
    return [
        f"{stay.worker_id} {stay.since:g}-{stay.until:g} waited {stay.waited:g}{' lost' if stay.lost else ''}"
        for stay in play.journal.stays
    ]
