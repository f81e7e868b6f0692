"""The worker's composition root."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import grpc
import structlog

from devteam.mesh.channel import open_channel
from devteam.mesh.clock import Clock, SystemClock
from devteam.mesh.errors import DevTeamError
from devteam.mesh.ids import TimeOrderedIds
from devteam.mesh.metrics.loop_lag import watch_loop
from devteam.mesh.metrics.readings import readable
from devteam.mesh.redaction import keep_hidden
from devteam.mesh.tasks import background
from devteam_worker import content, measure, meters
from devteam_worker.agent import Bounds, ModelAgent
from devteam_worker.data_folder import folder
from devteam_worker.desk import Desk
from devteam_worker.domain import Declaration
from devteam_worker.draining import Draining
from devteam_worker.elsewhere import OwnersLoop
from devteam_worker.handlers import Handler, HandlerAgent
from devteam_worker.hardware import detect
from devteam_worker.helm import Helm
from devteam_worker.inventory import Inventory
from devteam_worker.link import Link, Switchboard
from devteam_worker.links import Links
from devteam_worker.model_spans import ModelSpans
from devteam_worker.onlooking import Onlooker, WatchedAgent
from devteam_worker.prices import listed
from devteam_worker.providers.base import LocalModel
from devteam_worker.providers.discovery import found_providers
from devteam_worker.registration import Registration, Wishes
from devteam_worker.runs import Runs
from devteam_worker.settings import WorkerSettings
from devteam_worker.timings import Expectation
from devteam_worker.tools.base import Tool
from devteam_worker.tools.equipment import equipped
from devteam_worker.tools.toolbox import Toolbox
from devteam_worker.vitals import take
from devteam_worker.workplace import Workplace, declared

_log = structlog.get_logger()

_WINDOW_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ready:
    """What a worker can tell its owner once it is registered."""

    declaration: Declaration
    # Every model is simulated, because this machine has no provider.
    simulated: bool
    # How many are in force: an operator may wish others than were declared.
    slots: int


@dataclass(frozen=True, slots=True)
class Owner:
    """What the owner of a worker says and hears.

    The worker works until `until` returns. `on_drain` hears how many runs are in hand when a drain begins, `on_start`
    of each task that begins, `on_error` what the owner's own code raised and what failed on models, `on_slots` with
    each beat how many slots are in force, and how many were declared. `steer` runs beside the work, while it lasts.
    """

    until: Callable[[], Awaitable[object]]
    on_ready: Callable[[Ready], None]
    on_drain: Callable[[int], None] = lambda _: None
    on_slots: Callable[[int, int], None] = lambda _slots, _declared: None
    on_error: Callable[[Exception], None] | None = None
    on_start: Onlooker | None = None
    steer: Callable[[Helm], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """The owner's own code, and the loop that it runs in: a handler instead of models, and tools for models."""

    loop: OwnersLoop = field(default_factory=OwnersLoop)
    handler: Handler | None = None
    tools: Sequence[Tool] = ()


async def serve(settings: WorkerSettings, owner: Owner, code: Code | None = None, *, data: Path | None = None) -> None:
    """Be a worker until its owner or an operator wants no more; then finish or hand back what runs, and take leave.

    What can be kept from one start to the next lies in the folder `data`, else where the workers of this machine keep
    their state. Raises InvalidInput when the Registry refuses the worker, Unauthenticated or PermissionDenied when it
    refuses its key, then or later, and Aborted when another instance took over its id.
    """
    clock, code = SystemClock(), code or Code()
    async with AsyncExitStack() as stack:
        code.loop.start()
        stack.callback(code.loop.stop)
        made: list[Workplace] = []

        async def make() -> None:
            made.append(await _workplace(stack, settings, code, owner, clock, folder(data)))

        # A provider or a tool may take its time to say that it is there.
        await _first(owner.until, make)
        for workplace in made:
            declaration = declared(settings, workplace, await detect(), TimeOrderedIds(clock).new("i"))
            await _serve(stack, settings, declaration, workplace, owner, clock)


async def _workplace(
    stack: AsyncExitStack, settings: WorkerSettings, code: Code, owner: Owner, clock: Clock, data: Path
) -> Workplace:
    vitals = partial(take, data)
    if code.handler is not None:
        handling = HandlerAgent(code.handler, code.loop, owner.on_error)
        watched = WatchedAgent(handling, code.loop, owner.on_start)
        return Workplace(watched, Inventory(_no_models, take_vitals=vitals), Toolbox(code.tools).names)
    catalog = await found_providers(settings, clock)
    stack.push_async_callback(catalog.close)
    measure.begin(provider.name for provider in catalog.providers.values())
    inventory = Inventory(catalog.local_models, take_vitals=vitals, aliases=catalog.aliases)
    await inventory.look()
    toolbox = await stack.enter_async_context(equipped(settings, code.tools, clock, data))
    bounds = Bounds(settings.progress_timeout_ms / 1000, settings.max_turns)
    spans = ModelSpans(clock, with_content=content.wanted(os.environ))
    prices = listed(settings.prices)
    agent = ModelAgent(catalog, toolbox, clock, bounds, prices=prices, spans=spans, on_ended=inventory.ran)
    tools = (*toolbox.names, *catalog.tools())
    watched = WatchedAgent(agent, code.loop, owner.on_start, owner.on_error)
    return Workplace(watched, inventory, tools, catalog.patterns(), catalog.aliases, catalog.simulate)


async def _serve(
    stack: AsyncExitStack,
    settings: WorkerSettings,
    declaration: Declaration,
    workplace: Workplace,
    owner: Owner,
    clock: Clock,
) -> None:
    api_key = settings.api_key.get_secret_value()
    keep_hidden(api_key)
    channel = await stack.enter_async_context(open_channel(settings.api_url, api_key=api_key, tls=settings.tls))
    shift = _Shift(settings, declaration, workplace, owner, channel, clock)
    await stack.enter_async_context(shift.runs)
    stack.enter_context(readable(partial(meters.read, shift.runs, shift.desk)))
    if await shift.begins():
        await shift.lasts()


class _Shift:
    """One worker's parts, and how each moves the others: from before it is registered until it has taken its leave."""

    def __init__(
        self,
        settings: WorkerSettings,
        declaration: Declaration,
        workplace: Workplace,
        owner: Owner,
        channel: grpc.aio.Channel,
        clock: Clock,
    ) -> None:
        self._api_url = settings.api_url
        self._workplace = workplace
        self._owner = owner
        self._clock = clock
        queues = {queue.name: queue for queue in declaration.queues}
        self.desk = desk = Desk(queues, declaration.concurrency, frozenset(declaration.tools))
        self.runs = runs = Runs(workplace.agent, self._wake, clock, window_bytes=_WINDOW_BYTES)
        self._draining = Draining(clock, settings.drain_deadline_ms / 1000)
        self._registration = standing = Registration(
            *(channel, declaration, runs.active, workplace.inventory, self._on_wishes, clock),
            on_timings=Expectation(settings.heartbeat).compare,
        )
        self._helm = Helm(settings, declaration, desk, standing, self._draining)
        self._links = links = Links(runs, self._dial, clock)
        key, on_drain = settings.api_key.get_secret_value(), self._draining.wish
        self._board = Switchboard(links, declaration, standing, desk, runs, on_drain, clock, key, settings.tls)

    async def begins(self) -> bool:
        """Register; False when the owner wants no more before the Registry has answered. Raises its refusal."""
        await _first(self._owner.until, self._registration.register)
        return bool(self._registration.session_token)

    async def lasts(self) -> None:
        """Work until somebody wants it to drain, drain, and take leave. Raises what the Registry refuses meanwhile."""
        self._follow()
        with _ungrouped():
            async with background(*self._jobs()):
                self._owner.on_ready(Ready(self._helm.declaration, self._workplace.simulated, self.desk.concurrency))
                await self._drained()
        # Only now: a beat or a link that still ran would find itself unknown, and register again.
        await self._registration.leave()

    def _jobs(self) -> Iterator[Callable[[], Awaitable[None]]]:
        yield self._registration.beat
        yield self._links.run
        yield partial(self._workplace.inventory.run, self._registration.beat_now)
        yield self._stop
        yield partial(watch_loop, self._clock)
        if self._owner.steer is not None:
            yield partial(self._owner.steer, self._helm)

    async def _drained(self) -> None:
        """Wait until somebody wants the worker to drain, and until it has."""
        await self._draining.wished()
        _log.info("draining", running=self.runs.active(), seconds=round(self._draining.rest, 1))
        self._owner.on_drain(self.runs.active())
        self.desk.draining = True
        self._registration.drain()
        await _first(self.runs.emptied, self._draining.expired)
        await self.runs.hand_back()

    async def _stop(self) -> None:
        # Beside everything else, to the end: a worker that drains for hours must still be able to stop soon.
        await self._owner.until()
        self._draining.stop()

    def _on_wishes(self, wishes: Wishes) -> None:
        own = self._helm.declaration.concurrency
        self.desk.concurrency = wishes.concurrency or own
        self._owner.on_slots(self.desk.concurrency, own)
        self._follow()
        if wishes.draining:
            self._draining.wish(wishes.drain_deadline)

    def _follow(self) -> None:
        self._links.follow(self._registration.router_addresses or (self._api_url,))

    def _dial(self, router: str) -> Link:
        return Link(router, self._board)

    def _wake(self, router: str) -> None:
        self._links.wake(router)


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
