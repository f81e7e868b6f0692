from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from devteam_registry.awake import AwakeTime
from devteam_registry.changes import Changes, Feed
from devteam_registry.domain import (
    Availability,
    Beat,
    Changed,
    Farewell,
    HealthPolicy,
    LocalModel,
    PageQuery,
    Removed,
    Wishes,
    WorkerState,
)
from devteam_registry.links import LinkReport, LinkWord
from devteam_registry.roster import Roster
from devteam_registry.sessions import digest_of

from devteam.mesh.errors import Aborted, NotFound, PermissionDenied
from tests.fakes.clock import FakeClock
from tests.unit.registry.samples import NOON, spec, worker


class Fleet:
    """A roster, its clock, and one watcher."""

    def __init__(self, clock: FakeClock, feed: Feed, roster: Roster) -> None:
        self.clock = clock
        self.feed = feed
        self.roster = roster
        self.deregistered: list[str] = []

    def register(self, worker_id: str, instance_id: str = "i1") -> None:
        self.roster.put(self.roster.admitted(spec(worker_id), instance_id, digest_of("token")))

    def beat(self, *worker_ids: str) -> None:
        for worker_id in worker_ids:
            self.roster.beat(Beat(worker_id, "i1", "token"))

    def pass_time(self, seconds: int, *, beating: tuple[str, ...] = ()) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.beat(*beating)
            self.deregistered += self.roster.sweep()

    def report(self, *words: LinkWord, router: str = "router-1", complete: bool = False) -> None:
        self.roster.report_links(LinkReport(router, words, complete))

    def words(self, worker_id: str) -> str:
        return self.roster.get(worker_id).health.words

    def state(self, worker_id: str) -> WorkerState:
        return self.roster.get(worker_id).health.state

    async def seen(self) -> list[tuple[str, str]]:
        """What the watcher was told since last asked: ids, and states or reasons."""
        told: list[tuple[str, str]] = []
        while not self.feed._waiting.empty():
            match await self.feed.next():
                case Changed(view):
                    told.append((view.worker.worker_id, view.health.state.value))
                case Removed(worker_id, _, reason):
                    told.append((worker_id, reason))
        return told


def up(worker_id: str, instance_id: str = "i1") -> LinkWord:
    return LinkWord(worker_id, instance_id, connected=True)


def down(worker_id: str, instance_id: str = "i1", *, running: int = 0, given_up_in: float | None = None) -> LinkWord:
    return LinkWord(worker_id, instance_id, connected=False, running=running, given_up_in=given_up_in)


@pytest.fixture
def fleet(clock: FakeClock) -> Iterator[Fleet]:
    changes = Changes()
    with changes.subscribed() as feed:
        yield Fleet(clock, feed, Roster(HealthPolicy(), clock, AwakeTime(clock, 1.0), changes))


async def test_a_silent_worker_goes_through_all_states_and_leaves(fleet: Fleet) -> None:
    """UNHEALTHY at 60 s, LOST at 120, gone at 300; watchers are told each once."""
    fleet.register("w1")
    fleet.pass_time(59)
    assert fleet.state("w1") is WorkerState.HEALTHY
    fleet.pass_time(1)
    assert fleet.state("w1") is WorkerState.UNHEALTHY
    fleet.pass_time(60)
    assert fleet.state("w1") is WorkerState.LOST
    fleet.pass_time(179)
    assert fleet.deregistered == []
    fleet.pass_time(1)
    assert fleet.deregistered == ["w1"]
    with pytest.raises(NotFound):
        fleet.roster.get("w1")
    assert await fleet.seen() == [("w1", "healthy"), ("w1", "unhealthy"), ("w1", "lost"), ("w1", "no beat for 300 s")]


async def test_a_beat_makes_a_lost_worker_healthy_again(fleet: Fleet) -> None:
    """The same instance may come back until it is deregistered."""
    fleet.register("w1")
    fleet.pass_time(130)
    fleet.beat("w1")
    assert await fleet.seen() == [("w1", "healthy"), ("w1", "unhealthy"), ("w1", "lost"), ("w1", "healthy")]


def test_a_view_says_what_comes_next_and_when(fleet: Fleet) -> None:
    """The moment of the next state is exact, whenever one asks."""
    fleet.register("w1")
    fleet.pass_time(71)
    fleet.clock.advance(0.5)
    view = fleet.roster.get("w1")
    assert view.health.reason == "no beat for 71 s"
    assert (view.health.next_state, view.next_state_at) == (WorkerState.LOST, NOON + timedelta(seconds=120))
    assert view.uptime == pytest.approx(71.5)
    fleet.beat("w1")
    view = fleet.roster.get("w1")
    assert (view.health.next_state, view.next_state_at) == (WorkerState.UNHEALTHY, NOON + timedelta(seconds=131.5))


def test_a_jump_of_the_wall_clock_kills_nobody(fleet: Fleet) -> None:
    """Liveness is monotonic; uptime, which is for display, never turns negative."""
    fleet.register("w1")
    fleet.clock.set_wall(NOON - timedelta(days=400))
    fleet.pass_time(1)
    assert (fleet.state("w1"), fleet.roster.get("w1").uptime) == (WorkerState.HEALTHY, 0.0)


def test_a_stall_of_the_registry_kills_nobody(fleet: Fleet) -> None:
    """70 s in which the loop stood still are not silence, even before the sweeper has noticed."""
    fleet.register("w1")
    fleet.pass_time(20)
    fleet.clock.advance(70)
    assert fleet.state("w1") is WorkerState.HEALTHY
    fleet.deregistered += fleet.roster.sweep()
    fleet.pass_time(35)
    assert fleet.state("w1") is WorkerState.HEALTHY
    fleet.pass_time(10)
    assert fleet.state("w1") is WorkerState.UNHEALTHY


async def test_a_beat_that_changes_nothing_visible_is_not_published(fleet: Fleet) -> None:
    """Watchers hear of state, availability and local models, not of every beat."""
    fleet.register("w1")
    assert await fleet.seen() == [("w1", "healthy")]
    fleet.roster.beat(Beat("w1", "i1", "token", active_tasks=3))
    assert await fleet.seen() == []
    fleet.roster.beat(Beat("w1", "i1", "token", availability=Availability.DRAINING))
    fleet.roster.beat(Beat("w1", "i1", "token", availability=Availability.DRAINING, local_models=(LocalModel("a"),)))
    fleet.roster.beat(Beat("w1", "i1", "token", availability=Availability.DRAINING))
    assert await fleet.seen() == [("w1", "healthy"), ("w1", "healthy")]
    now = fleet.roster.get("w1").worker
    assert (now.active_tasks, now.availability, now.spec.local_models) == (0, Availability.DRAINING, (LocalModel("a"),))


def test_a_beat_answers_with_what_operators_want(fleet: Fleet) -> None:
    """The operator's availability and the concurrency to run at; not an echo of the worker's own wish."""
    fleet.register("w1")
    orders = fleet.roster.beat(Beat("w1", "i1", "token", availability=Availability.DRAINING))
    assert (orders.state, orders.availability, orders.concurrency) == (WorkerState.HEALTHY, Availability.OPEN, 2)
    assert orders.heartbeat_interval == 30
    fleet.roster.wish("w1", Wishes(concurrency=7, availability=Availability.CORDONED))
    orders = fleet.roster.beat(Beat("w1", "i1", "token"))
    assert (orders.availability, orders.concurrency) == (Availability.CORDONED, 7)


def test_beats_are_refused_by_who_sends_them(fleet: Fleet) -> None:
    """Unknown worker, older instance and wrong token each have an answer of their own."""
    fleet.register("w1")
    with pytest.raises(NotFound) as unknown:
        fleet.roster.beat(Beat("w2", "i1", "token"))
    with pytest.raises(Aborted) as superseded:
        fleet.roster.beat(Beat("w1", "i0", "token"))
    with pytest.raises(PermissionDenied) as stranger:
        fleet.roster.beat(Beat("w1", "i1", "guess"))
    assert unknown.value.reason == "WORKER_NOT_REGISTERED"
    assert superseded.value.reason == "INSTANCE_SUPERSEDED"
    assert stranger.value.reason == "SESSION_INVALID"


async def test_a_new_instance_supersedes_the_old_one_at_once(fleet: Fleet) -> None:
    """Watchers see the new instance in the change; the old one's beats are refused."""
    fleet.register("w1", "i1")
    fleet.register("w1", "i2")
    await fleet.feed.next()
    change = await fleet.feed.next()
    assert isinstance(change, Changed)
    assert change.view.worker.instance_id == "i2"
    with pytest.raises(Aborted):
        fleet.beat("w1")


def test_the_same_instance_keeps_its_age_and_wishes(fleet: Fleet) -> None:
    """Registering again is no restart."""
    fleet.register("w1")
    fleet.roster.beat(Beat("w1", "i1", "token", availability=Availability.DRAINING))
    fleet.roster.wish("w1", Wishes(availability=Availability.DRAINING))
    fleet.pass_time(40)
    fleet.register("w1")
    now = fleet.roster.get("w1").worker
    assert now.registered_at == NOON
    assert now.last_heartbeat_at == NOON + timedelta(seconds=40)
    assert (now.own_availability, now.wishes.availability) == (Availability.DRAINING, Availability.DRAINING)


@pytest.mark.parametrize(
    ("wished", "kept"),
    [(Availability.DRAINING, Availability.OPEN), (Availability.CORDONED, Availability.CORDONED)],
)
def test_a_new_instance_has_drained_but_stays_cordoned(fleet: Fleet, wished: Availability, kept: Availability) -> None:
    """A restart fulfils a drain, the worker's and the operator's; a cordon and other wishes stay."""
    fleet.register("w1", "i1")
    fleet.roster.beat(Beat("w1", "i1", "token", availability=Availability.DRAINING))
    fleet.roster.wish("w1", Wishes(concurrency=3, availability=wished))
    fleet.register("w1", "i2")
    now = fleet.roster.get("w1").worker
    assert (now.own_availability, now.wishes) == (Availability.OPEN, Wishes(concurrency=3, availability=kept))


def test_wishes_outlive_a_worker_that_left(fleet: Fleet) -> None:
    """A cordoned worker that was deregistered comes back cordoned, as a new registration."""
    fleet.register("w1")
    fleet.roster.wish("w1", Wishes(availability=Availability.CORDONED))
    fleet.pass_time(300)
    assert fleet.roster.views() == []
    remembered = fleet.roster.remembered("w1")
    assert remembered is not None
    assert remembered.departed
    fleet.register("w1", "i1")
    now = fleet.roster.get("w1").worker
    assert (now.availability, now.departed) == (Availability.CORDONED, False)
    assert now.registered_at == NOON + timedelta(seconds=300)


def test_remembered_workers_begin_with_a_fresh_grace(clock: FakeClock) -> None:
    """After a restart everyone is healthy, under the same session; the departed stay away."""
    roster = Roster(HealthPolicy(), clock, AwakeTime(clock, 1.0), Changes())
    roster.load(
        [replace(worker("w1"), last_heartbeat_at=NOON - timedelta(days=1)), replace(worker("w2"), departed=True)]
    )
    assert [view.worker.worker_id for view in roster.views()] == ["w1"]
    assert roster.get("w1").health.state is WorkerState.HEALTHY
    assert roster.beat(Beat("w1", "i1", "token")).state is WorkerState.HEALTHY


def test_pages_follow_the_order_of_ids_and_the_filters(fleet: Fleet) -> None:
    """Ids in order, only the queue and the state that were asked for, and whether there is more."""
    for worker_id in ("c", "a", "d", "b"):
        fleet.register(worker_id)
    fleet.roster.put(fleet.roster.admitted(spec("e", queues=("gpu-queue",)), "i1", digest_of("token")))
    fleet.pass_time(60, beating=("a", "b", "c"))

    def ids(query: PageQuery) -> tuple[list[str], bool]:
        page = fleet.roster.page(query)
        return [view.worker.worker_id for view in page.views], page.more

    assert ids(PageQuery("", 2)) == (["a", "b"], True)
    assert ids(PageQuery("b", 3)) == (["c", "d", "e"], False)
    assert ids(PageQuery("", 9, queue="gpu-queue")) == (["e"], False)
    assert ids(PageQuery("", 2, state=WorkerState.HEALTHY)) == (["a", "b"], True)
    assert ids(PageQuery("", 2, queue="default", state=WorkerState.UNHEALTHY)) == (["d"], False)


def test_who_may_take_a_worker_off_the_list(fleet: Fleet) -> None:
    """The worker with its token, an operator without one; never an older instance or a stranger."""
    fleet.register("w1")
    assert fleet.roster.leaver(Farewell("w1", "i1", "token")).worker_id == "w1"
    assert fleet.roster.leaver(Farewell("w1", "i1")).worker_id == "w1"
    assert fleet.roster.leaver(Farewell("w1")).worker_id == "w1"
    for farewell in (Farewell("w1", "i0", "token"), Farewell("w1", "i0")):
        with pytest.raises(Aborted):
            fleet.roster.leaver(farewell)
    with pytest.raises(PermissionDenied):
        fleet.roster.leaver(Farewell("w1", "i1", "guess"))
    with pytest.raises(NotFound):
        fleet.roster.leaver(Farewell("w2"))


async def test_nobody_dies_while_most_of_the_fleet_is_silent(fleet: Fleet) -> None:
    """Three of four silent together: UNHEALTHY, but neither LOST nor deregistered, however long."""
    for worker_id in ("a", "b", "c", "d"):
        fleet.register(worker_id)
    fleet.pass_time(600, beating=("d",))
    reason = "no beat for 600 s; deaths are frozen: 3 of 4 workers fell silent together"
    views = {view.worker.worker_id: view for view in fleet.roster.views()}
    assert [views[name].health.state for name in "abc"] == [WorkerState.UNHEALTHY] * 3
    assert (views["a"].health.words, views["a"].next_state_at) == (reason, None)
    assert views["d"].health.state is WorkerState.HEALTHY
    assert fleet.deregistered == []
    assert [told for told in await fleet.seen() if told[1] != "healthy"] == [(name, "unhealthy") for name in "abc"]


def test_workers_that_return_end_a_freeze_and_the_others_get_time_to(fleet: Fleet) -> None:
    """Below the share deaths go on, but nobody dies in the second in which a partition heals."""
    for worker_id in ("a", "b", "c", "d"):
        fleet.register(worker_id)
    fleet.pass_time(600, beating=("d",))
    fleet.beat("a")
    fleet.pass_time(59, beating=("a", "d"))
    assert (fleet.state("b"), fleet.state("c")) == (WorkerState.UNHEALTHY, WorkerState.UNHEALTHY)
    fleet.pass_time(2, beating=("a", "d"))
    assert (fleet.state("b"), fleet.state("c")) == (WorkerState.LOST, WorkerState.LOST)
    fleet.pass_time(180, beating=("a", "d"))
    assert sorted(fleet.deregistered) == ["b", "c"]


def test_a_minority_dies_as_published(fleet: Fleet) -> None:
    """Three of ten silent together are lost at 120 s."""
    names = [f"w{number}" for number in range(10)]
    for worker_id in names:
        fleet.register(worker_id)
    fleet.pass_time(120, beating=tuple(names[3:]))
    assert [fleet.state(name) for name in names[:4]] == [WorkerState.LOST] * 3 + [WorkerState.HEALTHY]


def test_a_freeze_brings_nobody_back_and_takes_nobody_away(fleet: Fleet) -> None:
    """Who was LOST when a freeze began stays LOST, and stays on the list, until it ends."""
    for worker_id in ("a", "b", "c", "d", "e"):
        fleet.register(worker_id)
    fleet.pass_time(150, beating=("b", "c", "d", "e"))
    assert fleet.state("a") is WorkerState.LOST
    fleet.pass_time(400, beating=("b",))
    assert (fleet.state("a"), fleet.state("c")) == (WorkerState.LOST, WorkerState.UNHEALTHY)
    assert fleet.deregistered == []
    fleet.pass_time(1, beating=("b", "c", "d"))
    assert fleet.deregistered == ["a"]
    assert fleet.state("e") is WorkerState.UNHEALTHY


async def test_a_worker_whose_stream_broke_is_suspect_at_once_until_it_is_back(fleet: Fleet) -> None:
    """Watchers are told; the reason counts down, then up."""
    fleet.register("w1")
    fleet.report(up("w1"))
    fleet.report(down("w1", running=3, given_up_in=10.0))
    assert fleet.state("w1") is WorkerState.SUSPECT
    fleet.pass_time(3)
    assert fleet.words("w1") == (
        "its stream to router-1 broke 3 s ago; 3 tasks are given up in 7 s unless it comes back"
    )
    fleet.pass_time(7)
    fleet.report(down("w1"))
    fleet.pass_time(35, beating=("w1",))
    assert fleet.words("w1") == "no stream to a router for 45 s; it still beats"
    fleet.report(up("w1"))
    assert fleet.state("w1") is WorkerState.HEALTHY
    assert await fleet.seen() == [("w1", "healthy"), ("w1", "suspect"), ("w1", "healthy")]


def test_a_view_names_the_router_that_holds_the_stream(fleet: Fleet) -> None:
    """Nobody, before anything was said and after the stream broke."""
    fleet.register("w1")
    routers = [fleet.roster.get("w1").router_id]
    for word in (up("w1"), down("w1", given_up_in=10.0)):
        fleet.report(word)
        routers.append(fleet.roster.get("w1").router_id)
    assert routers == ["", "router-1", ""]


async def test_a_suspect_worker_that_falls_silent_goes_the_way_of_the_silent(fleet: Fleet) -> None:
    """UNHEALTHY and LOST win; a beat makes it suspect again, for its stream is still broken."""
    fleet.register("w1")
    fleet.report(down("w1", given_up_in=10.0))
    fleet.pass_time(120)
    fleet.beat("w1")
    assert [state for _, state in await fleet.seen()] == ["healthy", "suspect", "unhealthy", "lost", "suspect"]


def test_a_broken_stream_of_a_silent_worker_makes_it_no_healthier(fleet: Fleet) -> None:
    """Nor does one that is back: only a beat does."""
    fleet.register("w1")
    fleet.pass_time(70)
    for word in (down("w1", given_up_in=10.0), up("w1")):
        fleet.report(word)
        assert fleet.state("w1") is WorkerState.UNHEALTHY


def test_a_registration_clears_a_suspicion(fleet: Fleet) -> None:
    """Of the same instance or of a new one; a stream that is open stays known."""
    for instance_id in ("i1", "i2"):
        fleet.register("w1")
        fleet.report(down("w1", given_up_in=10.0))
        fleet.register("w1", instance_id)
        assert fleet.state("w1") is WorkerState.HEALTHY
    fleet.report(up("w1", "i2"))
    fleet.register("w1", "i2")
    assert fleet.roster.get("w1").router_id == "router-1"
    fleet.register("w1", "i3")
    assert fleet.roster.get("w1").router_id == ""


async def test_words_about_unknown_workers_and_instances_mean_nothing(fleet: Fleet) -> None:
    """A report may be late."""
    fleet.register("w1", "i2")
    fleet.report(down("w1", "i1", given_up_in=10.0), down("nobody", given_up_in=10.0))
    assert fleet.state("w1") is WorkerState.HEALTHY
    assert await fleet.seen() == [("w1", "healthy")]


def test_a_complete_report_breaks_the_links_that_it_does_not_name(fleet: Fleet) -> None:
    """Those of the same Router; others, and those nobody spoke of, stay as they were."""
    for worker_id in ("a", "b", "c", "d"):
        fleet.register(worker_id)
    fleet.report(up("a"), up("b"))
    fleet.report(up("c"), router="router-2")
    fleet.report(up("a"), complete=True)
    states = {view.worker.worker_id: view.health.state.value for view in fleet.roster.views()}
    assert states == {"a": "healthy", "b": "suspect", "c": "healthy", "d": "healthy"}
    assert fleet.words("b") == "no stream to a router for 0 s; it still beats"


def test_a_worker_that_went_to_another_router_is_not_suspect(fleet: Fleet) -> None:
    """The older Router's "gone", however late, means nothing, nor does what it says of long ago."""
    fleet.register("w1")
    fleet.report(up("w1"), router="router-1")
    fleet.report(up("w1"), router="router-2")
    fleet.report(down("w1", running=3, given_up_in=10.0), router="router-1")
    assert fleet.roster.get("w1").router_id == "router-2"
    fleet.report(down("w1", running=2, given_up_in=10.0), router="router-2")
    fleet.report(down("w1"), router="router-1", complete=True)
    assert fleet.words("w1").startswith("its stream to router-2 broke 0 s ago; 2 tasks")


def test_a_stall_of_the_registry_does_not_count_towards_a_broken_link(fleet: Fleet) -> None:
    """Broken for as long as the Registry was awake to see it."""
    fleet.register("w1")
    fleet.report(down("w1", running=1, given_up_in=10.0))
    fleet.clock.advance(60)
    fleet.roster.sweep()
    assert fleet.words("w1") == "its stream to router-1 broke 3 s ago; 1 task is given up in 7 s unless it comes back"


def test_a_removed_worker_is_said_to_have_been_silent_and_no_more(fleet: Fleet) -> None:
    """Nothing is pending for who is gone."""
    fleet.register("w1")
    fleet.roster.beat(Beat("w1", "i1", "token", active_tasks=2))
    fleet.pass_time(130)
    assert fleet.words("w1") == "no beat for 130 s; its tasks were moved; deregistered in 170 s"


def test_a_frozen_fleet_is_said_on_every_page(fleet: Fleet) -> None:
    """And only while it is frozen."""
    for worker_id in ("a", "b", "c"):
        fleet.register(worker_id)
    query = PageQuery("", 1)
    assert fleet.roster.page(query).notice == ""
    fleet.pass_time(61)
    assert fleet.roster.page(query).notice == "deaths are frozen: 3 of 3 workers fell silent together"
    fleet.beat("a", "b", "c")
    fleet.pass_time(1)
    assert fleet.roster.page(query).notice == ""


def test_a_beat_answers_with_the_rest_of_a_drain(fleet: Fleet) -> None:
    """Counted on from the moment of the wish."""
    fleet.register("w1")
    drain = Wishes(availability=Availability.DRAINING, drain_until=NOON + timedelta(seconds=90))
    fleet.roster.wish("w1", drain)
    fleet.pass_time(30)
    orders = fleet.roster.beat(Beat("w1", "i1", "token"))
    assert (orders.availability, orders.drain_rest) == (Availability.DRAINING, 60.0)
