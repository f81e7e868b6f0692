"""Follows the keys that the Registry owns, in a process of its own."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import grpc
import structlog

from devteam.mesh import status
from devteam.mesh.access.catching_up import CatchingUp
from devteam.mesh.access.keyring import Keyring
from devteam.mesh.access.wire import record_from_proto
from devteam.mesh.address import without_secrets
from devteam.mesh.clock import Clock
from devteam.mesh.errors import DevTeamError, Unavailable
from devteam.mesh.standing import Footing
from devteam.mesh.tasks import Backoff
from devteam.v1 import access_pb2
from devteam.v1.access_pb2_grpc import AccessServiceStub

if TYPE_CHECKING:  # the stubs' types name it, the generated code does not
    from devteam.v1.access_pb2_grpc import AccessServiceAsyncStub

_log = structlog.get_logger()

# Seconds between two tries at most, together with the channel's own under one: whoever was let in by a key that was
# revoked while the Registry was away stays so long.
_LONGEST_PAUSE = 0.4
_NOT_KNOWN = (
    "no key is known here yet, so that whoever shows one is told to try again: see whether the Registry runs there, "
    "with keys, and has the same mesh key"
)
_AWAY = (
    "the Registry does not tell of keys, so that they are taken as they were known last; one that was revoked since "
    "is still let in: see whether it runs there, and has the same mesh key"
)


class Following:
    """What is to be followed, if anything: `run` has to run beside the service, `footings` tell how that stands."""

    def __init__(self, follower: "KeyFollower | None" = None) -> None:
        self._follower = follower
        self.footings: tuple[Footing, ...] = (follower.footing,) if follower else ()

    async def run(self) -> None:
        """Follow for ever, or return at once."""
        if self._follower is not None:
            await self._follower.run()


def followed(keyring: Keyring | None, channel: grpc.aio.Channel, address: str, clock: Clock) -> Following:
    """How a service knows the keys of the Registry at `address`; without a keyring it asks nobody for one."""
    return Following() if keyring is None else Following(KeyFollower(keyring, channel, address, clock))


class KeyFollower:
    """Keeps `keyring` as the Registry at `address` says, over `channel`, which is eager and shows the mesh key.

    A key that the keyring does not know may be new: it asks here whether something is missing. `footing` tells how that
    stands; `run` has to run beside the service.
    """

    def __init__(self, keyring: Keyring, channel: grpc.aio.Channel, address: str, clock: Clock) -> None:
        self.footing = Footing("keys", without_secrets(address), clock)
        self.footing.found(_NOT_KNOWN)
        self._keyring = keyring
        self._catching_up = CatchingUp(self._revision, clock)
        keyring.on_unknown(self._catch_up)
        self._stub: AccessServiceAsyncStub = AccessServiceStub(channel)
        self._clock = clock
        # What is lost at the start is said, too.
        self._following = True

    async def run(self) -> None:
        """Follow for ever. While the Registry is away, what it said last holds."""
        backoff = Backoff(self._clock, longest=_LONGEST_PAUSE)
        while True:
            try:
                await self._follow(backoff.reset)
            except DevTeamError as error:
                self._lost(error)
            await backoff.pause()

    async def _catch_up(self) -> None:
        # While the Registry is away nothing new comes from it.
        if self._following:
            await self._catching_up.wait()

    async def _revision(self) -> int:
        try:
            return (await self._stub.GetKeysRevision(access_pb2.GetKeysRevisionRequest())).revision
        except grpc.aio.AioRpcError as error:
            raise status.from_rpc(error) from error

    async def _follow(self, spoke: Callable[[], None]) -> None:
        call = self._stub.WatchKeys(access_pb2.WatchKeysRequest())
        try:
            async for response in call:
                spoke()
                self._hear(response)
        except grpc.aio.AioRpcError as error:
            raise status.from_rpc(error) from error
        finally:
            call.cancel()
        raise Unavailable("the watch ended")

    def _hear(self, response: access_pb2.WatchKeysResponse) -> None:
        match response.WhichOneof("event"):
            case "snapshot":
                records = [record_from_proto(record) for record in response.snapshot.records]
                self._keyring.replace(record for record in records if record is not None)
                self._following = True
                self.footing.found()
            case "changed":
                if (record := record_from_proto(response.changed)) is not None:
                    self._keyring.put(record)
        self._catching_up.heard(response.revision)

    def _lost(self, error: DevTeamError) -> None:
        # Once an outage: every try would say the same.
        if self._following:
            _log.warning("keys are taken as they were known last", why=error.message)
        self._following = False
        self.footing.found(_AWAY if self._keyring.is_told else _NOT_KNOWN)
