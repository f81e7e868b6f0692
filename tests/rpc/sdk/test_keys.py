"""What a client does with keys, and what a fake mesh makes of it."""

from datetime import UTC, datetime, timedelta

import pytest

from devteam import Identity, Role
from devteam.errors import FailedPrecondition, InvalidInput, PermissionDenied, Unauthenticated
from devteam.testing import FakeMesh


async def test_a_key_is_made_used_and_revoked() -> None:
    """Its secret is in nothing that is printed."""
    async with FakeMesh(keys=True) as mesh, mesh.client(api_key=mesh.mesh_key) as admin:
        made = await admin.create_key(
            "ci", role="client", tenant="team-a", queues=["gpu"], expires=timedelta(days=90), rate=2.5
        )
        assert made.secret not in repr(made)
        assert (made.key.role, made.key.queues, made.key.rate) == (Role.CLIENT, ("gpu",), 2.5)
        assert made.key.expires_at is not None
        assert timedelta(days=89) < made.key.expires_at - datetime.now(UTC) < timedelta(days=91)
        async with mesh.client(api_key=made.secret) as client:
            who = await client.identity()
            assert (who.key_id, who.tenant, who.keys_on) == (made.key.id, "team-a", True)
            await client.create_task("hello", model="sim")
            with pytest.raises(PermissionDenied):
                await client.list_keys()
            assert await admin.list_keys() == [made.key]
            revoked = await admin.revoke_key(made.key.id)
            assert revoked.revoked_at is not None
            with pytest.raises(Unauthenticated):
                await client.identity()
        assert await admin.list_keys() == []
        assert await admin.list_keys(include_ended=True) == [revoked]


async def test_a_worker_joins_once() -> None:
    async with FakeMesh(keys=True) as mesh, mesh.client(api_key=mesh.mesh_key) as admin:
        token = await admin.create_join_token(queues=["gpu-queue"])
        assert token.token not in repr(token)
        async with mesh.client(api_key="") as stranger:
            joined = await stranger.join_worker(token.token, "gpu-box")
            with pytest.raises(Unauthenticated) as caught:
                await stranger.join_worker(token.token, "gpu-box")
        assert caught.value.reason == "JOIN_TOKEN_INVALID"
        assert (joined.key.role, joined.key.worker_id, joined.key.queues) == (Role.WORKER, "gpu-box", ("gpu-queue",))


async def test_a_mesh_without_keys_knows_everyone_as_an_admin() -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        assert await client.identity() == Identity(role=Role.ADMIN)
        with pytest.raises(FailedPrecondition) as caught:
            await client.create_key("ci", role=Role.CLIENT, tenant="team-a")
    assert caught.value.reason == "KEYS_OFF"


async def test_a_mesh_with_keys_asks_for_one() -> None:
    async with FakeMesh(keys=True) as mesh, mesh.client(api_key="") as client:
        with pytest.raises(Unauthenticated):
            await client.create_task("hello", model="sim")


async def test_what_is_wrong_with_a_key_is_said_before_anybody_is_asked() -> None:
    async with FakeMesh(keys=True) as mesh, mesh.client(api_key=mesh.mesh_key) as admin:
        with pytest.raises(InvalidInput, match="known are client, worker, operator, admin"):
            await admin.create_key("ci", role="root")
        with pytest.raises(InvalidInput) as caught:
            await admin.create_key("ci", role="client", expires=timedelta(days=999_999_999))
    assert [violation.field for violation in caught.value.violations] == ["expires"]
