"""The worker's standing with the Registry: it registers, beats, and takes its leave."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import grpc
import structlog

from devteam.mesh import status
from devteam.mesh.clock import Clock
from devteam.mesh.errors import Aborted, DevTeamError, InvalidInput, NotFound, PermissionDenied, Unauthenticated
from devteam.mesh.tasks import Backoff
from devteam.v1 import registry_pb2, registry_pb2_grpc
from devteam_worker.convert.registry import (
    declaration_to_proto,
    drain_deadline_from_proto,
    local_model_to_proto,
    timings_from_proto,
    vitals_to_proto,
)
from devteam_worker.domain import Declaration
from devteam_worker.inventory import Inventory
from devteam_worker.providers.base import LocalModel
from devteam_worker.timings import Timings

_log = structlog.get_logger()

# Trying again changes nothing: the settings are wrong, or the key is.
_FINAL = (InvalidInput, PermissionDenied, Unauthenticated)
_CALL_TIMEOUT = 10.0
# A beat is given up while there is time for more of them before the Registry takes its worker for unhealthy.
_BEAT_PART, _BEAT_TIMEOUT = 0.25, 5.0
# Of the interval, between beats that were not heard: the first pause, and the longest. A Registry that is overloaded
# does not get them much more often than it asked for.
_FIRST_PART, _LONGEST_PART = 0.1, 0.5


@dataclass(frozen=True, slots=True)
class Wishes:
    """What operators want of this worker; `drain_deadline` in seconds from now, None: as its own settings say."""

    concurrency: int
    draining: bool
    drain_deadline: float | None = None


class Registration:
    """Keeps the Registry informed, whatever happens to it.

    `on_wishes` hears what operators want, with every beat, `on_timings` how long silence may last, with every
    registration. What is new in `inventory` is told with the next beat. Made anew for every start of a worker.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        declaration: Declaration,
        active: Callable[[], int],
        inventory: Inventory,
        on_wishes: Callable[[Wishes], None],
        clock: Clock,
        on_timings: Callable[[Timings], None] = lambda _: None,
    ) -> None:
        self._stub = registry_pb2_grpc.RegistryServiceStub(channel)
        self._declaration = declaration
        self._active = active
        self._inventory = inventory
        self._on_wishes = on_wishes
        self._on_timings = on_timings
        self._clock = clock
        self._interval = 30.0
        self._draining = False
        self._due = asyncio.Event()
        # What the worker says of itself from now on, as soon as the Registry has taken it; and how it answered.
        self._anew: Declaration | None = None
        self._answered = asyncio.Event()
        self._refusal = ""
        self.session_token = ""
        self.router_addresses: tuple[str, ...] = ()

    async def register(self) -> None:
        """Register, trying until the Registry answers.

        Raises InvalidInput when it refuses the declaration, Unauthenticated or PermissionDenied when it refuses the
        key.
        """
        backoff = Backoff(self._clock)
        while True:
            try:
                await self._register()
            except _FINAL:
                raise
            except DevTeamError as error:
                _log.warning("cannot register yet", why=error.message)
                await backoff.pause()
            else:
                return

    async def beat(self) -> None:
        """Beat for ever, at the Registry's pace.

        One that is not heard is followed by others before its turn. Raises Aborted when another instance took over this
        worker's id, Unauthenticated when its key is valid no more.
        """
        unheard: Backoff | None = None
        while True:
            await self._wait_for_turn(unheard.step() if unheard else self._interval)
            try:
                await self._declare_anew()
                await self._beat()
                unheard = None
            except (NotFound, PermissionDenied):
                await self.register()
                unheard = None
            except (Aborted, Unauthenticated):
                raise
            except DevTeamError as error:
                _log.warning("beat not heard", why=error.message)
                unheard = unheard or self._soon_again()

    async def declare(self, declaration: Declaration, *, patience: float) -> str:
        """Say something else of this worker from now on, and at once; returns why the Registry refuses it, if it does.

        Where it has not answered within `patience` seconds, it is told with the next beat that it hears.
        """
        self._anew, self._refusal = declaration, ""
        self._answered.clear()
        self._due.set()
        timer = self._clock.call_later(patience, self._answered.set)
        try:
            await self._answered.wait()
        finally:
            timer.cancel()
        return self._refusal

    def drain(self) -> None:
        """Tell the Registry, now, that this worker takes no more work."""
        self._draining = True
        self._due.set()

    def beat_now(self) -> None:
        """Beat out of turn: whether this worker is registered was doubted, and the Registry knows."""
        self._due.set()

    async def leave(self) -> None:
        """Take leave. A Registry that does not answer finds out by itself."""
        request = registry_pb2.DeregisterWorkerRequest(
            worker_id=self._declaration.worker_id,
            instance_id=self._declaration.instance_id,
            session_token=self.session_token,
            reason="the worker stopped",
        )
        try:
            await self._stub.DeregisterWorker(request, timeout=_CALL_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            _log.warning("left without goodbye", why=status.from_rpc(error).message)

    async def _declare_anew(self) -> None:
        """Register with what is new, as the same instance. A refusal changes nothing: the worker works on."""
        if self._anew is None:
            return
        before, self._declaration = self._declaration, self._anew
        try:
            await self._register()
        except _FINAL as refused:
            self._declaration, self._refusal = before, refused.message
            _log.warning("the registry refuses the new settings", why=refused.message)
        except DevTeamError:
            self._declaration = before
            raise
        self._anew = None
        self._answered.set()

    async def _register(self) -> None:
        declaration = replace(self._declaration, local_models=self._inventory.models)
        request = registry_pb2.RegisterWorkerRequest(
            spec=declaration_to_proto(declaration), instance_id=declaration.instance_id
        )
        try:
            response = await self._stub.RegisterWorker(request, timeout=_CALL_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            raise status.from_rpc(error) from error
        self.session_token = response.session_token
        self._hear_of_routers(response.router_addresses)
        self._interval = response.policy.heartbeat_interval.ToMilliseconds() / 1000
        self._inventory.told(declaration.local_models)
        _log.info("worker registered", worker_id=declaration.worker_id)
        self._on_timings(timings_from_proto(response.policy))

    async def _beat(self) -> None:
        models = self._inventory.models if self._inventory.untold else None
        self._inventory.beaten()
        request = self._heartbeat(models)
        try:
            response = await self._stub.Heartbeat(request, timeout=self._patience())
        except grpc.aio.AioRpcError as error:
            raise status.from_rpc(error) from error
        if models is not None:
            self._inventory.told(models)
        self._interval = response.heartbeat_interval.ToMilliseconds() / 1000
        self._hear_of_routers(response.router_addresses)
        draining = response.availability == registry_pb2.AVAILABILITY_DRAINING
        self._on_wishes(Wishes(response.concurrency, draining, drain_deadline_from_proto(response)))

    def _heartbeat(self, models: Sequence[LocalModel] | None) -> registry_pb2.HeartbeatRequest:
        return registry_pb2.HeartbeatRequest(
            worker_id=self._declaration.worker_id,
            instance_id=self._declaration.instance_id,
            session_token=self.session_token,
            active_tasks=self._active(),
            availability=registry_pb2.AVAILABILITY_DRAINING if self._draining else registry_pb2.AVAILABILITY_OPEN,
            local_models=[local_model_to_proto(model) for model in models or ()],
            set_local_models=models is not None,
            vitals=vitals_to_proto(self._inventory.vitals) if self._inventory.vitals else None,
        )

    def _hear_of_routers(self, addresses: Sequence[str]) -> None:
        # A Registry that has just started knows of none yet: those that it named before may well be there.
        self.router_addresses = tuple(addresses) or self.router_addresses

    def _patience(self) -> float:
        return min(self._interval, max(self._interval * _BEAT_PART, _BEAT_TIMEOUT), _CALL_TIMEOUT)

    def _soon_again(self) -> Backoff:
        return Backoff(self._clock, first=self._interval * _FIRST_PART, longest=self._interval * _LONGEST_PART)

    async def _wait_for_turn(self, seconds: float) -> None:
        timer = self._clock.call_later(seconds, self._due.set)
        try:
            await self._due.wait()
        finally:
            timer.cancel()
            self._due.clear()
