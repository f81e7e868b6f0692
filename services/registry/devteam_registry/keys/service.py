"""The keys: who may have which, and what becomes of them."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

import structlog

from devteam.mesh.access.caller import Caller, Role
from devteam.mesh.access.key import MintedKey, digest_of, mint
from devteam.mesh.access.keyring import Keyring, invalid_key
from devteam.mesh.clock import Clock
from devteam.mesh.errors import AlreadyExists, NotFound
from devteam_registry import owners
from devteam_registry.changes import Changes
from devteam_registry.journal import in_time
from devteam_registry.keys.domain import (
    JoinSpec,
    JoinToken,
    Key,
    KeyChange,
    KeyPage,
    KeyQuery,
    KeySnapshot,
    KeySpec,
    Made,
)
from devteam_registry.keys.joining import agreed_id, not_open
from devteam_registry.keys.ports import KeyStore
from devteam_registry.keys.scope import key_within, token_within
from devteam_registry.keys.uses import Uses
from devteam_registry.keys.valid import ValidKeys

_log = structlog.get_logger()

_KIND = {Role.CLIENT: "c", Role.WORKER: "w", Role.OPERATOR: "o", Role.ADMIN: "a"}
_JOIN = "j"


class Keys:
    """Owner of the keys. `open` it before use; `run` has to run beside it.

    What holds is told to `keyring` first of all: a key that is revoked opens nothing from then on. `tenant_of` tells
    whose the living worker of an id is; None: there is none that a key registered.
    """

    def __init__(
        self,
        store: KeyStore,
        keyring: Keyring,
        clock: Clock,
        *,
        minted: Callable[[str], MintedKey] = mint,
        tenant_of: Callable[[str], str | None] = lambda _: None,
        watcher_backlog: int = 10_000,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._minted = minted
        self._tenant_of = tenant_of
        self._valid = ValidKeys(clock)
        self._changes = Changes[KeyChange](watcher_backlog)
        # From the wall clock on, so that it is further after a restart than it was before.
        self._revision = int(clock.now().timestamp() * 1_000_000)
        self._uses = Uses(store, clock, keyring.taken_uses)
        self._turn = asyncio.Lock()

    @property
    def revision(self) -> int:
        """How far the changes have come."""
        return self._revision

    async def open(self) -> None:
        """Take up what the store remembers. Raises Unavailable."""
        self._valid.replace(await self._store.load_valid(self._clock.now()))
        self._keyring.replace(key.record for key in self._valid.all())

    async def run(self) -> None:
        """Write down which keys were used, for ever."""
        await self._uses.run()

    async def close(self) -> None:
        """Write what is still unwritten. Raises Unavailable."""
        await self._uses.write()

    async def create(self, maker: Caller, spec: KeySpec) -> Made:
        """Make a key.

        Raises PermissionDenied for one that is worth more than the maker's or bound to another tenant's worker,
        Unauthenticated when the maker's has ended, FailedPrecondition when there are too many, or Unavailable.
        """
        spec = key_within(maker, spec)
        minted = self._minted(_KIND[spec.role])
        key = self._key(minted, spec, maker.key_id)
        async with self._turn:
            # What was true when the call began need not be: others had their turns before.
            if not self._is_valid(maker.key_id):
                raise invalid_key()
            self._refuse_foreign(spec.worker_id, spec.tenant)
            self._valid.refuse_beyond(key)
            async with in_time():
                await self._store.add(key)
            self._take_up(key)
        _log.info("key created", key_id=key.key_id, role=spec.role.value, tenant=spec.tenant, by=maker.key_id)
        return Made(key, minted.secret)

    async def page(self, asker: Caller, query: KeyQuery) -> KeyPage:
        """Keys as the asker may know them. Raises Unavailable."""
        async with in_time():
            page = await self._store.page(replace(query, tenant=asker.tenant), self._clock.now())
        return KeyPage(tuple(self._as_known(key) for key in page.keys), page.more)

    async def revoke(self, asker: Caller, key_id: str) -> Key:
        """End a key: at once, even where that cannot be stored. Raises NotFound, or Unavailable: then try again."""
        key = self._valid.get(key_id)
        if key is not None:
            # Before its turn comes: a store that hangs may keep others in theirs.
            key = self._ended(asker, key)
        async with self._turn:
            key = key or self._ended(asker, await self._stored(key_id))
            async with in_time():
                await self._store.revoke(key_id, key.revoked_at or self._clock.now())
        _log.info("key revoked", key_id=key_id, by=asker.key_id)
        return self._as_known(key)

    async def create_join_token(self, maker: Caller, spec: JoinSpec) -> tuple[str, JoinSpec]:
        """Make a token. Raises PermissionDenied for one that is worth more than the maker's key, or Unavailable."""
        minted, spec = self._minted(_JOIN), token_within(maker, spec)
        async with in_time():
            token = JoinToken(digest=minted.digest, spec=spec, created_by=maker.key_id)
            await self._store.add_token(token, self._clock.now())
        _log.info("join token created", tenant=spec.tenant, worker_id=spec.worker_id, by=maker.key_id)
        return minted.secret, spec

    async def join(self, secret: str, worker_id: str) -> Made:
        """Turn a token into a worker's own key; an empty id leaves it to the token.

        Raises Unauthenticated, InvalidInput where neither names an id, PermissionDenied for another id than the
        token's or that of another tenant's worker, AlreadyExists where a valid key is bound to the id,
        FailedPrecondition when there are too many keys, or Unavailable.
        """
        # Whoever only tries tokens gets no turn, and so keeps nobody out of theirs.
        await self._open_token(secret)
        async with self._turn:
            token = await self._open_token(secret)
            worker_id = agreed_id(token, worker_id)
            self._refuse_foreign(worker_id, token.spec.tenant)
            self._refuse_bound(worker_id)
            spec = KeySpec(
                name=worker_id,
                role=Role.WORKER,
                tenant=token.spec.tenant,
                queues=token.spec.queues,
                worker_id=worker_id,
            )
            minted = self._minted(_KIND[Role.WORKER])
            key = self._key(minted, spec, token.created_by)
            self._valid.refuse_beyond(key)
            async with in_time():
                won = await self._store.use_token(token.digest, key, self._clock.now())
            if not won:
                raise not_open()
            self._take_up(key)
        _log.info("worker joined", key_id=key.key_id, worker_id=worker_id, tenant=spec.tenant)
        return Made(key, minted.secret)

    async def watch(self) -> AsyncGenerator[KeySnapshot | KeyChange, None]:
        """Every key that has not ended, then every change.

        Raises ResourceExhausted (SLOW_CONSUMER) or, at the end, Unavailable.
        """
        with self._changes.subscribed() as feed:
            yield KeySnapshot(self._valid.all(), self._revision)
            while True:
                yield await feed.next()

    async def stop_watches(self) -> None:
        """End every watch, so that a stopping server need not wait for them."""
        self._changes.stop()

    def _key(self, minted: MintedKey, spec: KeySpec, created_by: str) -> Key:
        now = self._clock.now()
        return Key(key_id=minted.key_id, spec=spec, digest=minted.digest, created_at=now, created_by=created_by)

    def _take_up(self, key: Key) -> None:
        self._valid.add(key)
        self._tell(key)

    def _ended(self, asker: Caller, key: Key) -> Key:
        """The key as it is once the asker has ended it. Raises NotFound for another tenant's."""
        asker.find(key.spec.tenant, "key", key.key_id)
        if key.revoked_at is None:
            key = replace(key, revoked_at=self._clock.now())
            self._valid.remove(key.key_id)
            self._tell(key)
        return key

    def _tell(self, key: Key) -> None:
        self._revision += 1
        self._keyring.put(key.record)
        self._changes.publish(KeyChange(key, self._revision))

    async def _stored(self, key_id: str) -> Key:
        async with in_time():
            key = await self._store.get(key_id)
        if key is None:
            raise NotFound("key", key_id)
        return key

    async def _open_token(self, secret: str) -> JoinToken:
        async with in_time():
            token = await self._store.find_token(digest_of(secret))
        if token is None or not token.is_open(self._clock.now()) or not self._is_valid(token.created_by):
            raise not_open()
        return token

    def _is_valid(self, maker: str) -> bool:
        return not maker or self._valid.holds(maker)

    def _refuse_bound(self, worker_id: str) -> None:
        if key_id := self._keyring.bound_to(worker_id):
            raise AlreadyExists(
                f"the key {key_id} is bound to worker {worker_id!r}: revoke it first, or choose another id",
                reason="WORKER_ID_BOUND",
            )

    def _refuse_foreign(self, worker_id: str, tenant: str) -> None:
        """A tenant that could bind a key to any id could take another's workers off the mesh, or keep them off."""
        if not worker_id or not tenant:
            return
        bound = self._valid.get(self._keyring.bound_to(worker_id))
        holders = (self._tenant_of(worker_id), bound.spec.tenant if bound else None)
        if any(whose not in (None, tenant) for whose in holders):
            raise owners.taken(worker_id, "choose another id, or ask an admin of the mesh")

    def _as_known(self, key: Key) -> Key:
        return replace(key, last_used_at=self._uses.last(key.key_id) or key.last_used_at)
