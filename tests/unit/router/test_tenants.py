"""Workers that run one tenant's runs only, beside those that run everyone's."""

import pytest
from devteam_router.dispatch import Waits
from devteam_router.domain import AttemptId, StrategyName, WaitReason
from devteam_router.frames import Assign, Cancel, CancelReason
from devteam_router.ports import FleetSnapshot, RoutingChanged, WorkerRemoved
from devteam_router.routing import Policy, Wishes
from structlog.testing import capture_logs

from devteam.mesh.errors import NotFound
from tests.fakes.clock import FakeClock
from tests.fakes.router_bench import RouterBench, in_hand
from tests.fakes.router_samples import a_run, a_signature, a_worker

ACMES = a_worker("w-acme", queues={"default": 1}, tenant="acme")
SHARED = a_worker("w-shared", queues={"default": 1})


class TestPlacement:
    @pytest.mark.parametrize("strategy", StrategyName)
    async def test_a_tenants_worker_runs_nothing_of_others(self, bench: RouterBench, strategy: StrategyName) -> None:
        bench.worker(ACMES)
        signature = a_signature(strategy=strategy)
        await bench.dispatch(a_run("t1", signature=signature, tenant="globex"))
        await bench.dispatch(a_run("t2", signature=signature, tenant="acme"))
        assert bench.held == ["t2/1 on w-acme"]
        bench.worker(SHARED)
        assert bench.held == ["t1/1 on w-shared", "t2/1 on w-acme"]

    async def test_a_tenant_with_workers_of_its_own_uses_everyones_too(self, bench: RouterBench) -> None:
        for worker in (ACMES, SHARED):
            bench.worker(worker)
        for n in range(2):
            await bench.dispatch(a_run(f"t{n}", tenant="acme"))
        assert {held.split()[-1] for held in bench.held} == {"w-acme", "w-shared"}

    async def test_a_slot_that_comes_free_goes_to_its_tenant(self, bench: RouterBench) -> None:
        """However long others wait."""
        worker = bench.worker(ACMES)
        await bench.dispatch(a_run("running", tenant="acme"))
        await bench.dispatch(a_run("theirs", tenant="globex", priority=1))
        await bench.dispatch(a_run("mine", tenant="acme", priority=5))
        worker.heard()
        worker.report("running")
        (assigned,) = worker.heard()
        assert isinstance(assigned, Assign)
        assert assigned.run.id == AttemptId("mine", 1)

    async def test_what_waited_before_a_tenant_had_a_worker_goes_to_it(self, bench: RouterBench) -> None:
        """In the order in which it came, whatever it was filed under."""
        for n, tenant in enumerate(("globex", "acme", "acme")):
            await bench.dispatch(a_run(f"t{n}", tenant=tenant))
        worker = bench.worker(ACMES)
        assert bench.held == ["t1/1 on w-acme"]
        worker.report("t1")
        assert bench.held == ["t2/1 on w-acme"]

    async def test_another_tenants_worker_is_as_if_it_were_not_there(self, bench: RouterBench) -> None:
        """Who waits hears of no worker that could not be its own."""
        bench.worker(ACMES)
        theirs = await bench.dispatch(a_run("t1", tenant="globex"))
        (waits,) = theirs.events
        assert isinstance(waits, Waits)
        assert waits.wait.reason is WaitReason.NO_WORKER_IN_QUEUE
        assert "acme" not in waits.wait.detail

    async def test_a_worker_that_serves_everyone_now_is_given_what_waits(self, bench: RouterBench) -> None:
        bench.worker(ACMES)
        await bench.dispatch(a_run("t1", tenant="globex"))
        assert bench.held == []
        bench.register(a_worker("w-acme", queues={"default": 1}))
        assert bench.held == ["t1/1 on w-acme"]

    async def test_runs_differ_by_tenant_only_where_workers_do(self, bench: RouterBench) -> None:
        """So that what was found for one holds for all who have no workers of their own."""
        for tenant in ("acme", "globex", "initech"):
            await bench.dispatch(a_run(f"t-{tenant}", tenant=tenant))
        assert {line.signature for line in bench.core.lines} == {a_signature()}
        bench.register(ACMES)
        assert {(line.tenant, line.signature.tenant) for line in bench.core.lines} == {
            ("acme", "acme"),
            ("globex", ""),
            ("initech", ""),
        }

    async def test_runs_of_a_tenant_are_refiled_with_new_preferences(self, clock: FakeClock) -> None:
        """They are still its own then."""
        bench = RouterBench(clock, policy=Policy(preferences={"haiku": ("a",)}))
        bench.worker(a_worker("w1", queues={"b": 1}, tenant="acme"))
        await bench.dispatch(a_run(signature=a_signature("a", preferred=True), tenant="acme"))
        bench.core.hear(RoutingChanged(Wishes(preferences={"haiku": ("b",)})))
        assert bench.held == ["t1/1 on w1"]
        assert await bench.wind_down() == []

    async def test_demand_counts_what_waits_for_a_tenants_workers(self, bench: RouterBench) -> None:
        worker = bench.worker(ACMES)
        for n in range(3):
            await bench.dispatch(a_run(f"t{n}", tenant="acme"))
        assert bench.core.demand.of("default") == 3
        worker.report("t0")
        bench.acknowledge("t0", 0, report=True)
        assert bench.core.demand.of("default") == 2

    async def test_a_tenants_worker_speaks_for_no_other_account(self, bench: RouterBench) -> None:
        """What its provider refuses may be another tenant's to ask for."""
        worker = bench.worker(ACMES)
        await bench.dispatch(a_run("t1", tenant="acme"))
        worker.hand_back("t1", 30.0)
        assert bench.core.gates.throttles() == []
        shared = bench.worker(SHARED)
        await bench.dispatch(a_run("t2", tenant="globex"))
        shared.hand_back("t2", 30.0)
        assert [throttle.model for throttle in bench.core.gates.throttles()] == ["haiku"]


class TestExplain:
    async def test_who_sees_everything_hears_whose_a_worker_is(self, bench: RouterBench) -> None:
        bench.worker(ACMES)
        await bench.dispatch(a_run("t1", tenant="globex"))
        (candidate,) = bench.core.explainer.task("t1").candidates
        assert candidate.rejected_because == "serves only tenant acme"

    async def test_a_tenant_does_not_hear_of_others_workers(self, bench: RouterBench) -> None:
        for worker in (ACMES, SHARED, a_worker("w-globex", queues={"default": 1}, tenant="globex")):
            bench.worker(worker)
        found = bench.core.explainer.dry_run(a_signature(), 0.0, "acme")
        assert {candidate.worker.id for candidate in found.seen_by("acme").candidates} == {"w-acme", "w-shared"}
        assert {found.worker.id for found in found.candidates if found.rejected_because} == {"w-globex"}

    @pytest.mark.parametrize("ended", [False, True])
    async def test_another_tenants_task_is_not_explained(self, bench: RouterBench, *, ended: bool) -> None:
        """Neither while it runs, nor as long as it is remembered; with the words for what is not there."""
        worker = bench.worker(ACMES)
        await bench.dispatch(a_run("t1", tenant="acme"))
        if ended:
            worker.report("t1")
            bench.acknowledge("t1", 0, report=True)
        assert bench.core.explainer.task("t1", "acme").standing is not None
        with pytest.raises(NotFound) as others:
            bench.core.explainer.task("t1", "globex")
        with pytest.raises(NotFound) as nobodys:
            bench.core.explainer.task("t2", "globex")
        assert str(others.value) == str(nobodys.value).replace("t2", "t1")

    async def test_nor_what_only_a_worker_has_told_of(self, bench: RouterBench) -> None:
        """Whose it is is known once its Planner comes."""
        bench.worker(SHARED, in_hand("t1"))
        with pytest.raises(NotFound):
            bench.core.explainer.task("t1", "acme")


class TestClaims:
    """A worker that says it has an attempt is believed: only where it could have been given it."""

    async def test_nobody_comes_forward_with_what_waits_for_another_tenant(self, bench: RouterBench) -> None:
        waiting = await bench.dispatch(a_run("t1", tenant="globex"))
        worker = bench.worker(ACMES, in_hand("t1"))
        assert worker.heard() == [Cancel(AttemptId("t1", 1), CancelReason.FENCED)]
        assert (bench.held, waiting.story) == ([], ["waits: no_worker_in_queue"])

    async def test_nor_fences_it_by_a_later_attempt(self, bench: RouterBench) -> None:
        shared = bench.worker(SHARED)
        running = await bench.dispatch(a_run("t1", tenant="globex"))
        shared.accept("t1")
        shared.heard()
        worker = bench.worker(ACMES, in_hand("t1", attempt=9))
        worker.offer(in_hand("t1", attempt=10))
        await bench.settled()
        assert worker.heard() == [
            Cancel(AttemptId("t1", 9), CancelReason.FENCED),
            Cancel(AttemptId("t1", 10), CancelReason.FENCED),
        ]
        assert (shared.heard(), bench.held, running.error) == ([], ["t1/1 on w-shared"], None)

    @pytest.mark.parametrize("claimed", [1, 9])
    async def test_nor_with_what_its_planner_has_not_asked_for_yet(self, bench: RouterBench, claimed: int) -> None:
        worker = bench.worker(ACMES, in_hand("t1", attempt=claimed))
        worker.heard()
        planner = await bench.dispatch(a_run("t1", tenant="globex"))
        assert worker.heard() == [Cancel(AttemptId("t1", claimed), CancelReason.FENCED)]
        assert planner.story == ["waits: no_worker_in_queue"]
        assert bench.held == []

    @pytest.mark.parametrize("claimed", [1, 2])
    async def test_nor_takes_another_tenants_worker_what_that_one_has(self, bench: RouterBench, claimed: int) -> None:
        """Neither of their Planners has asked for it yet since this Router began: whose it is, the worker tells."""
        acmes = bench.worker(ACMES, in_hand("t1"))
        acmes.heard()
        stranger = bench.worker(a_worker("w-globex", tenant="globex"), in_hand("t1", attempt=claimed))
        await bench.settled()
        assert Cancel(AttemptId("t1", claimed), CancelReason.FENCED) in stranger.heard()
        assert (acmes.heard(), bench.held) == ([], ["t1/1 on w-acme"])

    async def test_its_own_tenants_runs_are_taken_up(self, bench: RouterBench) -> None:
        bench.worker(ACMES, in_hand("t1"))
        planner = await bench.dispatch(a_run("t1", tenant="acme"))
        assert planner.story == ["adopted on w-acme"]

    async def test_a_worker_of_another_tenant_than_before_keeps_what_it_was_given(self, bench: RouterBench) -> None:
        """As the same instance: its registration as another one gives its runs up, as ever."""
        worker = bench.worker(ACMES)
        await bench.dispatch(a_run("t1", tenant="acme"))
        worker.accept("t1")
        worker.hang_up()
        bench.register(a_worker("w-acme", queues={"default": 1}, tenant="globex"))
        bench.attach(ACMES.instance, in_hand("t1"))
        assert bench.held == ["t1/1 on w-acme"]

    async def test_words_about_others_attempts_are_told_to_people_once(self, bench: RouterBench) -> None:
        bench.worker(SHARED)
        await bench.dispatch(a_run("t1"))
        stranger = bench.worker(a_worker("w2"))
        with capture_logs() as logs:
            stranger.accept("t1")
            stranger.reject("t1")
            stranger.report("t1")
            stranger.say("t1", 1, 1)
            stranger.accept("nobody-knows-it")
        told = [line for line in logs if line.get("reason") == "NOT_ASSIGNED"]
        assert [(line["event"], line["worker_id"], line["task_id"]) for line in told] == [
            ("word about an attempt that is not the worker's refused", "w2", "t1")
        ]
        assert bench.core.workers.refused_words == 5

    async def test_late_words_are_no_reason_to_tell(self, bench: RouterBench) -> None:
        worker = bench.worker(SHARED)
        await bench.dispatch(a_run("t1", attempt=1))
        await bench.dispatch(a_run("t1", attempt=2))
        with capture_logs() as logs:
            worker.accept("t1", attempt=1)
            worker.report("t1", attempt=1)
        assert [line for line in logs if line.get("reason") == "NOT_ASSIGNED"] == []


async def test_a_worker_that_changes_its_tenant_is_of_another_kind(bench: RouterBench) -> None:
    bench.worker(ACMES)
    bench.register(a_worker("w-acme", queues={"default": 1}, tenant="globex"))
    await bench.dispatch(a_run("t1", tenant="acme"))
    await bench.dispatch(a_run("t2", tenant="globex"))
    assert bench.held == ["t2/1 on w-acme"]
    bench.core.hear(WorkerRemoved("w-acme"))
    bench.core.hear(FleetSnapshot((ACMES,), complete=True, first=True))
    bench.attach(ACMES.instance)
    assert "t1/1 on w-acme" in bench.held


async def test_queues_of_other_tenants_are_not_there(bench: RouterBench) -> None:
    """Unless somebody serves them whom everyone may use, or a run of one's own waits in them."""
    for name, tenant in (("a", "acme"), ("b", "globex"), ("c", "")):
        bench.worker(a_worker(f"w-{name}", queues={name: 2}, tenant=tenant))
    bench.worker(a_worker("w-d", queues={"c": 5}, tenant="globex"))
    await bench.dispatch(a_run("t1", signature=a_signature("b"), tenant="globex"))
    await bench.dispatch(a_run("t2", signature=a_signature("e"), tenant="globex"))
    await bench.dispatch(a_run("t3", signature=a_signature("f"), tenant="acme"))
    seen = {view.name: (view.workers, view.slots) for view in bench.core.queues.views(0.0, "acme")}
    assert seen == {"a": (1, 2), "c": (1, 2), "f": (0, 0)}
    assert {view.name for view in bench.core.queues.views(0.0)} == {"a", "b", "c", "e", "f"}
