"""Workers that join with a token, and the ids that their keys are bound to."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from devteam_registry.keys.service import Keys

from devteam.mesh.access.caller import Role
from devteam.mesh.errors import (
    AlreadyExists,
    InvalidInput,
    PermissionDenied,
    Unauthenticated,
)
from tests.fakes.clock import FakeClock
from tests.unit.registry.key_rig import Rig, StaleTokens, denied
from tests.unit.registry.key_samples import MESH
from tests.unit.registry.samples import NOON


@pytest.fixture
async def rig(clock: FakeClock) -> Rig:
    made = Rig(clock)
    await made.keys.open()
    return made


async def test_a_worker_that_joins_has_a_key_of_its_own(rig: Rig) -> None:
    maker = (await rig.create(role=Role.OPERATOR)).key
    secret = await rig.token(maker.record.caller, queues=("gpu",))
    joined = await rig.keys.join(secret, "gpu-box")
    spec = joined.key.spec
    assert (spec.role, spec.worker_id, spec.name, spec.queues) == (Role.WORKER, "gpu-box", "gpu-box", ("gpu",))
    assert joined.key.created_by == maker.key_id
    assert rig.keyring.identify(joined.secret).worker_id == "gpu-box"


async def test_the_same_is_said_of_every_token_that_lets_nobody_join(rig: Rig) -> None:
    """Unknown, mistyped, used, expired, or made by a key that was revoked."""
    used, expiring = await rig.token(), await rig.token(minutes=1)
    maker = (await rig.create(role=Role.OPERATOR)).key
    orphan = await rig.token(maker.record.caller)
    await rig.keys.join(used, "w1")
    rig.clock.advance(60)
    await rig.keys.revoke(MESH, maker.key_id)
    said = set()
    for secret in (used, expiring, orphan, "dtj_11111111_" + "1" * 34, "nonsense", ""):
        with pytest.raises(Unauthenticated) as caught:
            await rig.keys.join(secret, "w2")
        said.add((caught.value.reason, caught.value.message))
    assert [reason for reason, _ in said] == ["JOIN_TOKEN_INVALID"]


async def test_a_token_ends_when_the_key_that_made_it_expires(rig: Rig) -> None:
    maker = (await rig.create(role=Role.OPERATOR, expires_at=NOON + timedelta(seconds=30))).key
    orphan = await rig.token(maker.record.caller)
    rig.clock.advance(30)
    with pytest.raises(Unauthenticated) as caught:
        await rig.keys.join(orphan, "w1")
    assert caught.value.reason == "JOIN_TOKEN_INVALID"


async def test_of_two_that_join_with_one_token_at_the_same_time_one_does(rig: Rig) -> None:
    secret = await rig.token()
    ends = await asyncio.gather(*(rig.keys.join(secret, f"w{n}") for n in range(5)), return_exceptions=True)
    refused = [end for end in ends if isinstance(end, Unauthenticated)]
    assert len(refused) == 4
    assert len(await rig.names()) == 1


async def test_of_two_registries_one_lets_a_worker_join(rig: Rig) -> None:
    """Both saw the token open; only the store knows that it was used since."""
    rig.store = store = StaleTokens()
    rig.keys = Keys(store, rig.keyring, rig.clock)
    secret = await rig.token()
    await rig.keys.join(secret, "w1")
    with pytest.raises(Unauthenticated) as caught:
        await rig.keys.join(secret, "w2")
    assert (caught.value.reason, rig.keyring.bound_to("w2")) == ("JOIN_TOKEN_INVALID", "")


async def test_a_token_for_one_worker_is_for_that_worker(rig: Rig) -> None:
    """To try another id does not use it up; no id means its own."""
    secret = await rig.token(worker_id="gpu-box")
    assert await denied(rig.keys.join(secret, "cpu-box")) == "WORKER_ID_BOUND"
    assert (await rig.keys.join(secret, "")).key.spec.worker_id == "gpu-box"


async def test_a_worker_needs_an_id(rig: Rig) -> None:
    secret = await rig.token()
    with pytest.raises(InvalidInput) as caught:
        await rig.keys.join(secret, "")
    assert [violation.field for violation in caught.value.violations] == ["worker_id"]
    await rig.keys.join(secret, "w1")


async def test_an_id_is_bound_until_its_key_ends(rig: Rig) -> None:
    """Whoever asks for it keeps the token."""
    first = await rig.keys.join(await rig.token(), "w1")
    secret = await rig.token()
    with pytest.raises(AlreadyExists) as caught:
        await rig.keys.join(secret, "w1")
    assert (caught.value.reason, rig.keyring.bound_to("w1")) == ("WORKER_ID_BOUND", first.key.key_id)
    await rig.keys.revoke(MESH, first.key.key_id)
    assert (await rig.keys.join(secret, "w1")).key.key_id == rig.keyring.bound_to("w1") != first.key.key_id


@pytest.mark.parametrize("whose", ["team-b", ""], ids=["another tenant's", "every tenant's"])
async def test_a_tenant_binds_no_key_to_a_living_worker_that_is(rig: Rig, whose: str) -> None:
    """By no way to a key; whoever is of no tenant may, and the tenant itself."""
    rig.living["w1"] = whose
    assert await denied(rig.keys.join(await rig.token(tenant="team-a"), "w1")) == "WORKER_ID_BOUND"
    bound: dict[str, Any] = {"role": Role.WORKER, "tenant": "team-a", "worker_id": "w1"}
    assert await denied(rig.create(await rig.admin(), **bound)) == "WORKER_ID_BOUND"
    assert (await rig.keys.join(await rig.token(tenant=whose), "w1")).key.spec.worker_id == "w1"
    assert (await rig.create(**{**bound, "tenant": ""})).key.spec.worker_id == "w1"


async def test_a_tenant_binds_no_second_key_to_anothers_worker(rig: Rig) -> None:
    """And does not hear which key is bound to it. Its own may be followed by a new one."""
    await rig.create(role=Role.WORKER, tenant="team-b", worker_id="w1")
    with pytest.raises(PermissionDenied) as caught:
        await rig.keys.join(await rig.token(tenant="team-a"), "w1")
    assert rig.keyring.bound_to("w1") not in caught.value.message
    assert await denied(rig.create(await rig.admin(), role=Role.WORKER, worker_id="w1")) == "WORKER_ID_BOUND"
    await rig.create(role=Role.WORKER, tenant="team-b", worker_id="w1")
