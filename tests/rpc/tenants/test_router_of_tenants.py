"""What a Router tells whom, and what it takes from which worker."""

from collections.abc import AsyncIterator

import grpc
import pytest
from devteam_router.ports import RoutersChanged
from structlog.testing import capture_logs

from devteam.mesh.access.caller import Role
from devteam.mesh.channel import TENANT_KEY
from devteam.v1 import router_pb2, run_pb2, worker_pb2
from tests.fakes.callers import CALLERS, Believing, a_key, called
from tests.fakes.clock import FakeClock
from tests.fakes.router_samples import a_worker, token_of
from tests.rpc.router.mesh import Mesh, a_run, refusal, running

EVERYTHING = router_pb2.ListQueuesRequest()


@pytest.fixture
async def mesh(clock: FakeClock) -> AsyncIterator[Mesh]:
    async with running(clock, authorizer=Believing(CALLERS)) as started:
        yield started


async def queues(mesh: Mesh, by: str) -> list[str]:
    return [queue.name for queue in (await mesh.stub.ListQueues(EVERYTHING, metadata=called(by))).queues]


async def test_queues_that_are_only_another_tenants_are_not_listed(mesh: Mesh) -> None:
    for name, tenant in (("a", "acme"), ("b", "globex"), ("c", "")):
        await mesh.worker(a_worker(f"w-{name}", queues={name: 1}, tenant=tenant))
    assert await queues(mesh, "acme") == ["a", "c"]
    assert await queues(mesh, "globex") == ["b", "c"]
    assert await queues(mesh, "operator") == ["a", "b", "c"]


async def test_nobody_becomes_another_tenant_by_asking_as_routers_do(mesh: Mesh) -> None:
    """They say for whom they ask; the key of a tenant's caller says it whatever it says."""
    await mesh.worker(a_worker("w-globex", queues={"q-globex": 1}, tenant="globex"))
    await mesh.dispatch(a_run("t-globex", tenant="globex")).hear()
    for said in ((), ((TENANT_KEY, "globex"),)):
        given = (*called("acme"), *said)
        answer = await mesh.stub.ListQueues(router_pb2.ListQueuesRequest(local=True), metadata=given)
        assert not answer.queues
        for call in (
            mesh.stub.GetQueue(router_pb2.GetQueueRequest(name="q-globex", local=True), metadata=given),
            mesh.stub.Explain(router_pb2.ExplainRequest(task_id="t-globex", local=True), metadata=given),
        ):
            assert (await refusal(call))[0] is grpc.StatusCode.NOT_FOUND


async def test_models_that_others_wait_for_are_not_told(mesh: Mesh) -> None:
    mesh.core.matcher.throttle("ollama:secret", 30.0, "429")
    await mesh.dispatch(a_run(model="ollama:secret", tenant="globex")).hear()
    for by, expected in (("acme", []), ("globex", ["ollama:secret"]), ("operator", ["ollama:secret"])):
        answer = await mesh.stub.ListQueues(EVERYTHING, metadata=called(by))
        assert [throttle.model for throttle in answer.throttles] == expected


async def test_a_dry_run_is_the_callers_tenants(mesh: Mesh) -> None:
    await mesh.worker(a_worker("w-acme", tenant="acme"))
    await mesh.worker(a_worker("w-globex", tenant="globex"))
    request = router_pb2.ExplainRequest(dry_run=run_pb2.Run(model="haiku"))
    answer = await mesh.stub.Explain(request, metadata=called("acme"))
    assert {found.worker_id: found.rejected_because for found in answer.candidates} == {"w-acme": ""}
    everyone = await mesh.stub.Explain(request, metadata=called("operator"))
    assert {found.worker_id: found.rejected_because for found in everyone.candidates} == {
        "w-acme": "serves only tenant acme",
        "w-globex": "serves only tenant globex",
    }
    named = router_pb2.ExplainRequest(dry_run=run_pb2.Run(model="haiku", tenant="globex"))
    code, error = await refusal(mesh.stub.Explain(named, metadata=called("acme")))
    assert (code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "TENANT_NOT_ALLOWED")


async def test_other_routers_are_asked_for_the_same_tenant(clock: FakeClock) -> None:
    """What they hold of another's is not found by way of them either."""
    believing = Believing(CALLERS)
    async with (
        running(clock, authorizer=believing) as one,
        running(clock, router_id="router-2", authorizer=believing) as two,
    ):
        at = {name: f"http://127.0.0.1:{mesh.server.port}" for name, mesh in (("router-1", one), ("router-2", two))}
        for mesh in (one, two):
            mesh.core.hear(RoutersChanged(at))
        await two.worker(a_worker("w-globex", queues={"q-globex": 1}, tenant="globex"))
        await two.dispatch(a_run("t1", queue="q-globex", tenant="globex")).hear()
        explain, queue = router_pb2.ExplainRequest(task_id="t1"), router_pb2.GetQueueRequest(name="q-globex")
        for by in ("globex", "operator"):
            assert (await one.stub.Explain(explain, metadata=called(by))).HasField("assigned")
            assert (await one.stub.GetQueue(queue, metadata=called(by))).queue.running == 1
        for call in (
            one.stub.Explain(explain, metadata=called("acme")),
            one.stub.GetQueue(queue, metadata=called("acme")),
        ):
            assert (await refusal(call))[0] is grpc.StatusCode.NOT_FOUND
        assert await queues(one, "acme") == []
        assert await queues(one, "globex") == ["q-globex"]


class TestConnect:
    async def test_a_key_for_one_worker_attaches_as_that_one_only(self, clock: FakeClock) -> None:
        believing = Believing({"mine": a_key("mine", Role.WORKER, worker_id="w1")})
        async with running(clock, authorizer=believing) as mesh:
            for worker_id in ("w1", "w2"):
                mesh.register(a_worker(worker_id))
            assert (await mesh.line(called("mine")).attach("w1")).router_id == "router-1"
            line = mesh.line(called("mine"))
            await line.say(worker_pb2.ConnectRequest(attach=worker_pb2.Attach(worker_id="w2", instance_id="i1")))
            code, error = await line.ended()
            assert code is grpc.StatusCode.PERMISSION_DENIED
            assert error is not None
            assert error.reason == "WORKER_ID_BOUND"

    async def test_a_session_that_was_stolen_from_another_tenant_opens_nothing(self, mesh: Mesh) -> None:
        """It would be given that tenant's prompts; as where no such worker is registered."""
        mesh.register(a_worker("w1", tenant="globex"))
        line = mesh.line(called("acme-worker"))
        attach = worker_pb2.Attach(worker_id="w1", instance_id="i1", session_token=token_of("w1"))
        await line.say(worker_pb2.ConnectRequest(attach=attach))
        code, error = await line.ended()
        assert error is not None
        assert (code, error.reason) == (grpc.StatusCode.NOT_FOUND, "WORKER_NOT_REGISTERED")
        await mesh.line(called("globex-worker")).attach("w1")

    @pytest.mark.parametrize("word", ["accepted", "rejected", "tokens", "report", "released", "offer", "attach"])
    async def test_nothing_that_a_worker_says_of_anothers_attempt_is_heard(self, mesh: Mesh, word: str) -> None:
        """It stays with whom it was given to, and its Planner hears nothing but what that one says."""
        owner = await mesh.worker(a_worker("w1", queues={"default": 1}))
        planner = mesh.dispatch(a_run("t1", tenant="globex"))
        assert (await planner.hear()).assigned.worker.worker_id == "w1"
        assert (await owner.hear()).assign.run.task_id == "t1"
        mesh.register(a_worker("w2", tenant="acme"))
        stranger = mesh.line()
        claimed = [worker_pb2.RunningAttempt(task_id="t1", attempt=1, queue="default")]
        with capture_logs() as logs:
            await stranger.attach("w2", running=claimed if word == "attach" else ())
            if word != "attach":
                await stranger.say(said(word))
            await stranger.say(worker_pb2.ConnectRequest(beat=worker_pb2.Beat(number=1)))
            answers = [(await stranger.hear()).WhichOneof("item")]
            while answers[-1] != "beat_ack":
                answers.append((await stranger.hear()).WhichOneof("item"))
        await owner.accept("t1")
        await owner.speak("t1", 1, "mine")
        await owner.complete("t1", 1)
        events = list[router_pb2.DispatchResponse]()
        while not (events and events[-1].HasField("report")):
            events.append(await planner.hear())
        heard = [event.WhichOneof("event") for event in events]
        assert heard == ["started", "tokens", "report"]
        assert [token.text for token in events[1].tokens.tokens] == ["mine"]
        if word != "released":  # of what it does not have, a worker says nothing with that
            assert answers == ["cancel", "beat_ack"]
            assert [line["worker_id"] for line in logs if line.get("reason") == "NOT_ASSIGNED"] == ["w2"]


def said(word: str) -> worker_pb2.ConnectRequest:
    """What a worker says, about attempt 1 of t1."""
    request = worker_pb2.ConnectRequest()
    if word == "offer":
        request.offer.running.add(task_id="t1", attempt=1, queue="default")
        return request
    about = getattr(request, word)
    about.task_id, about.attempt = "t1", 1
    if word == "tokens":
        request.tokens.first_seq = 1
        request.tokens.tokens.add(text="not mine")
    if word == "report":
        request.report.completion.provider = "sim"
    return request
