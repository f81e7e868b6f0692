"""What the keys are good for, who makes them, and what becomes of them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest
from devteam_registry.convert.keys import event_to_proto
from devteam_registry.keys.domain import JoinSpec, Key, KeyChange, KeyQuery, KeySnapshot
from devteam_registry.keys.service import Keys
from devteam_registry.store.memory_keys import MemoryKeyStore

from devteam.mesh import options
from devteam.mesh.access.caller import Caller, Role
from devteam.mesh.access.keyring import Keyring
from devteam.mesh.errors import (
    DevTeamError,
    FailedPrecondition,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from tests.fakes.clock import FakeClock
from tests.unit.registry.key_rig import OPERATOR, PATIENCE, TEAM_ADMIN, HangingKeys, Rig, denied
from tests.unit.registry.key_samples import MESH, key, key_spec
from tests.unit.registry.samples import NOON


@pytest.fixture
async def rig(clock: FakeClock) -> Rig:
    made = Rig(clock)
    await made.keys.open()
    return made


async def test_a_key_is_known_to_the_keyring_as_soon_as_it_is_made(rig: Rig) -> None:
    made = await rig.create(role=Role.WORKER, queues=("gpu",), worker_id="w1", rate=2.0)
    caller = rig.keyring.identify(made.secret)
    assert caller == Caller(
        Role.WORKER, made.key.key_id, "ci", tenant="team-a", queues=("gpu",), worker_id="w1", rate=2.0
    )
    assert made.secret.startswith("dtw_")


async def test_what_opens_something_is_kept_nowhere(rig: Rig) -> None:
    """Neither in the store nor in what is printed of a key."""
    made = await rig.create()
    token = await rig.token()
    kept = repr(vars(rig.store)) + repr(made)
    assert made.key.key_id in kept
    assert made.secret not in kept
    assert token not in kept


async def test_a_key_that_ends_makes_none_that_still_waits_for_its_turn(clock: FakeClock) -> None:
    """Whoever revokes a stolen key can be sure that no other comes of it from then on."""
    rig = Rig(clock)
    rig.store = store = HangingKeys()
    rig.keys = Keys(store, rig.keyring, clock)
    thief = (await rig.create(role=Role.ADMIN, tenant="")).key
    store.hangs = True
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(rig.create())
        await store.asked.wait()
        waiting = group.create_task(failed(rig.create(thief.record.caller)))
        await asyncio.sleep(0)
        ending = group.create_task(rig.keys.revoke(MESH, thief.key_id))
        await asyncio.sleep(0)
        store.hangs = False
        hanging.cancel()
        assert (await waiting).reason == "CREDENTIALS_INVALID"
        await ending
    assert await rig.names() == []


async def test_of_two_tenants_that_bind_one_id_at_once_one_gets_it(clock: FakeClock) -> None:
    rig = Rig(clock)
    store = HangingKeys()
    rig.keys = Keys(store, rig.keyring, clock)
    store.hangs = True
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(rig.create())
        await store.asked.wait()
        wanted = [
            group.create_task(outcome(rig.create(role=Role.WORKER, tenant=tenant, worker_id="gpu-1")))
            for tenant in ("team-a", "team-b")
        ]
        await asyncio.sleep(0)
        store.hangs = False
        hanging.cancel()
    assert [task.result() for task in wanted] == ["", "WORKER_ID_BOUND"]


async def failed(awaited: Any) -> DevTeamError:
    with pytest.raises(DevTeamError) as caught:
        await awaited
    return caught.value


async def outcome(awaited: Any) -> str:
    try:
        await awaited
    except DevTeamError as error:
        return error.reason
    return ""


async def test_keys_outlive_a_restart(rig: Rig) -> None:
    """In the keyring too; those that were revoked do not."""
    stays, goes = await rig.create(), await rig.create()
    await rig.keys.revoke(MESH, goes.key.key_id)
    keyring = Keyring(rig.clock)
    await Keys(rig.store, keyring, rig.clock).open()
    assert keyring.identify(stays.secret).key_id == stays.key.key_id
    with pytest.raises(Unauthenticated):
        keyring.identify(goes.secret)


async def test_a_revoked_key_opens_nothing_and_its_end_is_told(rig: Rig) -> None:
    """Again is harmless, and keeps the moment."""
    ended: list[str] = []
    rig.keyring.on_ended(ended.append)
    made = await rig.create()
    first = await rig.keys.revoke(MESH, made.key.key_id)
    rig.clock.advance(60)
    again = await rig.keys.revoke(MESH, made.key.key_id)
    assert (first.revoked_at, again.revoked_at, ended) == (NOON, NOON, [made.key.key_id])
    with pytest.raises(Unauthenticated):
        rig.keyring.identify(made.secret)


class StoreThatIsAway(MemoryKeyStore):
    away = False

    async def revoke(self, key_id: str, now: Any) -> None:
        if self.away:
            raise Unavailable("the database cannot be used now")
        await super().revoke(key_id, now)

    async def add(self, key: Key) -> None:
        if self.away:
            raise Unavailable("the database cannot be used now")
        await super().add(key)


async def test_a_revocation_that_cannot_be_stored_holds_all_the_same(clock: FakeClock) -> None:
    """Whoever revokes is told to try again, and can."""
    store, keyring = StoreThatIsAway(), Keyring(clock)
    keys = Keys(store, keyring, clock)
    await keys.open()
    made = await keys.create(MESH, key_spec())
    store.away = True
    with pytest.raises(Unavailable):
        await keys.revoke(MESH, made.key.key_id)
    with pytest.raises(Unauthenticated):
        keyring.identify(made.secret)
    store.away = False
    await keys.revoke(MESH, made.key.key_id)
    assert await store.load_valid(clock.now()) == []


async def test_a_key_that_cannot_be_stored_is_none(clock: FakeClock) -> None:
    store, keyring = StoreThatIsAway(), Keyring(clock)
    store.away = True
    keys = Keys(store, keyring, clock)
    with pytest.raises(Unavailable):
        await keys.create(MESH, key_spec())
    async with aclosing(keys.watch()) as watch:
        assert await _keys_in(watch) == ()


async def test_an_admin_of_a_tenant_makes_keys_of_that_tenant(rig: Rig) -> None:
    """Also where the tenant is not named; none of another, and none of all."""
    admin = await rig.admin()
    made = await rig.create(admin, role=Role.ADMIN, tenant="")
    assert made.key.spec.tenant == "team-a"
    assert made.key.created_by == admin.key_id
    assert await denied(rig.create(admin, tenant="team-b")) == "TENANT_NOT_ALLOWED"


async def test_a_key_has_no_queue_that_its_maker_has_not(rig: Rig) -> None:
    """No queues means all of them, which is more."""
    admin = await rig.admin(tenant="", queues=("gpu", "gpu-2"))
    assert (await rig.create(admin, queues=("gpu",))).key.spec.queues == ("gpu",)
    assert await denied(rig.create(admin, queues=("gpu", "cpu"))) == "QUEUE_NOT_ALLOWED"
    assert await denied(rig.create(admin)) == "QUEUE_NOT_ALLOWED"


@pytest.mark.parametrize("role", [Role.CLIENT, Role.WORKER, Role.OPERATOR])
async def test_nobody_but_admins_and_the_mesh_key_makes_keys(rig: Rig, role: Role) -> None:
    """Whatever a table of calls may say elsewhere."""
    assert await denied(rig.create(Caller(role))) == "ROLE_NOT_ALLOWED"


@pytest.mark.parametrize("maker", [MESH, Caller(Role.ADMIN)])
async def test_nobody_makes_a_key_of_services(rig: Rig, maker: Caller) -> None:
    assert await denied(rig.create(maker, role=Role.SERVICE)) == "ROLE_NOT_ALLOWED"


async def test_a_key_ends_and_strangers_are_refused_while_the_store_keeps_others_waiting(rig: Rig) -> None:
    rig.store = store = HangingKeys()
    rig.keys = Keys(store, rig.keyring, rig.clock)
    made, over = await rig.create(), asyncio.Event()
    rig.keyring.on_ended(lambda _: over.set())
    store.hangs = True
    async with asyncio.timeout(PATIENCE):
        creating = asyncio.create_task(rig.create(name="another"))
        await store.asked.wait()
        revoking = asyncio.create_task(rig.keys.revoke(MESH, made.key.key_id))
        await over.wait()
        with pytest.raises(Unauthenticated):
            rig.keyring.identify(made.secret)
        with pytest.raises(Unauthenticated):
            await rig.keys.join("dtj_11111111_" + "1" * 34, "w1")
        creating.cancel()
        await asyncio.wait([creating])
        assert (await revoking).revoked_at == NOON


async def test_an_operator_lets_workers_join_its_own_tenant_and_queues(rig: Rig) -> None:
    secret = await rig.token(OPERATOR, queues=("gpu",))
    joined = await rig.keys.join(secret, "w1")
    assert (joined.key.spec.tenant, joined.key.spec.queues) == ("team-a", ("gpu",))
    assert await denied(rig.token(OPERATOR, queues=("cpu",))) == "QUEUE_NOT_ALLOWED"
    assert await denied(rig.token(OPERATOR)) == "QUEUE_NOT_ALLOWED"
    assert await denied(rig.token(OPERATOR, queues=("gpu",), tenant="team-b")) == "TENANT_NOT_ALLOWED"


async def test_an_admin_of_a_tenant_sees_and_revokes_its_keys_only(rig: Rig) -> None:
    """Another tenant's, and one of all tenants, exist for it as little as one that does not exist."""
    ours, theirs = await rig.create(name="ours"), await rig.create(name="theirs", tenant="team-b")
    of_all = await rig.create(name="all", role=Role.ADMIN, tenant="")
    assert await rig.names(TEAM_ADMIN) == ["ours"]
    assert len(await rig.names()) == 3
    for unseen in (theirs.key.key_id, of_all.key.key_id, "nobody11"):
        with pytest.raises(NotFound) as caught:
            await rig.keys.revoke(TEAM_ADMIN, unseen)
        assert caught.value.message == f"no key named {unseen!r}"
    assert (await rig.keys.revoke(TEAM_ADMIN, ours.key.key_id)).revoked_at == NOON
    assert rig.keyring.identify(theirs.secret)


async def test_a_watch_tells_what_there_is_and_what_changes(rig: Rig) -> None:
    known, expiring = await rig.create(), await rig.create(expires_at=NOON + timedelta(seconds=1))
    rig.clock.advance(1)
    async with aclosing(rig.keys.watch()) as watch:
        assert await _keys_in(watch) == (known.key,)
        new = await rig.create()
        assert await _key_in(watch) == new.key
        revoked = await rig.keys.revoke(MESH, known.key.key_id)
        assert await _key_in(watch) == revoked
        await rig.keys.revoke(MESH, expiring.key.key_id)


async def test_a_watcher_that_fell_behind_begins_anew(clock: FakeClock) -> None:
    """What was made and revoked meanwhile is let in nowhere, not for a moment."""
    rig = Rig(clock, backlog=1)
    async with aclosing(rig.keys.watch()) as watch:
        assert await _keys_in(watch) == ()
        stays, gone = await rig.create(name="stays"), await rig.create(name="gone")
        await rig.keys.revoke(MESH, gone.key.key_id)
        assert await _end_of(watch) == "SLOW_CONSUMER"
    async with aclosing(rig.keys.watch()) as again:
        assert await _keys_in(again) == (stays.key,)


async def test_what_is_told_says_how_far_it_goes(rig: Rig) -> None:
    """And a Registry that starts again is further than the one before ever was."""
    before = rig.keys.revision
    async with aclosing(rig.keys.watch()) as watch:
        snapshot = await anext(watch)
        made = await rig.create()
        changed = await anext(watch)
    assert snapshot.revision == before
    assert changed == KeyChange(made.key, rig.keys.revision)
    assert changed.revision > before
    await rig.keys.revoke(MESH, made.key.key_id)
    await rig.keys.revoke(MESH, made.key.key_id)
    assert rig.keys.revision == changed.revision + 1
    rig.clock.advance(0.001)
    assert Keys(rig.store, rig.keyring, rig.clock).revision > rig.keys.revision


async def test_a_watch_ends_when_the_registry_does(rig: Rig) -> None:
    async with aclosing(rig.keys.watch()) as watch:
        await anext(watch)
        await rig.keys.stop_watches()
        assert await _end_of(watch) == "DRAINING"
    async with aclosing(rig.keys.watch()) as late:
        assert await _end_of(late) == "DRAINING"


async def _keys_in(watch: AsyncGenerator[KeySnapshot | KeyChange, None]) -> tuple[Key, ...]:
    snapshot = await anext(watch)
    assert isinstance(snapshot, KeySnapshot)
    return snapshot.keys


async def _key_in(watch: AsyncGenerator[KeySnapshot | KeyChange, None]) -> Key:
    change = await anext(watch)
    assert isinstance(change, KeyChange)
    return change.key


async def _end_of(watch: AsyncGenerator[Any, None]) -> str:
    with pytest.raises(DevTeamError) as caught:
        await anext(watch)
    return caught.value.reason


class CountingStore(MemoryKeyStore):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[int] = []
        self.away = False

    async def note_uses(self, uses: Any) -> None:
        if self.away:
            raise Unavailable("the database cannot be used now")
        self.writes.append(len(uses))
        await super().note_uses(uses)


async def test_the_use_of_keys_is_written_behind_and_to_the_minute(clock: FakeClock) -> None:
    """However many calls there are; what could not be written is written the next time."""
    store, keyring = CountingStore(), Keyring(clock)
    keys = Keys(store, keyring, clock)
    made = [await keys.create(MESH, key_spec(f"k{number}")) for number in range(3)]
    clock.advance(70)
    for _ in range(100):
        keyring.identify(made[0].secret)
        keyring.identify(made[1].secret)
    assert store.writes == []
    store.away = True
    with pytest.raises(Unavailable):
        await keys.close()
    store.away = False
    await keys.close()
    await keys.close()
    keyring.identify(made[0].secret)
    await keys.close()
    assert store.writes == [2]
    minute = NOON + timedelta(minutes=1)
    used = [key.last_used_at for key in (await keys.page(MESH, KeyQuery())).keys]
    assert sorted(used, key=str) == [minute, minute, None]


async def test_there_are_never_more_keys_than_services_can_be_told_of(clock: FakeClock) -> None:
    """One message holds them all; a key that ends makes room."""
    store, keyring = MemoryKeyStore(), Keyring(clock)
    fat: dict[str, Any] = {"queues": tuple(f"{number:0128}" for number in range(100)), "name": "и" * 128}
    for number in range(280):
        await store.add(key(**fat, tenant=f"team-{number % 3}"))
    keys = Keys(store, keyring, clock)
    await keys.open()
    made = await keys.create(MESH, key_spec(**fat))

    async def fill() -> None:
        for _ in range(20):
            await keys.create(MESH, key_spec(**fat))

    with pytest.raises(FailedPrecondition) as caught:
        await fill()
    assert caught.value.reason == "TOO_MANY_KEYS"
    token, _ = await keys.create_join_token(
        MESH, JoinSpec(queues=fat["queues"], expires_at=NOON + timedelta(minutes=1))
    )
    with pytest.raises(FailedPrecondition) as caught:
        await keys.join(token, "w1")
    assert caught.value.reason == "TOO_MANY_KEYS"
    async with aclosing(keys.watch()) as watch:
        told = event_to_proto(await anext(watch))
        assert 3_500_000 < told.ByteSize() < options.MAX_MESSAGE_BYTES
    await keys.revoke(MESH, made.key.key_id)
    await keys.create(MESH, key_spec(**fat))
