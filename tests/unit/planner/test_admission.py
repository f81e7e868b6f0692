"""How much may be under way, in a queue and of a tenant."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest
from devteam_planner.admission import Admission, Bounds
from devteam_planner.domain import Plan
from hypothesis import given
from hypothesis import strategies as st

from devteam.mesh.errors import ResourceExhausted, Unavailable
from tests.fakes.clock import FakeClock
from tests.fakes.planner_samples import PLAIN, a_plan, a_task


class Counted:
    """What the store says is open; `counts` is how often it was asked."""

    def __init__(self) -> None:
        self.open: dict[tuple[str, str], int] = {}
        self.counts = 0
        self.down = False
        self.gate: asyncio.Event | None = None

    async def open_tasks(self) -> Mapping[tuple[str, str], int]:
        self.counts += 1
        if self.down:
            raise Unavailable("the database is away")
        found = dict(self.open)
        if self.gate:
            await self.gate.wait()
        return found


def admission(store: Counted, clock: FakeClock, *, queue: int = 10, tenant: int = 10) -> Admission:
    return Admission(store, Bounds(queue, tenant), clock, jitter=lambda: 0.5)


def some(*queues: str, tenant: str = "default") -> Plan:
    """A plan with one step for each of these queues."""
    steps = [
        a_task("p-1", f"s{position}", position=position, spec=replace(PLAIN, queue=queue))
        for position, queue in enumerate(queues)
    ]
    return replace(a_plan(), tasks=tuple(steps), tenant=tenant)


async def refusal(bounds: Admission, plan: Plan) -> ResourceExhausted:
    with pytest.raises(ResourceExhausted) as refused:
        await bounds.admit(plan)
    return refused.value


async def test_a_full_queue_is_named_with_its_bound_and_what_to_do(clock: FakeClock) -> None:
    store = Counted()
    store.open = {("default", "gpu"): 6, ("acme", "gpu"): 4}
    error = await refusal(admission(store, clock, tenant=100), some("gpu"))
    assert error.reason == "QUEUE_FULL"
    assert error.message == (
        "queue 'gpu' holds 10 tasks that have not ended, and 1 more would be more than its 10: wait until some have "
        "ended, or have DEVTEAM_PLANNER_MAX_OPEN_PER_QUEUE raised"
    )
    assert error.metadata == {"subject": "queue:gpu", "limit": "10"}
    assert error.retry_after == 7.5


async def test_a_full_tenant_is_named_and_others_have_room(clock: FakeClock) -> None:
    store = Counted()
    store.open = {("acme", "a"): 5, ("acme", "b"): 5}
    bounds = admission(store, clock)
    error = await refusal(bounds, some("c", tenant="acme"))
    assert (error.reason, error.metadata["subject"]) == ("TENANT_FULL", "tenant:acme")
    await bounds.admit(some("c", tenant="other"))


async def test_tasks_without_a_queue_share_a_line_of_their_own(clock: FakeClock) -> None:
    store = Counted()
    store.open = {("default", ""): 10}
    bounds = admission(store, clock, tenant=100)
    assert "tasks that name no queue" in (await refusal(bounds, some(""))).message
    await bounds.admit(some("gpu"))


async def test_a_plan_counts_all_its_steps_and_comes_in_whole_or_not_at_all(clock: FakeClock) -> None:
    bounds = admission(Counted(), clock, queue=3, tenant=100)
    await bounds.admit(some("a", "a", "b"))
    assert "2 more" in (await refusal(bounds, some("a", "a", "b"))).message
    await bounds.admit(some("a", "b"))


async def test_the_store_is_asked_once_a_second_and_not_more(clock: FakeClock) -> None:
    store = Counted()
    bounds = admission(store, clock, queue=1000, tenant=1000)
    for _ in range(200):
        await bounds.admit(some("a"))
    assert store.counts == 1
    clock.advance(1.0)
    await bounds.admit(some("a"))
    assert store.counts == 2


async def test_a_count_that_takes_long_is_made_less_often(clock: FakeClock) -> None:
    store = Counted()
    store.gate = asyncio.Event()
    bounds = admission(store, clock)
    first = asyncio.create_task(bounds.admit(some("a")))
    await asyncio.sleep(0)
    clock.advance(0.1)
    store.gate.set()
    await first
    clock.advance(4.0)
    await bounds.admit(some("a"))
    assert store.counts == 1
    clock.advance(2.0)
    await bounds.admit(some("a"))
    assert store.counts == 2


async def test_room_comes_back_with_the_next_count(clock: FakeClock) -> None:
    store = Counted()
    store.open = {("default", "a"): 10}
    bounds = admission(store, clock)
    await refusal(bounds, some("a"))
    store.open = {("default", "a"): 9}
    await refusal(bounds, some("a"))
    clock.advance(1.0)
    await bounds.admit(some("a"))


async def test_what_could_not_be_stored_gives_its_room_back(clock: FakeClock) -> None:
    bounds = admission(Counted(), clock, queue=1)
    await bounds.admit(some("a"))
    bounds.settle(some("a"), stored=False)
    await bounds.admit(some("a"))
    bounds.settle(some("a"), stored=True)
    await refusal(bounds, some("a"))


async def test_what_is_being_stored_during_a_count_is_not_forgotten(clock: FakeClock) -> None:
    bounds = admission(Counted(), clock, queue=1)
    await bounds.admit(some("a"))
    clock.advance(1.0)
    await refusal(bounds, some("a"))


async def test_while_the_store_cannot_be_asked_nothing_comes_in(clock: FakeClock) -> None:
    store = Counted()
    store.down = True
    bounds = admission(store, clock)
    with pytest.raises(Unavailable):
        await bounds.admit(some("a"))
    store.down = False
    await bounds.admit(some("a"))


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y"]), st.booleans(), st.booleans()), max_size=40)
)
def test_no_order_of_creates_passes_a_bound(creates: list[tuple[str, str, bool, bool]]) -> None:
    """Each with a queue, a tenant, whether it could be stored, and whether a second passes after it."""

    async def play() -> None:
        clock, store = FakeClock(), Counted()
        bounds = admission(store, clock, queue=5, tenant=7)
        for queue, tenant, stored, pause in creates:
            plan = some(queue, queue, tenant=tenant)
            try:
                await bounds.admit(plan)
            except ResourceExhausted:
                in_queue = sum(number for (_, name), number in store.open.items() if name == queue)
                of_tenant = sum(number for (name, _), number in store.open.items() if name == tenant)
                assert in_queue + 2 > 5 or of_tenant + 2 > 7
            else:
                if stored:
                    store.open[tenant, queue] = store.open.get((tenant, queue), 0) + 2
                bounds.settle(plan, stored=stored)
            clock.advance(float(pause))
        for name in "ab":
            assert sum(number for (_, queue), number in store.open.items() if queue == name) <= 5

    asyncio.run(play())
