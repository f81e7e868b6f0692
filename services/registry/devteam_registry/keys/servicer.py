"""The keys on the wire: translates and calls."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from devteam.mesh.access.caller import current_caller
from devteam.mesh.access.wire import identity_to_proto
from devteam.mesh.clock import Clock
from devteam.mesh.errors import FailedPrecondition
from devteam.v1 import access_pb2 as pb
from devteam.v1.access_pb2_grpc import AccessServiceServicer
from devteam_registry.convert import keys as convert
from devteam_registry.keys.service import Keys


class AccessServicer(AccessServiceServicer):
    """AccessService of the contract. Without `keys`: of a mesh that asks for none."""

    def __init__(self, keys: Keys | None, clock: Clock) -> None:
        self._known = keys
        self._clock = clock

    async def CreateKey(self, request: pb.CreateKeyRequest, context: object) -> pb.CreateKeyResponse:
        """Make a key."""
        keys, maker = self._keys, current_caller()
        return convert.created_to_proto(
            await keys.create(maker, convert.key_spec_from_proto(request, maker, self._clock.now()))
        )

    async def ListKeys(self, request: pb.ListKeysRequest, context: object) -> pb.ListKeysResponse:
        """A page of keys."""
        return convert.page_to_proto(await self._keys.page(current_caller(), convert.query_from_proto(request)))

    async def RevokeKey(self, request: pb.RevokeKeyRequest, context: object) -> pb.RevokeKeyResponse:
        """End a key."""
        key = await self._keys.revoke(current_caller(), convert.key_id_from_proto(request))
        return pb.RevokeKeyResponse(key=convert.key_to_proto(key))

    async def CreateJoinToken(self, request: pb.CreateJoinTokenRequest, context: object) -> pb.CreateJoinTokenResponse:
        """Make a join token."""
        keys, spec = self._keys, convert.join_spec_from_proto(request, self._clock.now())
        return convert.token_to_proto(*await keys.create_join_token(current_caller(), spec))

    async def JoinWorker(self, request: pb.JoinWorkerRequest, context: object) -> pb.JoinWorkerResponse:
        """Turn a join token into a key."""
        return convert.joined_to_proto(await self._keys.join(*convert.joiner_from_proto(request)))

    async def GetIdentity(self, request: pb.GetIdentityRequest, context: object) -> pb.GetIdentityResponse:
        """Who the caller is."""
        return identity_to_proto(current_caller(), keys_on=self._known is not None)

    async def WatchKeys(
        self, request: pb.WatchKeysRequest, context: object
    ) -> AsyncGenerator[pb.WatchKeysResponse, None]:
        """Every key, then every change."""
        async with aclosing(self._keys.watch()) as events:
            async for event in events:
                yield convert.event_to_proto(event)

    async def GetKeysRevision(self, request: pb.GetKeysRevisionRequest, context: object) -> pb.GetKeysRevisionResponse:
        """How far the changes of keys have come."""
        return pb.GetKeysRevisionResponse(revision=self._keys.revision)

    @property
    def _keys(self) -> Keys:
        if self._known is None:
            raise FailedPrecondition(
                "this mesh asks for no keys: say `devteam up --secure`, or start services with keys on and a mesh key",
                reason="KEYS_OFF",
            )
        return self._known
