"""The yardstick: many tasks at once over few, unequal machines."""

from collections.abc import Sequence

from devteam_router.domain import StrategyName, Worker, WorkerInstance, WorkerQueue
from devteam_router.simulation.figures import Figures, figures
from devteam_router.simulation.play import Play
from devteam_router.simulation.scenario import Burst, Group, Scenario, Stream, Work

_QUEUE = "default"
# Speed and slots of machines.
Kinds = Sequence[tuple[float, int]]

UNEQUAL: Kinds = ((1.0, 1), (2.0, 1), (4.0, 1))


def balance(
    strategy: StrategyName,
    *,
    tasks: int = 10_000,
    workers: int = 50,
    kinds: Kinds = UNEQUAL,
    within: float = 0.0,
    seed: int = 1,
) -> Figures:
    """How evenly a strategy loads unequal machines, each weighted by its speed, and how long it takes altogether.

    Machines are of the `kinds` in turn. The tasks last exponentially long, a minute on a machine of speed 1, and come
    `within` so many seconds. Nobody knows beforehand which of them are long: what is above 1 in `makespan.ratio` is
    mostly the time from when the last task starts to when the last one ends, and grows with slots per task.
    """
    groups = [_group(number, *kinds[number % len(kinds)]) for number in range(workers)]
    stream = Stream("burst", "sonnet", Work(60.0), burst=Burst(tasks, within=within), queue=_QUEUE)
    play = Play(Scenario(groups, [stream], seed=seed), strategy)
    play.run()
    return figures(play)


def _group(number: int, speed: float, slots: int) -> Group:
    name = f"machine-{number + 1}"
    queues = {_QUEUE: WorkerQueue(_QUEUE, slots)}
    return Group(name, 1, Worker(WorkerInstance(name, ""), queues, slots, weight=speed), speed)
