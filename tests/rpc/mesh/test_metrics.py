"""A process that tells of itself over HTTP and OTLP."""

import asyncio
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from devteam.mesh.errors import FailedPrecondition
from devteam.mesh.metrics import catalog
from devteam.mesh.metrics.instruments import count
from devteam.mesh.metrics.listener import metrics_served
from devteam.mesh.metrics.process import process_metrics
from devteam.mesh.metrics.readings import Reading, readable
from devteam.mesh.server import Listen, MeshServer
from devteam.v1 import registry_pb2, registry_pb2_grpc
from tests.fakes.ids import CountingIds
from tests.fakes.misbehaving import Gated
from tests.fakes.otlp_collector import MetricsCollector
from tests.fakes.scrape import Scrape, scraped_from

HOST = "127.0.0.1"
CALLS, GET_WORKER = "rpc_server_call_duration_seconds_count", "devteam.v1.RegistryService/GetWorker"
GATE = registry_pb2.GetWorkerRequest(worker_id="gate")


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """A process that is scraped at this URL."""
    async with process_metrics("test", HOST, 0) as port:
        yield f"http://{HOST}:{port}/metrics"


@asynccontextmanager
async def called() -> AsyncIterator[tuple[Gated, "registry_pb2_grpc.RegistryServiceAsyncStub"]]:
    """A Registry that keeps a caller waiting who asks for "gate"."""
    servicer = Gated()
    server = MeshServer(Listen(port=0, stop_grace=0.1), CountingIds())
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(servicer, server.server)
    await server.start()
    async with grpc.aio.insecure_channel(f"{HOST}:{server.port}") as channel:
        yield servicer, registry_pb2_grpc.RegistryServiceStub(channel)
    await server.stop()


async def test_calls_are_measured_by_method_and_outcome_while_others_run() -> None:
    async with serving() as url, called() as (servicer, stub):
        waiting = asyncio.ensure_future(stub.GetWorker(GATE))
        await servicer.entered.wait()
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.ListWorkers(registry_pb2.ListWorkersRequest())
        during = await asyncio.to_thread(scraped_from, url)
        servicer.gate.set()
        await waiting
        after = await asyncio.to_thread(scraped_from, url)
    get = {"rpc_system_name": "grpc", "rpc_method": GET_WORKER, "rpc_response_status_code": "OK"}
    assert (during.value(CALLS, **get), after.value(CALLS, **get)) == (None, 1)
    failed = {"rpc_method": "devteam.v1.RegistryService/ListWorkers", "rpc_response_status_code": "INTERNAL"}
    assert during.total(CALLS, **failed) == 1


async def test_a_call_that_its_caller_gave_up_is_neither_a_success_nor_an_error() -> None:
    async with serving() as url:
        async with called() as (servicer, stub):
            call = stub.GetWorker(GATE)
            await servicer.entered.wait()
            call.cancel()
            await servicer.left.wait()
        scrape = await asyncio.to_thread(scraped_from, url)
    given_up = {"rpc_system_name": "grpc", "rpc_method": GET_WORKER, "rpc_response_status_code": "CANCELLED"}
    assert scrape.of(CALLS, "rpc_response_status_code") == {"CANCELLED": 1}
    assert scrape.value(CALLS, **given_up) == 1, "and it has no error_type"


async def test_a_scrape_is_answered_while_the_event_loop_is_held_up() -> None:
    """What the loop owns is missing then; what was told before is there."""
    found: list[Scrape] = []
    async with serving() as url:
        with readable(lambda: [Reading(catalog.ROUTERS, 1)]):
            count(catalog.TASKS_CREATED, 3)
            scraper = threading.Thread(target=lambda: found.append(scraped_from(url)))
            scraper.start()
            scraper.join(30)  # the loop stands still meanwhile
    assert found[0].value("devteam_routers") is None
    assert found[0].value("devteam_tasks_created_total") == 3


async def test_there_is_one_page() -> None:
    async with serving() as url:
        for path, code in (("/", 404), ("/metrics/more", 404), ("/metrics?name=x", 200)):
            assert await asyncio.to_thread(_code, url.removesuffix("/metrics") + path) == code


async def test_a_client_that_says_nothing_keeps_nobody_else_waiting() -> None:
    async with serving() as url:
        port = int(url.rsplit(":", 1)[1].partition("/")[0])
        with socket.create_connection((HOST, port)):
            scrape = await asyncio.to_thread(scraped_from, url)
    assert scrape.value("process_cpu_time_seconds_total") is not None


async def test_a_taken_port_is_refused_with_what_to_do() -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(FailedPrecondition) as caught:
            async with metrics_served(HOST, port):
                pass
    assert caught.value.reason == "PORT_TAKEN"
    assert caught.value.message == (
        f"cannot serve metrics on {HOST}:{port}: the port is taken; stop what uses it or choose another port"
    )


async def test_an_address_that_is_not_this_machines_is_refused() -> None:
    with pytest.raises(FailedPrecondition) as caught:
        async with metrics_served("192.0.2.1", 0):
            pass
    assert caught.value.reason == "CANNOT_LISTEN"


async def test_the_port_is_free_again_afterwards() -> None:
    async with metrics_served(HOST, 0) as port:
        pass
    async with metrics_served(HOST, port) as again:
        assert again == port


async def test_a_process_that_nobody_asks_serves_and_collects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", raising=False)
    async with process_metrics("test", HOST, None) as port:
        assert port is None


async def test_otlp_gets_the_last_values_when_the_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop answers to the very end: its gauges are among them."""
    collector = MetricsCollector()
    server = grpc.aio.server()
    port = server.add_insecure_port(f"{HOST}:0")
    collector.mount(server)
    await server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"http://{HOST}:{port}")
    monkeypatch.delenv("OTEL_METRICS_EXPORTER", raising=False)
    with readable(lambda: [Reading(catalog.QUEUE_DEPTH, 4, ("default",))]):
        async with process_metrics("test", HOST, None) as served:
            assert served is None
            count(catalog.TASKS_CREATED, 3)
    await server.stop(0)
    assert collector.last["devteam.tasks.created"] == [3]
    assert collector.last["devteam.queue.depth"] == [4]


def _code(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
