"""The worker's composition root."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

import structlog

from devteam.mesh.channel import open_channel
from devteam.mesh.clock import Clock, SystemClock
from devteam.mesh.errors import DevTeamError
from devteam.mesh.ids import TimeOrderedIds
from devteam.mesh.tasks import background
from devteam_worker.agent import Bounds, ModelAgent
from devteam_worker.data_folder import folder
from devteam_worker.desk import Desk
from devteam_worker.domain import Declaration, Machine, Queue
from devteam_worker.draining import Draining
from devteam_worker.elsewhere import OwnersLoop
from devteam_worker.handlers import Handler, HandlerAgent
from devteam_worker.hardware import Hardware, detect
from devteam_worker.helm import Helm
from devteam_worker.inventory import Inventory
from devteam_worker.link import Link
from devteam_worker.links import Links
from devteam_worker.prices import listed
from devteam_worker.providers.base import LocalModel
from devteam_worker.providers.catalog import Catalog
from devteam_worker.providers.discovery import found_providers
from devteam_worker.registration import Registration, Wishes
from devteam_worker.runs import Agent, Runs
from devteam_worker.settings import WorkerSettings
from devteam_worker.tools.base import Tool
from devteam_worker.tools.equipment import equipped
from devteam_worker.tools.toolbox import Toolbox
from devteam_worker.vitals import take

_log = structlog.get_logger()

_WINDOW_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ready:
    """What a worker can tell its owner once it is registered."""

    declaration: Declaration
    # Every model is simulated, because this machine has no provider.
    simulated: bool


async def serve(
    settings: WorkerSettings,
    *,
    until: Callable[[], Awaitable[object]],
    on_ready: Callable[[Ready], None],
    owners: OwnersLoop | None = None,
    handler: Handler | None = None,
    tools: Sequence[Tool] = (),
    on_error: Callable[[Exception], None] = lambda _: None,
    on_drain: Callable[[int], None] = lambda _: None,
    steer: Callable[[Helm], Awaitable[None]] | None = None,
    data: Path | None = None,
) -> None:
    """Be a worker until `until` returns or somebody drains it; then finish or hand back what runs, and take leave.

    `on_drain` hears how many runs are in hand when the drain begins. `steer` runs beside the work, while it lasts.

    With a `handler`, runs are handled by it instead of a model; `tools` are for models, and `owners` is where the code
    of both runs. What can be kept from one start to the next lies in the folder `data`, else where the workers of this
    machine keep their state. Raises InvalidInput when the Registry refuses the worker, and Aborted when another
    instance took over its id.
    """
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        owners = owners or OwnersLoop()
        owners.start()
        stack.callback(owners.stop)
        agent: Agent
        if handler is not None:
            agent, catalog, inventory = HandlerAgent(handler, owners, on_error), None, Inventory(_no_models)
            toolbox = Toolbox(tools)
        else:
            catalog = await found_providers(settings, clock)
            stack.push_async_callback(catalog.close)
            vitals = partial(take, folder(data))
            inventory = Inventory(catalog.local_models, take_vitals=vitals, aliases=catalog.aliases)
            await inventory.look()
            toolbox = await stack.enter_async_context(equipped(settings, tools, clock, folder(data)))
            prices = listed(settings.prices)
            agent = ModelAgent(catalog, toolbox, clock, _bounds(settings), prices=prices, on_ended=inventory.ran)
        declaration = await _declaration(settings, catalog, inventory, toolbox, clock)
        ready = _ready(declaration, catalog)
        await _serve(
            *(stack, settings, declaration, agent, inventory, clock, until, lambda: on_ready(ready), on_drain, steer)
        )


async def _serve(
    stack: AsyncExitStack,
    settings: WorkerSettings,
    declaration: Declaration,
    agent: Agent,
    inventory: Inventory,
    clock: Clock,
    until: Callable[[], Awaitable[object]],
    on_ready: Callable[[], None],
    on_drain: Callable[[int], None],
    steer: Callable[[Helm], Awaitable[None]] | None,
) -> None:
    desk = Desk({queue.name: queue for queue in declaration.queues}, declaration.concurrency)
    draining = Draining(clock, settings.drain_deadline_ms / 1000)

    def on_wishes(wishes: Wishes) -> None:
        desk.concurrency = wishes.concurrency or helm.declaration.concurrency
        links.follow(registration.router_addresses or (settings.api_url,))
        if wishes.draining:
            draining.wish(wishes.drain_deadline)

    async def stop() -> None:
        # Beside everything else, to the end: a worker that drains for hours must still be able to stop soon.
        await until()
        draining.stop()

    api_key = settings.api_key.get_secret_value()
    channel = await stack.enter_async_context(open_channel(settings.api_url, api_key=api_key))
    runs = await stack.enter_async_context(
        Runs(agent, lambda router: links.wake(router), clock, window_bytes=_WINDOW_BYTES)  # noqa: PLW0108 - bound late
    )
    registration = Registration(channel, declaration, runs.active, inventory, on_wishes, clock)
    helm = Helm(settings, declaration, desk, registration, draining)

    def dial(router: str) -> Link:
        return Link(router, links, declaration, registration, desk, runs, draining.wish, clock, api_key=api_key)

    links = Links(runs, dial, clock)
    await _first(until, registration.register)
    if not registration.session_token:
        return  # stopped before the Registry answered
    links.follow(registration.router_addresses or (settings.api_url,))
    with _ungrouped():
        jobs = (registration.beat, links.run, partial(inventory.run, registration.beat_now), stop)
        async with background(*jobs, *(() if steer is None else (partial(steer, helm),))):
            on_ready()
            await _drained(draining, runs, desk, registration, on_drain)
    # Only now: a beat or a link that still ran would find itself unknown, and register again.
    await registration.leave()


async def _drained(
    draining: Draining, runs: Runs, desk: Desk, registration: Registration, on_drain: Callable[[int], None]
) -> None:
    """Wait until somebody wants the worker to drain, and until it has."""
    await draining.wished()
    _log.info("draining", running=runs.active(), seconds=round(draining.rest, 1))
    on_drain(runs.active())
    desk.draining = True
    registration.drain()
    await _first(runs.emptied, draining.expired)
    await runs.hand_back()


def _bounds(settings: WorkerSettings) -> Bounds:
    return Bounds(settings.progress_timeout_ms / 1000, settings.max_turns)


async def _no_models() -> Sequence[LocalModel]:
    return ()


@contextmanager
def _ungrouped() -> Iterator[None]:
    """Raise a refusal itself, not the group that it comes in."""
    try:
        yield
    except BaseExceptionGroup as group:
        refusals, others = group.split(DevTeamError)
        if refusals is None or others is not None:
            raise
        raise _first_leaf(refusals) from None


def _first_leaf(group: BaseExceptionGroup[DevTeamError]) -> DevTeamError:
    first = group.exceptions[0]
    return _first_leaf(first) if isinstance(first, BaseExceptionGroup) else first


async def _first(*waits: Callable[[], Awaitable[object]]) -> None:
    """Wait for the first of them to end, and stop the others. Raises what it raised."""
    tasks = [asyncio.ensure_future(wait()) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()


async def _declaration(
    settings: WorkerSettings, catalog: Catalog | None, inventory: Inventory, toolbox: Toolbox, clock: Clock
) -> Declaration:
    hardware = await detect()
    served = catalog.patterns() if catalog else ()
    queues = tuple(Queue(q.name, q.concurrency, tuple(q.models) or served) for q in settings.queues)
    return Declaration(
        settings.worker_id,
        TimeOrderedIds(clock).new("i"),
        queues,
        settings.concurrency or sum(queue.concurrency for queue in queues),
        _machine(settings, hardware),
        labels=settings.labels,
        local_models=inventory.models,
        data_sources=tuple(source.name for source in settings.data_sources),
        tools=(*toolbox.names, *(catalog.tools() if catalog else ())),
        version=metadata.version("devteam-orchestrator"),
        weight=settings.weight,
        model_aliases=catalog.aliases if catalog else {},
    )


def _machine(settings: WorkerSettings, found: Hardware) -> Machine:
    declared, location = settings.resources, settings.location
    return Machine(
        cpu_cores=found.cpu_cores if declared.cpu_cores is None else declared.cpu_cores,
        ram_gb=found.ram_gb if declared.ram_gb is None else declared.ram_gb,
        gpu=found.gpu if declared.gpu is None else declared.gpu,
        gpu_model=found.gpu_model if declared.gpu_model is None else declared.gpu_model,
        region=location.region,
        zone=location.zone,
        host=location.host or found.host,
    )


def _ready(declaration: Declaration, catalog: Catalog | None) -> Ready:
    return Ready(declaration, simulated=catalog is not None and catalog.simulate)
