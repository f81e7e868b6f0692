"""Registries whose services hear of new keys late, or cannot ask whether there are any."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from devteam.mesh.access.key import MintedKey, mint
from devteam.testing.refusals import refused
from devteam.v1 import access_pb2 as pb
from devteam.v1.access_pb2_grpc import AccessServiceServicer


class _ToldOf(AccessServiceServicer):
    """Tells services of keys, and does nothing else."""

    CreateKey = ListKeys = RevokeKey = CreateJoinToken = JoinWorker = GetIdentity = refused


@dataclass
class SlowRegistry(_ToldOf):
    """Has made a key, and tells of it once it may."""

    made: MintedKey = field(default_factory=lambda: mint("c"))
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    tells: asyncio.Event = field(default_factory=asyncio.Event)

    async def WatchKeys(self, request: pb.WatchKeysRequest, context: Any) -> AsyncGenerator[pb.WatchKeysResponse, None]:
        """No key, then the one."""
        yield pb.WatchKeysResponse(snapshot=pb.WatchKeysResponse.Snapshot(), revision=1)
        await self.tells.wait()
        key = pb.Key(key_id=self.made.key_id, spec=pb.KeySpec(name="ci", role=pb.ROLE_CLIENT, tenant="team-a"))
        yield pb.WatchKeysResponse(changed=pb.KeyRecord(key=key, digest=self.made.digest), revision=2)
        await asyncio.Event().wait()

    async def GetKeysRevision(self, request: pb.GetKeysRevisionRequest, context: Any) -> pb.GetKeysRevisionResponse:
        """The one has been made."""
        self.asked.set()
        return pb.GetKeysRevisionResponse(revision=2)


class OldRegistry(_ToldOf):
    """Knows no revisions: it is older than they are."""

    # What gRPC's own stub does with a method that it has no handler for.
    GetKeysRevision = AccessServiceServicer.GetKeysRevision

    async def WatchKeys(self, request: pb.WatchKeysRequest, context: Any) -> AsyncGenerator[pb.WatchKeysResponse, None]:
        """No key."""
        yield pb.WatchKeysResponse(snapshot=pb.WatchKeysResponse.Snapshot())
        await asyncio.Event().wait()
