"""Who is on the list, what is wanted of them, and who may say so."""

from datetime import timedelta

import pytest
from devteam_registry.domain import Availability, Beat, Changed, Farewell, LocalModel, PageQuery, Wishes
from devteam_registry.health import WorkerState
from devteam_registry.sessions import digest_of

from devteam.mesh.errors import Aborted, NotFound, PermissionDenied
from tests.unit.registry.fleet import Fleet
from tests.unit.registry.samples import NOON, spec


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


def test_a_beat_answers_with_the_rest_of_a_drain(fleet: Fleet) -> None:
    """Counted on from the moment of the wish."""
    fleet.register("w1")
    drain = Wishes(availability=Availability.DRAINING, drain_until=NOON + timedelta(seconds=90))
    fleet.roster.wish("w1", drain)
    fleet.pass_time(30)
    orders = fleet.roster.beat(Beat("w1", "i1", "token"))
    assert (orders.availability, orders.drain_rest) == (Availability.DRAINING, 60.0)
