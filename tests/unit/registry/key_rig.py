"""The keys of a Registry, with all that is around them in memory."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from devteam_registry.keys.domain import JoinSpec, JoinToken, Key, KeyQuery, Made
from devteam_registry.keys.service import Keys
from devteam_registry.store.memory_keys import MemoryKeyStore

from devteam.mesh.access.caller import Caller, Role
from devteam.mesh.access.keyring import Keyring
from devteam.mesh.errors import (
    PermissionDenied,
)
from tests.fakes.clock import FakeClock
from tests.unit.registry.key_samples import MESH, key_spec

PATIENCE = 60.0
TEAM_ADMIN = Caller(Role.ADMIN, key_id="teamAdmn", tenant="team-a")
OPERATOR = Caller(Role.OPERATOR, tenant="team-a", queues=("gpu",))


class Rig:
    """The keys, the keyring that they fill, and what remembers them."""

    def __init__(self, clock: FakeClock, *, backlog: int = 100) -> None:
        # Whose the workers are that live.
        self.living: dict[str, str] = {}
        self.clock = clock
        self.store = MemoryKeyStore()
        self.keyring = Keyring(clock)
        self.keys = Keys(self.store, self.keyring, clock, watcher_backlog=backlog, tenant_of=self.living.get)

    async def create(self, maker: Caller = MESH, **spec: Any) -> Made:
        return await self.keys.create(maker, key_spec(**spec))

    async def admin(self, **spec: Any) -> Caller:
        """One whose key is valid, of team-a unless said otherwise."""
        return (await self.create(name="admin", role=Role.ADMIN, **spec)).key.record.caller

    async def token(self, maker: Caller = MESH, **spec: Any) -> str:
        minutes = spec.pop("minutes", 10)
        wanted = JoinSpec(expires_at=self.clock.now() + timedelta(minutes=minutes), **spec)
        return (await self.keys.create_join_token(maker, wanted))[0]

    async def names(self, asker: Caller = MESH, **query: Any) -> list[str]:
        return [key.spec.name for key in (await self.keys.page(asker, KeyQuery(**query))).keys]


class HangingKeys(MemoryKeyStore):
    """Never answers whoever adds a key."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs = False
        self.asked = asyncio.Event()

    async def add(self, key: Key) -> None:
        if self.hangs:
            self.asked.set()
            await asyncio.Event().wait()
        await super().add(key)


class StaleTokens(MemoryKeyStore):
    """Reads every token as it was made, as one does who read it a moment before another used it."""

    async def find_token(self, digest: bytes) -> JoinToken | None:
        token = await super().find_token(digest)
        return token and replace(token, used_at=None)


async def denied(awaited: Any) -> str:
    with pytest.raises(PermissionDenied) as caught:
        await awaited
    return caught.value.reason
