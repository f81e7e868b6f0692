"""What operators ask: why, and how much."""

from datetime import timedelta
from typing import Any

import grpc
import pytest
from devteam_router.domain import Availability
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from devteam.mesh.errors import InvalidInput, NotFound
from devteam.v1 import router_pb2, run_pb2
from tests.fakes.router_samples import a_worker
from tests.rpc.router.mesh import SERVICES, Mesh, a_run, refusal


class TestExplain:
    async def test_a_waiting_task(self, mesh: Mesh) -> None:
        mesh.register()
        planner = mesh.dispatch(a_run())
        await planner.hear()
        answer = await mesh.stub.Explain(router_pb2.ExplainRequest(task_id="t1"))
        assert answer.waiting.reason == router_pb2.WAIT_REASON_NO_WORKER_AVAILABLE
        assert answer.candidates == [
            router_pb2.Candidate(
                worker_id="w1",
                rejected_because="is not connected to this router",
                capacity=2,
                score=0.5,
                queue="default",
                alike=1,
            )
        ]

    async def test_a_placed_task(self, mesh: Mesh) -> None:
        """By those who could have been chosen."""
        await mesh.worker(a_worker("w1"))
        await mesh.worker(a_worker("w2", queues={"default": 1}))
        mesh.register(a_worker("w3", availability=Availability.CORDONED))
        planner = mesh.dispatch(a_run())
        assigned = (await planner.hear()).assigned
        answer = await mesh.stub.Explain(router_pb2.ExplainRequest(task_id="t1"))
        assert answer.assigned == assigned
        assert answer.candidates == [
            router_pb2.Candidate(worker_id="w1", capacity=2, score=0.5, queue="default", alike=1),
            router_pb2.Candidate(worker_id="w2", capacity=1, score=1.0, queue="default", alike=1),
        ]

    async def test_a_run_that_does_not_exist(self, mesh: Mesh) -> None:
        await mesh.worker(a_worker("w1", queues={"a": 1, "b": 4}))
        placement = run_pb2.Placement(preferred_queues=["b", "a"], strategy=run_pb2.STRATEGY_CAPABILITY_MATCH)
        run = run_pb2.Run(model="haiku", placement=placement)
        answer = await mesh.stub.Explain(router_pb2.ExplainRequest(dry_run=run))
        assert answer.WhichOneof("answer") is None
        merits = "serves every model"
        assert answer.candidates == [
            router_pb2.Candidate(worker_id="w1", capacity=4, score=0.2, merits=merits, queue="b", alike=1),
            router_pb2.Candidate(worker_id="w1", capacity=1, score=0.2, merits=merits, queue="a", alike=1),
        ]

    async def test_at_most_a_hundred_candidates(self, mesh: Mesh) -> None:
        for number in range(101):
            mesh.register(a_worker(f"w{number}", queues={"default": number + 1}))
        answer = await mesh.stub.Explain(router_pb2.ExplainRequest(dry_run=run_pb2.Run(model="haiku")))
        assert len(answer.candidates) == 100
        assert answer.waiting.reason == router_pb2.WAIT_REASON_NO_WORKER_AVAILABLE

    async def test_an_unknown_task(self, mesh: Mesh) -> None:
        code, error = await refusal(mesh.stub.Explain(router_pb2.ExplainRequest(task_id="t1")))
        assert code is grpc.StatusCode.NOT_FOUND
        assert isinstance(error, NotFound)
        assert (error.kind, error.name) == ("task", "t1")

    async def test_nothing_in_particular(self, mesh: Mesh) -> None:
        code, error = await refusal(mesh.stub.Explain(router_pb2.ExplainRequest()))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert isinstance(error, InvalidInput)
        assert [(violation.field, violation.reason) for violation in error.violations] == [
            ("subject", "FIELD_REQUIRED")
        ]

    async def test_a_dry_run_that_makes_no_sense(self, mesh: Mesh) -> None:
        run = run_pb2.Run(queue="a b", placement=run_pb2.Placement(preferred_queues=["ok", "c d"]))
        _, error = await refusal(mesh.stub.Explain(router_pb2.ExplainRequest(dry_run=run)))
        assert isinstance(error, InvalidInput)
        assert [violation.field for violation in error.violations] == [
            "dry_run.model",
            "dry_run.queue",
            "dry_run.placement.preferred_queues[1]",
        ]

    async def test_bytes_that_are_no_request(self, mesh: Mesh) -> None:
        call: Any = mesh.channel.unary_unary("/devteam.v1.RouterService/Explain")
        code, error = await refusal(call(b"\xff\xff\xff"))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert isinstance(error, InvalidInput)
        assert error.violations[0].reason == "MALFORMED_MESSAGE"


class TestQueues:
    async def test_one_queue(self, mesh: Mesh) -> None:
        await mesh.worker(a_worker("w1", queues={"default": 1}))
        for number in range(3):
            await mesh.dispatch(a_run(f"t{number}")).hear()
        mesh.clock.advance(90)
        since = Timestamp()
        since.FromDatetime(mesh.clock.now() - timedelta(seconds=90))
        answer = await mesh.stub.GetQueue(router_pb2.GetQueueRequest(name="default"))
        assert answer.queue == router_pb2.Queue(
            name="default",
            waiting=2,
            running=1,
            slots=1,
            workers=1,
            oldest_waiting_since=since,
            strategy=run_pb2.STRATEGY_LEAST_LOADED,
        )

    async def test_a_queue_in_which_nothing_waits_says_nothing_of_a_wait(self, mesh: Mesh) -> None:
        mesh.register()
        queue = (await mesh.stub.GetQueue(router_pb2.GetQueueRequest(name="default"))).queue
        assert queue == router_pb2.Queue(name="default", workers=1, strategy=run_pb2.STRATEGY_LEAST_LOADED)
        assert not queue.HasField("oldest_waiting_since")

    async def test_an_unknown_queue(self, mesh: Mesh) -> None:
        code, error = await refusal(mesh.stub.GetQueue(router_pb2.GetQueueRequest(name="nowhere")))
        assert code is grpc.StatusCode.NOT_FOUND
        assert isinstance(error, NotFound)
        assert (error.kind, error.name) == ("queue", "nowhere")

    async def test_all_queues_page_by_page(self, mesh: Mesh) -> None:
        mesh.register(a_worker(queues=dict.fromkeys("cabed", 1)))
        pages: list[list[str]] = []
        token = ""
        while not pages or token:
            answer = await mesh.stub.ListQueues(router_pb2.ListQueuesRequest(page_size=2, page_token=token))
            pages.append([queue.name for queue in answer.queues])
            token = answer.next_page_token
        assert pages == [["a", "b"], ["c", "d"], ["e"]]

    async def test_a_page_of_all_of_them_is_the_last(self, mesh: Mesh) -> None:
        mesh.register(a_worker(queues=dict.fromkeys("ab", 1)))
        answer = await mesh.stub.ListQueues(router_pb2.ListQueuesRequest(page_size=2))
        assert ([queue.name for queue in answer.queues], answer.next_page_token) == (["a", "b"], "")

    async def test_no_queue_at_all(self, mesh: Mesh) -> None:
        assert await mesh.stub.ListQueues(router_pb2.ListQueuesRequest()) == router_pb2.ListQueuesResponse()

    @pytest.mark.parametrize(
        ("request_", "field"),
        [
            (router_pb2.ListQueuesRequest(page_size=-1), "page_size"),
            (router_pb2.ListQueuesRequest(page_size=1001), "page_size"),
            (router_pb2.ListQueuesRequest(page_token="forged"), "page_token"),
        ],
    )
    async def test_pages_that_make_no_sense(
        self, mesh: Mesh, request_: router_pb2.ListQueuesRequest, field: str
    ) -> None:
        code, error = await refusal(mesh.stub.ListQueues(request_))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert isinstance(error, InvalidInput)
        assert [violation.field for violation in error.violations] == [field]


@pytest.mark.parametrize("service", ["", *SERVICES])
async def test_health_says_serving(mesh: Mesh, service: str) -> None:
    health = health_pb2_grpc.HealthStub(mesh.channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_names_the_services(mesh: Mesh, version: str) -> None:
    call: Any = mesh.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )()
    await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    answer = await call.read()
    await call.done_writing()
    assert set(SERVICES) <= {service.name for service in answer.list_services_response.service}
