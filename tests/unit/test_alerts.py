"""Alerts fire in what they describe: a Registry and a Router live through it, are scraped, and the rules evaluated."""

import inspect
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from devteam_planner.domain import FailureReason, GivenBack
from devteam_planner.token_log import TokenLog
from devteam_registry import meters
from devteam_registry.domain import Beat
from devteam_registry.health import HealthPolicy
from devteam_registry.links import LinkReport
from devteam_registry.service import Registry
from devteam_registry.store.memory import MemoryRoutingStore
from devteam_router.graces import Graces
from devteam_router.meters import Meters
from ruamel.yaml import YAML

from devteam.mesh.metrics.readings import readable
from devteam.mesh.tasks import background
from tests.fakes.clock import FakeClock
from tests.fakes.prometheus import Alert, Prometheus
from tests.fakes.router_bench import RouterBench, WorkerEnd
from tests.fakes.router_samples import a_run, a_signature, a_worker
from tests.fakes.scrape import metered, parsed, scraped
from tests.fakes.worker_store import FakeWorkerStore
from tests.unit.registry.fleet import down, up
from tests.unit.registry.samples import spec

RULES: dict[str, Any] = YAML(typ="safe").load(Path(__file__).parents[2] / "deploy" / "prometheus" / "rules.yaml")
SCRAPES = 15
BEAT = 30


class Mesh:
    """Workers that beat, but for the `silent` ones; scraped as one page, and the rules evaluated `every` so often."""

    def __init__(self, clock: FakeClock, registry: Registry, bench: RouterBench, every: int) -> None:
        self.clock = clock
        self.registry = registry
        self.bench = bench
        self.ends: dict[str, WorkerEnd] = {}
        self.tokens: dict[str, str] = {}
        self.silent: set[str] = set()
        self.prometheus = Prometheus()
        # When each alert fired first, in seconds since the beginning; those that fire now, with the queues they name.
        self.fired: dict[str, int] = {}
        self.firing: dict[str, set[str]] = {}
        self._watch = registry.watch("router-1")
        groups = [group for group in RULES["groups"] if group["name"] in {"devteam-queues", "devteam-fleet"}]
        self._alerts = [Alert(rule) for group in groups for rule in group["rules"]]
        self._every = every
        self._seconds = 0

    async def open(self, workers: int) -> None:
        """A Router watches, and so many workers register and attach."""
        await anext(self._watch)
        for number in range(workers):
            worker_id = f"w{number}"
            self.tokens[worker_id] = (await self.registry.register(spec(worker_id), "i1")).session_token
            self.attach(worker_id)

    def attach(self, worker_id: str) -> None:
        self.ends[worker_id] = self.bench.worker(a_worker(worker_id))
        self.registry.report_links(LinkReport("router-1", (up(worker_id),)))

    def break_stream(self, worker_id: str) -> None:
        self.ends[worker_id].hang_up()
        self.registry.report_links(LinkReport("router-1", (down(worker_id),)))

    async def router_leaves(self) -> None:
        await self._watch.aclose()

    async def passes(self, seconds: int) -> None:
        """Time passes, second by second."""
        for _ in range(seconds):
            self.clock.advance(1)
            await self.bench.settled()
            self._seconds += 1
            self._beat()
            if not self._seconds % SCRAPES:
                self.prometheus.scraped("mesh", await scraped())
            if not self._seconds % self._every:
                self._evaluate()

    def _beat(self) -> None:
        # Not all at the same moment.
        for number, (worker_id, token) in enumerate(self.tokens.items()):
            if worker_id not in self.silent and not (self._seconds + 3 * number) % BEAT:
                self.registry.beat(Beat(worker_id, "i1", token))

    def _evaluate(self) -> None:
        self.firing = {}
        for alert in self._alerts:
            if found := alert.evaluated(self.prometheus, self._seconds):
                self.firing[alert.name] = {dict(labels).get("queue", "") for labels in found}
                self.fired.setdefault(alert.name, self._seconds)


@asynccontextmanager
async def a_mesh(clock: FakeClock, *, workers: int, every: int = 15) -> AsyncIterator[Mesh]:
    registry = Registry(FakeWorkerStore(), MemoryRoutingStore(), clock, HealthPolicy())
    bench = RouterBench(clock)
    await registry.open()
    async with metered(), background(registry.run):
        with readable(partial(meters.read, registry)), readable(Meters(bench.core, clock).read):
            mesh = Mesh(clock, registry, bench, every)
            await mesh.open(workers)
            yield mesh
            await mesh.router_leaves()
            await bench.wind_down()


async def test_of_a_mesh_that_is_well_nothing_is_said(clock: FakeClock) -> None:
    async with a_mesh(clock, workers=4) as mesh:
        await mesh.bench.dispatch(a_run("t1"))
        await mesh.passes(1200)
    assert mesh.fired == {}


@pytest.mark.parametrize("every", [15, 60])
async def test_a_third_of_the_fleet_falls_silent_together(clock: FakeClock, every: int) -> None:
    """Silent for 60 s they are UNHEALTHY, for 120 s LOST, for 300 s off the list."""
    async with a_mesh(clock, workers=9, every=every) as mesh:
        await mesh.passes(60)
        mesh.silent = {"w0", "w1", "w2"}
        await mesh.passes(60)
        assert mesh.firing == {}
        await mesh.passes(120)
        assert mesh.firing.keys() == {"DevTeamWorkersSilent", "DevTeamWorkersLost"}
        assert mesh.fired["DevTeamWorkersSilent"] <= 60 + 120 + every
        assert mesh.fired["DevTeamWorkersLost"] <= 60 + 180 + every
        await mesh.passes(180)
        assert mesh.firing == {}


async def test_one_worker_that_is_switched_off_wakes_nobody(clock: FakeClock) -> None:
    """Not even where it is a third of all."""
    async with a_mesh(clock, workers=3) as mesh:
        mesh.silent = {"w0"}
        await mesh.passes(360)
        assert mesh.fired.keys() == {"DevTeamWorkersLost"}


async def test_most_of_the_fleet_falls_silent_and_nobody_dies(clock: FakeClock) -> None:
    async with a_mesh(clock, workers=4) as mesh:
        mesh.silent = {"w0", "w1", "w2"}
        await mesh.passes(900)
        assert mesh.firing.keys() == {"DevTeamWorkersSilent", "DevTeamDeathsFrozen"}
        assert max(mesh.fired.values()) <= 150
        mesh.silent = set()
        await mesh.passes(60)
        assert mesh.firing == {}


async def test_a_proxy_cuts_every_stream_while_beats_arrive(clock: FakeClock) -> None:
    async with a_mesh(clock, workers=4) as mesh:
        await mesh.passes(60)
        for worker_id in mesh.tokens:
            mesh.break_stream(worker_id)
        await mesh.passes(540)
        assert mesh.firing == {}
        await mesh.passes(120)
        assert mesh.firing.keys() == {"DevTeamStreamsBreak"}
        for worker_id in mesh.tokens:
            mesh.attach(worker_id)
        await mesh.passes(15)
        assert mesh.firing == {}


async def test_the_streams_to_one_of_two_routers_do_not_stay(clock: FakeClock) -> None:
    async with a_mesh(clock, workers=4) as mesh:
        mesh.prometheus.scraped("router-2", parsed("devteam_router_links 1\n"))
        await mesh.passes(660)
        assert mesh.fired.keys() == {"DevTeamStreamsBreak"}


async def test_no_router_is_left(clock: FakeClock) -> None:
    async with a_mesh(clock, workers=2) as mesh:
        await mesh.router_leaves()
        await mesh.passes(90)
        assert mesh.firing.keys() == {"DevTeamNoRouter"}


async def test_tasks_wait_where_nobody_serves(clock: FakeClock) -> None:
    """Where somebody did, who has left, and under a name that is misspelt."""
    async with a_mesh(clock, workers=1) as mesh:
        await mesh.passes(15)
        mesh.break_stream("w0")
        await mesh.bench.dispatch(a_run("t1"))
        await mesh.bench.dispatch(a_run("t2", signature=a_signature("defualt")))
        await mesh.passes(330)
        assert mesh.firing == {"DevTeamQueueHasNoWorker": {"default", "defualt"}}
        mesh.attach("w0")
        await mesh.passes(15)
        assert mesh.firing == {"DevTeamQueueHasNoWorker": {"defualt"}}


async def test_a_queue_wants_more_than_its_workers_have(clock: FakeClock) -> None:
    """Two slots, and five tasks that want them."""
    async with a_mesh(clock, workers=1) as mesh:
        for number in range(5):
            await mesh.bench.dispatch(a_run(f"t{number}"))
        await mesh.passes(930)
        assert mesh.firing.keys() == {"DevTeamTaskWaitsLong"}
        await mesh.passes(900)
        assert mesh.firing.keys() == {"DevTeamTaskWaitsLong", "DevTeamQueueOutgrowsItsWorkers"}


def rule(name: str) -> dict[str, Any]:
    [found] = [rule for group in RULES["groups"] for rule in group["rules"] if rule["alert"] == name]
    return dict(found)


def fires(alert: Alert, page: str) -> bool:
    """Whether it fires when a page has been like that for an hour."""
    prometheus = Prometheus()
    prometheus.scraped("mesh", parsed(page))
    alert.evaluated(prometheus, 0)
    return bool(alert.evaluated(prometheus, 3600))


@pytest.mark.parametrize(("held", "expected"), [(1.0, True), (0.1, False)])
def test_a_planner_holds_all_the_tokens_that_it_may(held: float, expected: bool) -> None:
    """Beyond that it takes no more."""
    most = inspect.signature(TokenLog).parameters["max_pending_bytes"].default
    page = f'devteam_stream_backlog_bytes{{at="planner"}} {held * most}\n'
    assert fires(Alert(rule("DevTeamTokensPileUp")), page) is expected


@pytest.mark.parametrize(("runs", "expected"), [(4, False), (50, True)])
def test_a_planner_takes_nothing_of_what_so_many_runs_say(runs: int, expected: bool) -> None:
    page = f'devteam_stream_backlog_bytes{{at="router"}} {runs * Graces().window_bytes}\n'
    assert fires(Alert(rule("DevTeamTokensPileUp")), page) is expected


@pytest.mark.parametrize(
    ("outcome", "reason", "expected"),
    [
        ("failed", FailureReason.CREDENTIALS, True),
        ("failed", FailureReason.RATE_LIMITED, True),
        ("failed", FailureReason.PROVIDER_UNAVAILABLE, True),
        ("failed", FailureReason.PROVIDER_CONNECTION, True),
        # What becomes of most attempts that a provider answers with 429.
        ("handed_back", GivenBack.RATE_LIMITED, True),
        ("handed_back", GivenBack.DRAINING, False),
        ("failed", FailureReason.TIMEOUT, False),
    ],
)
def test_attempts_end_by_their_provider(outcome: str, reason: str, expected: bool) -> None:
    """Of its counter only which series are meant: one a second of them."""
    found = rule("DevTeamProviderFails")
    found["expr"] = re.sub(r"rate\(([^()]*)\[10m\]\)", r"\1", found["expr"])
    page = f'devteam_attempts_total{{outcome="{outcome}",reason="{reason}"}} 1\n'
    assert fires(Alert(found), page) is expected
