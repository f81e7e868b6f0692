"""Any fleet, any load, any order: every placement stands up to a look at everyone."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, zip_longest
from random import Random

import pytest
import structlog
from devteam_router.dispatch import Reported, Stage
from devteam_router.domain import Run, Worker
from devteam_router.frames import Assign
from devteam_router.graces import Graces
from devteam_router.link import Link
from devteam_router.ports import RoutingChanged, WorkerChanged
from devteam_router.routing import Policy, QueuePolicy, Wishes
from devteam_router.service import RouterCore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from tests.fakes.clock import FakeClock
from tests.fakes.router_placement import PlacementMachine
from tests.fakes.router_samples import a_run, a_signature, a_worker

EXAMPLES = 400
STEPS = 40
# With -m slow.
NIGHTLY_EXAMPLES = 50_000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A failure shows its own game, and not the log of all others."""
    known = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.configure(**known)


def play(examples: int) -> None:
    """Play so many games. A failure prints a blob: put @reproduce_failure over PlacementMachine to see it again."""
    rules = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],  # as in test_core_machine
    )
    before = PlacementMachine.played
    run_state_machine_as_test(PlacementMachine, settings=rules)
    assert PlacementMachine.played - before >= examples


@pytest.mark.timeout(600)
def test_every_placement_is_right_whatever_happens() -> None:
    play(EXAMPLES)


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_every_placement_is_right_whatever_happens_all_night() -> None:
    play(NIGHTLY_EXAMPLES)


class BusyFleet:
    """Workers that could all run everything and are busy with something else, so that all that comes has to wait."""

    def __init__(self, workers: int) -> None:
        self.core = RouterCore(Policy(), Graces(), FakeClock(), Random(7), "router-1")
        self.links: dict[str, Link] = {}
        for n in range(workers):
            self._comes(a_worker(f"w{n}", queues={"default": 1 + n % 3}, weight=1 + n % 2))
        for n in range(sum(1 + n % 3 for n in range(workers))):
            self.submit(a_run(f"before-{n}", tenant="before"))
        self.started()

    def submit(self, run: Run) -> None:
        self.core.attempts.open(run.id, run, Stage.WAITING)
        self.core.matcher.submit(run)

    def end(self, which: int) -> None:
        """Something that runs comes to its end."""
        leases = list(self.core.leases)
        lease = leases[which % len(leases)]
        self.core.workers.report(self.links[lease.worker.worker_id], lease.id, Reported(0, "report"))
        self.core.planners.acknowledge(lease.id, 0, report=True)

    def started(self) -> list[Run]:
        """What was assigned since the last time."""
        runs = []
        for link in self.links.values():
            runs += [frame.run for frame in link._frames if isinstance(frame, Assign)]
            link._frames.clear()
        return runs

    def _comes(self, worker: Worker) -> None:
        self.core.hear(WorkerChanged(worker))
        self.links[worker.id] = self.core.workers.attach(worker.instance, ())


@dataclass(slots=True)
class Spread:
    """How far apart a difference went while it was watched."""

    low: int = 0
    high: int = 0

    def note(self, difference: int, *, goes_on: bool) -> None:
        """What it is now; unless that `goes_on`, watching begins anew."""
        if not goes_on:
            self.low = self.high = difference
        self.low, self.high = min(self.low, difference), max(self.high, difference)

    @property
    def width(self) -> int:
        return self.high - self.low


def waiting_runs(tenant: str, count: int, models: Sequence[int]) -> list[Run]:
    return [
        a_run(f"{tenant}-{n}", tenant=tenant, signature=a_signature(model=f"m{models[n % len(models)]}"))
        for n in range(count)
    ]


@settings(deadline=None)
@given(
    workers=st.integers(1, 5),
    models=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), min_size=2, max_size=2),
    ends=st.lists(st.integers(0, 20), max_size=40),
)
def test_of_two_tenants_that_wait_from_the_beginning_neither_is_ever_more_than_one_ahead(
    workers: int, models: list[list[int]], ends: list[int]
) -> None:
    """Whoever has had less is next, and each start adds one to what it had: so what both had differs by one at most.

    That holds however many signatures each has, because a tenant's share is one, over all of its lines.
    """
    fleet = BusyFleet(workers)
    for tenant, kinds in zip("ab", models, strict=True):
        for run in waiting_runs(tenant, 50, kinds):
            fleet.submit(run)
    starts: Counter[str] = Counter()
    for which in ends:
        fleet.end(which)
        starts.update(run.tenant for run in fleet.started())
        assert abs(starts["a"] - starts["b"]) <= 1
    assert starts.total() == len(ends)


@settings(deadline=None)
@given(
    comers=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.integers(0, 4)), max_size=30),
    ends=st.lists(st.integers(0, 20), min_size=1, max_size=60),
)
def test_from_whenever_two_tenants_wait_neither_gets_more_than_two_ahead(
    comers: list[tuple[str, int, int]], ends: list[int]
) -> None:
    """A tenant that comes, or comes back, is level with the others or one ahead; from there it is one at most.

    So over any time in which both wait, what they get differs by two at most.
    """
    fleet, tasks = BusyFleet(2), count(1)
    spreads = {pair: Spread() for pair in ("ab", "ac", "bc")}
    starts: Counter[str] = Counter()
    for comer, which in zip_longest(comers, ends, fillvalue=None):
        tenant, runs, model = comer or ("a", 0, 0)
        for _ in range(runs):
            fleet.submit(a_run(f"t{next(tasks)}", tenant=tenant, signature=a_signature(model=f"m{model}")))
        waiting = {tenant for tenant in "abc" if fleet.core.lines.competes("default", tenant)}
        if which is not None and len(fleet.core.leases):
            fleet.end(which)
        starts.update(run.tenant for run in fleet.started())
        for pair, spread in spreads.items():
            spread.note(starts[pair[0]] - starts[pair[1]], goes_on=waiting.issuperset(pair))
            assert spread.width <= 2


@settings(deadline=None)
@given(weights=st.tuples(st.sampled_from([0.5, 1.0, 2.0, 3.0]), st.sampled_from([0.5, 1.0, 2.0, 3.0])))
def test_shares_are_as_the_weights_say(weights: tuple[float, float]) -> None:
    """What each had, over its weight, differs by no more than one run of whichever weighs less."""
    fleet = BusyFleet(3)
    policy = QueuePolicy(tenant_weights=dict(zip("ab", weights, strict=True)))
    fleet.core.hear(RoutingChanged(Wishes(queues={"default": policy})))
    for tenant in "ab":
        for run in waiting_runs(tenant, 100, [0, 1]):
            fleet.submit(run)
    starts: Counter[str] = Counter()
    for which in range(60):
        fleet.end(which)
        starts.update(run.tenant for run in fleet.started())
        had_a, had_b = starts["a"] / weights[0], starts["b"] / weights[1]
        assert abs(had_a - had_b) <= 1 / min(weights) + 1e-9
