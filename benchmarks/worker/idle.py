"""A thousand workers with nothing to do: what they cost their Registry and their Router."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from devteam_cli.ports import free_port

from benchmarks.figures import tell
from benchmarks.worker.processes import Usage, module
from devteam.v1 import registry_pb2, registry_pb2_grpc
from tests.e2e.services import Service, service

_WORKERS, _PROCESSES = 1_000, 4
_LASTS = 60.0
# Seconds for all of them to come; so many processes of Python on one machine take their time.
_PATIENCE, _LOOK = 600.0, 1.0
_MB = 1e6


def measure() -> None:
    """CPU and memory of both, for a minute, once every worker is registered and attached."""
    asyncio.run(_measure())


async def _measure() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with _services(Path(folder)) as services:
            usages = {name: Usage(each.program) for name, each in services.items()}
            for name, usage in usages.items():
                tell(f"idle: the {name} without a worker, MB", usage.memory / _MB)
            began = time.monotonic()
            with _crew(services["registry"].url):
                await _complete(services["registry"])
                tell(f"idle: until {_WORKERS} workers were registered and attached, s", time.monotonic() - began)
                await _tell(usages)


@asynccontextmanager
async def _services(folder: Path) -> AsyncIterator[dict[str, Service]]:
    database = f"sqlite:///{folder / 'registry.db'}"
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    async with (
        service("registry", folder, database_url=database) as registry,
        service("router", folder, port=port, registry_address=registry.url, advertised_address=address) as router,
    ):
        yield {"registry": registry, "router": router}


@contextmanager
def _crew(url: str) -> Iterator[None]:
    share = _WORKERS // _PROCESSES
    with ExitStack() as stack:
        for first in range(0, _WORKERS, share):
            stack.enter_context(module("benchmarks.worker.crew", url, str(first), str(share)))
        yield


async def _complete(registry: Service) -> None:
    """Return once the Registry has every worker, and a Router has a stream to each."""
    stub = registry_pb2_grpc.RegistryServiceStub(registry.channel)
    async with asyncio.timeout(_PATIENCE):
        while await _attached(stub) < _WORKERS:  # noqa: ASYNC110 - the Registry is asked, as an operator would ask it
            await asyncio.sleep(_LOOK)


async def _attached(stub: "registry_pb2_grpc.RegistryServiceAsyncStub") -> int:
    answer = await stub.ListWorkers(registry_pb2.ListWorkersRequest(page_size=_WORKERS))
    return sum(
        bool(worker.router_id) and worker.state == registry_pb2.WORKER_STATE_HEALTHY for worker in answer.workers
    )


async def _tell(usages: Mapping[str, Usage]) -> None:
    began, before = time.monotonic(), {name: usage.cpu for name, usage in usages.items()}
    await asyncio.sleep(_LASTS)
    took = time.monotonic() - began
    shares = {name: (usage.cpu - before[name]) / took * 100 for name, usage in usages.items()}
    sizes = {name: usage.memory / _MB for name, usage in usages.items()}
    for name in usages:
        tell(f"idle: {name}, % of a core", shares[name])
        tell(f"idle: {name}, MB", sizes[name])
    tell("idle: both, % of a core", sum(shares.values()))
    tell("idle: both, MB", sum(sizes.values()))
