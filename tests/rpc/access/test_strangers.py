"""What it costs to keep those out who have no key."""

from typing import Any

import grpc
import pytest
import structlog

from devteam.mesh import status
from devteam.mesh.access.caller import Role
from devteam.mesh.access.key import mint
from devteam.mesh.errors import ResourceExhausted
from tests.fakes.clock import FakeClock
from tests.fakes.guarded_mesh import MESH_KEY, GuardedMesh, guarded_mesh

GET = "/devteam.v1.PlannerService/GetTask"
HEALTH = "/grpc.health.v1.Health/Check"
INVALID = ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
PENALTY = ("RESOURCE_EXHAUSTED", "AUTH_PENALTY")
OK = ("OK", "")


async def tries(mesh: GuardedMesh, count: int, *metadata: tuple[str, str]) -> list[tuple[str, str]]:
    return [await mesh.outcome(GET, mint("c").secret, *metadata) for _ in range(count)]


@pytest.mark.parametrize("key", ["", mint("a").secret], ids=["no key", "an unknown key"])
async def test_a_stranger_is_refused_before_it_has_sent_anything(clock: FakeClock, key: str) -> None:
    async with guarded_mesh(clock) as mesh:
        shown = (("authorization", f"Bearer {key}"),) if key else ()
        call: Any = mesh.channel.stream_stream(GET)(metadata=shown, timeout=20)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_so_is_who_may_not_make_the_call(clock: FakeClock) -> None:
    async with guarded_mesh(clock) as mesh:
        shown = (("authorization", f"Bearer {mesh.key(Role.WORKER)}"),)
        call: Any = mesh.channel.stream_stream(GET)(metadata=shown, timeout=20)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_message_of_a_stranger_is_never_read(clock: FakeClock) -> None:
    """What is no message of this call would be told so, were it read."""
    async with guarded_mesh(clock) as mesh:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await mesh.call(GET, request=b"\xff")
        assert status.from_rpc(caught.value).reason == "CREDENTIALS_MISSING"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await mesh.call(GET, mesh.key(Role.CLIENT), request=b"\xff")
        assert status.from_rpc(caught.value).reason == "MALFORMED_MESSAGE"


async def test_either_header_holds_a_key(clock: FakeClock) -> None:
    async with guarded_mesh(clock) as mesh:
        key = mesh.key(Role.CLIENT)
        for header in (("x-api-key", key), ("authorization", f"bearer {key}"), ("authorization", f"Bearer  {key} ")):
            assert await mesh.outcome(GET, "", header) == OK
        assert await mesh.outcome(GET, "", ("x-api-key", key), ("authorization", "Basic dTpw")) == OK
        assert await mesh.outcome(GET, "", ("authorization", "Basic dTpw")) == INVALID


async def test_after_five_invalid_keys_a_minute_an_address_has_to_wait(clock: FakeClock) -> None:
    """Valid ones are let in all the time, and other addresses have nothing to do with it."""
    async with guarded_mesh(clock) as mesh:
        here = mesh.elsewhere()
        assert await tries(mesh, 8, here) == [INVALID] * 5 + [PENALTY] * 3
        assert await mesh.outcome(GET, mesh.key(Role.CLIENT), here) == OK
        assert await tries(mesh, 1, mesh.elsewhere()) == [INVALID]
        clock.advance(59)
        assert await tries(mesh, 1, here) == [PENALTY]
        clock.advance(1)
        assert await tries(mesh, 6, here) == [INVALID] * 5 + [PENALTY]


async def test_a_penalty_says_how_long(clock: FakeClock) -> None:
    async with guarded_mesh(clock) as mesh:
        await tries(mesh, 6)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await mesh.call(GET, "no-key")
        error = status.from_rpc(caught.value)
        assert isinstance(error, ResourceExhausted)
        assert (error.reason, error.retry_after) == ("AUTH_PENALTY", 60.0)


async def test_only_trusted_proxies_are_believed_where_a_call_comes_from(clock: FakeClock) -> None:
    async with guarded_mesh(clock, trusted_proxies=["10.9.9.9"]) as mesh:
        assert [(await tries(mesh, 1, mesh.elsewhere()))[0] for _ in range(6)] == [INVALID] * 5 + [PENALTY]


async def test_a_refusal_is_logged_once_a_minute_with_its_cause_and_without_the_key(clock: FakeClock) -> None:
    async with guarded_mesh(clock) as mesh:
        here, secret = mesh.elsewhere(), mint("c").secret
        with structlog.testing.capture_logs() as logs:
            for _ in range(20):
                await mesh.outcome(GET, secret, here)
            for _ in range(20):
                await mesh.outcome(GET, "", here)
        told = [(entry["reason"], entry.get("cause")) for entry in logs if entry["event"] == "call refused"]
        assert told == [
            ("CREDENTIALS_INVALID", "no key has this id: it was revoked, or never existed"),
            ("AUTH_PENALTY", "no key has this id: it was revoked, or never existed"),
            ("CREDENTIALS_MISSING", None),
        ]
        assert secret not in str(logs)
        clock.advance(60)
        with structlog.testing.capture_logs() as logs:
            await mesh.outcome(GET, secret, here)
        assert [entry["reason"] for entry in logs if entry["event"] == "call refused"] == ["CREDENTIALS_INVALID"]


async def test_the_log_says_who_was_refused_behind_a_proxy_too(clock: FakeClock) -> None:
    """As the audit log does; whoever is no proxy is not believed."""
    said = ("x-forwarded-for", "198.51.100.9, 192.0.2.7")
    for proxies, peer in ((["127.0.0.0/8"], "192.0.2.7"), ([], "127.0.0.1")):
        async with guarded_mesh(clock, trusted_proxies=proxies) as mesh:
            with structlog.testing.capture_logs() as logs:
                await mesh.outcome(GET, "", said)
                await mesh.outcome(HEALTH, mint("c").secret, said)
        assert [entry["peer"] for entry in logs if entry["event"] == "call refused"] == [peer, peer]


async def test_a_refused_role_is_told_which_one_it_takes(clock: FakeClock) -> None:
    async with guarded_mesh(clock) as mesh:
        sentences = []
        for path in ("/devteam.v1.RegistryService/UpdateWorker", "/devteam.v1.RouterService/Dispatch"):
            call = mesh.call(path, mesh.key(Role.CLIENT))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await (call.read() if path.endswith("Dispatch") else call)
            sentences.append(status.from_rpc(caught.value).message)
        assert sentences == [
            "a key of the role client cannot call UpdateWorker: that takes the role operator or admin",
            "a key of the role client cannot call Dispatch: that takes a service of the mesh",
        ]


async def test_while_no_key_is_known_callers_are_asked_to_come_back(clock: FakeClock) -> None:
    """That is nobody's fault, and no try at guessing. The mesh key is known from the start."""
    async with guarded_mesh(clock) as mesh:
        mesh.keyring._told = False
        here = mesh.elsewhere()
        assert await tries(mesh, 8, here) == [("UNAVAILABLE", "KEYS_UNKNOWN")] * 8
        assert await mesh.outcome("/devteam.v1.AccessService/ListKeys", MESH_KEY) == OK
